"""What chapter 2 says of its own runs, and of the stored Figure 5."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from earlystop.runs.results import counted

# Whether a finding holds, what is said if so and if not, its value and the value's form.
Words = tuple[Any, str, str, Any, str]


def either(holds: Any, yes: str, no: str, rest: str, value: Any, form: str) -> Words:
    """The words of a finding whose two sentences differ in how they begin."""
    return holds, f"{yes} {rest}.", f"{no} {rest}.", value, form


def first_descent(iteration: int, given: float, true: float, flips: float) -> str:
    """How the first descent of chapter 2 ends."""
    return (
        f"After {iteration} iterations the network disagrees with **{given:.1%}** of the labels it was given, of which "
        f"{flips:.1%} are wrong. It disagrees with **{true:.1%}** of the true labels, which it never saw."
    )


def truth_first(iteration: int, given: float, true: float, flips: float) -> Words:
    """The early network has learned the truth and not the noise."""
    yes = "Stopped early, the truth is learned and the noise is not:"
    no = "Stopped early, not just the truth is learned:"
    errs = f"at iteration {iteration} the error is {given:.1%} on the given labels and **{true:.2%}** on the true ones"
    return either(true <= 0.01 and abs(given - flips) <= 0.02, yes, no, errs, true, ".2%")


def noise_later(iteration: int, given: float, true: float, flips: float) -> Words:
    """The late network has learned the noise."""
    yes, no = "Run long, the noise is learned:", "Run long, not just the noise is learned:"
    errs = (
        f"at iteration {iteration:,} the error is {given:.2%} on the given labels and **{true:.1%}** on the true ones"
    )
    return either(given <= 0.02 and abs(true - flips) <= 0.02, yes, no, errs, true, ".1%")


def separated(auroc: float) -> Words:
    """Early losses tell flipped labels from true ones."""
    yes, no = (f"Early on the two groups are {how}:" for how in ("separated almost perfectly", "not quite separated"))
    return either(auroc > 0.98, yes, no, f"the AUROC is **{auroc:.3f}**", auroc, ".3f")


def still_ordered(auroc: float) -> Words:
    """Late losses still do so by their order."""
    yes, no = (f"Late, the *order* of the losses {gives}" for gives in ("still gives most", "gives few"))
    return either(auroc > 0.8, yes, no, f"flipped samples away: **{auroc:.3f}**", auroc, ".3f")


def hardly_overlapping(share: float) -> Words:
    """The distributions of late losses overlap less than the paper says."""
    paper = "The paper says that the distributions overlap by then"
    yes, no = f"{paper}; here they do so only partly,", f"{paper}, and here they do,"
    return either(share < 0.5, yes, no, f"in **{share:.0%}** of their area", share, ".0%")


def neighborhood(early: float, late: float) -> Words:
    """The early network is right on fresh inputs, and no worse than the late one."""
    yes, no = "The early network knows the neighborhood:", "The early network is not much better:"
    errs = f"on fresh inputs (recipe on the unit sphere) it errs on **{early:.2%}**, the late one on **{late:.2%}**"
    return either(early <= min(0.01, late), yes, no, errs, early, ".2%")


def harm(fresh: float, memorized: float) -> Words:
    """Memorized labels spoil their neighborhood less than themselves."""
    times = fresh / max(memorized, 1e-9)
    own = f"On its own training inputs the late one contradicts the truth on {memorized:.1%}"
    yes = f"{own}: it has memorized wrong labels without spoiling their neighborhood as much, where it errs"
    return either(times < 0.5, yes, f"{own}, in their neighborhood", f"**{times:.2f} times** as often", times, ".2f")


def noise_is_far(early: int, late: int, near: float, far: float) -> Words:
    """The weights travel much further to the noise than to the truth."""
    moves = f"On the unit sphere, at iteration {early} the weights have moved by {near:.1f}, at {late:,} by {far:.1f}:"
    yes, no, times = f"{moves} the noise is", f"{moves} the noise is only", far / near
    return either(far > 3 * near, yes, no, f"**{times:.1f} times** as far away", times, ".1f")


def verdict_runs(recovered: float, early: Tensor, fitted: Tensor, gap: Tensor) -> str:
    """How many runs recover the truth, and how many learn the noise: no average hides anything."""
    learned = ": **this run is too short to show the overfitting.**"
    if fitted.any():
        within = f"within {gap.max():.1%} of the share of flipped labels: they have learned the noise."
        learned = f", and their error against the truth is {within}"
    return (
        f"Stopped early, **{recovered:.0%}** of the networks contradict at most 1% of the true labels; the worst "
        f"contradicts {early.max():.2%}. At the last iteration, **{fitted.float().mean():.0%}** contradict at most 2% "
        f"of the labels they were given{learned}"
    )


def verdict_fresh(spreads: Sequence[str], early: float, late: float, memorized: float) -> str:
    """Whether late networks err more often than early ones on fresh inputs, and than on their own."""
    errs = (
        f"The early networks err on {spreads[0]} of them, the late ones on **{spreads[1]}**, and "
        f"on {memorized:.2%} of their own training inputs."
    )
    if late <= early:
        return f"{errs} The late networks do not err more than the early ones: no lack of generalization here."
    worse = "and nearly as badly as they memorize."
    if late <= 0.8 * memorized:
        worse = f"but the harm is **{late / memorized:.2f} times** that at the training inputs."
    return f"{errs} So they generalize worse than early ones, as the paper says, {worse}"


def verdict_recipe(seeds: int, paper: Sequence[float], sphere: Sequence[float]) -> str:
    """Whether the recipe matters: errors against the truth, early and late, by the paper's and on the sphere."""
    little = max(abs(a - b) for a, b in zip(paper, sphere)) < 0.02
    return (
        f"Over {counted(seeds, 'seed')} the error against the truth is {paper[0]:.2%} early and {paper[1]:.1%} late "
        f"by the paper's recipe, {sphere[0]:.2%} and {sphere[1]:.1%} on the unit sphere: leaving the sphere "
        f"{'changes little.' if little else '**matters**.'}"
    )


