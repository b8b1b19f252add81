"""What chapter 5 says of its own runs, and of the stored Figures 4a and 4b.

Of a finding: whether it holds, the words for both cases, the number behind it, and its form.
"""

from collections.abc import Iterable, Sequence

from torch import Tensor

from earlystop import theory
from earlystop.figures.fig4ab import BAR, at_stop
from earlystop.runs.results import Result


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
