"""The majority vote: what a network says of every sample, stopped early and trained to the end."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset, clusterable_dataset, corrupt_clusters
from earlystop.descent import gradient_descent, largest_stable_step
from earlystop.network import initial_weights

GROUPS = (
    (False, "given label is right", plots.RIGHT_COLOR, "o"),
    (True, "given label is wrong", plots.WRONG_COLOR, "D"),
)


def descend(iterations: int, seed: int = 1) -> tuple[Dataset, Tensor]:
    """Four clusters of 15 samples, 3 of them with a wrong label, and the outputs of a network along its descent."""
    clean = clusterable_dataset(60, 4, 20, n_classes=2, input_noise=0.3, noise="shell", seed=seed)
    noisy, start = corrupt_clusters(clean, 0.2, seed), initial_weights(1000, 20, seed=seed, paired=True)
    step = largest_stable_step(start, noisy.inputs) / 2
    return noisy, gradient_descent(start, noisy.inputs, noisy.labels, step_size=step, iterations=iterations).outputs


def draw(early: int = 10, late: int = 3000) -> Figure:
    """The outputs for all samples at an early and at a late iteration, beside the mean given label of each cluster."""
    noisy, outputs = descend(late)
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.5), sharey=True)
    for ax, at, title in zip(axes, (early, late), ("stopped early", "trained to the end")):
        draw_outputs(ax, noisy, outputs[at])
        ax.set(title=f"{title} (iteration {at:,})", xlabel="cluster", ylim=(-1.35, 1.35), yticks=(-1, 0, 1))
    axes[0].set(ylabel="output of the network")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw_outputs(ax: Axes, dataset: Dataset, outputs: Tensor) -> None:
    """One output for each sample, in the order of the clusters; shaded where it stands for the label -1."""
    for wrong, label, color, marker in GROUPS:
        rows = (dataset.flipped == wrong).nonzero()[:, 0]
        ax.plot(rows, outputs[rows], marker, color=color, label=label, markersize=5)
    middles = []
    for cluster in range(len(dataset.centers)):
        rows = (dataset.clusters == cluster).nonzero()[:, 0]
        middles.append(rows.double().mean())
        name = "mean given label" if cluster == 0 else None
        ends = rows[0] - 0.4, rows[-1] + 0.4
        ax.plot(ends, [dataset.labels[rows].mean()] * 2, label=name, **plots.REFERENCE)
    ax.axhspan(-2, 0, color="0.94", zorder=0)
    ax.set_xticks(middles, labels=[str(number) for number in range(1, len(middles) + 1)])
    ax.grid(axis="x", visible=False)
