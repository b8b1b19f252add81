"""What chapter 6 says of its own runs, and of the stored Figure 4c.

Of a finding: whether it holds, the words for both cases, the number behind it, and its form.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from earlystop.figures.fig4c import Figure4c
from earlystop.images import TITLES
from earlystop.runs.results import Result


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
        + (", so in this run, of one seed, most of the alignment was learned; the paper argues with the Jacobian at "
           "initialization." if learned else ", in this run, of one seed.")
    )  # fmt: skip
