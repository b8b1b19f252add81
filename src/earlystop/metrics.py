"""Errors, and how far two distributions of losses are apart."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earlystop.arguments import counts, mask, numbers, refuse, tensors, values, without_nan
from earlystop.data import nearest_label


def error_rate(
    outputs: Float[Tensor, "... n"], labels: Float[Tensor, " n"], classes: Float[Tensor, " K_bar"]
) -> Float[Tensor, "..."]:
    """Share of samples whose nearest class label is not `labels` (Eq. 5). `ValueError` without samples.

    >>> earlystop.metrics.error_rate([-0.9, 0.2, 0.8, 0.1], [-1, -1, 1, 1], classes=[-1, 1])
    tensor(0.2500)
    """
    (outputs,) = tensors(outputs=(outputs, "... n"))
    _, labels = values(outputs=(outputs, "... n"), labels=(labels, "n"))
    refuse({"error_rate needs at least one sample": not labels.numel()})
    return (nearest_label(outputs, classes) != labels).float().mean(-1)


def auroc(clean: Float[Tensor, " n"], flipped: Float[Tensor, " m"]) -> float:
    """Probability that a flipped loss is the larger, ties half: 1 apart, ½ alike. `ValueError` if one is empty.

    >>> earlystop.metrics.auroc([0.1, 0.2], [0.2, 0.3])
    0.875
    """
    clean, flipped = tensors(clean=(clean, "n"), flipped=(flipped, "m"))
    refuse({"auroc needs at least one clean and one flipped loss": not len(clean) or not len(flipped)})
    without_nan(clean=clean, flipped=flipped)
    clean = clean.sort().values
    below, up_to = (torch.searchsorted(clean, flipped, right=right) for right in (False, True))
    return ((below + up_to).double() / 2 / len(clean)).mean().item()


def overlap(clean: Float[Tensor, " n"], flipped: Float[Tensor, " m"], bins: int = 50) -> float:
    """Shared area of the two normalized histograms: 0 apart, 1 equal. `ValueError` if one of them is empty.

    >>> earlystop.metrics.overlap([0.1, 0.2], [0.8, 0.9])
    0.0
    """
    clean, flipped = tensors(clean=(clean, "n"), flipped=(flipped, "m"))
    counts(least=1, bins=bins)
    refuse({"overlap needs at least one clean and one flipped loss": not len(clean) or not len(flipped)})
    both = torch.cat([clean, flipped])
    refuse({"overlap needs finite losses: there is no histogram of others": not bool(both.isfinite().all())})
    top, bottom = both.max().item(), both.min().item()
    if top == bottom:
        return 1.0
    shares = [torch.histc(values.float(), bins, bottom, top) / len(values) for values in (clean, flipped)]
    return torch.minimum(*shares).sum().item()


def loss_shares(losses: Float[Tensor, " n"], top: float, bins: int = 40) -> Float[Tensor, " bins"]:
    """Histogram from 0 to `top` as shares of all; what is above `top` counts in the last bin.

    >>> earlystop.metrics.loss_shares([0.1, 0.2, 0.3, 5.0], top=1, bins=2)
    tensor([0.7500, 0.2500])
    """
    (losses,) = tensors(losses=(losses, "n"))
    numbers(top=top)
    counts(least=1, bins=bins)
    refuse({f"top is {top}, should be above 0 and finite": not 0 < top < float("inf")})
    without_nan(losses=losses)
    refuse({"losses have a negative number, should be 0 or more": bool((losses < 0).any())})
    return torch.histc(losses.float().clamp(max=top), bins, 0, top) / max(1, len(losses))


def split_losses(losses: Float[Tensor, " n"], flipped: Bool[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """Losses of the samples with their true label, and of those with a flipped one.

    >>> earlystop.metrics.split_losses([0.1, 0.9, 0.2], [False, True, False])
    (tensor([0.1000, 0.2000]), tensor([0.9000]))
    """
    (flipped,) = mask(flipped=(flipped, "n"))
    losses, flipped = values(losses=(losses, "n"), flipped=(flipped, "n"))
    return losses[~flipped], losses[flipped]


def interval(values: Float[Tensor, " seeds"]) -> tuple[float, float]:
    """The 95% interval of the mean by Student's t; all numbers if there is a single seed.

    >>> low, high = earlystop.metrics.interval([1.0, 2.0, 3.0])
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    (values,) = tensors(values=(values, "seeds"))
    if len(values) < 2:
        return float("-inf"), float("inf")
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * values.std().item() / len(values) ** 0.5
    return values.mean().item() - half, values.mean().item() + half


def in_words(values: Tensor, form: str) -> str:
    """Least and greatest of some numbers as text, one number if they look alike.

    >>> earlystop.metrics.in_words([0.12, 0.5], ".0%")
    '12% to 50%'
    """
    (values,) = tensors(values=(values, "*"))
    refuse({"values are none: there is no least and no greatest": not values.numel()})
    low, high = format(values.min().item(), form), format(values.max().item(), form)
    return low if low == high else f"{low} to {high}"
