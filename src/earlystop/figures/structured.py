"""Noise that sticks together: a cluster, a subclass or kinds of samples with wrong labels, against random ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset, around_centers, clusterable_dataset, corrupt_clusters
from earlystop.descent import gradient, gradient_descent, largest_stable_step
from earlystop.figures import fig5
from earlystop.figures.bench import Bench, Problem, curves, problem, share
from earlystop.figures.splits import data_hashes, number
from earlystop.label_noise import corrupt, matched
from earlystop.metrics import error_rate, interval
from earlystop.network import initial_weights, predict
from earlystop.remedies import Remedy
from earlystop.runs.experiment import Cell, Experiment, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import always, sizes
from earlystop.streams import random_stream

KINDS = {  # of noise, by the part that compares them; "none" is the control
    "subclass": ("subclass", "spread", "none"),
    "samples": ("by sample", "matched", "uniform", "none"),
    "clusters": ("one cluster", "spread", "most of each cluster", "figure 5", "none"),
}
NAMES = {
    "one cluster": "one cluster, whole", "subclass": "nine tenths of the 4s", "by sample": "by sample",
    "matched": "same transition matrix", "uniform": "uniform", "spread": "as many, anywhere", "none": "no wrong label",
    "figure 5": "Figure 5's data", "most of each cluster": "most of each cluster",
}  # fmt: skip
HIT = 4  # the digit whose labels are wrong together
MOST = 0.6  # of each cluster's labels, where most are wrong


@dataclass(frozen=True)
class Structured(Bench):
    """Clusters, digits and samples of the same number of wrong labels, here together and there anywhere."""

    corruption_rate: float = always(0.3, "share of wrong labels by sample", ours=True, most=1)
    subclass_rate: float = always(0.9, "share of the 4s with a wrong label", ours=True, most=1)
    samples: int = number(200, 200, 200, "samples of the clusters", ours=True)
    clusters: int = always(10, "clusters", ours=True, least=2)
    dim: int = always(20, "dimension", ours=True, least=2)
    input_noise: float = always(0.3, "radius of a cluster, ε₀", ours=True)
    hidden_units: int = always(1000, "hidden units of the descent", ours=True, least=1)
    iterations: int = sizes(1000, 3000, 3000, "iterations of the descent", ours=True, least=1)
    seeds: int = sizes(5, 5, 5, "seeds", least=1)


def cells(config: Structured) -> list[Cell]:
    """Every kind of noise of every part, for every seed."""
    return [
        {"part": part, "noise": noise, "seed": seed}
        for part, kinds in KINDS.items()
        for noise in kinds
        for seed in range(config.seeds)
    ]


def runs(config: Structured, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, list[float]]]:
    """The curves of each cell, by what its part is."""
    return [PARTS[cell["part"]](config, cell["noise"], cell["seed"], machine) for cell in cells]


# ------------------------------------------------------------------------ clusters, by the book's own descent


def in_clusters(config: Structured, noise: str, seed: int) -> Dataset:
    """Two classes in clusters, and wrong labels: all of one cluster, as many anywhere, most of each; or Figure 5's."""
    if noise == "figure 5":
        return fig5.load_data(fig5.Figure5.at("paper"), seed, device="cpu")
    clean = clusterable_dataset(
        config.samples, config.clusters, config.dim, n_classes=2, input_noise=config.input_noise, seed=seed
    )
    if noise == "one cluster":
        wrong = clean.clusters == 0
        return replace(clean, labels=torch.where(wrong, -clean.labels, clean.labels), corrupted=wrong)
    rate = {"none": 0.0, "spread": 1 / config.clusters, "most of each cluster": MOST}[noise]
    return corrupt_clusters(clean, rate, seed=seed)


