"""Figures 1 and 3: a convolutional network on digits whose labels were corrupted."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earlystop.architectures import conv_net
from earlystop.data import redraw_labels
from earlystop.images import Images, load_images, sample_split
from earlystop.scale import Cell, Sized, Way, device, sizes
from earlystop.training import (
    LOSSES,
    ImageStack,
    Loss,
    Stack,
    accuracy,
    adadelta,
    distances,
    evaluate_stack,
    least_squares,
    train,
)

TENTHS = tuple(level / 10 for level in range(11))
WIDTHS = (64, 128, 256)


def streams() -> Any:
    """The size that says whether every draw of a run has a random stream of its own.

    Results that are older than it shared two: labels for validation were corrupted by the stream
    of the training labels of the next seed, and all seeds had one test split.
    """
    return sizes(*3 * ("separate",), "random streams (our choice)", before="shared")


@dataclass(frozen=True)
class Figure1(Sized):
    """Accuracy against corruption, trained long and stopped early."""

    data: str = sizes("digits", "mnist", "mnist", "data")
    train_size: int = sizes(1000, 10_000, 50_000, "training images")
    validation_size: int = sizes(400, 2_000, 10_000, "validation images")
    test_size: int = sizes(397, 5_000, 10_000, "test images")
    widths: tuple = sizes((32, 64, 128), WIDTHS, WIDTHS, "widths of the layers")
    corruption_rates: tuple = sizes(
        (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0), (0.0, 0.3, 0.5, 0.7, 0.9), TENTHS, "corruption rates, ρ"
    )
    losses: tuple = sizes(("least_squares",), ("least_squares",), ("least_squares", "cross_entropy"), "losses")
    epochs: int = sizes(60, 30, 200, "epochs")
    batch_size: int = sizes(64, 128, 128, "batch size (our choice)")
    streams: str = streams()
    seeds: int = sizes(1, 1, 3, "seeds")


@dataclass(frozen=True)
class Figure3(Sized):
    """Training accuracy and loss against distance from initialization."""

    data: str = sizes("digits", "mnist", "mnist", "data")
    train_size: int = sizes(1000, 3000, 3000, "training images")
    widths: tuple = sizes((32, 64, 128), WIDTHS, WIDTHS, "widths of the layers")
    corruption_rates: tuple = sizes((0.0, 0.1, 0.3, 0.5), TENTHS[:6], TENTHS[:6], "corruption rates, ρ")
    epochs: int = sizes(60, 100, 200, "epochs (our choice)")
    batch_size: int = sizes(64, 128, 128, "batch size (our choice)")
    seeds: int = sizes(1, 1, 3, "seeds")


@dataclass(frozen=True)
class Split:
    """Training, validation and test images with corrupted training labels, on the device."""

    train: Images
    validation: Images
    test: Images
    noisy: Tensor  # training labels as given
    noisy_validation: Tensor  # validation labels corrupted in the same way

    @property
    def flipped(self) -> Bool[Tensor, " n"]:
        """Training images whose given label is wrong."""
        return self.noisy != self.train.labels

    def inputs(self, part: str) -> Float[Tensor, "n c h w"]:
        """Normalized inputs of `"train"`, `"validation"` or `"test"`, by the training set's scale."""
        return ImageStack.of([getattr(self, part)], [self.train]).inputs(slice(None))[0]


_images = lru_cache(maxsize=4)(load_images)  # one copy for all runs


def load_split(
    data: str,
    train_size: int,
    validation_size: int,
    corruption_rate: float,
    seed: int = 0,
    test_size: int | None = None,
    streams: str = "separate",
) -> Split:
    """A random split of the training images, and labels of which a share ρ is drawn again.

    `test_size` test images are drawn too, by default all of them. With `streams` "shared" the
    draws are those of results from before they were separate.
    """
    own = streams == "separate"
    validation_draw = {"seed": seed, "stream": "corruption of validation labels"} if own else {"seed": seed + 1}
    test_draw = {"seed": seed, "stream": "test images"} if own else {}
    parts = sample_split(_images(data, "train"), train_size, validation_size, seed=seed)
    training, validation = (part.to(device()) for part in parts)
    test = _images(data, "test")
    (test,) = sample_split(test, len(test) if test_size is None else test_size, **test_draw)
    classes = torch.arange(10, device=device())
    return Split(
        train=training,
        validation=validation,
        test=test.to(device()),
        noisy=redraw_labels(training.labels, classes, corruption_rate, seed)[0],
        noisy_validation=redraw_labels(validation.labels, classes, corruption_rate, **validation_draw)[0],
    )


class SplitStack:
    """The splits of M runs: inputs and labels of each part with a leading axis M."""

    def __init__(self, config: Sized, cells: Sequence[Cell], validation_size: int, test_size=None):
        self.splits = [
            load_split(
                config.data,
                config.train_size,
                validation_size,
                cell["corruption_rate"],
                cell["seed"],
                test_size,
                getattr(config, "streams", "shared"),
            )
            for cell in cells
        ]
        self.image_shape = tuple(self.splits[0].train.pixels.shape[1:])

    def images(self, part: str) -> ImageStack:
        """Images of `"train"`, `"validation"` or `"test"`."""
        return ImageStack.of([getattr(s, part) for s in self.splits], [s.train for s in self.splits])

    def given(self, name: str = "noisy") -> Tensor:
        """Labels as given: `"noisy"` for training or `"noisy_validation"`."""
        return torch.stack([getattr(s, name) for s in self.splits])

    def truth(self, part: str) -> Tensor:
        """True labels of a part."""
        return torch.stack([getattr(s, part).labels for s in self.splits])


