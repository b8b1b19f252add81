"""What a result of trainings to the end says, by plain loops over made-up numbers; and a run by the bench itself."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop.figures import bench, unstopped
from earlystop.figures.unstopped import NAMES, Unstopped
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.streams import random_stream

SMALL = Unstopped.at(
    "quick", train_size=30, validation_size=20, test_size=25, width=6, epochs=2, batch_size=10, seeds=2
)


@pytest.fixture(scope="module")
def made():
    """Numbers by chance, of all cells."""
    chance, cells = random_stream(0, "made up"), []
    for cell in unstopped.cells(SMALL):
        setting = unstopped.settings(cell["remedy"])[cell["setting"]]
        curves = {key: torch.rand(4, generator=chance).tolist() for key in unstopped.KEPT}
        cells.append(cell | curves | {"value": next(iter(setting.values()), 0.0)})
    return Result(Path("made"), {"config": vars(SMALL), "cells": cells, "experiment": "unstopped"})


def test_every_setting_of_every_grid_is_a_cell_with_wrong_labels_and_without():
    found = unstopped.cells(SMALL)
    assert len(found) == 2 * 2 * (4 * 4 + 2) and len({tuple(cell.items()) for cell in found}) == len(found)
    assert unstopped.settings("ridge")[1] == {"strength": 2.0} and unstopped.settings("cross_entropy") == [{}]


def by_hand(made, name, rate):
    """The chosen setting's cells, by loops."""
    groups = {}
    for cell in made["cells"]:
        if cell["remedy"] == name and cell["corruption_rate"] == rate:
            groups.setdefault(cell["setting"], []).append(cell)
    return max(groups.values(), key=lambda group: sum(cell["noisy_validation"][-1] for cell in group))


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_is_chosen_by_noisy_labels_and_then_read(made, name):
    mine = by_hand(made, name, 0.4)
    assert unstopped.chosen(made, name, 0.4) == mine[0]["setting"]
    assert unstopped.value(made, name, 0.4) == mine[0]["value"]
    assert unstopped.last(made, name).tolist() == [cell["test"][-1] for cell in mine]
    assert unstopped.best(made, name).tolist() == [max(cell["test"]) for cell in mine]
    stops = [max(range(4), key=cell["noisy_validation"].__getitem__) for cell in mine]
    assert unstopped.stopped(made, name).tolist() == [cell["test"][stop] for cell, stop in zip(mine, stops)]


def test_differences_are_those_of_their_names(made):
    last = {name: unstopped.last(made, name) for name in NAMES}
    assert torch.equal(unstopped.lost_by_ridge(made), unstopped.best(made, "ridge") - last["ridge"])
    assert (unstopped.lost_by_auxiliary(made) >= 0).all()
    for found, name, plain in (
        (unstopped.auxiliary_over_cross_entropy, "auxiliary", "cross_entropy"),
        (unstopped.sparse_over_least_squares, "sparse", "least_squares"),
        (unstopped.small_loss_over_cross_entropy, "small_loss", "cross_entropy"),
    ):
        assert torch.equal(found(made), last[name] - unstopped.stopped(made, plain))


def test_the_table_has_the_means_in_percent(made):
    header, rows = unstopped.table(made)
    assert [row[0] for row in rows] == list(NAMES.values()) and all(len(row) == len(header) for row in rows)
    assert rows[0][1] == "–" and float(rows[1][1]) == unstopped.value(made, "ridge", 0.4)
    assert float(rows[2][4]) == pytest.approx(100 * unstopped.last(made, "auxiliary").mean().item(), abs=0.06)


def test_a_run_is_that_of_the_bench_and_memorizes_by_its_own_count():
    found = unstopped.run(SMALL, "sparse", 2, 0.4, 1, Machine())
    problem = bench.problem(SMALL, "uniform", 0.4, 1)
    assert round(problem.wrong.double().mean().item() * 30) in range(6, 19) and found["value"] == 0.2
    direct = bench.curves(problem, "sparse", {"price": 0.2}, SMALL, 1, Machine())
    assert all(found[key] == pytest.approx(direct[key], abs=1e-5) for key in unstopped.KEPT)
    clean = unstopped.run(SMALL, "least_squares", 0, 0.0, 1, Machine())
    assert clean["memorized"] == [0.0] * 3  # no label is wrong


def test_the_pictures_have_every_way_with_noise_and_without(made):
    figure = unstopped.draw(made)
    assert [ax.get_title() for ax in figure.axes] == list(NAMES.values())
    assert all(len(ax.lines) == 3 for ax in figure.axes)
    strength = unstopped.draw_strength(made)
    for ax, name in zip(strength.axes, ("ridge", "auxiliary")):
        ends = [
            made.numbers("test", remedy=name, corruption_rate=0.4, setting=i)[:, -1].mean().item() for i in range(4)
        ]
        assert ax.lines[0].get_ydata().tolist() == pytest.approx(ends)
    plt.close("all")
