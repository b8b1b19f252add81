"""The loss and gradient descent against autograd and a NumPy loop; the experiment of Figure 5."""

import math
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from earlystop.figure5 import Figure5, figure5_cells, figure5_data, figure5_run, figure5_runs
from reference import named, network, problem
from scipy import special

from earlystop import figure5, figures
from earlystop.data import around_centers, clusterable_dataset
from earlystop.descent import DivergenceError, gradient, gradient_descent, largest_stable_step, loss
from earlystop.metrics import auroc, split_losses
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, initial_weights

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
    stable = 2 / (largest_curvature(start, x, phi) + 2 * ridge)  # λ‖W - W₀‖² adds 2λ everywhere
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
        (dict(weights=torch.zeros(K, D + 1)), f"R\\^{D + 1}, but inputs are in R\\^{D}"),
        (dict(labels=torch.zeros(N - 1)), f"{N} inputs but labels of shape \\({N - 1},\\)"),
        (dict(labels=torch.zeros(N, 1)), f"labels of shape \\({N}, 1\\)"),
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


# ------------------------------------------------------------------------ Figure 5


@pytest.fixture(scope="module")
def stored():
    """Mean errors and flip rate over the seeds of the stored result at the paper's setting."""
    result = figures.load("fig5")
    where = {k: v for k, v in figure5_cells(Figure5.at("paper"))[0].items() if k != "seed"}
    means = {"flipped": result.numbers("flipped", **where).mean().item()}
    for time, iteration in (("early", 80), ("late", 4500)):
        at = result["cells"][0]["iteration"].index(iteration)
        for kind in ("given", "true"):
            means[f"{time} {kind}"] = result.numbers(f"error_{kind}", **where)[:, at].mean().item()
    return means


@pytest.fixture
def double_figure5(double, monkeypatch):
    """Data and weights of Figure 5 in double precision."""
    for make in (clusterable_dataset, initial_weights):
        monkeypatch.setattr(figure5, make.__name__, partial(make, dtype=torch.float64))


def test_figure_5_has_the_sizes_of_the_paper():
    config = Figure5.at("paper")
    data = figure5_data(config, seed=0)
    assert data.inputs.shape == (400, 20) and data.clusters.bincount().tolist() == [200, 200]
    assert data.classes.tolist() == [0, 1] and data.corrupted.sum() == 120
    radius = (data.inputs - data.centers[data.clusters]).norm(dim=1)
    torch.testing.assert_close(radius, torch.full_like(radius, 0.5))
    assert (data.centers[0] - data.centers[1]).norm() >= 1
    assert (config.hidden_units, config.early, config.iterations) == (1000, 80, 4500)


def test_the_stored_figure_5_has_learned_the_truth_and_not_the_flips_at_iteration_80(stored):
    assert stored["early true"] <= 0.01
    assert abs(stored["early given"] - stored["flipped"]) <= 0.02


def test_the_stored_figure_5_has_fitted_the_flips_at_iteration_4500(stored):
    assert stored["late given"] <= 0.02
    assert abs(stored["late true"] - stored["flipped"]) <= 0.02


def test_figure_5_flips_about_15_percent():
    flipped = sum(figure5_data(Figure5.at("quick"), seed).flipped.sum().item() for seed in range(5))
    # 120 of 400 labels are drawn again, 5 times: binomial with 600 fair coins.
    assert abs(flipped - 300) <= 5 * math.sqrt(600 / 4)


def test_figure_5_draws_its_weights_independently_of_its_data():
    for seed in range(3):
        data, run = figure5_run(Figure5.at("quick", iterations=0), seed)
        directions = torch.cat([data.centers, data.inputs - data.centers[data.clusters]])
        directions = directions / directions.norm(dim=1, keepdim=True)
        rows = run.weights / run.weights.norm(dim=1, keepdim=True)
        # Of 402,000 random cosines in R^20 the largest exceeds 0.95 with chance 2e-5.
        assert (rows @ directions.T).abs().max() < 0.95


