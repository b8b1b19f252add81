"""Figure 1: accuracy against corruption, trained long and stopped early."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures.splits import (
    ROUNDED,
    SMALL,
    TENTHS,
    TINY_SIZES,
    WIDTHS,
    SplitStack,
    data_hashes,
    data_set,
    load_split,
    number,
    rates,
    recipe,
    run_curves,
    streams,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, sizes
from earlystop.runs.store import plain
from earlystop.training import LOSSES, ImageStack, Stack, evaluate_stack, fit

__all__ = ["Figure1", "load_split", "run"]

STOPS = {
    "validation": "true validation labels",
    "noisy_validation": "validation labels drawn again, too",
    "fixed": "always the same epoch",
}
SHARED = (
    "In {} the validation labels of one seed were drawn again by the same random numbers as the training labels of the "
    "next, and all seeds were tested on the same images. Within a run nothing is shared, but the seeds are a little "
    "less independent than their number says."
)
FIXED_STEPS = 150  # after which the third rule stops


@dataclass(frozen=True)
class Figure1(Sized):
    """Accuracy against corruption, trained long and stopped early."""

    data: str = data_set("digits", "mnist")
    train_size: int = number(1000, 10_000, 50_000, "training images")
    validation_size: int = number(400, 2_000, 10_000, "validation images")
    test_size: int = number(397, 5_000, 10_000, "test images")
    widths: tuple = sizes((32, 64, 128), WIDTHS, WIDTHS, "widths of the layers", least=1, length=3)
    corruption_rates: tuple = rates((0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0), (0.0, 0.3, 0.5, 0.7, 0.9), TENTHS)
    losses: tuple = sizes(
        ("least_squares",), ("least_squares",), ("least_squares", "cross_entropy"), "losses", of=LOSSES, once=True
    )
    epochs: int = sizes(60, 30, 200, "epochs")
    batch_size: int = number(64, 128, 128, "batch size", ours=True)
    optimizer: str = recipe("optimizer")
    step_size: float = recipe("step_size")
    adadelta_rho: float = recipe("adadelta_rho")
    adadelta_eps: float = recipe("adadelta_eps")
    initialization: str = recipe("initialization")
    streams: str = streams()
    seeds: int = number(1, 1, 3, "seeds")


def runs(
    config: Figure1, cells: Sequence[Cell], checkpoint: Any, machine: Machine,
    also: Callable[[Stack, ImageStack], dict[str, Tensor]] = lambda stack, images: {},
) -> list[dict[str, list[float]]]:  # fmt: skip
    """Accuracies along the training of several cells with the same loss, trained together.

    Keys of each: `epoch`, `noisy` and `true` (training images, by given and by true label),
    `test`, `validation` and `noisy_validation`, and the mean losses, `noisy_loss` and so on; and
    what is `also` measured, of the networks and their training images.
    """
    data = SplitStack(config, cells, machine, config.validation_size, config.test_size)
    stack = data.conv_nets()
    images, validation, test = (data.images(part) for part in ("train", "validation", "test"))
    loss = LOSSES[cells[0]["loss"]]

    def measure() -> dict[str, Tensor]:
        fitted, checked = evaluate_stack(stack, images), evaluate_stack(stack, validation)
        outputs_and_labels = {
            "noisy": (fitted, data.given()),
            "true": (fitted, data.truth("train")),
            "test": (evaluate_stack(stack, test), data.truth("test")),
            "validation": (checked, data.truth("validation")),
            "noisy_validation": (checked, data.given("noisy_validation")),
        }
        return fit(loss, **outputs_and_labels) | also(stack, images)

    history = data.train(stack, measure, checkpoint, loss=loss)
    return [run_curves(history, run) for run in range(len(cells))]


def run(config: Figure1, corruption_rate: float, seed: int = 0, loss: str = "least_squares") -> dict[str, list[float]]:
    """One training, as `runs` has it, kept where `EARLYSTOP_RESULTS` says."""
    return EXPERIMENT.run(config, loss=loss, corruption_rate=corruption_rate, seed=seed)


def gather(config: Figure1, sweep: dict[float, list[Run]], loss: str = "least_squares") -> Result:
    """Runs of every rate and seed, trained on a page, as a result: so they are read and drawn as stored ones are."""
    cells = [
        {"loss": loss, "corruption_rate": rate, "seed": seed, **run}
        for rate, runs in sweep.items() for seed, run in enumerate(runs)
    ]  # fmt: skip
    return Result(Path("live"), {"experiment": "fig1", "config": plain(vars(config)), "cells": cells})


def stop_at(cell: dict[str, Any], rule: str, config: dict[str, Any]) -> int:
    """Index of the measurement at which a rule of `STOPS` stops a run of Figure 1."""
    epochs = cell["epoch"]
    later = range(1, len(epochs)) or range(1)  # without training, the start is all there is
    if rule != "fixed":
        return max(later, key=cell[rule].__getitem__)
    per_epoch = config["train_size"] / config["batch_size"]
    wanted = max(1, round(FIXED_STEPS / per_epoch))
    return min(later, key=lambda i: abs(epochs[i] - wanted))


def stop_rules(cell: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    """The rules of `STOPS` in words; the fixed one with its epoch in this run."""
    return STOPS | {"fixed": f"always epoch {cell['epoch'][stop_at(cell, 'fixed', config)]}"}


def at_stop(
    result: Result, key: str, rate: float, rule: str | None = None, loss: str = "least_squares"
) -> Float[Tensor, " seeds"]:
    """The accuracies `key` of all seeds where a rule stops them; after the last epoch for None."""
    cells, sizes = result.select(corruption_rate=rate, loss=loss), result["config"]
    values = [cell[key][-1 if rule is None else stop_at(cell, rule, sizes)] for cell in cells]
    return torch.tensor(values, dtype=torch.float64)


def average(result: Result, key: str, rule: str | None, low: float = 0.1, high: float = 0.6) -> float:
    """The mean of an accuracy where a rule stops, over the seeds and over the rates between two, both included."""
    levels = [rate for rate in result.levels("corruption_rate") if low <= rate <= high]
    return torch.stack([at_stop(result, key, rate, rule).mean() for rate in levels]).mean().item()


def shared_streams(result: Result) -> bool:
    """Whether the random numbers of a result's seeds depend on each other, as `SHARED` says."""
    return result["config"].get("streams", "shared") == "shared"


