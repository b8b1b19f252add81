"""Where errors begin in the sweep of Theorem 2.2: one number for every seed, for each condition of the theorem."""

from collections.abc import Sequence

import torch
from torch import Tensor

from earlystop.figures import law
from earlystop.figures.law import RADII, SHARES, STOP, UNITS, activations, at_stop, grid, numbers
from earlystop.runs.results import Result


def inside(result: Result, key: str) -> Tensor:
    """The largest share of what is wrong at the stop for ρ ≤ δ/8 and tight clusters: of all K, d, n, φ and K̄."""
    tight = [grid(result, key, activation=name, share=s) for name in activations(result) for s in (0.0, 1.0)]
    more = [numbers(result, key, samples=n)[:, None] for n in (100, 200, 800, 1600)]
    more += [numbers(result, key, classes=c)[:, None] for c in (4, 8)]
    return torch.cat(tight + more, dim=1)[:, :, STOP].max(dim=1).values


def inside_train(result: Result) -> Tensor:
    """The largest share of training samples that are wrong there."""
    return inside(result, "train")


def inside_fresh(result: Result) -> Tensor:
    """The largest share of fresh inputs that are wrong there."""
    return inside(result, "fresh")


def inside_worst(result: Result) -> Tensor:
    """The largest share of clusters there that have a wrong input within ε₀, as far as the search finds one."""
    return inside(result, "worst")


def last_good(values: Sequence[float], errors: Tensor, most: float) -> Tensor:
    """The last of the values up to which the error is at most so much, and 0 if none: errors are seeds by values."""
    good = (errors <= most).long().cumprod(dim=1).sum(dim=1)
    return torch.tensor([0.0, *values], dtype=torch.float64)[good]


def safe_radius(result: Result) -> Tensor:
    """The largest radius of the sweep up to which no input is wrong at the stop, over δλ(C)²/K², for two classes."""
    errors = torch.stack([at_stop(result, "worst", "path", input_noise=r) for r in RADII], dim=1)
    allowed = 2 * numbers(result, "smallest") ** 2 / result["config"]["clusters"] ** 2
    return last_good(RADII, errors, 0.0) / allowed


def safe_rates(result: Result, classes: int) -> Tensor:
    """The largest ρ of the sweep up to which at most 1 % of the training samples are wrong at the stop."""
    errors = [at_stop(result, "train", "path", classes=classes, share=s) for s in SHARES]
    return last_good(SHARES, torch.stack(errors, dim=1), 0.01) * 2 / (classes - 1) / 8


def safe_share(result: Result) -> Tensor:
    """The smallest such ρ of two, four and eight classes, in units of δ/8."""
    return torch.stack([safe_rates(result, c) * 4 * (c - 1) for c in (2, 4, 8)], dim=1).min(dim=1).values


def labels_per_class(result: Result) -> Tensor:
    """How many wrong labels are borne with eight classes, in units of n/K̄, over that with two: 1 if it is n/K̄."""
    return 8 * safe_rates(result, 8) / (2 * safe_rates(result, 2))


def width_needed(result: Result, clusters: int) -> Tensor:
    """The fewest hidden units of the sweep from which on every training sample is right at the stop."""
    units = (*UNITS, result["config"]["hidden_units"])
    errors = torch.stack([at_stop(result, "train", clusters=clusters, hidden_units=k) for k in units], dim=1)
    good = (errors.flip(1) == 0).long().cumprod(dim=1).sum(dim=1)
    return torch.tensor([torch.inf, *reversed(units)])[good]


def width_constant(result: Result) -> Tensor:
    """The largest such width over K²‖C‖⁴/λ(C)⁴, of 2, 8 and 32 clusters."""
    found = []
    for K in (2, 8, 32):
        norm, smallest = (numbers(result, key, clusters=K) for key in ("norm", "smallest"))
        found.append(width_needed(result, K) / (K**2 * norm**2 / smallest**4))
    return torch.stack(found, dim=1).max(dim=1).values


def laws(result: Result) -> list[list[str]]:
    """What the theorem says of time, distance, drift and noise, and what is measured: mean, lowest and highest seed."""
    measures = {
        "power of ‖C‖²/λ(C) in the time": ("1", law.time_slope),
        f"power of K in the distance, d = {law.DIMS[-1]}": ("at most ½", law.distance_slope),
        "power of ε₀ in the drift": ("1", law.drift_slope),
        "harmless share of wrong labels, in units of δ/8 (in steps of ½)": ("at least 1", safe_share),
    }
    ends = (torch.mean, torch.min, torch.max)
    return [[name, word, *(f"{end(found(result)):.2f}" for end in ends)] for name, (word, found) in measures.items()]
