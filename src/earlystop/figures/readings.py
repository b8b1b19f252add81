"""What Figure 1's curves say, as one number for each seed: the evidence for the paper's sentences about it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.architectures import conv_net, count_parameters
from earlystop.figures.fig1 import at_stop
from earlystop.runs.results import Result

EARLY, LATE = "validation", None  # stopped by clean validation labels, and after the last epoch


def rates(result: Result, low: float = 0.0, high: float = 1.0) -> list[float]:
    """The corruption rates of a result between two, both included."""
    return [rate for rate in sorted(result.levels("corruption_rate")) if low <= rate <= high]


def half(result: Result) -> float:
    """The corruption rate that is nearest to one half."""
    return min(rates(result), key=lambda rate: abs(rate - 0.5))


def over(result: Result, key: str, rule: str | None, levels: Sequence[float]) -> Float[Tensor, "rates seeds"]:
    """An accuracy of all runs at some rates, where a rule stops them, with the result's first loss."""
    return torch.stack([at_stop(result, key, rate, rule, result.levels("loss")[0]) for rate in levels])


def line(levels: Sequence[float]) -> Float[Tensor, "rates 1"]:
    """1 - 0.9ρ, the share of right labels."""
    return 1 - 0.9 * torch.tensor(levels, dtype=torch.float64)[:, None]


def given_fitted(result: Result) -> Float[Tensor, " seeds"]:
    """Trained long, the share of the given labels that is fitted, at the rate where it is smallest."""
    return over(result, "noisy", LATE, rates(result)).min(dim=0).values


def unseen_lost(result: Result) -> Float[Tensor, " seeds"]:
    """Trained long, by how much the test accuracy at half of the labels is below that without corruption."""
    clean, noisy = over(result, "test", LATE, [min(rates(result)), half(result)])
    return clean - noisy


def truth_off_line(result: Result) -> Float[Tensor, " seeds"]:
    """Trained long, how far the accuracy by true labels is from 1 - 0.9ρ, at the rate where it is furthest."""
    levels = rates(result)
    return (over(result, "true", LATE, levels) - line(levels)).abs().max(dim=0).values


def given_off_line(result: Result) -> Float[Tensor, " seeds"]:
    """Stopped early, how far the accuracy by given labels is from 1 - 0.9ρ up to ρ = 0.8, where it is furthest."""
    levels = rates(result, high=0.8)
    return (over(result, "noisy", EARLY, levels) - line(levels)).abs().max(dim=0).values


def unseen_kept(result: Result) -> Float[Tensor, " seeds"]:
    """Stopped early, the smallest test accuracy up to half of the labels corrupted."""
    return over(result, "test", EARLY, rates(result, high=0.5)).min(dim=0).values


def truth_at_half(result: Result) -> Float[Tensor, " seeds"]:
    """Stopped early, the accuracy by true training labels with half of them drawn again."""
    return over(result, "true", EARLY, [half(result)])[0]


def corrected(result: Result) -> Float[Tensor, " seeds"]:
    """Stopped early with half of the labels drawn again, by how much more images are right than labels."""
    return truth_at_half(result) - line([half(result)])[0]


def gained(result: Result) -> Float[Tensor, " seeds"]:
    """Accuracy by true training labels that stopping early gains at 10% to 90% corruption, where it gains least."""
    levels = rates(result, 0.1, 0.9)
    return (over(result, "true", EARLY, levels) - over(result, "true", LATE, levels)).min(dim=0).values


def sizes(result: Result) -> Float[Tensor, " seeds"]:
    """The smallest of the training, validation and test images and the epochs, in units of the paper's."""
    config, paper = result["config"], {"train_size": 5e4, "validation_size": 1e4, "test_size": 1e4, "epochs": 200}
    smallest = min(config[key] / size for key, size in paper.items())
    return torch.full((config["seeds"],), smallest, dtype=torch.float64)


def millions_of_parameters(seeds: Sequence[int]) -> Float[Tensor, " seeds"]:
    """Trainable parameters of the network with four layers, in millions."""
    return torch.tensor([count_parameters(conv_net(seed=seed)) / 1e6 for seed in seeds], dtype=torch.float64)
