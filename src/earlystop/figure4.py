"""Figure 4: losses of a residual network on corrupted labels, and the spectrum of its Jacobian."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from earlystop.architectures import resnet
from earlystop.data import redraw_labels
from earlystop.figure1 import SplitStack, run_curves
from earlystop.images import load_images, sample_split
from earlystop.jacobian import model_gram
from earlystop.metrics import auroc, loss_shares, overlap, split_losses
from earlystop.scale import Cell, Sized, device, sizes
from earlystop.training import (
    ImageStack,
    Stack,
    accuracy,
    evaluate_stack,
    least_squares,
    train,
)

TOP_LOSS = 1.0  # where the histograms of losses end


@dataclass(frozen=True)
class Figure4ab(Sized):
    """Losses of clean and of flipped samples, stopped early."""

    data: str = sizes("digits", "cifar10", "cifar10", "data")
    train_size: int = sizes(1000, 20_000, 50_000, "training images")
    validation_size: int = sizes(150, 2_000, 2_000, "validation images, taken from the test set")
    test_size: int = sizes(247, 8_000, 8_000, "test images, the rest of it")
    depth: int = sizes(8, 20, 20, "depth of the ResNet")
    width: int = sizes(16, 16, 16, "width of its first stage")
    corruption_rates: tuple = sizes((0.3, 0.5), (0.3, 0.5), (0.3, 0.5), "corruption rates, ρ")
    epochs: int = sizes(30, 24, 60, "epochs (our choice)")
    batch_size: int = sizes(64, 128, 128, "batch size (our choice)")
    step_size: float = sizes(0.02, 0.005, 0.005, "step size (our choice)")
    seeds: int = sizes(1, 1, 3, "seeds")


@dataclass(frozen=True)
class LossHistory:
    """Every training sample's loss at every measured epoch, with what is needed to stop."""

    losses: Float[Tensor, "times n"]  # ½‖f - one-hot(y)‖² against the given labels
    flipped: Bool[Tensor, " n"]
    curves: dict[str, list[float]] = field(repr=False)  # epoch, noisy, true, test, ... accuracy

    def best_epoch(self, by: str = "validation") -> int:
        """The first measurement at which the curve `by` is highest."""
        return max(range(len(self.curves[by])), key=lambda time: self.curves[by][time])

    def groups(self, time: int) -> tuple[Tensor, Tensor]:
        """Losses of the samples with their true label, and of those with a flipped one."""
        return split_losses(self.losses[time], self.flipped)


def figure4ab_cells(config: Figure4ab) -> list[Cell]:
    """Every corruption rate and seed."""
    rates, seeds = config.corruption_rates, range(config.seeds)
    return [{"corruption_rate": rate, "seed": seed} for rate in rates for seed in seeds]


def figure4ab_histories(
    config: Figure4ab, cells: Sequence[Cell], checkpoint: Any = None
) -> list[LossHistory]:
    """Train the ResNet with least squares and momentum, no augmentation, all cells together.

    All training images are trained on, as in the paper, so the validation images come from the
    test set; they choose the epoch, and the others measure the test accuracy.
    """
    data = SplitStack(config, cells, 0, config.validation_size + config.test_size)
    channels = data.image_shape[0]
    stack = Stack(
        [resnet(config.depth, channels, config.width, seed=c["seed"]).to(device()) for c in cells]
    )
    images, test = data.images("train"), data.images("test")
    parts = slice(None, config.validation_size), slice(config.validation_size, None)

    def measure() -> dict[str, Tensor]:
        outputs, unseen = evaluate_stack(stack, images), evaluate_stack(stack, test)
        chosen, others = (
            accuracy(unseen[:, part], data.truth("test")[:, part]) for part in parts
        )
        return {
            "noisy": accuracy(outputs, data.given()),
            "true": accuracy(outputs, data.truth("train")),
            "validation": chosen,
            "test": others,
            "losses": least_squares(outputs, data.given()),
        }

    history = train(
        stack,
        images,
        data.given(),
        optimizer=momentum(stack, config.step_size),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seeds=[cell["seed"] for cell in cells],
        measure=measure,
        checkpoint=checkpoint,
    )
    losses = torch.stack(history.pop("losses"), dim=1)
    return [
        LossHistory(losses[run], data.splits[run].flipped.cpu(), run_curves(history, run))
        for run in range(len(cells))
    ]


