"""What several tests compare with: activations written otherwise than in the package, and small problems."""

import math

import pytest
import torch

from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, RELU, initial_weights

ACTIVATIONS = {
    "erf": torch.special.erf,
    "Gaussian softplus": lambda z: z * (1 + torch.erf(z / 2**0.5)) / 2 + torch.exp(-(z**2) / 2) / (2 * math.pi) ** 0.5,
    "ReLU": torch.relu,
    "sin": lambda z: torch.cos(z - math.pi / 2),
    "tanh": lambda z: 1 - 2 / (torch.exp(2 * z) + 1),
}
named = pytest.mark.parametrize("phi", [ERF, GAUSSIAN_SOFTPLUS, RELU], ids=lambda phi: phi.name)
smooth = pytest.mark.parametrize("phi", [ERF, GAUSSIAN_SOFTPLUS], ids=lambda phi: phi.name)


def problem(k, d, n, seed=0, dtype=torch.float64):
    """Initial weights, inputs on the unit sphere, labels -1 and 1."""
    draw = torch.Generator().manual_seed(100 + seed)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64)
    y = 2.0 * torch.randint(2, (n,), generator=draw) - 1
    return initial_weights(k, d, seed=seed, dtype=dtype), (x / x.norm(dim=1, keepdim=True)).to(dtype), y.to(dtype)


def network(weights, x, phi):
    """f(W, x), its output weights ±1/√k written out."""
    half = len(weights) // 2
    return ACTIVATIONS[phi.name](x @ weights.T) @ torch.tensor([1.0] * half + [-1.0] * half).to(x) / (2 * half) ** 0.5
