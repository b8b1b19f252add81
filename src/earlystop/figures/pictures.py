"""Pictures that are no figure of the paper."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset
from earlystop.figures.splits import Split
from earlystop.runs.results import Result


def growth(series: list[dict]) -> None:
    """Seconds against size on logarithmic axes, a panel for each kind of work that was measured."""
    rows = max(1, (len(series) + 1) // 2)
    _, axes = plt.subplots(rows, 2, figsize=(7, 2.9 * rows), squeeze=False)
    for ax, one in zip(axes.flat, series):
        x, median = ([point[key] for point in one["points"]] for key in ("x", "median"))
        for point in one["points"]:
            ax.plot([point["x"]] * len(point["seconds"]), point["seconds"], ".", color="0.6", ms=5)
        ax.plot(x, median, color="black", marker="o")
        title = f"{one['title']}:\npower {one['exponent']:.2f}"
        ax.set(xscale="log", yscale="log", xlabel=f"{one['x']}\n({one['fixed']})", ylabel="seconds", title=title)
        ax.set_xticks(x, labels=[f"{value:,}" if value < 10_000 else f"{value / 1e3:,.0f}k" for value in x])
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
    for ax in axes.flat[len(series) :]:
        ax.axis("off")
    if not series:
        axes[0, 0].text(0.5, 0.5, "not measured yet", ha="center")
    plt.show()


# Chapters 4 to 6


def labelled(axes: np.ndarray, split: Split, names: Sequence[str], both: str, **look) -> None:
    """The first training images with the names of their given labels; where one is wrong, of `both`."""
    labels = split.noisy.tolist(), split.train.labels.tolist()
    for ax, pixels, *pair in zip(axes.flat, split.train.pixels, *labels):
        given, true = (names[label] for label in pair)
        ax.imshow(pixels.permute(1, 2, 0).squeeze().cpu(), cmap="gray")
        title, weight = (given, "normal") if given == true else (both.format(given, true), "bold")
        ax.set_title(title, loc="center", weight=weight, **look)
        ax.axis("off")


def two_spaces(radii: Sequence[float], spectra: Sequence[Tensor], alphas, noises, bounds) -> None:
    """The first singular values for clusters of growing radius; how strongly the Jacobian acts on either space."""
    _, (left, right) = plt.subplots(1, 2)
    for i, (radius, values, marker) in enumerate(zip(radii, spectra, "osD^v")):
        left.plot(range(1, 13), values[:12], marker=marker, markersize=4, linewidth=1,
                  color=plots.level_color(i, len(radii)), label=f"ε₀ = {radius}")  # fmt: skip
    left.set(yscale="log", xlabel="index", ylabel="singular value of J", xticks=range(1, 13, 2), ylim=(0.03, 60))
    left.legend(fontsize=9, loc="upper right", ncol=2)
    right.plot(radii, bounds, label="bound on S₋", **plots.REFERENCE)
    right.plot(radii, alphas, label="smallest on S₊, α", **plots.TRUE)
    right.plot(radii, noises, label="largest on S₋, ε", **plots.NOISY)
    right.set(xscale="log", yscale="log", xlabel="radius of a cluster, ε₀", ylim=(0.03, 60))
    right.set_xticks(radii, labels=radii)
    right.minorticks_off()
    right.legend()


def two_clocks(times: Sequence[int], parts, predicted, clean, corrupted, together) -> None:
    """Parts of the residual along descent, and as predicted; the pulls of its clean and corrupted part, and of both."""
    x = [time + 1 for time in times]
    _, (left, right) = plt.subplots(1, 2)
    for style, name, part, line in zip((plots.TRUE, plots.NOISY), ("information", "nuisance"), parts, predicted):
        left.plot(x, part, label=f"{name} space", markevery=3, **style)
        left.plot(x, line, **plots.REFERENCE)
    left.set(xscale="log", yscale="log", xlabel="iteration + 1", ylabel="norm of the residual in")
    left.legend(loc="center right")
    right.plot(x, clean, label="clean residual", markevery=3, **plots.TRUE)
    right.plot(x, corrupted, label="label corruption", markevery=3, **plots.NOISY)
    right.plot(x, together, "-.", color="black", label="their sum")
    right.set(xscale="log", yscale="log", xlabel="iteration + 1", ylabel="norm of the gradient from")
    right.legend()


# Chapters 1 to 3

MARKERS = "os^"  # one for each label, from low to high


def labeled_points(
    ax: Axes, across: Tensor, up: Tensor, given: Tensor, truth: Tensor, classes: Tensor, size=5.0, larger=1.7
) -> None:
    """Points with a marker and a color for each given label; the wrong ones larger, and on top."""
    for wrong in (False, True):
        for i, label in enumerate(classes):
            rows = (given == label) & ((given != truth) == wrong)
            ax.plot(
                across[rows], up[rows], MARKERS[i], markersize=size * (larger if wrong else 1),
                color=plots.level_color(i, len(classes)), markeredgecolor="black",
                markeredgewidth=0.18 * size if wrong else 0.3, linestyle="",
            )  # fmt: skip


def dataset_model(dataset: Dataset) -> None:
    """The paper's Figure 2: inputs on the unit circle, the disc of each center, and the labels of three classes."""
    _, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2), width_ratios=[3, 2])
    left.add_patch(Circle((0, 0), 1, fill=False, color="gray"))
    for number, center in enumerate(dataset.centers.tolist(), start=1):
        left.add_patch(Circle(center, dataset.input_noise, color="gray", alpha=0.2))
        left.plot(*center, "+", color="black", markersize=9)
        left.text(0.68 * center[0], 0.68 * center[1], f"c$_{number}$", ha="center", va="center")
    x, y = dataset.inputs.T
    labeled_points(left, x, y, dataset.labels, dataset.clean_labels, dataset.classes)
    left.set(aspect="equal", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xlabel="x₁", ylabel="x₂")
    for i, label in enumerate(dataset.classes.tolist()):
        right.plot(0, label, MARKERS[i], color=plots.level_color(i, 3), markersize=10)
        right.text(0.25, label, f"$α_{i + 1} = {label:.2g}$", va="center")
    low, high = dataset.classes[1:].tolist()
    right.annotate("", (-0.3, low), (-0.3, high), arrowprops={"arrowstyle": "<->"})
    right.text(-0.4, (low + high) / 2, f"δ = {high - low:.2g}", ha="right", va="center")
    right.axvline(0, color="black", linewidth=1, zorder=0)
    right.set(xlim=(-1.4, 1.4), ylim=(-1.15, 1.15), xticks=[], ylabel="label")
    right.grid(False)


