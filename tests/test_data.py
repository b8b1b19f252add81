"""The dataset model against Definitions 1.1 to 1.3, written out here in NumPy."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from earlystop import data as data_module
from earlystop.data import (
    around_centers,
    check_clusterable,
    class_labels,
    clusterable_dataset,
    corrupt_clusters,
    corrupt_uniformly,
    ground_truth_label,
    redraw_labels,
)

ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-12}


@st.composite
def requests(draw):
    """Arguments of `clusterable_dataset` for which a dataset exists and is easily found."""
    clusters = draw(st.integers(2, 6))
    classes = draw(st.integers(2, clusters))
    # On a circle K - 1 arcs of half-angle a < π/(K-1) leave room for one more center.
    angle = min(0.9 * math.pi / (clusters - 1), 0.45 * math.pi)
    request = dict(
        n_clusters=clusters,
        dim=draw(st.integers(2, 12)),
        input_noise=draw(st.floats(0, 1)) * math.sin(angle / 2),
        n_classes=classes,
        seed=draw(st.integers(0, 2**31)),
        dtype=draw(st.sampled_from(list(ROUNDING))),
    )
    if draw(st.booleans()):
        request["n_samples"] = clusters * draw(st.integers(1, 8))
        request["size_range"] = (draw(st.floats(0, 1)), draw(st.floats(1, 2.5)))
    else:
        request["n_samples"] = draw(st.integers(clusters, 8 * clusters))
    if draw(st.booleans()):
        tenths = st.lists(st.integers(-10, 10), min_size=classes, max_size=classes, unique=True)
        request["labels"] = tuple(tenth / 10 for tenth in draw(tenths))
        request["label_separation"] = 0.1
    else:
        request["label_separation"] = draw(st.floats(0.01, 1)) * 2 / (classes - 1)
    return request


def arrays(dataset):
    return (
        getattr(dataset, name).double().numpy()
        for name in ("inputs", "centers", "labels", "clean_labels", "center_labels", "classes")
    )


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(requests(), st.integers(0, 100))
def test_every_valid_request_gives_data_that_satisfy_the_definitions(request, percent):
    dataset = clusterable_dataset(**request)
    noisy = corrupt_clusters(dataset, percent / 100, seed=request["seed"])
    x, c, y, clean, alphas, classes = arrays(noisy)
    clusters, n, k = noisy.clusters.numpy(), request["n_samples"], request["n_clusters"]
    rounding = ROUNDING[request["dtype"]]

    # Definition 1.1
    assert x.shape == (n, request["dim"]) and c.shape == (k, request["dim"])
    assert np.abs(np.linalg.norm(x, axis=1) - 1).max() <= rounding
    assert np.abs(np.linalg.norm(c, axis=1) - 1).max() <= rounding
    assert np.linalg.norm(x - c[clusters], axis=1).max() <= request["input_noise"] + rounding
    apart = np.linalg.norm(c[:, None] - c[None], axis=2)
    assert apart[alphas[:, None] != alphas].min() >= 2 * request["input_noise"] - rounding
    sizes = np.bincount(clusters, minlength=k)
    low, up = request.get("size_range", (math.floor(n / k) * k / n, math.ceil(n / k) * k / n))
    assert sizes.sum() == n and sizes.min() >= 1
    assert low * n / k - 1e-6 <= sizes.min() and sizes.max() <= up * n / k + 1e-6
    assert np.abs(classes).max() <= 1 and len(classes) == request["n_classes"]
    assert np.diff(classes).min() >= request["label_separation"] - rounding
    assert set(alphas) == set(classes) and (clean == alphas[clusters]).all()
    assert (dataset.labels == dataset.clean_labels).all() and not dataset.corrupted.any()

    # Definition 1.2, with equality
    flipped = y != clean
    assert set(y) <= set(classes)
    assert (np.bincount(clusters, flipped, minlength=k) == percent * sizes // 100).all()
    assert (noisy.flipped.numpy() == flipped).all() and (noisy.corrupted.numpy() == flipped).all()
    assert (noisy.clean_labels == dataset.clean_labels).all()

    # Definition 1.3
    truth = ground_truth_label(noisy.inputs, noisy.centers, noisy.center_labels)
    assert (truth == noisy.clean_labels).all()


def test_every_input_is_within_epsilon_of_its_center_and_fills_the_cap():
    dataset = clusterable_dataset(20_000, 2, 3, input_noise=0.4, dtype=torch.float64)
    radius = (dataset.inputs - dataset.centers[dataset.clusters]).norm(dim=1).numpy()
    # Area of a cap of the sphere in R^3 is π r² for a chord r: (r/ε₀)² is uniform.
    assert stats.kstest((radius / 0.4) ** 2, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("radius", [1e-3, 0.05, 0.5])
def test_shell_noise_lies_at_exactly_epsilon_on_the_unit_sphere(radius):
    data = clusterable_dataset(60, 3, 8, input_noise=radius, noise="shell", dtype=torch.float64)
    distance = (data.inputs - data.centers[data.clusters]).norm(dim=1)
    torch.testing.assert_close(distance, torch.full_like(distance, radius), rtol=1e-8, atol=0)
    norms = data.inputs.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-12, atol=0)


def test_offset_noise_lies_at_exactly_epsilon_and_leaves_the_unit_sphere():
    data = clusterable_dataset(4000, 2, 20, input_noise=0.5, noise="offset", dtype=torch.float64)
    distance = (data.inputs - data.centers[data.clusters]).norm(dim=1)
    torch.testing.assert_close(distance, torch.full_like(distance, 0.5), rtol=1e-12, atol=0)
    squares = data.inputs.square().sum(dim=1)  # 1 + ε₀² + 2ε₀ t, with t of deviation 1/√d
    assert abs(squares.mean().item() - 1.25) < 5 / math.sqrt(20 * 4000)
    assert (squares.sqrt() - 1).abs().mean() > 0.05


def test_the_same_seed_gives_the_same_data_and_another_seed_does_not():
    def draw(seed):
        data = clusterable_dataset(40, 4, 6, input_noise=0.2, size_range=(0.5, 2), seed=seed)
        return corrupt_uniformly(data, 0.5, seed=seed)

    first, again, other = draw(3), draw(3), draw(4)
    for name in ("inputs", "labels", "clusters", "centers", "corrupted"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name)), name


def test_a_given_label_changed_in_place_leaves_the_truth_alone():
    data = clusterable_dataset(4, 2, 3, input_noise=0.1)
    data.labels[:] = 7
    assert data.flipped.all()


def test_what_is_drawn_of_one_seed_is_drawn_from_streams_of_its_own(monkeypatch):
    purposes, original = [], data_module.random_stream
    monkeypatch.setattr(
        data_module, "random_stream", lambda seed, one: purposes.append((seed, one)) or original(seed, one)
    )
    data = clusterable_dataset(40, 4, 6, input_noise=0.2, seed=3)
    for draw in (corrupt_clusters, corrupt_uniformly):
        draw(data, 0.5, seed=3)
    around_centers(data, 5, seed=3)
    assert purposes == [(3, "dataset"), (3, "corruption"), (3, "corruption"), (3, "inputs")]


def test_drawing_data_leaves_the_global_random_generator_alone():
    before = torch.random.get_rng_state()
    corrupt_clusters(clusterable_dataset(40, 4, 6, input_noise=0.2), 0.5)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("percent", [7, 14, 28, 29, 56, 57, 58])  # 0.29 * 100 < 29 in floats
def test_rounding_does_not_lose_a_corruption(percent):
    noisy = corrupt_clusters(clusterable_dataset(200, 2, 4, input_noise=0.1), percent / 100)
    assert noisy.clusters[noisy.flipped].bincount().tolist() == [percent, percent]


def test_the_new_label_of_a_cluster_is_uniform_over_the_other_classes():
    data = clusterable_dataset(30_000, 3, 5, input_noise=0.1, n_classes=3)
    noisy = corrupt_clusters(data, 1.0)
    for alpha in data.classes:
        given_labels = noisy.labels[data.clean_labels == alpha]
        counts = [(given_labels == other).sum().item() for other in data.classes if other != alpha]
        assert sum(counts) == 10_000 and stats.binomtest(counts[0], 10_000).pvalue > 1e-6


def test_redrawn_labels_are_uniform_over_all_classes_the_true_one_included():
    labels, classes = torch.full((50_000,), 3), torch.arange(10)
    noisy, redrawn = redraw_labels(labels, classes, 1.0)
    assert redrawn.all()
    assert stats.chisquare(torch.bincount(noisy, minlength=10).numpy()).pvalue > 1e-6


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.29, 0.3336, 0.9, 1.0])  # 0.29 * 1000 and 333.6 are to be rounded
def test_exactly_the_asked_share_of_labels_is_redrawn_and_no_other_changes(rate):
    labels = torch.arange(1000) % 7
    before = labels.clone()
    noisy, redrawn = redraw_labels(labels, torch.arange(7), rate)
    assert redrawn.sum() == round(rate * 1000)
    assert torch.equal(labels, before) and torch.equal(noisy[~redrawn], labels[~redrawn])
    other = redraw_labels(labels, torch.arange(7), rate, stream="another")[1]
    assert torch.equal(other, redrawn) == (rate in (0, 1))


def test_redrawing_30_percent_of_two_classes_flips_about_15_percent():
    data = clusterable_dataset(20_000, 2, 4, input_noise=0.3, labels=(0.0, 1.0))
    noisy = corrupt_uniformly(data, 0.3)
    assert noisy.corrupted.sum() == 6000 and not (noisy.flipped & ~noisy.corrupted).any()
    assert stats.binomtest(int(noisy.flipped.sum()), 6000).pvalue > 1e-6
    # Redrawing starts from the truth, so a second corruption does not add to the first.
    assert corrupt_uniformly(noisy, 0.0).flipped.sum() == 0


def test_fresh_inputs_lie_around_the_same_centers_with_their_true_labels():
    data = corrupt_clusters(clusterable_dataset(40, 4, 5, input_noise=0.3, n_classes=2), 0.4)
    fresh = around_centers(data, 500, seed=1)
    x, c = fresh.inputs.double().numpy(), data.centers.double().numpy()
    distance = np.linalg.norm(x[:, None] - c[None], axis=2)
    assert np.take_along_axis(distance, fresh.clusters.numpy()[:, None], 1).max() <= 0.3 + 1e-6
    assert (data.center_labels.numpy()[distance.argmin(1)] == fresh.labels.numpy()).all()
    assert np.abs(np.linalg.norm(x, axis=1) - 1).max() < 1e-6
    assert not fresh.flipped.any() and set(fresh.clusters.tolist()) == {0, 1, 2, 3}
    assert not torch.equal(fresh.inputs, around_centers(data, 500, seed=2).inputs)


# ------------------------------------------------------------------------ damaged data


@pytest.fixture
def whole():
    return clusterable_dataset(40, 4, 6, input_noise=0.2, n_classes=2, seed=1)


def test_whole_data_pass_the_check(whole):
    check_clusterable(whole)
    check_clusterable(whole, size_range=(1, 1))
    for bounds in ((1.1, 2), (0, 0.9)):  # too small, and too large
        with pytest.raises(ValueError, match="cluster sizes are between 1 and 1 times n/K"):
            check_clusterable(whole, size_range=bounds)


def crowded(data):
    apart = (data.centers[:1] - data.centers[2:]).norm(dim=1).min()
    return {"input_noise": apart.item() * 0.51}


def lopsided(data):
    clusters = torch.zeros_like(data.clusters)
    return {"clusters": clusters, "inputs": data.centers[clusters]}


DAMAGE = {  # what is changed, and what the check says of it
    "norm 1.01": lambda data: {"inputs": data.inputs * (1 + 0.01 * (torch.arange(40) == 7))[:, None]},
    "norm nan": lambda data: {"inputs": data.inputs.masked_fill((torch.arange(40) == 7)[:, None], math.nan)},
    "center is not a unit vector": lambda data: {"centers": data.centers * 1.01},
    "from its center, more than ε₀ = 0.2":
        lambda data: {"inputs": data.inputs * (1 - 2.0 * (torch.arange(40) == 5))[:, None]},
    "labels .*1.5": lambda data: {"classes": torch.tensor([-1.0, 1.5])},
    "distinct": lambda data: {"classes": torch.tensor([0.5, 0.5])},
    "centers of different classes": crowded,
    "cluster sizes": lopsided,
}  # fmt: skip


@pytest.mark.parametrize("message", DAMAGE)
def test_the_check_names_the_line_of_the_definition_that_is_broken(whole, message):
    with pytest.raises(ValueError, match=message):
        check_clusterable(replace(whole, **DAMAGE[message](whole)), size_range=(0.5, 2))


# ------------------------------------------------------------------------ bad requests


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan])
def test_a_corruption_rate_outside_0_to_1_is_refused(whole, rate):
    for corrupt in (corrupt_clusters, corrupt_uniformly):
        with pytest.raises(ValueError, match=f"corruption_rate is {rate}"):
            corrupt(whole, rate)


@pytest.mark.parametrize("label", [2.0, -1.0, math.nan])
def test_a_label_outside_the_classes_is_refused(label):
    with pytest.raises(ValueError, match=f"label {label} is not one of the classes"):
        redraw_labels(torch.tensor([0.0, label]), torch.tensor([0.0, 1.0]), 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(dim=1), "dim is 1"),
        (dict(n_samples=3), "n_samples is 3 for n_clusters = 4"),
        (dict(n_clusters=0), "n_clusters = 0"),
        (dict(n_classes=5), "n_classes is 5, more than n_clusters = 4"),
        (dict(n_classes=1), "n_classes is 1"),
        (dict(input_noise=-0.1), "input_noise is -0.1"),
        (dict(input_noise=math.nan), "input_noise is nan"),
        (dict(input_noise=1.2), "input_noise is 1.2.* 2.4 apart"),
        (dict(noise="gaussian"), "noise is 'gaussian'"),
        (dict(label_separation=0.7), "label_separation is 0.7.* 0.6667 apart"),
        (dict(label_separation=0.0), "label_separation is 0.0"),
        (dict(label_separation=math.nan), "label_separation is nan"),
        (dict(labels=(0.0, 1.5)), r"labels \(0.0, 1.5\)"),
        (dict(labels=(0.0, math.nan)), r"labels \(0.0, nan\)"),
        (dict(labels=(0.5, 0.5)), r"labels \(0.5, 0.5\)"),
        (dict(labels=(0.0, 0.2), label_separation=0.3), "label_separation is 0.3.* 0.2"),
        (dict(labels=(0.0, 1.0), n_classes=3), "2 labels for n_classes = 3"),
        (dict(labels=(-1.0, -0.5, 0.0, 0.5, 1.0)), "n_classes is 5"),
        (dict(size_range=(1.2, 2)), r"size_range \(1.2, 2\).*n_samples = 40"),
        (dict(size_range=(0, 0.9)), r"size_range \(0, 0.9\).*n_samples = 40"),
        (dict(size_range=(2, 1)), r"size_range \(2, 1\)"),
    ],
)
def test_an_impossible_request_is_refused_with_its_value(change, message):
    request = dict(n_samples=40, n_clusters=4, dim=6, input_noise=0.1)
    with pytest.raises(ValueError, match=message):
        clusterable_dataset(**{**request, **change})


def test_an_unlimited_cluster_size_is_allowed():
    sizes = clusterable_dataset(40, 4, 6, input_noise=0.1, size_range=(0.5, math.inf)).clusters.bincount()
    assert sizes.sum() == 40 and sizes.min() >= 5


IMPOSSIBLE = [(7, 2, 0.5), (100, 3, 0.9), (300, 20, 0.6)]


@pytest.mark.parametrize(("clusters", "dim", "radius"), IMPOSSIBLE)
def test_centers_that_cannot_be_placed_are_refused_and_named(clusters, dim, radius):
    with pytest.raises(ValueError) as error:
        clusterable_dataset(clusters, clusters, dim, input_noise=radius)
    message = str(error.value)
    assert f"{clusters} cluster centers" in message and f"R^{dim}" in message
    assert f"2ε₀ = {2 * radius:.4g}" in message and "input_noise" in message


@pytest.mark.parametrize("count", [2, 3, 6])
def test_class_labels_are_even_and_exactly_as_far_apart_as_possible(count):
    expected = [-1 + 2 * i / (count - 1) for i in range(count)]
    assert class_labels(count, 2 / (count - 1)).tolist() == pytest.approx(expected, abs=1e-15)
    with pytest.raises(ValueError, match=re.escape(f"{count} labels in [-1, 1]")):
        class_labels(count, 2 / (count - 1) + 1e-6)
