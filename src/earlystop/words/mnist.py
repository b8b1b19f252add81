"""What chapter 4 says of its own runs, and of the stored Figure 1.

Of a finding: whether it holds, the words for both cases, the number behind it, and its form.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.figures.fig1 import at_stop
from earlystop.figures.splits import Split
from earlystop.runs.results import Result


def setting(split: Split, config: Any, scale: str, name: str) -> str:
    """What a chapter's own runs train on, and whether those are the paper's data and sizes."""
    deep = hasattr(config, "depth")
    network, what = (f" of a network of depth {config.depth}", "network") if deep else ("", "sizes")
    whole = config == type(config).at("paper")
    return (
        f"Everything before the section on the largest run comes from **{split.train.title}**, at the {scale} scale: "
        f"{config.train_size:,} training images and {config.epochs} epochs{network}. "
        + (f"These are the paper's data and {what}." if whole else
           f"It is not the paper's {name} experiment at its full size.")
    )  # fmt: skip


def corrects(best: int, true: Sequence[float], right: float) -> tuple:
    """Whether a run knows more images at its best epoch than have a right label."""
    found = f"At its best, after epoch {best}, the network gets **{true[best]:.1%}** of its training images right"
    return (true[best] > right, f"{found}, although only {right:.1%} of their labels are.",
            f"{found}, no more than the {right:.1%} whose labels are.", true[best], ".1%")  # fmt: skip


def further(best: float, end: float) -> tuple:
    """Whether the weights of a run have moved on after its best epoch."""
    way = f"At its best it has moved by {best:.2f} times the norm of its initial weights, at the end by {end:.2f}"
    return end > best, f"{way}, **{end / best:.1f} times as far**.", f"{way}: **no further**.", end / best, ".1f"


def same_loop(apart: float) -> tuple:
    """Whether the module's training is the one by hand."""
    same = f"**Yes**: accuracy on the training and on the test images is the same to {apart:.1f} points."
    return apart < 2, same, f"**No**: an accuracy differs by {apart:.1f} points.", apart, ".1f"


def memorizes(every: bool, lowest: float, epochs: int) -> tuple:
    """Whether nearly all given labels are fitted in the end, at every rate."""
    agree = f"after {epochs} epochs the networks agree with"
    return (
        every, f"**They have memorized the noise, at every rate**: {agree} at least {lowest:.1%} of the labels they "
        "were given.",
        "**Not all have memorized the noise**, and where they have not, the left panel shows a state on the way: "
        f"{agree} {lowest:.1%} of the given labels or more.", lowest, ".1%",
    )  # fmt: skip


def near_line(off: Sequence[float]) -> str:
    """How far accuracies by the true labels are from the line of a network that has memorized."""
    if not off:
        return "Nowhere do the networks agree with as much as 95% of the labels they were given."
    return (
        "Where the networks agree with at least 95%, their accuracy by the true labels is within "
        f"{100 * max(off):.1f} points of 1 − 0.9ρ."
    )


def helps(some: Sequence[float], gains: Sequence[float], test_gains: Sequence[float]) -> tuple:
    """Whether stopping early gains much at some rates, in points."""
    gained = (
        f"at {min(some):.0%} to {max(some):.0%} corruption it gains {min(test_gains):.0f} points or more "
        f"of test accuracy, and of accuracy by the true training labels **{min(gains):.0f}** or more."
    )
    return (min(gains) > 10 and min(test_gains) > 0, f"**Stopping early helps**: {gained}",
            f"Stopping early **hardly helps**: {gained}", min(gains), ".0f")  # fmt: skip


def at_half(rate: float, truth_early: float, truth_late: float, test_early: float, test_late: float) -> str:
    """Accuracies stopped early and at the end, beside the number that the paper gives at half of the labels."""
    return (
        f"At {rate:.0%} corruption, accuracy by the true training labels is **{truth_early:.1%}** stopped early and "
        f"{truth_late:.1%} at the end; on the test set it is **{test_early:.1%}** and {test_late:.1%}. "
        "The paper reports around 100% for the first of these."
    )


