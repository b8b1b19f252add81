"""What Figures 1, 3 and 4 train on: random splits of images with corrupted labels, many side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from earlystop.architectures import INITIALIZATIONS, conv_net
from earlystop.augment import AUGMENTATIONS
from earlystop.cifar10n import HASH
from earlystop.data import redraw_labels
from earlystop.images import HUB, TITLES, Images, content_hash, load_images, loader, sample_split
from earlystop.runs.experiment import Cell
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, Paths, listed
from earlystop.runs.machine import Machine, here
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import OPTIMIZERS, ImageStack, Stack, TrainingStep, evaluate_stack, least_squares, train
from earlystop.training import fit as fit  # for experiments, as all that is here

STREAMS = ("separate", "shared")  # of random numbers, for the draws of a run
WIDTHS = (64, 128, 256)
TENTHS = tuple(level / 10 for level in range(11))
SMALL = {"train_size": 512, "validation_size": 10, "test_size": 10}  # from which costs are estimated


def data_set(quick: str, other: str) -> Any:
    """The size that names the data."""
    return sizes(quick, other, other, "data", must=loader)


def number(quick: int, colab: int, paper: int, doc: str, **more: Any) -> Any:
    """A size that counts something: at least 1."""
    return sizes(quick, colab, paper, doc, least=1, **more)


def rates(quick: tuple, colab: tuple, paper: tuple) -> Any:
    """The size that lists corruption rates."""
    return sizes(quick, colab, paper, "shares of labels drawn again, ρ′", most=1, once=True)


def streams() -> Any:
    """The size that says whether every draw of a run has a random stream of its own.

    Results that are older than it shared two: labels for validation were corrupted by the stream
    of the training labels of the next seed, and all seeds had one test split.
    """
    return always("separate", "random streams", ours=True, before="shared", of=STREAMS)


RECIPE = {  # how Figures 1 and 3 are trained, of which the paper names the optimizer: value, meaning, bounds
    "optimizer": ("adadelta", "optimizer", {"of": OPTIMIZERS}),
    "step_size": (1.0, "step size of the optimizer", {"ours": True}),
    "adadelta_rho": (0.9, "Adadelta's own ρ, not the corruption", {"ours": True, "most": 1}),
    "adadelta_eps": (1e-6, "Adadelta's ε", {"ours": True}),
    "initialization": ("torch", "initialization, PyTorch's or Glorot's", {"ours": True, "of": INITIALIZATIONS}),
}


def recipe(key: str) -> Any:
    """A size that says how Figures 1 and 3 are trained; all results from before it have its value."""
    value, doc, more = RECIPE[key]
    return always(value, doc, before=value, **more)


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
    data: str, train_size: int, validation_size: int, corruption_rate: float, seed: int = 0,
    test_size: int | None = None, streams: str = "separate", device: str | None = None,
) -> Split:  # fmt: skip
    """A random split of the training images, and labels of which a share ρ is drawn again.

    Where a data set brings noisy labels of its own, images have these, whatever ρ is: none is drawn again.
    `test_size` test images are drawn too, by default all of them. With `streams` "shared" the
    draws are those of results from before they were separate.
    """
    own, device = streams == "separate", device or here().device
    validation_draw = (seed, "corruption of validation labels") if own else (seed + 1, "corruption")
    parts = sample_split(_images(data, "train"), train_size, validation_size, seed=seed)
    training, validation = (part.to(device) for part in parts)
    test = _images(data, "test")
    size = len(test) if test_size is None else test_size
    (test,) = sample_split(test, size, seed=seed if own else 0, stream="test images" if own else "split")
    given, checked = training.given, validation.given
    if given is None or checked is None:
        classes = torch.arange(10, device=device)
        given, _ = redraw_labels(training.labels, classes, corruption_rate, seed)
        checked, _ = redraw_labels(validation.labels, classes, corruption_rate, *validation_draw)
    return Split(train=training, validation=validation, test=test.to(device), noisy=given, noisy_validation=checked)


class SplitStack:
    """The splits of M runs: inputs and labels of each part with a leading axis M."""

    def __init__(self, config: Any, cells: Sequence[Cell], machine: Machine, validation_size: int, test_size=None):
        shared, self.seeds = getattr(config, "streams", "shared"), [cell["seed"] for cell in cells]
        self.machine, self.config = machine, config
        self.splits = [
            load_split(
                config.data, config.train_size, validation_size, cell["corruption_rate"], cell["seed"],
                test_size, shared, machine.device,
            )
            for cell in cells
        ]  # fmt: skip
        _, *shape = self.splits[0].train.pixels.shape
        self.image_shape = (shape[0], shape[1], shape[2])

    def images(self, part: str) -> ImageStack:
        """Images of `"train"`, `"validation"` or `"test"`."""
        return ImageStack.of([getattr(s, part) for s in self.splits], [s.train for s in self.splits])

    def given(self, name: str = "noisy") -> Tensor:
        """Labels as given: `"noisy"` for training or `"noisy_validation"`."""
        return torch.stack([getattr(s, name) for s in self.splits])

    def truth(self, part: str) -> Tensor:
        """True labels of a part."""
        return torch.stack([getattr(s, part).labels for s in self.splits])

    def stack(self, network: Callable[[int], nn.Module]) -> Stack:
        """A network for every run, by its seed."""
        return Stack([network(seed).to(self.machine.device) for seed in self.seeds], self.machine)

    def conv_nets(self) -> Stack:
        """The network of Figures 1 and 3 for every run, initialized as the configuration says."""
        start = INITIALIZATIONS[self.config.initialization]
        return self.stack(lambda seed: start(conv_net(self.image_shape, self.config.widths, seed=seed), seed))

    def optimizer(self, stack: Stack, **chosen: Any) -> torch.optim.Optimizer:
        """The optimizer as it is `chosen`, or as the configuration says, or that of `RECIPE`."""
        sizes = {key: getattr(self.config, key, value) for key, (value, *_) in RECIPE.items()} | chosen
        own = {"rho": sizes["adadelta_rho"], "eps": sizes["adadelta_eps"]} if sizes["optimizer"] == "adadelta" else {}
        return OPTIMIZERS[sizes["optimizer"]](stack, sizes["step_size"], **own)

    def train(
        self, stack: Stack, measure: Callable, checkpoint: Any, augmentation: str = "none", **more: Any
    ) -> dict[str, list[Tensor]]:
        """Train all runs on the given labels, as `training.train` does; `more` may choose keys of `RECIPE`."""
        chosen = {key: more.pop(key) for key in RECIPE if key in more}
        images = AUGMENTATIONS[augmentation](self.images("train"))
        return train(
            stack, images, self.given(), optimizer=self.optimizer(stack, **chosen),
            epochs=self.config.epochs, batch_size=self.config.batch_size, seeds=self.seeds,
            measure=measure, checkpoint=checkpoint, **more,
        )  # fmt: skip


def run_curves(history: dict[str, list[Tensor]], run: int) -> dict[str, list[Any]]:
    """The curves of one run of a stack; `epoch` is common to all."""
    curves = {key: torch.stack(rows)[:, run].tolist() for key, rows in history.items() if key != "epoch"}
    return {"epoch": [int(epoch) for epoch in history["epoch"]]} | curves


def data_hashes(config: Any) -> dict[str, str]:
    """Hashes of the pixels and labels that an experiment reads, if they are not made by this package."""
    if config.data == "cifar10n":
        return HUB["cifar10"][3] | {"labels": HASH}
    if config.data in TITLES:
        return HUB[config.data][3] if config.data in HUB else {}
    parts = {split: _images(config.data, split) for split in ("train", "test")}
    labels = {split: [one.labels, *([] if one.given is None else [one.given])] for split, one in parts.items()}
    return {split: content_hash(one.pixels, *labels[split]) for split, one in parts.items()}


def passes(config: Any) -> tuple[int, int]:
    """Images that one training of a configuration trains on, and those that it evaluates."""
    parts = ("train_size", "validation_size", "test_size")
    times = sum(Machine().measured(epoch, config.epochs) for epoch in range(config.epochs + 1))
    return config.epochs * config.train_size, times * sum(getattr(config, p, 0) for p in parts)


def training_work(config: Sized) -> float:
    """Images that pass forward and back in a training, those only evaluated counted a third."""
    trained, evaluated = passes(config)
    return trained + evaluated / 3


def tiny_cells(count: int, **more: object) -> list[Cell]:
    """Cells of different corruption rates and seeds, for fingerprints."""
    levels = ((0.5, 0), (1.0, 1), (0.0, 2))
    return [{"corruption_rate": rate, "seed": seed, **more} for rate, seed in levels[:count]]


TINY_SIZES = {"train_size": 24, "batch_size": 16, "epochs": 4}  # eight steps, each second one shorter


def rounded(machine: Machine) -> Numbers:
    """Which share of outputs and gradients are numbers of bfloat16: rounding itself hides in losses."""
    split = load_split("digits", 24, 0, 0.5, device=machine.device)
    stack = Stack([conv_net((1, 8, 8), (8, 8, 16), seed=seed) for seed in (0, 1)], machine)
    images = ImageStack.of([split.train] * 2, [split.train] * 2)
    labels = torch.stack([split.noisy] * 2)
    step = TrainingStep(stack, images, labels, OPTIMIZERS["adadelta"](stack, 1.0), least_squares)
    step(torch.arange(16).expand(2, 16))
    gradients = torch.cat([weight.grad.flatten() for weight in stack.parameters.values() if weight.grad is not None])
    found = {"outputs": evaluate_stack(stack, images), "gradients": gradients}
    return {key: listed((v.bfloat16() == v).double().mean()) for key, v in found.items()}


ROUNDED: Paths = {
    "rounded to bfloat16": ("bfloat16", STACKED, rounded),
    "rounded to bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, rounded),
}
