"""What the theorems promise, against Monte Carlo, hand computation and brute force."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import named, network

from earlystop import data, metrics, theory
from earlystop.jacobian import jacobian
from earlystop.network import ACTIVATIONS, COS, ERF, IDENTITY, QUADRATIC, RELU, SIN, TANH, initial_weights, predict
from earlystop.theory import (
    cluster_covariance,
    cluster_covariance_monte_carlo,
    cluster_means,
    conditional_mean_losses,
    diffuseness,
    diversity,
    interpolation_distance_bound,
    plateau_distance,
    relu_diversity_bound,
    smallest_eigenvalue,
    theorem_scales,
)


def unit_rows(count, dim, seed=0):
    rows = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, dim)))
    return rows / rows.norm(dim=1, keepdim=True)


# ------------------------------------------------------------------------ Σ(C) and λ(C)


@pytest.mark.parametrize("phi", ACTIVATIONS, ids=lambda phi: phi.name)
def test_the_closed_covariance_equals_the_expectation_it_stands_for(phi):
    centers, samples = unit_rows(5, 4), 200_000
    g = torch.from_numpy(np.random.default_rng(1).normal(size=(samples, 4)))
    slopes = phi.derivative(g @ centers.T).double()
    products = slopes[:, :, None] * slopes[:, None, :] * (centers @ centers.T)
    error = products.std(dim=0) / math.sqrt(samples)
    sigma = cluster_covariance(centers, phi)
    assert ((sigma - products.mean(dim=0)).abs() <= 5 * error + 1e-12).all()
    assert error.max() < 0.01

    estimate, its_error = cluster_covariance_monte_carlo(centers, phi, samples=samples, seed=2)
    assert ((sigma - estimate).abs() <= 5 * its_error + 1e-12).all()
    torch.testing.assert_close(its_error, error, rtol=0.05, atol=1e-6)


def test_the_covariance_of_centers_off_the_unit_sphere_is_refused():
    with pytest.raises(ValueError, match="norm 1.5"):
        cluster_covariance(1.5 * unit_rows(3, 4))


@named
def test_the_covariance_is_finite_for_equal_and_opposite_centers(phi):
    center = unit_rows(1, 7)
    sigma = cluster_covariance(torch.cat([center, center, -center]).float(), phi)
    assert torch.isfinite(sigma).all()
    assert smallest_eigenvalue(sigma) == pytest.approx(0, abs=1e-6)
    assert smallest_eigenvalue(torch.tensor([[2.0, 1.0], [1.0, 2.0]])) == pytest.approx(1)


OPPOSITE = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
BESIDE = unit_rows(4, 3)


@pytest.mark.parametrize(
    ("centers", "phi", "message"),
    [(torch.cat([BESIDE, BESIDE[:1]]), RELU, "ReLU cannot tell these centers apart, two of them coincide"),
     (BESIDE, IDENTITY, "4 in R.3: at most 3 have independent rows"),
     (unit_rows(7, 3), QUADRATIC, "7 in R.3: at most 6 have independent rows"),
     (OPPOSITE, TANH, "tanh cannot tell these centers apart$"), (OPPOSITE, SIN, "sin cannot"),
     (OPPOSITE, QUADRATIC, "quadratic cannot")],
)  # fmt: skip
def test_a_singular_covariance_is_refused_with_its_reason(centers, phi, message):
    for call in (
        diversity,
        lambda c, p: plateau_distance(torch.ones(len(c)), c, p),
        lambda c, p: theorem_scales(c, 1, p),
    ):
        with pytest.raises(ValueError, match=message):
            call(centers, phi)


def test_as_many_centers_as_an_activation_can_tell_apart_are_told_apart():
    assert diversity(BESIDE[:3], IDENTITY) > 1e-3 and diversity(unit_rows(6, 3), QUADRATIC) > 1e-5
    eigenvalue = torch.linalg.eigvalsh((BESIDE @ BESIDE.T) ** 2)[0].item()  # Σ(C) of the quadratic
    assert diversity(BESIDE, QUADRATIC) == pytest.approx(eigenvalue, rel=1e-9)
    assert diversity(OPPOSITE, RELU) == pytest.approx(0.5)  # opposite centers are no trouble for it
    assert diversity(unit_rows(8, 3), COS) > 1e-9  # nor many of them for an analytic one, if they are not too many


def test_the_bound_of_relu_is_that_of_the_closest_pair():
    centers = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert relu_diversity_bound(centers) == pytest.approx(math.sqrt(0.4) / 900)
    with pytest.raises(ValueError, match="1 center"):
        relu_diversity_bound(centers[:1])


# ------------------------------------------------------------------------ Theorem 2.2


def test_the_scales_of_theorem_2_2_equal_a_hand_computation():
    centers = torch.tensor([[1.0, 0.0, 0.0], [0.5, math.sqrt(0.75), 0.0]], dtype=torch.float64)
    # Correlation ½: κ(1) = 4/(π√5), κ(½) = 4/(π√8); eigenvalues of CCᵀ are ½ and 3/2.
    lam = 4 / (math.pi * math.sqrt(5)) - 0.5 * 4 / (math.pi * math.sqrt(8))
    expected = dict(center_norm=1.5, smallest_eigenvalue=lam, iterations=1.5 / lam, hidden_units=4 * 1.5**2 / lam**4,
                    input_noise=0.9 * lam**2 / 4, corruption_rate=0.1125)  # fmt: skip
    assert vars(theorem_scales(centers, label_separation=0.9)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("centers", "delta", "message"),
    [(torch.eye(2), 0.0, "label_separation is 0.0"), (torch.eye(2), math.nan, "label_separation is nan"),
     (torch.ones(2, 4) / 2, 0.5, "erf cannot tell these centers apart")],
)  # fmt: skip
def test_scales_that_the_theorem_does_not_cover_are_refused(centers, delta, message):
    with pytest.raises(ValueError, match=message):
        theorem_scales(centers, delta)


# ------------------------------------------------------------------------ Theorem 2.3


def close_pair(distance, seed, dim=10):
    """Two unit vectors at a distance."""
    c, t = torch.linalg.qr(unit_rows(2, dim, seed).T).Q.T
    angle = math.asin(distance / 2)
    along, across = math.cos(angle) * c, math.sin(angle) * t
    return torch.stack([along - across, along + across])


def by_gauss_newton(weights, x, y):
    for _ in range(60):
        rows = jacobian(weights, x)
        move = rows.T @ torch.linalg.solve(rows @ rows.T, y - predict(weights, x))
        weights = weights + move.reshape(weights.shape)
    return weights


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("distance", [0.1, 0.3, 0.6])
def test_an_interpolator_is_at_least_as_far_as_the_bound(distance, seed):
    x, y = close_pair(distance, seed), torch.tensor([-1.0, 1.0], dtype=torch.float64)
    start = initial_weights(400, 10, seed=seed, dtype=torch.float64)
    end = by_gauss_newton(start, x, y)
    reached = predict(end, x)
    torch.testing.assert_close(reached, y, rtol=0, atol=1e-9)
    bound = interpolation_distance_bound(start, *x, label_gap=(reached[1] - reached[0]).item())
    actual = np.linalg.svd((end - start).numpy(), compute_uv=False)[0]
    assert 0 < bound <= actual


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("paired", [True, False])  # f(W₀) = 0, or not
def test_the_bound_equals_its_formula(paired, sign):
    x = close_pair(0.2, 0)
    weights = initial_weights(50, 10, paired=paired, dtype=torch.float64)
    low, high = network(weights, x, ERF).tolist()
    assert (low == pytest.approx(high, abs=1e-12)) == paired
    spread = 1 + np.linalg.svd(weights.numpy(), compute_uv=False)[0] / math.sqrt(50)
    expected = (2 - abs(high - low)) / (2 / math.sqrt(math.pi) * 0.2 * spread)
    assert interpolation_distance_bound(weights, *x, sign * 2.0) == pytest.approx(expected, rel=1e-10)
    # What the start fits already needs no way at all, nor does less than that.
    assert interpolation_distance_bound(weights, *x, high - low) == pytest.approx(0, abs=1e-12)
    assert interpolation_distance_bound(weights, *x, 0.0) == 0


def test_the_bound_refuses_what_its_proof_does_not_cover():
    weights, (first, second) = initial_weights(20, 10, dtype=torch.float64), close_pair(0.2, 0)
    for other, phi, message in (
        (first, ERF, "coincide"),
        (1.1 * second, ERF, "norm at most 1"),
        (second, RELU, "ReLU"),
    ):
        with pytest.raises(ValueError, match=message):
            interpolation_distance_bound(weights, first, other, 1.0, phi)


# ------------------------------------------------------------------------ Theorem 4.1


def test_cluster_means_equal_a_loop():
    rng = np.random.default_rng(0)
    values, clusters = rng.normal(size=(3, 12)), np.array([0, 1, 2, 2, 1, 0, 0, 0, 1, 2, 2, 2])
    expected = [[row[clusters == c].mean() for c in clusters] for row in values]
    actual = cluster_means(torch.from_numpy(values), torch.from_numpy(clusters))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-14)
    again = cluster_means(actual, torch.from_numpy(clusters))
    np.testing.assert_allclose(again.numpy(), expected, atol=1e-14)  # a projection
    empty = cluster_means(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0, 0, 2]))  # no sample in the second
    assert empty.tolist() == [1.5, 1.5, 5.0]


def test_no_unit_vector_of_a_space_exceeds_its_diffuseness_and_one_attains_it():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(30, 4)))[0]
    gamma = diffuseness(torch.from_numpy(basis))
    mixes = rng.normal(size=(20_000, 4))
    vectors = (mixes / np.linalg.norm(mixes, axis=1, keepdims=True)) @ basis.T
    largest = np.abs(vectors).max()
    assert largest <= math.sqrt(gamma / 30) * (1 + 1e-12)
    row = basis[np.linalg.norm(basis, axis=1).argmax()]
    attained = np.abs(basis @ (row / np.linalg.norm(row))).max()
    assert attained == pytest.approx(math.sqrt(gamma / 30), rel=1e-12)
    for other in (torch.ones(4, 2), 1.001 * torch.from_numpy(basis)):
        with pytest.raises(ValueError, match="orthonormal"):
            diffuseness(other)


@pytest.mark.parametrize(("rate", "classes"), [(0.6, 3), (0.3, 10)])
def test_the_conditional_mean_is_that_of_labels_drawn_again(rate, classes):
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(200_000) < rate, rng.integers(classes, size=200_000), 0)
    onehot = np.eye(classes)[labels]
    losses = 0.5 * ((onehot.mean(0) - onehot) ** 2).sum(1)
    expected = losses[labels == 0].mean(), losses[labels == 1].mean()
    assert conditional_mean_losses(rate, classes) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_the_conditional_mean_refuses_a_rate_outside_0_to_1(rate):
    with pytest.raises(ValueError, match=f"corruption_rate is {rate}"):
        conditional_mean_losses(rate, 10)
    with pytest.raises(ValueError, match="n_classes is 1"):
        conditional_mean_losses(0.3, 1)


@named
def test_the_plateau_distance_is_that_of_the_nearest_fit_of_a_wide_network(phi):
    centers, clusters = unit_rows(5, 10), np.repeat(range(5), 6)
    noisy = np.random.default_rng(2).choice([-1.0, 1.0], size=30)
    weights = initial_weights(200_000, 10, dtype=torch.float64)
    rows = jacobian(weights, centers, phi).double().numpy()
    fit = np.linalg.lstsq(rows[clusters] @ rows.T, noisy, rcond=None)[0]
    shortest = np.linalg.norm(rows.T @ fit)  # least squares with 30 labels at 5 places
    means = torch.from_numpy(np.array([noisy[clusters == c].mean() for c in range(5)]))
    assert plateau_distance(means, centers, phi) == pytest.approx(shortest, rel=0.03)


DEGENERATE = data.clusterable_dataset(20, 4, 5, n_classes=2, input_noise=0.1)
ONE_CLASS = replace(
    DEGENERATE, classes=DEGENERATE.classes[:1], **dict.fromkeys(("labels", "clean_labels"), -torch.ones(20))
)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("no other one", lambda: data.corrupt_clusters(ONE_CLASS, 0.5)),
        ("δ is the distance between two", lambda: ONE_CLASS.label_separation),
        ("a cluster has no sample", lambda: data.check_clusterable(
            replace(DEGENERATE, inputs=DEGENERATE.centers[[0] * 20], clusters=torch.zeros(20, dtype=torch.long)))),
        ("at least one sample", lambda: metrics.error_rate(torch.ones(0), torch.ones(0), DEGENERATE.classes)),
        ("no centers", lambda: theory.theorem_scales(DEGENERATE.centers[:0], 1.0)),
        ("no vectors", lambda: theory.diffuseness(torch.ones(4, 0))),
        ("centers has shape .* where K is 3", lambda: theory.plateau_distance(torch.ones(3), DEGENERATE.centers)),
        ("no finite number", lambda: theory.plateau_distance(torch.full((4,), torch.nan), DEGENERATE.centers)),
        ("two of them coincide", lambda: theory.plateau_distance(torch.ones(2), DEGENERATE.centers[[0, 0]])),
    ],
)  # fmt: skip
def test_degenerate_input_is_refused_in_words(message, call):
    with pytest.raises(ValueError, match=message):
        call()