def nine_tenths(held: Sequence[float]) -> tuple:
    """Up to which of the lowest rates 90% of the truth are recovered."""
    most, lead = max(held, default=0), "The training accuracy by true labels, stopped early, is"
    return (held, f"{lead} at least 90% up to a corruption of **{most:.0%}**.",
            f"{lead} below 90% already at the lowest rate.", most, ".0%")  # fmt: skip


def blind(cost: float, most: float) -> tuple:
    """Whether corrupted validation labels cost little up to a rate, in points."""
    labels, rest = "corrupted validation labels cost", "of test accuracy compared with clean ones."
    return (cost < 10, f"Up to ρ = {most:.0%}, {labels} at most **{max(0, cost):.1f} points** {rest}",
            f"Somewhere up to ρ = {most:.0%}, {labels} **as much as {cost:.1f} points** {rest}",
            max(0, cost), ".1f")  # fmt: skip


def rule_costs(tested: dict[float, tuple[float, float]]) -> str:
    """What it costs to stop at 1 − 0.9ρ instead of by clean labels, both accuracies given for every rate."""
    lost = [[100 * max(0, best - ours) for rate, (ours, best) in tested.items() if (rate <= 0.5) == low] or [0]
            for low in (True, False)]  # fmt: skip
    return (
        f"Without any validation the rule loses at most {max(lost[0]):.1f} points of test accuracy up to ρ = 50%, "
        f"and at most {max(lost[1]):.1f} above."
    )


def halfway(cell: dict[str, Any]) -> int:
    """Index of the measurement in the middle of a training."""
    epochs = cell["epoch"]
    return min(range(len(epochs)), key=lambda i: abs(2 * epochs[i] - epochs[-1]))


def journey(result: Result, final: dict[tuple[str, float], float], moving: float, away: float) -> str:
    """Whether the networks are at its end: `final` agreement by loss and rate, how far it was `moving`."""
    cell, done = result["cells"][0], [rate for (_, rate), fitted in final.items() if fitted >= 0.95]
    state = (
        "**They have memorized the noise.**" if len(done) == len(final) else
        "So they have come to a stop, and **with this one recipe the paper's \"near perfect fitting\" (caption of "
        "Figure 1) is not reached at every rate**; why they stop short is open. The {ref}`other loss "
        "<section-cross-entropy>` gives a hint, and {ref}`other recipes <section-recipes>` are tried on fewer images."
        if moving < 0.005 else
        "**They are still on the way**, and the left panel is not yet the paper's Figure 1a."
    )  # fmt: skip
    return (
        f"After {result['config']['epochs']} epochs the networks agree with {min(final.values()):.1%} to "
        f"{max(final.values()):.1%} of the labels they were given, with at least 95% at "
        + ", ".join(dict.fromkeys(f"{rate:.0%}" for rate in done))
        + f". Since epoch {cell['epoch'][halfway(cell)]} no agreement has changed by more than {100 * moving:.2f} "
        f"points. {state}"
        + f" The truth is lost all the same: accuracy by the true labels is within {100 * away:.1f} points of "
        "1 − 0.9ρ, that of a network that repeats every given label." * (away < 0.03)
    )


