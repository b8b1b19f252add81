"""The loss and gradient descent against autograd and a NumPy loop."""

import math
import re
from functools import partial

import numpy as np
import pytest
import torch
from reference import named, network, problem
from scipy import special

from earlystop.descent import LOGISTIC, DivergenceError, gradient, gradient_descent, largest_stable_step, loss
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, RELU

K, D, N = 16, 5, 12
small = partial(problem, K, D, N)


@named
def test_the_loss_and_its_gradient_equal_automatic_differentiation(phi):
    weights, x, y = small()
    weights.requires_grad_()
    expected = 0.5 * (network(weights, x, phi) - y).square().sum()
    (slope,) = torch.autograd.grad(expected, weights)
    weights = weights.detach()
    torch.testing.assert_close(loss(weights, x, y, phi), expected.detach(), rtol=0, atol=1e-10)
    torch.testing.assert_close(gradient(weights, x, y, phi), slope, rtol=0, atol=1e-10)


@named
def test_gradient_descent_equals_a_loop_over_the_gradient(phi):
    start, x, y = small()
    run = gradient_descent(start, x, y, step_size=0.1, iterations=47, activation=phi)
    weights = start.clone()
    for tau in range(48):
        outputs = network(weights, x, phi)
        torch.testing.assert_close(run.outputs[tau], outputs, rtol=0, atol=1e-10)
        distance = math.sqrt(((weights - start) ** 2).sum())
        assert run.distance[tau].item() == pytest.approx(distance, abs=1e-10)
        if tau < 47:
            weights = weights - 0.1 * gradient(weights, x, y, phi)
    torch.testing.assert_close(run.weights, weights, rtol=0, atol=1e-10)
    assert run.outputs.shape == (48, N) and run.distance.shape == (48,)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_gradient_descent_equals_a_numpy_loop(dtype, tolerance):
    start, x, y = small(seed=1, dtype=dtype)
    run = gradient_descent(start, x, y, step_size=0.1, iterations=200)
    w0, x, y, v = (a.double().numpy() for a in (start, x, y, torch.tensor([0.25] * 8 + [-0.25] * 8)))
    w = w0.copy()
    for tau in range(201):
        hidden = x @ w.T
        outputs = special.erf(hidden) @ v
        np.testing.assert_allclose(run.outputs[tau].numpy(), outputs, atol=tolerance)
        assert run.distance[tau].item() == pytest.approx(np.linalg.norm(w - w0), abs=tolerance)
        last, w = w, w.copy()
        for i in range(N):
            slopes = v * 2 / math.sqrt(math.pi) * np.exp(-(hidden[i] ** 2))
            w -= 0.1 * (outputs[i] - y[i]) * np.outer(slopes, x[i])
    np.testing.assert_allclose(run.weights.numpy(), last, atol=tolerance)


@named
@pytest.mark.parametrize("ridge", [0.01, 0.5])
def test_ridge_descent_equals_automatic_differentiation(phi, ridge):
    start, x, y = small(seed=2)
    run = gradient_descent(start, x, y, step_size=0.1, iterations=60, activation=phi, ridge=ridge)
    weights = start.clone()
    for _ in range(60):
        weights.requires_grad_()
        value = 0.5 * (network(weights, x, phi) - y).square().sum() + ridge * (weights - start).square().sum()
        (slope,) = torch.autograd.grad(value, weights)
        weights = weights.detach() - 0.1 * slope
    torch.testing.assert_close(run.weights, weights, rtol=0, atol=1e-10)


def cross_entropy(weights, x, y, phi):
    p = 1 / (1 + torch.exp(-network(weights, x, phi)))
    return -(y * p.log() + (1 - y) * (1 - p).log()).sum()


