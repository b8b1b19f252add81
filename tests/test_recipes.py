"""The recipes of Figures 1 and 3, and the first steps of a training, against plain loops with torch.optim."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from earlystop import architectures, training
from earlystop.figures import fig1, fig3, readings, recipes, transient
from earlystop.figures.splits import RECIPE, load_split
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result, load
from earlystop.streams import random_stream

SMALL = {"train_size": 50, "widths": (4, 6, 8), "batch_size": 16, "epochs": 2}
FIGURE1 = fig1.Figure1.at("quick", validation_size=20, test_size=30, **SMALL)
FIGURE3 = fig3.Figure3.at("quick", **SMALL)
FIRST = transient.Transient.at("quick", looked_at=30, **SMALL)
OPTIMIZERS = {  # the sizes that choose one, and the same in plain PyTorch
    "PyTorch": ({}, lambda w: torch.optim.Adadelta(w)),
    "Zeiler": ({"adadelta_rho": 0.95}, lambda w: torch.optim.Adadelta(w, lr=1, rho=0.95, eps=1e-6)),
    "Keras": ({"adadelta_rho": 0.95, "adadelta_eps": 1e-7}, lambda w: torch.optim.Adadelta(w, 1.0, 0.95, 1e-7)),
    "half": ({"step_size": 0.5}, lambda w: torch.optim.Adadelta(w, lr=0.5)),
    "SGD": ({"optimizer": "sgd", "step_size": 0.05}, lambda w: torch.optim.SGD(w, lr=0.05)),
    "momentum": (
        {"optimizer": "momentum", "step_size": 0.01},
        lambda w: torch.optim.SGD(w, lr=0.01, momentum=0.9, nesterov=True),
    ),
}
LOSSES = {
    "least_squares": lambda outputs, y: 0.5 * (outputs - F.one_hot(y, 10)).square().sum(dim=1).mean(),
    "cross_entropy": F.cross_entropy,
}
START = {"torch": lambda model: model, "glorot": lambda model: architectures.glorot(model, 2)}
MACHINES = {path: Machine(path=path) for path in ("stacked", "side by side")}
CELLS = [{"corruption_rate": rate, "seed": seed} for rate, seed in ((0.0, 1), (0.5, 2))]
CLOSE = dict(rel=1e-7, abs=1e-9)  # some steps in double precision


def plain(optimizer, start="torch", loss="least_squares"):
    """The second cell in plain PyTorch: its weights at the start and after each step, its data, its network."""
    split = load_split("digits", 50, 0, 0.5, 2)
    x, y = split.inputs("train"), split.noisy
    model = START[start](architectures.conv_net((1, 8, 8), (4, 6, 8), seed=2))
    states, optimizer = [nn.utils.parameters_to_vector(model.parameters()).detach()], optimizer(model.parameters())
    for epoch in (1, 2):
        order = torch.randperm(50, generator=random_stream(2, f"batches of epoch {epoch}"))
        for batch in order.split(16):
            optimizer.zero_grad()
            LOSSES[loss](model(x[batch]), y[batch]).backward()
            optimizer.step()
            states.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    return states, x, y, model


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_trains_figures_1_and_3_as_that_of_torch_does(name, machine, double):
    sizes, optimizer = OPTIMIZERS[name]
    states, x, y, model = plain(optimizer)
    away = (states[-1] - states[0]).norm() / states[0].norm()
    in_figure3 = fig3.runs(replace(FIGURE3, **sizes), CELLS, None, machine)[1]
    assert in_figure3["distance"][-1] == pytest.approx(away.item(), **CLOSE)
    assert in_figure3["loss"][-1] == pytest.approx(LOSSES["least_squares"](model(x), y).item(), **CLOSE)
    cells = [cell | {"loss": "least_squares"} for cell in CELLS]
    in_figure1 = fig1.runs(replace(FIGURE1, **sizes), cells, None, machine)[1]
    split = load_split("digits", 50, 20, 0.5, 2)  # more images are drawn, of which the first are the same
    assert torch.equal(split.noisy, y)
    assert in_figure1["noisy_loss"][-1] == pytest.approx(in_figure3["loss"][-1], **CLOSE)


def test_different_recipes_are_different_trainings():
    runs = {name: fig3.runs(replace(FIGURE3, **sizes), CELLS, None, Machine())[1] for name, (sizes, _) in
            OPTIMIZERS.items()}  # fmt: skip
    runs["Glorot"] = fig3.runs(replace(FIGURE3, initialization="glorot"), CELLS, None, Machine())[1]
    runs["cross-entropy"] = fig3.runs(replace(FIGURE3, loss="cross_entropy"), CELLS, None, Machine())[1]
    ends = [run["distance"][-1] for run in runs.values()]
    assert len({round(end, 5) for end in ends}) == len(runs)


@pytest.mark.parametrize("loss", LOSSES)
def test_figure_3_is_trained_and_measured_with_its_loss(loss, double):
    states, x, y, model = plain(OPTIMIZERS["PyTorch"][1], "glorot", loss)
    run = fig3.runs(replace(FIGURE3, loss=loss, initialization="glorot"), CELLS, None, Machine())[1]
    assert run["loss"][-1] == pytest.approx(LOSSES[loss](model(x), y).item(), **CLOSE)
    assert run["distance"][-1] == pytest.approx(((states[-1] - states[0]).norm() / states[0].norm()).item(), **CLOSE)


def test_adadelta_does_what_zeiler_writes(double):
    """His Algorithm 1, number by number, for ρ and ε of the Keras example."""
    rng, rho, eps = np.random.default_rng(0), 0.95, 1e-7
    x, squares, moves = rng.normal(size=7), np.zeros(7), np.zeros(7)
    gradients = rng.normal(size=(5, 7)) * 10.0 ** rng.integers(-3, 2, size=(5, 7))
    weights = nn.Parameter(torch.tensor(x))
    stack = type("Stack", (), {"parameters": {"w": weights}})()
    optimizer = training.adadelta(stack, 1.0, rho, eps)
    for g in gradients:
        squares = rho * squares + (1 - rho) * g**2
        move = -np.sqrt(moves + eps) / np.sqrt(squares + eps) * g
        moves = rho * moves + (1 - rho) * move**2
        x = x + move
        weights.grad = torch.tensor(g)
        optimizer.step()
    np.testing.assert_allclose(weights.detach().numpy(), x, rtol=1e-12)


def test_the_first_step_of_adadelta_has_one_length_whatever_the_gradient_is():
    """√(ε/(1 - ρ)), as far as the gradient is well above √ε: labels do not matter."""
    for rho, eps in ((0.9, 1e-6), (0.95, 1e-7)):
        weights = nn.Parameter(torch.zeros(3, dtype=torch.float64))
        weights.grad = torch.tensor([-7.0, 0.1, 30.0], dtype=torch.float64)
        training.adadelta(type("Stack", (), {"parameters": {"w": weights}})(), 1.0, rho, eps).step()
        expected = math.sqrt(eps / (1 - rho))
        torch.testing.assert_close(weights.detach().abs(), torch.full((3,), expected).double(), rtol=1e-2, atol=0)


def test_glorots_weights_are_uniform_up_to_his_bound_and_biases_zero():
    before = torch.random.get_rng_state()
    model = architectures.glorot(architectures.conv_net((1, 28, 28), (16, 32, 64), seed=0), 5)
    assert torch.equal(before, torch.random.get_rng_state())
    fans = {0: (9, 9 * 16), 2: (9 * 16, 9 * 32), 6: (32 * 144, 64), 8: (64, 10)}  # in and out, kernels counted
    for index, (inner, outer) in fans.items():
        weight, bound = model[index].weight.detach(), math.sqrt(6 / (inner + outer))
        assert 0.95 * bound < weight.abs().max() <= bound and bool((model[index].bias == 0).all())
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
    again, other = (architectures.glorot(architectures.conv_net((1, 28, 28), (16, 32, 64)), s) for s in (5, 6))
    assert torch.equal(again[0].weight, model[0].weight) and not torch.equal(other[0].weight, model[0].weight)


@pytest.mark.parametrize("kind", [fig1.Figure1, fig3.Figure3, transient.Transient])
@pytest.mark.parametrize(("key", "value"), [("optimizer", "lion"), ("initialization", "he"), ("adadelta_rho", 1.1)])
def test_an_unknown_recipe_is_refused(kind, key, value):
    with pytest.raises(ValueError, match=f"{key} (has|is) '?{value}"):
        kind.at("quick", **{key: value})


@pytest.mark.parametrize("name", ["fig1", "fig3"])
def test_stored_results_are_of_the_recipe_that_was_fixed_before(name):
    stored = load(name)
    known = stored.experiment.config.completed(stored["config"])
    assert {key: known[key] for key in RECIPE} == {key: value for key, (value, *_) in RECIPE.items()}
    assert not stored.unlike_paper() and "adadelta" not in stored.command and not stored.stale


# ------------------------------------------------------------------------ the first steps


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
@pytest.mark.parametrize("name", ["PyTorch", "Keras", "SGD"])
def test_the_first_steps_are_those_of_a_plain_loop(name, machine, double):
    sizes, optimizer = OPTIMIZERS[name]
    states, x, y, model = plain(optimizer)
    run = transient.runs(replace(FIRST, **sizes), CELLS, None, machine)[1]
    size = states[0].norm()
    assert run["step"] == list(range(9))  # four steps an epoch
    for step, state in enumerate(states):
        nn.utils.vector_to_parameters(state, model.parameters())
        hidden = model[:-1](x[:30])
        assert run["distance"][step] == pytest.approx(((state - states[0]).norm() / size).item(), **CLOSE)
        since = (state - states[4]).norm() / size if step > 4 else torch.zeros(())
        assert run["since"][step] == pytest.approx(since.item(), **CLOSE)
        assert run["loss"][step] == pytest.approx(LOSSES["least_squares"](model[-1](hidden), y[:30]).item(), **CLOSE)
        right = (model[-1](hidden).argmax(dim=1) == y[:30]).double().mean().item()
        assert run["accuracy"][step] == pytest.approx(right, abs=1e-9)
        never = [unit for unit in range(8) if not bool((hidden[:, unit] > 0).any())]
        assert run["dead"][step] == pytest.approx(len(never) / 8, abs=1e-6)


def test_later_epochs_are_looked_at_once_and_end_where_figure_3_does():
    config = replace(FIRST, epochs=4, step_by_step=1)
    run = transient.runs(config, CELLS, None, Machine())[1]
    assert run["step"] == [0, 1, 2, 3, 4, 8, 12, 16]
    whole = fig3.runs(replace(FIGURE3, epochs=4), CELLS, None, Machine())[1]
    assert run["distance"][-1] == pytest.approx(whole["distance"][-1], rel=1e-4)
    assert run["distance"][4] == pytest.approx(whole["distance"][1], rel=1e-4)


def test_the_network_of_a_stack_is_looked_at_without_changing_it():
    """Looking loads a run's weights into the one module of a stack; the training must not notice."""
    looked = transient.runs(FIRST, CELLS, None, Machine())
    apart = [transient.runs(FIRST, [cell], None, Machine())[0] for cell in CELLS]
    for one, other in zip(looked, apart):
        assert one["distance"] == pytest.approx(other["distance"], rel=1e-4)


