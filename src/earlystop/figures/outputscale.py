"""Kernel or features: a network with a scaled output; and many dimensions, where overfitting does no harm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import around_centers, clusterable_dataset, corrupt_clusters
from earlystop.network import ERF, initial_weights, output_weights
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.streams import random_stream

STEP, MEASURE = 0.5, 20  # of the inverse of the largest eigenvalue, which is measured again after so many steps
A_LEVELS, DIMENSIONS = (0.1, 0.3, 1.0, 3.0, 10.0, 100.0), (20, 60, 200, 600, 2000, 6000)
PER_DECADE = 20  # iterations that are kept


@dataclass(frozen=True)
class OutputScale(Sized):
    """A network a(f(W, x) - f(W₀, x)) for several a; and the same with a = 1 on inputs of d dimensions."""

    samples: int = always(60, "samples, n", ours=True, least=4)
    dim: int = always(20, "dimension, d", ours=True, least=1)
    clusters: int = always(4, "clusters, K", ours=True, least=2)
    input_noise: float = always(0.3, "radius of a cluster, ε₀", ours=True)
    hidden_units: int = always(300, "hidden units, k", ours=True, least=1)
    scales: tuple = sizes((0.1, 1.0, 10.0), A_LEVELS, A_LEVELS, "scales of the output, a", ours=True, once=True)
    iterations: int = sizes(1000, 6000, 6000, "iterations with each a", ours=True, least=1)
    many: int = always(400, "samples on inputs of many dimensions", ours=True, least=4)
    signal: float = always(0.7, "distance of a class's mean from 0, where the noise has norm 1", ours=True)
    units: int = always(100, "hidden units there", ours=True, least=1)
    dims: tuple = sizes((20, 200, 2000), DIMENSIONS, DIMENSIONS, "dimensions, d", ours=True, once=True)
    steps: int = sizes(500, 1500, 1500, "iterations there", ours=True, least=1)
    fresh: int = always(1000, "fresh inputs", ours=True, least=1)
    corruption_rates: tuple = always((0.2, 0.0), "share of wrong labels, ρ", ours=True, most=1, once=True)
    seeds: int = sizes(1, 5, 5, "seeds", ours=True, least=1)


def cells(config: OutputScale) -> list[Cell]:
    """Both parts: each a, and each d."""
    parts = (("scale", config.scales), ("dimension", config.dims))
    return [
        {"part": part, "level": float(level), "corruption_rate": rate, "seed": seed}
        for seed in range(config.seeds)
        for rate in config.corruption_rates
        for part, levels in parts
        for level in levels
    ]


def runs(config: OutputScale, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """The summary of each cell."""
    run = {"scale": by_scale, "dimension": by_dimension}
    return [run[cell["part"]](config, cell) for cell in machine.progress(cells, "cells")]


def descend(
    weights: Float[Tensor, "k d"], inputs: Float[Tensor, "n d"], labels: Float[Tensor, " n"],
    fresh: Float[Tensor, "m d"], scale: float, iterations: int,
) -> dict[str, Tensor]:  # fmt: skip
    """Gradient descent on ½‖g - y‖² for g = a(f(W, x) - f(W₀, x)), by steps η/a²; what is kept of it.

    Every iterate is W₀ + A X, so a step costs the same in all dimensions. `time` is the sum of the η, and `kernel` how
    far J Jᵀ is from that of W₀, relative to it.
    """
    v, gram, cross = output_weights(len(weights), weights), inputs @ inputs.T, inputs @ fresh.T
    start, far = weights @ inputs.T, weights @ fresh.T
    moved, vector = torch.zeros_like(start), torch.ones_like(labels)
    first, first_far, time, step = v @ ERF.value(start), v @ ERF.value(far), 0.0, 0.0
    first_slopes = v[:, None] * ERF.derivative(start)
    kernel = first_kernel = gram * (first_slopes.T @ first_slopes)
    kept: set[int] = set(logarithmic(iterations))
    found: dict[str, list[Tensor]] = {}
    for iteration in range(iterations + 1):
        hidden = start + moved @ gram
        slopes, outputs = v[:, None] * ERF.derivative(hidden), scale * (v @ ERF.value(hidden) - first)
        if iteration in kept or iteration % MEASURE == 0:
            kernel = gram * (slopes.T @ slopes)
            for _ in range(4 if iteration else 30):  # of the power method
                vector = kernel @ vector
                step = STEP / max(vector.norm().item(), 1e-9)
                vector = torch.nn.functional.normalize(vector, dim=0)
        if iteration in kept:
            now = {
                "time": torch.tensor(time), "outputs": outputs,
                "fresh": scale * (v @ ERF.value(far + moved @ cross) - first_far),
                "kernel": (kernel - first_kernel).norm() / first_kernel.norm(),
            }  # fmt: skip
            for key, value in now.items():
                found.setdefault(key, []).append(value)
        moved = moved - (step / scale) * slopes * (outputs - labels)
        time += step
    return {key: torch.stack(value) for key, value in found.items()} | {"first_kernel": first_kernel}


def logarithmic(iterations: int) -> list[int]:
    """Iterations that are kept: 0, and so many a decade."""
    count = math.ceil(PER_DECADE * math.log10(max(iterations, 2)))
    return sorted({0, *(round(iterations ** (i / count)) for i in range(count + 1))})


def by_scale(config: OutputScale, cell: Cell) -> Run:
    """The window of one a, in units of time, that of the network with its Jacobian of W₀, and errors."""
    clean = clusterable_dataset(
        config.samples, config.clusters, config.dim, n_classes=2, input_noise=config.input_noise, seed=cell["seed"]
    )
    data = corrupt_clusters(clean, cell["corruption_rate"], seed=cell["seed"])
    fresh = around_centers(clean, config.fresh, seed=cell["seed"] + 1)
    weights = initial_weights(config.hidden_units, config.dim, seed=cell["seed"])
    path = descend(weights, data.inputs, data.labels, fresh.inputs, cell["level"], config.iterations)
    values, vectors = torch.linalg.eigh(path["first_kernel"].double())
    left = torch.exp(-values * path["time"].double()[:, None])  # of what is to learn, where the Jacobian stays
    linear = (1 - left) * (data.labels.double() @ vectors) @ vectors.T
    found: Run = {"fitted": share(path["outputs"][-1] * data.labels > 0), **errors(path, fresh.clean_labels)}
    for name, outputs in (("window", path["outputs"]), ("linear_window", linear)):
        found[name] = window(path["time"], (outputs * data.clean_labels > 0).all(dim=1))
    inside = (path["outputs"] * data.clean_labels > 0).all(dim=1).nonzero().flatten()
    return found | {"kernel": [path["kernel"][i].item() for i in ((inside[0], inside[-1]) if len(inside) else (0, 0))]}


def by_dimension(config: OutputScale, cell: Cell) -> Run:
    """Errors on fresh inputs at the best and at the last iteration, and the share of wrong labels that are fitted."""
    dim, seed = int(cell["level"]), cell["seed"]
    inputs, true = two_classes(config.many, dim, config.signal, seed, "training")
    fresh, fresh_true = two_classes(config.fresh, dim, config.signal, seed, "fresh")
    rows = torch.randperm(len(true), generator=random_stream(seed, "wrong labels"))
    wrong = rows[: round(cell["corruption_rate"] * len(true))]
    labels = true.index_put((wrong,), -true[wrong])
    weights = initial_weights(config.units, dim, seed=seed)
    path = descend(weights, inputs, labels, fresh, 1.0, config.steps)
    agreed = path["outputs"][-1] * labels > 0
    return {"fitted": share(agreed), "memorized": share(agreed[wrong]), **errors(path, fresh_true)}


def two_classes(
    samples: int, dim: int, signal: float, seed: int, purpose: str
) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
    """Inputs with mean ±`signal` along the first axis, and normal noise whose norm is about 1; their labels ±1."""
    labels = torch.where(torch.arange(samples) % 2 == 0, 1.0, -1.0)
    inputs = torch.randn(samples, dim, generator=random_stream(seed, f"two classes, {purpose}")) / math.sqrt(dim)
    inputs[:, 0] += signal * labels
    return inputs, labels


def errors(path: dict[str, Tensor], true: Tensor) -> dict[str, float]:
    """The share of fresh inputs that are wrong, at the best kept iteration and at the last one."""
    wrong = (path["fresh"] * true <= 0).double().mean(dim=1)[1:]
    return {"best": wrong.min().item(), "last": wrong[-1].item()}


def window(time: Tensor, right: Tensor) -> list[float]:
    """The first and the last time at which all training samples are right by their true labels; zeros if none is."""
    inside = right.nonzero().flatten()
    return [time[inside[0]].item(), time[inside[-1]].item()] if len(inside) else [0.0, 0.0]


def share(true: Tensor) -> float:
    """The share that is true; 0 of none."""
    return true.double().mean().item() if len(true) else 0.0


# ------------------------------------------------------------------------ what a result says


def of(result: Result, part: str, key: str, rate: float = 0.2) -> Float[Tensor, "seeds levels ..."]:
    """A number of every seed and level."""
    levels = sorted({cell["level"] for cell in result.select(part=part)})
    found = [result.numbers(key, part=part, level=level, corruption_rate=rate) for level in levels]
    return torch.stack(found, dim=1)


def levels(result: Result, part: str) -> list[float]:
    """The values of a or of d."""
    return sorted({cell["level"] for cell in result.select(part=part)})


def length(result: Result, key: str = "window") -> Float[Tensor, "seeds levels"]:
    """By which factor the end of the window is later than its begin."""
    ends = of(result, "scale", key)
    return ends[..., 1] / ends[..., 0]


def kernel_power(result: Result) -> Float[Tensor, " seeds"]:
    """The power of a by which the change of the kernel at the window's end goes, over all a from 1 on."""
    x = torch.tensor(levels(result, "scale"), dtype=torch.float64).log()
    kept = x >= 0
    y = of(result, "scale", "kernel")[:, kept, 1].log()
    x = x[kept] - x[kept].mean()
    return (y - y.mean(dim=1, keepdim=True)) @ x / x.square().sum()


