"""The sizes of every figure of the paper at three scales, and one run of each."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from earlystop.architectures import conv_net, resnet
from earlystop.data import Dataset, clusterable_dataset, corrupt_uniformly, redraw_labels
from earlystop.descent import Trajectory, gradient_descent
from earlystop.images import Images, load_images, sample_split
from earlystop.jacobian import model_gram
from earlystop.network import ERF, Activation, initial_weights
from earlystop.scale import Sized, device, sizes
from earlystop.training import Distance, accuracy, evaluate, least_squares, train

TENTHS = tuple(level / 10 for level in range(11))


# --------------------------------------------------------------------------------- Figure 5


@dataclass(frozen=True)
class Figure5(Sized):
    """Gradient descent on two clusters with corrupted labels: the paper's own sizes throughout."""

    samples: int = sizes(400, 400, 400, "samples, n")
    dim: int = sizes(20, 20, 20, "dimension, d")
    clusters: int = sizes(2, 2, 2, "clusters and classes, K")
    input_noise: float = sizes(0.5, 0.5, 0.5, "radius of a cluster, ε₀")
    corruption_rate: float = sizes(0.3, 0.3, 0.3, "share of labels drawn again, ρ")
    hidden_units: int = sizes(1000, 1000, 1000, "hidden units, k")
    step_size: float = sizes(0.01, 0.01, 0.01, "step size, η (our choice)")
    early: int = sizes(80, 80, 80, "early iteration")
    iterations: int = sizes(4500, 4500, 4500, "last iteration")
    seeds: int = sizes(5, 20, 100, "seeds")


def figure5_data(config: Figure5, seed: int, noise: str = "offset") -> Dataset:
    """Figure 5's data; `noise="offset"` is the paper's recipe, "shell" obeys Definition 1.1."""
    labels = tuple(torch.linspace(0, 1, config.clusters).tolist())
    clean = clusterable_dataset(
        config.samples,
        config.clusters,
        config.dim,
        input_noise=config.input_noise,
        labels=labels,
        noise=noise,
        seed=seed,
    )
    return corrupt_uniformly(clean, config.corruption_rate, seed=seed).to(device())


def figure5_run(
    config: Figure5, seed: int, noise: str = "offset", activation: Activation = ERF
) -> tuple[Dataset, Trajectory]:
    """One seed of Figure 5: its data, and all iterations of gradient descent on it."""
    dataset = figure5_data(config, seed, noise)
    weights = initial_weights(config.hidden_units, config.dim, seed=seed).to(device())
    return dataset, gradient_descent(
        weights,
        dataset.inputs,
        dataset.labels,
        step_size=config.step_size,
        iterations=config.iterations,
        activation=activation,
    )


# ---------------------------------------------------------------------------- Figures 1 and 3


@dataclass(frozen=True)
class Figure1(Sized):
    """Accuracy against corruption, trained long and stopped early."""

    data: str = sizes("digits", "mnist", "mnist", "data")
    train_size: int = sizes(1000, 10_000, 50_000, "training images")
    validation_size: int = sizes(400, 2_000, 10_000, "validation images")
    test_size: int = sizes(397, 10_000, 10_000, "test images")
    widths: tuple = sizes((32, 64, 128), (64, 128, 256), (64, 128, 256), "widths of the layers")
    corruption_rates: tuple = sizes(
        (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0), TENTHS, TENTHS, "corruption rates, ρ"
    )
    epochs: int = sizes(60, 60, 200, "epochs")
    batch_size: int = sizes(64, 128, 128, "batch size (our choice)")
    seeds: int = sizes(1, 1, 3, "seeds")


@dataclass(frozen=True)
class Figure3(Sized):
    """Training accuracy and loss against distance from initialization."""

    data: str = sizes("digits", "mnist", "mnist", "data")
    train_size: int = sizes(1000, 3000, 3000, "training images")
    widths: tuple = sizes((32, 64, 128), (64, 128, 256), (64, 128, 256), "widths of the layers")
    corruption_rates: tuple = sizes(TENTHS[:6], TENTHS[:6], TENTHS[:6], "corruption rates, ρ")
    epochs: int = sizes(70, 100, 200, "epochs")
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
        values = self.train.pixels.float() / 255
        return getattr(self, part).inputs(values.mean().item(), values.std().item())


def load_split(
    data: str,
    train_size: int,
    validation_size: int,
    corruption_rate: float,
    seed: int = 0,
    test_size: int | None = None,
) -> Split:
    """A random split of the training images, and labels of which a share ρ is drawn again.

    `test_size` test images are drawn too, by default all of them.
    """
    parts = sample_split(load_images(data), train_size, validation_size, seed=seed)
    training, validation = (part.to(device()) for part in parts)
    test = load_images(data, "test")
    (test,) = sample_split(test, len(test) if test_size is None else test_size)
    classes = torch.arange(10, device=device())
    return Split(
        train=training,
        validation=validation,
        test=test.to(device()),
        noisy=redraw_labels(training.labels, classes, corruption_rate, seed)[0],
        noisy_validation=redraw_labels(validation.labels, classes, corruption_rate, seed + 1)[0],
    )


