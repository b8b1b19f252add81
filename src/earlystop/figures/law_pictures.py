"""The sweep of Theorem 2.2 in pictures: the law, its controls, and the worst inputs."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures.law import (
    CLASSES,
    CLUSTERS,
    DIMS,
    RADII,
    RADIUS,
    SHARES,
    WIDTHS,
    activations,
    at_stop,
    best,
    distances,
    grid,
    numbers,
    times,
)  # fmt: skip
from earlystop.runs.results import Result

STYLES = (plots.NOISY, plots.TRUE, plots.TEST)
COVERED = {"color": "#000000", "alpha": 0.1, "lw": 0, "zorder": 0}
FOUR = (  # how far, with which noise, and their look
    (at_stop, 1.0, "stopped, ρ = δ/8", plots.NOISY),
    (best, 1.0, "best on the path, ρ = δ/8", plots.TRUE),
    (at_stop, 0.0, "stopped, ρ = 0", plots.TEST),
    (best, 0.0, "best on the path, ρ = 0", plots.KINDS[1]),
)


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
    for name, style in zip(activations(result), STYLES):
        for share, label, look in ((1.0, f"{name}", {}), (0.0, "_", {"mfc": "white", "alpha": 0.6})):
            scale = grid(result, "scale", activation=name, share=share).mean(0)
            ranges(ax, scale, times(result, activation=name, share=share), label, style, **look)
    line = torch.tensor([1.5, 150.0])
    ax.plot(line, line, label="T = ‖C‖²/λ(C)", **plots.REFERENCE)
    ax.axvspan(1.5, torch.where(covered(result), grid(result, "scale").mean(0), 1.5).max().item(), **COVERED)
    ax.set(xscale="log", yscale="log", xlim=(1.5, 150), xlabel="‖C‖²/λ(C)", ylabel="steps until all is right, T")
    ax.legend(fontsize=7, loc="lower right", borderpad=0.2, labelspacing=0.2)


def draw_distances(ax: Axes, result: Result) -> None:
    """The distance at the stop against K, in two dimensions d, with and without noise."""
    K = torch.tensor(CLUSTERS)
    for dim, style in zip(DIMS, STYLES):
        for share, label, look in ((1.0, f"d = {dim}", {}), (0.0, "_", {"mfc": "white", "alpha": 0.6})):
            ranges(ax, K, distances(result, dim, share=share), label, style, **look)
    ax.plot(K, K.sqrt(), label="√K", **plots.REFERENCE)
    ax.axvspan(1.6, torch.where(covered(result), K.repeat(len(DIMS)), 1.6).max().item(), **COVERED)
    ax.set(xscale="log", yscale="log", xlim=(1.6, 40), xlabel="clusters, K", ylabel="‖W − W₀‖ at the stop")
    ax.set_xticks(K, labels=[str(k) for k in CLUSTERS])
    ax.minorticks_off()
    ax.legend(fontsize=8)


def draw_rates(ax: Axes, result: Result) -> None:
    """The error at the stop against ρ in units of δ/8, from no noise on, for three numbers of classes."""
    for classes, style in zip((2, 4, 8), STYLES):
        errors = [at_stop(result, "train", "path", classes=classes, share=share) for share in SHARES]
        plots.band(ax, SHARES, torch.stack(errors, dim=1), f"$\\bar{{K}}$ = {classes}", **style, markersize=4)
        ax.axvline(4 * (classes - 1) / classes, color=style["color"], linestyle=":", linewidth=1)
    ax.axvspan(0, 1, **COVERED)
    ax.set(xlabel="ρ in units of δ/8", ylabel="error, true labels", ylim=(-0.02, 1.02))
    ax.legend(fontsize=8)


def draw(result: Result) -> Figure:
    """Time, distance and noise: the main theorem on one slide."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
    for ax, part in zip(axes, (draw_times, draw_distances, draw_rates)):
        part(ax, result)
    return figure


def four(ax: Axes, result: Result, key: str, over: str, values: Sequence, **fixed) -> None:
    """An error at the stop and at its lowest, with and without noise, as one thing changes."""
    for measure, share, label, style in FOUR:
        errors = [measure(result, key, "path", share=share, **fixed | {over: value}) for value in values]
        plots.band(ax, values, torch.stack(errors, dim=1), label, **style, markersize=4)


def draw_controls(result: Result) -> Figure:
    """Errors on training samples beside their controls: as classes, width and radius change, K stays."""
    figure, axes = plt.subplots(2, 2, figsize=(7, 5.6), sharey=True)
    panels = (
        ("classes", CLASSES, {"input_noise": 0.2}, "classes, $\\bar{K}$ (ε₀ = 0.2)"),
        ("hidden_units", WIDTHS, {"classes": 8}, "hidden units, k ($\\bar{K}$ = 8)"),
        ("input_noise", RADII, {"classes": 2}, "radius, ε₀ ($\\bar{K}$ = 2)"),
        ("input_noise", RADII, {"classes": 8}, "radius, ε₀ ($\\bar{K}$ = 8)"),
    )
    for ax, (key, values, fixed, name) in zip(axes.flat, panels):
        four(ax, result, "train", key, values, **fixed)
        ax.set(xlabel=name, xscale="log" if key == "hidden_units" else "linear")
    for ax in axes[:, 0]:
        ax.set(ylabel="error, true labels")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def draw_worst(result: Result) -> Figure:
    """Random inputs against the worst: over the radius, for two and for eight classes."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), sharey=True)
    for ax, classes in zip(axes, (2, 8)):
        four(ax, result, "worst", "input_noise", RADII, classes=classes)
        fresh = [at_stop(result, "fresh", "path", classes=classes, input_noise=r) for r in RADII]
        plots.band(ax, RADII, torch.stack(fresh, dim=1), "random inputs, stopped, ρ = δ/8", color="0.4")
        allowed = 2 / (classes - 1) * numbers(result, "smallest").mean() ** 2 / result["config"]["clusters"] ** 2
        ax.axvspan(0, allowed.item(), **COVERED)
        ax.set(xlabel="radius, ε₀", title=f"$\\bar{{K}}$ = {classes}", xlim=(0, None))
    axes[0].set(ylabel="clusters with a wrong input\n(grey: share of wrong inputs)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