def fit(loss: Loss, **parts: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Accuracy, and as `<part>_loss` the mean loss, of each part's outputs against its labels."""
    right = {name: accuracy(*pair) for name, pair in parts.items()}
    return right | {f"{name}_loss": loss(*pair).mean(dim=1) for name, pair in parts.items()}


def run_curves(history: dict[str, list[Tensor]], run: int) -> dict[str, list[float]]:
    """The curves of one run of a stack; `epoch` is common to all."""
    epochs = [int(epoch) for epoch in history["epoch"]]
    curves = {k: [row[run].item() for row in rows] for k, rows in history.items() if k != "epoch"}
    return {"epoch": epochs} | curves


def figure1_cells(config: Figure1) -> list[Cell]:
    """Every corruption rate, loss and seed. Raises `ValueError` for an unknown loss."""
    if unknown := set(config.losses) - LOSSES.keys():
        raise ValueError(f"losses has {min(unknown)!r}, should be of {', '.join(LOSSES)}")
    return [
        {"loss": loss, "corruption_rate": rate, "seed": seed}
        for loss in config.losses
        for rate in config.corruption_rates
        for seed in range(config.seeds)
    ]


def figure1_runs(
    config: Figure1, cells: Sequence[Cell], checkpoint: Any = None, way: Way = Way()
) -> list[dict[str, list[float]]]:
    """Accuracies along the training of several cells with the same loss, trained together.

    Keys of each: `epoch`, `noisy` and `true` (training images, by given and by true label),
    `test`, `validation` and `noisy_validation`, and the mean losses, `noisy_loss` and so on.
    """
    data = SplitStack(config, cells, config.validation_size, config.test_size)
    nets = [conv_net(data.image_shape, config.widths, seed=c["seed"]).to(device()) for c in cells]
    stack = Stack(nets, way)
    images, validation, test = (data.images(part) for part in ("train", "validation", "test"))

    loss = LOSSES[cells[0]["loss"]]

    def measure() -> dict[str, Tensor]:
        fitted, checked = evaluate_stack(stack, images), evaluate_stack(stack, validation)
        outputs_and_labels = {
            "noisy": (fitted, data.given()),
            "true": (fitted, data.truth("train")),
            "test": (evaluate_stack(stack, test), data.truth("test")),
            "validation": (checked, data.truth("validation")),
            "noisy_validation": (checked, data.given("noisy_validation")),
        }
        return fit(loss, **outputs_and_labels)

    history = train(
        stack,
        images,
        data.given(),
        optimizer=adadelta(stack),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seeds=[cell["seed"] for cell in cells],
        loss=loss,
        measure=measure,
        checkpoint=checkpoint,
    )
    return [run_curves(history, run) for run in range(len(cells))]


def figure1_run(
    config: Figure1, corruption_rate: float, seed: int = 0, loss: str = "least_squares"
) -> dict[str, list[float]]:
    """`figure1_runs` for a single cell."""
    return figure1_runs(config, [{"corruption_rate": corruption_rate, "seed": seed, "loss": loss}])[0]


def figure3_cells(config: Figure3) -> list[Cell]:
    """Every corruption rate and seed."""
    rates, seeds = config.corruption_rates, range(config.seeds)
    return [{"corruption_rate": rate, "seed": seed} for rate in rates for seed in seeds]


def figure3_runs(
    config: Figure3, cells: Sequence[Cell], checkpoint: Any = None, way: Way = Way()
) -> list[dict[str, list[float]]]:
    """Distance, accuracy and mean loss on the given labels of several cells, trained together.

    Keys of each: `epoch`, `distance` (all weights together), `distance_per_layer`, `accuracy`,
    `loss`.
    """
    data = SplitStack(config, cells, 0)
    nets = [conv_net(data.image_shape, config.widths, seed=c["seed"]).to(device()) for c in cells]
    stack = Stack(nets, way)
    images = data.images("train")
    start = {name: value.detach().clone() for name, value in stack.parameters.items()}

    def measure() -> dict[str, Tensor]:
        outputs = evaluate_stack(stack, images)
        together, per_layer = distances(stack.parameters, start)
        return {
            "distance": together,
            "distance_per_layer": per_layer,
            "accuracy": accuracy(outputs, data.given()),
            "loss": least_squares(outputs, data.given()).mean(dim=1),
        }

    history = train(
        stack,
        images,
        data.given(),
        optimizer=adadelta(stack),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seeds=[cell["seed"] for cell in cells],
        measure=measure,
        checkpoint=checkpoint,
    )
    return [run_curves(history, run) for run in range(len(cells))]


def figure3_run(config: Figure3, corruption_rate: float, seed: int = 0) -> dict[str, list[float]]:
    """`figure3_runs` for a single cell."""
    return figure3_runs(config, [{"corruption_rate": corruption_rate, "seed": seed}])[0]
