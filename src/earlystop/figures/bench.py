"""One network, one noise, the same seeds: where remedies and stopping rules are compared."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from earlystop.architectures import conv_net, resnet, seeded
from earlystop.figures.splits import data_set, load_split, number
from earlystop.label_noise import KINDS, corrupt
from earlystop.remedies import Pace, Remedy, Task, constant, remedy, train
from earlystop.runs.machine import Machine
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.streams import random_stream

PACES: dict[str, Pace] = {
    "constant": constant,
    "steps": lambda epoch, epochs: 0.1 ** (3 * (epoch - 1) // epochs),  # a tenth after each third
    "cosine": lambda epoch, epochs: 0.5 * (1 + math.cos(math.pi * (epoch - 1) / epochs)),
}
NOISES = ("none", *KINDS, "human")  # "human": labels that came with the data


@dataclass(frozen=True)
class Bench(Sized):
    """The sizes that all comparisons share."""

    data: str = data_set("digits", "mnist")
    side: int = sizes(8, 14, 14, "pixels at an edge, after averaging", ours=True, least=1)
    train_size: int = number(1000, 10_000, 10_000, "training images")
    validation_size: int = number(200, 2_000, 2_000, "validation images, their labels as noisy")
    test_size: int = number(397, 10_000, 10_000, "test images")
    network: str = always("dense", "network", ours=True, of=("dense", "cnn", "resnet"))
    width: int = number(256, 256, 256, "hidden units, or channels at the first layer of a deeper network", ours=True)
    epochs: int = sizes(60, 30, 30, "epochs", ours=True, least=1)
    batch_size: int = number(64, 64, 64, "batch size", ours=True)
    step_size: float = always(0.1, "step size of SGD with momentum 0.9", ours=True)


@dataclass(frozen=True)
class Problem:
    """Images, labels as given and true ones, and parts for validation and test, on the device."""

    inputs: Float[Tensor, "n c h w"]
    given: Int[Tensor, " n"]
    true: Int[Tensor, " n"]
    validation: Float[Tensor, "m c h w"]
    noisy_validation: Int[Tensor, " m"]
    clean_validation: Int[Tensor, " m"]
    test: Float[Tensor, "t c h w"]
    test_labels: Int[Tensor, " t"]
    planted: Bool[Tensor, " n"]  # samples whose label was made wrong on purpose, so that one knows some that are

    @property
    def wrong(self) -> Bool[Tensor, " n"]:
        """Samples whose given label is wrong, those planted aside."""
        return (self.given != self.true) & ~self.planted


def problem(
    config: Any, noise: str, corruption_rate: float, seed: int, planted_share: float = 0.0, device: str | None = None
) -> Problem:  # fmt: skip
    """A split of a data set with labels of which a share is wrong in one of `NOISES`, those for validation, too."""
    split = load_split(
        config.data, config.train_size, config.validation_size, 0.0, seed, config.test_size, device=device
    )
    parts = {part: averaged(split.inputs(part), config.side) for part in ("train", "validation", "test")}
    shift, scale = parts["train"].mean(), parts["train"].std()
    x, v, t = ((one - shift) / scale for one in parts.values())
    if noise == "human":
        given, checked = split.noisy, split.noisy_validation
    elif noise == "none":
        given, checked = split.train.labels, split.validation.labels
    else:
        draw = partial(corrupt, corruption_rate=corruption_rate, kind=noise, seed=seed)
        both = draw(torch.cat([split.train.labels, split.validation.labels]).cpu(), inputs=torch.cat([x, v]).cpu())
        given, checked = both.to(x.device).split([len(x), len(v)])
    given, planted = plant(given, planted_share, seed)
    return Problem(x, given, split.train.labels, v, checked, split.validation.labels, t, split.test.labels, planted)


def averaged(images: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n c side side"]:
    """Images of `side` × `side` pixels, means of what was there; as they are if they have fewer."""
    return F.adaptive_avg_pool2d(images, side) if images.shape[-1] > side else images


def plant(given: Int[Tensor, " n"], share: float, seed: int) -> tuple[Int[Tensor, " n"], Bool[Tensor, " n"]]:
    """Labels of which a random share is changed to another class on purpose, and which these are."""
    draw, count = random_stream(seed, "planted labels"), round(share * len(given))
    rows = torch.randperm(len(given), generator=draw)[:count].to(given.device)
    shift = torch.randint(1, 10, (count,), generator=draw).to(given.device)
    planted = torch.zeros_like(given, dtype=torch.bool)
    planted[rows], changed = True, given.clone()
    changed[rows] = (given[rows] + shift) % 10
    return changed, planted


def network(kind: str, shape: tuple[int, int, int], width: int, seed: int, classes: int = 10) -> nn.Sequential:
    """A network with PyTorch's initial weights of a seed: one hidden layer of ReLU units, a CNN or a ResNet-20."""
    if kind == "resnet":
        return resnet(20, shape[0], width, classes, seed)
    if kind == "cnn":
        return conv_net(shape, (width, 2 * width, 4 * width), classes, seed)
    with seeded(seed):
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width), nn.ReLU(), nn.Linear(width, classes))


