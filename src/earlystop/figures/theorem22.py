"""Theorem 2.2 as a scaling law: time and distance over K, d, n, k, ε₀ and φ, each with its control without noise.

A full step is 1/σ₁(J)² at W₀, half of the largest stable one; times are counted in full steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from earlystop.adversary import broken_clusters, worst_inputs
from earlystop.data import Dataset, around_centers, clusterable_dataset, corrupt_clusters
from earlystop.descent import gradient_descent, largest_stable_step
from earlystop.figures.law import CLASSES, CLUSTERS, DIMS, RADII, RADIUS, SHARES, SIZES, STOP, UNITS, WIDTHS
from earlystop.figures.law_pictures import draw, draw_controls, draw_worst
from earlystop.jacobian import gram
from earlystop.metrics import error_rate
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, RELU, Activation, initial_weights, predict
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.theory import cluster_means, theorem_scales

ACTIVATIONS = {one.name: one for one in (ERF, GAUSSIAN_SOFTPLUS, RELU)}
PARTS = {"law": (0.2, 0), "path": (1.0, 9)}  # a step of descent in full steps, and the last look
LAW = {  # one thing changes, the others stay
    "samples": (100, 200, 800, 1600),
    "hidden_units": (100, 300, 3000),
    "input_noise": (0.02, 0.1, 0.2),
    "classes": (4, 8),
}


@dataclass(frozen=True)
class Theorem22(Sized):
    """The setting that one thing at a time departs from, when to stop, and how closely one looks."""

    samples: int = always(400, "samples, n", least=1, ours=True)
    dim: int = always(20, "dimension, d", least=2, ours=True)
    clusters: int = always(8, "clusters, K", least=2, ours=True)
    classes: int = always(2, "classes, K̄", least=2, ours=True)
    hidden_units: int = always(1000, "hidden units, k", least=2, ours=True)
    stop: int = always(3, "stop, in units of ‖C‖²/λ(C) full steps", least=1, ours=True)
    fresh: int = always(400, "fresh inputs", least=1, ours=True)
    seeds: int = sizes(1, 2, 5, "seeds", least=1, ours=True)


def settings(config: Theorem22) -> list[Cell]:
    """Every setting once: `share` is ρ in units of δ/8."""
    base = {key: getattr(config, key) for key in SIZES}
    law = {"part": "law", "activation": "erf", **base, "input_noise": RADIUS["law"]}
    grid = [law | {"activation": name, "dim": d, "clusters": K} for name in ACTIVATIONS for d in DIMS for K in CLUSTERS]
    changes = [law | {key: value} for key, values in LAW.items() for value in values]
    changes += [law | {"clusters": K, "hidden_units": k} for K in (2, 8, 32) for k in UNITS]
    path = law | {"part": "path", "input_noise": RADIUS["path"]}
    panels = [path | {"classes": c, "input_noise": r} for c in CLASSES for r in (0.02, 0.2)]
    panels += [path | {"classes": c, "hidden_units": k} for c in (2, 8) for k in WIDTHS]
    panels += [path | {"classes": c, "input_noise": r} for c in (2, 8) for r in RADII]
    pairs = [one | {"share": share} for one in grid + changes + panels for share in (0.0, 1.0)]
    beyond = [one | {"share": 1.6} for one in grid if one["activation"] == "erf"]
    rates = [path | {"classes": c, "share": share} for c in (2, 4, 8) for share in SHARES]
    distinct = {tuple(one.items()): one for one in pairs + beyond + rates}
    return list(distinct.values())


def cells(config: Theorem22) -> list[Cell]:
    """Every setting with every seed."""
    return [one | {"seed": seed} for one in settings(config) for seed in range(config.seeds)]


def load_data(cell: Cell) -> Dataset:
    """Samples at exactly ε₀ from their centers, on the sphere, with the cell's share of δ/8 corrupted in each."""
    clean = clusterable_dataset(
        cell["samples"], cell["clusters"], cell["dim"], n_classes=cell["classes"],
        input_noise=cell["input_noise"], noise="shell", seed=cell["seed"],
    )  # fmt: skip
    return corrupt_clusters(clean, cell["share"] * clean.label_separation / 8, cell["seed"])


def looks(stop: float, step: float, last: int) -> list[int]:
    """The iterations, with steps of this share of a full one, at which one looks: 2^(j/2) times the stop."""
    return [round(stop / step * 2 ** (j / 2)) for j in range(-STOP, last + 1)]


