"""The first steps of Figure 3's trainings, one by one: how far the optimizer moves before it learns."""

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
    TENTHS,
    TINY_SIZES,
    WIDTHS,
    SplitStack,
    data_hashes,
    data_set,
    number,
    rates,
    recipe,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.runs.experiment import Cell, Experiment, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import LOSSES, Stack, TrainingStep, accuracy, dead, last_layers, train_epoch


@dataclass(frozen=True)
class Transient(Sized):
    """Figure 3's trainings, looked at after each of their first steps."""

    data: str = data_set("digits", "mnist")
    train_size: int = number(1000, 3000, 3000, "training images")
    widths: tuple = sizes((32, 64, 128), WIDTHS, WIDTHS, "widths of the layers", least=1, length=3)
    corruption_rates: tuple = rates((0.0, 0.5), TENTHS[:6], TENTHS[:6])
    epochs: int = sizes(60, 100, 200, "epochs", ours=True)
    step_by_step: int = always(2, "epochs looked at after each step, later ones at their end", ours=True)
    anchor: int = always(1, "epoch from whose end the second distance is measured", ours=True, least=1)
    looked_at: int = number(300, 300, 300, "training images looked at", ours=True)
    batch_size: int = number(64, 128, 128, "batch size", ours=True)
    loss: str = always("least_squares", "loss", of=LOSSES)
    optimizer: str = recipe("optimizer")
    step_size: float = recipe("step_size")
    adadelta_rho: float = recipe("adadelta_rho")
    adadelta_eps: float = recipe("adadelta_eps")
    initialization: str = recipe("initialization")
    seeds: int = number(1, 1, 3, "seeds")


def weights(stack: Stack) -> dict[str, Tensor]:
    """A copy of all weights and biases."""
    return {name: value.detach().clone() for name, value in stack.parameters.items()}


def length(state: dict[str, Float[Tensor, "M ..."]]) -> Float[Tensor, " M"]:
    """The norm of all weights of each network together."""
    return torch.stack([value.flatten(1).norm(dim=1) for value in state.values()]).norm(dim=0)


def apart(now: dict[str, Tensor], then: dict[str, Tensor]) -> Float[Tensor, " M"]:
    """The distance between two states of the same networks."""
    return length({name: now[name].detach() - value for name, value in then.items()})


