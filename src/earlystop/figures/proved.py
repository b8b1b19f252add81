"""The proved window of early stopping against the measured one, over the radius ε₀ and the width k."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset, clusterable_dataset, corrupt_clusters
from earlystop.descent import gradient_descent, largest_stable_step
from earlystop.network import Weights, initial_weights
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.window import first_stretch, proved_path

SHOWN = 60  # iterations whose errors are kept
NEVER = -1  # an iteration that there is not
MEASURED = plots.line(plots.KINDS[1]) | {"linestyle": "-"}  # wide and light, under what is proved


@dataclass(frozen=True)
class Proved(Sized):
    """Clusters with corrupted labels, from paired weights with f(W₀) = 0, at half the largest stable step."""

    samples: int = always(40, "samples, n", least=4, ours=True)
    clusters: int = always(4, "clusters, K", least=2, ours=True)
    dim: int = always(20, "dimension, d", least=2, ours=True)
    corruption_rate: float = always(0.2, "share of wrong labels in each cluster, ρ", most=1, ours=True)
    iterations: int = sizes(200, 400, 400, "iterations", least=1, ours=True)
    input_noises: tuple = always((0.001, 0.01, 0.03, 0.1, 0.3), "radii of a cluster, ε₀", once=True, ours=True)
    widths: tuple = sizes(
        (1000,), (1000, 10_000), (1000, 10_000, 100_000), "hidden units, k", least=2, once=True, ours=True
    )
    seeds: int = sizes(1, 3, 3, "seeds", least=1, ours=True)


def start(config: Any, input_noise: float, width: int, seed: int) -> tuple[Weights, Dataset]:
    """W₀ and data of one run, in float64."""
    clean = clusterable_dataset(
        config.samples, config.clusters, config.dim,
        n_classes=2, input_noise=input_noise, noise="shell", seed=seed, dtype=torch.float64,
    )  # fmt: skip
    weights = initial_weights(width, config.dim, seed=seed, paired=True, dtype=torch.float64)
    return weights, corrupt_clusters(clean, config.corruption_rate, seed)


def run(config: Proved, cell: Cell, machine: Machine) -> Run:
    """What is proved of one run, and what gradient descent then did."""
    weights, data = start(config, cell["input_noise"], cell["width"], cell["seed"])
    step = largest_stable_step(weights, data.inputs) / 2
    proof = proved_path(weights, data, step_size=step, iterations=config.iterations)
    path = gradient_descent(
        weights, data.inputs, data.labels, step_size=step, iterations=config.iterations, progress=machine.progress
    )
    reached = (path.outputs - data.clean_labels).abs().amax(dim=1)
    return {
        "proved": proof.window or (NEVER, NEVER),
        "measured": first_stretch(reached < proof.margin) or (NEVER, NEVER),
        "proved_error": proof.error[:SHOWN].clamp(max=1e6),
        "error": reached[:SHOWN],
        "violations": ((reached > proof.error + 1e-9) | (path.distance > proof.distance + 1e-9)).sum(),
    }


def runs(config: Proved, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Every cell by itself."""
    return [run(config, cell, machine) for cell in cells]


def draw(result: Result) -> Figure:
    """Left: one run's error and its bound; right: the proved windows inside the measured ones."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.8), gridspec_kw={"width_ratios": (2, 3)})
    shown = {"input_noise": 0.03, "seed": 0, "width": result.levels("width")[-1]}
    (cell,) = result.select(**shown)
    left.plot(cell["proved_error"], label="proved", color=plots.level_color(2, 3))
    left.plot(cell["error"], label="measured", **MEASURED)
    left.axhline(1, label="δ/2", **plots.REFERENCE)
    left.set(title="one network", ylim=(0, 2), xlabel="iteration", ylabel="largest |f − ỹ|")
    left.legend()
    draw_windows(right, result)
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def draw_windows(ax: Axes, result: Result) -> None:
    """For each radius and width a bar from the first to the last correct iteration, proved upon measured."""
    radii, widths = result.levels("input_noise"), result.levels("width")
    looks = {"measured": MEASURED | {"lw": 9}, "proved": {"lw": 4}}
    for i, width in enumerate(widths):
        color = plots.level_color(i, len(widths))
        for j, radius in enumerate(radii):
            for key, look in looks.items():
                first, last = common(result.numbers(key, input_noise=radius, width=width))
                if first <= last:
                    place = [j + 0.25 * (i - (len(widths) - 1) / 2)] * 2
                    ax.plot(place, (first, last + 1), solid_capstyle="butt", **{"color": color} | look)
        ax.plot([], [], color=color, lw=4, label=f"proved, k = {width:,}")
    ax.plot([], [], label="measured", **looks["measured"])
    ax.set(title="all of them", yscale="log", xlabel="radius of a cluster, ε₀", ylabel="iterations without an error")
    plots.log_ticks(ax.yaxis)
    ax.set_xticks(range(len(radii)), labels=radii)


def common(windows: Tensor) -> tuple[int, int]:
    """The iterations that lie in the windows of all seeds: the latest first, the earliest last."""
    return int(windows[:, 0].max()), int(windows[:, 1].min())


def proved_inside(result: Result) -> Tensor:
    """For each seed the share of its windows that are proved, not empty, and inside the measured one."""
    proved, measured = (_by_seed(result, key) for key in ("proved", "measured"))
    inside = (proved[..., 0] >= measured[..., 0]) & (proved[..., 1] <= measured[..., 1])
    return ((proved[..., 1] >= proved[..., 0]) & (proved[..., 0] >= 0) & inside).double().mean(dim=1)


def violations(result: Result) -> Tensor:
    """For each seed the number of iterations at which gradient descent left the proved bounds."""
    return _by_seed(result, "violations").sum(dim=1)


def _by_seed(result: Result, key: str) -> Tensor:
    return torch.stack([result.numbers(key, seed=seed) for seed in result.levels("seed")])


def tiny(machine: Machine) -> Numbers:
    """Windows and errors of two small runs."""
    config = Proved.at("quick", samples=12, dim=6, clusters=2, iterations=12)
    found = [run(config, {"input_noise": 0.05, "width": 64, "seed": seed}, machine) for seed in (0, 1)]
    keys = ("proved", "measured", "proved_error", "error", "violations")
    return {key: listed([listed(one[key]) for one in found]) for key in keys}


EXPERIMENT = register(Experiment(
    name="proved",
    title="Early stopping's window: what is proved of it against what is measured, over ε₀ and k",
    own=True,
    config=Proved,
    runs=runs,
    one_by_one=True,
    sweep={"input_noise": "input_noises", "width": "widths", "seed": "seeds"},
    work=lambda config: config.iterations,
    trials=({"iterations": 20}, {"iterations": 60}),
    deep=False,
    words="float64",
    draw={"": draw},
    paths={"two runs": ("float32", STACKED, tiny)},
))  # fmt: skip