def verdict_rates(inside: list, held: list, allowed: float, worst: Sequence[float]) -> str:
    """Where early errors are small: rows inside the theorem's limit and their worst runs, and rows where they are."""
    safe, last = "", "It is above 1% at every rate."
    if inside:
        safe = "Where the share of flipped labels is on average at most δ/8, the mean early error is at most "
        safe += f"**{max(row[3] for row in inside):.2%}**, in the worst single run {max(worst):.2%}. "
    if held:
        rate, flipped = held[-1][:2]
        flips = f"that is {flipped:.1%} flipped labels, against {allowed:.1%} in the theorem."
        last = f"On average it is at most 1% up to ρ = **{rate}**, {flips}"
    return safe + last


def verdict_classes(rows: list[list[float]], early: int) -> list[str]:
    """What early errors are made of: K, δ/8, flipped, lost, errors early and late, both without noise, and lowest."""
    count, error, control = [(row[0], row[4], row[6]) for row in rows if row[3] == 0][-1]
    most = rows[-1]
    return [
        f"By the mean labels no class is lost up to K = **{count}**, and yet the early error there is {error:.1%}; "
        f"with no wrong label at all it is **{control:.1%}**.",
        f"With {most[0]} classes it is {most[4]:.0%}, and **{most[6]:.0%}** without noise: there most of it is too "
        f"short a training, as η and iteration {early} were chosen for two classes.",
        f"In the end that control errs on **{most[7]:.1%}**, while with noise the lowest error on the path is "
        f"**{most[8]:.0%}**.",
    ]


def verdict_width(by_width: list[list[float]], by_radius: list[list[float]]) -> str:
    """What more hidden units and a larger radius change: value, flipped, allowed, errors early and late."""
    (narrow, wide), (small, large) = ((rows[0], rows[-1]) for rows in (by_width, by_radius))
    later = ": the smaller the clusters, the later the noise is learned." if large[4] > small[4] + 0.05 else "."
    return (
        f"From k = {narrow[0]} to {wide[0]:,} the early error goes from **{narrow[3]:.2%}** to **{wide[3]:.2%}**, "
        f"from ε₀ = {small[0]} to {large[0]} from **{small[3]:.2%}** to **{large[3]:.2%}**. At the last iteration it "
        f"is {small[4]:.1%} for the smallest radius and {large[4]:.1%} for the largest{later}"
    )
