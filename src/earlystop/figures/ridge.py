"""Staying close to W₀ by a penalty, the paper's W_ridge, against stopping early, at equal distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset, clusterable_dataset, corrupt_clusters
from earlystop.descent import Trajectory, gradient_descent, largest_stable_step
from earlystop.metrics import error_rate
from earlystop.network import initial_weights
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes

POINTS = 80  # of the path of stopping that are kept
STEP, FINE = 0.45, 0.05  # of the largest stable one: with ridge, and of the path that is to meet every distance


@dataclass(frozen=True)
class Ridge(Sized):
    """Two classes in four clusters with a share of wrong labels in each: stopping, and ridge for several μ."""

    samples: int = always(60, "samples, n", least=4)
    dim: int = always(20, "dimension, d", least=1)
    clusters: int = always(4, "clusters, K", least=2)
    input_noise: float = always(0.3, "radius of a cluster, ε₀")
    corruption_rates: tuple = always((0.2, 0.0), "share of wrong labels, ρ", most=1, once=True)
    hidden_units: int = always(1000, "hidden units, k", least=1)
    penalties: tuple = always((10, 3, 1, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01), "μ", ours=True, once=True)
    iterations: int = sizes(600, 6000, 6000, "iterations of stopping", ours=True, least=1)
    patience: float = sizes(10, 60, 60, "iterations with ridge, times μ", ours=True)
    seeds: int = sizes(1, 5, 10, "seeds", least=1)


def descend(config: Ridge, cell: Cell, machine: Machine) -> tuple[Dataset, Trajectory, list[Trajectory]]:
    """Data of one cell, the path of gradient descent on it, and that with each μ."""
    clean = clusterable_dataset(
        config.samples, config.clusters, config.dim, n_classes=2, input_noise=config.input_noise, seed=cell["seed"]
    )
    data = corrupt_clusters(clean, cell["corruption_rate"], seed=cell["seed"]).to(machine.device)
    start = initial_weights(config.hidden_units, config.dim, seed=cell["seed"]).to(machine.device)
    limit = largest_stable_step(start, data.inputs)
    go = partial(gradient_descent, start, data.inputs, data.labels, progress=lambda items, words: items)
    ridge = [
        go(
            step_size=1 / (1 / (STEP * limit) + 2 * penalty),
            iterations=round(100 + config.patience / penalty),
            ridge=penalty,
        )
        for penalty in machine.progress(config.penalties, "μ")
    ]  # the penalty adds 2μ to the curvature
    return data, go(step_size=FINE * limit, iterations=config.iterations), ridge


def runs(config: Ridge, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """The `summary` of each cell."""
    return [summary(*descend(config, cell, machine)) for cell in cells]


def measured(data: Dataset, outputs: Tensor) -> dict[str, Tensor]:
    """Errors against both kinds of labels, and the loss on the given ones."""
    return {
        "true": error_rate(outputs, data.clean_labels, data.classes),
        "given": error_rate(outputs, data.labels, data.classes),
        "loss": 0.5 * (outputs - data.labels).square().sum(-1),
    }


def summary(data: Dataset, stopped: Trajectory, ridge: list[Trajectory]) -> Run:
    """What is kept of one cell: the path, each solution with ridge, and the path where it is as far from W₀."""
    distance = torch.stack([one.distance[-1] for one in ridge])
    before = torch.stack([one.distance[max(0, len(one.distance) - 101)] for one in ridge])
    path, solutions = measured(data, stopped.outputs), measured(data, torch.stack([one.outputs[-1] for one in ridge]))
    last = len(stopped.distance) - 1
    kept = torch.logspace(0, 1, POINTS, base=last).round().long().unique()
    equal = torch.searchsorted(stopped.distance.cummax(0).values, distance).clamp(max=last)
    least = path["loss"].cummin(0).values[(equal - 1).clamp(min=0)]
    values = {"flipped": data.flipped.float().mean(), "iteration": kept, "path_distance": stopped.distance[kept]}
    values |= {f"path_{key}": one[kept] for key, one in path.items()}
    values |= {"distance": distance, "moving": (distance / before - 1).abs(), "reached": equal < last}
    values |= {f"ridge_{key}": one for key, one in solutions.items()}
    values |= {f"stopped_{key}": one[equal] for key, one in path.items()}
    values |= {"stopped_at": equal, "loss_ratio": solutions["loss"] / least}
    clean = stopped.distance[path["true"] == 0]
    return values | {"clean_range": [clean.min(), clean.max()] if len(clean) else [0.0, 0.0]}


def draw(result: Result) -> Figure:
    """Errors against the distance, and what ridge errs more than stopping as far out; with and without wrong labels."""
    noisy, clean = sorted(result.levels("corruption_rate"), reverse=True)
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 4))
    for key, label, rate, look in (
        ("given", "given labels", noisy, plots.NOISY),
        ("true", "true labels", noisy, plots.TRUE),
        ("true", shown(clean), clean, plots.CONTROL | {"marker": "D"}),
    ):
        left.plot(*mean_errors(result, "path", key, rate), label=f"stopping, {label}", **plots.line(look))
        hollow = look | {"linestyle": "", "ms": 6, "mfc": "none"}
        left.plot(*mean_errors(result, "ridge", key, rate), label=f"ridge, {label}", **hollow)
    left.set(title=f"training error, {shown(noisy)}", xscale="log", xlabel="‖W − W₀‖, mean")
    left.set(ylim=(-0.01, 0.45), xlim=(0.6, 30))
    plots.log_ticks(left.xaxis, (1, 3, 10, 30))
    for rate, look in ((noisy, plots.KINDS[0]), (clean, plots.CONTROL)):
        ridge, stopped = (result.numbers(f"{way}_true", corruption_rate=rate) for way in ("ridge", "stopped"))
        plots.band(right, result["config"]["penalties"], 100 * (ridge - stopped), shown(rate), **look)
    right.set(title="ridge − stopping, in points", xscale="log", xlabel="μ, from large to small")
    plots.log_ticks(right.xaxis)
    right.invert_xaxis()
    right.legend()
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def shown(rate: float) -> str:
    """A share of wrong labels in words."""
    return f"{rate:.0%} wrong labels" if rate else "no wrong label"


def mean_errors(result: Result, way: str, key: str, rate: float) -> tuple[Tensor, Tensor]:
    """Distances and errors, means over the seeds at each kept iteration of the path, or at each μ."""
    where = {"corruption_rate": rate}
    distance = result.numbers("path_distance" if way == "path" else "distance", **where)
    return distance.mean(0), result.numbers(f"{way}_{key}", **where).mean(0)


# What a result says, one value for each seed.


def excess(result: Result) -> Tensor:
    """The largest difference, over all μ, between the errors on the true labels of ridge and of stopping as far out."""
    gaps = result.numbers("ridge_true", corruption_rate=0.2) - result.numbers("stopped_true", corruption_rate=0.2)
    return gaps.abs().max(dim=1).values


def best_ridge(result: Result) -> Tensor:
    """The lowest error on the true labels that some μ reaches."""
    return result.numbers("ridge_true", corruption_rate=0.2).min(dim=1).values


def loss_ratio(result: Result) -> Tensor:
    """The loss of ridge over the smallest of stopping up to that distance, the largest over all μ."""
    return result.numbers("loss_ratio", corruption_rate=0.2).max(dim=1).values


def tiny(machine: Machine) -> Numbers:
    """Distances, losses and equal iterations of two small cells."""
    config = Ridge.at("quick", samples=16, dim=5, hidden_units=16, penalties=(1.0, 0.2), iterations=30, patience=4)
    found = runs(
        config, [{"corruption_rate": rate, "seed": seed} for seed, rate in enumerate((0.2, 0.5))], None, machine
    )
    keys = ("path_distance", "path_loss", "distance", "ridge_loss", "ridge_true", "stopped_loss", "loss_ratio")
    return {key: listed([one[key] for one in found]) for key in keys}


EXPERIMENT = register(Experiment(
    name="ridge",
    title="Staying close to the initial weights by ridge, against stopping early",
    own=True,
    config=Ridge,
    runs=runs,
    one_by_one=True,
    sweep={"corruption_rate": "corruption_rates", "seed": "seeds"},
    work=lambda config: config.patience * sum(1 / penalty for penalty in config.penalties) + config.iterations,
    trials=({"iterations": 100, "patience": 1}, {"iterations": 200, "patience": 2}),
    deep=False,
    draw={"": draw},
    paths={"two cells": ("float32", STACKED, tiny)},
))  # fmt: skip
