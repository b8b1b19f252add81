"""Figure 4c: singular values of the Jacobian of a residual network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.architectures import resnet
from earlystop.data import redraw_labels
from earlystop.figures.splits import ROUNDED, data_hashes, data_set, number
from earlystop.images import load_images, sample_split
from earlystop.jacobian import model_gram
from earlystop.metrics import in_words
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine, here
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import ImageStack, Stack, calibrate, evaluate_stack, momentum, train

HEADS = {  # outputs of the network, their target for label ±1, the number that J is taken of
    "single": (1, lambda y: y[..., None], lambda out: out[0]),
    "difference": (2, lambda y: torch.stack([-y, y], dim=-1) / 2 + 0.5, lambda out: out[1] - out[0]),
}
KINDS = {"single": "a single output", "difference": "difference of two outputs"}  # in words


@dataclass(frozen=True)
class Figure4c(Sized):
    """Singular values of the Jacobian of a ResNet that tells two classes apart."""

    data: str = data_set("digits", "cifar10")
    classes: tuple = always((0, 1), "the two classes (airplane, automobile)", of=range(10), length=2, once=True)
    samples: int = number(250, 1000, 10_000, "samples, n")
    depth: int = sizes(8, 20, 20, "depth of the ResNet", least=8)
    width: int = number(16, 16, 16, "width of its first stage")
    heads: tuple = sizes(("single",), ("single",), ("single", "difference"), "outputs looked at", of=HEADS, once=True)
    epochs: int = sizes(20, 20, 50, "epochs", ours=True)
    batch_size: int = number(32, 128, 128, "batch size", ours=True)
    step_size: float = always(0.005, "step size, with momentum 0.9", ours=True)
    seeds: int = number(1, 1, 1, "seeds")


@dataclass(frozen=True)
class Spectrum:
    """Singular values of J, largest first, and how labels and noise lie along its directions."""

    values: Float[Tensor, " n"]  # σ_j
    labels: Float[Tensor, " n"]  # share of ‖ỹ‖² along the left singular vector u_j
    noise: Float[Tensor, " n"]  # share of ‖e‖² along u_j, for random flips e = y - ỹ

    def above(self, share: float = 0.1) -> int:
        """How many singular values are larger than `share` times the largest."""
        return int((self.values > share * self.values[0]).sum())


def two_classes(config: Figure4c, seed: int, device: str) -> tuple[ImageStack, Float[Tensor, "1 n"]]:
    """Images of the two classes, and labels -1 and 1. Raises `ValueError` if there are too few."""
    images = load_images(config.data)
    members = torch.isin(images.labels, torch.tensor(config.classes))
    images = images.subset(torch.nonzero(members).flatten())
    images = sample_split(images, config.samples, seed=seed)[0].to(device)
    labels = torch.where(images.labels == config.classes[1], 1.0, -1.0)
    return ImageStack.of([images], [images]), labels[None]


def load_data(config: Figure4c) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, " n"]]:
    """The same as normalized inputs and labels of one run, on this machine's device."""
    images, labels = two_classes(config, 0, here().device)
    return images.inputs(slice(None))[0], labels[0]


