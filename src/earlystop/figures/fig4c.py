"""Figure 4c: singular values of the Jacobian of a residual network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
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
from earlystop.images import TITLES, load_images, sample_split
from earlystop.jacobian import model_gram
from earlystop.runs.experiment import Cell, Claim, Experiment, Run, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine, here
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import ImageStack, Stack, calibrate, evaluate_stack, momentum, train

HEADS = {  # outputs of the network, their target for label ±1, the number that J is taken of
    "single": (1, lambda y: y[..., None], lambda out: out[0]),
    "difference": (2, lambda y: torch.stack([-y, y], dim=-1) / 2 + 0.5, lambda out: out[1] - out[0]),
}


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
        kind = {"single": "a single output", "difference": "difference of two outputs"}[head]
        left.set_title(kind)
        right.set_ylim(1e-4, 1.3)
    return fig


def frame(left: Axes, right: Axes) -> None:
    """Axes and legend for a histogram of singular values, and for the values in order; a tenth of the largest."""
    left.axvline(0.1, **plots.REFERENCE)
    right.axhline(0.1, **plots.REFERENCE)
    left.set(yscale="log", xlabel="singular value / largest", ylabel="count")
    right.set(xscale="log", yscale="log", xlabel="index", ylabel="singular value / largest")
    left.legend()


def verdict(result: Result) -> str:
    """Whether few singular values are large, and whether there is a gap between two modes."""
    total, cells, times = result["config"]["samples"], result.select(seed=0), ("before", "after")
    counts = [cell[f"above_tenth_{time}"] for cell in cells for time in times]
    values = [cell[f"singular_values_{time}"] for cell in cells for time in times]
    largest = max(a / b for one in values for a, b in pairwise(one[1:101]))
    alone = [one[0] / one[1] for one in values]
    word = "Few are large, but not the paper's 10 to 20" if max(counts) < total / 10 else "More than few are large"
    word = "The count is the paper's" if all(10 <= count <= 20 for count in counts) else word
    gap = ", no gap between two modes** (our bar: a drop by a factor of 3 after the first value)"
    each = [
        f"{c['above_tenth_before']} before and {c['above_tenth_after']} after training ({c['head']} output)"
        for c in cells
    ]
    held = [
        ", ".join(
            f"{cell[f'labels_within_{time}'][9]:.0%} of the labels and "
            f"{cell[f'flips_within_{time}'][9]:.0%} of the flips {time} training" for time in times
        ) + f" ({cell['head']} output)"
        for cell in cells
    ]  # fmt: skip
    return (
        f"**{word}{gap if largest < 3 else '; there is a gap**'}. "
        f"Above a tenth of the largest of {total:,} singular values: {'; '.join(each)}. "
        f"The largest is {min(alone):.1f} to {max(alone):.1f} times the second; after it, each of the first 100 is "
        f"at most {largest:.1f} times the next. The first 10 directions hold {'; '.join(held)}."
    )


# What chapter 6 says of its own runs: a sentence; or whether it holds, the words for both cases, the number, its form


def strengths(radii: Sequence[float], alphas, noises, bounds, window: Sequence[float]) -> str:
    """How information and noise change from the first to the third radius, and the window to the fifth."""
    return (
        f"From ε₀ = {radii[0]} to {radii[2]}, α changes by {1 - alphas[2] / alphas[0]:.1%} while the noise strength ε "
        f"grows {noises[2] / noises[0]:.2f}-fold, for a {radii[2] / radii[0]:.0f} times larger radius. The window "
        f"α²/ε² shrinks from {window[0]:,.0f} to {window[2]:,.0f}, and to {window[4]:.1f} at ε₀ = {radii[4]}. "
        f"The bound is loose by a factor of {min(b / e for b, e in zip(bounds, noises)):.0f} or more."
    )


def left_over(information, nuisance, times: Sequence[int], early: int, off: Tensor) -> str:
    """How much of the residual is left in either space, early and in the end, and how well it was predicted."""
    return (
        f"After {times[early]} iterations **{information[early]:.1%}** of the residual in the information space is "
        f"left and **{nuisance[early]:.1%}** of that in the nuisance space; after {times[-1]:,} iterations, "
        f"{information[-1]:.2%} and {nuisance[-1]:.0%}. Up to iteration {times[early]} no output is farther than "
        f"{off[: early + 1].max():.1e} from the prediction of the fixed Jacobian, and up to the end none farther than "
        f"{off.max():.2f}."
    )


def stages(information: Sequence[float], nuisance: Sequence[float], early: int) -> tuple:
    """Whether the information is learned early, the noise hardly, and most noise not even in the end."""
    share, ahead = information[early], nuisance[early] > 0.95 and nuisance[-1] > 0.5 and information[-1] < 0.01
    lead, learned = (
        "**the two stages** that the paper describes",
        "the information is learned while the noise is hardly",
    )
    return (
        share < 0.05 and ahead, f"These are {lead}: {learned} touched, with {share:.1%} of its residual left.",
        f"These are **not** quite the two stages that the paper describes, in which {learned} touched; {share:.1%} of "
        "its residual is left.", share, ".1%",
    )  # fmt: skip


def rests(time: int, to_truth: float, to_means: float) -> tuple:
    """Whether outputs are nearer to the mean label of their cluster than to their true one."""
    away = (
        f"At iteration {time} the largest distance of an output from its true label is {to_truth:.2f}, "
        "from the **mean given label** of its cluster"
    )
    return to_means < to_truth, f"{away} only **{to_means:.2f}**.", f"{away} it is {to_means:.2f}.", to_means, ".2f"


def shares(rows: Sequence[Sequence[float]]) -> tuple:
    """Whether the truth lies in the top space, and a share ρ of the flips: rates, and the shares of both."""
    least, off = min(row[1] for row in rows), max(abs(row[2] - row[0]) for row in rows)
    lie = f"of the truth {least:.1%} lies in the top space, of the flips a share that is ρ to within **{off:.3f}**."
    return least > 0.98 and off < 0.03, f"So {lie}", f"**Otherwise than expected**, {lie}", off, ".3f"


def survives(rank: int, before: float, after: float, time: int) -> tuple:
    """Whether the top space is that of the clusters before and after training."""
    spaces = (
        f"the top {rank} left singular vectors agree to {before:.2%} with the vectors that are constant on clusters, "
        f"after {time:,} iterations to **{after:.2%}**."
    )
    return min(before, after) > 0.9, f"**It does**: {spaces}", f"**Not quite**: {spaces}", after, ".2%"


def worst_place(wrong: bool, slack: float, above: float) -> tuple:
    """Whether errors are γρ and ρ, for noise in one cluster and in all, and only the former is too much."""
    sizes = (f"In the former case the largest distance is γρ to within {slack:.3f}, in the latter it is at most "
             f"**{above:.3f}** above ρ")  # fmt: skip
    return (
        wrong and max(slack, above) < 0.05,
        f"Noise in one cluster ends on the wrong side of δ/2, spread noise does not. {sizes}.",
        f"**Not** as expected, noise in one cluster on the wrong side of δ/2 and spread noise not. {sizes}.",
        above, ".3f",
    )  # fmt: skip


def as_paper(config: Figure4c) -> bool:
    """Whether network, images and number of samples are the paper's."""
    return config.data == "cifar10" and config.samples == 10_000 and config.depth == 20


