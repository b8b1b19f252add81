"""Errors and distances of distributions, against scikit-learn and brute force."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from earlystop.data import nearest_label
from earlystop.metrics import auroc, error_rate, loss_shares, overlap, split_losses


@pytest.mark.parametrize("decimals", [1, 2, 16])
def test_auroc_equals_that_of_scikit_learn_ties_included(decimals):
    rng = np.random.default_rng(0)
    clean, flipped = rng.random(300).round(decimals), (rng.random(70) ** 0.5).round(decimals)
    expected = roc_auc_score([0] * 300 + [1] * 70, np.concatenate([clean, flipped]))
    actual = auroc(torch.from_numpy(clean), torch.from_numpy(flipped))
    assert actual == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("measure", [auroc, overlap])
def test_a_group_without_losses_is_refused(measure):
    for pair in ((torch.ones(0), torch.ones(3)), (torch.ones(3), torch.ones(0))):
        with pytest.raises(ValueError, match=f"{measure.__name__} needs at least one"):
            measure(*pair)


def test_histograms_apart_do_not_overlap_and_equal_ones_do():
    values = torch.rand(500, generator=torch.Generator().manual_seed(0))
    assert overlap(values, values + 1.5) == 0
    assert overlap(values, values) == pytest.approx(1)
    assert overlap(values, values.repeat(3)) == pytest.approx(1)
    assert overlap(torch.ones(4), torch.ones(2)) == 1


@pytest.mark.parametrize(("bins", "chosen"), [(50, {}), (20, {"bins": 20})])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_overlap_equals_that_of_numpy_histograms(dtype, bins, chosen):
    rng = np.random.default_rng(0)
    clean, flipped = rng.normal(size=90), rng.normal(1.3, 0.7, size=40)  # so few that every bin counts
    edges = np.linspace(min(clean.min(), flipped.min()), max(clean.max(), flipped.max()), bins + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in (clean, flipped)]
    for pair in ((clean, flipped), (flipped, clean)):
        actual = overlap(*(torch.tensor(values, dtype=dtype) for values in pair), **chosen)
        assert actual == pytest.approx(np.minimum(*shares).sum(), abs=1e-6)


@pytest.mark.parametrize(("bins", "chosen"), [(40, {}), (7, {"bins": 7})])
def test_shares_are_a_numpy_histogram_with_all_above_in_the_last_bin(bins, chosen):
    losses = np.random.default_rng(0).exponential(size=500)
    expected = np.histogram(losses.clip(max=1.5), bins, (0, 1.5))[0] / 500
    np.testing.assert_allclose(loss_shares(torch.from_numpy(losses), 1.5, **chosen), expected, atol=1e-7)
    assert loss_shares(torch.ones(0), 1.5).tolist() == [0.0] * 40


def test_the_nearest_label_is_nearest():
    classes = torch.tensor([-1.0, 0.1, 0.5, 1.0])
    outputs = 4 * torch.rand(50, 40, generator=torch.Generator().manual_seed(0)) - 2
    chosen = nearest_label(outputs, classes)
    smallest = (outputs[..., None] - classes).abs().min(dim=-1).values
    assert torch.equal((outputs - chosen).abs(), smallest)
    assert set(chosen.unique().tolist()) == set(classes.tolist())


def test_the_error_rate_equals_a_count_for_every_row():
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(6, 30)), rng.choice([-1.0, 0.0, 1.0], size=30)
    expected = [
        np.mean([min((-1, 0, 1), key=lambda a: abs(a - f)) != y for f, y in zip(row, labels)]) for row in outputs
    ]
    classes = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    rates = error_rate(torch.from_numpy(outputs), torch.from_numpy(labels), classes)
    np.testing.assert_allclose(rates.numpy(), expected, atol=1e-6)
    assert error_rate(classes, classes, classes) == 0


def test_losses_are_split_by_the_mask():
    clean, flipped = split_losses(torch.arange(4.0), torch.tensor([False, True, True, False]))
    assert clean.tolist() == [0, 3] and flipped.tolist() == [1, 2]
