"""Fingerprints: the numbers of tiny runs of an experiment, by which its stored results stand or fall.

A result holds the fingerprint of the code that computed it. As long as today's code gives these
numbers again, the result is what this code would compute, however the code is written.
"""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any
from unittest.mock import patch

import torch

from earlystop import figure1, figure4ab, figure4c, figure5
from earlystop.data import around_centers
from earlystop.provenance import now
from earlystop.scale import Way
from earlystop.store import plain
from earlystop.training import ImageStack, Stack, TrainingStep, adadelta, evaluate_stack, least_squares

Numbers = dict[str, list[float]]  # a quantity and its numbers, whatever their shape was
TINY = {"train_size": 24, "batch_size": 16, "epochs": 4}  # eight steps, each second one shorter
STACKED, SIDE_BY_SIDE = (
    Way(path, every_epoch_until=1, then_every=3, evaluated=10, calibrated=32, tile=32)
    for path in ("stacked", "side by side")
)  # limits that a tiny run reaches


@contextmanager
def tiny(precision: str) -> Iterator[None]:
    """On the CPU with one thread, in this precision, without a bar."""
    threads = torch.get_num_threads()
    environment = {"EARLYSTOP_DEVICE": "cpu", "EARLYSTOP_PRECISION": precision, "TQDM_DISABLE": "1",
                   "EARLYSTOP_PROGRESS": ""}  # fmt: skip
    with patch.dict(os.environ, environment):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def listed(values: object) -> list[float]:
    """All numbers of a tensor or of nested lists, in order."""
    if isinstance(values, (list, tuple)):
        return [number for one in values for number in listed(one)]
    return [float(number) for number in torch.as_tensor(values).double().flatten().tolist()]


def cells_of(count: int, **more: object) -> list[dict]:
    """Cells of different corruption rates and seeds."""
    levels = ((0.5, 0), (1.0, 1), (0.0, 2))
    return [{"corruption_rate": rate, "seed": seed, **more} for rate, seed in levels[:count]]


def fig1(count: int, loss: str, way: Way, streams: str = "shared") -> Numbers:
    """Mean losses on every part of the data along a training of Figure 1."""
    config = figure1.Figure1.at("quick", validation_size=20, test_size=30, widths=(8, 8, 16), streams=streams, **TINY)
    runs = figure1.figure1_runs(config, cells_of(count, loss=loss), way=way)
    parts = ("noisy", "true", "test", "validation", "noisy_validation")
    curves = {f"{part} loss": listed([run[f"{part}_loss"] for run in runs]) for part in parts}
    return {"epoch": listed(runs[0]["epoch"]), **curves}


def rounded(way: Way) -> Numbers:
    """Which share of outputs and gradients are numbers of bfloat16: rounding itself hides in losses."""
    split = figure1.load_split("digits", 24, 0, 0.5)
    nets = [figure1.conv_net((1, 8, 8), (8, 8, 16), seed=seed) for seed in (0, 1)]
    stack, images = Stack(nets, way), ImageStack.of([split.train] * 2, [split.train] * 2)
    labels = torch.stack([split.noisy] * 2)
    step = TrainingStep(stack, images, labels, adadelta(stack), least_squares)
    step(torch.arange(16).expand(2, 16))
    gradients = torch.cat([weight.grad.flatten() for weight in stack.parameters.values()])
    found = {"outputs": evaluate_stack(stack, images), "gradients": gradients}
    return {key: listed((v.bfloat16() == v).double().mean()) for key, v in found.items()}


def fig3(count: int, way: Way) -> Numbers:
    """Distances from initialization and losses along a training of Figure 3."""
    config = figure1.Figure3.at("quick", widths=(8, 8, 16), **TINY)
    runs = figure1.figure3_runs(config, cells_of(count), way=way)
    keys = ("epoch", "distance", "distance_per_layer", "loss")
    return {key: listed([run[key] for run in runs]) for key in keys}


def fig4ab(count: int, depth: int, each: bool, way: Way, optimizer: str = "adam", streams: str = "shared") -> Numbers:
    """Losses along a training of Figures 4a and 4b, of every sample or their mean, and of others."""
    config = figure4ab.Figure4ab.at(
        "quick", data="patterns", validation_size=20, test_size=30, depth=depth, width=4,
        optimizer=optimizer, streams=streams, **TINY,
    )  # fmt: skip
    runs = figure4ab.figure4ab_histories(config, cells_of(count), way=way)
    losses = [run.losses if each else run.losses.mean(dim=1) for run in runs]
    parts = ("validation", "test")
    curves = {f"{part} loss": listed([run.curves[f"{part}_loss"] for run in runs]) for part in parts}
    return {"epoch": listed(runs[0].curves["epoch"]), "losses": listed(losses), **curves}