def lazy_plateau(start: Tensor, dataset: Dataset, means: Tensor, activation: Activation) -> float:
    """‖W - W₀‖ at which the network, linearized at W₀, outputs the mean given label of each cluster at its center."""
    firsts = torch.stack([means[dataset.clusters == one][0] for one in range(len(dataset.centers))])
    residual = (firsts - predict(start, dataset.centers, activation)).double()
    return (residual @ torch.linalg.pinv(gram(start, dataset.centers, activation).double()) @ residual).sqrt().item()


def since(holds: Tensor, step: float) -> float:
    """The first iteration after the start at which something holds, in full steps; -1 if it never does."""
    found = torch.nonzero(holds[1:])
    return (found[0].item() + 1) * step if len(found) else -1.0


def look(weights: Tensor, dataset: Dataset, fresh: Dataset, activation: Activation, seed: int) -> Run:
    """The share of training samples and of fresh inputs that are wrong, and of clusters in which some input is."""
    found = {}
    for name, one in (("train", dataset), ("fresh", fresh)):
        outputs = predict(weights, one.inputs, activation)
        found[name] = error_rate(outputs, one.clean_labels, one.classes).item()
    worst = worst_inputs(weights, dataset, activation, seed=seed)
    return found | {"worst": broken_clusters(predict(weights, worst.inputs, activation), worst)}


def run_cell(config: Theorem22, cell: Cell) -> Run:
    """One descent from plain weights: when it is right and settled, and what one sees at every look."""
    activation, dataset, (step, last) = ACTIVATIONS[cell["activation"]], load_data(cell), PARTS[cell["part"]]
    start = initial_weights(cell["hidden_units"], cell["dim"], seed=cell["seed"])
    limits = theorem_scales(dataset.centers, dataset.label_separation, activation)
    size = step / 2 * largest_stable_step(start, dataset.inputs, activation)
    fresh = around_centers(dataset, config.fresh, cell["seed"], noise="shell")
    means = cluster_means(dataset.labels, dataset.clusters)
    weights, done, outputs, seen, kept = start, 0, [], [], []
    for until in looks(config.stop * limits.iterations, step, last):
        path = gradient_descent(
            weights, dataset.inputs, dataset.labels, step_size=size, iterations=until - done,
            activation=activation, progress=lambda items, _: items,
        )  # fmt: skip
        weights, done = path.weights, until
        outputs.append(path.outputs[bool(outputs) :])  # the first are the last of before
        kept.append(weights)
        seen.append(look(weights, dataset, fresh, activation, cell["seed"]))
    every = torch.cat(outputs)
    right = error_rate(every, dataset.clean_labels, dataset.classes) == 0
    settled = (every - means).abs().amax(dim=1) <= dataset.label_separation / 4
    stopped, *later = kept[STOP:]
    found = {key: [one[key] for one in seen] for key in seen[0]}
    return found | {
        "right": since(right, step), "settled": since(settled, step),
        "distance": [(one - start).norm().item() for one in kept],
        "plateau": lazy_plateau(start, dataset, means, activation),
        "drift": (later[1] - stopped).norm().item() if later else 0.0,  # from the stop to twice its time
        "scale": limits.iterations, "norm": limits.center_norm, "smallest": limits.smallest_eigenvalue,
    }  # fmt: skip


def runs(config: Theorem22, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Each cell for itself, in about a second."""
    return [run_cell(config, cell) for cell in machine.progress(cells, "descents")]


def tiny(activation: str, machine: Machine) -> Numbers:
    """A small run of each part."""
    config = Theorem22.at("quick", samples=24, dim=5, clusters=3, hidden_units=16, stop=1, fresh=20)
    base = {**settings(config)[0], "activation": activation, "input_noise": 0.1, "share": 1.0}
    found = runs(config, [base | {"part": part, "seed": seed} for seed, part in enumerate(PARTS)], None, machine)
    return {f"{key} {part}": listed(one[key]) for one, part in zip(found, PARTS) for key in one}


def work(config: Theorem22) -> float:
    """What a cell costs: nearly the same at each size of the sweep."""
    return config.stop


EXPERIMENT = register(Experiment(
    name="theorem22",
    title="Theorem 2.2 as a scaling law: time, distance and errors over K, d, n, k, ε₀, ρ and φ",
    own=True,
    config=Theorem22,
    runs=runs,
    one_by_one=True,
    cells=cells,
    sweep={"seed": "seeds"},
    work=work,
    trials=({"stop": 1}, {"stop": 2}),
    deep=False,
    draw={"": draw, "-controls": draw_controls, "-worst": draw_worst},
    paths={name: ("float32", STACKED, lambda machine, name=name: tiny(name, machine)) for name in ACTIVATIONS},
))  # fmt: skip