def figure4ab_run(config: Figure4ab, corruption_rate: float, seed: int = 0) -> LossHistory:
    """`figure4ab_histories` for a single cell."""
    return figure4ab_histories(config, [{"corruption_rate": corruption_rate, "seed": seed}])[0]


def figure4ab_runs(config: Figure4ab, cells: Sequence[Cell], checkpoint: Any = None) -> list[dict]:
    """Of several cells: curves, separation of the losses along training, and histograms.

    The histograms are those at the best epoch by validation accuracy, at the first epoch at
    which 1 - 0.9ρ of the given labels are reproduced (`agreement`: no clean label needed, but
    ρ), and at the last.
    """
    values = []
    for cell, run in zip(cells, figure4ab_histories(config, cells, checkpoint)):
        times = range(len(run.losses))
        groups = [run.groups(time) for time in times]
        share = 1 - 0.9 * cell["corruption_rate"]
        stops = {
            "best": run.best_epoch(),
            "agreement": next((t for t in times if run.curves["noisy"][t] >= share), times[-1]),
            "last": times[-1],
        }
        one = {
            **run.curves,
            "clean_loss": [clean.mean() for clean, _ in groups],
            "flipped_loss": [wrong.mean() for _, wrong in groups],
            "auroc": [auroc(*pair) for pair in groups],
            "overlap": [overlap(*pair) for pair in groups],
        }
        for name, time in stops.items():
            one[f"stop_{name}"] = run.curves["epoch"][time]
            one[f"clean_{name}"], one[f"flipped_{name}"] = (
                loss_shares(group, TOP_LOSS) for group in groups[time]
            )
        values.append(one)
    return values


def momentum(stack: Stack, step_size: float) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum 0.9 and no weight decay."""
    weights = stack.parameters.values()
    return torch.optim.SGD(weights, lr=step_size, momentum=0.9, nesterov=True)


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
    step_size: float = sizes(0.005, 0.005, 0.005, "step size (our choice)")
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


def calibrate(model: nn.Module, inputs: Float[Tensor, "n c h w"], batch_size: int = 500) -> None:
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
    config: Figure4c, head: str = "single", seed: int = 0, checkpoint: Any = None
) -> dict[str, Any]:
    """`Spectrum` of J `before` and `after` training on clean labels, `accuracy` and `flipped`.

    For the noise e, which is not trained on, 30 % of the labels are drawn again; `flipped` is
    the share that this flips.
    """
    images, labels = figure4c_images(config, seed)
    n_outputs, target, number = HEADS[head]
    channels = images.pixels.shape[2]
    stack = Stack([resnet(config.depth, channels, config.width, n_outputs, seed).to(device())])
    noisy, _ = redraw_labels(labels[0], labels[0].unique(), 0.3, seed)

    def spectrum() -> dict[str, Tensor]:
        model, inputs = stack.network(0), images.inputs(slice(None))[0]
        calibrate(model, inputs)
        gram = model_gram(model, inputs, output=number)
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


def figure4c_runs(config: Figure4c, cells: Sequence[Cell], checkpoint: Any = None) -> list[dict]:
    """The spectra of a single cell, as numbers."""
    ((head, seed),) = [(cell["head"], cell["seed"]) for cell in cells]
    run = figure4c_run(config, head, seed, checkpoint)
    values: dict[str, Any] = {"accuracy": run["accuracy"], "flipped": run["flipped"]}
    for name in ("before", "after"):
        spectrum = run[name]
        values[f"above_tenth_{name}"] = spectrum.above(0.1)
        values[f"singular_values_{name}"] = spectrum.values
        values[f"labels_within_{name}"] = spectrum.labels.cumsum(0)
        values[f"flips_within_{name}"] = spectrum.noise.cumsum(0)
    return [values]