def fig4ab_summary(fitted: float, way: Way) -> Numbers:
    """What is kept of losses that are given: means, separation, histograms, stopping times.

    At the third time the share `fitted` of the given labels is reproduced.
    """
    samples, times = torch.arange(60), 5
    flipped = samples % 3 == 0
    steps = torch.arange(times)[:, None]
    losses = 0.013 + 0.011 * samples + torch.where(flipped, 0.4 - 0.07 * steps, 0.1 - 0.02 * steps)
    curves = {"epoch": [0, 1, 2, 3, 4], "noisy": [0.1, 0.4, fitted, 0.75, 0.9], "true": [0.1, 0.5, 0.8, 0.7, 0.6],
              "validation": [0.1, 0.6, 0.5, 0.6, 0.2], "test": [0.1, 0.5, 0.6, 0.5, 0.4]}  # fmt: skip
    kept = figure4ab.summary(figure4ab.LossHistory(losses, flipped, curves), 0.4)
    return {key: listed(value) for key, value in kept.items()}


def fig4c(head: str, held: int, way: Way) -> Numbers:
    """The largest singular values before and after a training of Figure 4c, and the labels' energy.

    About `held` of the 80 rows of the Jacobian are held at a time.
    """
    config = figure4c.Figure4c.at("quick", data="patterns", samples=80, width=4, batch_size=32, epochs=2, depth=8)
    way = dataclasses.replace(way, jacobian_bytes=held * 5_000 * 4.0)  # about 5,000 weights
    (run,) = figure4c.figure4c_runs(config, [{"head": head, "seed": 1}], way=way)
    found = {}
    for name in ("before", "after"):
        for key, count in (("singular_values", 8), ("labels_within", 4), ("flips_within", 4)):
            found[f"{key} {name}"] = listed(run[f"{key}_{name}"][:count])
    return found


def fig5(count: int, clusters: int, way: Way) -> Numbers:
    """Outputs, distances and weights after some iterations of Figure 5, and its data."""
    config = figure5.Figure5.at(
        "quick", samples=24, dim=5, clusters=clusters, hidden_units=16, step_size=0.05, early=3, iterations=8
    )
    base = {key: getattr(config, key) for key in figure5.SWEEPS}
    changes = [{"noise": "offset"}, {"noise": "shell"}, {"noise": "cap", "corruption_rate": 0.6}]
    cells = [base | change | {"seed": seed} for seed, change in enumerate(changes[:count])]
    data, early, late = figure5.figure5_descents(config, cells)
    fresh = [around_centers(d, 6, 1, noise=cell["noise"]).inputs for d, cell in zip(data, cells)]
    runs = figure5.figure5_runs(config, cells, way=way)
    found = {"distance": listed([run["distance"] for run in runs]), "iteration": listed(runs[0]["iteration"])}
    for name, trajectory in (("early", early), ("late", late)):
        found[f"outputs {name}"] = listed(trajectory.outputs[-1])
        found[f"weights {name}"] = listed(trajectory.weights.flatten(-2).norm(dim=-1))
    return found | {"inputs": listed([d.inputs[:3] for d in data]), "fresh inputs": listed(fresh)}


def fig5_summary(way: Way) -> Numbers:
    """What is kept of outputs that are given: errors, separation and histograms."""
    config = figure5.Figure5.at("quick", samples=24, dim=5, iterations=8, early=3)
    cell = {key: getattr(config, key) for key in figure5.SWEEPS} | {"noise": "shell", "seed": 3}
    dataset = figure5.figure5_data(config, 3, "shell")
    share = torch.linspace(0.9, 0.05, 9)[:, None]  # from the truth to the given labels
    outputs = share * dataset.clean_labels + (1 - share) * dataset.labels + 0.0137 * (torch.arange(24) % 5)
    weights = [torch.ones(4, 5), -torch.ones(4, 5)]
    kept = figure5.summary((3, 8), cell, dataset, outputs, torch.linspace(0, 1, 9), weights)
    return {key: listed(value) for key, value in kept.items() if not key.startswith("fresh")}