def longer(result: Result) -> Float[Tensor, " seeds"]:
    """How many times as long the window is with the smallest a as with the largest."""
    found = length(result)
    return found[:, 0] / found[:, -1]


def harm_of_overfitting(result: Result, place: int = -1) -> Float[Tensor, " seeds"]:
    """The error on fresh inputs at the last iteration minus that at the best, in the highest dimension."""
    return (of(result, "dimension", "last") - of(result, "dimension", "best"))[:, place]


def draw(result: Result) -> Figure:
    """The change of the kernel and the length of the window against a."""
    fig, (change, lengths) = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
    scales = levels(result, "scale")
    kernel = of(result, "scale", "kernel")
    plots.band(change, scales, 100 * kernel[..., 1], "end of the window", **plots.KINDS[0])
    plots.band(change, scales, 100 * kernel[..., 0], "begin of the window", **plots.KINDS[1])
    change.set(title="change of the kernel, in %", xscale="log", yscale="log", xlabel="scale of the output, a")
    plots.band(lengths, scales, length(result), "network", **plots.KINDS[0])
    plots.band(lengths, scales, length(result, "linear_window"), "its kernel of W₀", **plots.REFERENCE)
    lengths.set(title="window: end over begin", xscale="log", xlabel="scale of the output, a", ylim=(0, None))
    for ax in (change, lengths):
        plots.log_ticks(ax.xaxis, [0.1, 1, 10, 100])
        ax.legend()
    plots.log_ticks(change.yaxis)
    return fig


