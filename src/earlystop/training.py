"""Minibatch training of deep networks of one architecture, many runs at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from earlystop.arguments import counts, fitting, functions, kinds, numbers, refuse, short, tensors, values, without_nan
from earlystop.images import Images
from earlystop.runs.machine import Machine
from earlystop.runs.store import sound
from earlystop.streams import batches, random_stream

STREAMS = 8  # networks that a GPU works on at a time
UNRECORDED = 3  # steps before a GPU records one
FUSED_FROM = 50_000  # steps of single networks from which on compiling for a GPU pays
Loss = Callable[[Float[Tensor, "... classes"], Int[Tensor, "..."]], Float[Tensor, "..."]]


def least_squares(outputs: Float[Tensor, "... classes"], labels: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
    """½‖f(x) - one-hot(y)‖² of every sample: the paper's loss for several classes.

    >>> earlystop.training.least_squares([[1.0, 0.0], [0.0, 0.0]], [0, 1])
    tensor([0.0000, 0.5000])
    """
    outputs, labels = _taken(outputs, labels)
    return 0.5 * (outputs - F.one_hot(labels, outputs.shape[-1])).square().sum(dim=-1)


def _taken(outputs: Tensor, labels: Tensor) -> tuple[Float[Tensor, "... classes"], Int[Tensor, "..."]]:
    """Outputs and labels as tensors. `ValueError` if there is not one label for all outputs of a sample."""
    (outputs,), (labels,) = tensors(outputs=(outputs, "... classes")), values(labels=(labels, "*"))
    shape, classes = outputs.shape[:-1], outputs.shape[-1]
    told = f"labels has shape {tuple(labels.shape)}, should have {tuple(shape)} for outputs of {tuple(outputs.shape)}"
    refuse({told: labels.shape != shape})
    if not labels.is_cuda:  # a GPU does not wait for this
        fit = bool(((labels >= 0) & (labels < classes) & (labels == labels.long())).all())
        refuse({f"labels should be classes from 0 to {classes - 1}, as there are {classes} outputs": not fit})
    return outputs, labels.long()


def cross_entropy(outputs: Float[Tensor, "... classes"], labels: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
    """-log softmax(f(x))_y of every sample, for which the paper reports the same (footnote 3).

    >>> earlystop.training.cross_entropy([[0.0, 0.0]], [1])
    tensor([0.6931])
    """
    outputs, labels = _taken(outputs, labels)
    return -outputs.log_softmax(dim=-1).gather(-1, labels[..., None])[..., 0]


LOSSES: dict[str, Loss] = {"least_squares": least_squares, "cross_entropy": cross_entropy}


class Stack:
    """M networks of one architecture as one: parameters and buffers with a leading axis M.

    Networks never mix, so an optimizer that works on every number by itself (SGD, Adadelta, Adam)
    trains each as if it were alone.

    >>> stack = earlystop.training.Stack([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    >>> stack(torch.ones(2, 5, 3)).shape
    torch.Size([2, 5, 2])
    """

    def __init__(self, models: Sequence[nn.Module], machine: Machine = Machine()):
        kinds(list | tuple, "a list of networks", models=models)
        kinds(nn.Module, "a network, an nn.Module", **{f"models[{i}]": one for i, one in enumerate(models)})
        refuse({"models are none: a stack needs one network or more": not models})
        shapes = [{name: one.shape for name, one in model.state_dict().items()} for model in models]
        refuse({f"models[{i}] has other weights than models[0]": one != shapes[0] for i, one in enumerate(shapes)})
        self.model, self.size, self.machine = models[0], len(models), machine
        self.parameters, self.buffers = stack_module_state(list(models))
        self.fused: dict[int, Callable] = {}  # compiled `forward`, by the size of its batch

    def __call__(self, inputs: Float[Tensor, "M n c h w"]) -> Float[Tensor, "M n classes"]:
        if self.size > 1 and not self.machine.side_by_side:
            return vmap(self.forward)(self.parameters, self.buffers, inputs)
        outputs = [self.one(run, self.weights(run), x) for run, x in enumerate(inputs)]
        return torch.stack(outputs)  # a GPU is full with one network: plain operators are faster

    def forward(self, parameters, buffers, x):
        """Outputs of the architecture with these parameters and buffers."""
        return functional_call(self.model, (parameters, buffers), (x,))

    def weights(self, run: int) -> dict[str, Tensor]:
        """Parameters of one network, in the memory of the stack's."""
        return {name: value[run] for name, value in self.parameters.items()}

    def one(self, run: int, weights: dict[str, Tensor], x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Outputs of one network with its own buffers."""
        buffers = {name: value[run] for name, value in self.buffers.items()}
        forward = self.fused.get(len(x), self.forward)
        return forward(weights, buffers, channels_last(x))

    def fuse(self, *batch_sizes: int) -> None:
        """Compile the architecture for batches of these sizes, if there is a compiler."""
        if find_spec("triton"):
            fused = torch.compile(self.forward, dynamic=False)
            self.fused = dict.fromkeys(batch_sizes, fused)

    def network(self, index: int) -> nn.Module:
        """The architecture with the weights and buffers of one network."""
        state = {k: v[index].detach() for k, v in {**self.parameters, **self.buffers}.items()}
        self.model.load_state_dict(state)
        return self.model

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over the numbers of another stack's `state()`."""
        with torch.no_grad():
            for name, value in self.state().items():
                value.copy_(state[name])

    def state(self) -> dict[str, Tensor]:
        """All parameters and buffers by name."""
        return {**self.parameters, **self.buffers}


def _weights(stack: Stack, step_size: float) -> list[Tensor]:
    """What an optimizer of a stack moves."""
    known = isinstance(getattr(stack, "parameters", None), dict)
    refuse({f"stack is {short(stack)}, should be a Stack of networks": not known})
    numbers(step_size=step_size)
    refuse({f"step_size is {step_size}, should be above 0 and finite": not 0 < step_size < float("inf")})
    return list(stack.parameters.values())


def adadelta(stack: Stack, step_size: float = 1.0, rho: float = 0.9, eps: float = 1e-6) -> torch.optim.Optimizer:
    """Adadelta with learning rate 1, as in the experiments of Figures 1 and 3; ρ and ε are PyTorch's.

    >>> stack = earlystop.training.Stack([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    >>> earlystop.training.adadelta(stack).defaults["rho"]
    0.9
    """
    weights = _weights(stack, step_size)
    return torch.optim.Adadelta(weights, lr=step_size, rho=rho, eps=eps, capturable=weights[0].is_cuda)


def adam(stack: Stack, step_size: float) -> torch.optim.Optimizer:
    """Adam, with its usual decay rates and no weight decay.

    >>> stack = earlystop.training.Stack([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    >>> earlystop.training.adam(stack, 0.001).defaults["lr"]
    0.001
    """
    weights = _weights(stack, step_size)
    return torch.optim.Adam(weights, lr=step_size, capturable=weights[0].is_cuda)


def momentum(stack: Stack, step_size: float) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum 0.9 and no weight decay.

    >>> stack = earlystop.training.Stack([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    >>> earlystop.training.momentum(stack, 0.1).defaults["momentum"]
    0.9
    """
    return torch.optim.SGD(_weights(stack, step_size), lr=step_size, momentum=0.9, nesterov=True)


def sgd(stack: Stack, step_size: float) -> torch.optim.Optimizer:
    """Plain stochastic gradient descent, the algorithm that the paper's text names.

    >>> stack = earlystop.training.Stack([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    >>> earlystop.training.sgd(stack, 0.1).defaults["momentum"]
    0
    """
    return torch.optim.SGD(_weights(stack, step_size), lr=step_size)


OPTIMIZERS = {"adadelta": adadelta, "adam": adam, "momentum": momentum, "sgd": sgd}  # of a stack and a step size


def channels_last(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The same numbers in the order that convolutions are fastest in, also for one channel; others as they are.

    >>> earlystop.training.channels_last(torch.ones(1, 2, 3, 3)).stride()
    (18, 1, 6, 2)
    """
    (x,) = tensors(x=(x, "*"))
    if x.ndim != 4:
        return x
    return torch.empty_like(x, memory_format=torch.channels_last).copy_(x)


@dataclass(frozen=True)
class ImageStack:
    """n images for each of M runs, kept as bytes and turned into inputs when they are used.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> earlystop.training.ImageStack.of([digits, digits], [digits, digits]).inputs(slice(5)).shape
    torch.Size([2, 5, 1, 8, 8])
    """

    pixels: UInt8[Tensor, "M n c h w"]
    mean: Float[Tensor, " M"]
    std: Float[Tensor, " M"]

    @classmethod
    def of(cls, sets: Sequence[Images], training: Sequence[Images]) -> "ImageStack":
        """Stack M sets, each normalized by the mean and deviation of its own training set."""
        for name, ones in (("sets", sets), ("training", training)):
            kinds(Sequence, "a list of Images, one for each run", **{name: ones})
            kinds(Images, "Images", **{f"{name}[{i}]": one for i, one in enumerate(ones)})
        told = f"sets are {len(sets)}, but training {len(training)}: one of each for a run"
        refuse({told: len(sets) != len(training), "sets are none: a stack needs one or more": not sets})
        sizes = [tuple(one.pixels.shape) for one in sets]
        for i, one in enumerate(sizes):
            refuse({f"sets[{i}] has the shape {one}, but sets[0] {sizes[0]}": one != sizes[0]})
        shades = [one.pixels.float() / 255 for one in training]
        mean, std = (torch.stack([getattr(v, key)() for v in shades]) for key in ("mean", "std"))
        for i, one in enumerate(std.tolist()):
            refuse({f"training[{i}] is of one shade: it cannot be normalized": not one > 0})
        if all(one is sets[0] for one in sets):  # shared: no copies
            pixels = sets[0].pixels.expand(len(sets), *sets[0].pixels.shape)
        else:
            pixels = torch.stack([one.pixels for one in sets])
        return cls(pixels, mean, std)

    def inputs(self, columns: Int[Tensor, "M b"] | slice) -> Float[Tensor, "M b c h w"]:
        """Normalized inputs at `columns`, each run's own or the same slice of all."""
        if isinstance(columns, slice):
            pixels = self.pixels[:, columns]
        else:
            pixels = self.pixels[torch.arange(len(columns), device=columns.device)[:, None], columns]
        mean, std = (v.view(-1, 1, 1, 1, 1) for v in (self.mean, self.std))
        return (pixels.float() / 255 - mean) / std

    @property
    def size(self) -> tuple[int, int]:
        """How many runs and samples there are."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def redraw(self, epoch: int, seeds: Sequence[int]) -> None:
        """Get ready for an epoch: these images stay as they are."""


def train(
    stack: Stack, images: ImageStack, labels: Tensor, *, optimizer: torch.optim.Optimizer, epochs: int, batch_size: int,
    seeds: Sequence[int], loss: Loss = least_squares, measure: Callable[[], dict[str, Tensor]] | None = None,
    checkpoint: Any = None,
) -> dict[str, list[Tensor]]:  # fmt: skip
    """Train all networks of `stack` in place, each on its own images in its own random orders.

    `labels` is (M, n). `seeds` give the orders, new in each epoch. `measure()` is called before
    training and after each `Machine.measured` epoch, and returns tensors with a leading axis M; they
    come back in lists, with the `epoch` of each. `checkpoint` saves after epochs, and training
    goes on from what it holds. Raises `ValueError` on bad arguments, and when a loss stops
    being finite.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> stack = earlystop.training.Stack([earlystop.architectures.conv_net((1, 8, 8), (2, 2, 4))])
    >>> images = earlystop.training.ImageStack.of([digits], [digits])
    >>> optimizer, labels = earlystop.training.adadelta(stack), digits.labels[None]
    >>> earlystop.training.train(stack, images, labels, optimizer=optimizer, epochs=2, batch_size=32, seeds=[0])
    {}
    """
    labels = _check_training(stack, images, labels, optimizer, epochs, batch_size, seeds, loss)
    history, done = _resumed(stack, optimizer, epochs, checkpoint)
    if labels.is_cuda and epochs * labels.numel() >= FUSED_FROM * batch_size:
        stack.fuse(batch_size, stack.machine.evaluated)
    step = TrainingStep(stack, images, labels, optimizer, loss)
    for epoch in stack.machine.progress(range(done + 1, epochs + 1), "epochs"):
        if epoch:
            images.redraw(epoch, seeds)
            train_epoch(step, labels, epoch, batch_size, seeds)
            _check_weights(stack, epoch, seeds)
        if measure and stack.machine.measured(epoch, epochs):
            for key, numbers in (measure() | {"epoch": torch.tensor(epoch)}).items():
                history.setdefault(key, []).append(numbers.cpu())
        if checkpoint:
            checkpoint.save_when_due(partial(_state, stack, optimizer, history, epoch), now=epoch == epochs)
    return history


def _check_training(stack, images, labels, optimizer, epochs, batch_size, seeds, loss) -> Tensor:
    """The labels as a tensor. Raises `ValueError` for arguments that cannot be."""
    kinds(Stack, "a Stack of networks", stack=stack)
    kinds(ImageStack, "an ImageStack, as ImageStack.of makes", images=images)
    kinds(torch.optim.Optimizer, "an optimizer, as adadelta(stack) gives", optimizer=optimizer)
    counts(least=0, epochs=epochs)
    counts(least=1, batch_size=batch_size)
    kinds(Sequence, "a list of seeds, one for each network", seeds=seeds)
    functions(loss=loss)
    (labels,) = values(labels=(labels, "M n"))
    moved = {id(one) for group in optimizer.param_groups for one in group["params"]}
    refuse({
        "optimizer is of other weights, should be of the stack's, as adadelta(stack) gives":
            not moved or not moved <= {id(one) for one in stack.parameters.values()},
        f"seeds are {len(seeds)} for {stack.size} networks, should be one for each": len(seeds) != stack.size,
        f"labels has shape {tuple(labels.shape)}, should have {images.size} as images": labels.shape != images.size,
    })  # fmt: skip
    return labels


def _check_weights(stack: Stack, epoch: int, seeds: Sequence[int]) -> None:
    """Raise `ValueError` for weights that the last step of an epoch made infinite: its loss is that before it."""
    finite = [one.isfinite().reshape(stack.size, -1).all(dim=1) for one in stack.parameters.values()]
    for seed, whole in zip(seeds, torch.stack(finite).all(dim=0).tolist()):
        refuse({f"weights are not finite after epoch {epoch} of seed {seed}: lower the step size": not whole})


def _state(stack: Stack, optimizer: torch.optim.Optimizer, history: dict[str, list[Tensor]], epoch: int) -> dict:
    """All that a training needs to go on after this epoch."""
    return {"networks": stack.state(), "optimizer": optimizer.state_dict(), "history": history, "epoch": epoch}


def _resumed(
    stack: Stack, optimizer: torch.optim.Optimizer, epochs: int, checkpoint: Any
) -> tuple[dict[str, list[Tensor]], int]:
    """The history so far and the last epoch done, as a checkpoint has them; nothing and -1 without one."""
    if not checkpoint or not (saved := checkpoint.load()):
        return {}, -1
    with sound(checkpoint.path()):
        stack.load(saved["networks"])
        optimizer.load_state_dict(saved["optimizer"])
        history, done = saved["history"], int(saved["epoch"])
        if done > epochs or len({len(rows) for rows in history.values()}) > 1:
            raise ValueError("its history does not fit the epochs")
    return history, done


def train_epoch(step, labels, epoch, batch_size, seeds) -> None:
    """One pass over all images, in an order that depends on seed and epoch alone.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> stack = earlystop.training.Stack([earlystop.architectures.conv_net((1, 8, 8), (2, 2, 4))])
    >>> images = earlystop.training.ImageStack.of([digits], [digits])
    >>> step = earlystop.training.TrainingStep(stack, images, digits.labels[None], earlystop.training.sgd(stack, 0.1),
    ...                                        earlystop.training.least_squares)
    >>> earlystop.training.train_epoch(step, digits.labels[None], epoch=1, batch_size=32, seeds=[0])
    """
    orders = [
        torch.randperm(labels.shape[1], generator=random_stream(seed, f"batches of epoch {epoch}")) for seed in seeds
    ]
    values = torch.zeros(len(seeds))
    for batch in batches(torch.stack(orders).to(labels.device), batch_size):
        values = step(batch)
    for run, value in enumerate(values.tolist()):
        if not abs(value) < float("inf"):
            raise ValueError(f"the loss is {value} in epoch {epoch} of seed {seeds[run]}: lower the step size")


class TrainingStep:
    """One step of an optimizer on all networks of a stack, called with the samples of a batch.

    On a GPU the step is recorded once for every size of a batch and then replayed (a CUDA
    graph): hundreds of short operations then cost one launch.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> stack = earlystop.training.Stack([earlystop.architectures.conv_net((1, 8, 8), (2, 2, 4))])
    >>> images = earlystop.training.ImageStack.of([digits], [digits])
    >>> step = earlystop.training.TrainingStep(stack, images, digits.labels[None], earlystop.training.sgd(stack, 0.1),
    ...                                        earlystop.training.least_squares)
    >>> step(torch.arange(8)[None]).shape
    torch.Size([1])
    """

    def __init__(self, stack, images, labels, optimizer, loss):
        self.stack, self.images, self.labels = stack, images, labels
        self.optimizer, self.loss = optimizer, loss
        self.update = optimizer.step
        if labels.is_cuda and find_spec("triton"):
            self.update = torch.compile(optimizer.step)  # one pass over memory instead of ten
        self.streams = [torch.cuda.Stream() if labels.is_cuda else None for _ in range(STREAMS)]
        self.calls: Counter[int] = Counter()
        self.recorded: dict[int, tuple] = {}

    def __call__(self, batch: Int[Tensor, "M b"]) -> Float[Tensor, " M"]:
        """Train on the samples `batch` of each network; the mean loss of each before."""
        size = batch.shape[1]
        if not batch.is_cuda or self.calls[size] < UNRECORDED:
            self.calls[size] += 1
            return self.work(batch)
        if size not in self.recorded:
            graph, place = torch.cuda.CUDAGraph(), batch.clone()
            with torch.cuda.graph(graph):
                values = self.work(place)
            self.recorded[size] = graph, place, values
        graph, place, values = self.recorded[size]
        place.copy_(batch)
        graph.replay()
        return values

    def work(self, batch: Int[Tensor, "M b"]) -> Float[Tensor, " M"]:
        """The step itself."""
        self.stack.model.train()
        gradients = self.side_by_side if self.stack.machine.side_by_side else self.stacked
        values = gradients(self.images.inputs(batch), self.labels.gather(1, batch))
        self.update()
        return values

    def stacked(self, inputs, labels) -> Float[Tensor, " M"]:
        """Gradients of all networks by one backward pass through batched operators."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.stack.machine.autocast():
            outputs = self.stack(inputs)
        values = self.loss(outputs.float(), labels).mean(dim=1)
        values.sum().backward()
        return values.detach()

    def side_by_side(self, inputs, labels) -> Float[Tensor, " M"]:
        """The same network by network, a few of them at a time on a GPU."""
        found, on_gpu = [], [stream for stream in self.streams if stream]
        for stream in on_gpu:
            stream.wait_stream(torch.cuda.current_stream())
        for run, (x, y) in enumerate(zip(inputs, labels)):
            with torch.cuda.stream(self.streams[run % len(self.streams)]):
                weights = self.stack.weights(run)
                weights = {name: w.detach().requires_grad_() for name, w in weights.items()}
                with self.stack.machine.autocast():
                    outputs = self.stack.one(run, weights, x)
                value = self.loss(outputs.float(), y).mean()
                found.append((value.detach(), *torch.autograd.grad(value, [*weights.values()])))
        for stream in on_gpu:
            torch.cuda.current_stream().wait_stream(stream)
        values, *gradients = map(torch.stack, zip(*found))
        for parameter, gradient in zip(self.stack.parameters.values(), gradients):
            parameter.grad = gradient
        return values


@torch.no_grad()
def evaluate_stack(stack: Stack, images: ImageStack) -> Float[Tensor, "M n classes"]:
    """All outputs of all networks in eval mode, `Machine.evaluated` samples at a time.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> stack = earlystop.training.Stack([earlystop.architectures.conv_net((1, 8, 8), (2, 2, 4))])
    >>> images = earlystop.training.ImageStack.of([digits], [digits])
    >>> earlystop.training.evaluate_stack(stack, images).shape
    torch.Size([1, 64, 10])
    """
    kinds(Stack, "a Stack of networks", stack=stack)
    kinds(ImageStack, "an ImageStack, as ImageStack.of makes", images=images)
    stack.model.eval()
    outputs, size = [], stack.machine.evaluated
    for start in range(0, images.size[1], size):
        with stack.machine.autocast():
            outputs.append(stack(images.inputs(slice(start, start + size))).float())
    return torch.cat(outputs, dim=1)


@torch.no_grad()
def evaluate(model: nn.Module, inputs: Float[Tensor, "n c h w"], batch_size: int = 1000) -> Float[Tensor, "n classes"]:
    """One model's outputs in eval mode.

    >>> earlystop.training.evaluate(torch.nn.Linear(3, 2), torch.ones(4, 3)).shape
    torch.Size([4, 2])
    """
    counts(least=1, batch_size=batch_size)
    kinds(nn.Module, "a network, an nn.Module", model=model)
    inputs = fitting(model.eval(), inputs)
    return torch.cat([model(part) for part in inputs.split(batch_size)])


@torch.no_grad()
def last_layers(stack: Stack, images: ImageStack, count: int) -> tuple[Float[Tensor, "M n units"], Tensor]:
    """The units of the last hidden layer and the outputs of each network, for its first `count` images.

    >>> digits = earlystop.images.load_images("digits").subset(slice(64))
    >>> stack = earlystop.training.Stack([earlystop.architectures.conv_net((1, 8, 8), (2, 2, 4))])
    >>> images = earlystop.training.ImageStack.of([digits], [digits])
    >>> hidden, outputs = earlystop.training.last_layers(stack, images, count=5)
    >>> hidden.shape, outputs.shape
    (torch.Size([1, 5, 4]), torch.Size([1, 5, 10]))
    """
    kinds(Stack, "a Stack of networks", stack=stack)
    kinds(ImageStack, "an ImageStack, as ImageStack.of makes", images=images)
    counts(least=1, count=count)
    inputs, found = images.inputs(slice(count)), []
    for run, x in enumerate(inputs):
        network: Any = stack.network(run).eval()
        with stack.machine.autocast():
            hidden = network[:-1](channels_last(x))
            found.append((hidden.float(), network[-1](hidden).float()))
    hidden, outputs = map(torch.stack, zip(*found))
    return hidden, outputs


def dead(hidden: Float[Tensor, "M n units"]) -> Float[Tensor, " M"]:
    """The share of the units that are zero for every image.

    >>> earlystop.training.dead([[[1.0, 0.0], [2.0, 0.0]]])
    tensor([0.5000])
    """
    (hidden,) = tensors(hidden=(hidden, "M n units"))
    return 1 - (hidden > 0).any(dim=1).float().mean(dim=1)


def accuracy(outputs: Float[Tensor, "... n classes"], labels: Int[Tensor, "... n"]) -> Float[Tensor, "..."]:
    """Share of samples whose largest output is their label, in double precision.

    900 of 1,000 are then exactly the 0.9 that a page compares them with, or a file holds.

    >>> earlystop.training.accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0])
    tensor(0.5000, dtype=torch.float64)
    """
    (outputs,), (labels,) = tensors(outputs=(outputs, "... classes")), values(labels=(labels, "... n"))
    shape = tuple(outputs.shape[-labels.ndim - 1 : -1])
    fits = tuple(labels.shape) == shape
    refuse({f"labels has shape {tuple(labels.shape)}, should have {shape} as outputs": not fits})
    refuse({"outputs have no classes: none is the largest": not outputs.shape[-1]})
    without_nan(outputs=outputs)
    right = (outputs.argmax(dim=-1) == labels).sum(dim=-1)
    return right.cpu().double() / labels.shape[-1]  # an Apple GPU has no float64


def fit(loss: Loss, **parts: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Accuracy, and as `<part>_loss` the mean loss, of each part's outputs against its labels.

    >>> earlystop.training.fit(earlystop.training.least_squares, test=([[[2.0, 1.0], [0.0, 1.0]]], [[0, 0]]))["test"]
    tensor([0.5000], dtype=torch.float64)
    """
    functions(loss=loss)
    right = {name: accuracy(*pair) for name, pair in parts.items()}
    return right | {f"{name}_loss": loss(*pair).mean(dim=1) for name, pair in parts.items()}


def distances(
    now: dict[str, Float[Tensor, "M ..."]], start: dict[str, Float[Tensor, "M ..."]]
) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
    """Relative distance from initialization (Figure 3), in two readings.

    ‖θ - θ₀‖/‖θ₀‖ over all weights and biases together, and the mean of that ratio over the
    parameter tensors (those that start at zero left out).

    >>> earlystop.training.distances({"w": torch.tensor([[3.0]])}, {"w": torch.tensor([[1.0]])})
    (tensor([2.]), tensor([2.]))
    """
    kinds(dict, "tensors by name, as Stack.parameters", now=now, start=start)
    refuse({f"now has no {name!r}, as start has": name not in now for name in start})
    refuse({f"start has {name!r}, which are no weights": not one.is_floating_point() for name, one in start.items()})
    moved = torch.stack([(now[k].detach() - start[k]).reshape(len(start[k]), -1).norm(dim=1) for k in start])
    size = torch.stack([start[k].reshape(len(start[k]), -1).norm(dim=1) for k in start])
    ratios = torch.where(size > 0, moved / size, float("nan"))
    return moved.norm(dim=0) / size.norm(dim=0), ratios.nanmean(dim=0)


def calibrate(model: nn.Module, inputs: Float[Tensor, "n c h w"], batch_size: int = Machine.calibrated) -> None:
    """Set the running statistics of batch norm to those of `inputs`, weights unchanged.

    With several batches the variance is the mean of the batches' own.

    >>> model = torch.nn.Sequential(torch.nn.BatchNorm2d(1))
    >>> earlystop.training.calibrate(model, torch.ones(4, 1, 2, 2))
    >>> model[0].running_mean
    tensor([1.])
    """
    counts(least=1, batch_size=batch_size)
    kinds(nn.Module, "a network, an nn.Module", model=model)
    inputs = fitting(model.eval(), inputs)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
    model.train()
    seen = 0
    with torch.no_grad():
        for part in inputs.split(batch_size):
            seen += len(part)
            for m in norms:
                m.momentum = len(part) / seen  # every sample counts the same
            model(part)
    for m, value in zip(norms, before):
        m.momentum = value
    model.eval()
