"""The room of the proved windows: a small run, and what its stored result says of each seed."""

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop.figures import proved
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result, load

SMALL = proved.Proved.at("quick", samples=12, dim=6, clusters=2, iterations=30)


@pytest.fixture(scope="module")
def stored():
    return load("proved")


def changed(stored, **values):
    """The result with other values in its first cell, a run of seed 0."""
    first, *others = stored["cells"]
    return Result(stored.path, stored.content | {"cells": [first | values, *others]})


def test_a_run_has_its_window_and_stays_within_its_bounds():
    found = proved.run(SMALL, {"input_noise": 0.05, "width": 2000, "seed": 3}, Machine(watched=False))
    first, last = found["proved"]
    assert 0 <= first <= last <= 30 and found["violations"] == 0
    assert (found["error"] <= found["proved_error"] + 1e-9).all()
    assert (found["error"][first : last + 1] < 1).all() and found["proved_error"][first - 1] >= 1
    narrow = proved.run(SMALL, {"input_noise": 0.5, "width": 2, "seed": 3}, Machine(watched=False))
    assert narrow["proved"] == (-1, -1) and narrow["violations"] == 0


def test_the_common_window_is_that_of_all_seeds():
    assert proved.common(torch.tensor([[1.0, 9.0], [3.0, 7.0]])) == (3, 7)
    first, last = proved.common(torch.tensor([[1.0, 9.0], [-1.0, -1.0]]))
    assert first > last  # one of them has none


def test_what_is_said_of_a_seed_follows_its_runs(stored):
    inside, broken = (f(stored) for f in (proved.proved_inside, proved.violations))
    assert inside.shape == broken.shape == (len(stored.levels("seed")),)
    runs = len(stored["cells"]) / len(stored.levels("seed"))
    for other in ([-1, -1], [1, 10_000], [0, 1]):  # none, too long, too early
        less = proved.proved_inside(changed(stored, proved=other))
        assert less[0] == pytest.approx(inside[0].item() - 1 / runs) and torch.equal(less[1:], inside[1:])
    assert proved.violations(changed(stored, violations=2))[0] == broken[0] + 2


def test_every_radius_has_its_bars(stored):
    figure = proved.draw(stored)
    right = figure.get_axes()[1]
    drawn = [line for line in right.get_lines() if len(line.get_xdata())]
    kinds = len(stored.levels("input_noise")) * len(stored.levels("width"))
    assert kinds < len(drawn) <= 2 * kinds
    plt.close(figure)
