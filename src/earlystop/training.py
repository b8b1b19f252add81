"""Minibatch training of the deep networks, and how far they travel from initialization."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from earlystop.page import progress
from earlystop.scale import random_stream

Loss = Callable[[Float[Tensor, "n classes"], Int[Tensor, " n"]], Float[Tensor, " n"]]


def least_squares(
    outputs: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """½‖f(x) - one-hot(y)‖² of every sample: the paper's loss for several classes."""
    return 0.5 * (outputs - F.one_hot(labels, outputs.shape[1])).square().sum(dim=1)


def train(
    model: nn.Module,
    inputs: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    *,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int = 128,
    loss: Loss = least_squares,
    seed: int = 0,
    after_epoch: Callable[[int], dict[str, float]] | None = None,
) -> dict[str, list[float]]:
    """Train `model` in place on all samples, in a new random order each epoch.

    `after_epoch(epoch)` is called before training (epoch 0) and after each epoch, and returns
    named numbers, which come back as lists of length `epochs` + 1. Raises `ValueError` on bad
    arguments, and when the loss stops being finite.
    """
    if epochs < 0 or batch_size < 1:
        raise ValueError(f"epochs is {epochs} and batch_size {batch_size}, should be 0 or 1 and more")
    if len(inputs) != len(labels):
        raise ValueError(f"{len(inputs)} inputs but {len(labels)} labels")
    generator = random_stream(seed, "batches")
    history: dict[str, list[float]] = {}
    for epoch in progress(range(epochs + 1), "epochs"):
        if epoch:
            model.train()
            order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
            for batch in order.split(batch_size):
                optimizer.zero_grad(set_to_none=True)
                value = loss(model(inputs[batch]), labels[batch]).mean()
                value.backward()
                optimizer.step()
            if not torch.isfinite(value):
                raise ValueError(f"the loss is {value.item()} in epoch {epoch}: lower the step size")
        for key, number in (after_epoch(epoch) if after_epoch else {}).items():
            history.setdefault(key, []).append(float(number))
    return history


@torch.no_grad()
def evaluate(
    model: nn.Module, inputs: Float[Tensor, "n c h w"], batch_size: int = 1000
) -> Float[Tensor, "n classes"]:
    """The model's outputs in eval mode."""
    model.eval()
    return torch.cat([model(part) for part in inputs.split(batch_size)])


def accuracy(outputs: Float[Tensor, "n classes"], labels: Int[Tensor, " n"]) -> float:
    """Share of samples whose largest output is their label."""
    return (outputs.argmax(dim=1) == labels).float().mean().item()


class Distance:
    """Relative distance of a model from its weights when this was made (Figure 3).

    Calling it gives ‖θ - θ₀‖/‖θ₀‖ over all weights and biases together; `per_layer` the mean of
    that ratio over the parameter tensors (those that start at zero left out).
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self.start = [p.detach().clone() for p in model.parameters()]

    def _norms(self) -> list[tuple[float, float]]:
        pairs = zip(self.model.parameters(), self.start)
        return [((p.detach() - s).norm().item(), s.norm().item()) for p, s in pairs]

    def __call__(self) -> float:
        moved, size = zip(*self._norms())
        return sum(m**2 for m in moved) ** 0.5 / sum(s**2 for s in size) ** 0.5

    def per_layer(self) -> float:
        ratios = [moved / size for moved, size in self._norms() if size]
        return sum(ratios) / len(ratios)