@named
def test_the_logistic_loss_and_its_gradient_equal_automatic_differentiation(phi):
    weights, x, y = small(seed=3)
    y = (y + 1) / 2
    y[:3] = torch.tensor([0.2, 0.5, 0.9])  # probabilities, too
    expected, slope = torch.func.grad_and_value(cross_entropy)(weights, x, y, phi)[::-1]
    torch.testing.assert_close(loss(weights, x, y, phi, LOGISTIC), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(gradient(weights, x, y, phi, LOGISTIC), slope, rtol=0, atol=1e-10)


@named
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_logistic_descent_equals_a_loop_by_automatic_differentiation(phi, ridge):
    start, x, y = small(seed=4)
    y = (y + 1) / 2
    run = gradient_descent(start, x, y, step_size=0.3, iterations=40, activation=phi, ridge=ridge, criterion=LOGISTIC)
    weights = start.clone()
    for tau in range(40):
        torch.testing.assert_close(run.outputs[tau], network(weights, x, phi), rtol=0, atol=1e-10)
        slope = torch.func.grad(cross_entropy)(weights, x, y, phi) + 2 * ridge * (weights - start)
        weights = weights - 0.3 * slope
    torch.testing.assert_close(run.weights, weights, rtol=0, atol=1e-10)


@named
def test_the_logistic_loss_allows_a_step_four_times_as_large(phi):
    weights, x, _ = small()
    assert largest_stable_step(weights, x, phi, LOGISTIC) == pytest.approx(4 * largest_stable_step(weights, x, phi))
    outputs = network(weights, x, phi)
    second = torch.func.vmap(torch.func.grad(torch.func.grad(lambda f: LOGISTIC.value(f, torch.tensor(1.0)))))
    assert second(outputs).max() <= LOGISTIC.curvature == second(torch.zeros(1)).item()


def test_labels_of_another_kind_are_refused_by_the_logistic_loss():
    with pytest.raises(ValueError, match=r"a label is outside \[0, 1\]: the logistic loss needs probabilities"):
        gradient_descent(*small(), step_size=0.1, iterations=2, criterion=LOGISTIC)


def test_weights_without_a_slope_allow_every_step_and_no_inputs_none():
    _, x, _ = small()
    assert largest_stable_step(-torch.ones(4, D), x.abs().float(), RELU) == math.inf
    with pytest.raises(ValueError, match="there are no inputs"):
        largest_stable_step(torch.ones(4, D), x[:0].float())


def test_gradient_descent_leaves_its_arguments_alone():
    arguments = small()
    copies = [argument.clone() for argument in arguments]
    first = gradient_descent(*arguments, step_size=0.1, iterations=5)
    assert all(torch.equal(a, b) for a, b in zip(arguments, copies))
    again = gradient_descent(*arguments, step_size=0.1, iterations=5)
    assert torch.equal(first.weights, again.weights)


def test_no_iterations_return_the_start():
    start, x, y = small()
    run = gradient_descent(start, x, y, step_size=0.1, iterations=0)
    assert torch.equal(run.weights, start) and run.distance.tolist() == [0]
    torch.testing.assert_close(run.outputs[0], network(start, x, ERF))


@named
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_several_runs_descend_together_as_each_by_itself(phi, ridge):
    problems = [small(seed) for seed in range(3)]
    run = dict(step_size=0.1, iterations=60, activation=phi, ridge=ridge)
    together = gradient_descent(*map(torch.stack, zip(*problems)), **run)
    assert together.outputs.shape == (61, 3, N) and together.distance.shape == (61, 3)
    for i, one in enumerate(problems):
        alone = gradient_descent(*one, **run)
        close = dict(rtol=0, atol=1e-10)
        torch.testing.assert_close(together.outputs[:, i], alone.outputs, **close)
        torch.testing.assert_close(together.distance[:, i], alone.distance, **close)
        torch.testing.assert_close(together.weights[i], alone.weights, **close)


def test_one_diverging_run_among_several_is_refused_with_a_step_that_suits_all():
    problems = [small(seed) for seed in range(3)]
    problems[1] = (problems[1][0], 10 * problems[1][1], problems[1][2])
    phi = GAUSSIAN_SOFTPLUS
    limits = [largest_stable_step(start, x, phi) for start, x, _ in problems]
    assert min(limits) == limits[1]
    run = dict(step_size=0.5 * min(limits[0], limits[2]), iterations=400, activation=phi)
    with pytest.raises(DivergenceError, match=f"about {limits[1]:.4g}"):
        gradient_descent(*map(torch.stack, zip(*problems)), **run)


# ------------------------------------------------------------------------ steps that are too large


def largest_curvature(weights, x, phi):
    """σ₁(J)² by automatic differentiation: the linear model decays with steps below 2 over it."""
    rows = torch.autograd.functional.jacobian(lambda w: network(w, x, phi), weights)
    return np.linalg.svd(rows.flatten(1).numpy(), compute_uv=False)[0] ** 2


@named
def test_the_largest_stable_step_separates_decay_from_growth_of_the_linear_model(phi):
    weights, x, _ = small()
    expected = 2 / largest_curvature(weights, x, phi)
    assert largest_stable_step(weights, x, phi) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 1.0, 1000.0])
@named  # with erf the loss stays finite
def test_a_diverging_run_names_an_iteration_and_the_largest_stable_step(phi, ridge):
    start, x, y = problem(400, D, 40)
    stable = 2 / (largest_curvature(start, x, phi) + 2 * ridge)  # μ‖W - W₀‖² adds 2μ everywhere
    with pytest.raises(DivergenceError) as error:
        gradient_descent(start, x, y, step_size=1e4 * stable, iterations=400, activation=phi, ridge=ridge)
    message = str(error.value)
    assert 0 < int(re.search(r"iteration (\d+)", message)[1]) <= 20  # of 400: it does not go on for long
    assert f"step_size {1e4 * stable:.4g}" in message
    named_step = float(re.search(r"stable step .* ([\d.e+-]+)$", message)[1])
    assert named_step == pytest.approx(stable, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(weights=torch.zeros(K, D + 1)), f"inputs has shape .*, should have .*, where d is {D + 1} as of weights"),
        (dict(labels=torch.zeros(N - 1)), f"labels has shape \\({N - 1},\\), .* n is {N} as of inputs"),
        (dict(labels=torch.zeros(N, 1)), f"labels has shape \\({N}, 1\\)"),
        (dict(weights=torch.zeros(2, K, D)), r"weights for \(2,\) runs, but inputs for \(\)"),
        (dict(weights=torch.full((K, D), math.nan)), "weights contain NaN"),
        (dict(inputs=torch.full((N, D), math.inf)), "inputs contain NaN or infinity"),
        (dict(labels=torch.full((N,), math.nan)), "labels contain NaN"),
        (dict(weights=torch.zeros(3, D)), "hidden_units is 3"),
        (dict(step_size=0.0), "step_size is 0.0"),
        (dict(step_size=-1.0), "step_size is -1.0"),
        (dict(step_size=math.nan), "step_size is nan"),
        (dict(iterations=-1), "iterations is -1"),
        (dict(ridge=-0.5), "ridge is -0.5"),
        (dict(ridge=math.nan), "ridge is nan"),
    ],
)
def test_a_bad_argument_is_refused_with_its_value(change, message):
    weights, inputs, labels = small(dtype=torch.float32)
    good = dict(weights=weights, inputs=inputs, labels=labels, step_size=0.1, iterations=3)
    with pytest.raises(ValueError, match=message):
        gradient_descent(**{**good, **change})
