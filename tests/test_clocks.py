"""Figure 5 in its own units: runs against slow loops, moments read off curves, and what a result says."""

import math
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from reference import network

from earlystop import plots
from earlystop.figures import clocks, fig5, units
from earlystop.figures.clocks import Clocks
from earlystop.runs import results
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result

SMALL = Clocks.at("quick", samples=24, dim=5, hidden_units=16, iterations=9, stop=2.0, steps=(0.4, 0.8),
                  two_steps=(0.4, 0.8), seeds=1)  # fmt: skip


def cell(loss="least squares", activation="erf", start="normal", rate=0.3, step=0.4, seed=0):
    return dict(zip(clocks.KEYS, (loss, activation, start, rate, step, seed)))


def slow(one, iterations):
    """The same descent by automatic differentiation, with the whole Jacobian: curvature, outputs, data, weights."""
    phi, logistic = clocks.ACTIVATIONS[one["activation"]], one["loss"] == "logistic"
    setting = fig5.Figure5.at("quick", samples=24, dim=5, corruption_rate=one["corruption_rate"])
    data = fig5.load_data(setting, one["seed"], device="cpu")
    x, y = data.inputs.double(), data.labels.double()
    w = clocks.initial_weights(16, 5, seed=one["seed"], paired=one["start"] == "paired").double()
    rows = torch.func.jacrev(lambda w: network(w, x, phi))(w).flatten(1)
    curvature = torch.linalg.svdvals(rows)[0].item() ** 2 * (0.25 if logistic else 1)

    def loss(w):
        p = network(w, x, phi)
        if logistic:
            return torch.nn.functional.binary_cross_entropy_with_logits(p, y, reduction="sum")
        return 0.5 * ((p - y) ** 2).sum()

    outputs = [network(w, x, phi)]
    for _ in range(iterations):
        w = w - one["step"] / curvature * torch.func.grad(loss)(w)
        outputs.append(network(w, x, phi))
    return curvature, torch.stack(outputs), data, w


@pytest.mark.parametrize(
    "one",
    [
        cell(), cell(activation="ReLU", step=0.8, seed=1), cell(activation="Gaussian softplus", start="paired"),
        cell("logistic", rate=0.0), cell("logistic", "ReLU", seed=2), cell("logistic", start="paired", step=0.8),
        cell(activation="sin"), cell(activation="tanh", step=0.8),
    ],
)  # fmt: skip
def test_a_cell_equals_a_loop_by_automatic_differentiation(one):
    iterations = clocks.length(vars(SMALL), one)
    assert iterations == (18 if one["loss"] == "logistic" and one["step"] == 0.8 else 9)
    curvature, outputs, data, weights = slow(one, iterations)
    found, largest, parts = clocks.descend(SMALL, one, Machine())
    assert largest == pytest.approx(curvature, rel=1e-5)
    assert len(parts[0].outputs) - 1 == round(2 / one["step"])  # the early stop
    together = torch.cat([parts[0].outputs, parts[1].outputs[1:]])
    torch.testing.assert_close(together.double(), outputs, rtol=0, atol=1e-4)
    torch.testing.assert_close(parts[1].weights.double(), weights, rtol=0, atol=1e-4)
    assert torch.equal(found.labels, data.labels)
    if one["start"] == "paired":
        assert outputs[0].abs().max() < 1e-12


def test_the_moments_of_a_run_are_those_of_its_errors():
    one = cell(rate=0.5, step=0.8)
    data, curvature, parts = clocks.descend(SMALL, one, Machine())
    kept = clocks.summary(SMALL, one, data, curvature, parts)
    outputs = torch.cat([parts[0].outputs, parts[1].outputs[1:]]).numpy()
    true, given = (((outputs > 0.5) != y.numpy().astype(bool)).mean(1) for y in (data.clean_labels, data.labels))
    times = np.asarray(kept["time"])
    for name, curve in (("error_true", true), ("error_given", given)):
        np.testing.assert_allclose(kept[name], np.interp(times, 0.8 * np.arange(10), curve), atol=2e-6)
    assert kept["best"] == pytest.approx(true.min(), abs=1e-6) and kept["best_at"] == true.argmin()
    assert kept["curvature"] == curvature and kept["flipped"] == data.flipped.float().mean()
    ratio = times[1:] / times[:-1]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert 0.8 <= times[0] < 0.8 * ratio[0] and 7.2 / ratio[0] < times[-1] <= 7.2 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("holds", "start", "expected"),
    [([False, True, True], 0, 1), ([True, False, True], 1, 2), ([True, False], 1, -1), ([False], 0, -1)],
)
def test_the_first_iteration_at_which_something_holds(holds, start, expected):
    assert clocks.first(torch.tensor(holds), start) == expected


