"""Figure 5: gradient descent on two clusters, and what changes with ρ, ε₀, k and K."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from earlystop.data import Dataset, around_centers, clusterable_dataset, corrupt_uniformly
from earlystop.descent import Trajectory, gradient_descent
from earlystop.metrics import auroc, error_rate, loss_shares, overlap, split_losses
from earlystop.network import ERF, Activation, initial_weights, predict
from earlystop.scale import Cell, Sized, Way, device, sizes

TOP_LOSS = 1.5  # where the histograms of losses end


@dataclass(frozen=True)
class Figure5(Sized):
    """Gradient descent on two clusters with corrupted labels: the paper's own sizes throughout."""

    samples: int = sizes(400, 400, 400, "samples, n")
    dim: int = sizes(20, 20, 20, "dimension, d")
    clusters: int = sizes(2, 2, 2, "clusters and classes, K")
    input_noise: float = sizes(0.5, 0.5, 0.5, "radius of a cluster, ε₀")
    corruption_rate: float = sizes(0.3, 0.3, 0.3, "share of labels drawn again, ρ")
    hidden_units: int = sizes(1000, 1000, 1000, "hidden units, k")
    step_size: float = sizes(0.01, 0.01, 0.01, "step size, η (our choice)")
    early: int = sizes(80, 80, 80, "early iteration")
    iterations: int = sizes(4500, 4500, 4500, "last iteration")
    seeds: int = sizes(5, 20, 100, "seeds")


SWEEPS = {
    "corruption_rate": (0.1, 0.2, 0.4, 0.5, 0.6, 0.8),
    "hidden_units": (30, 100, 300, 3000),
    "input_noise": (0.05, 0.1, 0.2, 0.3, 0.7),
    "clusters": (3, 4, 6, 8),
}
SWEEP_SHARE = 0.05  # of the seeds, for every setting of a sweep


def figure5_cells(config: Figure5) -> list[Cell]:
    """Every seed at the paper's setting, and a twentieth of the seeds for each change of it.

    `noise` is the recipe for the inputs, "offset" the paper's.
    """
    base = {key: getattr(config, key) for key in SWEEPS} | {"noise": "offset"}
    few = max(1, round(SWEEP_SHARE * config.seeds))
    changes = [{key: value} for key, values in SWEEPS.items() for value in values]
    settings = [(base, config.seeds), (base | {"noise": "shell"}, few)]
    settings += [(base | change, few) for change in changes if base | change != base]
    return [cell | {"seed": seed} for cell, seeds in settings for seed in range(seeds)]


def figure5_data(config: Figure5, seed: int, noise: str = "offset") -> Dataset:
    """Figure 5's data; `noise="offset"` is the paper's recipe, "shell" obeys Definition 1.1."""
    labels = tuple(torch.linspace(0, 1, config.clusters).tolist())
    clean = clusterable_dataset(
        config.samples,
        config.clusters,
        config.dim,
        input_noise=config.input_noise,
        labels=labels,
        noise=noise,
        seed=seed,
    )
    return corrupt_uniformly(clean, config.corruption_rate, seed=seed).to(device())


def figure5_run(
    config: Figure5, seed: int, noise: str = "offset", activation: Activation = ERF
) -> tuple[Dataset, Trajectory]:
    """One seed of Figure 5: its data, and all iterations of gradient descent on it."""
    dataset = figure5_data(config, seed, noise)
    weights = initial_weights(config.hidden_units, config.dim, seed=seed).to(device())
    return dataset, gradient_descent(
        weights,
        dataset.inputs,
        dataset.labels,
        step_size=config.step_size,
        iterations=config.iterations,
        activation=activation,
    )


def figure5_descents(config: Figure5, cells: list[Cell]) -> tuple[list[Dataset], Trajectory, Trajectory]:
    """Data of several cells of one size, and their descent together until each of two iterations."""
    settings = [dataclasses.replace(config, **{key: cell[key] for key in SWEEPS}) for cell in cells]
    data = [figure5_data(s, c["seed"], c["noise"]) for s, c in zip(settings, cells)]
    start = torch.stack([initial_weights(s.hidden_units, s.dim, seed=c["seed"]) for s, c in zip(settings, cells)]).to(
        device()
    )
    inputs, labels = (torch.stack([getattr(d, key) for d in data]) for key in ("inputs", "labels"))
    if len(cells) == 1:  # plain matrices are faster than a batch of one
        start, inputs, labels = start[0], inputs[0], labels[0]

    def descend(iterations: int) -> Trajectory:
        return gradient_descent(start, inputs, labels, step_size=config.step_size, iterations=iterations)

    early, late = (descend(iterations) for iterations in _times(config))
    return data, early, late


def _times(config: Figure5) -> tuple[int, int]:
    """The early and the last iteration."""
    return min(config.early, config.iterations), config.iterations


def figure5_runs(config: Figure5, cells: list[Cell], checkpoint: Any = None, way: Way = Way()) -> list[dict]:
    """The `summary` of several cells of one size, which descend together."""
    data, early, late = figure5_descents(config, cells)
    outputs = late.outputs.view(len(late.outputs), len(cells), -1).cpu()
    distance = late.distance.view(-1, len(cells)).cpu()
    weights = [run.weights.view(len(cells), -1, config.dim) for run in (early, late)]
    return [
        summary(_times(config), cell, one.to("cpu"), outputs[:, i], distance[:, i], [w[i] for w in weights])
        for i, (cell, one) in enumerate(zip(cells, data))
    ]


def summary(times, cell, dataset, outputs, distance, weights: list[Tensor]) -> dict:
    """What is kept of one run: curves over some iterations, losses at two of them."""
    points = (torch.logspace(0, 1, 60, base=times[1] + 1.0) - 1).round().long().tolist()
    points = sorted({*points, *times})
    classes, truth, flipped = dataset.classes, dataset.clean_labels, dataset.flipped
    fresh = around_centers(dataset, len(truth), cell["seed"], noise=cell["noise"])
    values = {
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