def along_descent(config: Structured, noise: str, seed: int, machine: Machine) -> dict[str, list[float]]:
    """Errors along gradient descent, and how the gradients of right and of wrong labels lie to each other.

    `true`, `given`: error on the training samples; `fresh`, on new samples of the clusters; `hit`, on new ones of the
    first cluster; `wrong`, share of wrong labels fitted. `cosine`: of the two sums of gradients, over samples with
    right and with wrong labels; `ratio`: of their lengths. `loss`: half the mean squared residual of labels as given.
    """
    data = in_clusters(config, noise, seed)
    fresh = around_centers(data, 2000, seed, "offset" if noise == "figure 5" else "cap").to(machine.device)
    data = data.to(machine.device)
    weights = initial_weights(config.hidden_units, data.inputs.shape[1], seed=seed).to(machine.device)
    step = 0.5 * largest_stable_step(weights, data.inputs)
    points = (torch.logspace(0, 1, 50, base=config.iterations + 1.0) - 1).round().long().unique().tolist()
    rows, done = [], 0
    for point in machine.progress(points, noise):
        weights = gradient_descent(
            weights, data.inputs, data.labels, step_size=step, iterations=point - done, progress=lambda items, _: items
        ).weights
        done = point
        rows.append({"time": float(point)} | errors(weights, data, fresh) | angle(weights, data))
    return {key: [row[key] for row in rows] for key in rows[0]}


def errors(weights: Tensor, data: Dataset, fresh: Dataset) -> dict[str, float]:
    """Errors on training samples and on fresh ones, and the share of wrong labels that is fitted."""
    outputs, new = predict(weights, data.inputs), predict(weights, fresh.inputs)
    first, wrong = fresh.clusters == 0, data.flipped
    fitted = 1 - error_rate(outputs[wrong], data.labels[wrong], data.classes).item() if wrong.any() else 0.0
    return {
        "true": error_rate(outputs, data.clean_labels, data.classes).item(),
        "given": error_rate(outputs, data.labels, data.classes).item(),
        "fresh": error_rate(new, fresh.labels, data.classes).item(),
        "hit": error_rate(new[first], fresh.labels[first], data.classes).item(),
        "wrong": fitted,
        "loss": 0.5 * (outputs - data.labels).square().mean().item(),
    }


def angle(weights: Float[Tensor, "k d"], data: Dataset) -> dict[str, float]:
    """The cosine of the summed gradients of right and of wrong labels, and the ratio of lengths; 0 without any."""
    if not data.flipped.any():
        return {"cosine": 0.0, "ratio": 0.0}
    right, wrong = (summed(weights, data, rows) for rows in (~data.flipped, data.flipped))
    return {
        "cosine": (right @ wrong / (right.norm() * wrong.norm())).item(),
        "ratio": (right.norm() / wrong.norm()).item(),
    }


def summed(weights: Float[Tensor, "k d"], data: Dataset, rows: Bool[Tensor, " n"]) -> Float[Tensor, " k*d"]:
    """The gradient of the loss of some samples by all weights."""
    return gradient(weights.double(), data.inputs[rows].double(), data.labels[rows].double()).flatten()


# ------------------------------------------------------------------------ images


def train(config: Structured, given: Problem, seed: int, machine: Machine, also: Callable[[Remedy], dict[str, float]]):
    """Curves of a training by cross-entropy, with what else is looked at."""
    machine = replace(machine, watched=False)
    found = curves(given, "cross_entropy", {}, config, seed, machine, also=also)
    wanted = ("test", "given", "memorized", "corrected", "loss")
    return {"time": [float(epoch) for epoch in found["epoch"]]} | {key: found[key] for key in (*wanted, "hit")}


