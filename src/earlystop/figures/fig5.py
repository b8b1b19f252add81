"""Figure 5: gradient descent on two clusters, and what changes with ρ, ε₀, k and K."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset, around_centers, clusterable_dataset, corrupt_uniformly
from earlystop.descent import Trajectory, gradient_descent
from earlystop.figures.units import without_noise
from earlystop.metrics import auroc, error_rate, loss_shares, overlap, split_losses
from earlystop.network import ERF, Activation, initial_weights, predict
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine, here
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes

TOP_LOSS = 1.5  # where the histograms of losses end
SWEEPS = {
    "corruption_rate": (0.1, 0.2, 0.4, 0.5, 0.6, 0.8),
    "hidden_units": (30, 100, 300, 3000),
    "input_noise": (0.05, 0.1, 0.2, 0.3, 0.7),
    "clusters": (3, 4, 6, 8),
}
SWEEP_SHARE = 0.05  # of the seeds, for every setting of a sweep
SHOWN = ("corruption_rate", "clusters")  # of the sweeps, in the picture
STOPS = ("stopped early", "trained to the end")


@dataclass(frozen=True)
class Figure5(Sized):
    """Gradient descent on two clusters with corrupted labels: the paper's own sizes throughout."""

    samples: int = always(400, "samples, n", least=1)
    dim: int = always(20, "dimension, d", least=1)
    clusters: int = always(2, "clusters and classes, K", least=1)
    input_noise: float = always(0.5, "radius of a cluster, ε₀")
    corruption_rate: float = always(0.3, "share of labels drawn again, ρ′", most=1)
    hidden_units: int = always(1000, "hidden units, k", least=1)
    step_size: float = always(0.01, "step size, η", ours=True)
    early: int = always(80, "early iteration")
    iterations: int = always(4500, "last iteration")
    seeds: int = sizes(5, 20, 100, "seeds", least=1)

    @property
    def times(self) -> tuple[int, int]:
        """The early and the last iteration."""
        return min(self.early, self.iterations), self.iterations


def paper_cell(config: Any) -> Cell:
    """What the cells at the setting of a configuration share: its sizes, and the paper's recipe for inputs."""
    config = config if isinstance(config, dict) else vars(config)
    return {key: config[key] for key in SWEEPS} | {"noise": "offset"}


def cells(config: Figure5) -> list[Cell]:
    """Every seed at the paper's setting, and a twentieth of the seeds for each change of it.

    `noise` is the recipe for the inputs, "offset" the paper's.
    """
    base = paper_cell(config)
    few = max(1, round(SWEEP_SHARE * config.seeds))
    changes = [{key: value} for key, values in SWEEPS.items() for value in values]
    settings = [(base, config.seeds), (base | {"noise": "shell"}, few)]
    settings += [(base | change, few) for change in changes if base | change != base]
    return [cell | {"seed": seed} for cell, seeds in settings for seed in range(seeds)]


def load_data(config: Figure5, seed: int, noise: str = "offset", device: str | None = None) -> Dataset:
    """Figure 5's data; `noise="offset"` is the paper's recipe, "shell" obeys Definition 1.1."""
    labels = tuple(torch.linspace(0, 1, config.clusters).tolist())
    clean = clusterable_dataset(
        config.samples, config.clusters, config.dim,
        input_noise=config.input_noise, labels=labels, noise=noise, seed=seed,
    )  # fmt: skip
    return corrupt_uniformly(clean, config.corruption_rate, seed=seed).to(device or here().device)


def run(config: Figure5, seed: int, noise: str = "offset", activation: Activation = ERF) -> tuple[Dataset, Trajectory]:
    """One seed, in seconds: its data, and all iterations of gradient descent on it."""
    dataset = load_data(config, seed, noise)
    weights = initial_weights(config.hidden_units, config.dim, seed=seed).to(dataset.inputs.device)
    sizes = {"step_size": config.step_size, "iterations": config.iterations}
    return dataset, gradient_descent(weights, dataset.inputs, dataset.labels, activation=activation, **sizes)


