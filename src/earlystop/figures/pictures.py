"""Pictures that are no figure of the paper."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor

from earlystop import plots
from earlystop.figures.splits import Split


def growth(series: list[dict]) -> None:
    """Seconds against size on logarithmic axes, a panel for each kind of work that was measured."""
    rows = max(1, (len(series) + 1) // 2)
    _, axes = plt.subplots(rows, 2, figsize=(7, 2.7 * rows), squeeze=False)
    for ax, one in zip(axes.flat, series):
        x, median = ([point[key] for point in one["points"]] for key in ("x", "median"))
        for point in one["points"]:
            ax.plot([point["x"]] * len(point["seconds"]), point["seconds"], ".", color="0.6", ms=5)
        ax.plot(x, median, **plots.NOISY)
        title = f"{one['title']}:\npower {one['exponent']:.2f}"
        ax.set(xscale="log", yscale="log", xlabel=f"{one['x']}\n({one['fixed']})", ylabel="seconds", title=title)
        ax.title.set_fontsize(9)
        ax.set_xticks(x, labels=[f"{value:,}" if value < 10_000 else f"{value / 1e3:,.0f}k" for value in x])
        ax.set_yticks(median, labels=[f"{value:.2g}" for value in median])
        ax.minorticks_off()
    for ax in axes.flat[len(series) :]:
        ax.axis("off")
    if not series:
        axes[0, 0].text(0.5, 0.5, "not measured yet", ha="center")
    plt.show()


# Chapters 4 to 6


def labelled(axes: np.ndarray, split: Split, names: Sequence[str], both: str, **look) -> None:
    """The first training images with the names of their given labels; where one is wrong, of `both`."""
    for i, ax in enumerate(axes.flat):
        given, true = names[split.noisy[i]], names[split.train.labels[i]]
        ax.imshow(split.train.pixels[i].permute(1, 2, 0).squeeze().cpu(), cmap="gray")
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
