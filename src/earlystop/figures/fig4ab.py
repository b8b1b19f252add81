"""Figures 4a and 4b: losses of a residual network on corrupted labels, stopped early."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots, theory
from earlystop.architectures import count_parameters, resnet
from earlystop.augment import AUGMENTATIONS
from earlystop.figures.splits import (
    ROUNDED,
    SMALL,
    TINY_SIZES,
    SplitStack,
    data_hashes,
    data_set,
    load_split,
    number,
    rates,
    run_curves,
    streams,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.metrics import auroc, loss_shares, overlap, split_losses
from earlystop.runs.experiment import Cell, Experiment, Run, grid, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.runs.store import plain
from earlystop.training import LOSSES, OPTIMIZERS, accuracy, evaluate_stack, fit

__all__ = ["Figure4ab", "load_split", "run"]

SWEEP = {"corruption_rate": "corruption_rates", "seed": "seeds"}
TOP_LOSS = {"least_squares": 1.0, "cross_entropy": 6.0}  # where the histograms of losses end
BAR = 0.15  # an overlap up to here is our "approximately separable"


@dataclass(frozen=True)
class Figure4ab(Sized):
    """Losses of clean and of flipped samples, stopped early."""

    data: str = data_set("digits", "cifar10")
    train_size: int = number(1000, 20_000, 50_000, "training images")
    validation_size: int = number(150, 2_000, 2_000, "validation images, taken from the test set")
    test_size: int = number(247, 8_000, 8_000, "test images, the rest of it")
    depth: int = sizes(8, 20, 20, "depth of the ResNet", least=8)
    width: int = number(16, 16, 16, "width of its first stage")
    corruption_rates: tuple = rates((0.3, 0.5), (0.3, 0.5), (0.3, 0.5))
    epochs: int = sizes(30, 24, 40, "epochs", ours=True)
    batch_size: int = number(64, 128, 128, "batch size", ours=True)
    optimizer: str = always("adam", "optimizer", ours=True, before="adam", of=OPTIMIZERS)
    step_size: float = always(0.001, "step size", ours=True)
    augmentation: str = always("none", "augmentation", ours=True, before="none", of=AUGMENTATIONS)
    loss: str = always("least_squares", "loss", before="least_squares", of=LOSSES)
    streams: str = streams()
    seeds: int = number(1, 1, 3, "seeds")


@dataclass(frozen=True)
class LossHistory:
    """Every training sample's loss at every measured epoch, with what is needed to stop."""

    losses: Float[Tensor, "times n"]  # against the given labels
    flipped: Bool[Tensor, " n"]
    curves: dict[str, list[float]] = field(repr=False)  # epoch, noisy, true, test, ... accuracy
    top: float = 1.0  # where their histograms end

    def best_epoch(self, by: str = "validation") -> int:
        """The first measurement at which the curve `by` is highest."""
        return max(range(len(self.curves[by])), key=lambda time: self.curves[by][time])

    def groups(self, time: int) -> tuple[Tensor, Tensor]:
        """Losses of the samples with their true label, and of those with a flipped one."""
        return split_losses(self.losses[time], self.flipped)


def cells(config: Figure4ab) -> list[Cell]:
    """Every corruption rate and seed. Raises `ValueError` where hardly any label would be wrong."""
    least = min(config.corruption_rates)
    if round(least * config.train_size) < 10:  # of ten drawn again, one keeps its label
        raise ValueError(f"corruption_rates has {least:g}: with hardly any wrong labels there is nothing to separate")
    return grid(config, SWEEP)


