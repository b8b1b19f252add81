"""The one-hidden-layer network f(W, x) = vᵀφ(Wx) of Eq. 2, and its activations φ."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.streams import random_stream


@dataclass(frozen=True)
class Activation:
    """An activation φ with its derivative, and what the theory asks of it.

    `value` and `derivative` take an optional tensor to write into, as torch functions do.
    `kappa` is κ(t) = E[φ'(u)φ'(w)] for standard normal u, w of correlation t: on unit vectors
    it gives the expectation in Definition 2.1. `smoothness` is Γ, the bound on |φ'| and |φ''|.
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


ERF = Activation(
    name="erf",
    value=torch.erf,
    derivative=_erf_derivative,
    kappa=lambda t: 4 / (math.pi * torch.sqrt(9 - 4 * t**2)),
    smoothness=2 / math.sqrt(math.pi),
)
# z·Φ(z) + Φ'(z), whose derivative is the normal distribution function Φ.
GAUSSIAN_SOFTPLUS = Activation(
    name="Gaussian softplus",
    value=_softplus,
    derivative=torch.special.ndtr,
    kappa=lambda t: 0.25 + torch.asin(t / 2) / (2 * math.pi),
    smoothness=1.0,
)
# Outside the theory, which asks for a bounded second derivative: for comparison.
RELU = Activation(
    name="ReLU",
    value=_relu,
    derivative=_relu_derivative,
    kappa=lambda t: (math.pi - torch.acos(t)) / (2 * math.pi),
    smoothness=math.inf,
)


def output_weights(hidden_units: int, like: Tensor | None = None) -> Float[Tensor, " k"]:
    """The fixed output weights v: half are 1/√k, half are -1/√k, so that ‖v‖ = 1.

    Raises `ValueError` if `hidden_units` (k) is not an even number of at least 2.
    """
    if hidden_units < 2 or hidden_units % 2:
        raise ValueError(
            f"hidden_units is {hidden_units}, should be even and at least 2: half of the output weights are negative"
        )
    dtype = torch.float32 if like is None else like.dtype
    v = torch.full((hidden_units,), 1 / math.sqrt(hidden_units), dtype=dtype)
    v[hidden_units // 2 :] *= -1
    return v if like is None else v.to(like)


def initial_weights(
    hidden_units: int, dim: int, *, seed: int = 0, paired: bool = False, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "k d"]:
    """W₀ with independent standard normal entries (Theorem 2.2).

    `paired` repeats the first half of the rows in the second, where v has the other sign:
    then f(W₀, x) = 0 for every x, as Theorem 4.1 assumes.
    """
    output_weights(hidden_units)
    generator = random_stream(seed, "weights")
    rows = hidden_units // 2 if paired else hidden_units
    weights = torch.randn(rows, dim, generator=generator, dtype=torch.float64)
    return (torch.cat([weights, weights]) if paired else weights).to(dtype)


def predict(
    weights: Float[Tensor, "k d"], inputs: Float[Tensor, "n d"], activation: Activation = ERF
) -> Float[Tensor, " n"]:
    """f(W, x) = vᵀφ(Wx) for every row x of `inputs` (Eq. 2)."""
    return activation.value(inputs @ weights.T) @ output_weights(len(weights), weights)