def regions(classifiers: dict[str, Callable[[Tensor], Tensor]], points: Sequence[Tensor]) -> None:
    """Where each classifier of the plane says 1, and the points that `labeled_points` draws."""
    line = torch.linspace(-1.4, 1.4, 201)
    plane = torch.cartesian_prod(line, line)
    _, axes = plt.subplots(1, len(classifiers), figsize=(7.2, 3.2), sharey=True)
    for ax, (name, g) in zip(axes, classifiers.items()):
        values = g(plane).reshape(201, 201).T
        ax.contourf(line, line, values, levels=[0, values.max() + 1], colors=["#cccccc"])
        labeled_points(ax, *points, size=4)
        ax.set(title=name, aspect="equal", xlabel="x₁")
        ax.grid(False)
    axes[0].set(ylabel="x₂")


def top_spaces(result: Result, ranks: Sequence[int]) -> Figure:
    """Spectra, what lies in the top spaces and their γ, of each network, with the control that saw true labels."""
    names, rate = result.levels("network"), max(result.levels("corruption_rate"))
    fig, axes = plt.subplots(3, len(names), figsize=(3 * len(names), 8.4), squeeze=False, sharey="row")
    for (top, middle, bottom), name in zip(axes.T, names):
        noisy, control = ({"network": name, "corruption_rate": one} for one in (rate, 0.0))
        rho = result.numbers("rho", **noisy).mean().item()
        stages_of = [(time, noisy, plots.level_color(i, 3), "-") for i, time in enumerate(("start", "early", "end"))]
        for time, where, color, dash in (*stages_of, ("end", control, plots.CONTROL["color"], "--")):
            label, look = f"{time}{', control' * (where is control)}", {"color": color, "linestyle": dash}
            values = result.numbers(f"values_{time}", **where)
            plots.band(top, range(1, values.shape[1] + 1), values, label, **look)
            plots.band(bottom, ranks, result.numbers(f"gamma_{time}", **where), label, **look)
        for key, label, where, style in (("truth_early", "true labels, early", noisy, plots.TRUE),
                                         ("clean_early", "clean residual, early", noisy, plots.TEST),
                                         ("noise_early", "noise, early", noisy, plots.NOISY),
                                         ("noise_end", "noise, end", noisy, plots.NOISY | {"linestyle": ":"}),
                                         ("noise_end", "noise, end, control", control, plots.CONTROL)):  # fmt: skip
            plots.band(middle, ranks, result.numbers(key, **where), label, markersize=4, **style)
        middle.axhline(result.numbers("constant", **noisy).mean(), label="noise, the picture", **plots.REFERENCE)
        bottom.plot(ranks, ranks, label="least possible", **plots.REFERENCE)
        bottom.axhline(1 / (2 * rho), color="gray", label="δ/(2ρ)")
        top.set(title=name, xscale="log", yscale="log", xlabel="index")
        middle.set(xscale="log", xlabel="dimensions, r", ylim=(0, 1.03))
        bottom.set(xscale="log", yscale="log", xlabel="dimensions, r")
    for ax, words in zip(axes[:, 0], ("singular value / largest", "share in the top r", "γ of the top r")):
        ax.set(ylabel=words)
    legends = zip(*(ax.get_legend_handles_labels() for ax in axes[1:, 0]))
    fig.legend(*map(sum, legends, ([], [])), loc="outside lower center", ncols=4)
    return fig
