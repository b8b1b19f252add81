"""Filters by a plain loop of gradient descent, their limits, windows by search; the evidence by another way."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop import filters
from earlystop.evidence import penalties
from earlystop.figures import filter_pictures
from earlystop.streams import random_stream

VALUES = torch.tensor([2.0, 1.0, 0.3, 0.01, 0.0], dtype=torch.float64)


def loop(value, strength, step, iterations):
    """Descent on ½(sw + λb - 1)² in plain floats: what of 1 the weight fits."""
    w = b = 0.0
    for _ in range(iterations):
        left = value * w + strength * b - 1
        w, b = w - step * value * left, b - step * strength * left
    return value * w


@pytest.mark.parametrize("strength", (0.0, 0.5, 1.5))
@pytest.mark.parametrize("iterations", (0, 1, 7, 300))
def test_a_filter_is_what_descent_on_two_numbers_fits(strength, iterations):
    found = filters.auxiliary_filter(VALUES, strength, 0.1, iterations)
    assert found.tolist() == pytest.approx([loop(s, strength, 0.1, iterations) for s in VALUES.tolist()], abs=1e-12)


def test_its_limits_are_stopping_and_ridge():
    assert torch.equal(filters.stopping_filter(VALUES, 0.2, 9), filters.auxiliary_filter(VALUES, 0, 0.2, 9))
    assert torch.allclose(filters.stopping_filter(VALUES, 0.2, 9), 1 - (1 - 0.2 * VALUES**2) ** 9, atol=1e-14)
    assert torch.allclose(filters.auxiliary_filter(VALUES, 0.7, 0.2, 10**6), filters.ridge_filter(VALUES, 0.7))
    ridge = torch.tensor([s / (s**2 + 0.49) * s for s in VALUES.tolist()], dtype=torch.float64)
    assert torch.allclose(filters.ridge_filter(VALUES, 0.7), ridge)


def test_small_values_are_fitted_alike_after_the_matching_iterations_and_both_never_far_apart():
    step, strength = 0.01, 0.2
    iterations = filters.matching_iterations(step, strength)
    assert iterations == pytest.approx(2500)
    tiny = torch.tensor([1e-3], dtype=torch.float64)
    ratio = filters.stopping_filter(tiny, step, 2500) / filters.ridge_filter(tiny, strength)
    assert ratio.item() == pytest.approx(1, abs=1e-3)
    grid = torch.logspace(-4, 0.9, 2000, dtype=torch.float64)
    gap = filters.stopping_filter(grid, step, 2500) - filters.ridge_filter(grid, strength)
    assert gap.min() > -1e-3 and 0.1 < gap.max() < 0.21  # the book's proposition: between 0 and 0.204


def test_windows_are_where_the_filters_say():
    begin, end = filters.iteration_window(2.0, 0.2, 0.1, tolerance=0.05)
    inside = [
        t for t in range(1, 200)
        if filters.stopping_filter([2.0], 0.1, t) >= 0.95 and filters.stopping_filter([0.2], 0.1, t) <= 0.05
    ]  # fmt: skip
    assert inside == list(range(math.ceil(begin), math.floor(end) + 1)) and inside
    low, high = filters.strength_window(3.0, 0.1, tolerance=0.05)
    assert filters.ridge_filter([0.1], low).item() == pytest.approx(0.05)
    assert filters.ridge_filter([3.0], high).item() == pytest.approx(0.95)
    low, high = filters.strength_window(1.0, 0.5)
    assert low > high  # nothing fits one and leaves the other


@pytest.mark.parametrize("call, message", [
    (lambda: filters.stopping_filter([3.0], 0.2, 5), "step_size is 0.2: times"),
    (lambda: filters.auxiliary_filter([1.0], 3.0, 0.2, 5), "at most 1"),
    (lambda: filters.ridge_filter([0.0], 0.0), "give a strength above 0"),
    (lambda: filters.ridge_filter([-1.0], 1.0), "values have one below 0"),
    (lambda: filters.matching_iterations(0.1, 0.0), "strength is 0"),
    (lambda: filters.iteration_window(0.1, 1.0, 0.1), "0 < noise < truth"),
    (lambda: filters.iteration_window(4.0, 1.0, 0.1), "below 1/truth²"),
    (lambda: filters.strength_window(2.0, 1.0, 0.6), "tolerance is 0.6"),
])  # fmt: skip
def test_what_makes_no_sense_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_evidence_sees_the_same_answers_and_would_see_others(monkeypatch):
    assert max(penalties.auxiliary_from_ridge(range(2))) < 1e-12
    assert max(penalties.auxiliary_from_ridge_regression(range(2))) < 1e-9
    exact = penalties.by_auxiliary

    def without_offsets(rows, residual, steps):
        return exact(rows, residual * 1.001, steps)

    monkeypatch.setattr(penalties, "by_auxiliary", without_offsets)
    assert min(penalties.auxiliary_from_ridge(range(2))) > 1e-4


def test_descent_on_ridge_is_that_of_automatic_differentiation():
    rows = torch.randn(4, 7, generator=random_stream(0, "rows"), dtype=torch.float64)
    residual = torch.randn(4, generator=random_stream(0, "residual"), dtype=torch.float64)
    move, step = torch.zeros(7, dtype=torch.float64), penalties.stable(rows)
    for _ in range(5):
        w = move.clone().requires_grad_()
        loss = 0.5 * (rows @ w - residual).square().sum() + 0.5 * penalties.STRENGTH**2 * w.square().sum()
        move = move - step * torch.autograd.grad(loss, w)[0]
    assert torch.allclose(penalties.by_ridge(rows, residual, 5)[-1], move, atol=1e-14)


def test_errors_along_a_path_are_those_of_a_loop_and_the_pictures_have_all_ways():
    chance = random_stream(4, "rows")
    rows = torch.randn(6, 9, generator=chance, dtype=torch.float64)
    given, true = torch.tensor([1.0, -1, 1, -1, 1, 1]).double(), torch.tensor([1.0, 1, 1, -1, -1, 1]).double()
    step, move, found = 0.5 / (torch.linalg.matrix_norm(rows, 2).item() ** 2 + 0.49), torch.zeros(9).double(), []
    for _ in range(12):
        move = move - step * (rows.T @ (rows @ move - given) + 0.49 * move)
        found.append(((rows @ move) * true <= 0).double().mean().item())
    assert filter_pictures.errors(rows, given, true, 0.7, 0.7, [1, 5, 12]).tolist() == [found[0], found[4], found[11]]
    figure = filter_pictures.paths(lambda seed, rate: (rows, given if rate else true, true), (0, 1), 0.7, iterations=50)
    assert [len(ax.lines) for ax in figure.axes] == [3]
    assert len(filter_pictures.three_filters(0.1, 0.5).axes[0].lines) == 4
    plt.close("all")
