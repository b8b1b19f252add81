"""Theorem 4.1 on networks that were trained on noisy labels: the top spaces of the Jacobian, and what lies in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import data, jacobian, network, plots, spaces
from earlystop.architectures import conv_net, resnet
from earlystop.descent import gradient_descent, largest_stable_step
from earlystop.figures.splits import WIDTHS, SplitStack, data_hashes, data_set, number, rates
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import Stack, accuracy, calibrate, evaluate, evaluate_stack, least_squares

IMAGE_NETWORKS = {  # how they are built, and trained, as in Figures 1 and 4
    "cnn": (lambda config, shape, seed: conv_net(shape, config.widths, seed=seed), "adadelta", 1.0),
    "resnet": (lambda config, shape, seed: resnet(config.depth, shape[0], config.width, seed=seed), "adam", 0.001),
}
TIMES = ("start", "early", "end")
RANKS = (1, 2, 4, 10, 20, 50, 100)  # dimensions of the top spaces
VALUES = 60  # singular values that are kept, relative to the largest
Views = Iterator[tuple[str, dict[str, Any], Tensor, Tensor]]  # time, numbers, outputs, J Jᵀ


@dataclass(frozen=True)
class Diffuseness(Sized):
    """Networks trained on noisy labels, and the Jacobian of one output of theirs."""

    networks: tuple = sizes(("cnn", "clusters"), ("cnn", "clusters", "resnet"), ("cnn", "clusters", "resnet"),
                            "networks", of=("clusters", *IMAGE_NETWORKS), once=True)  # fmt: skip
    cnn_data: str = data_set("digits", "mnist")
    resnet_data: str = data_set("digits", "cifar10")
    samples: int = sizes(300, 600, 10_000, "images, n", least=RANKS[-1])
    validation_size: int = number(200, 400, 2000, "validation images")
    widths: tuple = sizes((8, 16, 32), (16, 32, 64), WIDTHS, "widths of the network of Figure 1", least=1, length=3)
    depth: int = sizes(8, 20, 20, "depth of the ResNet", least=8)
    width: int = number(8, 8, 16, "width of its first stage")
    epochs: int = sizes(20, 30, 100, "epochs", ours=True)
    batch_size: int = number(32, 32, 128, "batch size", ours=True)
    output: int = always(0, "class that is told from the others", ours=True, of=range(10))
    points: int = sizes(200, 200, 400, "samples of the clusterable model", ours=True, least=RANKS[-1])
    input_noise: float = always(0.2, "radius of its clusters, ε₀", ours=True)
    iterations: int = sizes(1000, 2000, 4500, "iterations on it", ours=True, least=1)
    corruption_rates: tuple = rates((0.0, 0.3), (0.0, 0.3), (0.0, 0.1, 0.3, 0.5))
    control_rate: float = always(0.3, "rate of the flips that the control only looks at", ours=True, most=1)
    seeds: int = number(1, 3, 3, "seeds")


def clusters(config: Diffuseness, cell: Cell, machine: Machine) -> tuple[Tensor, Tensor, Tensor, Views]:
    """True labels, the noise, clusters, and views of the network of chapter 2 along gradient descent."""
    seed, rate = cell["seed"], cell["corruption_rate"]
    clean = data.clusterable_dataset(config.points, 4, 20, n_classes=2, labels=(0, 1), input_noise=config.input_noise,
                                     noise="shell", seed=seed, dtype=torch.float64).to(machine.device)  # fmt: skip
    given, flipped = (data.corrupt_uniformly(clean, r, seed).labels for r in (rate, rate or config.control_rate))
    fresh = data.around_centers(clean, 1000, seed, noise="shell")
    start = network.initial_weights(1000, 20, seed=seed, paired=True, dtype=torch.float64).to(machine.device)
    grid = (torch.logspace(0, 1, 60, base=config.iterations + 1.0) - 1).round().long().unique().tolist()

    def views() -> Views:
        step, kept, losses = largest_stable_step(start, clean.inputs) / 2, [start], []
        for first, last in zip([0, *grid], grid):
            kept[len(losses) :] = [
                gradient_descent(
                    kept[-1], clean.inputs, given, step_size=step, iterations=last - first, progress=machine.progress
                ).weights
            ]
            losses.append((network.predict(kept[-1], fresh.inputs) - fresh.labels).square().mean())
        best = int(torch.stack(losses).argmin())
        for name, i in zip(TIMES, (0, best, -1)):
            outputs = network.predict(kept[i], clean.inputs)
            nearest = data.nearest_label(outputs, clean.classes)
            right = {key: (nearest == y).double().mean() for key, y in (("given", given), ("true", clean.clean_labels))}
            yield name, {"epoch": grid[i], **right}, outputs, jacobian.gram(kept[i], clean.inputs)

    return clean.clean_labels, flipped - clean.clean_labels, clean.clusters, views()


def images(config: Diffuseness, cell: Cell, machine: Machine) -> tuple[Tensor, Tensor, Tensor, Views]:
    """The same of a network of images, by the output of one class, with the true classes for clusters."""
    build, optimizer, step = IMAGE_NETWORKS[cell["network"]]
    sizes = {"data": getattr(config, f"{cell['network']}_data"), "train_size": config.samples, "streams": "separate"}
    split = SplitStack(SimpleNamespace(**vars(config) | sizes), [cell], machine, config.validation_size, 0)
    stack = split.stack(lambda seed: build(config, split.image_shape, seed))
    (truth,), (given,) = split.truth("train"), split.given()
    validation, losses, kept = split.images("validation"), [], {"start": (0, copied(stack))}

    def measure() -> dict[str, Tensor]:
        losses.append(least_squares(evaluate_stack(stack, validation), split.truth("validation")).mean())
        if losses[-1] == min(losses):
            kept["early"] = len(losses) - 1, copied(stack)
        return {"loss": losses[-1][None]}

    def views() -> Views:
        split.train(stack, measure, None, optimizer=optimizer, step_size=step)
        kept["end"] = len(losses) - 1, copied(stack)
        inputs = split.images("train").inputs(slice(None))[0]
        for name in TIMES:
            stack.load(kept[name][1])
            model = stack.network(0)
            calibrate(model, inputs, machine.calibrated)
            outputs = evaluate(model, inputs)
            numbers = {"epoch": kept[name][0], "given": accuracy(outputs, given), "true": accuracy(outputs, truth)}
            gram = jacobian.model_gram(model, inputs, lambda out: out[config.output], machine)
            yield name, numbers, outputs[:, config.output].double(), gram

    rate, classes = cell["corruption_rate"] or config.control_rate, torch.arange(10, device=truth.device)
    drawn = data.redraw_labels(truth, classes, rate, cell["seed"])[0]
    true, noisy = ((labels == config.output).double() for labels in (truth, drawn))
    return true, noisy - true, truth, views()


def copied(stack: Stack) -> dict[str, Tensor]:
    """The numbers of a stack as they are now."""
    return {name: value.detach().clone() for name, value in stack.state().items()}


def runs(config: Diffuseness, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Of a single cell, before training, stopped early and in the end: what lies in the top spaces of J, and their γ.

    Truth, clean residual and noise e are those of one output; in the control, which is trained on true labels, e is
    of flips that are only looked at. Early is where the loss on clean validation samples is least.
    """
    (cell,) = cells
    truth, noise, groups, views = (clusters if cell["network"] == "clusters" else images)(config, cell, machine)
    found: Run = {"rho": (noise != 0).double().mean(), "constant": spaces.constant_share(noise, groups)}
    for name, numbers, outputs, gram in views:
        values, vectors, gamma = spaces.leverage(gram, RANKS)
        shares = {"truth": truth, "clean": outputs - truth, "noise": noise}
        numbers |= {key: spaces.energy_within(one, vectors, RANKS) for key, one in shares.items()}
        numbers |= {"gamma": gamma, "seen": spaces.seen(noise, vectors, RANKS), "far": (outputs - truth).abs().max()}
        numbers |= {"values": values[:VALUES] / values[0], "wrong": ((outputs - truth).abs() >= 0.5).double().mean()}
        found |= {f"{key}_{name}": torch.as_tensor(value).cpu() for key, value in numbers.items()}
    return [found]