def test_figure_5_sweeps_one_size_at_a_time_around_the_setting_of_the_paper():
    config = Figure5.at("paper")
    cells = figure5_cells(config)
    base = {"corruption_rate": 0.3, "hidden_units": 1000, "input_noise": 0.5, "clusters": 2}
    paper = [c for c in cells if c["noise"] == "offset" and base.items() <= c.items()]
    assert [cell["seed"] for cell in paper] == list(range(100))
    others = [cell for cell in cells if cell not in paper]
    changed = [[key for key in (*base, "noise") if c[key] != {**base, "noise": "offset"}[key]]
               for c in others]  # fmt: skip
    assert all(len(keys) == 1 for keys in changed)
    assert {keys[0] for keys in changed} == {*base, "noise"}
    assert all(cells.count(cell) == 1 for cell in others)
    fewer = figure5_cells(Figure5.at("paper", seeds=2))
    assert all(cell in cells for cell in fewer) and len(fewer) < len(cells)


def test_the_cells_of_figure_5_run_together_as_each_by_itself(double_figure5):
    config = Figure5.at("quick", iterations=120, hidden_units=100)
    base = {"corruption_rate": 0.3, "hidden_units": 100, "input_noise": 0.5, "clusters": 2,
            "noise": "offset"}  # fmt: skip
    changes = [{"seed": 0}, {"seed": 1}, {"seed": 0, "corruption_rate": 0.6},
               {"seed": 0, "input_noise": 0.1}, {"seed": 0, "noise": "shell"}]  # fmt: skip
    cells = [base | change for change in changes]
    together = figure5_runs(config, cells)
    alone = [figure5_runs(config, [cell])[0] for cell in cells]
    for one, other in zip(together, alone):
        assert one.keys() == other.keys()
        for key, value in one.items():
            first, second = torch.as_tensor(value), torch.as_tensor(other[key])
            torch.testing.assert_close(first, second, rtol=0, atol=1e-9)
    curves = [one["distance"].tolist() for one in alone]
    assert all(curve != pytest.approx(curves[0], abs=1e-6) for curve in curves[1:])


def test_the_numbers_of_figure_5_are_those_of_its_run(double_figure5):
    config = Figure5.at("quick", iterations=300, hidden_units=100, early=40)
    base = {"corruption_rate": 0.3, "hidden_units": 100, "input_noise": 0.5, "clusters": 2}
    (one,) = figure5_runs(config, [base | {"noise": "offset", "seed": 3}])
    data, run = figure5_run(config, 3)
    points = one["iteration"].tolist()
    assert points[0] == 0 and points[-1] == 300 and 40 in points
    torch.testing.assert_close(one["distance"], run.distance[points])
    outputs = run.outputs[points].numpy()
    for key, labels in (("error_true", data.clean_labels), ("error_given", data.labels)):
        expected = ((outputs > 0.5) != labels.numpy().astype(bool)).mean(axis=1)
        np.testing.assert_allclose(one[key], expected, atol=1e-12)
    assert one["flipped"] == data.flipped.float().mean()
    for name, tau in (("early", 40), ("late", 300)):
        groups = split_losses((run.outputs[tau] - data.labels).square(), data.flipped)
        assert one[f"auroc_{name}"] == pytest.approx(auroc(*groups), abs=1e-12)
        for group, losses in zip(("clean", "flipped"), groups):
            shares = one[f"{group}_{name}"]
            assert shares.sum().item() == pytest.approx(1)
            within = np.histogram(losses.numpy().clip(max=1.5), len(shares), (0, 1.5))[0]
            np.testing.assert_allclose(shares, within / len(losses), atol=1e-12)
        fresh = around_centers(data, 400, 3, noise="offset")
        _, then = figure5_run(replace(config, iterations=tau), 3)
        hidden = torch.erf(fresh.inputs @ then.weights.T)
        outputs = 0.1 * (hidden[:, :50].sum(dim=1) - hidden[:, 50:].sum(dim=1))
        wrong = ((outputs > 0.5) != fresh.labels.bool()).float().mean().item()
        assert one[f"fresh_error_{name}"].item() == pytest.approx(wrong, abs=1e-12)