def test_all_runs_share_their_times():
    config = vars(Clocks.at("paper"))
    grids = {step: set(clocks.grid(config, cell(step=step)).tolist()) for step in config["steps"]}
    longest = grids[1.5]
    for step, times in grids.items():
        assert all(t in longest for t in times if t >= 1.5)
        assert step * (1 - 1e-6) <= min(times) and max(times) <= 2700 * step * (1 + 1e-6)
    assert max(clocks.grid(config, cell("logistic", step=1.5))) == pytest.approx(2 * 2700 * 1.5)


def test_the_cells_have_every_step_size_and_a_control_for_each_kind():
    cells = clocks.cells(Clocks.at("paper"))
    assert all(cells.count(one) == 1 for one in cells)
    kinds = {(one["loss"], one["activation"], one["start"]) for one in cells}
    assert len(kinds) == 12 and {one["seed"] for one in cells} == set(range(5))
    for kind in kinds:
        mine = [one for one in cells if (one["loss"], one["activation"], one["start"]) == kind]
        assert {one["step"] for one in mine if one["corruption_rate"] == 0} == {1.5}
        noisy = {one["step"] for one in mine if one["corruption_rate"] == 0.3}
        many = kind[0] == "least squares" and kind[1] in ("erf", "ReLU")
        assert noisy == ({1.5} if kind[2] == "paired" else {0.05, 0.2, 0.5, 0.9, 1.5} if many else {0.2, 1.5})
    with pytest.raises(ValueError, match=r"two_steps is \(0.3,\), should be of steps"):
        clocks.cells(replace(SMALL, two_steps=(0.3,)))


# ------------------------------------------------------------------------ what a result says


@pytest.fixture
def made():
    """A result of made-up curves: the error is that of 1/t, and rises at a time that the test can move."""
    config, found = vars(Clocks.at("paper", seeds=2)), []
    for one in clocks.cells(Clocks.at("paper", seeds=2)):
        times = clocks.grid(config, one).tolist()
        curve = [min(0.3, 1 / t) for t in times]
        values = {"curvature": 100.0, "flipped": 0.15, "time": times, "error_true": curve, "error_given": curve}
        moments = {"learned": round(60 / one["step"]), "taken": round(900 / one["step"]), "fitted": -1, "best": 0.005}
        fresh = {"fresh_error_early": 0.01, "fresh_error_late": 0.01 + 0.1 * one["corruption_rate"]}
        found.append(one | values | moments | fresh)
    return Result(Path("made"), {"config": config, "cells": found, "experiment": "clocks"})


def test_times_are_iterations_times_the_step(made):
    panel = ("least squares", "erf", "normal")
    assert units.clock(made, "learned", panel, 0.2).tolist() == pytest.approx([60, 60])
    assert units.clock(made, "fitted", panel, 0.2).tolist() == [math.inf, math.inf]
    assert units.clock(made, "learned", panel, 1.5, control=True).tolist() == pytest.approx([60, 60])


def test_step_sizes_that_differ_at_equal_time_are_seen_only_once_they_have_settled(made):
    assert units.steps_apart(made).tolist() == [0, 0]
    moved = [one for one in made["cells"] if one["step"] == 0.5 and one["seed"] == 1 and one["activation"] == "ReLU"]
    moved[0]["error_true"][0] += 0.2  # at time 0.5
    assert units.steps_apart(made).tolist() == [0, 0]
    moved[0]["error_true"][-1] += 0.07
    assert units.steps_apart(made).tolist() == pytest.approx([0, 0.07])


def test_the_share_of_runs_that_learn_the_truth_first(made):
    assert units.truth_first(made).tolist() == [1, 1]
    noisy = [one for one in made["cells"] if one["seed"] == 0 and one["corruption_rate"]]
    assert len(noisy) == 24
    noisy[0]["learned"], noisy[1]["taken"] = -1, -1  # not learned; noise never took over
    noisy[2]["taken"] = noisy[2]["learned"]
    assert units.truth_first(made).tolist() == pytest.approx([22 / 24, 1])


def test_what_is_read_at_the_end_of_a_path(made):
    assert units.logistic_best(made).tolist() == [0.005, 0.005]
    last = [one for one in made["cells"] if one["loss"] == "logistic" and one["step"] == 1.5]
    assert units.logistic_fitted(made).tolist() == pytest.approx([last[0]["error_given"][-1]] * 2)
    assert units.fresh_harm(made).tolist() == pytest.approx([0.03, 0.03])
    assert units.fresh_control(made).tolist() == [0, 0]


