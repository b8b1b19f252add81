"""Fingerprints: the numbers of tiny runs of an experiment, by which its stored results stand or fall.

A result holds the fingerprint of the code that computed it. As long as today's code gives these
numbers again, the result is what this code would compute, however the code is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from earlystop import figure1, figure4ab, figure4c, figure5, jacobian, training
from earlystop.images import Images
from earlystop.scale import random_stream
from earlystop.store import plain

Numbers = dict[str, list[float]]  # a quantity and its numbers, whatever their shape was
LOW = {"EVERY_EPOCH_UNTIL": 1, "THEN_EVERY": 3}  # thresholds that eight steps reach
TINY = {"train_size": 24, "batch_size": 16, "epochs": 4}  # eight steps, each second one shorter


def patterns(_name: str, split: str = "train") -> Images:
    """Random images in three colours and ten classes, for what the digits do not have."""
    draw = random_stream(len(split), "patterns")
    pixels = torch.randint(256, (500, 3, 8, 8), generator=draw, dtype=torch.uint8)
    return Images(pixels, torch.arange(500) % 10, "patterns")


def one_by_one(stack: training.Stack, inputs: Tensor) -> Tensor:
    """Outputs of a stack network by network."""
    return torch.stack([stack.one(run, stack.weights(run), x) for run, x in enumerate(inputs)])


@contextmanager
def tiny(precision: str, side_by_side: bool) -> Iterator[ExitStack]:
    """On the CPU with one thread, in this precision, by one of the two ways of a step."""
    threads = torch.get_num_threads()
    environment = {"EARLYSTOP_DEVICE": "cpu", "EARLYSTOP_PRECISION": precision, "TQDM_DISABLE": "1",
                   "EARLYSTOP_PROGRESS": ""}  # fmt: skip
    with ExitStack() as stack, patch.dict("os.environ", environment):
        stack.callback(torch.set_num_threads, threads)
        torch.set_num_threads(1)
        for name, value in LOW.items():
            stack.enter_context(patch.object(training, name, value))
        stack.enter_context(patch.object(jacobian, "TILE", 32))
        few = partial(training.evaluate_stack, batch_size=10)
        for module in (figure1, figure4ab):
            stack.enter_context(patch.object(module, "evaluate_stack", few))
        calibrate = partial(figure4c.calibrate, batch_size=32)
        stack.enter_context(patch.object(figure4c, "calibrate", calibrate))
        if side_by_side:
            step = training.TrainingStep
            stack.enter_context(patch.object(step, "stacked", step.side_by_side))
            stack.enter_context(patch.object(training.Stack, "__call__", one_by_one))
        yield stack


def listed(values: object) -> list[float]:
    """All numbers of a tensor or of nested lists, in order."""
    if isinstance(values, (list, tuple)):
        return [number for one in values for number in listed(one)]
    return [float(number) for number in torch.as_tensor(values).double().flatten().tolist()]


def cells_of(count: int, **more: object) -> list[dict]:
    """Cells of different corruption rates and seeds."""
    levels = ((0.5, 0), (1.0, 1), (0.0, 2))
    return [{"corruption_rate": rate, "seed": seed, **more} for rate, seed in levels[:count]]


def losses_of(module: object, loss: training.Loss, stack: ExitStack) -> list[list[float]]:
    """A list to which every call of the module's `accuracy` adds the mean losses of its runs."""
    seen: list[list[float]] = []
    accuracy = training.accuracy

    def noting(outputs: Tensor, labels: Tensor) -> Tensor:
        seen.append(loss(outputs, labels).mean(dim=-1).tolist())
        return accuracy(outputs, labels)

    stack.enter_context(patch.object(module, "accuracy", noting))
    return seen


def fig1(count: int, loss: str, stack: ExitStack) -> Numbers:
    """Mean losses on every part of the data along a training of Figure 1."""
    config = figure1.Figure1.at("quick", validation_size=20, test_size=30, widths=(8, 8, 16), **TINY)
    seen = losses_of(figure1, training.LOSSES[loss], stack)
    runs = figure1.figure1_runs(config, cells_of(count, loss=loss))
    parts = ("noisy", "true", "test", "validation", "noisy_validation")
    curves = {f"{part} loss": listed(list(zip(*seen[i::5]))) for i, part in enumerate(parts)}
    return {"epoch": listed(runs[0]["epoch"]), **curves}


def fig3(count: int, stack: ExitStack) -> Numbers:
    """Distances from initialization and losses along a training of Figure 3."""
    config = figure1.Figure3.at("quick", widths=(8, 8, 16), **TINY)
    runs = figure1.figure3_runs(config, cells_of(count))
    keys = ("epoch", "distance", "distance_per_layer", "loss")
    return {key: listed([run[key] for run in runs]) for key in keys}


