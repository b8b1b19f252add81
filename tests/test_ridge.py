"""Ridge to the initial weights: solutions by automatic differentiation, and equal distances by a plain search."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from reference import network

from earlystop.descent import Trajectory
from earlystop.figures import ridge
from earlystop.figures.ridge import Ridge
from earlystop.network import ERF, initial_weights
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result

SMALL = Ridge.at("quick", samples=16, dim=5, hidden_units=16, penalties=(1.0, 0.3), iterations=60, patience=120)


def test_each_run_with_ridge_ends_where_the_penalized_loss_is_flat():
    cell = {"corruption_rate": 0.25, "seed": 1}
    data, stopped, found = ridge.descend(SMALL, cell, Machine())
    start, x, y = initial_weights(16, 5, seed=1).double(), data.inputs.double(), data.labels.double()
    assert data.flipped.sum() == 4
    for penalty, path in zip(SMALL.penalties, found):

        def objective(w, penalty=penalty):
            return 0.5 * (network(w, x, ERF) - y).square().sum() + penalty * (w - start).square().sum()

        slope, at_start = (torch.func.grad(objective)(w) for w in (path.weights.double(), start))
        assert slope.norm() < 1e-4 * at_start.norm()
        assert path.distance[-1].item() == pytest.approx((path.weights.double() - start).norm().item(), rel=1e-5)
    assert len(stopped.outputs) == 61 and found[0].distance[-1] < found[1].distance[-1]


def path(distance, outputs):
    return Trajectory(torch.tensor(outputs), torch.tensor(distance), torch.zeros(2, 2))


def test_stopping_is_looked_at_where_it_is_first_as_far_as_ridge():
    data, _, _ = ridge.descend(replace(SMALL, iterations=1), {"corruption_rate": 0.25, "seed": 1}, Machine())
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(7, 16)).astype(np.float32)
    distance = [0.0, 1.0, 2.0, 1.5, 3.0, 4.0, 5.0]
    ends = rng.normal(size=(3, 16)).astype(np.float32)
    ridges = [path([0.0, far], np.stack([ends[i], ends[i]])) for i, far in enumerate((1.2, 2.0, 9.0))]
    kept = ridge.summary(data, path(distance, outputs), ridges)
    given, truth = data.labels.numpy(), data.clean_labels.numpy()
    losses = 0.5 * ((outputs - given) ** 2).sum(1)
    assert kept["stopped_at"].tolist() == [2, 2, 6] and kept["reached"].tolist() == [True, True, False]
    wrong = lambda out, y: (np.sign(out) != y).mean(-1)
    np.testing.assert_allclose(kept["ridge_true"], wrong(ends, truth))
    np.testing.assert_allclose(kept["stopped_given"], wrong(outputs[[2, 2, 6]], given))
    np.testing.assert_allclose(kept["stopped_loss"], losses[[2, 2, 6]], rtol=1e-5)
    best = [losses[:2].min(), losses[:2].min(), losses[:6].min()]  # until it is that far
    np.testing.assert_allclose(kept["loss_ratio"], 0.5 * ((ends - given) ** 2).sum(1) / best, rtol=1e-5)
    np.testing.assert_allclose(kept["moving"], [np.inf] * 3)
    assert kept["iteration"].tolist() == sorted(set(kept["iteration"].tolist())) and kept["iteration"][-1] == 6


@pytest.fixture
def made():
    """Made-up numbers of two data sets, with and without wrong labels."""
    config = vars(Ridge.at("paper", seeds=2, penalties=(1.0, 0.1)))
    cells = [
        {"corruption_rate": rate, "seed": seed, "flipped": rate, "distance": [1.0, 4.0],
         "path_distance": [0.0, 2.0, 5.0],
         "ridge_true": [0.1 * seed, 0.3], "ridge_given": [0.2, 0.1], "stopped_true": [0.02, 0.25],
         "path_true": [0.5, 0.02, 0.3], "path_given": [0.5, 0.2, 0.0], "loss_ratio": [0.9, 0.8 + 0.2 * seed]}
        for rate in (0.2, 0.0) for seed in (0, 1)
    ]  # fmt: skip
    return Result(Path("made"), {"config": config, "cells": cells, "experiment": "ridge"})


def test_what_a_result_says_of_each_seed(made):
    assert ridge.excess(made).tolist() == pytest.approx([0.05, 0.08])
    assert ridge.best_ridge(made).tolist() == pytest.approx([0, 0.1])
    assert ridge.loss_ratio(made).tolist() == pytest.approx([0.9, 1.0])


def test_the_picture_has_both_ways_with_noise_and_without(made):
    figure = ridge.draw(made)
    errors, gaps = figure.axes
    lines = {line.get_label(): line for line in errors.lines}
    kinds = ("given labels", "true labels", "no wrong label")
    assert set(lines) == {f"{way}, {kind}" for way in ("stopping", "ridge") for kind in kinds}
    assert lines["ridge, true labels"].get_xydata().tolist() == pytest.approx(np.array([[1, 0.05], [4, 0.3]]))
    assert [line.get_label() for line in gaps.lines] == ["20% wrong labels", "no wrong label"]
    assert gaps.lines[0].get_ydata().tolist() == pytest.approx([3, 5])
    plt.close(figure)
