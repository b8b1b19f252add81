"""Evidence for section 4, as in `checks`: a function a claim, one value for every seed, in float64."""

import math
from dataclasses import replace

import torch

from earlystop import jacobian, theory
from earlystop.evidence.definitions import centers, clusters, drift, each, uniform, weights


@each
def jacobian_over_bound(seed):
    """‖J(W)‖ over Γ‖X‖."""
    x = clusters(seed).inputs
    return theory.spectral_norm(jacobian.jacobian(weights(seed, 100), x)) / theory.jacobian_bound(x)


@each
def jacobian_change_over_bound(seed):
    """‖J(W) - J(W₀)‖ over Γ‖X‖‖W - W₀‖/√k."""
    x, start, way = clusters(seed).inputs, weights(seed, 100), uniform(seed, 0.01, 3) * centers(seed + 1, 100)
    change = theory.spectral_norm(jacobian.jacobian(start + way, x) - jacobian.jacobian(start, x))
    return change * math.sqrt(100) / (theory.jacobian_bound(x) * theory.spectral_norm(way))


@each
def nuisance_over_bound(seed):
    """The largest ‖Jᵀu‖ over unit vectors u that sum to zero on every cluster, over ε."""
    one, W = clusters(seed), weights(seed)
    rows = jacobian.jacobian(W, one.inputs)
    nuisance = rows - theory.cluster_means(rows.T, one.clusters).T
    return theory.spectral_norm(nuisance) / theory.nuisance_bound(W, one.input_noise, len(rows))


@each
def low_rank(seed):
    """σ_K over σ_{K+1} of the Jacobian of tight clusters: a few large values and many small ones."""
    values = jacobian.singular_values(jacobian.gram(weights(seed), clusters(seed, radius=0.02).inputs))
    return values[3] / values[4]


@each
def truth_in_the_information_space(seed):
    """The share of the true labels' squared length along the first K left singular vectors."""
    one = clusters(seed)
    return jacobian.energy_share(
        one.clean_labels, jacobian.information_space(jacobian.gram(weights(seed), one.inputs), 4)
    )


@each
def noise_in_the_nuisance_space(seed):
    """The share of the flips' squared length beyond the first K left singular vectors, at ρ = 20 %."""
    one = clusters(seed)
    space = jacobian.information_space(jacobian.gram(weights(seed), one.inputs), 4)
    return 1 - jacobian.energy_share(one.labels - one.clean_labels, space)


def _left(seed: int) -> tuple[float, float]:
    """Shares of the residual that are left after 20 iterations, in the information and in the nuisance space."""
    one = clusters(seed, radius=0.02)
    residuals = drift(weights(seed), one, 20)[[0, -1]] - one.labels
    plus = theory.cluster_means(residuals, one.clusters)
    (before, after), (noise, later) = plus.norm(dim=1).tolist(), (residuals - plus).norm(dim=1).tolist()
    return after / before, later / noise


@each
def information_left(seed):
    """The share of the residual in the information space that is left after 20 iterations."""
    return _left(seed)[0]


@each
def noise_left(seed):
    """The share of the residual in the nuisance space that is left after 20 iterations."""
    return _left(seed)[1]


def _misplaced(seed: int, rho: float, radius: float) -> float:
    """The largest error of a network stopped early, over γρ, for ρn corrupted labels in one cluster; e = 1."""
    one = clusters(seed, rho=0, radius=radius)
    moved = replace(one, labels=one.labels + (torch.arange(40) < round(40 * rho)))
    return ((drift(weights(seed, 1000), moved, 200)[-1] - one.clean_labels).abs().max() / (4 * rho)).item()


@each
def error_over_gamma_rho(seed):
    """The largest error over γρ at 10 % corrupted labels in one cluster, with a Jacobian of rank K (ε₀ = 0)."""
    return _misplaced(seed, 0.1, radius=0)


@each
def error_over_gamma_rho_nearby(seed):
    """The same for a Jacobian that is nearly of rank K (ε₀ = 0.005)."""
    return _misplaced(seed, 0.1, radius=0.005)


@each
def error_over_margin(seed):
    """The largest error over δ/2 where γρ is four fifths of δ/2 (ε₀ = 0)."""
    return _misplaced(seed, 0.2, radius=0) * 0.8


@each
def diffuseness_of_clusters(seed):
    """γ of the vectors that are constant on clusters, over n/n_min."""
    sizes = torch.randint(1, 30, (5,), generator=torch.Generator().manual_seed(seed))
    basis = torch.repeat_interleave(torch.eye(5, dtype=torch.float64) / sizes.double().sqrt()[:, None], sizes, dim=0)
    return theory.diffuseness(basis) * sizes.min().item() / sizes.sum().item()
