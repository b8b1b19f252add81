"""What two networks say of a few of their training images, stopped early and trained to the end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Int, UInt8
from matplotlib.axes import Axes
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
    load_split,
    number,
    run_curves,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.images import DataError, loader
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import evaluate_stack, fit, least_squares

SHOWN = 8  # images with a wrong label, and as many with a right one
NAMES = {"cifar10": ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")}
LINES = {"truth": "true", "given": "given", "early": "early", "late": "end"}  # below an image
WORDS = {"truth": "true label", "given": "given label", "early": "stopped early", "late": "trained to the end"}
GRAY = "#767676"  # of words, and of labels that are neither


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
    corruption_rates: tuple = always((0.5,), "shares of labels drawn again, ρ′", ours=True, most=1, once=True)
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
    """The curves of a run, and what was said of the images where true validation labels stop it, and in the end."""
    said, later = curves.pop("said"), range(1, len(curves["epoch"]))
    best = max(later, key=curves["validation"].__getitem__)
    return curves | labels | {"early": said[best], "late": said[-1], "stopped": curves["epoch"][best]}


def draw(result: Result) -> Figure:
    """Accuracies along the training on each data set, and where true validation labels stop it."""
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


@dataclass(frozen=True)
class Seen:
    """The images that are shown, and what was said of each; why they are others than those asked for, if they are."""

    pixels: UInt8[Tensor, "shown c h w"]
    run: Run
    title: str
    names: Sequence[str]
    instead: str = ""

    def wrong(self, said: str, label: str) -> int:
        """Of how many images with a wrong label the network says this label, stopped `early` or `late`."""
        return sum(a == b for a, b in zip(self.run[said][:SHOWN], self.run[label][:SHOWN]))

    @property
    def knows(self) -> float:
        """About which share of its training images the network is right, stopped early."""
        return self.run["true"][self.run["epoch"].index(self.run["stopped"])]

    @property
    def origin(self) -> str:
        """Whose images these are, and whose predictions."""
        if not self.instead:
            return f"Images of {self.title}; the predictions are those of a stored run, smaller than the paper's."
        return (
            f"**These are not the chapter's images.** {self.instead} So it shows "
            f"{'others of ' * bool(self.run['seed'])}{self.title}, and trained a small network on them itself."
        )


def seen(result: Result, data: str) -> Seen:
    """The images of a stored run; where they cannot be had, digits, and what a small run here and now says of them.

    Each data set has a seed of its own then, so that two pages do not show the same digits.
    """
    try:
        return _seen(result.select(data=data)[0], SimpleNamespace(**result["config"], data=data))
    except DataError as error:
        config, seed = Examples.at("quick"), result.levels("data").index(data)
        run = EXPERIMENT.run(config, data="digits", corruption_rate=0.5, seed=seed)
        instead = missing(error)
        return replace(_seen(run | {"corruption_rate": 0.5, "seed": seed}, on(config, "digits")), instead=instead)


def missing(error: DataError) -> str:
    """Which images a page would have shown."""
    return f"{str(error).partition(', ')[0]} was not to be had where this page was built."


def one(result: Result, data: str) -> tuple[Seen, int]:
    """The images of a stored run, and which of them is the first wrong label that the network puts right early.

    Where the images cannot be had, a digit with a wrong label, of which no network says anything.
    """
    try:
        found = _seen(result.select(data=data)[0], SimpleNamespace(**result["config"], data=data))
        return found, next(i for i in range(SHOWN) if found.run["early"][i] == found.run["truth"][i])
    except DataError as error:
        split = load_split("digits", 600, 200, 0.5, test_size=200, device="cpu")
        first = shown(split)[:1]
        labels = {"truth": split.train.labels[first].tolist(), "given": split.noisy[first].tolist()}
        return Seen(split.train.pixels[first], labels, split.train.title, "0123456789", missing(error)), 0


def _seen(run: Run, sizes: SimpleNamespace) -> Seen:
    """The images of a run, by drawing its split once more. Raises `DataError` if they cannot be had."""
    parts = (sizes.train_size, sizes.validation_size, run["corruption_rate"], run["seed"], sizes.test_size)
    split = load_split(sizes.data, *parts, device="cpu")
    return Seen(split.train.pixels[run["index"]], run, split.train.title, NAMES.get(sizes.data, "0123456789"))


def draw_images(seen: Seen) -> Figure:
    """Images with a wrong label and with a right one; below each its labels, and what the network says of it."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
    for side, (ax, title) in enumerate(zip(axes, ("given label is wrong", "given label is right"))):
        for place in range(SHOWN):
            _tile(ax, seen, side * SHOWN + place, place % 4, -2.1 * (place // 4))
        ax.set(xlim=(-0.75, 4), ylim=(-3.2, 1.02), aspect="equal")
        ax.set_title(title, color=GRAY, weight="bold")
        ax.axis("off")
    return fig


def draw_one(seen: Seen, index: int) -> Figure:
    """One image, and beside it its labels and what the network says of it, if one was asked."""
    fig, ax = plt.subplots(figsize=(4.4, 1.3), facecolor="none")
    ax.imshow(_pixels(seen, index), cmap="gray", extent=(0, 1, 0, 1))
    said = {key: seen.run[key][index] for key in WORDS if key in seen.run}
    for line, (key, label) in enumerate(said.items()):
        look = {"va": "center", "weight": "bold", "color": _color(label, said)}
        ax.text(1.15, 0.88 - 0.25 * line, WORDS[key], color=GRAY, va="center")
        ax.text(2.85, 0.88 - 0.25 * line, str(seen.names[label]), **look)  # pyright: ignore
    ax.set(xlim=(-0.02, 3.55), ylim=(-0.02, 1.02), aspect="equal")
    ax.axis("off")
    return fig


def _pixels(seen: Seen, index: int) -> Any:
    """An image as Matplotlib wants it."""
    return seen.pixels[index].permute(1, 2, 0).squeeze().numpy()


def _color(label: int, labels: Run) -> str:
    """Orange for the true label, blue for a wrong given one, gray for anything else."""
    return {labels["given"]: plots.NOISY["color"], labels["truth"]: plots.TRUE["color"]}.get(label, GRAY)


def _tile(ax: Axes, seen: Seen, index: int, x: float, y: float) -> None:
    """One image and the words below it."""
    ax.imshow(_pixels(seen, index), cmap="gray", extent=(x + 0.06, x + 0.94, y, y + 0.88))
    said = {key: seen.run[key][index] for key in LINES}
    for line, (key, words) in enumerate(LINES.items()):
        label, look = said[key], {"fontsize": 9, "va": "center", "weight": "bold"}
        color = _color(label, said)
        ax.text(x + 0.5, y - 0.16 - 0.25 * line, str(seen.names[label]), color=color, ha="center", **look)
        if x == 0:
            ax.text(-0.05, y - 0.16 - 0.25 * line, words, color=GRAY, ha="right", **look)


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