def task(problem: Problem, config: Any, seed: int, pace: str = "constant") -> Task:
    """What a remedy gets of a problem: nothing of it is true labels, or labels for validation or test."""
    _, channels, height, width = problem.inputs.shape
    make = partial(network, config.network, (channels, height, width), config.width)
    return Task(
        problem.inputs, problem.given, make, classes=10,
        optimizer=lambda weights: torch.optim.SGD(weights, lr=config.step_size, momentum=0.9),
        epochs=config.epochs, batch_size=config.batch_size, seed=seed, pace=PACES[pace],
    )  # fmt: skip


def curves(
    problem: Problem, name: str, settings: dict[str, Any], config: Any, seed: int, machine: Machine,
    pace: str = "constant", also: Callable[[Remedy], dict[str, float]] = lambda remedy: {},
) -> dict[str, list[float]]:  # fmt: skip
    """What is seen of a remedy after every epoch, from 0 on.

    Accuracies: `test` and `validation` by true labels, `noisy_validation` and `given` (training) by those as given. Of
    the training images with wrong labels: `memorized`, the share answered as given, and `corrected`, as is true.
    `changed`: the share of training images answered otherwise than an epoch before. `loss`: the mean cross-entropy on
    labels as given. `planted`: the share of planted labels that is answered as given.
    """
    one = remedy(name, task(problem, config, seed, pace), **settings)
    found: dict[str, list[float]] = {}
    before = None
    for epoch in machine.progress(train(one), f"{name}, seed {seed}"):
        outputs = one.outputs(problem.inputs)
        now, wrong = outputs.argmax(dim=1), problem.wrong
        row = {
            "epoch": epoch,
            "test": share(one.outputs(problem.test).argmax(dim=1) == problem.test_labels),
            **validated(one.outputs(problem.validation).argmax(dim=1), problem),
            "given": share(now == problem.given),
            "memorized": share((now == problem.given)[wrong]),
            "corrected": share((now == problem.true)[wrong]),
            "planted": share((now == problem.given)[problem.planted]),
            "changed": 1.0 if before is None else share(now != before),
            "loss": F.cross_entropy(outputs, problem.given).item(),
            **also(one),
        }
        before = now
        for key, value in row.items():
            found.setdefault(key, []).append(value)
    return found


def validated(answers: Int[Tensor, " m"], problem: Problem) -> dict[str, float]:
    """Accuracy on the validation images by their labels as given, and by the true ones."""
    return {
        "noisy_validation": share(answers == problem.noisy_validation),
        "validation": share(answers == problem.clean_validation),
    }


def share(true: Bool[Tensor, " n"]) -> float:
    """The share that is true; 0 of none."""
    return true.double().mean().item() if len(true) else 0.0