def fig4ab(count: int, depth: int, each: bool, stack: ExitStack) -> Numbers:
    """Losses along a training of Figures 4a and 4b, of every sample or their mean, and of others."""
    stack.enter_context(patch.object(figure1, "_images", patterns))
    config = figure4ab.Figure4ab.at("quick", validation_size=20, test_size=30, depth=depth, width=4, **TINY)
    seen = losses_of(figure4ab, training.least_squares, stack)
    runs = figure4ab.figure4ab_histories(config, cells_of(count))
    # the calls of `accuracy` in their order: validation, test, and twice for training images
    curves = {f"{part} loss": listed(list(zip(*seen[i::4]))) for i, part in enumerate(("validation", "test"))}
    losses = [run.losses if each else run.losses.mean(dim=1) for run in runs]
    return {"epoch": listed(runs[0].curves["epoch"]), "losses": listed(losses), **curves}


def fig4ab_summary(stack: ExitStack) -> Numbers:
    """What is kept of losses that are given: means, separation, histograms, stopping times."""
    samples, times = torch.arange(60), 5
    flipped = samples % 3 == 0
    steps = torch.arange(times)[:, None]
    losses = 0.013 + 0.011 * samples + torch.where(flipped, 0.4 - 0.07 * steps, 0.1 - 0.02 * steps)
    curves = {"epoch": [0, 1, 2, 3, 4], "noisy": [0.1, 0.4, 0.64, 0.75, 0.9], "true": [0.1, 0.5, 0.8, 0.7, 0.6],
              "validation": [0.1, 0.6, 0.5, 0.6, 0.2], "test": [0.1, 0.5, 0.6, 0.5, 0.4]}  # fmt: skip
    history = figure4ab.LossHistory(losses, flipped, curves)
    stack.enter_context(patch.object(figure4ab, "figure4ab_histories", lambda *_: [history]))
    (kept,) = figure4ab.figure4ab_runs(figure4ab.Figure4ab.at("quick"), [{"corruption_rate": 0.4, "seed": 0}])
    return {key: listed(value) for key, value in kept.items()}


def fig4c(head: str, held: int, stack: ExitStack) -> Numbers:
    """The largest singular values before and after a training of Figure 4c, and the labels' energy."""
    stack.enter_context(patch.object(figure4c, "load_images", patterns))
    config = figure4c.Figure4c.at("quick", samples=80, width=4, batch_size=32, epochs=2, depth=8)
    parameters = 5_000  # about as many as the network has
    stack.enter_context(patch.object(jacobian, "MOST_BYTES", held * parameters * 4.0))
    (run,) = figure4c.figure4c_runs(config, [{"head": head, "seed": 1}])
    found = {}
    for name in ("before", "after"):
        for key, count in (("singular_values", 8), ("labels_within", 4), ("flips_within", 4)):
            found[f"{key} {name}"] = listed(run[f"{key}_{name}"][:count])
    return found


def fig5(count: int, clusters: int, stack: ExitStack) -> Numbers:
    """Outputs, distances and weights after some iterations of Figure 5, and its data."""
    config = figure5.Figure5.at(
        "quick", samples=24, dim=5, clusters=clusters, hidden_units=16, step_size=0.05, early=3, iterations=8
    )
    base = {key: getattr(config, key) for key in figure5.SWEEPS}
    changes = [{"noise": "offset"}, {"noise": "shell"}, {"noise": "cap", "corruption_rate": 0.6}]
    cells = [base | change | {"seed": seed} for seed, change in enumerate(changes[:count])]
    seen = []

    def noting(*arguments: object, **options: object) -> object:
        seen.append(figure5_descent(*arguments, **options))
        return seen[-1]

    figure5_descent = figure5.gradient_descent
    stack.enter_context(patch.object(figure5, "gradient_descent", noting))
    runs = figure5.figure5_runs(config, cells)
    data = [figure5.figure5_data(config, cell["seed"], cell["noise"]) for cell in cells]
    fresh = [figure5.around_centers(d, 6, 1, noise=c["noise"]).inputs for d, c in zip(data, cells)]
    found = {"distance": listed([run["distance"] for run in runs]), "iteration": listed(runs[0]["iteration"])}
    for name, trajectory in zip(("early", "late"), seen):
        found[f"outputs {name}"] = listed(trajectory.outputs[-1])
        found[f"weights {name}"] = listed(trajectory.weights.flatten(-2).norm(dim=-1))
    return found | {"inputs": listed([d.inputs[:3] for d in data]), "fresh inputs": listed(fresh)}


