"""Networks before training, stopped early and in the end: how they do, the outputs of one kind, and J Jᵀ of these."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from earlystop import data, jacobian, network
from earlystop.architectures import conv_net, resnet
from earlystop.descent import gradient_descent, largest_stable_step
from earlystop.figures.splits import SplitStack
from earlystop.runs.experiment import Cell
from earlystop.runs.machine import Machine
from earlystop.training import Stack, accuracy, calibrate, evaluate, evaluate_stack, least_squares

IMAGE_NETWORKS = {  # how they are built, and trained, as in Figures 1 and 4
    "cnn": (lambda config, shape, seed: conv_net(shape, config.widths, seed=seed), "adadelta", 1.0),
    "resnet": (lambda config, shape, seed: resnet(config.depth, shape[0], config.width, seed=seed), "adam", 0.001),
}
TIMES = ("start", "early", "end")  # early: where the loss on clean validation samples is least
Views = Iterator[tuple[str, dict[str, Any], Tensor, Tensor]]  # time, numbers, outputs, J Jᵀ


def clusters(config: Any, cell: Cell, machine: Machine) -> tuple[Tensor, Tensor, Tensor, Views]:
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


def images(config: Any, cell: Cell, machine: Machine) -> tuple[Tensor, Tensor, Tensor, Views]:
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
