"""What chapter 2 says of the stored sweep of Theorem 2.2."""

from torch import Tensor

from earlystop.figures import law, robustness
from earlystop.runs.results import Result


def over_seeds(values: Tensor, form: str = ".1%") -> str:
    """The mean, and the lowest and the highest."""
    low, high = (format(end, form) for end in (values.min().item(), values.max().item()))
    return f"**{values.mean().item():{form}}**" + (f" ({low} to {high})" if low != high else "")


def explained(result: Result) -> str:
    """How near the distance is to that of the linearized network, and how few hidden units are enough."""
    off = (law.plateau_ratio(result) - 1).abs().max().item()
    fewest = max(robustness.width_needed(result, K).max().item() for K in (2, 8, 32))
    return (
        f"Over all K, d and seeds, that distance and the linearized network's differ by at most **{off:.1%}**. "
        f"For 2, 8 and 32 clusters **{fewest:.0f}** hidden units are enough, in every run."
    )


def tight(result: Result) -> str:
    """What is wrong for tight clusters and ρ ≤ δ/8, in three ways of looking."""
    train, fresh, worst = (
        f"**{getattr(robustness, f'inside_{name}')(result).max().item():.1%}**" for name in ("train", "fresh", "worst")
    )
    return (
        f"With ρ ≤ δ/8 and ε₀ = {law.RADIUS['law']} at most {train} of the training samples are wrong at the stop, "
        f"over all K, d, n, K̄, activations and seeds. Of fresh inputs it is {fresh}. The search finds a wrong input "
        f"in at most {worst} of the clusters."
    )


def wide(result: Result, radius: float = 0.2) -> str:
    """What random inputs and a search say of wide clusters, for two classes."""

    def seen(measure, key: str, share: float = 1.0) -> str:
        return over_seeds(measure(result, key, "path", input_noise=radius, share=share))

    return (
        f"Two classes at ε₀ = {radius}: of random inputs {seen(law.at_stop, 'fresh')} are wrong at the stop. "
        f"But the search finds a wrong one in {seen(law.at_stop, 'worst')} of the clusters. "
        f"At the best of all looks along the path it finds one in {seen(law.best, 'worst')} of them. "
        f"Without any wrong label that is {seen(law.best, 'worst', 0.0)}."
    )


def under_trained(result: Result, radius: float = 0.2) -> str:
    """How much of the error of eight classes in wide clusters is there without any wrong label."""

    def seen(measure, share: float) -> str:
        return over_seeds(measure(result, "train", "path", classes=8, input_noise=radius, share=share))

    return (
        f"Eight classes at ε₀ = {radius}: the error at the stop is {seen(law.at_stop, 1.0)}. "
        f"With no wrong label at all it is {seen(law.at_stop, 0.0)}. "
        f"The lowest error along the path is {seen(law.best, 1.0)} with noise. "
        f"Without noise it is {seen(law.best, 0.0)}."
    )


def few_units(result: Result) -> str:
    """How narrow networks do in tight clusters, beside their control."""
    noisy, clean = (
        over_seeds(law.at_stop(result, "train", "path", classes=8, hidden_units=law.WIDTHS[0], share=share))
        for share in (1.0, 0.0)
    )
    return (
        f"With {law.WIDTHS[0]} hidden units the error of eight classes in tight clusters is {noisy} at the stop. "
        f"Without noise it is {clean}."
    )