def subclass(config: Structured, noise: str, seed: int, machine: Machine) -> dict[str, list[float]]:
    """Even digits against odd ones, the 4s mostly called odd, or as many wrong labels anywhere.

    `hit` is the accuracy on the 4s among the test images.
    """
    digits = problem(config, "none", 0.0, seed, device=machine.device)
    even_odd = replace(
        digits, given=parity(digits.true, noise, config.subclass_rate, seed), true=digits.true % 2,
        noisy_validation=digits.clean_validation % 2, clean_validation=digits.clean_validation % 2,
        test_labels=digits.test_labels % 2,
    )  # fmt: skip
    fours = digits.test_labels == HIT

    def hit(one: Remedy) -> dict[str, float]:
        return {"hit": share(one.outputs(digits.test[fours]).argmax(dim=1) == 0)}

    return train(config, even_odd, seed, machine, hit)


def parity(digits: Tensor, noise: str, rate: float, seed: int) -> Tensor:
    """Even, 0, or odd, 1: wrong for a share of the 4s, for as many digits of all kinds, or for none."""
    fours = (digits == HIT).nonzero()[:, 0]
    count, draw = round(rate * len(fours)) * (noise != "none"), random_stream(seed, f"wrong parity, {noise}")
    among = fours if noise == "subclass" else torch.arange(len(digits), device=digits.device)
    labels, rows = digits % 2, among[torch.randperm(len(among), generator=draw)[:count].to(digits.device)]
    labels[rows] = 1 - labels[rows]
    return labels


def by_sample(config: Structured, noise: str, seed: int, machine: Machine) -> dict[str, list[float]]:
    """Noise that depends on the sample, its labels dealt out again within each class, or uniform ones, as many.

    `hit` is the share of the test images that are answered as noise by sample would have them, where it has them wrong.
    """
    clean = problem(config, "none", 0.0, seed, device=machine.device)
    draw = partial(corrupt, corruption_rate=config.corruption_rate, kind="by sample", seed=seed)
    both, inputs = torch.cat([clean.true, clean.test_labels]), torch.cat([clean.inputs, clean.test])
    noisy, would_be = draw(both.cpu(), inputs=inputs.cpu()).split([len(clean.true), len(clean.test_labels)])
    true = clean.true.cpu()
    wrong = (noisy != true).double().mean().item()
    given = {"by sample": noisy, "matched": matched(true, noisy, seed), "none": true}
    labels = given.get(noise, corrupt(true, wrong, "uniform", seed=seed)).to(machine.device)
    rows = (would_be.to(machine.device) != clean.test_labels).nonzero()[:, 0]

    def hit(one: Remedy) -> dict[str, float]:
        return {"hit": share(one.outputs(clean.test[rows]).argmax(dim=1) == would_be.to(machine.device)[rows])}

    return train(config, replace(clean, given=labels), seed, machine, hit)


PARTS = {"clusters": along_descent, "subclass": subclass, "samples": by_sample}


# ------------------------------------------------------------------------ what a result says, one value for each seed


def picked(result: Result, part: str, noise: str, key: str) -> Float[Tensor, "seeds points"]:
    """A curve of all seeds with one kind of noise."""
    return result.numbers(key, part=part, noise=noise)


def best(result: Result, part: str, noise: str, key: str = "test") -> Float[Tensor, " seeds"]:
    """The highest point of a curve from epoch 1 on, chosen by true test labels, which nobody has."""
    return picked(result, part, noise, key)[:, 1:].max(dim=1).values


def last(result: Result, part: str, noise: str, key: str = "test") -> Float[Tensor, " seeds"]:
    """A curve's last point."""
    return picked(result, part, noise, key)[:, -1]


def gain(result: Result, part: str, noise: str) -> Float[Tensor, " seeds"]:
    """What the best stop gains over training to the end, in accuracy on test images."""
    return best(result, part, noise) - last(result, part, noise)


def lost(result: Result, part: str, noise: str) -> Float[Tensor, " seeds"]:
    """What the best stop still lacks of the best without wrong labels, in accuracy on test images."""
    return best(result, part, "none") - best(result, part, noise)


