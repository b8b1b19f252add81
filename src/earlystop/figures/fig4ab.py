"""Figures 4a and 4b: losses of a residual network on corrupted labels, stopped early."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots, theory
from earlystop.architectures import resnet
from earlystop.figures.splits import (
    ROUNDED,
    SMALL,
    TINY_SIZES,
    SplitStack,
    data_hashes,
    data_set,
    fit,
    load_split,
    number,
    rates,
    run_curves,
    setting,
    streams,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.metrics import auroc, loss_shares, overlap, split_losses
from earlystop.runs.experiment import Cell, Claim, Experiment, Run, grid, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import OPTIMIZERS, accuracy, evaluate_stack, least_squares

__all__ = ["Figure4ab", "load_split", "run", "setting"]

SWEEP = {"corruption_rate": "corruption_rates", "seed": "seeds"}
TOP_LOSS = 1.0  # where the histograms of losses end
BAR = 0.15  # an overlap up to here is our "approximately separable"


@dataclass(frozen=True)
class Figure4ab(Sized):
    """Losses of clean and of flipped samples, stopped early."""

    data: str = data_set("digits", "cifar10")
    train_size: int = number(1000, 20_000, 50_000, "training images")
    validation_size: int = number(150, 2_000, 2_000, "validation images, taken from the test set")
    test_size: int = number(247, 8_000, 8_000, "test images, the rest of it")
    depth: int = sizes(8, 20, 20, "depth of the ResNet", least=8)
    width: int = number(16, 16, 16, "width of its first stage")
    corruption_rates: tuple = rates((0.3, 0.5), (0.3, 0.5), (0.3, 0.5))
    epochs: int = sizes(30, 24, 40, "epochs", ours=True)
    batch_size: int = number(64, 128, 128, "batch size", ours=True)
    optimizer: str = always("adam", "optimizer", ours=True, before="adam", of=OPTIMIZERS)
    step_size: float = always(0.001, "step size", ours=True)
    streams: str = streams()
    seeds: int = number(1, 1, 3, "seeds")


@dataclass(frozen=True)
class LossHistory:
    """Every training sample's loss at every measured epoch, with what is needed to stop."""

    losses: Float[Tensor, "times n"]  # ½‖f - one-hot(y)‖² against the given labels
    flipped: Bool[Tensor, " n"]
    curves: dict[str, list[float]] = field(repr=False)  # epoch, noisy, true, test, ... accuracy

    def best_epoch(self, by: str = "validation") -> int:
        """The first measurement at which the curve `by` is highest."""
        return max(range(len(self.curves[by])), key=lambda time: self.curves[by][time])

    def groups(self, time: int) -> tuple[Tensor, Tensor]:
        """Losses of the samples with their true label, and of those with a flipped one."""
        return split_losses(self.losses[time], self.flipped)


def cells(config: Figure4ab) -> list[Cell]:
    """Every corruption rate and seed. Raises `ValueError` where hardly any label would be wrong."""
    least = min(config.corruption_rates)
    if round(least * config.train_size) < 10:  # of ten drawn again, one keeps its label
        raise ValueError(f"corruption_rates has {least:g}: with hardly any wrong labels there is nothing to separate")
    return grid(config, SWEEP)


