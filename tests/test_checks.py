"""Evidence for the ledger: a number for each seed, which turns when what it speaks of is altered."""

import math

import pytest
import torch

from earlystop import data, descent, network, theory
from earlystop.evidence import bounds, spaces
from earlystop.evidence import definitions as checks
from earlystop.network import ERF

SEEDS = (200, 201, 202)  # not those of the ledger
LEAST_AND_MOST = {
    "definition_1_1": (-1, 1e-9),
    "equation_1": (-1, 1e-12),
    "figure_2": (0, 1e-9),
    "equation_3": (0, 1e-12),
    "equation_5": (0, 0),
    "number_of_classes": (-math.inf, 1e-9),
    "definition_1_2": (-1, 1e-9),
    "definition_1_3": (0, 0),
    "equation_2": (0, 1e-12),
    "equation_4": (0, 1e-12),
    "definition_2_1": (0, 5),
    "lambda_of_equal_centers": (0, 1e-12),
    "lambda_of_relu": (1, math.inf),
    "plateau_over_bound": (0, 1 + 1e-9),
    "wrong_within_the_rate": (0, 1),
    "fits_inputs_that_are_distinct": (0, 1e-6),
    "way_over_certificate": (1, math.inf),
    "jacobian_over_bound": (0, 1),
    "jacobian_change_over_bound": (0, 1),
    "nuisance_over_bound": (0, 1),
    "error_over_gamma_rho": (1 - 1e-4, 1 + 1e-4),
    "error_over_margin": (0, 1),
    "diffuseness_of_clusters": (1, 1),
}  # fmt: skip; what must hold, whatever the seed
FOUND = (
    "lambda_of_random_centers",
    "learning_time_of_close_centers",
    "scale_of_the_start",
    "distance_over_width",
    "proved_window",
    "power_of_the_distance",
    "more_wrong_labels_further",
    "low_rank",
    "truth_in_the_information_space",
    "noise_in_the_nuisance_space",
    "information_left",
    "noise_left",
    "error_over_gamma_rho_nearby",
)  # fmt: skip; what a run finds, and the ledger judges


def check(name):
    return next(getattr(room, name) for room in (checks, bounds, spaces) if hasattr(room, name))


@pytest.mark.parametrize("name", [*LEAST_AND_MOST, *FOUND])
def test_a_check_gives_a_number_for_every_seed(name):
    values = check(name)(SEEDS)
    assert values.shape == (3,) and values.dtype == torch.float64 and torch.isfinite(values).all()
    assert torch.equal(check(name)(SEEDS[1:2]), values[1:2])  # whatever the others are
    least, most = LEAST_AND_MOST.get(name, (-math.inf, math.inf))
    assert (values >= least - 1e-12).all() and (values <= most + 1e-12).all()
    assert check(name).__doc__


def with_other_labels(n, K, dim, labels=None, label_separation=None, make=data.clusterable_dataset, **more):
    """A dataset whose labels are nearer together than those that were asked for."""
    return make(n, K, dim, labels=tuple(one / 2 for one in labels), **more)


ALTERED = {  # a part of the package, and a wrong one in its place
    "equation_1": (data, "clusterable_dataset", with_other_labels),
    "figure_2": (data, "clusterable_dataset", with_other_labels),
    "equation_3": (descent, "loss", lambda W, x, y: (y - network.predict(W, x)).square().mean()),
    "equation_5": (data, "nearest_label", lambda outputs, classes: classes[0].expand_as(outputs)),
    "definition_1_2": (data, "corrupt_clusters", lambda one, rho, seed: data.corrupt_uniformly(one, 1.0, seed)),
    "definition_1_3": (data, "ground_truth_label", lambda x, c, labels: -labels[torch.cdist(x, c).argmin(dim=1)]),
    "equation_2": (network, "predict", lambda W, x, phi=ERF: phi.value(x @ W.T).sum(1) / len(W) ** 0.5),
    "lambda_of_equal_centers": (theory, "cluster_covariance", lambda C, phi=ERF: torch.eye(len(C))),
    "lambda_of_relu": (theory, "relu_diversity_bound", lambda C: 1.0),
    "jacobian_over_bound": (theory, "jacobian_bound", lambda x: 1.0),
    "nuisance_over_bound": (theory, "nuisance_bound", lambda *_: 1e-3),
    "way_over_certificate": (theory, "interpolation_distance_bound", lambda *_, **__: 1e3),
    "diffuseness_of_clusters": (theory, "diffuseness", lambda basis: float(basis.shape[1])),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_check_turns_if_what_it_speaks_of_is_altered(name, monkeypatch):
    monkeypatch.setattr(*ALTERED[name])
    least, most = LEAST_AND_MOST[name]
    assert not any(least <= value <= most for value in check(name)(SEEDS).tolist())


def test_two_labels_are_further_than_certified_and_than_one_label():
    different, certified, alike = bounds.ways_to_two_labels((0.1, 0.3), SEEDS[:2])
    assert different.shape == (2, 2) and (different > certified).all() and (certified > alike).all()
    x, start = checks.pair(SEEDS[1], 0.3), checks.weights(SEEDS[1], 1000, paired=False)
    assert certified[1, 1] == pytest.approx(theory.interpolation_distance_bound(start, x[0], x[1], 2.0))
    W = checks.interpolated(start, x, torch.ones(2, dtype=torch.float64))
    assert alike[1, 1] == pytest.approx(theory.spectral_norm(W - start))
