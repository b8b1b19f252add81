"""Figure 5 in its own units: when truth and noise are learned, by step size, activation, start and loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from earlystop.data import Dataset, around_centers, refuse
from earlystop.descent import LEAST_SQUARES, LOGISTIC, Trajectory, gradient_descent, largest_stable_step
from earlystop.figures.fig5 import Figure5, load_data
from earlystop.figures.units import draw
from earlystop.metrics import error_rate
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, RELU, SIN, TANH, initial_weights, predict
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.sizes import Sized, always, sizes

LEARNED = 0.01  # an error below which truth, or noise, counts as learned


ACTIVATIONS = {phi.name: phi for phi in (ERF, RELU, GAUSSIAN_SOFTPLUS, TANH, SIN)}
KEYS: tuple[str, ...] = ("loss", "activation", "start", "corruption_rate", "step", "seed")
CRITERIA = {criterion.name: criterion for criterion in (LEAST_SQUARES, LOGISTIC)}


@dataclass(frozen=True)
class Clocks(Sized):
    """Gradient descent on Figure 5's data, by the step size in units of the largest stable curvature."""

    samples: int = always(400, "samples, n", least=1)
    dim: int = always(20, "dimension, d", least=1)
    input_noise: float = always(0.5, "radius of a cluster, ε₀")
    corruption_rate: float = always(0.3, "share of labels drawn again, ρ′", most=1)
    hidden_units: int = always(1000, "hidden units, k", least=1)
    steps: tuple = always((0.05, 0.2, 0.5, 0.9, 1.5), "step size times the curvature", ours=True, once=True)
    two_steps: tuple = always((0.2, 1.5), "of these for all but erf and ReLU with least squares", ours=True, once=True)
    iterations: int = sizes(300, 2700, 2700, "iterations of each run", ours=True, least=1)
    stop: float = sizes(10.0, 100.0, 100.0, "time of the early stop", ours=True)
    seeds: int = sizes(1, 2, 5, "seeds", least=1)


def cells(config: Clocks) -> list[Cell]:
    """Every step size with noise, and the largest without; the largest from f(W₀) = 0, too, with noise and without."""
    refuse({f"two_steps is {config.two_steps}, should be of steps": not {*config.two_steps} <= {*config.steps}})
    noise, largest, found = config.corruption_rate, max(config.steps), []
    for loss, name in (*(("least squares", name) for name in ACTIVATIONS), ("logistic", "erf")):
        many = loss == "least squares" and name in ("erf", "ReLU")
        settings = [("normal", noise, step) for step in (config.steps if many else config.two_steps)]
        settings += [("normal", 0.0, largest), ("paired", noise, largest), ("paired", 0.0, largest)]
        found += [dict(zip(KEYS, (loss, name, *one, s))) for one in settings for s in range(config.seeds)]
    return found


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
    own=True,
    config=Clocks,
    runs=runs,
    one_by_one=True,
    cells=cells,
    sweep={"seed": "seeds"},
    work=lambda config: config.iterations,
    trials=({"iterations": 100}, {"iterations": 200}),
    deep=False,
    draw={"": draw},
    paths={"all kinds": ("float32", STACKED, tiny)},
))  # fmt: skip
