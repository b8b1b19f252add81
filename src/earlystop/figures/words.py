"""What the pages say of their own runs: sentences, and the words that `page.finding` takes of each finding."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

# Whether a finding holds, what is said if so and if not, its value and the value's form.
Words = tuple[Any, str, str, Any, str]


def either(holds: Any, yes: str, no: str, rest: str, value: Any, form: str) -> Words:
    """The words of a finding whose two sentences differ in how they begin."""
    return holds, f"{yes} {rest}.", f"{no} {rest}.", value, form


# Chapters 1 to 3


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


def covered(rates: Sequence[float], two: Sequence[float], four: Sequence[float]) -> str:
    """Up to which corruption rate the theorem speaks, and errors are small, for two and for four classes."""
    last = [max((rate for rate, error in zip(rates, errs) if error <= 0.01), default=0) for errs in (two, four)]
    return (
        f"Two classes: the theorem covers ρ up to {2 / 8:.3g}; measured, the error is at most 1% up "
        f"to ρ = **{last[0]}**. Four classes: {2 / 3 / 8:.2g} against **{last[1]}**."
    )


def inside_the_limit(error: float) -> Words:
    """Nothing is misclassified where the theorem's condition on ρ holds."""
    where = "With ρ ≤ δ/8 and tight clusters"
    yes = f"{where} no training sample is misclassified, for all numbers of classes tried."
    return error == 0, yes, f"{where} up to **{error:.2%}** of the training samples are misclassified.", error, ".2%"


def asked(scales: Mapping[int, tuple[float, float]]) -> str:
    """The radius that the theorem's scaling allows and the width that it asks for, by the number of classes."""
    each = (
        f"with {K} classes a radius of **{radius:.2g}** and asks for **{width:,.0f}** hidden units"
        for K, (radius, width) in scales.items()
    )
    return (
        f"It allows {', and '.join(each)}; here they are 0.02 and 1,000. As we do not know the true constants, "
        "this only suggests that these two conditions are stricter than necessary. For ρ, whose constant is printed, "
        "the first panel shows it."
    )


def narrow_networks(units: int, error: float) -> Words:
    """Few hidden units are enough in tight clusters."""
    yes, no = "Width hardly matters in tight clusters:", "Width matters even in tight clusters:"
    return either(
        error <= 0.05, yes, no, f"with {units} hidden units the error is at most **{error:.1%}**", error, ".1%"
    )


def wide_clusters(radius: float, two: float, eight: float) -> Words:
    """Two classes forgive wide clusters and eight do not."""
    yes = "Two classes forgive wide clusters and eight do not:"
    no = "Wide clusters are no clear matter of the number of classes:"
    errs = f"with a radius of {radius} the error is {two:.1%} for two and **{eight:.1%}** for eight"
    return either(two < 0.02 < 0.1 < eight, yes, no, errs, eight, ".1%")


def like_inverse(slope: float, near: float, far: float, gap: float) -> Words:
    """The way grows like one over the distance of two points."""
    yes, no = "Here the distance grows about like 1/ε₀:", "Here the distance does not grow like 1/ε₀:"
    where = f"between ε₀ = {near} and {far}, for δ = {gap:g}, the measured slope is **{slope:.2f}**"
    return either(-1.2 < slope < -0.8, yes, no, where, slope, ".2f")


def doubled_gap(radius: float, gap: float, times: float) -> Words:
    """It grows with the gap between their labels."""
    yes = f"At ε₀ = {radius} doubling δ from {gap:g} multiplies it by"
    no = f"Doubling δ from {gap:g} hardly matters at ε₀ = {radius}: a factor of"
    return either(times > 1.5, yes, no, f"**{times:.2f}**", times, ".2f")


