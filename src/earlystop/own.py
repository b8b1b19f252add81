"""Early stopping on data of your own: inputs with the labels that they came with, and a network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from torch import Tensor, nn

from earlystop import architectures, plots
from earlystop.arguments import counts, fitting, functions, kinds, numbers, refuse, short, values, whole
from earlystop.runs.machine import here
from earlystop.streams import random_stream
from earlystop.training import LOSSES, OPTIMIZERS, ImageStack, Stack, evaluate_stack, fit, train

RULES = {"noisy_validation": "given validation labels", "validation": "true validation labels"}  # what stops a run


@dataclass(frozen=True)
class Samples:
    """n inputs with their labels as given, wrong ones included, and the true labels where they are known.

    Inputs are images (n × channels × height × width) or features (n × d), labels classes counted from 0.

    >>> samples = earlystop.own.Samples(torch.eye(4), given=[0, 1, 1, 0], true=[0, 1, 0, 0])
    >>> samples.wrong
    tensor([False, False,  True, False])
    """

    inputs: Tensor
    given: Int[Tensor, " n"]
    true: Int[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        labels = {"given": self.given} | ({} if self.true is None else {"true": self.true})
        (inputs,) = values(inputs=(self.inputs, "*"))
        refuse({
            f"inputs has shape {tuple(inputs.shape)}, should have one row for each sample, (n, d) or (n, c, h, w)":
                inputs.ndim < 2 or not inputs.numel(),
            "inputs contain NaN or infinity": not bool(inputs.isfinite().all()),
        })  # fmt: skip
        found = whole(inputs=(inputs.flatten(1)[:, 0].abs() * 0, "n"), **{k: (v, "n") for k, v in labels.items()})
        inputs = inputs if inputs.dtype == torch.uint8 else inputs.float()  # bytes stay as small as they are
        for name, value in zip(("inputs", *labels), (inputs, *list(found)[1:])):
            object.__setattr__(self, name, value)  # of a list or an array

    def __len__(self) -> int:
        return len(self.given)

    @property
    def wrong(self) -> Bool[Tensor, " n"]:
        """Samples whose given label is not the true one. `ValueError` where the truth is not known."""
        return self.given != self._truth()

    @property
    def control(self) -> "Samples":
        """The same samples with their true labels given. `ValueError` where the truth is not known."""
        return replace(self, given=self._truth())

    def _truth(self) -> Int[Tensor, " n"]:
        if self.true is None:
            raise ValueError("true is None: these samples know no true labels")
        return self.true

    def labels(self) -> dict[str, Int[Tensor, " n"]]:
        """The labels that are known, by name."""
        return {"given": self.given} | ({} if self.true is None else {"true": self.true})


@dataclass(frozen=True)
class _Rows(ImageStack):
    """Samples for each of M runs, rows of the same inputs."""

    rows: Int[Tensor, "M n"]

    @property
    def size(self) -> tuple[int, int]:
        """How many runs and samples there are."""
        return self.rows.shape[0], self.rows.shape[1]

    def inputs(self, columns: Int[Tensor, "M b"] | slice) -> Float[Tensor, "M b ..."]:
        """Inputs at `columns`, shifted and scaled."""
        rows = self.rows[:, columns] if isinstance(columns, slice) else self.rows.gather(1, columns)
        return (self.pixels[rows].float() - self.mean) / self.std


@dataclass(frozen=True)
class _Part:
    """Rows of samples with their labels, a run each, by which networks are trained or looked at."""

    stack: _Rows
    labels: dict[str, Int[Tensor, "M n"]]

    @classmethod
    def of(cls, samples: Samples, rows: Int[Tensor, "M n"], scale: tuple[Tensor, Tensor], device: str) -> "_Part":
        """These rows of some samples, on a device."""
        mean, std = (one.to(device) for one in scale)
        stack = _Rows(samples.inputs.to(device), mean, std, rows.to(device))
        return cls(stack, {name: one[rows].to(device) for name, one in samples.labels().items()})


@dataclass(frozen=True)
class Run:
    """Accuracies and mean losses along the training of some networks that differ by their seed.

    Curves are "noisy" and "true" (training samples by given and by true labels), "noisy_validation" and "validation"
    (the same of those held out) and "test", as far as there are such labels; with "_loss" behind it the loss.

    >>> run = earlystop.own.Run(torch.arange(4), {"noisy_validation": torch.tensor([[0.1, 0.7, 0.8, 0.6]])})
    >>> run.stop(), run.at_end("noisy_validation")
    (tensor([2]), tensor([0.6000]))
    """

    epoch: Int[Tensor, " times"]
    curves: dict[str, Float[Tensor, "seeds times"]]

    def stop(self, rule: str = "noisy_validation") -> Int[Tensor, " seeds"]:
        """The measurement after the start at which each run is stopped: the first that is best by a rule of `RULES`."""
        refuse({f"rule is {rule!r}, should be of {', '.join(RULES)}": rule not in RULES})
        why = f"rule is {rule!r}, but this run has no {RULES[rule]}: it needs a validation set that has them"
        refuse({why: rule not in self.curves})
        later = 1 if len(self.epoch) > 1 else 0  # without training, the start is all there is
        return self.curves[rule][:, later:].argmax(dim=1) + later

    def at_stop(self, key: str, rule: str = "noisy_validation") -> Float[Tensor, " seeds"]:
        """A number of each run where a rule stops it."""
        return self._curve(key).gather(1, self.stop(rule)[:, None])[:, 0]

    def at_end(self, key: str) -> Float[Tensor, " seeds"]:
        """A number of each run after its last epoch."""
        return self._curve(key)[:, -1]

    def _curve(self, key: str) -> Float[Tensor, "seeds times"]:
        refuse({f"key is {key!r}, should be of {', '.join(self.curves)}": key not in self.curves})
        return self.curves[key]


def _check_loss(loss: Any) -> None:
    """Raise `ValueError` unless a loss gives a number for each sample, of several networks at once."""
    refuse({f"loss is {loss!r}, should be {', '.join(LOSSES)}, or a function": not callable(loss)})
    try:
        found = f"a tensor of shape {tuple(loss(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.long)).shape)}"
    except Exception as problem:
        found = f"{type(problem).__name__} ({problem})"
    wanted = "a number for each sample: outputs of shape (2, 3, classes) and labels of shape (2, 3) give (2, 3)"
    refuse({f"loss gives {found}, should give {wanted}": found != "a tensor of shape (2, 3)"})


def early_stopping(
    data: Samples, network: Callable[[], nn.Module], *, validation: Samples | float | None = 0.2,
    test: Samples | None = None, epochs: int = 30, batch_size: int = 64, optimizer: str = "adadelta",
    step_size: float = 1.0, loss: Any = "least_squares", seeds: int = 1,
) -> Run:  # fmt: skip
    """Train a network on labels as they are given, and look at it after every epoch, as Figure 1 does.

    `network()` makes one, for every seed with other weights. `validation` is a share of `data`, drawn for every seed
    and not trained on, or `Samples` of its own, or None. Inputs are shifted and scaled to mean 0 and deviation 1 over
    `data`; no label is changed. `optimizer` is a name of `OPTIMIZERS`, `loss` one of `LOSSES` or a function like them.

    >>> data = earlystop.own.Samples(torch.eye(4).repeat(9, 1), given=[0, 1, 0, 1] * 9)
    >>> run = earlystop.own.early_stopping(data, lambda: torch.nn.Linear(4, 2), epochs=5)
    >>> run.curves["noisy"].shape, run.curves["noisy_validation"].shape
    (torch.Size([1, 6]), torch.Size([1, 6]))
    """
    _check(data, network, validation, test, epochs, batch_size, optimizer, seeds)
    loss = LOSSES.get(loss, loss) if isinstance(loss, str) else loss
    _check_loss(loss)
    machine = replace(here(), path="side by side")  # for any network

    def one(seed: int) -> dict[str, list[Tensor]]:
        parts = _parts(data, validation, test, seed, machine.device)
        with architectures.seeded(seed):  # also for what a network draws itself, as dropout does
            stack = Stack([_network(network, parts).to(machine.device)], machine)
            return train(
                stack, parts["train"].stack, parts["train"].labels["given"],
                optimizer=OPTIMIZERS[optimizer](stack, step_size), epochs=epochs, batch_size=batch_size,
                seeds=[seed], loss=loss, measure=lambda: fit(loss, **_answers(stack, parts)),
            )  # fmt: skip

    runs = [one(seed) for seed in range(seeds)]
    keys = [key for key in runs[0] if key != "epoch"]
    curves = {key: torch.stack([torch.cat(run[key]) for run in runs]) for key in keys}
    return Run(torch.stack(runs[0]["epoch"]), curves)


def _check(data, network, validation, test, epochs, batch_size, optimizer, seeds) -> None:
    """Raise `ValueError` naming the argument that cannot be."""
    like = "Samples, as own.Samples(inputs, given) makes of tensors"
    kinds(Samples, like, data=data)
    if test is not None:
        kinds(Samples, like, test=test)
    functions(network=network)
    counts(least=0, epochs=epochs)
    counts(least=1, batch_size=batch_size, seeds=seeds)
    known = isinstance(optimizer, str) and optimizer in OPTIMIZERS
    refuse({
        f"network is {short(network)}, should be a function that makes one, as lambda: nn.Linear(3, 2)":
            isinstance(network, nn.Module),
        f"optimizer is {short(optimizer)}, should be of {', '.join(OPTIMIZERS)}": not known,
    })  # fmt: skip
    if validation is not None and not isinstance(validation, Samples):
        numbers(validation=validation)
        held = round(validation * len(data)) if 0 < validation < 1 else 0
        wrong = f"validation is {validation}, should be a share of {len(data)} samples, Samples of its own, or None"
        refuse({wrong: not 0 < held < len(data)})


def _parts(data: Samples, validation, test, seed: int, device: str) -> dict[str, _Part]:
    """What the run of a seed is trained on, and what it is looked at on."""
    held = 0 if validation is None or isinstance(validation, Samples) else round(float(validation) * len(data))
    rows = torch.randperm(len(data), generator=random_stream(seed, "held out"))[None]
    inputs = data.inputs.float()
    scale = inputs.mean(), inputs.std()
    refuse({"inputs of data are all the same number: there is nothing to tell apart": not scale[1] > 0})
    parts = {"train": (data, rows[:, held:])} | ({"validation": (data, rows[:, :held])} if held else {})
    for name, samples in (("validation", validation), ("test", test)):
        if isinstance(samples, Samples):
            parts[name] = samples, torch.arange(len(samples))[None]
    return {name: _Part.of(*part, scale, device) for name, part in parts.items()}


def _network(network: Callable[[], nn.Module], parts: dict[str, _Part]) -> nn.Module:
    """A new network. `ValueError` if it does not fit the samples."""
    model = network()
    kinds(nn.Module, "a network, an nn.Module", **{"network()": model})
    for name, part in parts.items():
        few = part.stack.inputs(slice(2))[0].cpu()
        try:
            outputs = model(fitting(model.eval(), few))
        except ValueError as error:
            raise ValueError(f"network() does not take what {name} has: {error}") from error
        most = max(int(one.max()) for one in part.labels.values())
        fits = outputs.ndim == 2 and len(outputs) == len(few)
        refuse({
            f"network() gives outputs of shape {tuple(outputs.shape)} for {len(few)} samples, "
            "should give (samples, classes)": not fits,
            f"network() has {outputs.shape[-1]} outputs, too few for class {most} of {name}":
                outputs.shape[-1] <= most,
        })  # fmt: skip
    return model


def _answers(stack: Stack, parts: dict[str, _Part]) -> dict[str, tuple[Tensor, Tensor]]:
    """Outputs for each part and the labels to compare them with, by the names of `Run`."""
    names = {"train": {"given": "noisy", "true": "true"},
             "validation": {"given": "noisy_validation", "true": "validation"}}  # fmt: skip
    found = {}
    for name, part in parts.items():
        outputs, best = evaluate_stack(stack, part.stack), [*part.labels][-1]
        called = names.get(name, {best: name})  # tests by the true labels where they are known
        found |= {called[kind]: (outputs, labels) for kind, labels in part.labels.items() if kind in called}
    return found


def draw(run: Run, control: Run | None = None) -> Figure:
    """Accuracies along a run, where it is stopped, and a `control` trained on true labels alone.

    >>> data = earlystop.own.Samples(torch.eye(4).repeat(9, 1), given=[0, 1, 0, 1] * 9)
    >>> figure = earlystop.own.draw(earlystop.own.early_stopping(data, lambda: torch.nn.Linear(4, 2), epochs=5))
    """
    kinds(Run, "what early_stopping gives", run=run)
    fig, ax = plt.subplots(figsize=(6, 3.6))
    if control is not None:
        kinds(Run, "what early_stopping gives", control=control)
        key = "true" if "true" in control.curves else "noisy"
        plots.band(ax, control.epoch, control.curves[key], "training, no wrong label", **plots.CONTROL)
    for key, label, style in plots.CURVES:
        if key in run.curves:
            plots.band(ax, run.epoch, run.curves[key], label, **plots.line(style))
    if "noisy_validation" in run.curves:
        for number, index in enumerate(run.stop()):
            words = "stopped early" if not number else None
            ax.axvline(run.epoch[index].item(), label=words, color="black", linewidth=1)
    ax.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.03))
    fig.legend(loc="outside lower center", ncols=3)
    return fig
