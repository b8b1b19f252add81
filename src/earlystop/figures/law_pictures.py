"""The sweep of Theorem 2.2 in pictures: the law, its controls, and the worst inputs."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import clusterable_dataset
from earlystop.figures.law import (
    CLASSES,
    CLUSTERS,
    DIMS,
    RADII,
    RADIUS,
    SHARES,
    activations,
    at_stop,
    best,
    distances,
    grid,
    numbers,
    times,
)  # fmt: skip
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, RELU
from earlystop.runs.results import Result
from earlystop.theory import cluster_covariance, smallest_eigenvalue

COVERED = {"color": "#000000", "alpha": 0.1, "lw": 0, "zorder": 0}
HOLLOW = {"mfc": "white", "alpha": 0.6}  # without noise
FOUR = tuple(  # how far, with which noise, and their look
    (measure, share, f"{name}, {noise}", style | more)
    for share, noise, more in ((1.0, "ρ = δ/8", {}), (0.0, "no wrong labels", {"color": plots.CONTROL["color"]}))
    for measure, name, style in ((at_stop, "stopped", plots.KINDS[0]), (best, "best on the path", plots.KINDS[1]))
)


def level(index: int, count: int) -> dict:
    """The look of the `index`-th of ordered settings."""
    return {"color": plots.level_color(index, count), "marker": "osDv^"[index]}


def covered(result: Result) -> Tensor:
    """Which K and d the theorem covers for the error function, constants at one: by the means over the seeds."""
    K = torch.tensor(CLUSTERS * len(DIMS), dtype=torch.float64)
    norm, smallest = (grid(result, key).mean(0) for key in ("norm", "smallest"))
    wide = result["config"]["hidden_units"] >= K**2 * norm**2 / smallest**4
    return wide & (2 * smallest**2 / K**2 >= RADIUS["law"])


def ranges(ax: Axes, x: Tensor, y: Tensor, label: str, style: dict, **look) -> None:
    """The mean over seeds, a marker for each setting, and a bar from the lowest to the highest."""
    mean = y.mean(0)
    bars = torch.stack([mean - y.min(0).values, y.max(0).values - mean])
    color = {"color": style["color"], "markersize": 5}
    ax.errorbar(x, mean, bars, label=label, marker=style["marker"], linestyle="", elinewidth=0.8, **color | look)


def draw_times(ax: Axes, result: Result) -> None:
    """The time until all is right against ‖C‖²/λ(C), for all K, d and activations, with and without noise."""
    for name, style in zip(activations(result), plots.KINDS):
        for share, label, look in ((0.0, "_", HOLLOW), (1.0, name, {})):
            scale = grid(result, "scale", activation=name, share=share).mean(0)
            ranges(ax, scale, times(result, activation=name, share=share), label, style, **look)
    line = torch.tensor([1.5, 150.0])
    ax.plot(line, line, label="T = ‖C‖²/λ(C)", **plots.REFERENCE)
    ax.axvspan(1.5, torch.where(covered(result), grid(result, "scale").mean(0), 1.5).max().item(), **COVERED)
    ax.set(xscale="log", yscale="log", xlim=(1.5, 150), xlabel="‖C‖²/λ(C)", ylabel="full steps, T")
    ax.set(title="time until all is right")
    plots.log_ticks(ax.xaxis)
    plots.log_ticks(ax.yaxis)
    ax.legend(fontsize=9, loc="upper left", borderpad=0.2, labelspacing=0.2)


def draw_distances(ax: Axes, result: Result) -> None:
    """The distance at the stop against K, in two dimensions d, with and without noise."""
    K = torch.tensor(CLUSTERS)
    for i, dim in enumerate(DIMS):
        for share, label, look in ((0.0, "_", HOLLOW), (1.0, f"d = {dim}", {})):
            ranges(ax, K, distances(result, dim, share=share), label, level(i, 2), **look)
    ax.plot(K, K.sqrt(), label="√K", **plots.REFERENCE)
    ax.axvspan(1.6, torch.where(covered(result), K.repeat(len(DIMS)), 1.6).max().item(), **COVERED)
    ax.set(xscale="log", yscale="log", xlim=(1.6, 40), xlabel="clusters, K", ylabel="‖W − W₀‖")
    ax.set(title="distance at the stop")
    plots.log_ticks(ax.xaxis, CLUSTERS)
    plots.log_ticks(ax.yaxis, (0.1, 0.2, 0.5, 1, 2, 5, 10))
    ax.legend(fontsize=9, loc="lower right")


def draw_rates(ax: Axes, result: Result) -> None:
    """The error at the stop against ρ in units of δ/8, from no noise on, for three numbers of classes."""
    for i, classes in enumerate((2, 4, 8)):
        look = level(i, 3)
        errors = [at_stop(result, "train", "path", classes=classes, share=share) for share in SHARES]
        plots.band(ax, SHARES, torch.stack(errors, dim=1), f"$\\bar{{K}}$ = {classes}", **look, markersize=4)
        ax.axvline(4 * (classes - 1) / classes, color=look["color"], linestyle=":", linewidth=1)
    ax.axvspan(0, 1, **COVERED)
    ax.set(title="error at the stop", xlabel="ρ in units of δ/8", ylabel="error, true labels", ylim=(-0.03, 1.03))
    ax.legend(fontsize=9)


def draw_drift(ax: Axes, result: Result) -> None:
    """The way from the stop to twice its time against the radius, with and without noise."""
    radii = torch.tensor(RADII)
    for share, label, look in ((0.0, "_", HOLLOW), (1.0, "K = 8, d = 20", {})):
        moved = [numbers(result, "drift", "path", input_noise=r, share=share) for r in RADII]
        ranges(ax, radii, torch.stack(moved, dim=1), label, level(0, 2), **look)
    ax.plot(radii, radii * moved[0].mean() / radii[0], label="slope 1", **plots.REFERENCE)
    ax.set(title="drift after the stop", xscale="log", yscale="log", xlabel="radius, ε₀", ylabel="$\\|W_{2T} - W_T\\|$")
    plots.log_ticks(ax.xaxis, RADII[::2])
    plots.log_ticks(ax.yaxis)
    ax.legend(fontsize=9, loc="upper left")


def draw(result: Result) -> Figure:
    """Time, distance, noise and drift: what the main theorem says, measured."""
    figure, axes = plt.subplots(2, 2, figsize=(7, 6.2))
    for ax, part in zip(axes.flat, (draw_times, draw_distances, draw_rates, draw_drift)):
        part(ax, result)
    return figure


def four(ax: Axes, result: Result, key: str, over: str, values: Sequence, **fixed) -> None:
    """An error at the stop and at its lowest, with and without noise, as one thing changes."""
    for measure, share, label, style in FOUR:
        errors = [measure(result, key, "path", share=share, **fixed | {over: value}) for value in values]
        plots.band(ax, values, torch.stack(errors, dim=1), label, **style, markersize=5)


def draw_controls(result: Result) -> Figure:
    """Errors on training samples beside their controls: as classes and radius change, K stays."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.9), sharey=True)
    four(axes[0], result, "train", "classes", CLASSES, input_noise=0.2)
    axes[0].set(title="radius ε₀ = 0.2", xlabel="classes, K̄", ylabel="error, true labels", xticks=CLASSES)
    four(axes[1], result, "train", "input_noise", RADII, classes=8)
    axes[1].set(title="eight classes", xlabel="radius of a cluster, ε₀")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def draw_worst(result: Result) -> Figure:
    """Random inputs against the worst: over the radius, for two and for eight classes."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 4.2), sharey=True)
    for ax, classes in zip(axes, (2, 8)):
        four(ax, result, "worst", "input_noise", RADII, classes=classes)
        fresh = [at_stop(result, "fresh", "path", classes=classes, input_noise=r) for r in RADII]
        plots.band(ax, RADII, torch.stack(fresh, dim=1), "random inputs, stopped, ρ = δ/8", **plots.TEST)
        allowed = 2 / (classes - 1) * numbers(result, "smallest").mean() ** 2 / result["config"]["clusters"] ** 2
        ax.axvspan(0, allowed.item(), **COVERED)
        ax.set(xlabel="radius of a cluster, ε₀", title=("two", "eight")[classes == 8] + " classes", xlim=(0, None))
    axes[0].set(ylabel="clusters with a wrong input\n(green: wrong inputs)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def draw_smallest(dim: int = 20, draws: int = 5) -> Figure:
    """λ(C) for random centers, as they become more, and for two centers that meet."""
    counts, angles = (2, 5, 10, 20, 40, 80, 160), torch.linspace(0.02, 1.5, 40)
    pairs = [torch.tensor([[1, 0], [torch.cos(angle), torch.sin(angle)]]) for angle in angles]
    figure, (left, right) = plt.subplots(1, 2)
    for phi, style in zip((ERF, GAUSSIAN_SOFTPLUS, RELU), plots.KINDS):
        found = [[smallest_eigenvalue(cluster_covariance(random_centers(K, dim, seed), phi)) for K in counts]
                 for seed in range(draws)]  # fmt: skip
        plots.band(left, counts, torch.tensor(found), phi.name, **style, markersize=5)
        meeting = [smallest_eigenvalue(cluster_covariance(pair, phi)) for pair in pairs]
        right.plot(angles, meeting, label=phi.name, **plots.line(style))
    left.set(title="random centers", xscale="log", yscale="log", xlabel="clusters, K", ylabel="λ(C)")
    plots.log_ticks(left.xaxis, counts[::2])
    plots.log_ticks(left.yaxis, (0.02, 0.05, 0.1, 0.2, 0.5))
    left.legend()
    right.set(title="two centers", xlabel="angle between them (radians)")
    return figure


def random_centers(count: int, dim: int, seed: int = 0) -> Tensor:
    """Centers of clusters that are drawn at random."""
    return clusterable_dataset(count, count, dim, input_noise=0, seed=seed).centers