def floor(result: Result, noise: str = "one cluster") -> Float[Tensor, " seeds"]:
    """The smallest training error by true labels on the path of descent, in units of one cluster's share."""
    return picked(result, "clusters", noise, "true").min(dim=1).values * result["config"]["clusters"]


def subclass_kept(result: Result) -> Float[Tensor, " seeds"]:
    """How much more of its loss a stop leaves with a wrong subclass than with as many wrong labels anywhere."""
    return lost(result, "subclass", "subclass") - lost(result, "subclass", "spread")


def sample_kept(result: Result) -> Float[Tensor, " seeds"]:
    """How much more a stop loses to noise by sample than to the same transition matrix on other samples."""
    return lost(result, "samples", "by sample") - lost(result, "samples", "matched")


def class_kept(result: Result) -> Float[Tensor, " seeds"]:
    """How much more a stop loses to that transition matrix than to as many uniformly wrong labels."""
    return lost(result, "samples", "matched") - lost(result, "samples", "uniform")


def opposed(result: Result, noise: str = "spread") -> Float[Tensor, " seeds"]:
    """The cosine of the two summed gradients, its mean over the path but for the start."""
    return picked(result, "clusters", noise, "cosine")[:, 1:].mean(dim=1)


opposed_by_cluster = partial(opposed, noise="one cluster")


def even_at(result: Result, noise: str = "spread", level: float = 1.05) -> Float[Tensor, " seeds"]:
    """The first iteration at which the gradients of right labels are no longer 5 % longer than those of wrong ones."""
    below = picked(result, "clusters", noise, "ratio") <= level
    return picked(result, "clusters", noise, "time").where(below, torch.inf).min(dim=1).values


def fitted_at(result: Result, noise: str = "spread", level: float = 0.5) -> Float[Tensor, " seeds"]:
    """The iteration from which on half of the wrong labels are fitted for good; infinity if they never are."""
    times, fits = (picked(result, "clusters", noise, key) for key in ("time", "wrong"))
    under = (fits < level).long() * torch.arange(1, fits.shape[1] + 1)
    after = under.max(dim=1).values.clamp(max=fits.shape[1] - 1)
    return times.gather(1, after[:, None])[:, 0].where(fits[:, -1] >= level, torch.inf)


def warning(result: Result) -> Float[Tensor, " seeds"]:
    """How many times later half of the wrong labels are fitted than the gradients become equally long."""
    return fitted_at(result) / even_at(result).clamp(min=1)


