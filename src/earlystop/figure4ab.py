"""Figures 4a and 4b: losses of a residual network on corrupted labels, stopped early."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earlystop.architectures import resnet
from earlystop.figure1 import SplitStack, fit, run_curves, streams
from earlystop.metrics import auroc, loss_shares, overlap, split_losses
from earlystop.scale import Cell, Sized, Way, device, sizes
from earlystop.training import OPTIMIZERS, Stack, accuracy, evaluate_stack, least_squares, train

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
    epochs: int = sizes(30, 24, 40, "epochs (our choice)")
    batch_size: int = sizes(64, 128, 128, "batch size (our choice)")
    optimizer: str = sizes("adam", "adam", "adam", "optimizer (our choice)", before="adam")
    step_size: float = sizes(0.001, 0.001, 0.001, "step size (our choice)")
    streams: str = streams()
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
    """Every corruption rate and seed. Raises `ValueError` for an unknown optimizer."""
    if config.optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer is {config.optimizer!r}, should be of {', '.join(OPTIMIZERS)}")
    rates, seeds = config.corruption_rates, range(config.seeds)
    return [{"corruption_rate": rate, "seed": seed} for rate in rates for seed in seeds]


def figure4ab_histories(
    config: Figure4ab, cells: Sequence[Cell], checkpoint: Any = None, way: Way = Way()
) -> list[LossHistory]:
    """Train the ResNet with least squares and no augmentation, all cells together.

    All training images are trained on, as in the paper, so the validation images come from the
    test set; they choose the epoch, and the others measure the test accuracy.
    """
    data = SplitStack(config, cells, 0, config.validation_size + config.test_size)
    channels = data.image_shape[0]
    nets = [resnet(config.depth, channels, config.width, seed=c["seed"]).to(device()) for c in cells]
    stack = Stack(nets, way)
    images, test = data.images("train"), data.images("test")
    parts = slice(None, config.validation_size), slice(config.validation_size, None)

    def measure() -> dict[str, Tensor]:
        outputs, unseen = evaluate_stack(stack, images), evaluate_stack(stack, test)
        chosen, others = ((unseen[:, p], data.truth("test")[:, p]) for p in parts)
        return {
            "noisy": accuracy(outputs, data.given()),
            "true": accuracy(outputs, data.truth("train")),
            **fit(least_squares, validation=chosen, test=others),
            "losses": least_squares(outputs, data.given()),
        }

    history = train(
        stack,
        images,
        data.given(),
        optimizer=OPTIMIZERS[config.optimizer](stack, config.step_size),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seeds=[cell["seed"] for cell in cells],
        measure=measure,
        checkpoint=checkpoint,
    )
    losses = torch.stack(history.pop("losses"), dim=1)
    return [
        LossHistory(losses[run], data.splits[run].flipped.cpu(), run_curves(history, run)) for run in range(len(cells))
    ]


def figure4ab_run(config: Figure4ab, corruption_rate: float, seed: int = 0) -> LossHistory:
    """`figure4ab_histories` for a single cell."""
    return figure4ab_histories(config, [{"corruption_rate": corruption_rate, "seed": seed}])[0]


def figure4ab_runs(config: Figure4ab, cells: Sequence[Cell], checkpoint: Any = None, way: Way = Way()) -> list[dict]:
    """The `summary` of each of several cells, trained together."""
    runs = figure4ab_histories(config, cells, checkpoint, way)
    return [summary(run, cell["corruption_rate"]) for run, cell in zip(runs, cells)]


def summary(run: LossHistory, corruption_rate: float) -> dict[str, Any]:
    """Curves of a run, separation of the losses along training, and histograms.

    The histograms are those at the best epoch by validation accuracy, at the first epoch at
    which 1 - 0.9ρ of the given labels are reproduced (`agreement`: no clean label needed, but
    ρ), and at the last.
    """
    times = range(len(run.losses))
    groups = [run.groups(time) for time in times]
    share = 1 - 0.9 * corruption_rate
    stops = {
        "best": run.best_epoch(),
        "agreement": next((t for t in times if run.curves["noisy"][t] >= share - 1e-9), times[-1]),
        "last": times[-1],
    }
    found = {
        **run.curves,
        "clean_loss": [clean.mean() for clean, _ in groups],
        "flipped_loss": [wrong.mean() for _, wrong in groups],
        "auroc": [auroc(*pair) for pair in groups],
        "overlap": [overlap(*pair) for pair in groups],
    }
    for name, time in stops.items():
        found[f"stop_{name}"] = run.curves["epoch"][time]
        found[f"clean_{name}"], found[f"flipped_{name}"] = (loss_shares(group, TOP_LOSS) for group in groups[time])
    return found
