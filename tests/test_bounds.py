"""Every inequality of the book, on at least 200 random instances; and each is false if it is made any tighter."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from earlystop.data import class_labels, clusterable_dataset, corrupt_clusters
from earlystop.descent import gradient_descent, largest_stable_step
from earlystop.jacobian import gram, jacobian
from earlystop.network import (
    COS,
    ERF,
    GAUSSIAN_SOFTPLUS,
    IDENTITY,
    QUADRATIC,
    RELU,
    SIGMOID,
    SIN,
    SOFTPLUS,
    TANH,
    initial_weights,
    output_weights,
    predict,
)
from earlystop.theory import (
    cluster_covariance,
    cluster_means,
    diffuseness,
    diversity,
    interpolation_distance_bound,
    jacobian_bound,
    nuisance_bound,
    plateau_distance,
    relu_diversity_bound,
)
from earlystop.window import closed_form, proved_path

MANY = 200
SMOOTH = (ERF, GAUSSIAN_SOFTPLUS, SIN, COS, TANH, SIGMOID, SOFTPLUS, IDENTITY)
UNIT = torch.eye(6, dtype=torch.float64)
SMALL = 1e-3


def instances(first=0):
    """A generator of random numbers, sizes n, d, k, and an activation, for each of many instances."""
    for seed in range(first, first + MANY):
        rng = np.random.default_rng(seed)
        n, d, half = (int(rng.integers(low, high)) for low, high in ((2, 12), (2, 8), (1, 20)))
        yield rng, n, d, 2 * half, SMOOTH[seed % len(SMOOTH)]


def normal(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


def sphere(rng, n, d):
    rows = normal(rng, n, d)
    return rows / rows.norm(dim=1, keepdim=True)


def norm(matrix):
    return torch.linalg.matrix_norm(matrix, 2).item()


def clusters(seed, noise=None):
    """Two or three small clusters with corrupted labels -1 to 1, and paired weights."""
    rng = np.random.default_rng(seed)
    count, radius = int(rng.integers(2, 4)), 10 ** rng.uniform(-3, -0.7) if noise is None else noise
    clean = clusterable_dataset(
        int(rng.integers(5 * count, 8 * count)), count, int(rng.integers(3, 8)),
        input_noise=radius, n_classes=2, noise="shell", seed=seed, dtype=torch.float64,
    )  # fmt: skip
    weights = initial_weights(2 * int(rng.integers(10, 200)), clean.inputs.shape[1], seed=seed, paired=True)
    return weights.double(), corrupt_clusters(clean, rng.uniform(0, 0.35), seed)


# ------------------------------------------------------------------------ the Jacobian


def test_the_jacobian_is_at_most_gamma_times_the_inputs():
    for rng, n, d, k, phi in instances():
        x, weights = sphere(rng, n, d), 10 ** rng.uniform(-2, 1) * normal(rng, k, d)
        assert norm(jacobian(weights, x, phi)) <= jacobian_bound(x, phi) * (1 + 1e-12)
    tight = norm(jacobian(0 * normal(rng, k, d), x, ERF))  # all slopes are as steep as can be
    assert tight > (1 - 1e-9) * jacobian_bound(x, ERF)


def test_the_jacobian_changes_at_most_gamma_times_the_way():
    for rng, n, d, k, phi in instances():
        x, weights = sphere(rng, n, d), normal(rng, k, d)
        other = weights + 10 ** rng.uniform(-3, 1) * normal(rng, k, d) * torch.from_numpy(
            rng.integers(0, 2, size=(k, 1))
        )
        change = norm(jacobian(other, x, phi) - jacobian(weights, x, phi))
        assert change <= jacobian_bound(x, phi) * norm(other - weights) / math.sqrt(k) * (1 + 1e-9)
    x, weights = UNIT[:1], math.pi / 2 * torch.ones(8, 1).double() @ UNIT[:1]  # where cos is steepest
    other = (1 + SMALL) * weights
    change = norm(jacobian(other, x, SIN) - jacobian(weights, x, SIN))
    assert change > (1 - 1e-5) * jacobian_bound(x, SIN) * norm(other - weights) / math.sqrt(8)


def nuisance(weights, x, groups, phi):
    """The largest ‖Jᵀu‖ over unit vectors u that sum to zero on every cluster."""
    one = torch.eye(len(x), dtype=torch.float64)
    return norm((one - cluster_means(one, groups)) @ jacobian(weights, x, phi))


def test_the_jacobian_is_at_most_epsilon_on_the_nuisance_space():
    for seed in range(MANY):
        weights, data = clusters(seed)
        weights, phi = weights * 10 ** np.random.default_rng(seed).uniform(-1, 1), SMOOTH[seed % len(SMOOTH)]
        bound = nuisance_bound(weights, data.input_noise, len(data.inputs), phi)
        assert nuisance(weights, data.inputs, data.clusters, phi) <= bound * (1 + 1e-12)


def test_epsilon_can_be_no_smaller():
    x = torch.stack([UNIT[0] + SMALL * UNIT[1], UNIT[0] - SMALL * UNIT[1]])  # two samples around one center
    x, groups = x / x.norm(dim=1, keepdim=True), torch.zeros(2, dtype=torch.long)
    flat, steep = torch.zeros(8, 6).double(), torch.ones(8, 1).double() @ (math.pi / 2 * UNIT[:1] + 20 * UNIT[1:2])
    radius = (x[0] - UNIT[0]).norm().item()
    assert nuisance(flat, x, groups, ERF) > (1 - 1e-5) * nuisance_bound(flat, radius, 2, ERF)
    without_weights = nuisance_bound(flat, radius, 2, SIN)  # without the term ‖W‖/√k it is false
    assert nuisance(steep, x, groups, SIN) > 10 * without_weights
    assert nuisance(steep, x, groups, SIN) > 0.9 * nuisance_bound(steep, radius, 2, SIN)


def test_the_strengths_at_the_centers_are_bounded_by_cluster_sizes_and_the_covariance():
    worst = 0.0
    for rng, n, d, k, phi in instances():
        centers, weights = sphere(rng, 3, d), normal(rng, k, d)
        sizes = torch.tensor([n, 1 + n // 2, 2 * n])
        at_centers = torch.repeat_interleave(centers, sizes, dim=0)
        values = torch.linalg.eigvalsh(gram(weights, at_centers, phi)).flip(0)
        inner = torch.linalg.eigvalsh(gram(weights, centers, phi))
        assert values[0] <= 2 * n * inner[-1] * (1 + 1e-9) + 1e-12
        assert values[2] >= sizes.min() * inner[0] * (1 - 1e-9) - 1e-9
        assert values[3:].abs().max() < 1e-9
        worst = max(worst, (values[2] / (sizes.min() * inner[0].clamp(min=1e-6))).item())
    assert worst > 1.1  # for clusters of one size it is an equation
    values = torch.linalg.eigvalsh(gram(weights, torch.repeat_interleave(centers, 5, dim=0), phi))
    torch.testing.assert_close(values[-3:], 5 * inner, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------ Σ(C) and λ(C)


def test_relu_tells_centers_apart_at_least_as_the_paper_says():
    for rng, n, d, _, _ in instances():
        centers = sphere(rng, n, d)
        centers[1] = centers[0] + 10 ** rng.uniform(-4, 0) * normal(rng, d)  # often very close
        centers[1] /= centers[1].norm()
        assert diversity(centers, RELU) >= relu_diversity_bound(centers)
    close = torch.stack([UNIT[0], math.cos(SMALL) * UNIT[0] + math.sin(SMALL) * UNIT[1]])
    bound = relu_diversity_bound(close)
    assert bound == pytest.approx(SMALL / 400, rel=1e-6)
    assert diversity(close, RELU) < 100 * bound  # without the 100 it is false
    assert diversity(close, RELU) > 60 * bound


def test_the_covariance_is_at_most_gamma_squared_times_the_centers():
    for rng, n, d, _, phi in instances():
        centers = sphere(rng, n, d)
        largest, smallest = torch.linalg.eigvalsh(cluster_covariance(centers, phi))[[-1, 0]]
        assert largest <= phi.smoothness**2 * norm(centers) ** 2 * (1 + 1e-9)
        assert smallest >= -1e-12
    assert torch.linalg.eigvalsh(cluster_covariance(centers, IDENTITY))[-1] == pytest.approx(norm(centers) ** 2)


def test_the_plateau_is_at_most_the_root_of_clusters_over_lambda():
    for rng, n, d, _, phi in instances():
        count = min(n, d)
        centers, means = sphere(rng, count, d), torch.from_numpy(rng.uniform(-1, 1, size=count))
        bound = math.sqrt(count / diversity(centers, phi))
        assert plateau_distance(means, centers, phi) <= bound * (1 + 1e-9)
    close, means = sphere(rng, 2, 4), torch.tensor([1.0, -1.0])  # an eigenvector of any two
    close[1] *= (close[0] @ close[1]).sign()
    assert plateau_distance(means, close) == pytest.approx(math.sqrt(2 / diversity(close)), rel=1e-9)


def test_outputs_at_the_start_are_no_larger_than_gamma_times_the_input():
    g, chance = np.polynomial.hermite_e.hermegauss(100)
    g, chance = torch.from_numpy(g), torch.from_numpy(chance / chance.sum())
    for rng, _, _, _, phi in instances():
        radius = 10 ** rng.uniform(-2, 0.5)
        values = phi.value(radius * g)
        variance = chance @ values**2 - (chance @ values) ** 2  # of φ(⟨w, x⟩): E f(W₀, x)², since the v add up to 0
        assert variance <= (phi.smoothness * radius) ** 2 * (1 + 1e-9)
    assert chance @ IDENTITY.value(radius * g) ** 2 == pytest.approx(radius**2)  # and equal for this one


# ------------------------------------------------------------------------ Theorem 2.3


def test_no_weights_are_closer_than_the_certificate_says():
    for rng, _, d, k, phi in instances():
        x = sphere(rng, 2, d)
        x[1] = x[0] + 10 ** rng.uniform(-3, 0) * x[1]
        x[1] /= x[1].norm()
        start, way = normal(rng, k, d), 10 ** rng.uniform(-2, 2) * normal(rng, k, d)
        gap = predict(start + way, x, phi).diff().item()
        for signed in (False, True):
            bound = interpolation_distance_bound(start, *x, gap, phi, signed=signed)
            assert 0 <= bound <= norm(way) * (1 + 1e-9)
        assert bound >= interpolation_distance_bound(start, *x, gap, phi)  # the signed one is stronger


def test_the_certificate_can_be_no_larger():
    x, v = UNIT[:2], output_weights(8, UNIT)
    way = torch.outer(v, x[1] - x[0]) / math.sqrt(2)
    zero = torch.zeros_like(way)
    gap = predict(way, x, IDENTITY).diff().item()
    assert interpolation_distance_bound(zero, *x, gap, IDENTITY) == pytest.approx(norm(way), rel=1e-12)
    # Without the factor 1 + ‖W₀‖/√k it is false: here the start is steep from one point to the other.
    near = torch.stack([UNIT[0] - SMALL * UNIT[1], UNIT[0] + SMALL * UNIT[1]])
    near /= near.norm(dim=1, keepdim=True)
    steep = torch.ones(8, 1).double() @ (math.pi / 2 * UNIT[:1] + 20 * UNIT[1:2])
    way = SMALL * torch.outer(v.sign(), UNIT[0])
    gap = predict(steep + way, near, SIN).diff().item()
    bound, spread = interpolation_distance_bound(steep, *near, gap, SIN), 1 + norm(steep) / math.sqrt(8)
    assert bound <= norm(way) < 0.1 * bound * spread


def test_a_start_of_the_wrong_sign_makes_the_signed_certificate_the_stronger():
    x = torch.stack([UNIT[0], UNIT[1]])
    start = initial_weights(10, 6, seed=3, dtype=torch.float64)
    already = predict(start, x).diff().item()
    plain, signed = (interpolation_distance_bound(start, *x, -2 * already, signed=s) for s in (False, True))
    assert signed == pytest.approx(3 * plain, rel=1e-9)


# ------------------------------------------------------------------------ Theorem 4.1


def test_no_projected_corruption_exceeds_gamma_rho_and_one_attains_it():
    for rng, n, _, _, _ in instances():
        rank, wrong = int(rng.integers(1, n + 1)), int(rng.integers(1, n + 1))
        basis = torch.linalg.qr(normal(rng, n, rank)).Q
        e = torch.zeros(n, dtype=torch.float64)
        e[rng.permutation(n)[:wrong]] = torch.from_numpy(rng.uniform(-1, 1, size=wrong))
        projected = basis @ (basis.T @ e)
        assert projected.abs().max() <= diffuseness(basis) * wrong / n * (1 + 1e-9)
    sizes = torch.tensor([5, 10, 15])
    Z = torch.repeat_interleave(torch.eye(3, dtype=torch.float64), sizes, dim=0)
    basis, e = Z / sizes.double().sqrt(), (torch.arange(30) < 3).double()  # all of it in the smallest cluster
    assert diffuseness(basis) == pytest.approx(6)
    assert (basis @ (basis.T @ e)).abs().max() == pytest.approx(6 * 3 / 30, rel=1e-12)


def test_corruption_of_every_cluster_moves_outputs_by_rho_at_most():
    for seed in range(MANY):
        _, data = clusters(seed)
        e = data.labels - data.clean_labels
        share = max(data.flipped[data.clusters == one].double().mean() for one in data.clusters.unique())
        assert cluster_means(e, data.clusters).abs().max() <= share * e.abs().max() * (1 + 1e-9)
    # With two classes all flips of a cluster point the same way, so it is an equation.
    assert cluster_means(e, data.clusters).abs().max() == pytest.approx((share * e.abs().max()).item(), rel=1e-9)


def test_gamma_is_the_largest_entry_of_a_unit_vector_in_the_space():
    for rng, n, _, _, _ in instances():
        rank = int(rng.integers(1, n + 1))
        basis = torch.linalg.qr(normal(rng, n, rank)).Q
        vectors = sphere(rng, 50, rank) @ basis.T
        gamma = diffuseness(basis)
        assert vectors.abs().max() <= math.sqrt(gamma / n) * (1 + 1e-9)
        best = basis @ basis[basis.norm(dim=1).argmax()]
        assert (best / best.norm()).abs().max() == pytest.approx(math.sqrt(gamma / n), rel=1e-9)


def test_a_linear_model_is_within_gamma_rho_and_what_it_has_not_learned():
    beyond = 0
    for rng, n, _, _, _ in instances():
        rank = int(rng.integers(1, n))
        basis = torch.linalg.qr(normal(rng, n, rank)).Q
        rates = torch.from_numpy(rng.uniform(0.05, 1, size=rank))  # ησ²
        truth = basis @ normal(rng, rank)
        e = torch.from_numpy(rng.uniform(-1, 1, size=n) * (rng.uniform(size=n) < 0.2))
        limit = diffuseness(basis) * (e != 0).double().mean().item()
        for tau in (0, 1, 3, 10, 100):
            learned = basis @ ((1 - (1 - rates) ** tau) * (basis.T @ (truth + e)))
            off, target = (learned - truth).abs().max().item(), basis @ (basis.T @ (truth + e))
            rest = (1 - rates.min().item()) ** tau * target.norm().item()
            assert off <= limit + rest + 1e-9
            beyond += off > limit + 1e-9
    assert beyond > MANY  # the printed bound, without the rest, is that of the limit


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_no_more_classes_fit_than_the_gap_between_them_allows(count):
    rng = np.random.default_rng(count)
    for _ in range(MANY):
        labels = np.sort(rng.uniform(-1, 1, size=count))
        assert count <= 2 / np.diff(labels).min() + 1
    even = class_labels(count)
    assert count == pytest.approx(2 / even.diff().min().item() + 1)  # so with less than 1 it is false


# ------------------------------------------------------------------------ the window


def descents(activation=ERF, claimed=ERF, iterations=25):
    """Of many instances, the largest excess over the bounds on error, way and bend that `claimed` gives."""
    excess = []
    for seed in range(MANY):
        weights, data = clusters(seed)
        step = largest_stable_step(weights, data.inputs, activation) * np.random.default_rng(seed).uniform(0.1, 0.6)
        sizes = {"step_size": step, "iterations": iterations, "activation": activation}
        proof = proved_path(weights, data, **sizes | {"activation": claimed})
        path = gradient_descent(weights, data.inputs, data.labels, **sizes, progress=lambda steps, _: steps)
        values, vectors = torch.linalg.eigh(gram(weights, data.inputs, activation))
        shrink = (1 - step * values) ** torch.arange(iterations + 1)[:, None]
        linear = data.labels + (shrink * ((path.outputs[0] - data.labels) @ vectors)) @ vectors.T
        bend = (path.outputs - linear).norm(dim=1)
        error = (path.outputs - data.clean_labels).abs().amax(dim=1)
        pairs = ((error, proof.error), (path.distance, proof.distance), (bend, proof.bend))
        excess.append([(real - bound).max().item() for real, bound in pairs])
    return torch.tensor(excess)


@pytest.mark.parametrize("phi", [ERF, SIN, SOFTPLUS], ids=lambda phi: phi.name)
def test_gradient_descent_stays_within_what_is_proved_of_it(phi):
    assert descents(phi, phi).max() < 1e-9


def test_descent_leaves_bounds_that_claim_too_much():
    flat = replace(ERF, smoothness=ERF.smoothness / 100, third=ERF.third / 100)
    assert (descents(claimed=flat) > 1e-3).any(dim=0).all()  # each of the three is violated


def windows(claimed):
    """Of many instances of narrow networks, the proved window and which iterations are without an error."""
    for seed in range(MANY):
        weights, data = clusters(seed, noise=0.3)
        weights = torch.cat([weights[:4], weights[len(weights) // 2 :][:4]])
        step = largest_stable_step(weights, data.inputs) / 2
        proof = proved_path(weights, data, step_size=step, iterations=60, activation=claimed)
        sizes = {"step_size": step, "iterations": 60, "progress": lambda steps, _: steps}
        outputs = gradient_descent(weights, data.inputs, data.labels, **sizes).outputs
        yield proof, ((outputs - data.clean_labels).abs().amax(dim=1) < proof.margin)


def test_no_error_lies_in_a_proved_window_but_one_in_that_of_the_linearized_network():
    def wrong(claimed):
        return [
            not right[proof.window[0] : proof.window[1] + 1].all() for proof, right in windows(claimed) if proof.window
        ]

    assert not any(wrong(ERF))
    assert any(wrong(replace(ERF, smoothness=1e-9, third=1e-9)))


def test_the_closed_form_holds_too():
    violated = 0  # by what is no bound: the closed form without what is not learned yet
    for seed in range(MANY):
        weights, data = clusters(seed)
        hand = closed_form(weights, data, iterations=12)
        beta = max(jacobian_bound(x) for x in (data.inputs, data.centers[data.clusters]))
        sizes = {"step_size": 1 / beta**2, "iterations": 12, "progress": lambda steps, _: steps}
        outputs = gradient_descent(weights, data.inputs, data.labels, **sizes).outputs
        error = (outputs - data.clean_labels).abs().amax(dim=1)
        assert (error <= hand.error + 1e-9).all()
        violated += bool((error > hand.error - hand.unlearned + 1e-9).any())
    assert violated > MANY / 2


@pytest.mark.parametrize("phi", [RELU, QUADRATIC], ids=lambda phi: phi.name)
def test_bounds_that_need_smoothness_name_what_is_missing(phi):
    weights, data = clusters(0)
    for bound in (
        lambda: jacobian_bound(data.inputs, phi),
        lambda: nuisance_bound(weights, 0.1, 4, phi),
        lambda: proved_path(weights, data, iterations=2, activation=phi),
        lambda: closed_form(weights, data, iterations=2, activation=phi),
    ):
        with pytest.raises(ValueError, match=f"needs .φ'. and .φ''. bounded, which those of {phi.name} are not"):
            bound()


def test_the_window_refuses_what_its_proof_does_not_cover():
    weights, data = clusters(0)
    empty = replace(data, clusters=torch.zeros_like(data.clusters))
    one_label = replace(data, classes=torch.tensor([1.0, 1.0], dtype=torch.float64))
    for bad, message in (
        (empty, "cluster 1 has no samples"),
        (one_label, "δ is 0.0"),
        (replace(data, inputs=1.1 * data.inputs), "norm 1.1"),
        (replace(data, inputs=data.inputs.float() / 2), "float64"),
        (replace(data, clusters=torch.arange(2), inputs=data.inputs[:2], centers=data.centers[:2]), "2 samples in 2"),
    ):
        with pytest.raises(ValueError, match=message):
            proved_path(weights, bad, iterations=2)
    for step in (0.0, -1.0, math.nan, 1e3):
        with pytest.raises(ValueError, match="step_size is"):
            proved_path(weights, data, step_size=step, iterations=2)
    with pytest.raises(ValueError, match="closed form needs 0"):
        closed_form(torch.cat([weights[:4], -weights[:4]]), data, iterations=2)