def setting(config: Figure4c, what: str, weights: int) -> str:
    """What the chapter's own spectra are of, and whether that is the paper's setting."""
    return (
        f"What follows is measured on **{config.samples:,} images** of {what} ({TITLES[config.data]}), with a "
        f"ResNet-{config.depth} of {weights:,} weights, trained for {config.epochs} epochs. "
        + ("These are the paper's network, images and number of samples." if as_paper(config) else
           "It is **not the paper's setting**, and its numbers are not the paper's: "
           "`EARLYSTOP_SCALE=paper` repeats that.")
    )  # fmt: skip


def fitted(accuracy: float) -> tuple:
    """Whether a network was trained long enough to speak of before and after."""
    right = f"After training, {accuracy:.1%} of the training images are on the right side"
    short = f'{right}: this run was too short to fit them, so read "after training" with care.'
    return accuracy > 0.9, f"{right}.", short, accuracy, ".1%"


def few(counts: Sequence[int], total: int) -> tuple:
    """Whether few singular values are large, before and after training."""
    above = (f"above a tenth of the largest are **{counts[0]}** of {total:,} singular values before training, "
             f"**{counts[1]}** after it.")  # fmt: skip
    return (max(counts) < total / 4, f"Few are large: {above}", f"**Not few** are large: {above}",
            counts[1], ".0f")  # fmt: skip


def in_range(inside: Sequence[bool], config: Figure4c) -> tuple:
    """Whether both counts are in the paper's range."""
    paper = "the paper's range of 10 to 20" + ("." if as_paper(config) else ", which it states for another size.")
    some = "One of them is" if any(inside) else "Both are"
    return all(inside), f"Both are in {paper}", f"{some} outside {paper}"


