"""The search for the worst inputs: inside the caps, as bad as a dense grid finds them, and honest at the door."""

import math

import pytest
import torch

from earlystop import data
from earlystop.adversary import broken_clusters, onto_cap, worst_inputs
from earlystop.data import check_clusterable, clusterable_dataset
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, RELU, initial_weights, predict


def cap(center, radius, count=4001):
    """A dense grid over the part of the circle, or of the sphere in three dimensions, within `radius` of a center."""
    angle = 2 * math.asin(radius / 2)
    if len(center) == 2:
        at = math.atan2(center[1], center[0]) + torch.linspace(-angle, angle, count, dtype=torch.float64)
        return torch.stack([at.cos(), at.sin()], dim=1)
    basis = torch.linalg.svd(center[None])[2][1:]  # two directions beside the center
    tilt, turn = torch.linspace(0, angle, 201, dtype=torch.float64), torch.linspace(0, 2 * math.pi, 401).double()
    tilt, turn = (one.flatten() for one in torch.meshgrid(tilt, turn, indexing="ij"))
    beside = turn.cos()[:, None] * basis[0] + turn.sin()[:, None] * basis[1]
    return tilt.cos()[:, None] * center + tilt.sin()[:, None] * beside


@pytest.mark.parametrize("activation", [ERF, GAUSSIAN_SOFTPLUS, RELU], ids=lambda one: one.name)
@pytest.mark.parametrize("dim", [2, 3])
def test_the_search_finds_what_a_dense_grid_finds(dim, activation):
    for seed, radius in ((0, 0.1), (1, 0.3), (2, 0.5)):
        dataset = clusterable_dataset(4, 2, dim, input_noise=radius, seed=seed, dtype=torch.float64)
        weights = initial_weights(60, dim, seed=seed, dtype=torch.float64)
        found = worst_inputs(weights, dataset, activation, starts=16, steps=60)
        outputs = predict(weights, found.inputs, activation)
        for cluster, center in enumerate(dataset.centers):
            grid = predict(weights, cap(center, radius), activation)
            own = outputs[found.clusters == cluster]
            spread = (grid.max() - grid.min()).item()
            assert abs(own.max() - grid.max()) <= 2e-3 * spread and abs(own.min() - grid.min()) <= 2e-3 * spread


def test_what_it_finds_lies_in_the_caps_and_is_worse_than_chance():
    dataset = clusterable_dataset(40, 4, 20, input_noise=0.2, n_classes=2, seed=3)
    weights = initial_weights(300, 20, seed=3)
    found = worst_inputs(weights, dataset)
    check_clusterable(found)  # norms, radii and separations of Definition 1.1
    assert (found.center_labels[found.clusters] == found.labels).all()
    fresh = data.around_centers(dataset, 2000, noise="shell")
    for cluster in range(4):
        worst, random = (predict(weights, one.inputs[one.clusters == cluster]) for one in (found, fresh))
        assert worst.max() > random.max() and worst.min() < random.min()
    again = worst_inputs(weights, dataset)
    assert torch.equal(again.inputs, found.inputs)


def test_a_point_outside_a_cap_goes_to_its_nearest_point_and_one_inside_stays():
    center, radius = torch.tensor([[0.6, 0.8]], dtype=torch.float64), 0.4
    grid = cap(center[0], radius)
    for x in ([1.0, 0.2], [-0.3, 2.0], [0.62, 0.79], [-0.6, -0.7]):
        x = torch.tensor([x], dtype=torch.float64)
        nearest = grid[(grid - x / x.norm()).norm(dim=1).argmin()]
        assert (onto_cap(x, center, radius)[0] - nearest).norm() < 1e-3


def test_tight_clusters_are_their_centers():
    dataset = clusterable_dataset(6, 3, 5, input_noise=0.0)
    found = worst_inputs(initial_weights(20, 5), dataset, starts=1, steps=3)
    assert (found.inputs - dataset.centers[found.clusters]).abs().max() < 1e-6


def test_a_cluster_is_broken_by_one_wrong_input():
    dataset = clusterable_dataset(6, 3, 5, input_noise=0.1, n_classes=2)
    found = worst_inputs(initial_weights(20, 5), dataset, starts=2, steps=1)
    outputs = found.clean_labels.clone()
    assert broken_clusters(outputs, found) == 0
    outputs[found.clusters == 1] *= -1
    assert broken_clusters(outputs, found) == pytest.approx(1 / 3)
    outputs[torch.nonzero(found.clusters == 2)[0]] *= -0.1
    assert broken_clusters(outputs, found) == pytest.approx(2 / 3)


@pytest.mark.parametrize("bad", [{"starts": 0}, {"steps": 0}])
def test_a_search_needs_a_start_and_a_step(bad):
    dataset = clusterable_dataset(6, 3, 5, input_noise=0.1)
    with pytest.raises(ValueError, match="should be at least 1"):
        worst_inputs(initial_weights(20, 5), dataset, **bad)