def table(result: Result, part: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows: test accuracy at best and at the end; for a subclass that of the 4s at best, from epoch 1 on."""
    header = ["wrong labels", "best epoch", "last epoch"] + ["the 4s, at their best"] * (part == "subclass")
    rows = []
    for noise in KINDS[part]:
        found = [best(result, part, noise), last(result, part, noise)]
        found += [best(result, part, noise, "hit")] * (part == "subclass")
        rows.append([NAMES[noise], *(f"{values.mean():.1%}" for values in found)])
    return header, rows


def points(values: Float[Tensor, " seeds"]) -> str:
    """A mean share in points, with its 95 % interval."""
    low, high = interval(values)
    mean, low, high = (f"{100 * one:.1f}".replace("-", "−") for one in (values.mean().item(), low, high))
    return f"**{mean}** points (95 % interval {low} to {high})"


# ------------------------------------------------------------------------ pictures

LOOKS = {noise: look for kinds in KINDS.values() for noise, look in zip(kinds, plots.KINDS)}
LOOKS |= {"figure 5": plots.KINDS[3], "none": plots.CONTROL}


def panel(ax: Axes, result: Result, part: str, key: str, title: str, noises: Sequence[str] = ()) -> None:
    """The curves of a part, a band of seeds for each kind of noise."""
    for noise in noises or KINDS[part]:
        times = picked(result, part, noise, "time")[0] + (part == "clusters")
        plots.band(ax, times, picked(result, part, noise, key), NAMES[noise], **plots.line(LOOKS[noise]))
    ax.set(title=title)
    if part == "clusters":
        ax.set(xscale="log", xlabel="iteration + 1")
        plots.log_ticks(ax.xaxis)
    else:
        ax.set(xlabel="epoch")


def draw_clusters(result: Result) -> Figure:
    """Errors along the descent where a cluster is wrong as a whole, and where as many labels are wrong anywhere."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
    noises = ("one cluster", "spread", "none")
    panel(axes[0], result, "clusters", "true", "training error, true labels", noises)
    panel(axes[1], result, "clusters", "fresh", "error on fresh samples", noises)
    for ax in axes:
        ax.axhline(1 / result["config"]["clusters"], **plots.REFERENCE)
        ax.set(ylim=(-0.01, 0.5))
    axes[0].set(ylabel="error")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_subclass(result: Result) -> Figure:
    """Even against odd digits: accuracy on all test images and on the 4s."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
    panel(axes[0], result, "subclass", "test", "test accuracy, all digits")
    panel(axes[1], result, "subclass", "hit", "test accuracy, the 4s")
    axes[0].set(ylim=(0.8, 1.005), ylabel="accuracy")
    axes[1].set(ylim=(-0.02, 1.02))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_samples(result: Result) -> Figure:
    """Noise by sample, the same transition matrix, and uniform noise: test accuracy, and wrong labels memorized."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.6))
    panel(axes[0], result, "samples", "test", "test accuracy")
    panel(axes[1], result, "samples", "memorized", "wrong labels memorized", KINDS["samples"][:-1])
    axes[0].set(ylim=(0.6, 1.005))
    axes[1].set(ylim=(-0.02, 1.02))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def draw_angles(result: Result) -> Figure:
    """How the gradients of right and of wrong labels lie to each other along the descent, and what is fitted."""
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.6))
    noises = ("spread", "one cluster", "most of each cluster", "figure 5")
    panel(axes[0], result, "clusters", "cosine", "cosine of the two", noises)
    panel(axes[1], result, "clusters", "ratio", "length, right over wrong", noises)
    panel(axes[2], result, "clusters", "wrong", "wrong labels fitted", noises)
    axes[0].set(ylim=(-1.05, 1.05))
    axes[1].set(yscale="log")
    plots.log_ticks(axes[1].yaxis, (0.5, 1, 2, 5, 10))
    axes[1].axhline(1, **plots.REFERENCE)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def work(config: Structured) -> float:
    """Images that pass forward and back in a training, those only looked at counted a third."""
    looked_at = config.train_size + config.validation_size + config.test_size
    return config.epochs * config.train_size + (config.epochs + 1) * looked_at / 3


def tiny(part: str, machine: Machine) -> Numbers:
    """Losses, and the angle of the gradients, of small runs of each kind of noise."""
    config = Structured.at(
        "quick", train_size=40, validation_size=10, test_size=20, width=8, epochs=2, batch_size=16,
        samples=20, clusters=4, dim=5, hidden_units=16, iterations=20,
    )  # fmt: skip
    found = runs(config, [{"part": part, "noise": noise, "seed": 1} for noise in KINDS[part]], None, machine)
    return {key: listed([run[key] for run in found]) for key in ("loss", "cosine", "ratio") if key in found[0]}


EXPERIMENT = register(Experiment(
    name="structured",
    title="Wrong labels that stick together, against as many anywhere",
    own=True,
    config=Structured,
    runs=runs,
    one_by_one=True,
    cells=cells,
    sweep={"seed": "seeds"},
    work=work,
    trials=({"train_size": 256, "epochs": 1}, {"train_size": 256, "epochs": 3}),
    data=data_hashes,
    deep=False,
    draw={"": draw_clusters, "-subclass": draw_subclass, "-samples": draw_samples, "-angles": draw_angles},
    paths={part: ("float32", STACKED, partial(tiny, part)) for part in PARTS},
))  # fmt: skip
