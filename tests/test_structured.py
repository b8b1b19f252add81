"""Noise that sticks together: counts, gradients beside the Jacobian, and what curves say."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earlystop.data import check_clusterable
from earlystop.descent import loss
from earlystop.figures import structured
from earlystop.jacobian import jacobian
from earlystop.network import initial_weights, predict
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result

SMALL = structured.Structured.at(
    "quick", train_size=60, validation_size=10, test_size=40, width=8, epochs=2, batch_size=16,
    samples=40, clusters=4, dim=6, hidden_units=30, iterations=40, seeds=2,
)  # fmt: skip
MACHINE = Machine(watched=False)


@pytest.mark.parametrize(("noise", "count"), [("one cluster", 10), ("spread", 8), ("none", 0), ("figure 5", None)])
def test_as_many_labels_are_wrong_together_as_anywhere(noise, count):
    data = structured.in_clusters(SMALL, noise, 3)
    wrong = data.flipped
    if count is not None:  # a quarter of ten samples, rounded down in each cluster
        assert wrong.sum() == count and torch.equal(wrong, data.corrupted)
    if noise == "one cluster":
        assert data.clusters[wrong].unique().tolist() == [0] and wrong[data.clusters == 0].all()
        twin = replace(data, clean_labels=data.labels, center_labels=data.center_labels * torch.tensor([-1, 1, 1, 1]))
        check_clusterable(twin)  # clean data with other true labels, if its centers keep their distance


def test_at_the_sizes_of_the_page_the_numbers_are_equal():
    config = structured.Structured.at("paper")
    counts = {
        noise: structured.in_clusters(config, noise, 0).flipped.sum().item() for noise in ("one cluster", "spread")
    }
    assert counts == {"one cluster": 20, "spread": 20}


def test_gradients_of_right_and_wrong_labels_are_rows_of_the_jacobian():
    data = structured.in_clusters(SMALL, "spread", 1)
    weights = initial_weights(30, 6, seed=1).double()
    x, y = data.inputs.double(), data.labels.double()
    rows = jacobian(weights, x) * (predict(weights, x) - y)[:, None]
    right, wrong = rows[~data.flipped].sum(0), rows[data.flipped].sum(0)
    found = structured.angle(weights, data)
    assert found["cosine"] == pytest.approx(torch.cosine_similarity(right, wrong, dim=0).item(), rel=1e-9)
    assert found["ratio"] == pytest.approx((right.norm() / wrong.norm()).item(), rel=1e-9)
    (whole,) = torch.autograd.grad(loss(w := weights.clone().requires_grad_(), x, y), w)
    assert torch.allclose(right + wrong, whole.flatten())
    assert structured.angle(weights, structured.in_clusters(SMALL, "none", 1)) == {"cosine": 0, "ratio": 0}


def test_the_path_is_that_of_plain_steps():
    from earlystop.descent import gradient, largest_stable_step

    run = structured.along_descent(SMALL, "one cluster", 0, MACHINE)
    data, weights = structured.in_clusters(SMALL, "one cluster", 0), initial_weights(30, 6, seed=0)
    step = 0.5 * largest_stable_step(weights, data.inputs)
    for point in range(41):
        if point in run["time"]:
            f = predict(weights, data.inputs)
            at = run["time"].index(point)
            assert run["loss"][at] == pytest.approx((0.5 * (f - data.labels).square()).mean().item(), rel=1e-4)
            assert run["true"][at] == pytest.approx((f.sign() != data.clean_labels).double().mean().item(), abs=1e-6)
        weights = weights - step * gradient(weights, data.inputs, data.labels)


def test_both_errors_together_are_at_least_the_share_of_wrong_labels():
    draw = torch.Generator().manual_seed(0)
    for _ in range(200):
        true, given, answers = (torch.randint(3, (30,), generator=draw) for _ in range(3))
        errors = sum((answers != labels).double().mean() for labels in (true, given))
        assert errors >= (true != given).double().mean() - 1e-12


def test_parity_is_wrong_for_the_4s_or_for_as_many():
    digits = torch.arange(10).repeat(20)
    four = structured.parity(digits, "subclass", 0.9, 0)
    assert (four != digits % 2).sum() == 18 and digits[four != digits % 2].unique().tolist() == [4]
    other = structured.parity(digits, "spread", 0.9, 0)
    assert (other != digits % 2).sum() == 18 and len(digits[other != digits % 2].unique()) > 4
    assert torch.equal(structured.parity(digits, "none", 0.9, 0), digits % 2)


@pytest.mark.parametrize("part", structured.PARTS)
def test_every_part_runs_for_each_kind_of_noise(part):
    cells = [cell for cell in structured.cells(SMALL) if cell["part"] == part and cell["seed"] == 0]
    runs = structured.runs(SMALL, cells, None, MACHINE)
    assert [cell["noise"] for cell in cells] == list(structured.KINDS[part])
    for run in runs:
        assert {len(values) for values in run.values()} == {len(run["time"])}
        assert all(0 <= one <= 1 for one in run["hit"])
    noisy, clean = runs[0], runs[-1]
    if part != "clusters":
        assert noisy["loss"][-1] < noisy["loss"][0] and max(clean["memorized"]) == 0


# ------------------------------------------------------------------------ what curves say


def made():
    """Two seeds of each noise, whose curves are known."""
    cells = []
    for part, kinds in structured.KINDS.items():
        for i, noise in enumerate(kinds):
            for seed in (0, 1):
                curves = {"test": [0.5, 0.9 - 0.1 * i * (noise != "none"), 0.6 + 0.1 * seed], "hit": [0, 0.3, 0.2]}
                if part == "clusters":
                    curves = {"true": [0.5, 0.1, 0.2 - 0.1 * seed], "cosine": [1, -0.9, -1], "ratio": [3, 1.2, 1.04]}
                    curves |= {"wrong": [0.7, 0.0, 0.6]}
                cells.append({"part": part, "noise": noise, "seed": seed, "time": [0, 4, 20], **curves})
    config = {"clusters": 10, "data": "digits"}
    return Result(Path("made-up.json"), {"experiment": "structured", "cells": cells, "config": config})


@pytest.mark.parametrize(
    ("reading", "values"),
    [
        ("floor", [1, 1]),
        ("subclass_kept", [-0.1, -0.1]),
        ("sample_kept", [-0.1, -0.1]),
        ("class_kept", [-0.1, -0.1]),
        ("opposed", [-0.95, -0.95]),
        ("opposed_by_cluster", [-0.95, -0.95]),
        ("even_at", [20, 20]),
        ("fitted_at", [20, 20]),
        ("warning", [1, 1]),
    ],
)
def test_a_reading_is_one_number_a_seed(reading, values):
    assert getattr(structured, reading)(made()).tolist() == pytest.approx(values)


def test_labels_that_are_never_half_fitted_have_no_time_and_a_guess_before_training_is_no_best_epoch():
    result = made()
    for cell in result["cells"]:
        cell |= {"wrong": [0.7, 0.6, 0.4], "hit": [0.9, 0.3, 0.2]}
    assert structured.fitted_at(result).tolist() == [torch.inf] * 2
    assert structured.best(result, "subclass", "spread", "hit").tolist() == pytest.approx([0.3, 0.3])


def test_best_last_gain_and_lost():
    result = made()
    assert structured.best(result, "subclass", "spread").tolist() == pytest.approx([0.8, 0.8])
    assert structured.last(result, "subclass", "spread").tolist() == pytest.approx([0.6, 0.7])
    assert structured.gain(result, "subclass", "spread").tolist() == pytest.approx([0.2, 0.1])
    assert structured.lost(result, "subclass", "spread").tolist() == pytest.approx([0.1, 0.1])
    header, rows = structured.table(result, "subclass")
    assert len(header) == 4 and rows[1] == ["as many, anywhere", "80.0%", "65.0%", "30.0%"]
    assert structured.points(torch.tensor([0.01, 0.03])).startswith("**2.0** points (95 % interval −10.7 to 14.7)")
