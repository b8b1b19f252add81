"""The classifier by scikit-learn's own checks, and on labels that we made wrong; and its report."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from earlystop import images, label_noise, suspects
from earlystop.estimator import EarlyStoppingClassifier
from earlystop.report import report

SMALL = EarlyStoppingClassifier(hidden_units=16, folds=2, epochs=12, batch_size=32, step_size=0.02)
DIGITS = images.load_images("digits").subset(slice(400))
PIXELS, TRUE = DIGITS.pixels.numpy(), DIGITS.labels
GIVEN = label_noise.corrupt(TRUE, 0.15).numpy()
NAMES = np.array([f"digit {k}" for k in range(10)])


@pytest.fixture(scope="module")
def fitted():
    return clone(SMALL).set_params(random_state=0, folds=3).fit(PIXELS, NAMES[GIVEN])


@parametrize_with_checks([SMALL])
def test_it_keeps_to_the_convention(estimator, check):
    check(estimator)


@pytest.mark.leg
@parametrize_with_checks([EarlyStoppingClassifier()])
def test_so_it_does_as_it_stands(estimator, check):
    check(estimator)


def test_it_finds_wrong_labels_and_their_share(fitted):
    wrong = TRUE.numpy() != GIVEN
    assert fitted.suspicion_.shape == (400,) and fitted.suspicion_.min() >= 0 and fitted.suspicion_.max() <= 1
    assert (fitted.suspicion_[wrong][:, None] > fitted.suspicion_[~wrong]).mean() > 0.9
    low, high = fitted.share_wrong_interval_
    assert 0 <= low <= fitted.share_wrong_ <= high <= 1
    assert fitted.classes_.tolist() == NAMES.tolist() and 1 <= fitted.best_epoch_ <= 12
    assert fitted.score(PIXELS, NAMES[TRUE]) > fitted.score(PIXELS, NAMES[GIVEN])


def test_suspicion_and_share_are_those_of_the_module(fitted):
    found = fitted.cross_fit_
    assert found.labels.tolist() == GIVEN.tolist()
    expected = 1 - found.probabilities[torch.arange(400), found.labels]
    np.testing.assert_allclose(fitted.suspicion_, expected, rtol=1e-6)
    share = suspects.share_wrong(found.probabilities, GIVEN)
    assert (fitted.share_wrong_, *fitted.share_wrong_interval_) == (share.estimate, share.low, share.high)


def test_a_random_state_gives_the_same_again():
    few, names = PIXELS[:80], GIVEN[:80]
    one, again, other = (clone(SMALL).set_params(random_state=s, epochs=2).fit(few, names) for s in (1, 1, 2))
    assert np.array_equal(one.predict_proba(few), again.predict_proba(few))
    assert np.array_equal(one.suspicion_, again.suspicion_) and not np.array_equal(one.suspicion_, other.suspicion_)


def test_tensors_rows_and_images_are_taken_and_pipelines_work():
    few = clone(SMALL).set_params(random_state=0, epochs=2)
    arrays = few.fit(PIXELS[:60], GIVEN[:60]).predict_proba(PIXELS)
    tensors = few.fit(torch.as_tensor(PIXELS[:60]), torch.as_tensor(GIVEN[:60])).predict_proba(torch.as_tensor(PIXELS))
    np.testing.assert_array_equal(arrays, tensors)
    rows = PIXELS.reshape(400, -1)
    scores = cross_val_score(make_pipeline(MinMaxScaler(), clone(SMALL).set_params(random_state=0)), rows, GIVEN, cv=2)
    assert scores.min() > 0.5


def test_a_network_of_ones_own_sees_images():
    shapes = []

    def network(shape, classes):
        shapes.append((shape, classes))
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, classes))

    model = EarlyStoppingClassifier(network, folds=2, epochs=2, random_state=0).fit(PIXELS[:60], GIVEN[:60])
    assert set(shapes) == {((1, 8, 8), 10)} and model.predict_proba(PIXELS[:3]).shape == (3, 10)


@pytest.mark.parametrize(
    "change, X, y, told",
    [
        ({}, PIXELS[:, 0], GIVEN, "should be features (n, d) or images (n, channels, height, width)"),
        ({}, PIXELS[:10], GIVEN[:10] * 0, "y has the one class"),
        ({}, PIXELS[:10], GIVEN[:9], "inconsistent numbers of samples"),
        ({"folds": 1}, PIXELS, GIVEN, "folds is 1, should be 2 or more"),
        ({"epochs": 0}, PIXELS, GIVEN, "epochs is 0, should be 1 or more"),
        ({"step_size": -1.0}, PIXELS, GIVEN, "step_size is -1.0, should be above 0"),
        ({"step_size": float("inf")}, PIXELS, GIVEN, "step_size is inf, should be above 0"),
        ({"network": nn.Linear(2, 2)}, PIXELS, GIVEN, "should be a function of a sample's shape"),
        ({"network": lambda shape, classes: nn.Flatten()}, PIXELS, GIVEN, "should give (2, 10)"),
        ({"network": lambda shape, classes: 5}, PIXELS, GIVEN, "should give an nn.Module"),
        ({"remedy": "prayer"}, PIXELS, GIVEN, "'prayer' is no remedy"),
    ],
)
def test_what_cannot_be_is_refused(change, X, y, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        clone(SMALL).set_params(**change).fit(X, y)


def test_other_images_are_refused(fitted):
    with pytest.raises(ValueError, match=re.escape("samples of shape (1, 4, 8), but those of fit had (1, 8, 8)")):
        fitted.predict(PIXELS[:, :, :4])


# ------------------------------------------------------------------------ the report


def test_the_report_counts_suspects_class_by_class(fitted):
    found = report(fitted, PIXELS, most=7)
    count = round(fitted.share_wrong_ * 400)
    order = sorted(range(400), key=lambda i: -fitted.suspicion_[i])[:count]
    assert sorted(found.suspects) == sorted(order)
    for k, (name, samples, own, share, mostly) in enumerate(found.rows):
        mine = [i for i in order if GIVEN[i] == k]
        assert (name, samples, own) == (f"digit {k}", (k == GIVEN).sum(), len(mine))
        assert share == f"{len(mine) / samples:.0%}" and mostly in {*NAMES, "–"} - {name}
    titles = [ax.get_title() for ax in found.pictures.axes if ax.get_title()]
    assert len(titles) == 7 and titles[0].startswith(f"given {NAMES[GIVEN[found.suspects[0]]]}")
    page = found._repr_html_()
    assert page.count("<img") == 2 and "What not to trust" in page and f"{fitted.share_wrong_:.1%}" in page


def test_the_report_warns_where_the_interval_cannot_be_relied_on(fitted, monkeypatch):
    """The surer half of the surest agrees with all its labels, the other one with none."""
    sure = torch.linspace(0.6, 0.9, 400).double()
    right = torch.nn.functional.one_hot(torch.arange(400) % 10, 10).double()
    uneven = sure[:, None] * right + ((1 - sure) / 9)[:, None] * (1 - right)
    labels = (torch.arange(400) % 10 + (sure < 0.84).long()) % 10
    told = lambda: any("may not hold" in one for one in report(fitted).cautions)
    assert not told()
    monkeypatch.setattr(fitted, "cross_fit_", replace(fitted.cross_fit_, probabilities=uneven, labels=labels))
    assert told()


def test_the_report_works_on_features_and_escapes_names():
    rows, names = PIXELS.reshape(400, -1), np.where(GIVEN < 5, "<b>", "&")
    model = clone(SMALL).set_params(random_state=0, epochs=2).fit(rows, names)
    found = report(model, rows)
    assert found.pictures is None and "<b></td>" not in found._repr_html_() and "&lt;b&gt;" in found._repr_html_()
    assert report(model, rows, image_shape=(8, 8)).pictures is not None
    with pytest.raises(ValueError, match="image_shape"):
        report(model, rows, image_shape=(8, 9))


def test_the_report_says_what_not_to_trust(fitted):
    noise = np.random.default_rng(0).normal(size=(60, 4))
    lost = clone(SMALL).set_params(random_state=0, epochs=1).fit(noise, np.arange(60) % 3)
    told = " ".join(report(lost).cautions)
    for words in ("do not know", "train for more epochs", "Fewer than 30 samples", "a question, not a verdict"):
        assert words in told
    assert "do not know" not in " ".join(report(fitted).cautions)
