"""Pictures that are no figure of the paper."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

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