def runs(config: Transient, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, list[float]]]:
    """What several cells, trained together, have come to after each of the first steps, and after later epochs.

    Keys of each: `step`, the relative `distance` from initialization and `since` the end of the
    epoch `anchor` (0 before), and of the images looked at the `loss` and `accuracy` on the given
    labels and the share of the last hidden units that are `dead`, zero for all of them. A run
    takes minutes, so it has no checkpoint.
    """
    data = SplitStack(config, cells, machine, 0)
    stack, loss, images, given = data.conv_nets(), LOSSES[config.loss], data.images("train"), data.given()
    training, seen = TrainingStep(stack, images, given, data.optimizer(stack), loss), given[:, : config.looked_at]
    states, rows = {"start": weights(stack)}, []

    def look(step: int) -> None:
        hidden, outputs = last_layers(stack, images, config.looked_at)
        away = {key: apart(stack.parameters, state) / length(states["start"]) for key, state in states.items()}
        rows.append({
            "step": torch.full((len(cells),), step),
            "distance": away["start"], "since": away.get("anchor", torch.zeros_like(away["start"])),
            "loss": loss(outputs, seen).mean(dim=1), "accuracy": accuracy(outputs, seen), "dead": dead(hidden),
        })  # fmt: skip

    def step(batch: Tensor) -> Tensor:
        values = training(batch)
        look(len(rows)) if epoch <= config.step_by_step else None
        return values

    look(0)
    for epoch in machine.progress(range(1, config.epochs + 1), "epochs"):
        train_epoch(step, given, epoch, config.batch_size, data.seeds)
        if epoch == config.anchor:
            states["anchor"] = weights(stack)
        if epoch > config.step_by_step and machine.measured(epoch, config.epochs):
            look(epoch * -(-config.train_size // config.batch_size))
    curves = {key: torch.stack([row[key].cpu() for row in rows], dim=1) for key in rows[0]}
    return [{key: values[run].tolist() for key, values in curves.items()} for run in range(len(cells))]


def per_epoch(result: Result) -> int:
    """Steps in an epoch."""
    return -(-result["config"]["train_size"] // result["config"]["batch_size"])


def after(result: Result, key: str, step: int) -> Float[Tensor, "rates seeds"]:
    """What all runs have come to after one of the first steps."""
    levels = sorted(result.levels("corruption_rate"))
    return torch.stack([result.numbers(key, corruption_rate=rate)[:, step] for rate in levels])


def share_of_epoch(result: Result, step: int = 3) -> Float[Tensor, " seeds"]:
    """Of each seed the distance after some steps in units of that after the first epoch, its mean over the rates."""
    return (after(result, "distance", step) / after(result, "distance", per_epoch(result))).mean(dim=0)


def spread(result: Result, step: int = 3) -> Float[Tensor, " seeds"]:
    """Of each seed the range of the distance over the rates, in units of its mean: 0 if labels do not matter."""
    moved = after(result, "distance", step)
    return (moved.max(dim=0).values - moved.min(dim=0).values) / moved.mean(dim=0)


def draw(result: Result) -> Figure:
    """Distance and share of dead units after each of the first steps, a band of seeds for each rate."""
    levels, steps = sorted(result.levels("corruption_rate")), per_epoch(result)
    last = steps * min(result["config"]["step_by_step"], result["config"]["epochs"]) + 1
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.7))
    for i, rate in enumerate(levels):
        look = {"color": plots.level_color(i, len(levels)), "linewidth": 1.3, "marker": ".", "markersize": 4}
        for ax, key in zip(axes, ("distance", "dead")):
            values = result.numbers(key, corruption_rate=rate)[:, :last]
            plots.band(ax, range(1, values.shape[1] + 1), values, f"{rate:.0%}", **look)
    marked = [step for step in (0, 1, 2, 3, steps, last - 1) if step < last]
    for ax, words in zip(axes, ("relative distance", "share of dead hidden units")):
        ax.axvline(steps + 1, **plots.REFERENCE)
        ax.set(title=words, xlabel="step", xscale="log", ylim=(0, None))
        ax.set_xticks([step + 1 for step in marked], labels=marked)
        ax.minorticks_off()
    title = {"title": "labels drawn again, ρ′", "loc": "outside lower center", "ncols": 6}
    fig.legend(*axes[0].get_legend_handles_labels(), **title)
    return fig


def tiny(count: int, machine: Machine, **more: Any) -> Numbers:
    """Distances, losses and dead units along a small training."""
    config = Transient.at("quick", widths=(8, 8, 16), looked_at=20, **TINY_SIZES, **more)
    found = runs(config, tiny_cells(count), None, machine)
    return {key: listed([run[key] for run in found]) for key in ("step", "distance", "since", "loss", "dead")}


EXPERIMENT = register(Experiment(
    name="transient",
    title="Figure 3's first steps, one by one",
    own=True,
    config=Transient,
    runs=runs,
    sweep={"corruption_rate": "corruption_rates", "seed": "seeds"},
    work=training_work,
    trials=({"train_size": 256, "epochs": 1}, {"train_size": 256, "epochs": 3}),
    data=data_hashes,
    draw={"": draw},
    paths={
        "stacked": ("float32", STACKED, partial(tiny, 3)),
        "side by side, Keras": (
            "float32", SIDE_BY_SIDE,
            partial(tiny, 2, adadelta_rho=0.95, adadelta_eps=1e-7, initialization="glorot"),
        ),
    },
))  # fmt: skip
