"""The one-hidden-layer network f(W, x) = vᵀφ(Wx) of Eq. 2, and its activations φ."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.arguments import counts, functions, kinds, numbers, refuse, tensors
from earlystop.streams import random_stream

Weights = Float[Tensor, "k d"]  # W, a row for every hidden unit
Inputs = Float[Tensor, "n d"]  # a row xᵢ for every sample


@dataclass(frozen=True)
class Activation:
    """An activation φ with its derivative, and what the theory asks of it.

    `value` and `derivative` take an optional tensor to write into, as torch functions do. `kappa` is
    κ(t) = E[φ'(u)φ'(w)] for standard normal u, w of correlation t: on unit vectors it gives the expectation in
    Definition 2.1. `smoothness` is Γ, the larger of max |φ'| and max |φ''|, and infinite where one has no bound: the
    theory assumes that it has. `third` bounds |φ'''|, `rank` the rank of Σ(C) for centers in R^d.

    >>> sine = earlystop.network.Activation("sine", torch.sin, torch.cos, lambda t: torch.cosh(t) / 2.718, smoothness=1)
    >>> earlystop.network.predict(torch.ones(2, 3), torch.eye(3), sine)
    tensor([0., 0., 0.])
    """

    name: str
    value: Callable[..., Tensor]
    derivative: Callable[..., Tensor]
    kappa: Callable[[Tensor], Tensor]
    smoothness: float
    third: float = math.inf
    rank: Callable[[int], float] = lambda dim: math.inf

    def __post_init__(self) -> None:
        functions(value=self.value, derivative=self.derivative, kappa=self.kappa, rank=self.rank)
        numbers(smoothness=self.smoothness, third=self.third)
        for name in ("value", "derivative"):
            object.__setattr__(self, name, _writing(getattr(self, name)))


def check_activation(activation: Activation) -> None:
    """Raise `ValueError` for what is no `Activation`, such as the name of one or a function.

    >>> earlystop.network.check_activation(earlystop.network.ERF)
    """
    hint = "an Activation, such as ERF, or your own: Activation(name, value, derivative, kappa, smoothness)"
    kinds(Activation, hint, activation=activation)


def _writing(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function z ↦ φ(z) that writes into a tensor if it is given one: `formula`, or made of it if it does not."""
    try:
        formula(torch.zeros(1), out=torch.empty(1))
        return formula
    except TypeError:
        pass  # it takes no such tensor

    def function(z: Tensor, out: Tensor | None = None) -> Tensor:
        return formula(z) if out is None else out.copy_(formula(z))

    return function


def kappa_by_quadrature(derivative: Callable[[Tensor], Tensor], degree: int = 120) -> Callable[[Tensor], Tensor]:
    """κ(t) = Σ_m a_m² t^m, where a_m = E[φ'(g) h_m(g)] by Gauss–Hermite quadrature.

    The h_m are the Hermite polynomials with E[h_m(g)²] = 1: for standard normal u, w of correlation t they have
    E[h_m(u)h_n(w)] = t^m if m = n, else 0. Terms beyond `degree` are left out: for a smooth φ' they vanish fast.

    >>> earlystop.network.kappa_by_quadrature(torch.cos)(torch.tensor(1.0)).round(decimals=3)
    tensor(0.5680)
    """
    functions(derivative=derivative)
    counts(least=1, degree=degree)
    nodes, weights = np.polynomial.hermite_e.hermegauss(2 * degree)
    g, weights = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
    polynomials = [torch.ones_like(g), g]
    for m in range(1, degree):
        polynomials.append((g * polynomials[m] - math.sqrt(m) * polynomials[m - 1]) / math.sqrt(m + 1))
    coefficients = torch.stack(polynomials) @ (weights * derivative(g))

    def kappa(t: Tensor) -> Tensor:
        total = torch.zeros_like(t)
        for a in coefficients.flip(0).tolist():
            total = total * t + a**2
        return total

    return kappa


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


ERF = Activation("erf", torch.erf, _erf_derivative, _erf_kappa, 2 / math.sqrt(math.pi), 4 / math.sqrt(math.pi))
# z·Φ(z) + Φ'(z), whose derivative is the normal distribution function Φ.
GAUSSIAN_SOFTPLUS = Activation("Gaussian softplus", _softplus, torch.special.ndtr, _softplus_kappa, 1.0, 0.25)
SIN = Activation("sin", torch.sin, torch.cos, lambda t: torch.cosh(t) / math.e, 1.0, 1.0)
COS = Activation("cos", torch.cos, _writing(lambda z: -torch.sin(z)), lambda t: torch.sinh(t) / math.e, 1.0, 1.0)
IDENTITY = Activation(
    "identity", _writing(torch.clone), _writing(torch.ones_like), torch.ones_like, 1.0, 0.0, lambda dim: dim
)
# These have no closed form of κ.
_tanh_slope = _writing(lambda z: 1 - z.tanh() ** 2)
_sigmoid_slope = _writing(lambda z: z.sigmoid() * (-z).sigmoid())
_softplus_value = _writing(torch.nn.functional.softplus)
TANH = Activation("tanh", torch.tanh, _tanh_slope, kappa_by_quadrature(_tanh_slope), 1.0, 2.0)
SIGMOID = Activation("sigmoid", torch.sigmoid, _sigmoid_slope, kappa_by_quadrature(_sigmoid_slope), 0.25, 0.125)
SOFTPLUS = Activation("softplus", _softplus_value, torch.sigmoid, kappa_by_quadrature(torch.sigmoid), 1.0, 0.1)
# Outside the theory, which asks for bounded first and second derivatives: for comparison.
RELU = Activation("ReLU", _relu, _relu_derivative, _relu_kappa, math.inf)
_square = _writing(lambda z: z * z / 2)
QUADRATIC = Activation(
    "quadratic", _square, _writing(torch.clone), torch.clone, math.inf, 0.0, lambda dim: dim * (dim + 1) / 2
)
ACTIVATIONS = (ERF, GAUSSIAN_SOFTPLUS, SIN, COS, IDENTITY, TANH, SIGMOID, SOFTPLUS, RELU, QUADRATIC)


def output_weights(hidden_units: int, like: Tensor | None = None) -> Float[Tensor, " k"]:
    """The fixed output weights v: half are 1/√k, half -1/√k, so that ‖v‖ = 1. `ValueError` unless k is even, k ≥ 2.

    >>> earlystop.network.output_weights(4)
    tensor([ 0.5000,  0.5000, -0.5000, -0.5000])
    """
    counts(hidden_units=hidden_units)
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

    >>> earlystop.network.initial_weights(hidden_units=100, dim=3, seed=1).shape
    torch.Size([100, 3])
    """
    output_weights(hidden_units)  # refuses an odd number
    counts(least=1, dim=dim)
    kinds(torch.dtype, "torch.float32 or torch.float64", dtype=dtype)
    rows = hidden_units // 2 if paired else hidden_units
    weights = torch.randn(rows, dim, generator=random_stream(seed, "weights"), dtype=torch.float64)
    return (torch.cat([weights, weights]) if paired else weights).to(dtype)


def predict(weights: Weights, inputs: Inputs, activation: Activation = ERF) -> Float[Tensor, " n"]:
    """f(W, x) = vᵀφ(Wx) for every row x of `inputs` (Eq. 2).

    >>> weights = earlystop.network.initial_weights(100, 3, paired=True)
    >>> earlystop.network.predict(weights, torch.eye(3)).abs().max() < 1e-6
    tensor(True)
    """
    check_activation(activation)
    weights, inputs = tensors(weights=(weights, "k d"), inputs=(inputs, "n d"))
    return activation.value(inputs @ weights.T) @ output_weights(len(weights), weights)