def band(ax: Axes, result: Result, key: str, rule: str | None, loss: str, label: str, **style: Any) -> None:
    """An accuracy over the share of labels drawn again, where a rule stops the runs."""
    levels = sorted(result.levels("corruption_rate"))
    values = torch.stack([at_stop(result, key, rate, rule, loss) for rate in levels], dim=1)
    plots.band(ax, [100 * rate for rate in levels], values, label, **{"markersize": 5} | style)


def with_line(ax: Axes, title: str = "") -> None:
    """The predicted line 1 − 0.9ρ′ and the axes of a panel of Figure 1."""
    ax.plot([0, 100], [1, 0.1], label="1 − 0.9ρ′", **plots.REFERENCE)
    ax.set(title=title, xlabel="labels drawn again, ρ′ (%)", ylim=(0, 1.05))


def draw(result: Result) -> Figure:
    """Accuracy over the share of labels drawn again, after the last epoch and stopped early; a row for each loss."""
    losses = result.levels("loss")
    fig, axes = plt.subplots(len(losses), 2, figsize=(7, 3.5 * len(losses)), squeeze=False, sharey=True)
    titles = ((f"a: trained to the end, epoch {result['config']['epochs']}", None), ("b: stopped early", "validation"))
    for row, loss in zip(axes, losses):
        name = f"\n{loss.replace('_', ' ')}" if len(losses) > 1 else ""
        for ax, (title, rule) in zip(row, titles):
            for key, label, style in plots.CURVES:
                hollow = {"markerfacecolor": "none"} if key == "test" else {}  # it may hide another
                band(ax, result, key, rule, loss, label, **style | hollow)
            with_line(ax, title + name)
        row[0].set(ylabel="accuracy")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def draw_rules(result: Result) -> Figure:
    """Test accuracy over the share of labels drawn again, at the epochs that several rules choose."""
    fig, ax = plt.subplots(figsize=(6, 3.9))
    rules = (*stop_rules(result["cells"][0], result["config"]).items(), (None, "last epoch"))
    solid = plots.KINDS[3] | {"linestyle": "-"}  # dotted it would look like a control
    for (rule, label), style in zip(rules, (*plots.KINDS[:3], solid)):
        band(ax, result, "test", rule, result.levels("loss")[0], label, **style)
    ax.set(xlabel="labels drawn again, ρ′ (%)", ylabel="test accuracy", ylim=(0, 1.05))
    fig.legend(loc="outside lower center", ncols=2, title="stopped by")
    return fig