# ------------------------------------------------------------------------ Figure 1 by recipes

TINY = recipes.Recipes.at("quick", validation_size=20, test_size=30, seeds=2, **SMALL)


def test_each_recipe_is_figure_1_with_its_sizes():
    for recipe, sizes in {
        "torch": {},
        "keras": {"adadelta_rho": 0.95, "adadelta_eps": 1e-7, "initialization": "glorot"},
        "sgd": {"optimizer": "sgd", "step_size": 0.1},
    }.items():
        expected = replace(FIGURE1, seeds=2, corruption_rates=(0.0, 0.5), **sizes)
        assert recipes.figure1(TINY, recipe) == expected
        cell = {"recipe": recipe, "corruption_rate": 0.5, "seed": 1}
        own = recipes.EXPERIMENT.run(TINY, **cell)
        plain_run = fig1.run(expected, 0.5, 1)
        assert {key: own[key] for key in plain_run} == plain_run and len(own["dead"]) == len(own["epoch"])
    assert set(recipes.RECIPES) == {"torch", "keras", "sgd"} == set(recipes.NAMES)


def test_every_seed_has_noise_and_the_first_one_the_control():
    cells = recipes.cells(TINY)
    assert len(cells) == 9 and [c for c in cells if c["corruption_rate"] == 0 and c["seed"]] == []
    groups = recipes.EXPERIMENT.groups(cells, 40)
    assert all(len({(cell["recipe"], cell["seed"]) for cell in group}) == 1 for group in groups)