def draw_dimensions(result: Result) -> Figure:
    """Errors on fresh inputs against the dimension: where it is stopped best, and where all labels are fitted."""
    fig, ax = plt.subplots(figsize=(5.5, 4))
    dims = levels(result, "dimension")
    plots.band(ax, dims, of(result, "dimension", "last"), "last iteration: wrong labels fitted", **plots.TEST)
    plots.band(ax, dims, of(result, "dimension", "best"), "best iteration", **plots.KINDS[0] | {"linestyle": ":"})
    plots.band(ax, dims, of(result, "dimension", "last", 0.0), "last iteration, control", **plots.CONTROL)
    ax.set(xscale="log", xlabel="dimension, d", ylabel="error on fresh inputs", ylim=(-0.01, None))
    plots.log_ticks(ax.xaxis, dims)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def tiny(machine: Machine) -> Numbers:
    """Windows, kernels and errors of small cells of both parts."""
    config = OutputScale.at("quick", samples=16, dim=5, hidden_units=16, iterations=200, many=20, units=8, steps=60)
    asked = [
        {"part": part, "level": level, "corruption_rate": 0.25, "seed": 1}
        for part, level in (("scale", 0.3), ("scale", 10.0), ("dimension", 4.0), ("dimension", 40.0))
    ]
    found = runs(config, asked, None, machine)
    return {"windows": listed([[*one["window"], *one["linear_window"], *one["kernel"]] for one in found[:2]]),
            "errors": listed([[one["best"], one["last"], one["fitted"]] for one in found])}  # fmt: skip


EXPERIMENT = register(Experiment(
    name="outputscale",
    title="A scaled output, between kernel and features, and overfitting in many dimensions",
    own=True,
    config=OutputScale,
    runs=runs,
    one_by_one=True,
    cells=cells,
    sweep={"level": "scales", "corruption_rate": "corruption_rates", "seed": "seeds"},
    work=lambda config: config.iterations + config.steps,
    trials=({"iterations": 100, "steps": 50}, {"iterations": 300, "steps": 150}),
    deep=False,
    draw={"": draw, "_dimensions": draw_dimensions},
    paths={"four cells": ("float32", STACKED, tiny)},
))  # fmt: skip
