"""Figure 3: accuracy and loss against the distance from initialization."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
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
from earlystop.runs.experiment import Cell, Experiment, register
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


def draw(result: Result, key: str = "distance") -> Figure:
    """The paper's two panels, with the distance in one of two readings."""
    return picture({rate: result.select(corruption_rate=rate) for rate in result.levels("corruption_rate")}, key)


def picture(runs: dict[float, list[Cell]], key: str = "distance") -> Figure:
    """Accuracy and loss on the given labels against the distance, of the runs at each rate; the first with markers."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.9))
    for i, (rate, cells) in enumerate(sorted(runs.items())):
        for seed, cell in enumerate(cells):
            look = {"color": plots.level_color(i, len(runs)), "lw": 1, "alpha": 0.5}
            if seed == 0:  # with markers, so that neighbors can be told apart
                every = max(1, len(cell["epoch"]) // 12)
                look |= {"lw": 1.4, "alpha": 1, "label": f"{rate:.0%}", "ms": 4,
                         "marker": "os^vDP"[i % 6], "markevery": every}  # fmt: skip
            for ax, measure in zip(axes, ("accuracy", "loss")):
                ax.plot(cell[key], cell[measure], **look)
    words = "distance, all weights together" if key == "distance" else "distance, mean over the tensors"
    axes[0].set(title="(a) accuracy, given labels", xlabel=words, ylim=(0, 1.03))
    axes[1].set(title="(b) mean loss, given labels", xlabel=words, yscale="log")
    plots.log_ticks(axes[1].yaxis)
    title = {"title": "labels drawn again, ρ′", "loc": "outside lower center", "ncols": 6}
    fig.legend(*axes[0].get_legend_handles_labels(), **title)
    return fig


def level(result: Result, measure: str = "accuracy") -> float:
    """An accuracy, or a mean loss, on the given labels that every run comes to: at most 90%, at least 0.1."""
    if measure == "accuracy":
        return min(0.9, *(max(cell["accuracy"]) for cell in result["cells"]))
    return max(0.1, *(min(cell["loss"]) for cell in result["cells"]))


def at_level(cell: Cell, key: str, measure: str, level: float) -> float:
    """A curve of a run where its accuracy or loss first comes to a level, on the line between two measurements."""
    sign = -1 if measure == "loss" else 1
    way, wanted = [sign * value for value in cell[measure]], sign * level
    after = next(i for i, value in enumerate(way) if value >= wanted - 1e-6)
    if after == 0:
        return cell[key][0]
    part = min(1, (wanted - way[after - 1]) / (way[after] - way[after - 1]))
    return cell[key][after - 1] + part * (cell[key][after] - cell[key][after - 1])


def ways(result: Result, where: str = "accuracy", key: str = "distance") -> Float[Tensor, "rates seeds"]:
    """The distance of all runs where the `accuracy` or the `loss` comes to its level, or at the `end`."""
    groups = [result.select(corruption_rate=rate) for rate in sorted(result.levels("corruption_rate"))]
    if where == "end":
        return torch.tensor([[cell[key][-1] for cell in cells] for cells in groups], dtype=torch.float64)
    wanted = level(result, where)
    found = [[at_level(cell, key, where, wanted) for cell in cells] for cells in groups]
    return torch.tensor(found, dtype=torch.float64)


def growth(result: Result, where: str = "accuracy", key: str = "distance") -> Float[Tensor, "steps seeds"]:
    """From each rate to the next, the ratio of the distances in each seed: same start, images and orders."""
    found = ways(result, where, key)
    return found[1:] / found[:-1]


def least_growth(result: Result, where: str = "accuracy", key: str = "distance") -> Float[Tensor, " seeds"]:
    """Of each seed the smallest ratio from a rate to the next: above 1 if the distance always grows."""
    return growth(result, where, key).min(dim=0).values


least_growth_of_loss = partial(least_growth, where="loss")


def whole_growth(result: Result, where: str = "accuracy", key: str = "distance") -> Float[Tensor, " seeds"]:
    """Of each seed the distance at the highest rate, in units of that at the lowest."""
    found = ways(result, where, key)
    return found[-1] / found[0]


def readings(result: Result) -> tuple[list[str], list[list[str]]]:
    """A table of the mean distance in both readings, at the accuracy that all runs come to, and at the end."""
    at, names = f"at {level(result):.0%}", ("all weights", "mean over tensors")
    header = ["labels drawn again, ρ′", *(f"{name}, {when}" for name in names for when in (at, "at the end"))]
    columns = [
        ways(result, where, key).mean(dim=1).tolist()
        for key in ("distance", "distance_per_layer")
        for where in ("accuracy", "end")
    ]
    rates = sorted(result.levels("corruption_rate"))
    return header, [[f"{rate:.0%}", *(f"{one:.2f}" for one in row)] for rate, *row in zip(rates, *columns)]


def first_epoch(result: Result) -> Float[Tensor, "rates seeds"]:
    """The distance of all runs after their first epoch."""
    levels = sorted(result.levels("corruption_rate"))
    return torch.stack([result.numbers("distance", corruption_rate=rate)[:, 1] for rate in levels])


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
    draw={"": draw, "-tensors": partial(draw, key="distance_per_layer")},
    paths={
        "stacked": ("float32", STACKED, partial(tiny, 3)),
        "side by side": ("float32", SIDE_BY_SIDE, partial(tiny, 3)),
        "one alone": ("float32", STACKED, partial(tiny, 1)),
        "bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, partial(tiny, 3)),
        **ROUNDED,
    },
))  # fmt: skip