def silence(counted: dict[str, Any], stale: list[str], result: Result) -> str:
    """Whether images that are not fitted are silent, in a run beside those of a result."""
    of, end, versions = counted["config"], counted["rows"][-1], counted["versions"]
    explained, rate = end["silent and not fitted"] / end["not fitted"], of["corruption_rates"][0]
    beside, changed = "", f"**Its code gives other numbers now** ({'; '.join(stale)}). " * bool(stale)
    if of["train_size"] < result["config"]["train_size"]:
        missing = f"{1 - at_stop(result, 'noisy', rate).mean().item():.1%}"
        beside = f"In the larger runs above {missing} are missing at this rate; how many of those are silent was not "
        beside += "counted. "
    return (
        f"In the end {end['not fitted']:.1%} of the images are not fitted, and **{explained:.0%}** of these are "
        f"silent. So in this run silence goes with {'most' if explained > 0.5 else 'less than half'} of what is not "
        f"fitted. But the network has thinned out: {end['dead units']:.0%} of its {of['widths'][-1]} last units are on "
        f"for no image at all, and an image has {end['units on']:.1f} of them on. {beside}{changed}"
        f"(Least squares, {of['train_size']:,} images, {rate:.0%} corrupted, {of['epochs']} epochs, one seed, "
        f"on {counted['device']}, {counted['precision']}, torch {versions['torch']}, {counted['date']}: "
        f"`EARLYSTOP_PRECISION={counted['precision']} python benchmarks/silent.py --train-size {of['train_size']} "
        f"--epochs {of['epochs']}`.)"
    )


def around(reached: float, chosen: Sequence[int], config: dict[str, Any]) -> str:
    """How near the accuracy by true labels comes to the paper's number, stopped at the `chosen` epochs."""
    found = (": around 100%, as the paper says." if reached >= 0.99 else
             ", somewhat below the paper's \"around 100%\"." if reached >= 0.95 else
             ", well below the paper's \"around 100%\".")  # fmt: skip
    return (
        f"We find **{reached:.1%}**, by stopping after epoch {chosen[0]}"
        + f" to {chosen[-1]}, depending on the run" * (len(chosen) > 1)
        + f"{found} Accuracy is measured once an epoch, every {-(-config['train_size'] // config['batch_size']):,} "
        "steps, so that a better moment may be missed."
    )


def lines_hold(fitted: Sequence[float], corrected: Sequence[float]) -> str:
    """How far accuracies are from 1 − 0.9ρ where it is predicted by what is memorized, and by what is recovered."""
    late = (
        "Where the given labels are memorized, accuracy by the true ones is within "
        f"**{100 * max(fitted, default=0):.1f} points** of 1 − 0.9ρ. "
    )
    early = (
        "Where more than 90% of the truth is recovered, accuracy by the given labels is within "
        f"**{100 * max(corrected, default=0):.1f} points** of it."
    )
    return late * bool(fitted) + (early if corrected else "Nowhere is more than 90% of the truth recovered.")


def without_clean(test: dict[str | None, float]) -> str:
    """What each rule's test accuracy says about doing without clean labels."""
    return (
        f"Corrupted validation labels cost {100 * (test['validation'] - test['noisy_validation']):.1f} points against "
        "clean ones. "
        + ("Even an epoch chosen blindly is far better than the last." if test["fixed"] > test[None] + 0.05 else
           "An epoch chosen blindly is hardly better than the last.")
    )  # fmt: skip


def unlike(one: Result, other: Result) -> list[str]:
    """Sizes in which two results differ, besides those that a comparison of their losses makes equal."""
    varied = ("losses", "seeds", "corruption_rates", "epochs")
    pairs = ((key, size, other["config"][key]) for key, size in one["config"].items() if key not in varied)
    return [key.replace("_", " ") for key, here, there in pairs if here != there]


def beside(epochs: int, unlike: Sequence[str]) -> str:
    """Which runs stand beside those with cross-entropy, and whether they differ in more than the loss."""
    runs = f"Least squares: the runs of {{numref}}`fig-stored-figure1`, until epoch {epochs}."
    return runs + f" **They differ in more than the loss**: {', '.join(unlike)}." * bool(unlike)


def footnote(gained: dict[str, Tensor], apart: float, mild: float, crossed: Result) -> str:
    """Whether stopping early gains accuracy with each loss, as footnote 3 says; both are compared up to `mild`."""
    gains = (
        f"**{100 * gain.min():.0f} and {100 * gain.max():.0f} points** with {loss.replace('_', ' ')}"
        for loss, gain in gained.items()
    )
    word = "holds" if all(gain.min() > 0 for gain in gained.values()) else "does not hold"
    sizes = ", ".join(crossed.unlike_paper()).replace("_", " ")
    return (
        f"Stopping early gains between {' and between '.join(gains)}. Up to {mild:.0%} corruption the two, stopped "
        f"early, are at most {100 * apart:.1f} points apart. **So the footnote {word} here**"
        + f", though not at the paper's sizes ({sizes})" * bool(sizes)
        + "."
    )


