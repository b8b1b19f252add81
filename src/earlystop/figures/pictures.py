"""Pictures that are no figure of the paper."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.ticker import LogLocator
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset, clusterable_dataset
from earlystop.descent import gradient_descent, largest_stable_step
from earlystop.network import initial_weights
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
        ax.text(0.05, 0.93, f"power {one['exponent']:.2f}", va="top", transform=ax.transAxes)
        ax.set(xscale="log", yscale="log", xlabel=f"{one['x']}\n({one['fixed']})", ylabel="seconds", title=one["title"])
        ax.set_xticks(x, labels=[f"{value:,}" if value < 10_000 else f"{value / 1e3:,.0f}k" for value in x])
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        plots.log_ticks(ax.yaxis)
        ax.minorticks_off()
    for ax in axes.flat[len(series) :]:
        ax.axis("off")
    if not series:
        axes[0, 0].text(0.5, 0.5, "not measured yet", ha="center")
    plt.show()


# Chapters 4 to 6


# of what a Jacobian tells apart: they have no order, and no colour of a label
INFORMATION, NUISANCE = plots.KINDS[0], plots.KINDS[2]


def two_spaces(radii: Sequence[float], spectra: Sequence[Tensor], least, most, bounds) -> None:
    """The first singular values for clusters of growing radius; how strongly the Jacobian acts on either space."""
    _, (left, right) = plt.subplots(1, 2, sharey=True)
    for i, (radius, values, marker) in enumerate(zip(radii, spectra, "osD^v")):
        left.plot(range(1, 13), values[:12], marker=marker, markersize=4, linewidth=1,
                  color=plots.level_color(i, len(radii)), label=f"ε₀ = {radius}")  # fmt: skip
    left.set(title="spectra", yscale="log", xlabel="index", ylabel="singular value of J", xticks=range(1, 13, 2))
    left.set_ylim(0.03, 60)
    plots.log_ticks(left.yaxis)
    left.legend(fontsize=9, loc="upper right", ncol=2)
    right.plot(radii, least, label="information, least", **INFORMATION)
    right.plot(radii, most, label="nuisance, largest", **NUISANCE)
    right.plot(radii, bounds, label="bound on the nuisance", **plots.REFERENCE)
    right.set(title="the two spaces", xscale="log", xlabel="radius of a cluster, ε₀")
    plots.log_ticks(right.xaxis, radii)
    right.legend(fontsize=9)


def two_clocks(times: Sequence[int], parts, predicted, clean, corrupted, together) -> None:
    """Parts of the residual along descent, and as predicted; the pulls of its clean and corrupted part, and of both."""
    _, (left, right) = plt.subplots(1, 2)
    for style, name, part, line in zip((INFORMATION, NUISANCE), ("information", "nuisance"), parts, predicted):
        left.plot(times, part, label=f"{name} space", markevery=3, **style)
        left.plot(times, line, **plots.REFERENCE)
    left.set(title="residual", ylabel="norm")
    left.legend(loc="center right")
    right.plot(times, clean, label="clean residual", markevery=3, **plots.KINDS[1])
    right.plot(times, corrupted, label="label corruption", color=plots.WRONG_COLOR)
    right.plot(times, together, label="their sum", **plots.line(plots.KINDS[0]))
    right.set(title="pull on the weights", ylabel="norm of the gradient")
    right.legend()
    for ax in (left, right):
        ax.set(yscale="log", xlabel="iteration")
        ax.set_xscale("symlog", linthresh=1)
        plots.log_ticks(ax.xaxis, (0, 1, 10, 100, 1000))
        plots.log_ticks(ax.yaxis)
        ax.set_xlim(0, times[-1])


def worst_places(rhos: Sequence[float], one: Tensor, all_alike: Tensor, clusters: int) -> None:
    """The largest error by share of wrong labels, for noise in one cluster and in all, with the bounds γρ and ρ."""
    _, ax = plt.subplots(figsize=(6, 3.4))
    plots.band(ax, rhos, one, "all in one cluster", **plots.KINDS[0])
    plots.band(ax, rhos, all_alike, "spread over the clusters", **plots.KINDS[1])
    for slope, name in ((clusters, "γρ"), (1, "ρ")):
        ax.plot((0, 0.25), (0, 0.25 * slope), **plots.REFERENCE)
        ax.annotate(name, (0.25, 0.25 * slope), xytext=(4, -4), textcoords="offset points")
    ax.axhline(0.5, **plots.REFERENCE)
    ax.annotate("δ/2", (0, 0.5), xytext=(0, 4), textcoords="offset points")
    ax.set(xlabel="share of wrong labels, ρ", ylabel="largest |f − ỹ|")
    ax.legend(loc="upper left")


# The answer, on the landing page and in chapter 2

VOTES = (20, 2000)  # iterations at which the network is asked: stopped early, and trained to the end
WRONG_VOTES = (2, 5, 4, 3)  # labels in each cluster that are wrong,
VOTERS = 16  # of so many


def voters(seed: int = 0) -> tuple[Dataset, list[Tensor]]:
    """A small corrupted dataset, and a network's outputs on it after each of `VOTES` iterations: about a second."""
    clusters = len(WRONG_VOTES)
    clean = clusterable_dataset(VOTERS * clusters, clusters, 100, input_noise=0.2, n_classes=2, seed=seed)
    wrong = torch.arange(len(clean.labels)) % VOTERS < torch.tensor(WRONG_VOTES)[clean.clusters]
    dataset = replace(clean, labels=torch.where(wrong, -clean.labels, clean.labels), corrupted=wrong)
    start = initial_weights(500, 100, seed=seed)
    step = largest_stable_step(start, dataset.inputs) / 2
    path = gradient_descent(start, dataset.inputs, dataset.labels, step_size=step, iterations=max(VOTES))
    return dataset, [path.outputs[time] for time in VOTES]