def runs(config: Figure4ab, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Train the ResNet with least squares and no augmentation, all cells together: a `LossHistory` of each.

    All training images are trained on, as in the paper, so the validation images come from the
    test set; they choose the epoch, and the others measure the test accuracy.
    """
    data = SplitStack(config, cells, machine, 0, config.validation_size + config.test_size)
    stack = data.stack(lambda seed: resnet(config.depth, data.image_shape[0], config.width, seed=seed))
    images, test = data.images("train"), data.images("test")
    parts = slice(None, config.validation_size), slice(config.validation_size, None)

    def measure() -> dict[str, Tensor]:
        outputs, unseen = evaluate_stack(stack, images), evaluate_stack(stack, test)
        chosen, others = ((unseen[:, p], data.truth("test")[:, p]) for p in parts)
        return {
            "noisy": accuracy(outputs, data.given()),
            "true": accuracy(outputs, data.truth("train")),
            **fit(least_squares, validation=chosen, test=others),
            "losses": least_squares(outputs, data.given()),
        }

    history = data.train(stack, measure, checkpoint, optimizer=config.optimizer, step_size=config.step_size)
    losses = torch.stack(history.pop("losses"), dim=1)
    flipped = [split.flipped.cpu() for split in data.splits]
    return [{"losses": losses[i], "flipped": flipped[i], "curves": run_curves(history, i)} for i in range(len(cells))]


def run(config: Figure4ab, corruption_rate: float, seed: int = 0) -> LossHistory:
    """One training with every sample's loss along it, kept where `EARLYSTOP_RESULTS` says."""
    return LossHistory(**EXPERIMENT.run(config, corruption_rate=corruption_rate, seed=seed))


def summary(run: Run, cell: Cell) -> dict[str, Any]:
    """Curves of a run, separation of the losses along training, and histograms.

    The histograms are those at the best epoch by validation accuracy, at the first epoch at
    which 1 - 0.9ρ of the given labels are reproduced (`agreement`: no clean label needed, but
    ρ), and at the last.
    """
    history = LossHistory(**run)
    times, curves = range(len(history.losses)), history.curves
    groups = [history.groups(time) for time in times]
    stops = {
        "best": history.best_epoch(),
        "agreement": agreement(curves["noisy"], cell["corruption_rate"]),
        "last": times[-1],
    }
    found = {
        **curves,
        "clean_loss": [clean.mean() for clean, _ in groups],
        "flipped_loss": [wrong.mean() for _, wrong in groups],
        "auroc": [auroc(*pair) for pair in groups],
        "overlap": [overlap(*pair) for pair in groups],
    }
    for name, time in stops.items():
        found[f"stop_{name}"] = curves["epoch"][time]
        found[f"clean_{name}"], found[f"flipped_{name}"] = (loss_shares(group, TOP_LOSS) for group in groups[time])
    return found


def agreement(noisy: Sequence[float], corruption_rate: float) -> int:
    """The first measurement at which 1 - 0.9ρ of the given labels are reproduced; the last if there is none.

    A stopping rule that needs no clean label, but the corruption rate ρ.
    """
    share = 1 - 0.9 * corruption_rate
    return next((time for time, one in enumerate(noisy) if one >= share - 1e-9), len(noisy) - 1)


def draw(result: Result) -> Figure:
    """Losses of true and flipped labels, stopped early, and how well they part along training."""
    levels = sorted(rate for rate in result.levels("corruption_rate") if rate > 0)
    fig, axes = plt.subplots(2, len(levels), figsize=(7, 5.6), squeeze=False, sharey="row", sharex="row")
    extra = (("auroc", "AUROC", plots.OTHER), ("overlap", "overlap", {"color": "#777777"}))
    for (top, bottom), rate in zip(axes.T, levels):
        clean, flipped = (result.numbers(f"{one}_best", corruption_rate=rate).mean(0) for one in ("clean", "flipped"))
        plots.share_bars(top, clean, flipped, TOP_LOSS)
        for predicted in theory.conditional_mean_losses(rate, 10):
            top.axvline(predicted, **plots.REFERENCE)
        top.lines[-1].set_label("expected")
        top.set(title=f"{rate:.0%} corrupted, stopped early", xlabel="loss of a sample")
        epochs = result.numbers("epoch", corruption_rate=rate)[0]
        for key, label, style in (*extra, *plots.CURVES):
            values = result.numbers(key, corruption_rate=rate)
            plots.band(bottom, epochs, values, label, **plots.line(style))
        bottom.set(xlabel="epoch", ylim=(0, 1.03))
    axes[0, 0].set(ylabel="share of its group")
    axes[1, 0].set(ylabel="share, or AUROC")
    legends = zip(*(ax.get_legend_handles_labels() for ax in axes[:, 0]))
    fig.legend(*map(sum, legends, ([], [])), loc="outside lower center", ncols=3)
    return fig


def at_stop(result: Result, key: str, rate: float, stop: str) -> Float[Tensor, " seeds"]:
    """The numbers `key` of all seeds at the epochs that were kept as `stop`: best, agreement or last."""
    cells = result.select(corruption_rate=rate)
    values = [cell[key][cell["epoch"].index(cell[f"stop_{stop}"])] for cell in cells]
    return torch.tensor(values, dtype=torch.float64)


def verdict(result: Result) -> str:
    """Whether the losses of both groups lie apart, and less so with more corruption."""
    keys, found = ("overlap", "auroc", "clean_loss", "flipped_loss", "test"), {}
    for rate in sorted(rate for rate in result.levels("corruption_rate") if rate > 0):
        found[rate] = [at_stop(result, key, rate, "best").mean().item() for key in keys]
    (least, low), (most, high) = min(found.items()), max(found.items())
    apart, grows, rises = low[0] <= BAR, high[0] > low[0], high[2] > low[2]
    word = {3: "**Yes**", 0: "**No**"}.get(apart + grows + rises, "**In part**")
    return (
        f"{word}. At {least:.0%} the two groups share {low[0]:.0%} of their area (AUROC {low[1]:.3f}), "
        f'{"within" if apart else "**more than**"} the 15% that we allow for "approximately separable"; '
        f"at {most:.0%}, {high[0]:.0%} ({high[1]:.3f}), so the overlap {'grows' if grows else 'does **not** grow'}. "
        f"The mean loss of true labels {'rises' if rises else 'does **not** rise'} from {low[2]:.2f} to {high[2]:.2f}. "
        f"The gap of the means is {low[3] - low[2]:.2f} and {high[3] - high[2]:.2f}, where a network "
        f"that outputs the mean label has {1 - least:.2f} and {1 - most:.2f}. "
        f"Test accuracy: {low[4]:.0%} and {high[4]:.0%}."
    )


# What chapter 5 says of its own runs: whether it holds, the words for both cases, the number behind it, and its form


def step_limit(limit: float) -> tuple:
    """Whether the last layer forbids the usual step size."""
    above = f"steps above **{limit:.3f}**"
    return (limit < 0.1, f"At initialization the last layer alone forbids {above}, although 0.1 is usual.",
            f"At initialization the last layer forbids {above}, and the usual 0.1 is allowed.", limit)  # fmt: skip


def mean_feature(share: float) -> tuple:
    """Whether nearly all of a curvature lies along the mean feature."""
    return (
        share > 0.9,
        f"Nearly all of that curvature lies along one direction, the mean of all features: **{share:.0%}**.",
        f"Of that curvature {share:.0%} lies along the mean of all features.", share, ".0%",
    )  # fmt: skip


def separable(shared: float, learned: float) -> tuple:
    """Whether two histograms share little, by a network of this validation accuracy."""
    are, with_ = "approximately separable", f"with {shared:.1%}."
    return (shared <= BAR, f"By that bar the former **are** {are}, {with_}",
            f"By that bar the former are **not** {are}, by a network of {learned:.0%} validation accuracy, {with_}",
            shared, ".1%")  # fmt: skip


def shrinks(gaps: dict[float, float]) -> tuple:
    """Whether the gap between the mean losses is smaller at the second of two rates."""
    (low, first), (high, second) = gaps.items()
    ratio, wanted = second / first, (1 - high) / (1 - low)
    return (
        second < first,
        f"It shrinks, as predicted: a factor of {wanted:.2f} was predicted, and it is **{ratio:.2f}**.",
        f"It does **not** shrink: it is {ratio:.2f} times what it was.", ratio, ".2f",
    )  # fmt: skip


def in_order(least: float, gaps: Iterable[float]) -> tuple:
    """Whether flipped samples have the larger losses, by the smallest AUROC and the gaps of the means."""
    return (
        least > 0.9 and min(gaps) > 0,
        f"**Yes**: at every rate the flipped samples have the larger mean loss, and the AUROC is **{least:.3f}** or "
        "more.",
        f"**Not reliably**: at some rate the AUROC is only {least:.3f}.", least, ".3f",
    )  # fmt: skip


def erodes(least: float) -> tuple:
    """Whether the AUROC falls at every rate, by this much at least."""
    return (
        least > 0.02, f"So training on erodes the separation, by **{least:.2f}** or more.",
        f"So at some rate training on does **not** erode the separation, or hardly: by {least:.3f}.", least, ".2f",
    )  # fmt: skip


def finds(rate: float, before: Tensor, hits: Tensor, left: Tensor) -> tuple:
    """Whether suspects have more wrong labels than all samples, and how many are left without them."""
    lead = f"At {rate:.0%} corruption"
    return (
        hits > before,
        f"{lead} the share of wrong labels falls from {before:.1%} to **{left:.1%}** without the suspects, of whom "
        f"**{hits:.1%}** have a wrong label.",
        f"{lead} {hits:.1%} of the suspects have a wrong label, **no more** than the {before:.1%} of all.",
        hits.item(), ".1%",
    )  # fmt: skip


# What it says of the stored results


def areas(low: float, high: float, parts: Sequence[Tensor], pairs: float, test: float) -> str:
    """Whether the losses part at the lower of two rates, and less so at the higher, by the overlaps of the seeds."""
    spread = (f" ({part.min():.0%} to {part.max():.0%} over the seeds)" * (len(part) > 1) for part in parts)
    shared, more = (f"**{part.mean():.0%}**{words}" for part, words in zip(parts, spread))
    first, second = (part.mean() for part in parts)
    grows = "grows with the rate, as the paper says." if first < second else "does **not** grow with the rate."
    bar = ("is approximately separable, as the paper says." if first <= BAR else
           f"is **not** approximately separable: it shares {first / BAR:.1f} times as much.")  # fmt: skip
    return (
        f"At {low:.0%} the histograms share {shared} of their area, at {high:.0%} {more}. By our bar the former {bar} "
        f"A flipped sample has the larger loss in {pairs:.1%} of all pairs, test accuracy is {test:.0%} at that rate, "
        f"and the overlap {grows}"
    )


def in_the_way(middle: dict[float, float], beyond: dict, below: dict, mistaken: dict[float, float]) -> str:
    """Which true labels have a loss beyond the middle of the two expected ones, and which flipped ones below."""
    each = (
        f"At {rate:.0%}, **{beyond[rate]:.0%}** of the true labels have a loss above {cut:.2f}, halfway between the "
        f"dotted lines, and **{below[rate]:.0%}** of the flipped ones have a loss below it."
        for rate, cut in middle.items()
    )
    return (
        f"Two things. {' '.join(each)} The former are images that the network takes for another class or is unsure "
        "of, the latter wrong labels that it has begun to fit. The networks are wrong about the truth of "
        + " and ".join(f"{share:.0%}" for share in mistaken.values())
        + " of their training images, so one that knows CIFAR-10 better would presumably part the losses better; "
        "the paper does not say which augmentation or step sizes it used."
    )


def sizes_of_losses(means: dict[float, list[float]]) -> str:
    """How the mean losses of true and of flipped labels compare with the expected ones, from lowest to highest rate."""
    gaps = {rate: (wrong - clean) / (1 - rate) for rate, (clean, wrong) in means.items()}
    times = (clean / theory.conditional_mean_losses(rate, 10)[0] for rate, (clean, _) in means.items())
    clean = [pair[0] for pair in means.values()]
    raised = clean[-1] > clean[0]
    return (
        f"The loss of true labels {'increases' if raised else 'does **not** increase'} with the corruption (the paper: "
        f'it "increases as predicted by our theory"). But it is {" and ".join(f"{one:.1f}" for one in times)} times '
        f"the expected one, and the gap is {' and '.join(f'{gap:.0%}' for gap in gaps.values())} of the expected gap."
        + " These networks do not output the mean label: {prf:ref}`prop-cifar-losses` gives the direction and not the "
        "size." * (max(gaps.values()) < 0.9 and raised)
    )


def label_free(result: Result, costs: dict[float, float], never: Sequence[str]) -> str:
    """What the rule that needs no label costs by rate, when it stops, and at which rates it `never` does."""
    at = {key: [[at_stop(result, key, rate, stop).mean().item() for stop in ("agreement", "best")] for rate in costs]
          for key in ("epoch", "true")}  # fmt: skip
    right = [pair[0] for pair in at["true"]]
    return (
        f"The label-free rule costs {' and '.join(f'**{100 * c:.1f} points** at {r:.0%}' for r, c in costs.items())} "
        "of test accuracy. It stops after epoch "
        + " and ".join(f"{ours:.0f} instead of {best:.0f}" for ours, best in at["epoch"])
        + f" in the mean. At its stop the networks get {' and '.join(f'{share:.0%}' for share in right)} of their "
        "training images right"
        + (", so its premise fails: part of the share that it waits for is wrong labels, memorized."
           if min(right) < 0.95 else ".")
        + f" At {' and '.join(never)} the share was never reached in some run, and the rule took the last epoch."
        * bool(never)
    )  # fmt: skip


def separation_lost(result: Result, along: dict[float, Tensor], fitted: dict[float, float]) -> str:
    """Whether memorization erodes the AUROC, its mean over the seeds given `along` training for each rate."""
    epochs, parts = result["cells"][0]["epoch"], []
    for rate, curve in along.items():
        parts.append(
            f"At {rate:.0%} the AUROC, mean of the seeds in each epoch, is best in epoch {epochs[curve.argmax()]}, "
            f"with {curve.max():.3f} (in the table, where each seed stops at an epoch of its own, "
            f"{at_stop(result, 'auroc', rate, 'best').mean():.3f}), and falls to **{curve[-1]:.3f}** by epoch "
            f"{epochs[-1]}, when {fitted[rate]:.0%} of the given labels are reproduced."
        )
    eroded = all(curve[-1] < curve.max() - 0.02 for curve in along.values())
    return (
        f"{' '.join(parts)} Memorization {'erodes' if eroded else 'does **not** erode'} the separation"
        + ("" if eroded else " in these runs")
        + ("." if min(fitted.values()) > 0.95 else ", and as it is not complete, the end of that is not seen.")
    )


def tiny(
    count: int, depth: int, each: bool, machine: Machine, optimizer: str = "adam", streams: str = "shared"
) -> Numbers:
    """Losses along a small training, of every sample or their mean, and of others."""
    config = Figure4ab.at(
        "quick", data="patterns", validation_size=20, test_size=30, depth=depth, width=4,
        optimizer=optimizer, streams=streams, **TINY_SIZES,
    )  # fmt: skip
    found = [LossHistory(**run) for run in runs(config, tiny_cells(count), None, machine)]
    losses = [run.losses if each else run.losses.mean(dim=1) for run in found]
    parts = ("validation", "test")
    curves = {f"{part} loss": listed([run.curves[f"{part}_loss"] for run in found]) for part in parts}
    return {"epoch": listed(found[0].curves["epoch"]), "losses": listed(losses), **curves}


def tiny_summary(fitted: float, machine: Machine) -> Numbers:
    """What is kept of losses that are given: means, separation, histograms, stopping times.

    At the third time the share `fitted` of the given labels is reproduced.
    """
    samples, times = torch.arange(60), 5
    flipped = samples % 3 == 0
    steps = torch.arange(times)[:, None]
    losses = 0.013 + 0.011 * samples + torch.where(flipped, 0.4 - 0.07 * steps, 0.1 - 0.02 * steps)
    curves = {"epoch": [0, 1, 2, 3, 4], "noisy": [0.1, 0.4, fitted, 0.75, 0.9], "true": [0.1, 0.5, 0.8, 0.7, 0.6],
              "validation": [0.1, 0.6, 0.5, 0.6, 0.2], "test": [0.1, 0.5, 0.6, 0.5, 0.4]}  # fmt: skip
    kept = summary({"losses": losses, "flipped": flipped, "curves": curves}, {"corruption_rate": 0.4})
    return {key: listed(value) for key, value in kept.items()}


EXPERIMENT = register(Experiment(
    name="fig4ab",
    title="Figure 4a, b: losses of clean and of flipped samples",
    config=Figure4ab,
    runs=runs,
    summary=summary,
    cells=cells,
    sweep=SWEEP,
    work=training_work,
    trials=({**SMALL, "epochs": 1}, {**SMALL, "epochs": 3}),
    data=data_hashes,
    draw={"": draw},
    claims=(
        Claim(
            "the losses of clean and of flipped samples separate, less so with more corruption",
            "cifar10",
            verdict,
        ),
    ),
    paths={
        "stacked": ("float32", STACKED, partial(tiny, 3, 8, True)),
        "separate streams": ("float32", STACKED, partial(tiny, 3, 8, True, streams="separate")),
        "Adadelta": ("float32", STACKED, partial(tiny, 1, 8, True, optimizer="adadelta")),
        "momentum": ("float32", STACKED, partial(tiny, 1, 8, True, optimizer="momentum")),
        "side by side, depth 14": ("float32", SIDE_BY_SIDE, partial(tiny, 2, 14, True)),
        "one alone": ("float32", STACKED, partial(tiny, 1, 8, True)),
        "bfloat16, side by side": ("bfloat16", SIDE_BY_SIDE, partial(tiny, 3, 8, False)),
        "summary": ("float32", STACKED, partial(tiny_summary, 0.64)),
        "summary, not yet at 1 − 0.9ρ": ("float32", STACKED, partial(tiny_summary, 0.62)),
        **ROUNDED,
    },
))  # fmt: skip
