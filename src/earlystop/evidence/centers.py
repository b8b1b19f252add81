"""How large ‖C‖² is for random centers, and what follows for the width that Theorem 2.2 asks for."""

from collections.abc import Sequence

import torch
from torch import Tensor

from earlystop.streams import random_stream

PAIRS = tuple((K, d) for d in (20, 50) for K in (2, 10, 20, 50, 200))


def norms(seeds: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Tensor:
    """‖C‖² of random centers: seeds by pairs of K and d."""

    def norm(K: int, d: int, seed: int) -> float:
        centers = torch.randn(K, d, generator=random_stream(seed, "centers"), dtype=torch.float64)
        return torch.linalg.matrix_norm(centers / centers.norm(dim=1, keepdim=True), 2).item() ** 2

    return torch.tensor([[norm(K, d, seed) for K, d in pairs] for seed in seeds], dtype=torch.float64)


def width_power(seeds: Sequence[int]) -> Tensor:
    """The power of K that K²‖C‖⁴ is: of all K and d the one furthest from 3, between 2 and 4 in the paper."""
    power = 2 + 2 * norms(seeds, PAIRS).log() / torch.tensor([float(K) for K, _ in PAIRS]).log()
    return power.gather(1, (power - 3).abs().argmax(dim=1, keepdim=True))[:, 0]


def parameters_over_fourth_power(seeds: Sequence[int]) -> Tensor:
    """dK²‖C‖⁴ over K⁴ for K ≥ d, the largest."""
    pairs = [(K, d) for K, d in PAIRS if d <= K]
    K, d = (torch.tensor(one, dtype=torch.float64) for one in zip(*pairs))
    return (d * norms(seeds, pairs) ** 2 / K**2).max(dim=1).values


def norm_over_ratio(seeds: Sequence[int]) -> Tensor:
    """‖C‖² over max(1, K/d), the largest: (1 + √(K/d))² for large K and d, so 4 at most."""
    ratios = torch.tensor([max(1.0, K / d) for K, d in PAIRS], dtype=torch.float64)
    return (norms(seeds, PAIRS) / ratios).max(dim=1).values