def spectrum(gram: Float[Tensor, "n n"], labels: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """The parts of a `Spectrum`, from J Jᵀ."""
    values, directions = torch.linalg.eigh(gram)
    along = [(v.to(gram) @ directions).square() for v in (labels, noise)]
    shares = [(energy / energy.sum()).flip(0).cpu() for energy in along]
    roots = values.clamp(min=0).sqrt().flip(0).cpu()
    return dict(zip(("values", "labels", "noise"), (roots, *shares)))


def runs(config: Figure4c, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Of a single cell the `Spectrum` of J `before` and `after` training on clean labels, `accuracy`, `flipped`.

    For the noise e, which is not trained on, 30 % of the labels are drawn again; `flipped` is
    the share that this flips.
    """
    ((head, seed),) = [(cell["head"], cell["seed"]) for cell in cells]
    images, labels = two_classes(config, seed, machine.device)
    n_outputs, target, number = HEADS[head]
    net = resnet(config.depth, images.pixels.shape[2], config.width, n_outputs, seed)
    stack = Stack([net.to(machine.device)], machine)
    noisy, _ = redraw_labels(labels[0], labels[0].unique(), 0.3, seed)

    def compute() -> dict[str, Tensor]:
        model, inputs = stack.network(0), images.inputs(slice(None))[0]
        calibrate(model, inputs, machine.calibrated)
        return spectrum(model_gram(model, inputs, number, machine), labels[0], noisy - labels[0])

    def kept(name: str) -> dict[str, Tensor]:
        return checkpoint.keep(name, compute) if checkpoint else compute()

    before = kept("before")
    train(
        stack,
        images,
        labels,
        optimizer=momentum(stack, config.step_size),
        epochs=config.epochs,
        batch_size=config.batch_size,
        seeds=[seed],
        loss=lambda outputs, y: 0.5 * (outputs - target(y)).square().sum(dim=-1),
        checkpoint=checkpoint,
    )
    outputs = evaluate_stack(stack, images)[0]
    right = (torch.func.vmap(number)(outputs).sign() == labels[0]).float().mean().item()
    flipped = (noisy != labels[0]).float().mean().item()
    return [{"before": before, "after": kept("after"), "accuracy": right, "flipped": flipped}]


def run(config: Figure4c, head: str = "single", seed: int = 0) -> dict[str, Any]:
    """The spectra before and after one training, kept where `EARLYSTOP_RESULTS` says."""
    found = EXPERIMENT.run(config, head=head, seed=seed)
    return found | {name: Spectrum(**found[name]) for name in ("before", "after")}


def summary(run: Run, cell: Cell) -> dict[str, Any]:
    """The spectra as numbers: how many are large, and what the first directions hold."""
    values: dict[str, Any] = {"accuracy": run["accuracy"], "flipped": run["flipped"]}
    for name in ("before", "after"):
        spectrum = Spectrum(**run[name])
        values[f"above_tenth_{name}"] = spectrum.above(0.1)
        values[f"singular_values_{name}"] = spectrum.values
        values[f"labels_within_{name}"] = spectrum.labels.cumsum(0)
        values[f"flips_within_{name}"] = spectrum.noise.cumsum(0)
    return values


def work(config: Figure4c) -> float:
    """Operations for training, gradients, J Jᵀ and its eigenvectors, before and after."""
    parameters, n = 270_000 * (config.depth / 20) * (config.width / 16) ** 2, config.samples
    gradients = 6 * n * 41e6 * (config.depth / 20) * (config.width / 16) ** 2
    return config.epochs * gradients + 2 * (3 * gradients + n**2 * parameters + 25 * n**3)


def draw(result: Result) -> Figure:
    """Singular values relative to the largest, before and after training, for each head."""
    heads = result.levels("head")
    fig, axes = plt.subplots(len(heads), 2, figsize=(7, 3.3 * len(heads)), squeeze=False)
    styles = (("before", plots.level_color(0, 2), "--"), ("after", plots.level_color(1, 3), "-"))
    for (left, right), head in zip(axes, heads):
        for name, color, dash in styles:
            for seed, values in enumerate(result.numbers(f"singular_values_{name}", head=head)):
                relative = values / values[0]
                label = f"{name} training" if seed == 0 else None
                left.hist(relative.numpy(), bins=40, range=(0, 1), histtype="step", linestyle=dash,
                          linewidth=1.6, edgecolor=color, label=label)  # fmt: skip
                right.plot(range(1, len(relative) + 1), relative, dash, color=color, label=label)
        frame(left, right)
        left.set_title(KINDS[head])
        right.set(title=f"{KINDS[head]}, in order", ylim=(1e-4, 1.3))
    return fig


def draw_alignment(result: Result) -> Figure:
    """Share of true labels and of noise in the first directions, for the first output, before and after training."""
    head = result.levels("head")[0]
    fig, axes = plt.subplots(1, 2, sharey=True)
    for ax, time in zip(axes, ("before", "after")):
        for key, name, look in (("labels", "true labels", plots.line(plots.TRUE)),
                                ("flips", "noise", {"color": plots.WRONG_COLOR})):  # fmt: skip
            shares = result.numbers(f"{key}_within_{time}", head=head)
            plots.band(ax, range(1, shares.shape[1] + 1), shares, name, **look)
        ax.axhline(result.numbers("flipped", head=head)[0], label="share of wrong labels", **plots.REFERENCE)
        ax.set(xscale="log", title=f"{time} training", xlabel="number of directions")
        plots.log_ticks(ax.xaxis)
    axes[0].set(ylabel="share inside their span")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig


def first_directions(result: Result, rank: int) -> list[list]:
    """Output, time, and the shares of true labels and noise in the first directions, least to greatest of the seeds."""
    rows = []
    for head in result.levels("head"):
        for time in ("before", "after"):
            shares = [result.numbers(f"{key}_within_{time}", head=head)[:, rank - 1] for key in ("labels", "flips")]
            rows.append([KINDS[head], time, *(in_words(share, ".0%") for share in shares)])
    return rows


def frame(left: Axes, right: Axes) -> None:
    """Axes and legend for a histogram of singular values, and for the values in order; a tenth of the largest."""
    left.axvline(0.1, **plots.REFERENCE)
    right.axhline(0.1, **plots.REFERENCE)
    left.set(yscale="log", xlabel="singular value / largest", ylabel="count")
    right.set(xscale="log", yscale="log", xlabel="index", ylabel="singular value / largest")
    for axis in (left.yaxis, right.xaxis, right.yaxis):
        plots.log_ticks(axis)
    left.legend()


def relative(result: Result, time: str, head: str) -> Float[Tensor, "seeds n"]:
    """Singular values before or after training over the largest, of each seed."""
    values = result.numbers(f"singular_values_{time}", head=head)
    return values / values[:, :1]


def over_spectra(result: Result, number: Callable[[Tensor], float]) -> Float[Tensor, "spectra seeds"]:
    """A number of every spectrum: a row for each output, before and after training."""
    spectra = (relative(result, time, head) for head in result.levels("head") for time in ("before", "after"))
    return torch.tensor([[number(one) for one in spectrum] for spectrum in spectra], dtype=torch.float64)


def outside_range(result: Result) -> Float[Tensor, " seeds"]:
    """How far the number of singular values above a tenth of the largest is from 10 to 20, at worst."""
    counts = over_spectra(result, lambda values: (values > 0.1).sum().item())
    return torch.maximum(10 - counts, counts - 20).clamp(min=0).amax(0)


def largest_drop(result: Result) -> Float[Tensor, " seeds"]:
    """The largest factor from one to the next of the second to 101st singular value, least over the spectra."""
    return over_spectra(result, lambda values: (values[1:100] / values[2:101]).max().item()).amin(0)


def change_by_training(result: Result) -> Float[Tensor, " seeds"]:
    """The largest factor between a singular value before and after training, if both are above a thousandth."""
    factors = []
    for head in result.levels("head"):
        before, after = (relative(result, time, head) for time in ("before", "after"))
        ratio = torch.where((before > 1e-3) & (after > 1e-3), (before / after).log().abs(), 0)
        factors.append(ratio.amax(1).exp())
    return torch.stack(factors).amax(0)


def concentration(result: Result) -> Float[Tensor, " seeds"]:
    """Share of the labels over that of the flips in the first ten directions after training, least of the outputs."""
    shares = [[result.numbers(f"{key}_within_after", head=head)[:, 9] for key in ("labels", "flips")]
              for head in result.levels("head")]  # fmt: skip
    return torch.stack([labels / flips for labels, flips in shares]).amin(0)


def tiny(head: str, held: int, machine: Machine) -> Numbers:
    """The largest singular values before and after a small training, and the labels' energy.

    About `held` of the 80 rows of the Jacobian are held at a time.
    """
    config = Figure4c.at("quick", data="patterns", samples=80, width=4, batch_size=32, epochs=2, depth=8)
    machine = replace(machine, jacobian_bytes=held * 5_000 * 4.0)  # about 5,000 weights
    cell = {"head": head, "seed": 1}
    found = summary(runs(config, [cell], None, machine)[0], cell)
    counts = {"singular_values": 8, "labels_within": 4, "flips_within": 4}
    return {
        f"{key} {name}": listed(found[f"{key}_{name}"][:count])
        for name in ("before", "after")
        for key, count in counts.items()
    }


EXPERIMENT = register(Experiment(
    name="fig4c",
    title="Figure 4c: singular values of the Jacobian",
    config=Figure4c,
    runs=runs,
    summary=summary,
    sweep={"head": "heads", "seed": "seeds"},
    one_by_one=True,
    work=work,
    trials=({"samples": 128, "epochs": 1}, {"samples": 512, "epochs": 1}),
    data=data_hashes,
    words="trained in {}, Jacobian in float32",
    memory=12.0,
    float64=True,
    draw={"": draw},
    paths={
        "single": ("float32", STACKED, partial(tiny, "single", 1000)),
        "difference, in parts": ("float32", SIDE_BY_SIDE, partial(tiny, "difference", 50)),
        "bfloat16": ("bfloat16", SIDE_BY_SIDE, partial(tiny, "single", 1000)),
        **ROUNDED,
    },
))  # fmt: skip