def descend(config: Figure5, cells: Sequence[Cell], machine: Machine) -> tuple[list[Dataset], Trajectory, Trajectory]:
    """Data of several cells of one size, and their descent together until each of two iterations."""
    settings = [replace(config, **{key: cell[key] for key in SWEEPS}) for cell in cells]
    data = [load_data(s, c["seed"], c["noise"], machine.device) for s, c in zip(settings, cells)]
    start = [initial_weights(s.hidden_units, s.dim, seed=c["seed"]) for s, c in zip(settings, cells)]
    weights = torch.stack(start).to(machine.device)
    inputs, labels = (torch.stack([getattr(d, key) for d in data]) for key in ("inputs", "labels"))
    if len(cells) == 1:  # plain matrices are faster than a batch of one
        weights, inputs, labels = weights[0], inputs[0], labels[0]
    early, late = (
        gradient_descent(
            weights, inputs, labels, step_size=config.step_size, iterations=iterations, progress=machine.progress
        )
        for iterations in config.times
    )
    return data, early, late


def runs(config: Figure5, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """The `summary` of several cells of one size, which descend together in seconds."""
    data, early, late = descend(config, cells, machine)
    outputs = late.outputs.view(len(late.outputs), len(cells), -1).cpu()
    distance = late.distance.view(-1, len(cells)).cpu()
    weights = [run.weights.view(len(cells), -1, config.dim) for run in (early, late)]
    return [
        summary(config.times, cell, one.to("cpu"), outputs[:, i], distance[:, i], [w[i] for w in weights])
        for i, (cell, one) in enumerate(zip(cells, data))
    ]


def summary(times, cell: Cell, dataset: Dataset, outputs, distance, weights: list[Tensor]) -> Run:
    """What is kept of one run: curves over some iterations, losses at two of them."""
    points = (torch.logspace(0, 1, 60, base=times[1] + 1.0) - 1).round().long().tolist()
    points = sorted({*points, *times})
    classes, truth, flipped = dataset.classes, dataset.clean_labels, dataset.flipped
    fresh = around_centers(dataset, len(truth), cell["seed"], noise=cell["noise"])
    values: dict[str, Any] = {
        "flipped": flipped.float().mean(),
        "iteration": torch.tensor(points),
        "error_true": error_rate(outputs[points], truth, classes),
        "error_given": error_rate(outputs[points], dataset.labels, classes),
        "distance": distance[points],
    }
    for name, tau, w in zip(("early", "late"), times, weights):
        groups = split_losses((outputs[tau] - dataset.labels).square(), flipped)
        values[f"fresh_error_{name}"] = error_rate(predict(w.cpu(), fresh.inputs), fresh.labels, classes)
        values |= {f"clean_{name}": loss_shares(groups[0], TOP_LOSS)}
        values |= {f"flipped_{name}": loss_shares(groups[1], TOP_LOSS)}
        if len(groups[1]):
            values |= {f"auroc_{name}": auroc(*groups), f"overlap_{name}": overlap(*groups)}
    return values


def iterations_axis(ax: Axes) -> None:
    """Iterations from the first on, on a logarithmic axis with plain numbers."""
    ax.set(xscale="log", xlabel="iteration")
    plots.log_ticks(ax.xaxis)


def draw_errors(ax: Axes, given: Tensor, true: Tensor, flipped: float, words: str = "share of wrong labels") -> None:
    """Errors of several runs, seeds by iterations, against the given and against the true labels."""
    for errors, name, style in ((given, "given labels", plots.NOISY), (true, "true labels", plots.TRUE)):
        x = range(1, errors.shape[1])
        plots.band(ax, x, errors[:, 1:], f"against the {name}", **plots.line(style))
    ax.axhline(flipped, label=words, **plots.REFERENCE)
    iterations_axis(ax)


def draw(result: Result, clocks: Result | None = None) -> Figure:
    """Errors and distance along gradient descent, and losses at two iterations; the control is in `clocks`."""
    config, base = result["config"], paper_cell(result["config"])
    fig, axes = plt.subplots(2, 2, figsize=(7, 6))
    (errors, distance), histograms = axes
    iterations = result.numbers("iteration", **base)[0, 1:]
    for key, name, style in (("given", "given labels", plots.NOISY), ("true", "true labels", plots.TRUE)):
        found = result.numbers(f"error_{key}", **base)[:, 1:]
        plots.band(errors, iterations, found, f"against the {name}", **plots.line(style))
    if clocks:
        plots.band(errors, *without_noise(clocks, config["step_size"]), "no wrong labels", **plots.CONTROL)
    errors.axhline(flipped_share(result).mean(), label="share of wrong labels", **plots.REFERENCE)
    errors.set(title="error on the training samples", ylabel="share of the samples", ylim=(0, 0.6))
    errors.legend(fontsize=9)
    moved = result.numbers("distance", **base)[:, 1:]
    plots.band(distance, iterations, moved, "distance", **plots.line(plots.KINDS[0]))
    distance.set(title="distance from the start", ylabel="‖W − W₀‖", ylim=(0, None))
    for ax in (errors, distance):
        iterations_axis(ax)
        for mark in config["early"], config["iterations"]:
            ax.axvline(mark, color="0.7", linewidth=1, zorder=0)
    draw_losses(histograms, result)
    return fig


def draw_losses(axes: Sequence[Axes], result: Result) -> None:
    """Squared losses at the early and at the last iteration, of samples whose given label is right or wrong."""
    config, base = result["config"], paper_cell(result["config"])
    for ax, name, key in zip(axes, ("early", "late"), ("early", "iterations")):
        clean, flipped = (result.numbers(f"{group}_{name}", **base).mean(0) for group in ("clean", "flipped"))
        plots.share_bars(ax, clean, flipped, TOP_LOSS)
        ax.set(title=f"losses at iteration {config[key]:,}", xlabel="loss of a sample", xlim=(0, TOP_LOSS))
    axes[1].sharey(axes[0])
    axes[0].set(ylabel="share of its group", ylim=(0, 1))
    axes[0].legend(fontsize=9)


def draw_sweeps(result: Result, control: Result | None = None) -> Figure:
    """Error against the truth, early and late, as the noise or the number of clusters changes; that with its control.

    The first panel has its control in the picture of Figure 5 itself.
    """
    config, base = result["config"], paper_cell(result["config"])
    times = min(config["early"], config["iterations"]), config["iterations"]
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.9), sharey=True)
    for ax, key, name in zip(axes, SHOWN, ("labels drawn again, ρ′", "clusters and classes, K")):
        values = sorted({*SWEEPS[key], base[key]})
        for iteration, label, style in zip(times, STOPS, plots.KINDS):
            at = result["cells"][0]["iteration"].index(iteration)
            found = [result.numbers("error_true", **base | {key: value})[:, at] for value in values]
            mean, low, high = ([getattr(one, end)() for one in found] for end in ("mean", "min", "max"))
            ax.plot(values, mean, label=label, markersize=5, **style)
            ax.fill_between(values, low, high, color=style["color"], alpha=0.2, lw=0)
        ax.set(xlabel=name)
    if control:
        for iteration, label, style in zip(times, STOPS, plots.KINDS):
            look = plots.CONTROL | {"marker": style["marker"], "markersize": 4}
            errors = errors_at(control, iteration)
            plots.band(axes[1], SWEEPS["clusters"], errors, f"{label}, no wrong labels", **look)
    axes[0].set(ylabel="error, true labels", ylim=(0, None))
    fig.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def errors_at(control: Result, iteration: int) -> Tensor:
    """Errors against the truth of the control over K at an iteration: seeds by numbers of clusters."""
    at = control["cells"][0]["iteration"].index(iteration)
    return torch.stack([control.numbers("error_true", clusters=K)[:, at] for K in SWEEPS["clusters"]], dim=1)


