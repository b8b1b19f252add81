"""Minibatch training of deep networks of one architecture, many runs at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from earlystop.images import Images
from earlystop.page import progress
from earlystop.scale import autocast, random_stream

EVERY_EPOCH_UNTIL, THEN_EVERY = 60, 5
Loss = Callable[[Float[Tensor, "... classes"], Int[Tensor, "..."]], Float[Tensor, "..."]]


def least_squares(
    outputs: Float[Tensor, "... classes"], labels: Int[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """½‖f(x) - one-hot(y)‖² of every sample: the paper's loss for several classes."""
    return 0.5 * (outputs - F.one_hot(labels, outputs.shape[-1])).square().sum(dim=-1)


def cross_entropy(
    outputs: Float[Tensor, "... classes"], labels: Int[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """-log softmax(f(x))_y of every sample, for which the paper reports the same (footnote 3)."""
    return -outputs.log_softmax(dim=-1).gather(-1, labels[..., None])[..., 0]


LOSSES: dict[str, Loss] = {"least_squares": least_squares, "cross_entropy": cross_entropy}


class Stack:
    """M networks of one architecture as one: parameters and buffers with a leading axis M.

    Networks never mix, so an optimizer that works on every number by itself (SGD, Adadelta)
    trains each as if it were alone.
    """

    def __init__(self, models: Sequence[nn.Module]):
        self.model, self.size = models[0], len(models)
        self.parameters, self.buffers = stack_module_state(list(models))

    def __call__(self, inputs: Float[Tensor, "M n c h w"]) -> Float[Tensor, "M n classes"]:
        if self.size == 1:  # plain operators are faster than grouped ones
            state = [{k: v[0] for k, v in part.items()} for part in (self.parameters, self.buffers)]
            images = inputs[0].contiguous(memory_format=torch.channels_last)
            return functional_call(self.model, tuple(state), (images,))[None]

        def one(parameters, buffers, x):
            return functional_call(self.model, (parameters, buffers), (x,))

        return vmap(one)(self.parameters, self.buffers, inputs)

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


@dataclass(frozen=True)
class ImageStack:
    """n images for each of M runs, kept as bytes and turned into inputs when they are used."""

    pixels: UInt8[Tensor, "M n c h w"]
    mean: Float[Tensor, " M"]
    std: Float[Tensor, " M"]

    @classmethod
    def of(cls, sets: Sequence[Images], training: Sequence[Images]) -> "ImageStack":
        """Stack M sets, each normalized by the mean and deviation of its own training set."""
        values = [one.pixels.float() / 255 for one in training]
        mean, std = (torch.stack([getattr(v, key)() for v in values]) for key in ("mean", "std"))
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


def measured(epoch: int, last: int) -> bool:
    """Whether to measure after this epoch: all of the first ones, later only some."""
    return epoch <= EVERY_EPOCH_UNTIL or epoch % THEN_EVERY == 0 or epoch == last


def train(
    stack: Stack,
    images: ImageStack,
    labels: Tensor,
    *,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int,
    seeds: Sequence[int],
    loss: Loss = least_squares,
    measure: Callable[[], dict[str, Tensor]] | None = None,
    checkpoint: Any = None,
) -> dict[str, list[Tensor]]:
    """Train all networks of `stack` in place, each on its own images in its own random orders.

    `labels` is (M, n). `seeds` give the orders, new in each epoch. `measure()` is called before
    training and after each `measured` epoch, and returns tensors with a leading axis M; they
    come back in lists, with the `epoch` of each. `checkpoint` saves after epochs, and training
    goes on from what it holds. Raises `ValueError` on bad arguments, and when a loss stops
    being finite.
    """
    if epochs < 0 or batch_size < 1:
        raise ValueError(f"epochs is {epochs} and batch_size {batch_size}, should be 0 or 1 and more")
    if labels.shape != images.pixels.shape[:2]:
        raise ValueError(f"{tuple(images.pixels.shape[:2])} images but {tuple(labels.shape)} labels")
    history: dict[str, list[Tensor]] = {}
    done = -1
    if checkpoint and (saved := checkpoint.load()):
        stack.load(saved["networks"])
        optimizer.load_state_dict(saved["optimizer"])
        history, done = saved["history"], saved["epoch"]
    for epoch in progress(range(done + 1, epochs + 1), "epochs"):
        if epoch:
            train_epoch(stack, images, labels, epoch, optimizer, batch_size, seeds, loss)
        if measure and measured(epoch, epochs):
            for key, numbers in (measure() | {"epoch": torch.tensor(epoch)}).items():
                history.setdefault(key, []).append(numbers.cpu())
        if checkpoint:
            checkpoint.save_when_due(
                lambda epoch=epoch: {
                    "networks": stack.state(),
                    "optimizer": optimizer.state_dict(),
                    "history": history,
                    "epoch": epoch,
                },
                now=epoch == epochs,
            )
    return history


def train_epoch(stack, images, labels, epoch, optimizer, batch_size, seeds, loss) -> None:
    """One pass over all images, in an order that depends on seed and epoch alone."""
    stack.model.train()
    orders = [
        torch.randperm(labels.shape[1], generator=random_stream(seed, f"batches of epoch {epoch}"))
        for seed in seeds
    ]
    for batch in torch.stack(orders).to(labels.device).split(batch_size, dim=1):
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            outputs = stack(images.inputs(batch))
        values = loss(outputs.float(), labels.gather(1, batch)).mean(dim=1)
        values.sum().backward()
        optimizer.step()
    for run, value in enumerate(values.tolist()):
        if not abs(value) < float("inf"):
            raise ValueError(
                f"the loss is {value} in epoch {epoch} of seed {seeds[run]}: lower the step size"
            )


@torch.no_grad()
def evaluate_stack(
    stack: Stack, images: ImageStack, batch_size: int = 1000
) -> Float[Tensor, "M n classes"]:
    """All outputs of all networks in eval mode."""
    stack.model.eval()
    outputs = []
    for start in range(0, images.pixels.shape[1], batch_size):
        with autocast():
            outputs.append(stack(images.inputs(slice(start, start + batch_size))).float())
    return torch.cat(outputs, dim=1)


@torch.no_grad()
def evaluate(
    model: nn.Module, inputs: Float[Tensor, "n c h w"], batch_size: int = 1000
) -> Float[Tensor, "n classes"]:
    """One model's outputs in eval mode."""
    model.eval()
    return torch.cat([model(part) for part in inputs.split(batch_size)])


def accuracy(
    outputs: Float[Tensor, "... n classes"], labels: Int[Tensor, "... n"]
) -> Float[Tensor, "..."]:
    """Share of samples whose largest output is their label."""
    return (outputs.argmax(dim=-1) == labels).float().mean(dim=-1)


def distances(
    now: dict[str, Float[Tensor, "M ..."]], start: dict[str, Float[Tensor, "M ..."]]
) -> tuple[Float[Tensor, " M"], Float[Tensor, " M"]]:
    """Relative distance from initialization (Figure 3), in two readings.

    ‖θ - θ₀‖/‖θ₀‖ over all weights and biases together, and the mean of that ratio over the
    parameter tensors (those that start at zero left out).
    """
    moved = torch.stack([(now[k].detach() - start[k]).flatten(1).norm(dim=1) for k in start])
    size = torch.stack([start[k].flatten(1).norm(dim=1) for k in start])
    ratios = torch.where(size > 0, moved / size, float("nan"))
    return moved.norm(dim=0) / size.norm(dim=0), ratios.nanmean(dim=0)
