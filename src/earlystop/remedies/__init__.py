"""Remedies for wrong labels: one interface, and each in a file of its own.

A remedy is a loss, a function of outputs and labels that gives a number for each sample; or a class derived from
`Remedy`, which may do more: keep what it has seen of each sample, choose samples, train two networks.
"""

import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from earlystop.arguments import counts, functions, kinds, refuse, short, values, whole
from earlystop.streams import batches, random_stream

Pace = Callable[[int, int], float]  # of an epoch from 1 and how many there are: by what the step size is multiplied


def constant(epoch: int, epochs: int) -> float:
    """The step size as it is, in every epoch.

    >>> earlystop.remedies.constant(3, 10)
    1.0
    """
    counts(least=1, epoch=epoch, epochs=epochs)
    return 1.0


@dataclass
class Task:
    """What a remedy learns from: n inputs, labels as given, how a network and its optimizer are made.

    `network(seed)` makes a network with one output for each class, `optimizer(weights)` what moves it, for `epochs`
    epochs in batches of `batch_size`, in orders and with weights that `seed` draws, and with step sizes that `pace`
    may change from epoch to epoch.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2))
    >>> task.classes
    2
    """

    inputs: Float[Tensor, "n ..."]
    labels: Int[Tensor, " n"]
    network: Callable[[int], nn.Module]
    classes: int = 0  # 0: as many as the labels name
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = field(
        default=lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    )
    epochs: int = 30
    batch_size: int = 64
    seed: int = 0
    pace: Pace = constant

    def __post_init__(self) -> None:
        (self.inputs,) = values(inputs=(self.inputs, "*"))
        (self.labels,) = whole(labels=(self.labels, "n"))
        refuse({
            f"inputs has shape {tuple(self.inputs.shape)}, should have {len(self.labels)} rows, as labels has":
                self.inputs.shape[:1] != self.labels.shape,
            "labels are none: there are no samples to learn from": not len(self.labels),
            f"inputs are of {self.inputs.dtype}, should be floating point": not self.inputs.is_floating_point(),
            "inputs have entries that are not finite": not bool(self.inputs.isfinite().all()),
        })  # fmt: skip
        functions(network=self.network, optimizer=self.optimizer, pace=self.pace)
        counts(least=0, epochs=self.epochs, classes=self.classes)
        counts(seed=self.seed)
        counts(least=1, batch_size=self.batch_size)
        named_classes = int(self.labels.max()) + 1
        self.classes = self.classes or named_classes
        refuse({f"classes are {self.classes}, but a label is {named_classes - 1}": named_classes > self.classes})


class Remedy:
    """How networks learn from a task. Most remedies override `losses` alone; `step` is one batch.

    >>> class Halved(earlystop.remedies.Remedy):
    ...     def losses(self, outputs, rows):
    ...         return 0.5 * torch.nn.functional.cross_entropy(outputs, self.task.labels[rows], reduction="none")
    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=2)
    >>> list(earlystop.remedies.train(Halved(task)))
    [0, 1, 2]
    """

    grid: ClassVar[dict[str, tuple]] = {}  # settings that a comparison tries, by the names of arguments

    def __init__(self, task: Task):
        kinds(Task, "a Task", task=task)
        self.task, self.optimizers = task, []
        self.model = self.network(task.seed)
        self.optimizer = self.moved(self.model.parameters())

    def network(self, seed: int) -> nn.Module:
        """A network with weights of its own."""
        found = self.task.network(seed)
        kinds(nn.Module, "a network, which the task's network(seed) should give", network=found)
        return found.to(self.task.inputs.device)

    def moved(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The task's optimizer of some weights, whose step size follows the task's pace."""
        self.optimizers.append(optimizer := self.task.optimizer(weights))
        return optimizer

    def begin(self, epoch: int) -> None:
        """What is done before each epoch, the first of which is 1."""

    def losses(self, outputs: Float[Tensor, "b c"], rows: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """The loss of each sample of a batch, the samples `rows` of the task."""
        raise NotImplementedError(f"{type(self).__name__} has neither losses nor a step of its own")

    def step(self, rows: Int[Tensor, " b"]) -> None:
        """One step on a batch, the samples `rows` of the task."""
        self.optimizer.zero_grad()
        self.losses(self.model(self.task.inputs[rows]), rows).mean().backward()
        self.optimizer.step()

    def outputs(self, inputs: Float[Tensor, "m ..."]) -> Float[Tensor, "m c"]:
        """What the network answers, without the means by which it was trained."""
        self.model.eval()
        with torch.no_grad():
            found = self.model(inputs)
        self.model.train()
        return found


class ByLoss(Remedy):
    """Training by a function of outputs and labels, as `training.cross_entropy` is.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2))
    >>> earlystop.remedies.ByLoss(task, earlystop.training.cross_entropy).losses(torch.zeros(1, 2), [0])
    tensor([0.6931])
    """

    def __init__(self, task: Task, loss: Callable[[Tensor, Tensor], Tensor]):
        super().__init__(task)
        functions(loss=loss)
        self.loss = loss

    def losses(self, outputs, rows):
        """The function's losses on the labels as given."""
        found = self.loss(outputs, self.task.labels[rows])
        told = f"the loss gives {short(found)} for outputs of shape {tuple(outputs.shape)}, should give a number each"
        refuse({told: not isinstance(found, Tensor) or found.shape != outputs.shape[:1]})
        return found