def at_paper(result: Result, key: str) -> Tensor:
    """A number, or a curve, of every seed at the paper's own setting."""
    return result.numbers(key, **paper_cell(result["config"]))


def flipped_share(result: Result) -> Tensor:
    """The share of labels that are wrong."""
    return at_paper(result, "flipped")


def early_error(result: Result) -> Tensor:
    """The error by the true labels at the early iteration."""
    return at_paper(result, "error_true")[:, result["cells"][0]["iteration"].index(result["config"]["early"])]


def late_error_given(result: Result) -> Tensor:
    """The error by the given labels at the last iteration."""
    return at_paper(result, "error_given")[:, -1]


def late_gap(result: Result) -> Tensor:
    """How far the error by the true labels is from the share of flipped ones at the last iteration."""
    return (at_paper(result, "error_true")[:, -1] - flipped_share(result)).abs()


def early_order(result: Result) -> Tensor:
    """The AUROC of the early losses."""
    return at_paper(result, "auroc_early")


def late_overlap(result: Result) -> Tensor:
    """The area that the two histograms of the late losses share."""
    return at_paper(result, "overlap_late")


def fresh_harm(result: Result) -> Tensor:
    """By how much the late network errs more often than the early one on fresh inputs."""
    return fresh_error(result, "late") - fresh_error(result, "early")