def adadelta(model: nn.Module) -> torch.optim.Optimizer:
    """Adadelta with learning rate 1, as in the experiments of Figures 1 and 3."""
    return torch.optim.Adadelta(model.parameters(), lr=1.0)


def figure1_run(config: Figure1, corruption_rate: float, seed: int = 0) -> dict[str, list[float]]:
    """Accuracies after every epoch, for one corruption rate and seed.

    Keys: `noisy` and `true` (training images, by given and by true label), `test`,
    `validation` and `noisy_validation`.
    """
    split = load_split(
        config.data,
        config.train_size,
        config.validation_size,
        corruption_rate,
        seed,
        config.test_size,
    )
    shape = tuple(split.train.pixels.shape[1:])
    model = conv_net(shape, config.widths, seed=seed).to(device())
    inputs, validation, test = (split.inputs(part) for part in ("train", "validation", "test"))

    def accuracies(_epoch: int) -> dict[str, float]:
        fitted, checked = evaluate(model, inputs), evaluate(model, validation)
        return {
            "noisy": accuracy(fitted, split.noisy),
            "true": accuracy(fitted, split.train.labels),
            "test": accuracy(evaluate(model, test), split.test.labels),
            "validation": accuracy(checked, split.validation.labels),
            "noisy_validation": accuracy(checked, split.noisy_validation),
        }

    return train(
        model,
        inputs,
        split.noisy,
        optimizer=adadelta(model),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=seed,
        after_epoch=accuracies,
    )


def figure3_run(config: Figure3, corruption_rate: float, seed: int = 0) -> dict[str, list[float]]:
    """Distance, accuracy and mean loss on the given labels after every epoch.

    Keys: `distance` (all weights together), `distance_per_layer`, `accuracy`, `loss`.
    """
    split = load_split(config.data, config.train_size, 0, corruption_rate, seed)
    shape = tuple(split.train.pixels.shape[1:])
    model = conv_net(shape, config.widths, seed=seed).to(device())
    inputs, distance = split.inputs("train"), Distance(model)

    def measure(_epoch: int) -> dict[str, float]:
        outputs = evaluate(model, inputs)
        return {
            "distance": distance(),
            "distance_per_layer": distance.per_layer(),
            "accuracy": accuracy(outputs, split.noisy),
            "loss": least_squares(outputs, split.noisy).mean().item(),
        }

    return train(
        model,
        inputs,
        split.noisy,
        optimizer=adadelta(model),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=seed,
        after_epoch=measure,
    )


# ------------------------------------------------------------------------------------ Figure 4


@dataclass(frozen=True)
class Figure4ab(Sized):
    """Losses of clean and of flipped samples, stopped early."""

    data: str = sizes("digits", "cifar10", "cifar10", "data")
    train_size: int = sizes(1000, 20_000, 50_000, "training images")
    validation_size: int = sizes(150, 2_000, 2_000, "validation images, taken from the test set")
    test_size: int = sizes(247, 8_000, 8_000, "test images, the rest of it")
    depth: int = sizes(8, 20, 20, "depth of the ResNet")
    width: int = sizes(16, 16, 16, "width of its first stage")
    corruption_rates: tuple = sizes((0.3, 0.5), (0.3, 0.5), (0.3, 0.5), "corruption rates, ρ")
    epochs: int = sizes(30, 30, 100, "epochs")
    batch_size: int = sizes(64, 128, 128, "batch size (our choice)")
    step_size: float = sizes(0.02, 0.005, 0.005, "step size (our choice)")
    seeds: int = sizes(1, 1, 3, "seeds")


@dataclass(frozen=True)
class LossHistory:
    """Every training sample's loss after every epoch, with what is needed to stop."""

    losses: Float[Tensor, "epochs+1 n"]  # ½‖f - one-hot(y)‖² against the given labels
    flipped: Bool[Tensor, " n"]
    curves: dict[str, list[float]] = field(repr=False)  # noisy, true, test, validation accuracy

    def best_epoch(self, by: str = "validation") -> int:
        """The first epoch at which the curve `by` is highest."""
        return max(range(len(self.curves[by])), key=lambda epoch: self.curves[by][epoch])