def test_recipes_are_measured_less_often_than_every_epoch_in_the_end():
    run = recipes.EXPERIMENT.run(replace(TINY, epochs=32), recipe="sgd", corruption_rate=0.5, seed=0)
    assert run["epoch"] == [*range(21), 30, 32]


# ------------------------------------------------------------------------ what the curves say, a number a seed


def cell(rate, seed, noisy, true, test, **more):
    """A run of three measurements, the second of which clean validation labels choose."""
    curves = {"noisy": noisy, "true": true, "test": test, "validation": [0.1, 0.9, 0.5]}
    return {"loss": "least_squares", "corruption_rate": rate, "seed": seed, "epoch": [0, 1, 2], **curves, **more}


CURVES = [
    cell(0.0, 0, [0.1, 0.97, 1.0], [0.1, 0.97, 1.0], [0.1, 0.96, 0.98]),
    cell(0.0, 1, [0.1, 0.98, 1.0], [0.1, 0.98, 1.0], [0.1, 0.95, 0.99]),
    cell(0.5, 0, [0.1, 0.57, 0.9], [0.1, 0.93, 0.6], [0.1, 0.94, 0.70]),
    cell(0.5, 1, [0.1, 0.54, 0.8], [0.1, 0.95, 0.5], [0.1, 0.97, 0.75]),
    cell(0.9, 0, [0.1, 0.90, 0.7], [0.1, 0.40, 0.2], [0.1, 0.30, 0.20]),
    cell(0.9, 1, [0.1, 0.90, 0.9], [0.1, 0.45, 0.3], [0.1, 0.30, 0.20]),
]
SIZES = {"train_size": 50_000, "validation_size": 9_000, "test_size": 10_000, "epochs": 200, "seeds": 2}
FIGURE = {"experiment": "fig1", "cells": CURVES, "config": SIZES}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("given_fitted", [0.7, 0.8]),
        ("unseen_lost", [0.28, 0.24]),
        ("truth_off_line", [0.05, 0.11]),  # 0.6 and 0.5 beside 0.55, 0.2 and 0.3 beside 0.19
        ("given_off_line", [0.03, 0.02]),  # at 0.9 nobody looks
        ("unseen_kept", [0.94, 0.95]),
        ("truth_at_half", [0.93, 0.95]),
        ("corrected", [0.38, 0.40]),
        ("gained", [0.20, 0.15]),
        ("sizes", [0.9, 0.9]),
    ],
)
def test_a_reading_of_figure_1_is_one_number_a_seed(name, values):
    assert getattr(readings, name)(Result(Path("made-up.json"), FIGURE)).tolist() == pytest.approx(values)