def vote(axes: Iterable[Axes], dataset: Dataset, outputs: Sequence[Tensor]) -> None:
    """Panels of the given labels and of a network's outputs early and late, with the mean given label of each cluster.

    `outputs` are those of `voters`, or of any network with one output and two classes; the samples stand in the order
    of `dataset`, cluster by cluster. Legend handles are those of the first panel.
    """
    titles = ("the given labels", "stopped early", "trained to the end")
    wrong, clusters = dataset.flipped, dataset.clusters
    place = torch.arange(len(clusters)) + 6 * clusters
    middles = [place[clusters == cluster].float().mean().item() for cluster in clusters.unique()]
    for ax, title, values in zip(axes, titles, (dataset.labels, *outputs), strict=True):
        for rows, color, marker, name in ((~wrong, plots.RIGHT_COLOR, "o", "given label is right"),
                                          (wrong, plots.WRONG_COLOR, "X", "given label is wrong")):  # fmt: skip
            ax.scatter(place[rows], values[rows], s=26, color=color, marker=marker, linewidths=0, label=name)
        for cluster in clusters.unique():
            rows, name = clusters == cluster, "mean given label of a cluster" if cluster == clusters.min() else None
            mean, ends = dataset.labels[rows].mean().item(), place[rows][[0, -1]].tolist()
            ax.plot(ends, [mean, mean], color=plots.NOISY["color"], linewidth=3, label=name)
        ax.axhline(dataset.classes.mean().item(), color="black", linewidth=1, zorder=0)
        ax.set(title=title, xlabel="cluster", ylim=(-1.35, 1.35), yticks=dataset.classes)
        ax.set_xticks(middles, labels=[str(i + 1) for i in range(len(middles))])
        ax.grid(False)


# Chapters 1 to 3

MARKERS = "os^"  # one for each label, from low to high


