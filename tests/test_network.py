"""The network and its activations against NumPy loops, autograd and quadrature."""

import math

import numpy as np
import pytest
import torch
from reference import ACTIVATIONS

from earlystop import network
from earlystop.network import RELU, initial_weights, kappa_by_quadrature, output_weights, predict

named = pytest.mark.parametrize("phi", network.ACTIVATIONS, ids=lambda phi: phi.name)
smooth = pytest.mark.parametrize(
    "phi", [phi for phi in network.ACTIVATIONS if math.isfinite(phi.smoothness)], ids=lambda phi: phi.name
)
OTHERWISE = ACTIVATIONS | {
    "sin": torch.sin,
    "cos": torch.cos,
    "identity": lambda z: z,
    "tanh": lambda z: 1 - 2 / (torch.exp(2 * z) + 1),
    "sigmoid": lambda z: 1 / (1 + torch.exp(-z)),
    "softplus": lambda z: torch.log1p(torch.exp(z)),
    "quadratic": lambda z: z**2 / 2,
}


@pytest.mark.parametrize("k", [2, 6, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_weights_are_a_unit_vector_half_of_it_negative(k, dtype):
    v = output_weights(k, torch.zeros(1, dtype=dtype))
    assert v.dtype == dtype and v.shape == (k,)
    exact = np.full(k, 1 / math.sqrt(k))
    np.testing.assert_allclose(v.abs().numpy(), exact, rtol=2 * torch.finfo(dtype).eps)
    assert (v < 0).sum() == k // 2


@pytest.mark.parametrize("k", [-2, 0, 1, 7])
def test_an_odd_or_missing_number_of_hidden_units_is_refused(k):
    for call in (output_weights, lambda k: initial_weights(k, 3)):
        with pytest.raises(ValueError, match=f"hidden_units is {k}"):
            call(k)


def test_initial_weights_are_standard_normal_and_seeded():
    weights = initial_weights(1000, 50, seed=1, dtype=torch.float64)
    n = weights.numel()
    assert abs(weights.mean().item()) < 5 / math.sqrt(n)
    assert abs(weights.var().item() - 1) < 5 * math.sqrt(2 / n)
    assert torch.equal(weights, initial_weights(1000, 50, seed=1, dtype=torch.float64))
    assert not torch.equal(weights, initial_weights(1000, 50, seed=2, dtype=torch.float64))


@named
@pytest.mark.parametrize("k", [2, 300])
def test_paired_initialization_outputs_zero_everywhere(phi, k):
    x = torch.randn(20, 7, dtype=torch.float64)
    paired = initial_weights(k, 7, paired=True, dtype=torch.float64)
    assert paired.shape == (k, 7)
    assert predict(paired, x, phi).abs().max() < 1e-13
    assert predict(initial_weights(k, 7, dtype=torch.float64), x, phi).abs().max() > 1e-3


@named
def test_the_network_equals_a_loop_over_its_units(phi):
    k, rng = 16, np.random.default_rng(0)
    weights, x = torch.from_numpy(rng.normal(size=(k, 5))), torch.from_numpy(rng.normal(size=(9, 5)))
    signs = [1] * (k // 2) + [-1] * (k // 2)
    expected = [sum(s * OTHERWISE[phi.name](w @ row) for s, w in zip(signs, weights)) / math.sqrt(k) for row in x]
    torch.testing.assert_close(predict(weights, x, phi), torch.stack(expected), rtol=0, atol=1e-13)


@named
def test_the_derivative_of_an_activation_is_its_derivative(phi):
    z = torch.linspace(-6, 6, 1000, dtype=torch.float64, requires_grad=True)  # without 0
    (expected,) = torch.autograd.grad(phi.value(z).sum(), z)
    actual = phi.derivative(z.detach()).to(torch.float64)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-14)


@smooth
def test_the_derivatives_are_bounded_by_what_is_said(phi):
    z = torch.linspace(-20, 20, 400_001, dtype=torch.float64, requires_grad=True)
    value, largest = phi.value(z), []
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum() + 0 * z.square().sum(), z, create_graph=True)
        largest.append(value.abs().max().item())
    assert max(largest[:2]) <= phi.smoothness * (1 + 1e-12) and largest[2] <= phi.third * (1 + 1e-12)
    assert max(largest[:2]) >= phi.smoothness * (1 - 1e-6)  # and Γ is no larger than it need be


@named
@pytest.mark.parametrize("part", ["value", "derivative"])
def test_activations_write_into_a_given_tensor(phi, part):
    z = torch.linspace(-2, 2, 10).reshape(2, 5)
    before, out = z.clone(), torch.full_like(z, math.nan)
    expected = getattr(phi, part)(z)
    returned = getattr(phi, part)(z, out=out)
    assert returned is out and torch.equal(out, expected.to(out)) and torch.equal(z, before)
    getattr(phi, part)(z, out=z)
    torch.testing.assert_close(z, expected.to(z))


@named
def test_kappa_equals_the_expectation_by_another_quadrature(phi):
    if phi is RELU:  # its slope jumps: see below
        return
    z = torch.linspace(-9, 9, 601, dtype=torch.float64)  # the trapezoidal rule, exact for smooth functions
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * 0.03
    u, w = torch.meshgrid(z, z, indexing="ij")
    for t in (-1.0, -0.7, 0.0, 0.3, 0.99, 1.0):
        slopes = phi.derivative(u) * phi.derivative(t * u + math.sqrt(1 - t**2) * w)
        expected = (density @ slopes @ density).item()
        actual = phi.kappa(torch.tensor(t, dtype=torch.float64)).item()
        assert actual == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("phi", [network.ERF, network.SIN, network.GAUSSIAN_SOFTPLUS], ids=lambda phi: phi.name)
def test_the_quadrature_of_kappa_gives_the_closed_forms_again(phi):
    t = torch.linspace(-1, 1, 41, dtype=torch.float64)
    torch.testing.assert_close(kappa_by_quadrature(phi.derivative)(t), phi.kappa(t), rtol=0, atol=1e-12)
    coarse = kappa_by_quadrature(phi.derivative, degree=2)(t)
    assert (coarse - phi.kappa(t)).abs().max() > 1e-4  # three terms are too few


def test_kappa_of_relu_equals_monte_carlo():
    u, w = np.random.default_rng(0).normal(size=(2, 1_000_000))
    for t in (-1.0, -0.7, 0.0, 0.3, 0.99, 1.0):
        both = (u > 0) & (t * u + math.sqrt(1 - t**2) * w > 0)
        error = 5 * both.std() / math.sqrt(len(u)) + 1e-12
        assert abs(RELU.kappa(torch.tensor(t, dtype=torch.float64)).item() - both.mean()) <= error
