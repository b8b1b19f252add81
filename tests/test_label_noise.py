"""Wrong labels of four kinds, counted by hand, and people's labels, whose file is refused unless it is the one."""

import io
import os
from itertools import product

import numpy as np
import pytest
import torch

from earlystop import cifar10n, images
from earlystop.images import DataError
from earlystop.label_noise import KINDS, corrupt, matched, transition

TRUE = torch.arange(10).repeat(40)  # 40 of each class
INPUTS = torch.randn(400, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["uniform", "pair", "by class"])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.375, 0.5])
def test_exactly_so_many_labels_are_wrong(kind, rate):
    given = corrupt(TRUE, rate, kind, seed=1)
    wrong = given != TRUE
    assert wrong.sum() == round(rate * 400) and given.min() >= 0 and given.max() <= 9
    if kind != "uniform":
        assert torch.equal(given[wrong], (TRUE[wrong] + 1) % 10)
    if kind == "by class":
        assert not wrong[TRUE % 2 == 1].any()


def test_a_wrong_label_is_each_other_class_as_often():
    many = torch.zeros(90_000, dtype=torch.long)
    counts = corrupt(many, 1.0, seed=2).bincount(minlength=10)
    assert counts[0] == 0 and (counts[1:] - 10_000).abs().max() < 500  # five standard deviations


def test_noise_by_sample_has_its_rate_on_average_and_follows_the_inputs():
    given = corrupt(TRUE, 0.3, "by sample", inputs=INPUTS, seed=3)
    assert abs((given != TRUE).double().mean() - 0.3) < 0.1
    assert torch.equal(corrupt(TRUE, 0.0, "by sample", inputs=INPUTS), TRUE)
    always = [corrupt(TRUE, 1.0, "by sample", inputs=INPUTS, seed=3, stream=str(one)) for one in range(20)]
    votes = torch.stack(always)  # of one sample, the same wrong class again and again, though drawn anew
    same = (votes == votes.mode(dim=0).values).double().mean()
    shuffled = torch.stack([one[torch.randperm(400)] for one in always])
    assert same > 2 * (shuffled == shuffled.mode(dim=0).values).double().mean()


def test_noise_by_sample_takes_its_class_from_the_softmax_of_a_linear_function():
    """For the inputs 1 and -1 the logarithms of the odds of two wrong classes are opposite numbers."""
    inputs = torch.tensor([[1.0], [-1.0]]).repeat(20_000, 1)
    given = corrupt(torch.zeros(40_000, dtype=torch.long), 0.9, "by sample", classes=3, inputs=inputs, seed=0)
    plus, minus = (given[start::2].bincount(minlength=3).double() for start in (0, 1))
    odds = [(one[1] / one[2]).log().item() for one in (plus, minus)]
    assert abs(odds[0]) > 0.2 and odds[0] == pytest.approx(-odds[1], abs=0.1)


def test_seeds_and_streams_are_draws_of_their_own():
    draws = [corrupt(TRUE, 0.5, seed=seed, stream=stream) for seed, stream in product((0, 1), ("a", "b"))]
    assert all(not torch.equal(one, other) for i, one in enumerate(draws) for other in draws[:i])
    assert torch.equal(draws[0], corrupt(TRUE, 0.5, seed=0, stream="a"))


def test_a_transition_matrix_is_counted():
    given = corrupt(TRUE, 0.4, "by sample", inputs=INPUTS)
    counted = [[sum(g == j for t, g in zip(TRUE.tolist(), given.tolist()) if t == i) / 40 for j in range(10)]
               for i in range(10)]  # fmt: skip
    assert torch.allclose(transition(TRUE, given), torch.tensor(counted), atol=1e-6)
    found = transition(torch.tensor([0, 0]), torch.tensor([1, 1]), classes=3)
    assert found.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("kind", KINDS)
