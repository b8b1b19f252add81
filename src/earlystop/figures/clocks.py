"""Figure 5 in its own units: when truth and noise are learned, by step size, activation, start and loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset, around_centers
from earlystop.descent import LEAST_SQUARES, LOGISTIC, Trajectory, gradient_descent, largest_stable_step
from earlystop.figures.fig5 import Figure5, load_data
from earlystop.metrics import error_rate
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, RELU, Activation, initial_weights, predict
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes

LEARNED = 0.01  # an error below which truth, or noise, counts as learned


def _tanh_slope(z: Tensor, out: Tensor | None = None) -> Tensor:
    out = torch.tanh(z, out=out)
    return out.square_().neg_().add_(1)


TANH = Activation("tanh", torch.tanh, _tanh_slope, lambda t: torch.full_like(t, math.nan), 1.0)  # κ is not used
ACTIVATIONS = {phi.name: phi for phi in (ERF, TANH, RELU, GAUSSIAN_SOFTPLUS)}
KEYS: tuple[str, ...] = ("loss", "activation", "start", "corruption_rate", "step", "seed")
CRITERIA = {criterion.name: criterion for criterion in (LEAST_SQUARES, LOGISTIC)}


@dataclass(frozen=True)
class Clocks(Sized):
    """Gradient descent on Figure 5's data, by the step size in units of the largest stable curvature."""

    samples: int = always(400, "samples, n", least=1)
    dim: int = always(20, "dimension, d", least=1)
    input_noise: float = always(0.5, "radius of a cluster, ε₀")
    corruption_rate: float = always(0.3, "share of labels drawn again, ρ", most=1)
    hidden_units: int = always(1000, "hidden units, k", least=1)
    steps: tuple = always((0.05, 0.2, 0.5, 0.9, 1.5), "step size times the curvature", ours=True, once=True)
    iterations: int = sizes(300, 2700, 2700, "iterations of each run", ours=True, least=1)
    stop: float = sizes(10.0, 100.0, 100.0, "time of the early stop", ours=True)
    seeds: int = sizes(1, 2, 5, "seeds", least=1)


def cells(config: Clocks) -> list[Cell]:
    """Every step size with noise and normal weights; the largest one also without noise, and from f(W₀) = 0."""
    kinds = [("least squares", name) for name in ACTIVATIONS] + [("logistic", "erf")]
    noise, largest = config.corruption_rate, max(config.steps)
    settings = [("normal", noise, step) for step in config.steps]
    settings += [("normal", 0.0, largest), ("paired", noise, largest), ("paired", 0.0, largest)]
    keys = ("loss", "activation", "start", "corruption_rate", "step")
    return [
        dict(zip(keys, kind + one)) | {"seed": s} for kind in kinds for one in settings for s in range(config.seeds)
    ]


def length(config: Any, cell: Cell) -> int:
    """Iterations of a run: twice as many where the logistic loss is to reach its noise, which takes longer."""
    long = cell["loss"] == "logistic" and cell["step"] == max(config["steps"])
    return config["iterations"] * (2 if long else 1)


def descend(config: Clocks, cell: Cell, machine: Machine) -> tuple[Dataset, float, list[Trajectory]]:
    """One cell: its data, the largest curvature of its loss at W₀, and descent until the early stop and from there."""
    phi, criterion, seed = ACTIVATIONS[cell["activation"]], CRITERIA[cell["loss"]], cell["seed"]
    shared = {key: vars(config)[key] for key in ("samples", "dim", "input_noise")}
    figure5 = Figure5.at("quick", corruption_rate=cell["corruption_rate"], **shared)
    data = load_data(figure5, seed, device=machine.device)
    start = initial_weights(config.hidden_units, config.dim, seed=seed, paired=cell["start"] == "paired")
    weights, parts = start.to(machine.device), []
    curvature = 2 / largest_stable_step(weights, data.inputs, phi, criterion)
    last = length(vars(config), cell)
    early = min(last, round(config.stop / cell["step"]))
    for iterations in (early, last - early):
        run = gradient_descent(
            weights, data.inputs, data.labels, step_size=cell["step"] / curvature, iterations=iterations,
            activation=phi, criterion=criterion, progress=machine.progress,
        )  # fmt: skip
        weights, parts = run.weights, [*parts, run]
    return data, curvature, parts


def first(holds: Tensor, start: int = 0) -> int:
    """The first iteration from `start` on at which something holds; -1 if there is none."""
    found = holds[start:].nonzero()
    return int(found[0, 0]) + start if len(found) else -1


def grid(config: Any, cell: Cell) -> Tensor:
    """Times at which errors are kept, common to all runs: from the first iteration of this one to its last."""
    low, high = min(config["steps"]), 2 * config["iterations"] * max(config["steps"])
    times = torch.logspace(math.log10(low), math.log10(high), 72, dtype=torch.float64)
    inside = (times >= cell["step"] * (1 - 1e-9)) & (times <= length(config, cell) * cell["step"] * (1 + 1e-9))
    return times[inside]