def fresh_error(result: Result, when: str) -> Tensor:
    """How often the "early" or the "late" network errs on fresh inputs."""
    return at_paper(result, f"fresh_error_{when}")


def farther(result: Result) -> Tensor:
    """The distance from the start at the last iteration, in units of that at the early one."""
    moved, early = at_paper(result, "distance"), result["config"]["early"]
    return moved[:, -1] / moved[:, result["cells"][0]["iteration"].index(early)]


def center_distance(seeds: Sequence[int]) -> Tensor:
    """How far the two centers are apart."""
    centers = torch.stack([load_data(Figure5.at("paper"), seed, device="cpu").centers for seed in seeds]).double()
    return (centers[:, 0] - centers[:, 1]).norm(dim=1)


def tiny(count: int, clusters: int, machine: Machine) -> Numbers:
    """Outputs, distances and weights after some iterations, and the data."""
    config = Figure5.at(
        "quick", samples=24, dim=5, clusters=clusters, hidden_units=16, step_size=0.05, early=3, iterations=8
    )
    changes = [{}, {"noise": "shell"}, {"noise": "cap", "corruption_rate": 0.6}]
    cells = [paper_cell(config) | change | {"seed": seed} for seed, change in enumerate(changes[:count])]
    data, early, late = descend(config, cells, machine)
    fresh = [around_centers(d, 6, 1, noise=cell["noise"]).inputs for d, cell in zip(data, cells)]
    found = runs(config, cells, None, machine)
    numbers = {"distance": listed([run["distance"] for run in found]), "iteration": listed(found[0]["iteration"])}
    for name, trajectory in (("early", early), ("late", late)):
        numbers[f"outputs {name}"] = listed(trajectory.outputs[-1])
        numbers[f"weights {name}"] = listed(trajectory.weights.flatten(-2).norm(dim=-1))
    return numbers | {"inputs": listed([d.inputs[:3] for d in data]), "fresh inputs": listed(fresh)}


def tiny_summary(machine: Machine) -> Numbers:
    """What is kept of outputs that are given: errors, separation and histograms."""
    config = Figure5.at("quick", samples=24, dim=5, iterations=8, early=3)
    cell = paper_cell(config) | {"noise": "shell", "seed": 3}
    dataset = load_data(config, 3, "shell", "cpu")
    share = torch.linspace(0.9, 0.05, 9)[:, None]  # from the truth to the given labels
    outputs = share * dataset.clean_labels + (1 - share) * dataset.labels + 0.0137 * (torch.arange(24) % 5)
    weights = [torch.ones(4, 5), -torch.ones(4, 5)]
    kept = summary((3, 8), cell, dataset, outputs, torch.linspace(0, 1, 9), weights)
    return {key: listed(value) for key, value in kept.items() if not key.startswith("fresh")}


EXPERIMENT = register(Experiment(
    name="fig5",
    title="Figure 5: iterates of gradient descent on two clusters, and sweeps over ρ, ε₀, k, K",
    config=Figure5,
    runs=runs,
    cells=cells,
    sweep={"seed": "seeds"},
    together=("hidden_units", "clusters"),
    work=lambda config: config.iterations,
    trials=({"iterations": 200}, {"iterations": 400}),
    deep=False,
    draw={"": draw, "-sweeps": draw_sweeps},
    paths={
        "three together": ("float32", STACKED, partial(tiny, 3, 2)),
        "one alone, three clusters": ("float32", STACKED, partial(tiny, 1, 3)),
        "summary": ("float32", STACKED, tiny_summary),
    },
))  # fmt: skip
