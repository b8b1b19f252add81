"""The league of remedies: cells, tuning, costs and what is read off, against loops and numbers by hand."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop.figures import bench, league
from earlystop.remedies import REMEDIES
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result, load

ROOT = Path(__file__).parents[1]
SMALL = {**league.TINY, "tuning_seeds": 1, "seeds": 2}
CONFIG, QUIET = league.League.at("quick", **SMALL), Machine(watched=False)


def cell(remedy, noise="uniform", seed=0):
    return {"remedy": remedy, "noise": noise, "seed": seed}


def run(remedy, noise="uniform", seed=0, config=CONFIG):
    return league.runs(config, [cell(remedy, noise, seed)], None, QUIET)[0]


# ------------------------------------------------------------------------ cells and tuning


def test_every_remedy_meets_every_noise_with_every_seed():
    cells = league.cells(league.League.at("quick"))
    assert len(cells) == len(REMEDIES) * 3 * 5 == len({json.dumps(one) for one in cells})
    groups = league.EXPERIMENT.groups(cells, 40)
    assert all(len({(one["remedy"], one["noise"]) for one in group}) == 1 for group in groups)
    assert set(league.NAMES) == set(REMEDIES)


@pytest.mark.parametrize("name", REMEDIES)
def test_all_have_the_same_tuning_budget_or_nothing_to_tune(name):
    assert len(league.settings(name)) in (1, 4)
    assert len(league.settings(name)) == 4 or name in ("cross_entropy", "least_squares")


def test_settings_are_tuned_on_noisy_labels_and_seeds_of_their_own(monkeypatch):
    """The scores again by hand; and clean labels of validation and test may be anything."""
    found = run("generalized")
    one = bench.problem(CONFIG, "uniform", 0.4, league.TUNING)
    scores = [
        max(bench.curves(one, "generalized", {"power": power}, CONFIG, league.TUNING, QUIET)["noisy_validation"])
        for power in (0.3, 0.5, 0.7, 0.9)
    ]
    assert found["scores"] == pytest.approx(scores, abs=1e-5) and found["place"] == scores.index(max(scores))
    assert found["settings"] == f"power {(0.3, 0.5, 0.7, 0.9)[found['place']]:.3g}"
    league.tuned.cache_clear()
    problem, asked = bench.problem, []

    def spoiled(*arguments, **more):
        asked.append(arguments[3])
        real = problem(*arguments, **more)
        return replace(real, test_labels=0 * real.test_labels, clean_validation=0 * real.clean_validation)

    monkeypatch.setattr(league, "problem", spoiled)
    again = run("generalized")
    assert again["scores"] == found["scores"] and asked == [league.TUNING, 0]
    league.tuned.cache_clear()


def test_a_run_has_the_curves_of_the_bench():
    one = bench.problem(CONFIG, "pair", 0.4, 1)
    expected = bench.curves(one, "cross_entropy", {}, CONFIG, 1, QUIET)
    found = run("cross_entropy", "pair", 1)
    for key in league.KEPT:
        assert found[key] == pytest.approx(expected[key], abs=1e-5)
    assert found["wrong"] == one.wrong.double().mean() == pytest.approx(0.4, abs=0.1)
    assert found["settings"] == "none" and found["scores"] == [0.0]


def test_the_control_has_no_wrong_label():
    assert run("cross_entropy", "none")["wrong"] == 0


def test_a_run_goes_on_from_its_checkpoint():
    class Half:
        def load(self):
            return {"found": [{"first": 1}]}

        def save_when_due(self, state):
            self.saved = state()

    half = Half()
    found = league.runs(CONFIG, [cell("cross_entropy", seed=0), cell("cross_entropy", seed=1)], half, QUIET)
    assert found[0] == {"first": 1} and found[1]["test"] == run("cross_entropy", seed=1)["test"]
    assert half.saved["found"] == found


@pytest.mark.parametrize(("name", "expected"), [("cross_entropy", 1.0), ("early_learning", 1.0), ("co_teaching", 2.0)])
def test_costs_are_passes_over_those_of_one_plain_network(name, expected):
    assert run(name)["passes"] == pytest.approx(expected)


def test_the_cost_of_choosing_counts_a_third(monkeypatch):
    """CRUST with a first choice at epoch 3 of 4: two whole epochs, then a part of the samples and a look at all."""
    monkeypatch.setattr(league.found_by("coreset"), "grid", {"kept": (0.5,), "first": (3,)})
    kept = sum(
        max(1, round(0.5 * count)) for count in torch.bincount(bench.problem(CONFIG, "uniform", 0.4, 0).given).tolist()
    )
    assert run("coreset")["passes"] == pytest.approx((2 * 40 + 2 * kept + 2 * 40 / 3) / (4 * 40))


# ------------------------------------------------------------------------ what is read off


def made(cells, **config):
    return Result(Path("made-up.json"), {"experiment": "league", "cells": cells, "config": config})


def curve(remedy, seed, test, noisy, memorized, noise="uniform", passes=1.0):
    keys = {"remedy": remedy, "noise": noise, "seed": seed, "epoch": [0, 1, 2], "settings": "none", "wrong": 0.4}
    return keys | {"test": test, "noisy_validation": noisy, "memorized": memorized, "passes": passes}


TWO = made([
    curve("cross_entropy", 1, [0.1, 0.9, 0.6], [0.1, 0.5, 0.6], [0.1, 0.2, 0.8]),
    curve("cross_entropy", 0, [0.1, 0.8, 0.5], [0.1, 0.6, 0.5], [0.1, 0.2, 1.0]),
    curve("early_learning", 0, [0.1, 0.9, 0.9], [0.1, 0.6, 0.5], [0.1, 0.2, 0.3]),
    curve("early_learning", 1, [0.1, 0.9, 0.8], [0.1, 0.6, 0.5], [0.1, 0.2, 0.2]),
])  # fmt: skip


@pytest.mark.parametrize(
    ("what", "values"),
    [("best", [0.8, 0.9]), ("stopped", [0.8, 0.6]), ("last", [0.5, 0.6]), ("memorized", [1.0, 0.8]),
     ("regret", [0.0, 0.3]), ("passes", [1.0, 1.0])],
)  # fmt: skip
def test_columns_are_one_number_a_seed_in_the_order_of_seeds(what, values):
    assert league.column(TWO, what, "cross_entropy", "uniform").tolist() == pytest.approx(values)


def test_remedies_are_compared_seed_by_seed():
    assert league.elr_ahead(TWO).tolist() == pytest.approx([10, 30])
    assert league.elr_memorized(TWO).tolist() == pytest.approx([0.3, 0.25])
    assert league.ranked(TWO, "uniform") == ["early_learning", "cross_entropy"]
    assert league.clear(TWO, "uniform") == []  # two seeds are not enough
    assert league.half(torch.tensor([0.5])) == 0
    alone = [cell for cell in TWO["cells"] if cell["seed"] == 0]
    assert league.clear(made(alone), "uniform") == []  # and one even less


def test_every_reading_of_the_ledger_is_a_number_a_seed():
    names = ("cross_entropy", "early_learning", "smoothing", "generalized", "co_teaching", "coreset")
    test = lambda i, j: [0.1, 0.8 - i / 100 - j / 1000, 0.5 + i / 10 - j / 50]
    noises = enumerate(("none", "uniform", "pair"))
    cells = [curve(name, seed, test(i, j), [0.1, 0.6, 0.5], [0, 0, 0.5 / (i + 1) / (j + 1)], noise)
             for j, noise in noises for i, name in enumerate(names) for seed in (0, 1)]  # fmt: skip
    result = made(cells)
    expected = {
        "elr_ahead": -1, "elr_memorized": 1 / 2, "smoothing_memorized": 1 / 3, "robust_last": 100 * (0.78 - 0.799),
        "coreset_ahead": -5, "control_lost": 5,
    }  # fmt: skip
    for name, value in expected.items():
        assert getattr(league, name)(result).tolist() == pytest.approx([value] * 2, abs=1e-9), name
    header, rows = league.table(result, "pair")
    assert {len(row) for row in rows} == {len(header)} and len(rows) == len(names)
    assert league.lost(result, "cross_entropy", "none") == pytest.approx(30)
    assert league.worst_regret(result, "pair") == (pytest.approx(21.2), "CRUST")  # at best 0.96, stopped at 0.748
    assert league.caption(made(cells, corruption_rate=0.4), "pair").startswith("40% of the labels are the next class:")
    people = [curve("ridge", s, [0, 1], [0, 1], [0, 1], "human") | {"wrong": w} for s, w in ((0, 0.3), (1, 0.4))]
    assert league.caption(made(people), "human").startswith("35% of the labels that people gave are wrong:")
    league.draw(result)
    league.draw_losses({"generalized": result.select(remedy="generalized", noise="none")})
    plt.close("all")


def test_sentences_count_who_is_ahead_by_more_than_chance():
    """Of three seeds one remedy is ahead in all, one by chance; nobody in the end."""
    gains = {"cross_entropy": (0, 0, 0), "smaller_steps": (0.1, 0.101, 0.102), "ridge": (0.2, 0.0, -0.1)}
    cells = [curve(name, seed, [0.1, 0.7 + gain, 0.5], [0.1, 0.6, 0.5], [0, 0, 0], "human")
             for name, all_of in gains.items() for seed, gain in enumerate(all_of)]  # fmt: skip
    told = league.compared(made(cells), "human")
    assert told.startswith("With labels by people cross-entropy loses **20.0 points** from its best epoch")
    assert "where 0 others" in told and "**1** are ahead of it, and **0** are ahead of cross-entropy" in told


def test_what_lies_far_to_the_left_is_a_triangle_at_the_edge():
    ends = {"cross_entropy": 0.1, "ridge": 0.85}
    cells = [
        curve(name, seed, [0.1, 0.9, end], [0.1, 0.6, 0.5], [0, 0, 0]) for name, end in ends.items() for seed in (0, 1)
    ]
    (ax,) = league.draw(made(cells)).axes
    marks = {line.get_marker(): line.get_xdata()[0] for line in ax.lines if line.get_marker() in "<x"}
    assert marks == {"<": pytest.approx(90 - league.OUTSIDE), "x": pytest.approx(85)}
    plt.close("all")


def test_a_remedy_whose_settings_all_score_alike_was_not_tuned():
    cells = [curve(name, seed, [0, 1], [0, 1], [0, 1]) | {"scores": scores}
             for name, scores in (("cross_entropy", [0.0]), ("coreset", [0.5] * 4), ("smoothing", [0.5, 0.5, 0.6, 0.5]))
             for seed in (0, 1)]  # fmt: skip
    assert league.undecided(made(cells), "uniform") == ["CRUST"]


def test_the_grid_on_the_page_has_four_settings_a_row():
    rows = league.grids()
    assert len(rows) == len(REMEDIES) - 2 and all(row[1].count(";") == 3 for row in rows)
    assert league.name_of("tests.toy_remedy:Trimmed") == "Trimmed" and league.name_of("coreset") == "CRUST"


# ------------------------------------------------------------------------ its command


@pytest.mark.leg
def test_a_remedy_of_ones_own_is_compared_by_the_command_line(tmp_path):
    sizes = [f"--set={key}={value}" for key, value in {**SMALL, "seeds": 1, "epochs": 2, "noises": "pair"}.items()]
    command = [sys.executable, "-m", "earlystop", "run", "league", "--scale", "quick", "--yes", "--jobs", "1",
               "--out", str(tmp_path), "--set", "remedies=tests.toy_remedy:Trimmed", *sizes]  # fmt: skip
    where = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT / "src")}}
    told = subprocess.run(command, capture_output=True, text=True, check=False, **where)
    assert told.returncode == 0, told.stderr
    assert not [path for path in tmp_path.rglob("*") if ":" in path.name]
    stored = load("league", tmp_path)
    (found,) = stored["cells"]
    assert found["remedy"] == "tests.toy_remedy:Trimmed" and len(found["scores"]) == 4


@pytest.mark.parametrize("network", ["cnn", "resnet"])
def test_deeper_networks_take_the_same_remedies(network):
    """The form for a GPU, end to end on tiny sizes."""
    config = league.League.at("quick", **SMALL | {"network": network, "width": 4, "epochs": 2, "train_size": 24})
    for name in ("progressive", "co_teaching", "coreset", "ridge", "auxiliary"):
        assert len(run(name, config=config)["test"]) == 3