def runs(config: Figure4ab, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Train the ResNet with the chosen loss and augmentation, all cells together: a `LossHistory` of each.

    All training images are trained on, as in the paper, so the validation images come from the
    test set; they choose the epoch, and the others measure the test accuracy.
    """
    data = SplitStack(config, cells, machine, 0, config.validation_size + config.test_size)
    stack = data.stack(lambda seed: resnet(config.depth, data.image_shape[0], config.width, seed=seed))
    images, test = data.images("train"), data.images("test")
    parts, loss = (slice(None, config.validation_size), slice(config.validation_size, None)), LOSSES[config.loss]

    def measure() -> dict[str, Tensor]:
        outputs, unseen = evaluate_stack(stack, images), evaluate_stack(stack, test)
        chosen, others = ((unseen[:, p], data.truth("test")[:, p]) for p in parts)
        return {
            "noisy": accuracy(outputs, data.given()),
            "true": accuracy(outputs, data.truth("train")),
            **fit(loss, validation=chosen, test=others),
            "losses": loss(outputs, data.given()),
        }

    history = data.train(stack, measure, checkpoint, optimizer=config.optimizer, step_size=config.step_size, loss=loss,
                         augmentation=config.augmentation)  # fmt: skip
    losses = torch.stack(history.pop("losses"), dim=1)
    flipped = [split.flipped.cpu() for split in data.splits]
    return [
        {"losses": losses[i], "flipped": flipped[i], "curves": run_curves(history, i), "top": TOP_LOSS[config.loss]}
        for i in range(len(cells))
    ]


def run(config: Figure4ab, corruption_rate: float, seed: int = 0) -> LossHistory:
    """One training with every sample's loss along it, kept where `EARLYSTOP_RESULTS` says."""
    return LossHistory(**EXPERIMENT.run(config, corruption_rate=corruption_rate, seed=seed))


def summary(run: Run, cell: Cell) -> dict[str, Any]:
    """Curves of a run, separation of the losses along training, and histograms.

    The histograms are those at the best epoch by validation accuracy, at the first epoch at
    which 1 - 0.9ρ of the given labels are reproduced (`agreement`: no clean label needed, but
    ρ), and at the last.
    """
    history = LossHistory(**run)
    times, curves = range(len(history.losses)), history.curves
    groups = [history.groups(time) for time in times]
    stops = {
        "best": history.best_epoch(),
        "agreement": agreement(curves["noisy"], cell["corruption_rate"]),
        "last": times[-1],
    }
    found = {
        **curves,
        "clean_loss": [clean.mean() for clean, _ in groups],
        "flipped_loss": [wrong.mean() for _, wrong in groups],
        "auroc": [auroc(*pair) for pair in groups],
        "overlap": [overlap(*pair) for pair in groups],
    }
    for name, time in stops.items():
        found[f"stop_{name}"] = curves["epoch"][time]
        found[f"clean_{name}"], found[f"flipped_{name}"] = (loss_shares(group, history.top) for group in groups[time])
    return found


def gather(config: Figure4ab, runs: dict[float, list[LossHistory]]) -> Result:
    """Runs of every rate and seed, trained on a page, as a result: so they are read and drawn as stored ones are."""
    cells = [
        {"corruption_rate": rate, "seed": seed, **plain(summary(vars(one), {"corruption_rate": rate}))}
        for rate, histories in runs.items() for seed, one in enumerate(histories)
    ]  # fmt: skip
    return Result(Path("live"), {"experiment": "fig4ab", "config": plain(vars(config)), "cells": cells})


def agreement(noisy: Sequence[float], corruption_rate: float) -> int:
    """The first measurement at which 1 - 0.9ρ of the given labels are reproduced; the last if there is none.

    A stopping rule that needs no clean label, but the corruption rate ρ.
    """
    share = 1 - 0.9 * corruption_rate
    return next((time for time, one in enumerate(noisy) if one >= share - 1e-9), len(noisy) - 1)


def loss_of(result: Result) -> str:
    """The loss that the runs of a result were trained with."""
    return Figure4ab.completed(result["config"])["loss"]


def expected(loss: str, rate: float) -> tuple[float, float]:
    """Losses of a true and of a flipped label if the network outputs the mean label of ten classes."""
    if loss == "least_squares":
        return theory.conditional_mean_losses(rate, 10)
    return -math.log(1 - 0.9 * rate), -math.log(0.1 * rate)


def recipe(result: Result) -> str:
    """Loss, optimizer and augmentation of a result, in words."""
    used = Figure4ab.completed(result["config"])
    names = {"adam": "Adam", "adadelta": "Adadelta", "momentum": "SGD with momentum", "none": "no augmentation",
             "crop_flip": "crops and mirror images"}  # fmt: skip
    words = (names.get(used[key], used[key].replace("_", " ")) for key in ("loss", "optimizer", "augmentation"))
    return "{}, {} and {}".format(*words)


def draw(result: Result) -> Figure:
    """Losses of samples whose given label is right and wrong, stopped early, and the two expected losses."""
    levels = noisy(result)
    fig, axes = plt.subplots(1, len(levels), figsize=(7, 3.4), squeeze=False, sharey=True, sharex=True)
    for ax, rate in zip(axes.flat, levels):
        clean, flipped = (result.numbers(f"{one}_best", corruption_rate=rate).mean(0) for one in ("clean", "flipped"))
        plots.share_bars(ax, clean, flipped, TOP_LOSS[loss_of(result)])
        for predicted in expected(loss_of(result), rate):
            ax.axvline(predicted, **plots.REFERENCE)
        ax.lines[-1].set_label("expected")
        ax.set(title=f"{rate:.0%} drawn again", xlabel="loss of an image")
    axes[0, 0].set(ylabel="share of its group")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_along(result: Result) -> Figure:
    """Accuracies along the training, and how well the losses part."""
    levels = noisy(result)
    fig, axes = plt.subplots(1, len(levels), figsize=(7, 3.9), squeeze=False, sharey=True)
    for ax, rate in zip(axes.flat, levels):
        epochs = result.numbers("epoch", corruption_rate=rate)[0]
        for key, label, style in (("auroc", "AUROC of the loss", plots.KINDS[0]), *plots.CURVES):
            values = result.numbers(key, corruption_rate=rate)
            plots.band(ax, epochs, values, label, **{"markersize": 4, "markevery": 4} | style)
        ax.axhline(1 - 0.9 * rate, label="1 − 0.9ρ′", **plots.REFERENCE)
        ax.set(title=f"{rate:.0%} drawn again", xlabel="epoch", ylim=(0, 1.03))
    axes[0, 0].set(ylabel="accuracy, or AUROC")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def at_stop(result: Result, key: str, rate: float, stop: str) -> Float[Tensor, " seeds"]:
    """The numbers `key` of all seeds at the epochs that were kept as `stop`: best, agreement or last."""
    cells = result.select(corruption_rate=rate)
    values = [cell[key][cell["epoch"].index(cell[f"stop_{stop}"])] for cell in cells]
    return torch.tensor(values, dtype=torch.float64)


def average(result: Result, key: str, rate: float, stop: str = "best") -> float:
    """The mean of the numbers `key` over the seeds."""
    return at_stop(result, key, rate, stop).mean().item()


def mean_losses(result: Result) -> list[list[str]]:
    """A row for each rate: the mean losses of right and of wrong labels that are expected, and found stopped early."""
    return [
        [f"{rate:.0%}", *(f"{one:.2f}" for one in expected(loss_of(result), rate)),
         *(f"{average(result, f'{kind}_loss', rate):.2f}" for kind in ("clean", "flipped"))]
        for rate in noisy(result)
    ]  # fmt: skip


def eroded(result: Result) -> float:
    """How much of its best AUROC, a mean over seeds, is gone in the end, at the rate where that is least."""
    curves = [result.numbers("auroc", corruption_rate=rate).mean(dim=0) for rate in noisy(result)]
    return min((curve.max() - curve[-1]).item() for curve in curves)


def cost(result: Result, rate: float) -> float:
    """Test accuracy that the rule `agreement`, which needs no clean label, costs against clean validation labels."""
    return average(result, "test", rate) - average(result, "test", rate, "agreement")


def noisy(result: Result) -> list[float]:
    """The corruption rates of a result, without 0."""
    return sorted(rate for rate in result.levels("corruption_rate") if rate > 0)


def rates_of(result: Result) -> tuple[float, float]:
    """The lowest and the highest corruption rate of a result, none left out but 0."""
    return noisy(result)[0], noisy(result)[-1]


def overlap_low(result: Result) -> Float[Tensor, " seeds"]:
    """Shared area of the losses of true and of flipped labels, stopped early, at the lowest rate."""
    return at_stop(result, "overlap", rates_of(result)[0], "best")


def growth(result: Result, key: str) -> Float[Tensor, " seeds"]:
    """How much larger a number is at the highest rate than at the lowest, stopped early."""
    low, high = (at_stop(result, key, rate, "best") for rate in rates_of(result))
    return high - low


def overlap_growth(result: Result) -> Float[Tensor, " seeds"]:
    """How much more area the losses share at the highest rate than at the lowest."""
    return growth(result, "overlap")


def clean_loss_growth(result: Result) -> Float[Tensor, " seeds"]:
    """How much larger the mean loss of true labels is at the highest rate than at the lowest."""
    return growth(result, "clean_loss")


def parameters(seeds: Sequence[int]) -> Float[Tensor, " seeds"]:
    """Trainable parameters of ResNet-20, whatever the seed."""
    return torch.tensor([count_parameters(resnet(20, seed=seed)) for seed in seeds], dtype=torch.float64)


def tiny(count: int, depth: int, each: bool, machine: Machine, **changes: str) -> Numbers:
    """Losses along a small training, of every sample or their mean, and of others."""
    config = Figure4ab.at(
        "quick", data="patterns", validation_size=20, test_size=30, depth=depth, width=4,
        **{"streams": "shared"} | TINY_SIZES | changes,
    )  # fmt: skip
    found = [LossHistory(**run) for run in runs(config, tiny_cells(count), None, machine)]
    losses = [run.losses if each else run.losses.mean(dim=1) for run in found]
    parts = ("validation", "test")
    curves = {f"{part} loss": listed([run.curves[f"{part}_loss"] for run in found]) for part in parts}
    return {"epoch": listed(found[0].curves["epoch"]), "losses": listed(losses), **curves}


def tiny_summary(fitted: float, machine: Machine) -> Numbers:
    """What is kept of losses that are given: means, separation, histograms, stopping times.

    At the third time the share `fitted` of the given labels is reproduced.
    """
    samples, times = torch.arange(60), 5
    flipped = samples % 3 == 0
    steps = torch.arange(times)[:, None]
    losses = 0.013 + 0.011 * samples + torch.where(flipped, 0.4 - 0.07 * steps, 0.1 - 0.02 * steps)
    curves = {"epoch": [0, 1, 2, 3, 4], "noisy": [0.1, 0.4, fitted, 0.75, 0.9], "true": [0.1, 0.5, 0.8, 0.7, 0.6],
              "validation": [0.1, 0.6, 0.5, 0.6, 0.2], "test": [0.1, 0.5, 0.6, 0.5, 0.4]}  # fmt: skip
    kept = summary({"losses": losses, "flipped": flipped, "curves": curves}, {"corruption_rate": 0.4})
    return {key: listed(value) for key, value in kept.items()}


EXPERIMENT = register(Experiment(
    name="fig4ab",
    title="Figure 4a, b: losses of images whose given label is right, and wrong",
    config=Figure4ab,
    runs=runs,
    summary=summary,
    cells=cells,
    sweep=SWEEP,
    work=training_work,
    trials=({**SMALL, "epochs": 1}, {**SMALL, "epochs": 3}),
    data=data_hashes,
    draw={"": draw, "-along": draw_along},
    paths={
        "stacked": ("float32", STACKED, partial(tiny, 3, 8, True)),
        "separate streams": ("float32", STACKED, partial(tiny, 3, 8, True, streams="separate")),
        "Adadelta": ("float32", STACKED, partial(tiny, 1, 8, True, optimizer="adadelta")),
        "momentum": ("float32", STACKED, partial(tiny, 1, 8, True, optimizer="momentum")),
        "side by side, depth 14": ("float32", SIDE_BY_SIDE, partial(tiny, 2, 14, True)),
        "cross-entropy": ("float32", STACKED, partial(tiny, 2, 8, True, loss="cross_entropy")),
        "crops and mirror images": (
            "float32", STACKED, partial(tiny, 2, 8, True, optimizer="momentum", augmentation="crop_flip"),
        ),
        "one alone": ("float32", STACKED, partial(tiny, 1, 8, True)),
        "bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, partial(tiny, 3, 8, False)),
        "summary": ("float32", STACKED, partial(tiny_summary, 0.64)),
        "summary, not yet at 1 − 0.9ρ": ("float32", STACKED, partial(tiny_summary, 0.62)),
        **ROUNDED,
    },
))  # fmt: skip
