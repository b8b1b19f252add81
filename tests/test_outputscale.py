"""A scaled network by automatic differentiation, its limit by an exact flow, and what a result says by plain loops."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop.figures import outputscale
from earlystop.figures.outputscale import OutputScale
from earlystop.network import initial_weights, output_weights
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.streams import random_stream


def small(seed=0):
    chance = random_stream(seed, "inputs")
    x, fresh = (torch.randn(n, 5, generator=chance, dtype=torch.float64) / 2 for n in (6, 4))
    return initial_weights(8, 5, seed=seed).double(), x, torch.tensor([1.0, -1, 1, -1, -1, 1]).double(), fresh


@pytest.mark.parametrize("scale", (0.3, 2.0))
def test_a_descent_is_that_of_automatic_differentiation(scale, monkeypatch):
    monkeypatch.setattr(outputscale, "MEASURE", 1000)  # one step size
    W0, x, y, fresh = small()
    path = outputscale.descend(W0, x, y, fresh, scale, 30)
    v = output_weights(8, W0)

    def outputs(weights, inputs):
        return scale * (torch.erf(inputs @ weights.T) @ v - torch.erf(inputs @ W0.T) @ v)

    kept, W = outputscale.logarithmic(30), W0
    steps = path["time"].diff() / torch.tensor(kept).diff()  # in between nothing is measured
    for iteration in range(31):
        place = max(i for i, one in enumerate(kept) if one <= iteration)
        if iteration == kept[place]:
            assert torch.allclose(path["outputs"][place], outputs(W, x), atol=1e-5)
            assert torch.allclose(path["fresh"][place], outputs(W, fresh), atol=1e-5)
            jacobian = torch.autograd.functional.jacobian(lambda w: outputs(w, x), W).flatten(1) / scale
            kernel = jacobian @ jacobian.T
            first = kernel if iteration == 0 else first
            change = ((kernel - first).norm() / first.norm()).item()
            assert path["kernel"][place].item() == pytest.approx(change, abs=1e-6)
            stable = 0.5 / torch.linalg.eigvalsh(kernel)[-1].item()
            assert iteration == 30 or steps[place].item() == pytest.approx(stable, rel=0.05)
        weights = W.clone().requires_grad_()
        (slope,) = torch.autograd.grad(0.5 * (outputs(weights, x) - y).square().sum(), weights)
        W = W - steps[min(place, len(steps) - 1)] / scale**2 * slope


def test_a_large_scale_follows_the_exact_flow_of_its_first_kernel():
    W0, x, y, fresh = small(1)
    path = outputscale.descend(W0, x, y, fresh, 1e4, 2000)
    flow = y - torch.linalg.matrix_exp(-path["first_kernel"] * path["time"][-1]) @ y
    assert torch.allclose(path["outputs"][-1], flow, atol=0.01) and path["kernel"].max() < 1e-3
    bent = outputscale.descend(W0, x, y, fresh, 0.3, 2000)
    assert bent["kernel"].max() > 0.1


def test_iterations_are_kept_from_the_first_to_the_last_and_a_window_is_found():
    assert outputscale.logarithmic(6000)[:4] == [0, 1, 2, 3] and outputscale.logarithmic(6000)[-1] == 6000
    time, right = torch.tensor([0.0, 1, 2, 3]), torch.tensor([False, True, False, True])
    assert outputscale.window(time, right) == [1.0, 3.0] and outputscale.window(time, right & False) == [0.0, 0.0]


def test_two_classes_differ_along_the_first_axis_alone():
    x, y = outputscale.two_classes(4000, 50, 0.7, 3, "training")
    mean = (x * y[:, None]).mean(dim=0)
    assert mean[0].item() == pytest.approx(0.7, abs=0.01) and mean[1:].abs().max() < 0.01
    noise = x - 0.7 * y[:, None] * torch.eye(50)[0]
    assert noise.square().sum(dim=1).mean().item() == pytest.approx(1, abs=0.02)


def test_in_many_dimensions_wrong_labels_are_fitted_and_do_little_harm():
    config = OutputScale.at("quick", many=60, units=30, steps=400, fresh=200)
    low, high = (outputscale.by_dimension(config, {"level": d, "corruption_rate": 0.2, "seed": 0}) for d in (60, 6000))
    assert low["memorized"] == high["memorized"] == 1.0
    assert high["last"] < low["last"]


@pytest.fixture(scope="module")
def made():
    few = {"samples": 16, "dim": 5, "many": 20, "fresh": 50, "seeds": 2, "dims": (20, 2000), "units": 8}
    config = OutputScale.at("quick", hidden_units=100, scales=(0.3, 1.0, 10.0), iterations=300, steps=60, **few)
    cells = outputscale.cells(config)
    found = outputscale.runs(config, cells, None, Machine())
    cells = [cell | one for cell, one in zip(cells, found)]
    return Result(Path("made"), {"config": vars(config), "cells": cells, "experiment": "outputscale"})


def test_what_a_result_says_of_each_seed(made):
    cells = {(c["part"], c["level"], c["corruption_rate"], c["seed"]): c for c in made["cells"]}
    for seed in (0, 1):
        ends = {a: cells["scale", a, 0.2, seed]["window"] for a in (0.3, 10.0)}
        ratio = (ends[0.3][1] / ends[0.3][0]) / (ends[10.0][1] / ends[10.0][0])
        assert outputscale.longer(made)[seed].item() == pytest.approx(ratio, nan_ok=True)
        one, ten = (cells["scale", a, 0.2, seed]["kernel"][1] for a in (1.0, 10.0))
        assert outputscale.kernel_power(made)[seed].item() == pytest.approx(torch.tensor(ten / one).log10().item())
        top = cells["dimension", 2000.0, 0.2, seed]
        assert outputscale.harm_of_overfitting(made)[seed].item() == pytest.approx(top["last"] - top["best"])


def test_the_pictures_have_every_level(made):
    change, lengths = outputscale.draw(made).axes
    assert len(change.lines) == len(lengths.lines) == 2 and len(change.lines[0].get_xdata()) == 3
    (ax,) = outputscale.draw_dimensions(made).axes
    assert [line.get_label() for line in ax.lines][-1] == "last iteration, control"
    plt.close("all")
