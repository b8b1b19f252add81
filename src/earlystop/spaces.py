"""What lies in the spans of the first left singular vectors of a Jacobian, and how diffused they are (Theorem 4.1)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earlystop.arguments import counts, finite, refuse, tensors, values, whole
from earlystop.theory import cluster_means


def leverage(gram: Float[Tensor, "n n"], ranks: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Singular values of J from J Jᵀ, left singular vectors for the largest of them, and γ of their first `ranks`.

    γ of a space is n times its largest leverage score; at least its dimension, as the scores add up to that. Raises
    `ValueError` unless the ranks are between 1 and n.

    >>> values, vectors, gamma = earlystop.spaces.leverage([[4.0, 0.0], [0.0, 1.0]], ranks=[1, 2])
    >>> values, gamma
    (tensor([2., 1.], dtype=torch.float64), tensor([2., 2.], dtype=torch.float64))
    """
    (gram,) = tensors(torch.float64, gram=(gram, "n n"))
    finite(gram=gram)
    n, ranks = len(gram), _taken(ranks, len(gram))
    values, vectors = torch.linalg.eigh(gram)
    first = vectors.flip(1)[:, : max(ranks)]
    scores = first.square().cumsum(1)[:, torch.tensor(ranks) - 1]
    return values.clamp(min=0).sqrt().flip(0), first, n * scores.amax(0)


def _taken(ranks: Sequence[int], most: int) -> list[int]:
    """The ranks as whole numbers. `ValueError` unless there are some, between 1 and `most`."""
    found = next(values(ranks=(ranks, "ranks"))).tolist()
    for one in found:
        counts(ranks=one)
    fit = bool(found) and 1 <= min(found) <= max(found) <= most
    refuse({f"ranks are {tuple(found)}, should be between 1 and {most}": not fit})
    return found


def energy_within(values: Float[Tensor, " n"], vectors: Float[Tensor, "n r"], ranks: Sequence[int]) -> Tensor:
    """Shares of ‖values‖² in the spans of the first `ranks` of some orthonormal vectors. `ValueError` for zero.

    >>> earlystop.spaces.energy_within([3.0, 4.0], torch.eye(2), ranks=[1, 2])
    tensor([0.3600, 1.0000], dtype=torch.float64)
    """
    vectors, values = tensors(torch.float64, vectors=(vectors, "n r"), values=(values, "n"))
    ranks = _taken(ranks, vectors.shape[1])
    refuse({"the values are all zero: they lie in every space": not values.any()})
    along = (values @ vectors).square() / values.square().sum()
    return along.cumsum(0)[torch.tensor(ranks) - 1]


def seen(noise: Float[Tensor, " n"], vectors: Float[Tensor, "n r"], ranks: Sequence[int]) -> Float[Tensor, " ranks"]:
    """‖Π e‖_∞ for the projections Π of the noise e on the same spans: at most γρ if no entry of e is above 1.

    >>> earlystop.spaces.seen([0.5, -1.0], torch.eye(2), ranks=[1, 2])
    tensor([0.5000, 1.0000])
    """
    (vectors,) = tensors(vectors=(vectors, "n r"))
    vectors, noise = tensors(vectors.dtype, vectors=(vectors, "n r"), noise=(noise, "n"))
    ranks = _taken(ranks, vectors.shape[1])
    projected = (vectors * (noise.to(vectors) @ vectors)).cumsum(1)
    return projected[:, torch.tensor(ranks) - 1].abs().amax(0)


def constant_share(noise: Float[Tensor, " n"], groups: Int[Tensor, " n"]) -> float:
    """Share of ‖e‖² that is constant on clusters or classes: what the theorem's picture sees at once.

    >>> round(earlystop.spaces.constant_share([1.0, 1.0, 2.0, -2.0], groups=[0, 0, 1, 1]), 3)
    0.2
    """
    (groups,) = whole(groups=(groups, "n"))
    noise, _ = tensors(noise=(noise, "n"), groups=(groups, "n"))
    return (cluster_means(noise, groups).square().sum() / noise.square().sum()).item()