def who_fits(fits: Float[Tensor, "rates losses"], epochs: int, alike: bool, rested: bool) -> str:
    """Which loss fits nearly all labels: runs `alike` but for it or not, of which the first have `rested` or not."""
    least, most = fits.min(0).values, fits.max(0).values
    fit = [f"{low:.1%}" + f" to {high:.1%}" * bool(high - low > 0.0005) for low, high in zip(least, most)]
    state = (
        "Both come near the \"near perfect fitting\" of Figure 1a." if least.min() >= 0.98 else
        "**With cross-entropy the same network, optimizer and images reach the \"near perfect fitting\"** of "
        "Figure 1a; with least squares they have come to a stop short of it."
        if least[1] >= 0.98 and alike and rested else
        "So cross-entropy reaches the \"near perfect fitting\" of Figure 1a **sooner**; the fit of least squares was "
        "still rising, so these runs do not say where it would have ended." if least[1] >= 0.98 and alike else
        "Neither reaches the \"near perfect fitting\" of Figure 1a at every rate." if most.max() < 0.98 else
        "At some rates the \"near perfect fitting\" of Figure 1a is reached."
    )  # fmt: skip
    return f"After {epochs} epochs cross-entropy fits {fit[1]} of the given labels, least squares {fit[0]}. {state}"


def ranged(values: Tensor) -> str:
    """The range of some shares over the seeds."""
    low, high = f"{values.min():.1%}", f"{values.max():.1%}"
    return low if low == high else f"{low} to {high}"


def recipes_fit(torch_fits: Tensor, behind: dict[str, Tensor], config: dict[str, Any]) -> str:
    """Whether some recipe fits more of the given labels than PyTorch's defaults, and what that says of Figure 1a."""
    better = [name for name, gap in behind.items() if gap.max() < 0]
    worse = [name for name, gap in behind.items() if gap.min() > 0]
    mixed = [name for name in behind if name not in better + worse]
    said = [(better, "fits more of them, in every seed"), (worse, "fits less of them, in every seed"),
            (mixed, "fits more in one seed and less in another")]  # fmt: skip
    found = " ".join(f"{name[0].upper()}{name[1:]} **{words}**." for group, words in said for name in group)
    so = (
        "So here the recipe does make a difference for the better, and **Figure 1a is open** until it is run at the "
        "paper's sizes." if better else
        "So **none of them fits better by then**. But with so few images PyTorch's defaults come near a perfect fit "
        "themselves; whether another recipe would close the gap that they leave with fifty thousand is open."
    )  # fmt: skip
    return (
        f"After {config['epochs']} epochs on {config['train_size']:,} images, PyTorch's defaults fit "
        f"**{ranged(torch_fits)}** of the given labels. {found} {so}"
    )


def recipes_stop(truth: dict[str, tuple[Tensor, Tensor]]) -> str:
    """Whether stopping early helps by every recipe: accuracies by true labels, early and in the end."""
    gains = torch.stack([early - late for early, late in truth.values()])
    word = "**Stopping early helps by every recipe**" if gains.min() > 0 else "Stopping early does not help by all"
    return (
        f"{word}: it gains {100 * gains.min():.0f} to {100 * gains.max():.0f} points of accuracy by the true labels; "
        "least where the noise is not yet memorized."
    )


def recipes_units(first: Tensor, keras: Tensor, sgd: Tensor) -> str:
    """How many units are dead after the first epoch by each recipe."""
    return (
        f"By PyTorch's numbers Adadelta's first steps leave {ranged(first)} of the last hidden units dead. "
        f"By those of Keras it leaves {ranged(keras)}. After an epoch of plain SGD {ranged(sgd)} are dead."
    )