def gradual(drops: Sequence[float], tight: float, wide: float, radii: Sequence[float], change: Tensor) -> str:
    """The largest drops of the spectra beside those of clusters, and how the spectrum changes by training."""
    return (
        "The largest drop from one singular value to the next is by a factor of "
        f"{drops[0]:.1f} before and {drops[1]:.1f} after training; for our four clusters it was "
        f"**{tight:.0f}** at ε₀ = {radii[0]} and {wide:.1f} at ε₀ = {radii[-1]}. Relative to the largest, the second "
        f"to the {len(change) + 1}th are {change.min():.2f} to {change.max():.2f} times as large before training as "
        "after it."
    )


def first_ten(result: dict[str, Any]) -> str:
    """How much of labels and flips the first ten directions hold, before and after training."""
    (labels, flips), (later, flips_later) = (
        [energy[:10].sum() for energy in (s.labels, s.noise)] for s in (result["before"], result["after"])
    )
    return (
        f"In the first 10 of {len(result['before'].values):,} directions lie {labels:.0%} of the true labels and "
        f"{flips:.0%} of the flips before training, and **{later:.0%}** and **{flips_later:.0%}** after it, at a "
        f"training accuracy of {result['accuracy']:.1%}."
    )


# What it says of the stored results


def of_range(within: Sequence[bool], result: Result) -> str:
    """How many of the counts are in the paper's range, at which sizes."""
    some = f"{sum(within)} of these {len(within)} are" if any(within) else "**None** of these is"
    sizes = ", which it states for other sizes." if result.unlike_paper() else ", at the paper's sizes."
    return f"{'**All** of these are' if all(within) else some} in the paper's range of 10 to 20{sizes}"


def modes(
    gaps: dict[tuple, tuple[int, float]], alone: Sequence[float], heads: dict, radius: float, tight: float
) -> str:
    """Whether the largest drop of each spectrum, after the first value, parts two modes."""
    clear = [drop > 3 for _, drop in gaps.values()]
    each = (
        f"by a factor of **{drop:.1f}** after singular value {where} ({heads[head]}, {time} training)"
        for (head, time), (where, drop) in gaps.items()
    )
    gap = (
        "That is a gap, as between two modes." if all(clear) else
        "Some of these have a gap, as between two modes, and some do not." if any(clear) else
        "**There is no gap**, and two modes are not seen: few values are large and most are small, but the way from "
        "the ones to the others is gradual, and where to cut is a choice."
    )  # fmt: skip
    return (
        f"The first value is {min(alone):.1f} to {max(alone):.1f} times the second. After that, the largest drop is "
        f"{'; '.join(each)}. {gap} Four tight clusters (ε₀ = {radius}) had a drop by a factor of {tight:.0f}."
    )


def close(shift: dict[str, tuple[float, float, float]], worst: float, heads: dict[str, str]) -> str:
    """Whether the spectra before and after training are close: least, median and largest ratio of each."""
    each = (
        f"{heads[head].capitalize()}: from the second singular value to the last legible one, those after training are "
        f"between {low:.2f} and {high:.2f} times those before it, relative to the largest, **{middle:.2f}** times in "
        "the median." for head, (low, middle, high) in shift.items()
    )  # fmt: skip
    word = "So **yes**, within" if worst < 2 else "So **not close**: up to"
    return f"{' '.join(each)} {word} a factor of {worst:.1f}."


def concentrated(after: dict[str, list], before: Sequence[str], off: float, learned: bool) -> str:
    """How the labels concentrate in the first ten directions, beside the flips, and whether that was learned."""
    held = (f"**{row[3]:.0%}** of the labels and **{row[4]:.0%}** of the flips ({what})" for what, row in after.items())
    return (
        f"After training, the first 10 directions hold {' and '.join(held)}: the labels are "
        + " and ".join(f"{row[3] / row[4]:.1f}" for row in after.values())
        + f" times as concentrated there. The flips are never further than {off:.3f} from the prediction: "
        "they lie along these directions only as far as they resemble the labels. "
        f"The first 10 directions before training held {' and '.join(before)} of the labels"
        + (", so most of the alignment was learned; the paper argues with the Jacobian at initialization." if learned
           else ".")
    )  # fmt: skip


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
    together=("head", "seed"),
    work=work,
    trials=({"samples": 128, "epochs": 1}, {"samples": 512, "epochs": 1}),
    data=data_hashes,
    words="trained in {}, Jacobian in float32",
    memory=12.0,
    float64=True,
    draw={"": draw},
    claims=(
        Claim(
            "few singular values of the Jacobian are large, before and after training, and the spectrum has two modes",
            "jacobian",
            verdict,
        ),
    ),
    paths={
        "single": ("float32", STACKED, partial(tiny, "single", 1000)),
        "difference, in parts": ("float32", SIDE_BY_SIDE, partial(tiny, "difference", 50)),
        "bfloat16": ("bfloat16", SIDE_BY_SIDE, partial(tiny, "single", 1000)),
        **ROUNDED,
    },
))  # fmt: skip
