"""What chapters 2 and 3 say of their own runs, and of the stored Figures 3 and 5."""

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


def verdict_level(level: float, noisy: Sequence[float]) -> str:
    """From which corruption rate on a run must have fitted noise to reach a level on the given labels, if at any."""
    only = (
        "**no run needs to have fitted any noise to get there:** this comparison is of "
        "how fast the truth is learned, and longer runs are needed for the other one."
    )
    if noisy:
        only = f"only the runs with ρ of {min(noisy):.0%} or more must have fitted noise to get there."
    knows = "A network that knows the truth and no noise agrees with 1 − 0.9ρ of its labels"
    return f"That is **{level:.0%}**. {knows}, so {only}"


def paired(where: str, ratios: Tensor, unsettled: Sequence[tuple], overlapping: Sequence[tuple]) -> str:
    """In how many pairs of runs with one seed the distance grows, and which rates the seeds do not tell apart."""

    def named(pairs: Sequence[tuple]) -> str:
        return " and ".join(f"from {a:.0%} to {b:.0%}" for a, b in pairs)

    grown = f"Of the distances {where}, **{(ratios > 1).sum()} of {ratios.numel()}** ratios are above 1"
    some = f"; but {named(unsettled)} the interval holds 1, so that these seeds do not settle it."
    touch = f" The ranges over the seeds overlap {named(overlapping)}." * bool(overlapping)
    return grown + (some if unsettled else ", and no interval holds 1.") + touch


def whole_way(ratios: Tensor, tensors: Tensor) -> str:
    """How much further the highest rate goes than the lowest, seed by seed, and whether in the second reading, too."""
    low, high = ratios.min().item(), ratios.max().item()
    says = "as the paper says" if low > 1 else "**not in every seed**, other than the paper says"
    other = "grows, too" if tensors.min() > 1 else "**does not grow**"
    return (
        f"From the lowest rate to the highest, the way to one accuracy is {low:.2f} to **{high:.2f}** times as long, "
        f"{says}. In the second reading the whole way {other}: a factor of {tensors.min():.2f} to {tensors.max():.2f}."
    )


def three_steps(moved: Tensor, share: Tensor, dead: Tensor, spread: Tensor) -> str:
    """How far three steps go, at every rate, what they are of an epoch, and which units they leave."""
    return (
        f"Three steps move the weights by **{moved.min():.2f} to {moved.max():.2f}** of their initial norm, over all "
        f"rates and seeds. That is {share.min():.0%} to {share.max():.0%} of the way of the whole first epoch. "
        f"Then **{dead.min():.0%} to {dead.max():.0%}** of the last hidden units are dead, depending on the seed. "
        f"Between the rates, with no wrong label or with many, the distance differs by at most {spread.max():.1%}."
    )


def first_step(first: Tensor, most: Tensor) -> str:
    """How much of its bound the first step takes."""
    used = first / most
    return (
        f"For these networks that adds up to {most.min():.3f} to {most.max():.3f} of the initial norm at most. "
        f"Measured are **{used.min():.0%} to {used.max():.0%}** of it."
    )


def without_the_jump(whole: Tensor, after: Tensor) -> str:
    """The last distances at the highest rate and at the lowest, from the start, and as the lower bounds have them."""
    return (
        f"From the start, the highest rate goes {whole.min():.2f} to {whole.max():.2f} times as far as the lowest. "
        f"By the lower bounds it would be **{after.min():.2f} to {after.max():.2f}** times; the upper bounds forbid to "
        "conclude that."
    )
