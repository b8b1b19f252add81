"""Evidence for Theorems 2.2 and 2.3, as in `checks`: a function a claim, one value for every seed, in float64."""

import math
from collections.abc import Sequence

import torch

from earlystop import jacobian, network, theory, window
from earlystop.evidence.definitions import centers, clusters, drift, each, interpolated, pair, uniform, weights
from earlystop.network import ERF


@each
def scale_of_the_start(seed):
    """Mean of f(W₀, x)² over 300 starts, over Γ²‖x‖²."""
    x = uniform(seed, 0.2, 2) * centers(seed, 1, 5)
    outputs = torch.stack([network.predict(weights(1000 * seed + s, 100, 5, paired=False), x) for s in range(300)])
    return outputs.square().mean() / (ERF.smoothness * x.norm()) ** 2


# ------------------------------------------------------------------------ around Theorem 2.2


@each
def plateau_over_bound(seed):
    """The distance at which an infinitely wide network outputs the mean labels, over √(K/λ(C))."""
    one = clusters(seed, n=60, K=6)
    means = torch.stack([one.labels[one.clusters == c].mean() for c in range(6)])
    return theory.plateau_distance(means, one.centers) / math.sqrt(6 / theory.diversity(one.centers))


@each
def distance_over_width(seed):
    """The shortest way to the mean labels at the centers with 4,000 hidden units, over that with 500."""
    C, y = centers(seed, 4), torch.tensor([-1.0, 1, -1, 1], dtype=torch.float64)
    grams = [jacobian.gram(weights(seed, k), C) for k in (4000, 500)]
    return math.sqrt((y @ torch.linalg.solve(grams[0], y)) / (y @ torch.linalg.solve(grams[1], y)))


@each
def wrong_within_the_rate(seed):
    """The largest error at the end of the proved window, over δ/2, at ρ = δ/8 with K̄ = 2 classes."""
    one, W = clusters(seed, n=32, rho=0.25, radius=0.01), weights(seed, 2000)
    proof = window.proved_path(W, one, iterations=20).window or (0, 0)
    outputs = drift(W, one, proof[1])[-1]
    return (outputs - one.clean_labels).abs().max() / (one.label_separation / 2)


@each
def proved_window(seed):
    """The number of iterations in a window that is proved to be free of errors, of at most 40."""
    one, W = clusters(seed, radius=0.01), weights(seed, 4000)
    first, last = window.proved_path(W, one, iterations=40).window or (1, 0)
    return last - first + 1


@each
def fits_inputs_that_are_distinct(seed):
    """The largest misfit of a network that was fitted to corrupted labels at distinct inputs."""
    one = clusters(seed, n=12, K=2, radius=0.3)
    return (
        (network.predict(interpolated(weights(seed, 2000), one.inputs, one.labels), one.inputs) - one.labels)
        .abs()
        .max()
    )


# ------------------------------------------------------------------------ Theorem 2.3


def _fit(
    seed: int, distance: float, labels: tuple[float, float] = (-1.0, 1.0)
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two close points, weights, and nearby weights that fit both labels."""
    x, start = pair(seed, distance), weights(seed, 1000, paired=False)
    return x, start, interpolated(start, x, torch.tensor(labels, dtype=torch.float64))


def ways_to_two_labels(radii: Sequence[float], seeds: Sequence[int]) -> torch.Tensor:
    """How far weights go to fit labels -1 and 1 of two points, at least go, and go for labels 1 and 1; by radius."""
    found = torch.zeros(3, len(seeds), len(radii), dtype=torch.float64)
    for s, seed in enumerate(seeds):
        for r, radius in enumerate(radii):
            for row, labels in ((0, (-1.0, 1.0)), (2, (1.0, 1.0))):
                x, start, end = _fit(seed, radius, labels)
                found[row, s, r] = theory.spectral_norm(end - start)
            found[1, s, r] = theory.interpolation_distance_bound(start, x[0], x[1], 2.0)
    return found


@each
def way_over_certificate(seed):
    """The distance ‖W - W₀‖ of a network that fits two close points, over the explicit bound of Theorem 2.3."""
    x, start, end = _fit(seed, uniform(seed, 0.05, 0.5))
    return theory.spectral_norm(end - start) / theory.interpolation_distance_bound(start, x[0], x[1], 2.0, signed=True)


@each
def power_of_the_distance(seed):
    """The power of ε₀ with which the way to fit two labels grows."""
    ways = [theory.spectral_norm(end - start) for _, start, end in (_fit(seed, eps) for eps in (0.05, 0.2))]
    return math.log(ways[1] / ways[0]) / math.log(4)


@each
def more_wrong_labels_further(seed):
    """The linearized network's distance with 8 flipped labels in a cluster of 20, over that with one."""
    one, W = clusters(seed, K=2, rho=0, radius=0.3), weights(seed, 1000)
    inverse, ways = torch.linalg.inv(jacobian.gram(W, one.inputs)), []
    order = torch.randperm(20, generator=torch.Generator().manual_seed(seed))
    for flips in (8, 1):
        y = one.labels.index_fill(0, order[:flips], -one.labels[0].item())
        ways.append(math.sqrt(y @ inverse @ y))
    return ways[0] / ways[1]