def test_a_recipe_is_read_seed_by_seed():
    cells = [one | {"recipe": recipe, "noisy": [*one["noisy"][:2], one["noisy"][2] - less]}
             for recipe, less in (("torch", 0.0), ("sgd", 0.1)) for one in CURVES]  # fmt: skip
    made = Result(Path("made-up.json"), FIGURE | {"cells": cells})
    assert recipes.fitted_by_sgd(made).tolist() == pytest.approx([0.8, 0.7])
    assert recipes.behind(made, "sgd").tolist() == pytest.approx([0.1, 0.1])
    assert recipes.early(made, "torch").tolist() == pytest.approx([0.93, 0.95])
    assert recipes.gained_by_sgd(made).tolist() == pytest.approx([0.33, 0.45])


def test_the_first_steps_are_read_seed_by_seed():
    steps = [
        {"corruption_rate": rate, "seed": seed, "distance": [0, 0.1, 0.2, moved, 0.5], "dead": [0, 0, 0, dead, 0]}
        for rate, seed, moved, dead in ((0.0, 0, 0.3, 0.8), (0.0, 1, 0.4, 0.6), (0.5, 0, 0.3, 0.9), (0.5, 1, 0.5, 0.6))
    ]
    made = Result(Path("x.json"), {"cells": steps, "config": {"train_size": 50, "batch_size": 16}})
    assert transient.per_epoch(made) == 4
    assert transient.share_of_epoch(made).tolist() == pytest.approx([0.6, 0.9])
    assert transient.spread(made).tolist() == pytest.approx([0, 0.1 / 0.45])


def test_the_network_has_the_parameters_of_the_paper():
    assert readings.millions_of_parameters([0, 1]).tolist() == [4.795914] * 2


def test_sentences_by_hand_hold_in_the_stored_run():
    """Another run may need other words: read chapter 4's section on recipes before this is changed."""
    stored = load("recipes")
    fits = {one: recipes.fitted(stored, one) for one in stored.levels("recipe")}
    assert min(fits["torch"].min(), fits["keras"].min()) > 0.99  # near a perfect fit of so few images
    assert len(fits) == 3 and fits["sgd"].max() < 0.95
