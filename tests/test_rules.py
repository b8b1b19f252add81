"""Rules for stopping: by hand, against plain loops, and the law of noisy validation by counting."""

import math

import numpy as np
import pytest
import torch

from earlystop import rules
from earlystop.evidence import validation
from earlystop.label_noise import corrupt


def made_up(seed, epochs=40):
    """Curves without any order, of few values, so that ties happen."""
    rng = np.random.default_rng(seed)
    names = ("changed", "given", "noisy_validation", "planted", "test")
    return {name: (rng.integers(0, 12, epochs) / 12).tolist() for name in names}


# ------------------------------------------------------------------------ each rule by a loop of its own


def loop_label_wave(changed, window):
    """Epoch by epoch, with whole numbers of twelfths, as somebody would write it beside a training."""
    twelfths, before = [round(12 * one) for one in changed], None
    for epoch in range(window, len(twelfths)):
        total = sum(twelfths[epoch - window + 1 : epoch + 1])
        if before is not None and total > before:
            return epoch - 1
        before = total
    return len(twelfths) - 1


def loop_patience(changed, window, patience):
    twelfths, best, at, waited = [round(12 * one) for one in changed], math.inf, 0, 0
    for epoch in range(window, len(twelfths)):
        total = sum(twelfths[epoch - window + 1 : epoch + 1])
        if total < best:
            best, at, waited = total, epoch, 0
        else:
            waited += 1
            if waited == patience:
                break
    return at


def loop_planted(planted, tolerance):
    lowest = planted[min(1, len(planted) - 1)]
    for epoch, one in enumerate(planted):
        if epoch > 1 and one > lowest + tolerance:
            return epoch - 1
        if epoch == 0:
            continue
        lowest = min(lowest, one)
    return len(planted) - 1


@pytest.mark.parametrize("seed", range(30))
def test_every_rule_is_what_a_plain_loop_finds(seed):
    curves = made_up(seed)
    for window in (1, 2, 3, 5):
        assert rules.label_wave(curves, window) == loop_label_wave(curves["changed"], window)
        for patience in (1, 3, 10, 100):
            expected = loop_patience(curves["changed"], window, patience)
            assert rules.label_wave_patience(curves, window, patience) == expected
    for tolerance in (0.0, 0.1, 0.9):
        assert rules.planted_flips(curves, tolerance) == loop_planted(curves["planted"], tolerance)
    assert rules.noisy_validation(curves) == np.argmax(curves["noisy_validation"])
    assert rules.oracle(curves) == np.argmax(curves["test"]) and rules.last(curves) == 39
    for level in (0.2, 0.5, 0.0):
        low = [epoch for epoch, right in enumerate(curves["given"]) if 1 - right <= level]
        assert rules.discrepancy(curves, level) == (low[0] if low else 39)


def test_label_wave_sees_the_first_minimum_and_patience_a_later_one():
    changed = [1.0, 0.9, 0.6, 0.3, 0.2, 0.3, 0.5, 0.4, 0.1, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5]
    curves = {"changed": changed}
    assert rules.label_wave(curves, window=1) == 4
    assert rules.label_wave(curves) == 5  # the mean of epochs 3, 4 and 5 is as low as that of no three before
    assert rules.label_wave_patience(curves, patience=10) == 10
    assert rules.label_wave_patience(curves, patience=2) == 5
    assert rules.label_wave({"changed": [1.0, *np.linspace(0.9, 0.1, 20)]}) == 20  # it only falls: the last epoch


def test_means_that_are_equal_are_no_rise_whatever_their_rounding():
    curves = {"changed": [1.0, 0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2]}
    assert rules.label_wave(curves) == 8 and rules.label_wave_patience(curves, patience=99) == 3


@pytest.mark.parametrize("epochs", [1, 2, 3, 4])
@pytest.mark.parametrize("name", rules.RULES)
def test_short_runs_have_a_choice_too(name, epochs):
    curves = {key: values[:epochs] for key, values in made_up(0).items()}
    assert 0 <= rules.chosen(curves, rules.rule(name)) < epochs


def test_planted_labels_of_a_network_that_learns_the_truth_first():
    curves = {"planted": [0.12, 0.05, 0.0, 0.05, 0.1, 0.15, 0.6, 1.0]}
    assert rules.planted_flips(curves) == 4 and rules.planted_flips(curves, tolerance=0.2) == 5
    assert rules.planted_flips({"planted": [0.1, 0.0, 0.0]}) == 2
    assert rules.planted_flips({"planted": [0.0, 0.2, 0.0, 0.0, 0.3]}) == 3  # before training it answers by chance