def draw_losses(runs: dict[str, Result]) -> Figure:
    """Accuracy on the training images after the last epoch and stopped early, with each of two losses."""
    fig, axes = plt.subplots(1, 2, sharey=True)
    epochs = next(iter(runs.values()))["cells"][0]["epoch"][-1]
    titles = ((f"trained to the end, epoch {epochs}", None), ("stopped early", "validation"))
    fills = ({"linestyle": "-"}, {"linestyle": "--", "markerfacecolor": "none", "markersize": 8})
    for ax, (title, rule) in zip(axes, titles):
        for (loss, result), fill in zip(runs.items(), fills):
            for key, label, style in plots.CURVES[:2]:
                words = f"{label.removeprefix('training, ')}, {loss.replace('_', '-')}"
                band(ax, result, key, rule, loss, words.replace("least-", "least "), **style | fill)
        with_line(ax, title)
    axes[0].set(ylabel="accuracy, training images")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def tiny(count: int, loss: str, machine: Machine, streams: str = "shared") -> Numbers:
    """Mean losses on every part of the data along a small training."""
    config = Figure1.at("quick", validation_size=20, test_size=30, widths=(8, 8, 16), streams=streams, **TINY_SIZES)
    found = runs(config, tiny_cells(count, loss=loss), None, machine)
    parts = ("noisy", "true", "test", "validation", "noisy_validation")
    curves = {f"{part} loss": listed([run[f"{part}_loss"] for run in found]) for part in parts}
    return {"epoch": listed(found[0]["epoch"]), **curves}


EXPERIMENT = register(Experiment(
    name="fig1",
    title="Figure 1: accuracy against labels drawn again, trained to the end and stopped early",
    config=Figure1,
    runs=runs,
    sweep={"loss": "losses", "corruption_rate": "corruption_rates", "seed": "seeds"},
    together=("loss",),
    work=training_work,
    trials=({**SMALL, "epochs": 1}, {**SMALL, "epochs": 3}),
    data=data_hashes,
    draw={"": draw, "-rules": draw_rules},
    paths={
        "stacked": ("float32", STACKED, partial(tiny, 3, "least_squares")),
        "separate streams": ("float32", STACKED, partial(tiny, 3, "least_squares", streams="separate")),
        "side by side": ("float32", SIDE_BY_SIDE, partial(tiny, 3, "least_squares")),
        "one alone, cross-entropy": ("float32", STACKED, partial(tiny, 1, "cross_entropy")),
        "side by side, cross-entropy": ("float32", SIDE_BY_SIDE, partial(tiny, 3, "cross_entropy")),
        "bfloat16": ("bfloat16", STACKED, partial(tiny, 3, "least_squares")),
        "bfloat16, side by side, cross-entropy": ("bfloat16", SIDE_BY_SIDE, partial(tiny, 3, "cross_entropy")),
        **ROUNDED,
    },
))  # fmt: skip
