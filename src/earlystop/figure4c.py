"""Figure 4c: singular values of the Jacobian of a residual network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earlystop.architectures import resnet
from earlystop.data import redraw_labels
from earlystop.images import load_images, sample_split
from earlystop.jacobian import model_gram
from earlystop.scale import Cell, Sized, Way, device, sizes
from earlystop.training import ImageStack, Stack, evaluate_stack, momentum, train


@dataclass(frozen=True)
class Figure4c(Sized):
    """Singular values of the Jacobian of a ResNet that tells two classes apart."""

    data: str = sizes("digits", "cifar10", "cifar10", "data")
    classes: tuple = sizes((0, 1), (0, 1), (0, 1), "the two classes (airplane, automobile)")
    samples: int = sizes(250, 1000, 10_000, "samples, n")
    depth: int = sizes(8, 20, 20, "depth of the ResNet")
    width: int = sizes(16, 16, 16, "width of its first stage")
    heads: tuple = sizes(("single",), ("single",), ("single", "difference"), "outputs looked at")
    epochs: int = sizes(20, 20, 50, "epochs (our choice)")
    batch_size: int = sizes(32, 128, 128, "batch size (our choice)")
    step_size: float = sizes(0.005, 0.005, 0.005, "step size, with momentum 0.9 (our choice)")
    seeds: int = sizes(1, 1, 1, "seeds")


def figure4c_cells(config: Figure4c) -> list[Cell]:
    """Every head and seed: a single output, or the difference of two.

    Raises `ValueError` for an unknown head.
    """
    if unknown := set(config.heads) - HEADS.keys():
        raise ValueError(f"heads has {min(unknown)!r}, should be of {', '.join(HEADS)}")
    return [{"head": head, "seed": seed} for head in config.heads for seed in range(config.seeds)]


def figure4c_images(config: Figure4c, seed: int = 0) -> tuple[ImageStack, Float[Tensor, "1 n"]]:
    """Images of the two classes, and labels -1 and 1. Raises `ValueError` if there are too few."""
    images = load_images(config.data)
    members = torch.isin(images.labels, torch.tensor(config.classes))
    images = images.subset(torch.nonzero(members).flatten())
    images = sample_split(images, config.samples, seed=seed)[0].to(device())
    labels = torch.where(images.labels == config.classes[1], 1.0, -1.0)
    return ImageStack.of([images], [images]), labels[None]


def figure4c_data(config: Figure4c) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, " n"]]:
    """The same as normalized inputs and labels of one run."""
    images, labels = figure4c_images(config)
    return images.inputs(slice(None))[0], labels[0]


def calibrate(model: nn.Module, inputs: Float[Tensor, "n c h w"], batch_size: int = Way.calibrated) -> None:
    """Set the running statistics of batch norm to those of `inputs`, weights unchanged.

    With several batches the variance is the mean of the batches' own.
    """
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


@dataclass(frozen=True)
class Spectrum:
    """Singular values of J, largest first, and how labels and noise lie along its directions."""

    values: Float[Tensor, " n"]  # σ_j
    labels: Float[Tensor, " n"]  # share of ‖ỹ‖² along the left singular vector u_j
    noise: Float[Tensor, " n"]  # share of ‖e‖² along u_j, for random flips e = y - ỹ

    def above(self, share: float = 0.1) -> int:
        """How many singular values are larger than `share` times the largest."""
        return int((self.values > share * self.values[0]).sum())


HEADS = {  # outputs of the network, their target for label ±1, the number that J is taken of
    "single": (1, lambda y: y[..., None], lambda out: out[0]),
    "difference": (2, lambda y: torch.stack([-y, y], dim=-1) / 2 + 0.5, lambda out: out[1] - out[0]),
}


def figure4c_run(
    config: Figure4c, head: str = "single", seed: int = 0, checkpoint: Any = None, way: Way = Way()
) -> dict[str, Any]:
    """`Spectrum` of J `before` and `after` training on clean labels, `accuracy` and `flipped`.

    For the noise e, which is not trained on, 30 % of the labels are drawn again; `flipped` is
    the share that this flips.
    """
    images, labels = figure4c_images(config, seed)
    n_outputs, target, number = HEADS[head]
    channels = images.pixels.shape[2]
    net = resnet(config.depth, channels, config.width, n_outputs, seed).to(device())
    stack = Stack([net], way)
    noisy, _ = redraw_labels(labels[0], labels[0].unique(), 0.3, seed)

    def spectrum() -> dict[str, Tensor]:
        model, inputs = stack.network(0), images.inputs(slice(None))[0]
        calibrate(model, inputs, way.calibrated)
        gram = model_gram(model, inputs, number, way.jacobian_bytes, way.tile)
        values, directions = torch.linalg.eigh(gram)
        along = [(v.to(gram) @ directions).square() for v in (labels[0], noisy - labels[0])]
        shares = [(energy / energy.sum()).flip(0).cpu() for energy in along]
        return dict(zip(("values", "labels", "noise"), (_roots(values).cpu(), *shares)))

    def kept(name: str) -> Spectrum:
        found = checkpoint.keep(name, spectrum) if checkpoint else spectrum()
        return Spectrum(**found)

    before = kept("before")
    train(
        stack,
        images,
        labels,
        optimizer=momentum(stack, config.step_size),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seeds=[seed],
        loss=lambda outputs, y: 0.5 * (outputs - target(y)).square().sum(dim=-1),
        checkpoint=checkpoint,
    )
    outputs = evaluate_stack(stack, images)[0]
    right = (torch.func.vmap(number)(outputs).sign() == labels[0]).float().mean().item()
    after = kept("after")
    flipped = (noisy != labels[0]).float().mean().item()
    return {"before": before, "after": after, "accuracy": right, "flipped": flipped}


def _roots(eigenvalues: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Singular values of J, largest first, from the eigenvalues of J Jᵀ in ascending order."""
    return eigenvalues.clamp(min=0).sqrt().flip(0)


def figure4c_runs(config: Figure4c, cells: Sequence[Cell], checkpoint: Any = None, way: Way = Way()) -> list[dict]:
    """The spectra of a single cell, as numbers."""
    ((head, seed),) = [(cell["head"], cell["seed"]) for cell in cells]
    run = figure4c_run(config, head, seed, checkpoint, way)
    values: dict[str, Any] = {"accuracy": run["accuracy"], "flipped": run["flipped"]}
    for name in ("before", "after"):
        spectrum = run[name]
        values[f"above_tenth_{name}"] = spectrum.above(0.1)
        values[f"singular_values_{name}"] = spectrum.values
        values[f"labels_within_{name}"] = spectrum.labels.cumsum(0)
        values[f"flips_within_{name}"] = spectrum.noise.cumsum(0)
    return [values]