Compute = Callable[[Way], Numbers]
ROUNDED: dict[str, tuple[str, Way, Compute]] = {
    "rounded to bfloat16": ("bfloat16", STACKED, rounded),
    "rounded to bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, rounded),
}
# Every experiment's paths: a name, the precision, the way of a step, and the tiny run.
PATHS: dict[str, dict[str, tuple[str, Way, Compute]]] = {
    "fig1": {
        "stacked": ("float32", STACKED, partial(fig1, 3, "least_squares")),
        "separate streams": ("float32", STACKED, partial(fig1, 3, "least_squares", streams="separate")),
        "side by side": ("float32", SIDE_BY_SIDE, partial(fig1, 3, "least_squares")),
        "one alone, cross-entropy": ("float32", STACKED, partial(fig1, 1, "cross_entropy")),
        "side by side, cross-entropy": ("float32", SIDE_BY_SIDE, partial(fig1, 3, "cross_entropy")),
        "bfloat16": ("bfloat16", STACKED, partial(fig1, 3, "least_squares")),
        "bfloat16, side by side, cross-entropy": ("bfloat16", SIDE_BY_SIDE, partial(fig1, 3, "cross_entropy")),
        **ROUNDED,
    },
    "fig3": {
        "stacked": ("float32", STACKED, partial(fig3, 3)),
        "side by side": ("float32", SIDE_BY_SIDE, partial(fig3, 3)),
        "one alone": ("float32", STACKED, partial(fig3, 1)),
        "bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, partial(fig3, 3)),
        **ROUNDED,
    },
    "fig4ab": {
        "stacked": ("float32", STACKED, partial(fig4ab, 3, 8, True)),
        "separate streams": ("float32", STACKED, partial(fig4ab, 3, 8, True, streams="separate")),
        "Adadelta": ("float32", STACKED, partial(fig4ab, 1, 8, True, optimizer="adadelta")),
        "momentum": ("float32", STACKED, partial(fig4ab, 1, 8, True, optimizer="momentum")),
        "side by side, depth 14": ("float32", SIDE_BY_SIDE, partial(fig4ab, 2, 14, True)),
        "one alone": ("float32", STACKED, partial(fig4ab, 1, 8, True)),
        "bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, partial(fig4ab, 3, 8, False)),
        "summary": ("float32", STACKED, partial(fig4ab_summary, 0.64)),
        "summary, not yet at 1 − 0.9ρ": ("float32", STACKED, partial(fig4ab_summary, 0.62)),
        **ROUNDED,
    },
    "fig4c": {
        "single": ("float32", STACKED, partial(fig4c, "single", 1000)),
        "difference, in parts": ("float32", SIDE_BY_SIDE, partial(fig4c, "difference", 50)),
        "bfloat16": ("bfloat16", SIDE_BY_SIDE, partial(fig4c, "single", 1000)),
        **ROUNDED,
    },
    "fig5": {
        "three together": ("float32", STACKED, partial(fig5, 3, 2)),
        "one alone, three clusters": ("float32", STACKED, partial(fig5, 1, 3)),
        "summary": ("float32", STACKED, fig5_summary),
    },
}


def fingerprint(experiment: str) -> dict[str, Numbers]:
    """The numbers of all paths of an experiment, by the code as it is; none for one of your own."""
    found = {}
    for name, (precision, way, compute) in PATHS.get(experiment, {}).items():
        with tiny(precision):
            found[name] = plain(compute(way))
    return found


today = lru_cache(fingerprint)  # the code of a process stays what it is


def record(experiment: str) -> dict[str, Any]:
    """The fingerprint as a result holds it: with torch, machine and date."""
    return {
        "numbers": today(experiment),
        "torch": torch.__version__,
        "device": f"cpu ({platform.machine()})",
        "taken": now(),
        "how": "by the code and on the machine of the run",
    }


def differences(experiment: str, stored: dict[str, Numbers], now: dict[str, Numbers]) -> list[str]:
    """What the code gives otherwise `now`: for each stored path the first quantity that differs.

    Numbers agree within 0.1 % (2 % where they were computed in bfloat16). A path that was not yet
    there says nothing.
    """
    found = []
    for path in stored:
        then, here = stored.get(path, {}), now.get(path, {})
        share, least = (2e-2, 2e-2) if "bfloat16" in path else (1e-3, 1e-5)
        for key in dict.fromkeys([*then, *here]):
            old, new = then.get(key, []), here.get(key, [])
            pairs = [(a, b) for a, b in zip(old, new) if not abs(a - b) <= share * abs(a) + least]
            if pairs or len(old) != len(new):
                a, b = pairs[0] if pairs else (f"{len(old)} numbers", f"{len(new)}")
                told = f"{a:.4g} → {b:.4g}" if pairs else f"{a} → {b}"
                found.append(f"{experiment}, {path}: {key} {told}")
                break
    return found


def changed(experiment: str, content: dict[str, Any]) -> list[str]:
    """What today's code gives otherwise than the fingerprint in `content` says, in words."""
    numbers = content.get("fingerprint", {}).get("numbers")
    if not numbers:
        return [f"{experiment}: no fingerprint tells whether its code gives the same numbers still"]
    return differences(experiment, numbers, today(experiment))