def test_every_panel_has_its_lines_each_with_its_control_and_the_share_of_wrong_labels(made):
    moved = made.select(**units.setting(("logistic", "erf", "normal"), 0.3, 1.5))
    for one in moved:
        one["error_true"] = [error / 2 for error in one["error_true"]]
    figure = units.draw(made)
    steps, *compared = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["step size", *units.COMPARED]
    names = [line.get_label() for line in steps.lines[:-2]]
    assert names == [f"{step}/σ₁²" for step in units.steps_of(made, units.FIGURE5)] and len(names) == 5
    for ax, panels in zip(compared, units.COMPARED.values(), strict=True):
        shown = {name: [line, control] for name, line, control in zip(panels.values(), ax.lines[::2], ax.lines[1::2])}
        assert len(ax.lines) == 2 * len(panels) + 1 and len(panels) > 1
        for panel, name in panels.items():
            for line, rate in zip(shown[name], (0.3, 0.0)):
                runs = units.setting(panel, rate, 1.5)
                assert line.get_ydata() == pytest.approx(made.numbers("error_true", **runs).mean(0).numpy())
            assert shown[name][0].get_label() == name and shown[name][1].get_color() == plots.CONTROL["color"]
    assert all(ax.lines[-1].get_ydata()[0] == 0.15 for ax in figure.axes)
    assert [text.get_text() for text in figure.legends[0].texts] == ["no wrong labels", "share of wrong labels"]
    plt.close(figure)


def test_the_control_of_figure_5_is_read_over_its_iterations(made):
    cells = made.select(**units.setting(units.FIGURE5, 0.0, 1.5))
    iterations, errors = units.without_noise(made, 0.01)
    curvature = sum(one["curvature"] for one in cells) / len(cells)
    assert (0.01 * curvature * iterations).tolist() == pytest.approx(cells[0]["time"])
    assert errors.tolist() == [one["error_true"] for one in cells]


def test_moments_are_told_as_a_median_with_its_range():
    times = torch.tensor([20.0, 1234.0, 56.7])
    assert units.median(times) == "57 (20 to 1,200)"
    assert units.median(torch.cat([times, torch.tensor([math.inf])])) == "57 (20 to 1,200, in 3 of 4 runs)"
    assert units.median(times + math.inf) == "–"
    assert units.median(torch.tensor([1.5, 1.5])) == "1.5"
    assert units.median(torch.tensor([1.5, math.inf])) == "1.5 (in 1 of 2 runs)"


def test_every_panel_has_its_three_moments(made):
    step, rows = 1.5, units.moments(made)
    assert [row[0] for row in rows] == list(units.PANELS.values())
    for row, panel in zip(rows, units.PANELS):
        told = [units.median(units.clock(made, key, panel, step, control))
                for key, control in (("learned", False), ("learned", True), ("taken", False))]  # fmt: skip
        assert row[1:] == told


def test_sentences_by_hand_hold_in_the_stored_run():
    """Another run may need other words: read chapter 2's last section and its summary before this is changed."""
    stored = results.load("clocks")
    largest = max(stored["config"]["steps"])
    late = [
        panel for panel in units.noisy_panels(stored)
        for step in units.steps_of(stored, panel)
        if not (units.clock(stored, "learned", panel, step) < units.clock(stored, "taken", panel, step)).all()
    ]  # fmt: skip
    sine = ("least squares", "sin", "normal")
    assert {*late} == {sine}  # the truth first, nearly always
    best = units.at_end(stored, "best", sine)
    wrong = stored.numbers("flipped", **units.setting(sine, stored["config"]["corruption_rate"], largest))
    assert (best > clocks.LEARNED).sum() == 1 and best.argmax() == wrong.argmax() and best.max() < 0.02
    at_once = [panel for panel in units.PANELS if panel[0] == "logistic" or panel[2] == "paired"]
    assert all((units.clock(stored, "learned", panel, largest) <= 2 * largest).all() for panel in at_once)
    softplus = ("least squares", "Gaussian softplus", "normal")
    assert units.clock(stored, "taken", softplus, largest).isinf().all()  # not when the runs end
    ratios = []
    for panel in units.PANELS:
        learned, taken = (units.clock(stored, key, panel, largest) for key in ("learned", "taken"))
        if taken.isfinite().any():
            ratios.append((taken[taken.isfinite()].median() / learned[learned.isfinite()].median()).item())
    assert 15 < min(ratios) < 25 and 1500 < max(ratios) < 2500  # of about twenty to two thousand
