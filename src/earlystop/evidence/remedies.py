"""What Liu et al. (2020) prove of early learning in a linear model, at a size that a laptop can reach."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from earlystop.early_learning import AWAY, LinearPath, descend, early, linear_dataset

SAMPLES, DIM, ITERATIONS = 200, 190, 8000  # p/n is between 1 - Δ/2 and 1, as the theorem asks


@lru_cache(maxsize=16)
def path(seed: int, coin_rate: float = 0.4) -> LinearPath:
    """A descent with σ = 0.1 and Δ = `coin_rate`: at 0.4 a fifth of the labels is wrong."""
    data = linear_dataset(SAMPLES, DIM, coin_rate=coin_rate, spread=0.1, seed=seed)
    return descend(data, step_size=0.5, iterations=ITERATIONS, seed=seed)


def corrected_early(seeds: Sequence[int]) -> Tensor:
    """The largest share of wrongly labeled samples that are answered by truth at one iteration."""
    return torch.stack([path(seed).right[early(path(seed)), 1] for seed in seeds])


def corrected_at_the_stop(seeds: Sequence[int]) -> Tensor:
    """That share where the theorem stops, at the first iteration with θᵀv ≥ 0.1."""
    return torch.stack([path(seed).right[first_away(path(seed)), 1] for seed in seeds])


def corrected_late(seeds: Sequence[int]) -> Tensor:
    """That share after the last iteration; NaN without wrong labels."""
    return torch.stack([path(seed).right[-1, 1] for seed in seeds])


def first_away(one: LinearPath) -> int:
    """The place in a path that the theorem calls T."""
    return int((one.learned >= AWAY).double().argmax())