def as_linearized(apart: float, ratios: Tensor, misfit: float) -> Words:
    """Gradient descent travels as far as the linearized network, by the ratios of their distances."""
    who = f"Gradient descent (every output within {misfit:.2f} of its label)"
    yes = f"{who} travels about as far as the linearized network,"
    no = f"{who} does not travel as far as the linearized network:"
    times = f"**{ratios.min():.2f} to {ratios.max():.2f}** times the linearized distance"
    return either(apart < 0.3, yes, no, times, apart, ".3g")


def no_pair_certifies(certified: float, radius: float, walked: float) -> str:
    """Whether the certificate of pairs explains the way of Figure 5's early network."""
    explains = "the certificate asks for more than the early network has moved."
    if certified < walked:
        explains = "the certificate does not explain the length of the journey."
    return (
        f"No pair there certifies more than **{certified:.1f}** (in spectral norm, one data set): the radius is "
        f"{radius}, and the samples are far apart. The early network of the stored Figure 5 (chapter 2, unit sphere, "
        f"seed 0) has moved by {walked:.1f} (Frobenius norm) already. So for Figure 5 {explains}"
    )


def all_fitted(left: Tensor) -> Words:
    """Every network fits all given labels, by the shares that are left."""
    yes, most = f"All {left.numel()} networks fit all the labels they were given.", left.max()
    no = f"Some network still misses {most:.1%} of its given labels, and counts with the fewest that it misses."
    return most == 0, yes, no, most, ".1%"


def fitting_is_far(far: float, times: float) -> Words:
    """Fitting the noise takes the weights much further, in each run."""
    yes, no = (
        f"Fitting the given ones takes the weights to {far:.1f}, in {runs}"
        for runs in ("each run at least", "one run only")
    )
    return either(times > 3, yes, no, f"**{times:.1f} times** as far", times, ".1f")


def width_hardly_matters(widths: Sequence[int], means: Tensor, changes: float) -> Words:
    """The way depends little on the width."""
    yes, no = "The width hardly matters:", "The width matters:"
    spans = f"from k = {widths[0]} to {widths[-1]:,} that distance goes from {means[0]:.1f} to {means[-1]:.1f}"
    return either(changes < 1.5, yes, no, spans, changes, ".2f")


def ridge_at_rest(moving: float) -> Words:
    """The runs with ridge have converged."""
    yes = f"Each run has come to rest: its last 100 iterations change the distance by at most {moving:.2%}."
    no = f"Not each run has come to rest: 100 iterations still change a distance by {moving:.2%}."
    return moving < 0.01, yes, no, moving, ".2%"


def both_learn(stopped: str, penalized: str) -> Words:
    """Stopping and ridge both learn the truth, by their distances without an error."""
    both = f"Both learn the truth: stopping makes no error on the true labels at distances **{stopped}**, ridge at"
    not_both = f"Distances without an error on the true labels: **{stopped}** for stopping, **{penalized}** for ridge"
    yes, no = f"{both} **{penalized}** (on its grid of λ).", f"{not_both} (on its grid of λ)."
    return "none" not in (stopped, penalized), yes, no, None, ".3g"


def further(level: float, clean: float, noisy: float, rate: float, times: float) -> Words:
    """More noise means a longer way to one accuracy."""
    moves = (
        f"to fit {level:.0%} of the given labels, the weights move by {clean:.0%} of their initial norm without "
        f"corruption, and by **{noisy:.0%}** when {rate:.0%} of the labels are drawn again"
    )
    return either(times > 1.2, "More noise, further away:", "More noise is hardly further away:", moves, times, ".2f")


def further_at_the_end(times: float) -> Words:
    """It means a longer way after the last epoch, too."""
    yes = f"After the last epoch they are **{times:.1f} times** as far."
    return times > 1.2, yes, f"After the last epoch it is no more than a factor of **{times:.2f}**.", times, ".2f"


def steps_forward(when: str, least: float) -> Words:
    """The way grows from each rate to the next."""
    yes = f"From each rate to the next the distance {when} grows, at least"
    no = f"The distance {when} does not grow at each step: from one rate to the next it changes"
    return either(least >= 1, yes, no, f"**{least:.2f}** times", least, ".2f")