def labeled_points(
    ax: Axes, across: Tensor, up: Tensor, given: Tensor, truth: Tensor, classes: Tensor, size=5.0
) -> None:
    """Points with a marker for each given label; the wrong ones, in their color, on top."""
    for wrong, color in ((False, plots.RIGHT_COLOR), (True, plots.WRONG_COLOR)):
        for marker, label in zip(MARKERS, classes):
            rows = (given == label) & ((given != truth) == wrong)
            look = {"markersize": size, "color": color, "markeredgecolor": "white", "markeredgewidth": 0.3}
            ax.plot(across[rows], up[rows], marker, **look)


def sphere_map(ax: Axes, dataset: Dataset) -> None:
    """A dataset on the sphere of R³ as a map: longitude across, latitude up."""
    x, y, z = dataset.inputs.T
    place = torch.atan2(y, x), torch.asin(z.clamp(-1, 1))
    labeled_points(ax, *place, dataset.labels, dataset.clean_labels, dataset.classes, size=4.5)
    ax.set(xticklabels=[], yticklabels=[])


def sphere_maps(datasets: dict[str, Dataset]) -> None:
    """Four maps of the sphere under their titles, and which marker is which label."""
    fig, axes = plt.subplots(2, 2, figsize=(7.2, 4.8), subplot_kw={"projection": "mollweide"})
    for ax, (title, dataset) in zip(axes.flat, datasets.items()):
        sphere_map(ax, dataset)
        ax.set_title(title, loc="center")
    labels = [f"{label:.2g}".replace("-", "−") for label in next(iter(datasets.values())).classes.tolist()]
    look: dict[str, Any] = {"color": plots.RIGHT_COLOR, "linestyle": ""}
    handles: list[Any] = [
        Line2D([], [], marker=one, label=f"given label {label}", **look) for one, label in zip(MARKERS, labels)
    ]
    handles.append(Patch(color=plots.WRONG_COLOR, label="wrong label"))  # of any marker
    fig.legend(handles=handles, loc="outside lower center", ncols=4)


def dataset_model(dataset: Dataset) -> None:
    """The paper's Figure 2: inputs on the unit circle, the disc of each center, and the labels of three classes."""
    _, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.4), width_ratios=[3, 2])
    left.add_patch(Circle((0, 0), 1, fill=False, color="gray"))
    for number, center in enumerate(dataset.centers.tolist(), start=1):
        left.add_patch(Circle(center, dataset.input_noise, color="gray", alpha=0.2))
        left.plot(*center, "+", color="black", markersize=9)
        left.text(0.68 * center[0], 0.68 * center[1], f"c$_{number}$", ha="center", va="center")
    x, y = dataset.inputs.T
    for i, label in enumerate(dataset.classes):
        rows = dataset.labels == label
        left.plot(x[rows], y[rows], MARKERS[i], color=plots.level_color(i, 3), markeredgecolor="black", markersize=6)
    left.set(title="inputs", aspect="equal", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), xlabel="x₁", ylabel="x₂")
    for i, label in enumerate(dataset.classes.tolist()):
        right.plot(0, label, MARKERS[i], color=plots.level_color(i, 3), markersize=10)
        right.text(0.25, label, f"$α_{i + 1} = {label:.2g}$", va="center")
    low, high = dataset.classes[1:].tolist()
    right.annotate("", (-0.3, low), (-0.3, high), arrowprops={"arrowstyle": "<->"})
    right.text(-0.4, (low + high) / 2, f"δ = {high - low:.2g}", ha="right", va="center")
    right.axvline(0, color="black", linewidth=1, zorder=0)
    right.set(title="labels", xlim=(-1.4, 1.4), ylim=(-1.15, 1.15), xticks=[], ylabel="label")
    right.grid(False)


