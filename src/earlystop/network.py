"""The one-hidden-layer network f(W, x) = vᵀφ(Wx) of Eq. 2, and its activations φ."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.data import refuse
from earlystop.streams import random_stream

Weights = Float[Tensor, "k d"]  # W, a row for every hidden unit
Inputs = Float[Tensor, "n d"]  # a row xᵢ for every sample


@dataclass(frozen=True)
class Activation:
    """An activation φ with its derivative, and what the theory asks of it.

    `value` and `derivative` take an optional tensor to write into, as torch functions do. `kappa` is
    κ(t) = E[φ'(u)φ'(w)] for standard normal u, w of correlation t: on unit vectors it gives the expectation in
    Definition 2.1. `smoothness` is Γ, the bound on |φ'| and |φ''|.
    """

    name: str
    value: Callable[..., Tensor]
    derivative: Callable[..., Tensor]
    kappa: Callable[[Tensor], Tensor]
    smoothness: float


def _erf_derivative(z: Tensor, out: Tensor | None = None) -> Tensor:
    out = torch.mul(z, z, out=out)
    return out.neg_().exp_().mul_(2 / math.sqrt(math.pi))


def _softplus(z: Tensor, out: Tensor | None = None) -> Tensor:
    density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return torch.add(z * torch.special.ndtr(z), density, out=out)


def _relu(z: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.clamp(z, min=0, out=out)


def _relu_derivative(z: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.gt(z, 0, out=torch.empty_like(z) if out is None else out)


def _erf_kappa(t: Tensor) -> Tensor:
    return 4 / (math.pi * torch.sqrt(9 - 4 * t**2))


def _softplus_kappa(t: Tensor) -> Tensor:
    return 0.25 + torch.asin(t / 2) / (2 * math.pi)


def _relu_kappa(t: Tensor) -> Tensor:
    return (math.pi - torch.acos(t)) / (2 * math.pi)


ERF = Activation("erf", torch.erf, _erf_derivative, _erf_kappa, 2 / math.sqrt(math.pi))
# z·Φ(z) + Φ'(z), whose derivative is the normal distribution function Φ.
GAUSSIAN_SOFTPLUS = Activation("Gaussian softplus", _softplus, torch.special.ndtr, _softplus_kappa, 1.0)
# Outside the theory, which asks for a bounded second derivative: for comparison.
RELU = Activation("ReLU", _relu, _relu_derivative, _relu_kappa, math.inf)


def output_weights(hidden_units: int, like: Tensor | None = None) -> Float[Tensor, " k"]:
    """The fixed output weights v: half are 1/√k, half -1/√k, so that ‖v‖ = 1. `ValueError` unless k is even, k ≥ 2."""
    message = f"hidden_units is {hidden_units}, should be even and at least 2: half of the output weights are negative"
    refuse({message: hidden_units < 2 or hidden_units % 2 == 1})
    v = torch.full((hidden_units,), 1 / math.sqrt(hidden_units), dtype=torch.float32 if like is None else like.dtype)
    v[hidden_units // 2 :] *= -1
    return v if like is None else v.to(like)


def initial_weights(
    hidden_units: int, dim: int, *, seed: int = 0, paired: bool = False, dtype: torch.dtype = torch.float32
) -> Weights:
    """W₀ with independent standard normal entries (Theorem 2.2); `ValueError` for an odd `hidden_units` (k).

    `paired` repeats the first half of the rows in the second, where v has the other sign: then f(W₀, x) = 0 for
    every x, as Theorem 4.1 assumes.
    """
    output_weights(hidden_units)  # refuses an odd number
    rows = hidden_units // 2 if paired else hidden_units
    weights = torch.randn(rows, dim, generator=random_stream(seed, "weights"), dtype=torch.float64)
    return (torch.cat([weights, weights]) if paired else weights).to(dtype)


def predict(weights: Weights, inputs: Inputs, activation: Activation = ERF) -> Float[Tensor, " n"]:
    """f(W, x) = vᵀφ(Wx) for every row x of `inputs` (Eq. 2)."""
    return activation.value(inputs @ weights.T) @ output_weights(len(weights), weights)