def fig5_summary(stack: ExitStack) -> Numbers:
    """What is kept of outputs that are given: errors, separation and histograms."""
    config = figure5.Figure5.at("quick", samples=24, dim=5, iterations=8, early=3)
    cell = {key: getattr(config, key) for key in figure5.SWEEPS} | {"noise": "shell", "seed": 3}
    dataset = figure5.figure5_data(config, 3, "shell")
    share = torch.linspace(0.9, 0.05, 9)[:, None]  # from the truth to the given labels
    outputs = share * dataset.clean_labels + (1 - share) * dataset.labels + 0.0137 * (torch.arange(24) % 5)
    weights = [torch.ones(4, 5), -torch.ones(4, 5)]
    kept = figure5._numbers((3, 8), cell, dataset, outputs, torch.linspace(0, 1, 9), weights)
    return {key: listed(value) for key, value in kept.items() if not key.startswith("fresh")}


Compute = Callable[[ExitStack], Numbers]
STACKED, SIDE, HALF, SIDE_HALF = ("float32", False), ("float32", True), ("bfloat16", False), ("bfloat16", True)
# Every experiment's paths: a name, precision and way of a step, and the tiny run.
PATHS: dict[str, dict[str, tuple[tuple[str, bool], Compute]]] = {
    "fig1": {
        "stacked": (STACKED, partial(fig1, 3, "least_squares")),
        "side by side": (SIDE, partial(fig1, 3, "least_squares")),
        "one alone, cross-entropy": (STACKED, partial(fig1, 1, "cross_entropy")),
        "side by side, cross-entropy": (SIDE, partial(fig1, 3, "cross_entropy")),
        "bfloat16": (HALF, partial(fig1, 3, "least_squares")),
        "bfloat16, side by side, cross-entropy": (SIDE_HALF, partial(fig1, 3, "cross_entropy")),
    },
    "fig3": {
        "stacked": (STACKED, partial(fig3, 3)),
        "side by side": (SIDE, partial(fig3, 3)),
        "one alone": (STACKED, partial(fig3, 1)),
        "bfloat16, side by side": (SIDE_HALF, partial(fig3, 3)),
    },
    "fig4ab": {
        "stacked": (STACKED, partial(fig4ab, 3, 8, True)),
        "side by side, depth 14": (SIDE, partial(fig4ab, 2, 14, True)),
        "one alone": (STACKED, partial(fig4ab, 1, 8, True)),
        "bfloat16, side by side": (SIDE_HALF, partial(fig4ab, 3, 8, False)),
        "summary": (STACKED, fig4ab_summary),
    },
    "fig4c": {
        "single": (STACKED, partial(fig4c, "single", 1000)),
        "difference, in parts": (SIDE, partial(fig4c, "difference", 50)),
        "bfloat16": (SIDE_HALF, partial(fig4c, "single", 1000)),
    },
    "fig5": {
        "three together": (STACKED, partial(fig5, 3, 2)),
        "one alone, three clusters": (STACKED, partial(fig5, 1, 3)),
        "summary": (STACKED, fig5_summary),
    },
}


def fingerprint(experiment: str) -> dict[str, Numbers]:
    """The numbers of all paths of an experiment, by the code as it is."""
    found = {}
    for name, ((precision, side_by_side), compute) in PATHS[experiment].items():
        with tiny(precision, side_by_side) as stack:
            found[name] = plain(compute(stack))
    return found


def differences(experiment: str, stored: dict[str, Numbers]) -> list[str]:
    """What the code gives otherwise now: for each path the first quantity that differs.

    Numbers agree within 0.1 % (2 % where they were computed in bfloat16).
    """
    now, found = fingerprint(experiment), []
    for path in [*stored, *(now.keys() - stored.keys())]:
        then, here = stored.get(path, {}), now.get(path, {})
        share, least = (2e-2, 2e-2) if "bfloat16" in path else (1e-3, 1e-5)
        for key in [*then, *(here.keys() - then.keys())]:
            old, new = then.get(key, []), here.get(key, [])
            pairs = [(a, b) for a, b in zip(old, new) if not abs(a - b) <= share * abs(a) + least]
            if pairs or len(old) != len(new):
                a, b = pairs[0] if pairs else (f"{len(old)} numbers", f"{len(new)}")
                told = f"{a:.4g} → {b:.4g}" if pairs else f"{a} → {b}"
                found.append(f"{experiment}, {path}: {key} {told}")
                break
    return found