REMEDIES = {
    "cross_entropy": "earlystop.training:cross_entropy",
    "smaller_steps": "earlystop.remedies.smaller_steps:SmallerSteps",
    "least_squares": "earlystop.training:least_squares",
    "ridge": "earlystop.remedies.ridge:Ridge",
    "auxiliary": "earlystop.remedies.auxiliary:Auxiliary",
    "sparse": "earlystop.remedies.sparse:Sparse",
    "small_loss": "earlystop.remedies.small_loss:SmallLoss",
    "smoothing": "earlystop.remedies.smoothing:Smoothing",
    "generalized": "earlystop.remedies.generalized:Generalized",
    "symmetric": "earlystop.remedies.symmetric:Symmetric",
    "early_learning": "earlystop.remedies.early_learning:EarlyLearning",
    "co_teaching": "earlystop.remedies.co_teaching:CoTeaching",
    "coreset": "earlystop.remedies.coreset:Coreset",
    "progressive": "earlystop.remedies.progressive:Progressive",
}


def remedy(name: str, task: Task, **settings: Any) -> Remedy:
    """The remedy of a name of `REMEDIES`, or of `module:name` of your own, with its settings, for a task.

    Raises `ValueError` if there is none such, or it has no such setting.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=2)
    >>> one = earlystop.remedies.remedy("least_squares", task)
    >>> for epoch in earlystop.remedies.train(one):
    ...     pass
    >>> one.outputs(torch.eye(4)).shape
    torch.Size([4, 2])
    """
    found = found_by(name)
    own = isinstance(found, type)
    make = cast(Callable[..., Remedy], found) if own else partial(ByLoss, loss=found)
    try:
        inspect.signature(make).bind(task, **settings)
    except TypeError as error:
        known = ", ".join(list(inspect.signature(found).parameters)[1:]) if own else "none"
        raise ValueError(f"{name} does not take {settings}: its settings are {known} ({error})") from error
    return make(task, **settings)


def found_by(name: str) -> Callable[..., Any]:
    """The loss or class of a remedy's name. Raises `ValueError` if there is none.

    >>> earlystop.remedies.found_by("cross_entropy").__name__
    'cross_entropy'
    """
    kinds(str, "the name of a remedy", name=name)
    where, reason = REMEDIES.get(name, name if ":" in name else ""), ""
    try:
        one = pkgutil.resolve_name(where)
        if (inspect.isclass(one) and issubclass(one, Remedy)) or inspect.isfunction(one):
            return one
        reason = f" ({where} is neither a function nor a class derived from Remedy)"
    except (ImportError, AttributeError, ValueError) as error:
        reason = f" ({error})" if where else ""
    raise ValueError(f"{name!r} is no remedy{reason}: use one of {', '.join(REMEDIES)}, or module:name of your own")


def train(remedy: Remedy) -> Iterator[int]:
    """Train a remedy for all epochs of its task; yields 0 before the first, and each epoch when it is done.

    Raises `ValueError` when a weight stops being finite.

    >>> task = earlystop.remedies.Task(torch.eye(4), [0, 1, 0, 1], lambda seed: torch.nn.Linear(4, 2), epochs=1)
    >>> list(earlystop.remedies.train(earlystop.remedies.remedy("cross_entropy", task)))
    [0, 1]
    """
    kinds(Remedy, "a Remedy", remedy=remedy)
    return _trained(remedy)


def _trained(remedy: Remedy) -> Iterator[int]:
    task, sizes = remedy.task, [[group["lr"] for group in one.param_groups] for one in remedy.optimizers]
    yield 0
    for epoch in range(1, task.epochs + 1):
        for one, own in zip(remedy.optimizers, sizes):
            for group, size in zip(one.param_groups, own):
                group["lr"] = size * task.pace(epoch, task.epochs)
        remedy.begin(epoch)
        order = torch.randperm(len(task.labels), generator=random_stream(task.seed, f"batches of epoch {epoch}"))
        for rows in batches(order.to(task.labels.device), task.batch_size):
            remedy.step(rows)
        networks = [one for one in vars(remedy).values() if isinstance(one, nn.Module)]
        finite = all(bool(one.isfinite().all()) for network in networks for one in network.parameters())
        refuse({f"a weight stopped being finite in epoch {epoch}: try a smaller step size": not finite})
        yield epoch