def figure4ab_run(config: Figure4ab, corruption_rate: float, seed: int = 0) -> LossHistory:
    """Train the ResNet with least squares and momentum, no augmentation; one rate and seed.

    All training images are trained on, as in the paper, so the validation images come from the
    test set; they choose the epoch, and the others measure the test accuracy.
    """
    held_out = config.validation_size + config.test_size
    split = load_split(config.data, config.train_size, 0, corruption_rate, seed, held_out)
    channels = split.train.pixels.shape[1]
    model = resnet(config.depth, channels, config.width, seed=seed).to(device())
    inputs, test = split.inputs("train"), split.inputs("test")
    parts = slice(None, config.validation_size), slice(config.validation_size, None)
    losses = []

    def measure(_epoch: int) -> dict[str, float]:
        outputs = evaluate(model, inputs)
        unseen = evaluate(model, test)
        losses.append(least_squares(outputs, split.noisy).cpu())
        return {
            "noisy": accuracy(outputs, split.noisy),
            "true": accuracy(outputs, split.train.labels),
            "validation": accuracy(unseen[parts[0]], split.test.labels[parts[0]]),
            "test": accuracy(unseen[parts[1]], split.test.labels[parts[1]]),
        }

    curves = train(
        model,
        inputs,
        split.noisy,
        optimizer=momentum(model, config.step_size),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=seed,
        after_epoch=measure,
    )
    return LossHistory(torch.stack(losses), split.flipped.cpu(), curves)


def momentum(model: nn.Module, step_size: float) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum 0.9 and no weight decay."""
    return torch.optim.SGD(model.parameters(), lr=step_size, momentum=0.9, nesterov=True)


@dataclass(frozen=True)
class Figure4c(Sized):
    """Singular values of the Jacobian of a ResNet that tells two classes apart."""

    data: str = sizes("digits", "cifar10", "cifar10", "data")
    classes: tuple = sizes((0, 1), (0, 1), (0, 1), "the two classes (airplane, automobile)")
    samples: int = sizes(250, 1000, 10_000, "samples, n")
    depth: int = sizes(8, 20, 20, "depth of the ResNet")
    width: int = sizes(16, 16, 16, "width of its first stage")
    epochs: int = sizes(20, 20, 50, "epochs")
    batch_size: int = sizes(32, 128, 128, "batch size (our choice)")
    step_size: float = sizes(0.005, 0.005, 0.005, "step size (our choice)")


def figure4c_data(config: Figure4c) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, " n"]]:
    """Inputs of the two classes, and labels -1 and 1. Raises `ValueError` if there are too few."""
    images = load_images(config.data)
    members = torch.isin(images.labels, torch.tensor(config.classes))
    images = images.subset(torch.nonzero(members).flatten())
    images = sample_split(images, config.samples)[0].to(device())
    labels = torch.where(images.labels == config.classes[1], 1.0, -1.0)
    return images.inputs(), labels


def calibrate(model: nn.Module, inputs: Float[Tensor, "n c h w"], batch_size: int = 500) -> None:
    """Set the running statistics of batch norm to those of `inputs`, weights unchanged.

    With several batches the variance is the mean of the batches' own.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
    model.train()
    seen = 0
    with torch.no_grad():
        for part in inputs.split(batch_size):
            seen += len(part)
            for m in norms:
                m.momentum = len(part) / seen  # every sample counts the same
            model(part)
    for m, value in zip(norms, before):
        m.momentum = value
    model.eval()


@dataclass(frozen=True)
class Spectrum:
    """Singular values of J, largest first, and how labels and noise lie along its directions."""

    values: Float[Tensor, " n"]  # σ_j
    labels: Float[Tensor, " n"]  # share of ‖ỹ‖² along the left singular vector u_j
    noise: Float[Tensor, " n"]  # share of ‖e‖² along u_j, for random flips e = y - ỹ

    def above(self, share: float = 0.1) -> int:
        """How many singular values are larger than `share` times the largest."""
        return int((self.values > share * self.values[0]).sum())


def figure4c_run(config: Figure4c) -> dict[str, Any]:
    """`Spectrum` of J `before` and `after` training on clean labels, `accuracy` and `flipped`.

    For the noise e, which is not trained on, 30 % of the labels are drawn again; `flipped` is
    the share that this flips.
    """
    inputs, labels = figure4c_data(config)
    model = resnet(config.depth, inputs.shape[1], config.width, n_classes=1).to(device())
    noisy, _ = redraw_labels(labels, labels.unique(), 0.3)

    def spectrum() -> Spectrum:
        calibrate(model, inputs)
        gram = model_gram(model, inputs, output=lambda out: out[0])
        values, directions = torch.linalg.eigh(gram)
        along = [(v.to(gram) @ directions).square() for v in (labels, noisy - labels)]
        shares = [(energy / energy.sum()).flip(0).cpu() for energy in along]
        return Spectrum(values.clamp(min=0).sqrt().flip(0).cpu(), *shares)

    before = spectrum()
    train(
        model,
        inputs,
        labels,
        optimizer=momentum(model, config.step_size),
        epochs=config.epochs,
        batch_size=config.batch_size,
        loss=lambda outputs, y: 0.5 * (outputs[:, 0] - y).square(),
    )
    after = spectrum()
    right = (evaluate(model, inputs)[:, 0].sign() == labels).float().mean().item()
    flipped = (noisy != labels).float().mean().item()
    return {"before": before, "after": after, "accuracy": right, "flipped": flipped}