def wrong_in_clusters(counts: Tensor, size: int, redrawn: float, wrong: float) -> None:
    """How many clusters of a size have which number of wrong labels, beside the binomial law and the definition."""
    _, ax = plt.subplots(figsize=(6, 3.2))
    number, look = torch.arange(size // 2 + 1), {"color": plots.WRONG_COLOR + "66", "edgecolor": plots.WRONG_COLOR}
    share = torch.bincount(counts.long(), minlength=size + 1)[: len(number)] / len(counts)
    ax.bar(number.tolist(), share.tolist(), label=f"drawn again, ρ′ = {redrawn}", **look)  # pyright: ignore
    law = torch.distributions.Binomial(size, torch.tensor(wrong)).log_prob(number.float()).exp()
    ax.plot(number, law, label="binomial", marker=".", **plots.REFERENCE)
    definition = plots.line(plots.KINDS[0] | {"linestyle": "--"})
    ax.axvline(wrong * size, label=f"definition, ρ = {wrong}", **definition)
    ax.set(xlabel=f"wrong labels in a cluster of {size}", ylabel="share of clusters", xticks=number)
    ax.legend()


def regions(classifiers: dict[str, Callable[[Tensor], Tensor]], points: Sequence[Tensor]) -> None:
    """Where each classifier of the plane says 1, and labeled points on the circle, the wrong ones a little outside."""
    across, up, given, truth, classes = points
    outside = torch.where(given == truth, 1.0, 1.18)
    line = torch.linspace(-1.4, 1.4, 201)
    plane = torch.cartesian_prod(line, line)
    _, axes = plt.subplots(1, len(classifiers), figsize=(7.2, 3.0), sharey=True)
    for ax, (name, g) in zip(axes, classifiers.items()):
        values = g(plane).reshape(201, 201).T
        ax.contourf(line, line, values, levels=[0, values.max() + 1], colors=["#e4e4e4"])
        labeled_points(ax, outside * across, outside * up, given, truth, classes)
        ax.set(title=name, aspect="equal", xlabel="x₁")
        ax.grid(False)
    axes[0].set(ylabel="x₂")


def two_labels(radii: Sequence[float], different: Tensor, certified: Tensor, alike: Tensor) -> None:
    """How far weights go to fit the labels of two points, against the distance of the points; where no weights fit."""
    fig, ax = plt.subplots(figsize=(6, 3.9))
    least = certified.min(dim=0).values
    ax.fill_between(radii, 0.5, least, color="#e4e4e4", lw=0)
    ax.text(radii[0] * 1.08, 0.62, "no weights here fit the labels −1 and 1", va="bottom")
    plots.band(ax, radii, different, "labels −1 and 1: one of them is wrong", **plots.KINDS[1])
    ax.plot(radii, least, label="certificate: at least so far", **plots.REFERENCE)
    plots.band(ax, radii, alike, "labels 1 and 1: both are right", **plots.CONTROL)
    ax.set(xscale="log", yscale="log", ylim=(0.5, 300), xlabel="distance of the two inputs, ε₀", ylabel="‖W − W₀‖")
    plots.log_ticks(ax.xaxis, radii)
    plots.log_ticks(ax.yaxis)
    fig.legend(loc="outside lower center", ncols=2)
    plt.show()


def more_wrong_labels(panels: dict[int, tuple], walked: Tensor) -> None:
    """How far a number of wrong labels in one cluster is, a panel for each size of it; gradient descent in the first.

    Of each panel: numbers of wrong labels, distances of the linearized network, expected ones, and without any.
    """
    fig, axes = plt.subplots(1, len(panels), sharey=True, figsize=(7, 3.8))
    for ax, (size, (counts, linear, expected, without)) in zip(axes, panels.items()):
        plots.band(ax, counts, linear, "linearized network", **plots.KINDS[1])
        ax.plot(counts, expected, label="expected", **plots.REFERENCE)
        ax.axhline(without, label="no wrong label", **plots.CONTROL)
        ax.set(xscale="log", yscale="log", xlabel="wrong labels in the cluster, m", title=f"clusters of {size} samples")
        plots.log_ticks(ax.xaxis, counts)
    plots.band(axes[0], next(iter(panels.values()))[0], walked, "gradient descent", **plots.KINDS[0])
    axes[0].set(ylabel="‖W − W₀‖, Frobenius")
    plots.log_ticks(axes[0].yaxis, (3, 10, 30, 100, 300))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    plt.show()


def ways_by_width(widths: Sequence[int], far: Tensor, near: Tensor, control: Tensor) -> None:
    """How far the given labels are for networks of each width, how far stopping early goes, and all true labels."""
    _, ax = plt.subplots(figsize=(6, 3.4))
    plots.band(ax, widths, far, "all given labels fitted", **plots.KINDS[1])
    plots.band(ax, widths, near, "stopped early", **plots.KINDS[0])
    plots.band(ax, widths, control, "no wrong label, all fitted", **plots.CONTROL)
    ax.set(xscale="log", yscale="log", xlabel="hidden units, k", ylabel="‖W − W₀‖, Frobenius", ylim=(0.7, 90))
    plots.log_ticks(ax.xaxis, widths)
    plots.log_ticks(ax.yaxis, (1, 3, 10, 30))
    ax.legend()
    plt.show()


def shares_inside(result: Result, ranks: Sequence[int], names: dict[str, str]) -> Figure:
    """Shares of truth and noise in the top spaces of each network, with the control that saw true labels."""
    rate, noise = max(result.levels("corruption_rate")), {"color": plots.WRONG_COLOR}
    fig, axes = over_dimensions(result, ranks, names)
    for ax, name in zip(axes, result.levels("network")):
        noisy, control = ({"network": name, "corruption_rate": one} for one in (rate, 0.0))
        for key, label, where, style in (("truth_early", "true labels, stopped early", noisy, plots.TRUE),
                                         ("noise_early", "noise, stopped early", noisy, noise),
                                         ("noise_end", "noise, to the end", noisy, noise | {"linestyle": "--"}),
                                         ("noise_end", "noise, control", control, plots.CONTROL)):  # fmt: skip
            plots.band(ax, ranks, result.numbers(key, **where), label, **style)
        constant = result.numbers("constant", **noisy).mean().item()
        ax.axhline(constant, label="constant noise", **plots.REFERENCE)
        ax.set_ylim(0, 1.03)
    axes[0].set_ylabel("share in the first r")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def gamma_of_spaces(result: Result, ranks: Sequence[int], names: dict[str, str]) -> Figure:
    """γ of the same spaces, between the least that is possible and the largest that the theorem has a use for."""
    rate = max(result.levels("corruption_rate"))
    fig, axes = over_dimensions(result, ranks, names)
    for ax, name in zip(axes, result.levels("network")):
        noisy, control = ({"network": name, "corruption_rate": one} for one in (rate, 0.0))
        words = {"start": "before training", "early": "stopped early", "end": "to the end"}
        for i, (time, label) in enumerate(words.items()):
            found = result.numbers(f"gamma_{time}", **noisy)
            plots.band(ax, ranks, found, label, color=plots.level_color(i, len(words)))
        plots.band(ax, ranks, result.numbers("gamma_end", **control), "control, to the end", **plots.CONTROL)
        most = 1 / (2 * result.numbers("rho", **noisy).mean().item())
        ax.plot(ranks, ranks, **plots.REFERENCE)
        ax.axhline(most, **plots.REFERENCE)
        ax.annotate("δ/(2ρ)", (ranks[-1], most), xytext=(0, 3), textcoords="offset points", ha="right")
        ax.annotate("r", (ranks[-2], ranks[-2]), xytext=(4, -10), textcoords="offset points")
        ax.set_yscale("log")
        plots.log_ticks(ax.yaxis)
    axes[0].set_ylabel("γ of the first r")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def over_dimensions(result: Result, ranks: Sequence[int], names: dict[str, str]) -> tuple[Figure, Sequence[Axes]]:
    """A panel for each network, over the dimension of its top space."""
    shown = result.levels("network")
    fig, grid = plt.subplots(1, len(shown), figsize=(7, 3.6), squeeze=False, sharey=True)
    for ax, name in zip(grid[0], shown):
        ax.set(title=names[name], xscale="log", xlabel="dimensions, r")
        plots.log_ticks(ax.xaxis, (1, 10, 100))
        ax.set_xlim(ranks[0], ranks[-1])
    return fig, grid[0]
