"""What two networks say of a few of their training images, stopped early and trained to the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Int
from matplotlib.figure import Figure
from torch import Tensor, nn

from earlystop import plots
from earlystop.architectures import conv_net, resnet
from earlystop.figures.splits import (
    SMALL,
    TINY_SIZES,
    Split,
    SplitStack,
    data_hashes,
    fit,
    number,
    rates,
    run_curves,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.images import loader
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import evaluate_stack, least_squares

SHOWN = 8  # images with a wrong label, and as many with a right one


@dataclass(frozen=True)
class Examples(Sized):
    """What networks say of a few of their training images: all sizes are this book's own."""

    sets: tuple = sizes(
        ("digits",), ("mnist", "cifar10"), ("mnist", "cifar10"), "data", ours=True, must=loader, once=True
    )
    train_size: int = number(600, 2000, 3000, "training images", ours=True)
    validation_size: int = number(200, 500, 1000, "validation images", ours=True)
    test_size: int = number(200, 500, 1000, "test images", ours=True)
    widths: tuple = always((16, 32, 64), "widths of the network for gray images", ours=True, least=1, length=3)
    depth: int = sizes(8, 20, 20, "depth of the ResNet for photographs", ours=True, least=8)
    width: int = number(8, 8, 8, "width of its first stage", ours=True)
    corruption_rates: tuple = rates((0.5,), (0.5,), (0.5,))
    epochs: int = sizes(40, 30, 40, "epochs", ours=True)
    batch_size: int = number(64, 64, 64, "batch size", ours=True)
    seeds: int = number(1, 1, 1, "seeds", ours=True)


def network(config: Any, channels: int, height: int, width: int, seed: int) -> nn.Module:
    """The convolutional network of Figure 1 for gray images, the ResNet of Figure 4 for photographs, both narrower."""
    if channels == 1:
        return conv_net((channels, height, width), config.widths, seed=seed)
    return resnet(config.depth, channels, config.width, seed=seed)


def shown(split: Split) -> Int[Tensor, " shown"]:
    """The first training images whose given label is wrong, and then the first whose label is right."""
    return torch.cat([torch.nonzero(wrong).flatten()[:SHOWN] for wrong in (split.flipped, ~split.flipped)])


def on(config: Examples, data: str) -> SimpleNamespace:
    """The sizes of a training on one of the data sets."""
    return SimpleNamespace(**vars(config), data=data, streams="separate")


def runs(config: Examples, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Accuracies along a training, and what each image `shown` is taken for: where it stops, and in the end."""
    config_of_one = on(config, cells[0]["data"])
    data = SplitStack(config_of_one, cells, machine, config.validation_size, config.test_size)
    stack = data.stack(lambda seed: network(config, *data.image_shape, seed))
    images, validation, test = (data.images(part) for part in ("train", "validation", "test"))
    index = torch.stack([shown(split) for split in data.splits])

    def measure() -> dict[str, Tensor]:
        outputs = evaluate_stack(stack, images)
        outputs_and_labels = {
            "noisy": (outputs, data.given()),
            "true": (outputs, data.truth("train")),
            "validation": (evaluate_stack(stack, validation), data.truth("validation")),
            "test": (evaluate_stack(stack, test), data.truth("test")),
        }
        return fit(least_squares, **outputs_and_labels) | {"said": outputs.argmax(dim=-1).gather(1, index)}

    gray = data.image_shape[0] == 1
    recipe = {"optimizer": "adadelta", "step_size": 1.0} if gray else {"optimizer": "adam", "step_size": 0.001}
    history = data.train(stack, measure, checkpoint, **recipe)
    labels = {"given": data.given().gather(1, index), "truth": data.truth("train").gather(1, index), "index": index}
    chosen = [{key: rows[i].tolist() for key, rows in labels.items()} for i in range(len(cells))]
    return [told(run_curves(history, i), one) for i, one in enumerate(chosen)]


def told(curves: dict[str, list[Any]], labels: dict[str, list[int]]) -> Run:
    """The curves of a run, and what was said of the images where clean validation labels stop it, and in the end."""
    said, later = curves.pop("said"), range(1, len(curves["epoch"]))
    best = max(later, key=curves["validation"].__getitem__)
    return curves | labels | {"early": said[best], "late": said[-1], "stopped": curves["epoch"][best]}


def draw(result: Result) -> Figure:
    """Accuracies along the training on each data set, and where clean validation labels stop it."""
    fig, axes = plt.subplots(1, len(result.levels("data")), squeeze=False, sharey=True)
    for ax, name in zip(axes.flat, result.levels("data")):
        for key, label, style in plots.CURVES:
            plots.band(
                ax, result.select(data=name)[0]["epoch"], result.numbers(key, data=name), label, **plots.line(style)
            )
        ax.axvline(result.select(data=name)[0]["stopped"], label="stopped early", **plots.REFERENCE)
        ax.set(title=name, xlabel="epoch", ylim=(0, 1.03))
    axes[0, 0].set(ylabel="accuracy")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def tiny(data: str, count: int, machine: Machine) -> Numbers:
    """Mean losses along a small training, and which images are shown."""
    config = Examples.at(
        "quick", sets=(data,), validation_size=20, test_size=30, widths=(8, 8, 16), width=4, **TINY_SIZES
    )
    found = runs(config, tiny_cells(count, data=data), None, machine)
    keys = ("noisy_loss", "true_loss", "validation_loss", "test_loss", "index", "given", "truth")
    return {key: listed([run[key] for run in found]) for key in keys}


EXPERIMENT = register(Experiment(
    name="examples",
    title="What networks say of a few training images",
    config=Examples,
    runs=runs,
    sweep={"data": "sets", "corruption_rate": "corruption_rates", "seed": "seeds"},
    together=("data",),
    work=training_work,
    trials=({**SMALL, "epochs": 1}, {**SMALL, "epochs": 3}),
    data=lambda config: {f"{one} {split}": value for one in config.sets
                         for split, value in data_hashes(SimpleNamespace(data=one)).items()},
    own=True,
    draw={"": draw},
    paths={"gray images": ("float32", STACKED, partial(tiny, "digits", 1)),
           "photographs": ("float32", STACKED, partial(tiny, "patterns", 1))},
))  # fmt: skip