def test_labels_dealt_out_again_keep_the_matrix_and_nothing_else(kind):
    given = corrupt(TRUE, 0.4, kind, inputs=INPUTS, seed=5)
    dealt = matched(TRUE, given, seed=7)
    assert torch.equal(transition(TRUE, dealt), transition(TRUE, given))
    assert not torch.equal(dealt, given) and torch.equal(dealt, matched(TRUE, given, seed=7))
    both = ((dealt != TRUE) & (given != TRUE)).double().mean()  # by chance, class by class
    chance = torch.stack([(given[c == TRUE] != c).double().mean().square() for c in range(10)]).mean()
    assert abs(both - chance) < 0.08


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: corrupt(TRUE, 0.7, "by class"), "280 labels should be wrong, but the even classes have 200"),
        (lambda: corrupt(TRUE, 1.2), "corruption_rate is 1.2, should be between 0 and 1"),
        (lambda: corrupt(TRUE, 0.2, "odd"), "kind is 'odd', should be of uniform, pair, by class, by sample"),
        (lambda: corrupt(TRUE, 0.2, classes=5), "labels has 9, should be classes from 0 to 4"),
        (lambda: corrupt(TRUE, 0.2, "by sample"), "inputs are missing"),
        (lambda: corrupt(TRUE, 0.2, "by sample", inputs=INPUTS[:7]), "should have 400 rows, as labels"),
        (lambda: transition(TRUE, TRUE + 5), "given has 14, should be classes from 0 to 9"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------ people's labels

ARRAYS = {name: np.arange(4, dtype=np.uint8) for name in ("clean_label", *cifar10n.SETS.values())}


def packed(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.fixture
def fresh(monkeypatch):
    labels = cifar10n.labels
    labels.cache_clear()
    yield monkeypatch
    labels.cache_clear()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Now EARLYSTOP_CIFAR10N is"),
        (b"", "cannot be read as such a file"),
        (b"no archive", "cannot be read as such a file"),
        (packed(**ARRAYS)[:-30], "cannot be read as such a file"),
        (packed(clean_label=ARRAYS["clean_label"]), "cannot be read as such a file"),
        (packed(**ARRAYS | {"clean_label": np.array([None, "pickled"])}), "cannot be read as such a file"),
        (packed(**ARRAYS), "holds other labels than CIFAR-10N"),
    ],
    ids=["missing", "empty", "no archive", "cut short", "without arrays", "pickled", "other labels"],
)  # fmt: skip
def test_a_file_that_is_not_the_one_is_refused_with_its_licence(fresh, tmp_path, content, message):
    path = tmp_path / "labels.npz"
    if content is not None:
        path.write_bytes(content)
    fresh.setenv(cifar10n.WHERE, str(path))
    with pytest.raises(DataError, match=message) as told:
        cifar10n.labels()
    assert "CC BY-NC 4.0" in str(told.value) and cifar10n.SOURCE in str(told.value)


def test_without_a_path_it_is_said_where_the_labels_are(fresh):
    fresh.delenv(cifar10n.WHERE, raising=False)
    with pytest.raises(DataError, match="Now EARLYSTOP_CIFAR10N is None"):
        cifar10n.labels()


def test_people_s_labels_go_with_the_training_images_only(fresh):
    made = images.load_images("patterns")
    fresh.setattr(cifar10n, "load_images", lambda name, split: made)
    fresh.setattr(cifar10n, "labels", lambda: {"worst": (made.labels + 1) % 10})
    found = cifar10n.load("train")
    assert found.given is not None and torch.equal(found.given, (made.labels + 1) % 10)
    assert torch.equal(found.labels, made.labels) and cifar10n.load("test").given is None
    assert images.load_images("cifar10n").title == images.TITLES["cifar10n"]


@pytest.mark.skipif(not os.environ.get(cifar10n.WHERE), reason="people's labels are not here")
def test_the_rates_of_the_true_file_are_those_of_its_authors():
    found = cifar10n.labels()
    rates = {name: (one != found["clean"]).double().mean().item() for name, one in found.items()}
    assert rates == pytest.approx({"clean": 0, "worst": 0.4021, "aggregate": 0.0901, "first": 0.1723}, abs=5e-5)