def hashes(config: Diffuseness) -> dict[str, str]:
    """Hashes of all image data that is read."""
    names = sorted({getattr(config, f"{one}_data") for one in config.networks if one in IMAGE_NETWORKS})
    found = {name: data_hashes(SimpleNamespace(data=name)) for name in names}
    return {f"{name}, {part}": one for name, parts in found.items() for part, one in parts.items()}


def work(config: Diffuseness) -> float:
    """Operations of the dearest part, the convolutional network: training, gradients, and J Jᵀ three times."""
    a, b, c = config.widths
    parameters, forward = 640 / 64 * a + 9 * a * b + 144 * b * c, 5200 * a * b + 144 * b * c
    return config.samples * (6 * forward * (config.epochs + 12) + 3 * config.samples * parameters)


def tiny(name: str, machine: Machine) -> Numbers:
    """The largest singular values of a small network, and what lies in its first directions."""
    config = Diffuseness.at("quick", cnn_data="patterns", resnet_data="patterns", samples=100, validation_size=20,
                            widths=(4, 4, 8), width=4, epochs=1, points=100, iterations=30)  # fmt: skip
    (found,) = runs(config, [{"network": name, "corruption_rate": 0.5, "seed": 1}], None, machine)
    counts = {"values": 5, "truth": 2, "noise": 2, "gamma": 2, "far": None}
    numbers = {
        f"{key} {time}": listed(found[f"{key}_{time}"])[:count] for time in TIMES for key, count in counts.items()
    }
    return numbers | {key: listed(found[key]) for key in ("rho", "constant")}


EXPERIMENT = register(Experiment(
    name="diffuseness",
    title="Theorem 4.1 on networks trained on noisy labels",
    config=Diffuseness,
    runs=runs,
    sweep={"network": "networks", "corruption_rate": "corruption_rates", "seed": "seeds"},
    together=("network", "corruption_rate", "seed"),
    work=work,
    trials=({"samples": 128, "epochs": 1}, {"samples": 512, "epochs": 1}),
    data=hashes,
    words="trained in {}, Jacobian in float32",
    memory=12.0,
    float64=True,
    paths={name: ("float32", machine, partial(tiny, name))
           for name, machine in (("clusters", STACKED), ("cnn", STACKED), ("resnet", SIDE_BY_SIDE))},
))  # fmt: skip