# ------------------------------------------------------------------------ regret


@pytest.mark.parametrize("seed", range(10))
def test_no_rule_gains_and_the_oracle_loses_nothing(seed):
    curves = made_up(seed)
    assert rules.regret(curves, rules.oracle) == 0
    for name in rules.RULES:
        lost = rules.regret(curves, rules.rule(name))
        assert lost == max(curves["test"]) - curves["test"][rules.rule(name)(curves)] >= 0
    assert rules.regret(curves, rules.noisy_validation, "noisy_validation") == 0


def own(curves):
    """A rule of a reader's."""
    return np.int64(1)


def test_a_rule_of_ones_own_comes_by_module_and_name():
    assert rules.rule("test_rules:own") is own
    assert rules.regret({"test": [0.5, 0.25]}, rules.rule("test_rules:own")) == 0.25
    assert rules.rule("label_wave", window=1)({"changed": [1.0, 0.5, 0.6]}) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rules.rule("wave"), "name 'wave' is no rule: use one of noisy_validation, label_wave"),
        (lambda: rules.rule("nowhere:own"), "is no rule (No module named 'nowhere')"),
        (lambda: rules.rule("test_rules:math.pi"), "is no rule (3.14"),
        (lambda: rules.regret({"test": [0.1]}, lambda curves: 1), "the rule gives 1, should give an index from 0 to 0"),
        (lambda: rules.regret({"test": [0.1]}, lambda curves: -1), "the rule gives -1, should give an index"),
        (lambda: rules.regret({"test": [0.1]}, lambda curves: None), "the rule gives None, should give an index"),
        (lambda: rules.regret({"test": [0.1]}, lambda curves: True), "the rule gives True, should give an index"),
        (
            lambda: rules.regret({"given": [0.1, 0.2], "test": [0.1]}, rules.last),
            "curves have 2 numbers, but 'test' has 1",
        ),
        (lambda: rules.oracle({"given": [0.1]}), "key is 'test', but curves are given"),
        (lambda: rules.oracle({"test": []}), "the curve test of curves is empty"),
        (lambda: rules.oracle({"test": [0.1, math.nan]}), "the curve test of curves has numbers that are not finite"),
        (lambda: rules.label_wave({"changed": [1.0]}, window=0), "window is 0, should be 1 or more"),
        (lambda: rules.discrepancy({"given": [1.0]}, 30), "noise_level is 30, should be between 0 and 1"),
        (lambda: rules.uniform_law([0.5], 30), "corruption_rate is 30, should be between 0 and 1"),
    ],
)
def test_a_mistake_is_told_what_would_be_right(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


# ------------------------------------------------------------------------ the law of noisy validation


@pytest.mark.parametrize(("classes", "rate"), [(2, 0.3), (4, 0.5), (10, 0.3), (10, 0.9)])
def test_the_law_is_that_of_many_draws(classes, rate):
    generator = torch.Generator().manual_seed(0)
    true = torch.randint(classes, (400_000,), generator=generator)
    answers = torch.where(
        torch.rand(400_000, generator=generator) < 0.6, true, (true + 1) % classes
    )  # no chance errors
    noisy = corrupt(true, rate, classes=classes)
    clean, seen = ((answers == labels).double().mean() for labels in (true, noisy))
    assert seen.item() == pytest.approx(rules.uniform_law(clean, rate, classes).item(), abs=0.004)


def test_the_law_is_exact_over_all_ways_and_pair_noise_leaves_it():
    assert validation.law_missed(range(6)).max() < 1e-12
    lost = validation.order_turned(range(20))
    assert lost.min() > 0  # rate · (1 - worse) - (1 - rate) · 2 points, positive up to 90 % and from 20 % wrong
    with pytest.raises(AssertionError):
        torch.testing.assert_close(rules.uniform_law(torch.tensor(0.8), 0.3), torch.tensor(0.7 * 0.8 + 0.3 * 0.2))


def test_the_law_is_flat_where_labels_say_nothing_and_falls_beyond():
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    flat = rules.uniform_law(ends, 0.9)
    assert flat[0].item() == pytest.approx(flat[1].item()) and flat[0].item() == pytest.approx(0.1)
    assert rules.uniform_law(ends, 0.95).diff() < 0 < rules.uniform_law(ends, 0.85).diff()
