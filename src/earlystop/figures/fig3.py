"""Figure 3: accuracy and loss against the distance from initialization."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures.splits import (
    ROUNDED,
    TENTHS,
    TINY_SIZES,
    WIDTHS,
    SplitStack,
    data_hashes,
    data_set,
    number,
    rates,
    recipe,
    run_curves,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.runs.experiment import Cell, Claim, Experiment, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import LOSSES, accuracy, distances, evaluate_stack


@dataclass(frozen=True)
class Figure3(Sized):
    """Training accuracy and loss against distance from initialization."""

    data: str = data_set("digits", "mnist")
    train_size: int = number(1000, 3000, 3000, "training images")
    widths: tuple = sizes((32, 64, 128), WIDTHS, WIDTHS, "widths of the layers", least=1, length=3)
    corruption_rates: tuple = rates((0.0, 0.1, 0.3, 0.5), TENTHS[:6], TENTHS[:6])
    epochs: int = sizes(60, 100, 200, "epochs", ours=True)
    batch_size: int = number(64, 128, 128, "batch size", ours=True)
    loss: str = always("least_squares", "loss", before="least_squares", of=LOSSES)
    optimizer: str = recipe("optimizer")
    step_size: float = recipe("step_size")
    adadelta_rho: float = recipe("adadelta_rho")
    adadelta_eps: float = recipe("adadelta_eps")
    initialization: str = recipe("initialization")
    seeds: int = number(1, 1, 3, "seeds")


def runs(config: Figure3, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, list[float]]]:
    """Distance, accuracy and mean loss on the given labels of several cells, trained together.

    Keys of each: `epoch`, `distance` (all weights together), `distance_per_layer`, `accuracy`,
    `loss`.
    """
    data = SplitStack(config, cells, machine, 0)
    stack, loss = data.conv_nets(), LOSSES[config.loss]
    images = data.images("train")
    start = {name: value.detach().clone() for name, value in stack.parameters.items()}

    def measure() -> dict[str, Tensor]:
        outputs = evaluate_stack(stack, images)
        together, per_layer = distances(stack.parameters, start)
        return {
            "distance": together,
            "distance_per_layer": per_layer,
            "accuracy": accuracy(outputs, data.given()),
            "loss": loss(outputs, data.given()).mean(dim=1),
        }

    history = data.train(stack, measure, checkpoint, loss=loss)
    return [run_curves(history, run) for run in range(len(cells))]


def run(config: Figure3, corruption_rate: float, seed: int = 0) -> dict[str, list[float]]:
    """One training, as `runs` has it, kept where `EARLYSTOP_RESULTS` says."""
    return EXPERIMENT.run(config, corruption_rate=corruption_rate, seed=seed)


def draw(result: Result) -> Figure:
    """Accuracy and loss on the given labels against the distance, in both readings of it."""
    fig, axes = plt.subplots(2, 2, figsize=(7, 5.6), sharey="row")
    levels = sorted(result.levels("corruption_rate"))
    for i, rate in enumerate(levels):
        color = plots.level_color(i, len(levels))
        for seed, cell in enumerate(result.select(corruption_rate=rate)):
            look = {"color": color, "lw": 1, "alpha": 0.5}
            if seed == 0:  # with markers, so that neighbors can be told apart
                every = max(1, len(cell["epoch"]) // 12)
                look = {"color": color, "lw": 1.4, "label": f"{rate:.0%}", "ms": 4,
                        "marker": "os^vDP"[i % 6], "markevery": every}  # fmt: skip
            for column, distance in enumerate(("distance", "distance_per_layer")):
                for row, key in enumerate(("accuracy", "loss")):
                    axes[row, column].plot(cell[distance], cell[key], **look)
    axes[0, 0].set(ylabel="accuracy, given labels")
    axes[1, 0].set(ylabel="mean loss, given labels", yscale="log")
    axes[1, 0].set(xlabel="distance, all weights together")
    axes[1, 1].set(xlabel="distance, mean over tensors")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), title="corruption", loc="outside right center")
    return fig


def level_and_ways(result: Result, key: str = "distance") -> tuple[float, dict[float, tuple[float, float]]]:
    """An accuracy that every run reaches; by rate the mean distance where it is reached first, and in the end."""
    level, ways = min(0.9, *(max(cell["accuracy"]) for cell in result["cells"])), {}
    for rate in sorted(result.levels("corruption_rate")):
        cells = result.select(corruption_rate=rate)
        first = [next(i for i, one in enumerate(cell["accuracy"]) if one >= level) for cell in cells]
        there = sum(cell[key][i] for cell, i in zip(cells, first)) / len(cells)
        ways[rate] = there, sum(cell[key][-1] for cell in cells) / len(cells)
    return level, ways


def verdict(result: Result) -> str:
    """Whether more corruption means a longer way, at one accuracy and in the end, in both readings."""

    def rises(key: str) -> bool:  # at every rate
        ways = level_and_ways(result, key)[1].values()
        return all(a < b for column in zip(*ways) for a, b in pairwise(column))

    level, ways = level_and_ways(result)
    words = {
        (True, True): "**Yes**, in both readings of the distance",
        (
            True,
            False,
        ): "**Yes for all weights together**, at every rate; **no** for the mean over weight and bias tensors",
        (False, True): "**Only** for the mean over weight and bias tensors",
        (False, False): "**No**",
    }
    low, high = min(ways), max(ways)
    word = words[rises("distance"), rises("distance_per_layer")]
    if 1 - 0.9 * high >= level:
        word = "**Undecided**: the runs are too short to have fitted noise"
    (start, end), (first, last) = ways[low], ways[high]
    return (
        f"{word}. To fit {level:.0%} of the given labels, all weights together move by {start:.2f} of their "
        f"initial norm at {low:.0%} corruption, by {first:.2f} at {high:.0%}; in the end by {end:.2f} and {last:.2f}."
    )


def tiny(count: int, machine: Machine) -> Numbers:
    """Distances from initialization and losses along a small training."""
    found = runs(Figure3.at("quick", widths=(8, 8, 16), **TINY_SIZES), tiny_cells(count), None, machine)
    return {key: listed([run[key] for run in found]) for key in ("epoch", "distance", "distance_per_layer", "loss")}


EXPERIMENT = register(Experiment(
    name="fig3",
    title="Figure 3: accuracy and loss against the distance from initialization",
    config=Figure3,
    runs=runs,
    sweep={"corruption_rate": "corruption_rates", "seed": "seeds"},
    work=training_work,
    trials=({"train_size": 512, "epochs": 1}, {"train_size": 512, "epochs": 3}),
    data=data_hashes,
    draw={"": draw},
    claims=(Claim("more corruption, further from initialization", "overfitting", verdict),),
    paths={
        "stacked": ("float32", STACKED, partial(tiny, 3)),
        "side by side": ("float32", SIDE_BY_SIDE, partial(tiny, 3)),
        "one alone": ("float32", STACKED, partial(tiny, 1)),
        "bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, partial(tiny, 3)),
        **ROUNDED,
    },
))  # fmt: skip