def at_times(values: Tensor, times: Tensor, step: float) -> Tensor:
    """Values of all iterations, read at `times` on straight lines between two of them."""
    low = (times / step).floor().long().clamp(max=len(values) - 2)
    share = times / step - low
    return (1 - share) * values[low] + share * values[low + 1]


def runs(config: Clocks, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """The `summary` of each cell."""
    return [summary(config, cell, *descend(config, cell, machine)) for cell in cells]


def summary(config: Clocks, cell: Cell, data: Dataset, curvature: float, parts: list[Trajectory]) -> Run:
    """What is kept of one run: errors along a common time, its clocks in iterations, and errors on fresh inputs."""
    criterion, phi = CRITERIA[cell["loss"]], ACTIVATIONS[cell["activation"]]
    outputs = criterion.predicted(torch.cat([parts[0].outputs, parts[1].outputs[1:]]))
    true, given = (
        error_rate(outputs, y, data.classes).cpu().double().round(decimals=6) for y in (data.clean_labels, data.labels)
    )
    times, best = grid(vars(config), cell), int(true.argmin())
    values = {"curvature": curvature, "flipped": data.flipped.float().mean(), "time": times}
    values |= {"error_true": at_times(true, times, cell["step"]), "error_given": at_times(given, times, cell["step"])}
    values |= {"learned": first(true <= LEARNED), "best": true[best], "best_at": best}
    values |= {"taken": first(given < true, best), "fitted": first(given <= LEARNED)}
    fresh = around_centers(data, config.samples, cell["seed"], noise="offset")
    for name, part in zip(("early", "late"), parts):
        found = criterion.predicted(predict(part.weights, fresh.inputs, phi))
        values[f"fresh_error_{name}"] = error_rate(found, fresh.labels, data.classes)
    return values


PANELS = (
    *(("least squares", name, "normal", name) for name in ACTIVATIONS),
    ("least squares", "erf", "paired", "erf, f(W₀) = 0"), ("logistic", "erf", "normal", "erf, logistic loss"),
)  # fmt: skip


def draw(result: Result) -> Figure:
    """Error against the truth over η·λ·τ, a line for each step size, and without noise."""
    fig, axes = plt.subplots(2, 3, figsize=(9, 5.4), sharex=True, sharey=True)
    noise, steps = (result["config"][key] for key in ("corruption_rate", "steps"))
    for ax, (loss, activation, start, title) in zip(axes.flat, PANELS):
        where = {"loss": loss, "activation": activation, "start": start}
        lines = [("no wrong labels", 0.0, max(steps), {"color": "black", "ls": "--", "lw": 1})]
        lines += [(f"step {step}", noise, step, {"color": plots.level_color(i, len(steps)), "lw": 1.3})
                  for i, step in enumerate(steps) if start == "normal" or step == max(steps)]  # fmt: skip
        for label, rate, step, look in lines:
            one = where | {"corruption_rate": rate, "step": step}
            plots.band(ax, result.select(**one)[0]["time"], result.numbers("error_true", **one), label, **look)
        flipped = result.numbers("flipped", corruption_rate=noise, **where)
        ax.axhline(flipped.mean(), label="share of flipped labels", **plots.REFERENCE)
        ax.set(xscale="log", title=title, ylim=(0, 0.3))
    for ax in axes[:, 0]:
        ax.set(ylabel="error, true labels")
    for ax in axes[1]:
        ax.set(xlabel="time, η · curvature · iteration")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def tiny(machine: Machine) -> Numbers:
    """Curvatures, outputs and clocks of small runs with either loss."""
    config = Clocks.at("quick", samples=24, dim=5, hidden_units=16, iterations=8, stop=2.0, steps=(0.3, 0.8))
    chosen = [("least squares", name, "normal", 0.3, 0.8) for name in ACTIVATIONS]
    chosen += [("logistic", "erf", "paired", 0.3, 0.3), ("logistic", "erf", "normal", 0.0, 0.8)]
    found = {}
    for seed, one in enumerate(chosen):
        cell: Cell = dict(zip(KEYS, (*one, seed)))
        data, curvature, parts = descend(config, cell, machine)
        kept = summary(config, cell, data, curvature, parts)
        numbers = [curvature, *parts[1].outputs[-1].tolist(), kept["time"], kept["best"], kept["error_true"]]
        found[" ".join(map(str, one))] = listed(numbers)
    return found


EXPERIMENT = register(Experiment(
    name="clocks",
    title="Figure 5 in its own units: its two clocks by step size, activation, start and loss",
    config=Clocks,
    runs=runs,
    cells=cells,
    sweep={"seed": "seeds"},
    work=lambda config: config.iterations,
    trials=({"iterations": 100}, {"iterations": 200}),
    deep=False,
    draw={"": draw},
    paths={"all kinds": ("float32", STACKED, tiny)},
))  # fmt: skip
