"""What the sweep of Theorem 2.2 says: one number for every seed, for each quantity that the theorem speaks of.

Where the theorem leaves a constant open, it is set to one, and a step is 1/σ₁(J)².
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from earlystop.runs.results import Result

STOP = 10  # the number of the look at the stop
CLUSTERS, DIMS, UNITS = (2, 4, 8, 16, 32), (20, 100), (10, 30, 100, 300)
SHARES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of ρ, in units of δ/8
CLASSES, WIDTHS, RADII = (2, 3, 4, 6, 8), (4, 10, 30, 100, 300, 1000), (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
RADIUS = {"law": 0.005, "path": 0.02}  # of a cluster, where it is not what changes
SIZES = ("samples", "dim", "clusters", "classes", "hidden_units")


def numbers(result: Result, key: str, part: str = "law", **changes) -> Tensor:
    """What was found, seeds first, at the setting of the configuration with some changes."""
    config = result["config"]
    base = {size: config[size] for size in SIZES} | {"activation": "erf", "share": 1.0, "input_noise": RADIUS[part]}
    return result.numbers(key, part=part, **base | changes)


def grid(result: Result, key: str, dims: Sequence[int] = DIMS, **changes) -> Tensor:
    """The same over all numbers of clusters and dimensions: seeds by settings."""
    return torch.stack([numbers(result, key, clusters=K, dim=d, **changes) for d in dims for K in CLUSTERS], dim=1)


def times(result: Result, key: str = "right", **changes) -> Tensor:
    """Full steps until every training sample is `right`, or `settled`: infinite where it never is."""
    found = grid(result, key, **changes)
    return found.masked_fill(found < 0, torch.inf)


def slope(x: Tensor, y: Tensor) -> Tensor:
    """The least squares slope of log y over log x for every seed, a row each."""
    x, y = (one.log() - one.log().mean(dim=1, keepdim=True) for one in (x, y))
    return (x * y).sum(1) / x.square().sum(1)


def at_stop(result: Result, key: str, part: str = "law", **changes) -> Tensor:
    """What one sees when descent is stopped, seeds first."""
    return numbers(result, key, part, **changes)[:, STOP]


def best(result: Result, key: str, part: str = "path", **changes) -> Tensor:
    """The lowest error among all looks along the path, seeds first."""
    return numbers(result, key, part, **changes).min(dim=1).values


def time_slope(result: Result) -> Tensor:
    """The power of ‖C‖²/λ(C) with which the time until all is right grows, over K and d; 1 in the theorem."""
    return slope(grid(result, "scale"), times(result))


def settling_slope(result: Result) -> Tensor:
    """The same for the time until every output is within δ/4 of the mean label of its cluster."""
    return slope(grid(result, "scale"), times(result, "settled"))


def time_constant(result: Result) -> Tensor:
    """The largest time until all is right, in units of ‖C‖²/λ(C), over K, d and all activations."""
    each = [times(result, activation=name) / grid(result, "scale", activation=name) for name in activations(result)]
    return torch.cat(each, dim=1).max(dim=1).values


def time_over_clusters(result: Result) -> Tensor:
    """The largest time until all is right in units of K, over K and d."""
    return (times(result) / torch.tensor(CLUSTERS * len(DIMS))).max(dim=1).values


def activations(result: Result) -> list[str]:
    """Those of the sweep."""
    return result.levels("activation")


def distances(result: Result, dim: int, **changes) -> Tensor:
    """‖W - W₀‖ at the stop over all numbers of clusters: seeds by settings."""
    return grid(result, "distance", (dim,), **changes)[:, :, STOP]


def distance_slope(result: Result) -> Tensor:
    """The power of K with which the distance at the stop grows in 100 dimensions; ½ in the theorem."""
    K = torch.tensor(CLUSTERS, dtype=torch.float64).expand(result["config"]["seeds"], -1)
    return slope(K, distances(result, DIMS[-1]))


def distance_constant(result: Result) -> Tensor:
    """The largest distance at the stop in units of √K for K ≤ d, with and without noise."""
    K = torch.tensor(CLUSTERS, dtype=torch.float64)
    each = [distances(result, d, share=s)[:, d >= K] / K[d >= K].sqrt() for d in DIMS for s in (0.0, 1.0)]
    return torch.cat(each, dim=1).max(dim=1).values


def plateau_ratio(result: Result) -> Tensor:
    """The distance at the stop over that of the network linearized at W₀: the ratio furthest from 1."""
    ratio = grid(result, "distance")[:, :, STOP] / grid(result, "plateau")
    return ratio.gather(1, (ratio - 1).abs().argmax(dim=1, keepdim=True))[:, 0]


def drift_slope(result: Result) -> Tensor:
    """The power of ε₀ with which the way from the stop to twice that time grows; 1 in the theorem."""
    radii = RADII[:3]
    moved = torch.stack([numbers(result, "drift", "path", input_noise=r) for r in radii], dim=1)
    return slope(torch.tensor(radii, dtype=torch.float64).expand(len(moved), -1), moved)


def drift_constant(result: Result) -> Tensor:
    """The largest such way over the theorem's K²τε₀/‖C‖², at all radii of two classes."""
    found = []
    for radius in RADII:
        norm, scale, moved = (numbers(result, key, "path", input_noise=radius) for key in ("norm", "scale", "drift"))
        steps = result["config"]["stop"] * scale
        found.append(moved / (result["config"]["clusters"] ** 2 * steps * radius / norm))
    return torch.stack(found, dim=1).max(dim=1).values


def over_samples(result: Result, key: str) -> Tensor:
    """What 1,600 samples give over what 100 give."""
    most, least = (numbers(result, key, samples=n) for n in (1600, 100))
    return (most[:, STOP] / least[:, STOP]) if most.ndim > 1 else most / least


def distance_over_samples(result: Result) -> Tensor:
    """The distance at the stop with 1,600 samples over that with 100."""
    return over_samples(result, "distance")


def time_over_samples(result: Result) -> Tensor:
    """The time until all outputs have settled with 1,600 samples over that with 100."""
    return over_samples(result, "settled")
