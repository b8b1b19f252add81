"""The comparison of rules: what is kept of a run, and what is read off it."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop import rules
from earlystop.figures import bench, stopping
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result

SMALL = stopping.Stopping.at(
    "quick", train_size=50, validation_size=30, test_size=20, width=8, side=8, epochs=2, noises=("uniform", "by class"),
    seeds=2, paces=("constant", "cosine"), losses=("cross_entropy",),
)  # fmt: skip


def test_every_noise_and_pace_is_run_with_every_seed_and_another_loss_with_constant_steps():
    found = stopping.cells(stopping.Stopping.at("quick"))
    assert len(found) == len({tuple(cell.values()) for cell in found}) == 4 * (3 + 1) * 5
    assert stopping.Stopping.at("paper").seeds >= 5


def test_a_run_keeps_the_curves_of_the_bench_and_the_share_that_is_wrong():
    cell = {"noise": "by class", "pace": "cosine", "loss": "cross_entropy", "seed": 1}
    (found,) = stopping.runs(SMALL, [cell], None, Machine())
    posed = bench.problem(SMALL, "by class", 0.2, 1, 0.02)
    expected = bench.curves(posed, "cross_entropy", {}, SMALL, 1, Machine(), "cosine")
    expected["cross_entropy"] = expected.pop("loss")  # the cell's own loss has this name
    assert found.keys() == {*expected, "noise_level"} and not found.keys() & cell.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, abs=1e-5)
    assert found["noise_level"] == (posed.given != posed.true).double().mean().item()
    unseen = (posed.noisy_validation != posed.clean_validation).sum().item()
    assert posed.planted.sum() == 1 and posed.wrong.sum().item() + unseen in (15, 16)  # of 80, one perhaps replanted


def cell(noise, pace, seed, loss="cross_entropy"):
    """A run of four epochs whose rules choose differently."""
    late = pace == "cosine"
    return {
        "noise": noise, "pace": pace, "loss": loss, "seed": seed, "run": 0, "epoch": [0, 1, 2, 3, 4],
        "test": [0.1, 0.8 + 0.01 * seed, 0.9, 0.7, 0.6], "validation": [0.1, 0.8, 0.9, 0.7, 0.6],
        "noisy_validation": [0.1, 0.7, 0.6, 0.5, 0.5], "given": [0.1, 0.6, 0.7, 0.8, 1.0],
        "planted": [0.1, 0.0, 0.1, 0.2, 0.9], "changed": [1.0, 0.3, 0.2, 0.1, 0.05 if late else 0.4],
        "memorized": [0.0] * 5, "corrected": [0.0] * 5, "noise_level": 0.2,
    }  # fmt: skip


def made_up():
    cells = [
        cell(noise, pace, seed)
        for noise in ("none", "uniform", "pair", "by class")
        for pace in ("constant", "cosine")
        for seed in range(3)
    ]
    config = vars(stopping.Stopping.at("quick"))
    return Result(Path("made-up.json"), {"experiment": "stopping", "cells": cells, "config": config})


def test_what_a_rule_loses_is_one_number_a_seed():
    result = made_up()
    assert stopping.noisy_validation_uniform(result).tolist() == pytest.approx([0.1, 0.09, 0.08])
    assert stopping.noisy_validation_pair(result).tolist() == pytest.approx([0.1, 0.09, 0.08])
    assert stopping.label_wave_uniform(result).tolist() == pytest.approx([0.2] * 3)  # .2 over epochs 1 to 3, then .233
    assert stopping.planted_uniform(result).tolist() == pytest.approx([0.0] * 3)
    assert stopping.discrepancy_uniform(result).tolist() == pytest.approx([0.2] * 3)  # told .2: epoch 3
    assert stopping.wave_lost_by_cosine(result).tolist() == pytest.approx([0.1] * 3)
    assert stopping.control(result).tolist() == [-1.0] * 3  # best at epoch 2, stopped at 3
    law = rules.uniform_law(torch.tensor([0.8, 0.9, 0.7, 0.6], dtype=torch.float64), 0.3)
    expected = (torch.tensor([0.7, 0.6, 0.5, 0.5], dtype=torch.float64) - law).mean().item()
    assert stopping.off_the_law(result, "pair").tolist() == pytest.approx([expected] * 3)


def test_a_rule_of_the_readers_own_is_a_row_of_the_table_and_of_the_picture():
    result, mine = made_up(), {"mine": lambda curves: 2}
    header, rows = stopping.table(result, mine)
    assert len(header) == 5 and rows[-1] == ["mine", "0.0", "0.0", "0.0", "0.0"] and len(rows) == 7
    figure = stopping.draw(result, mine)
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == [*stopping.compared(result), "mine"]
    plt.close(figure)
    assert stopping.epochs(result, mine["mine"], noise="pair", seed=0) == [2, 2]


def test_rules_of_a_command_are_known_before_anything_is_computed():
    config = stopping.Stopping.at("quick rules=last,test_rules:own")
    assert config.rules == ("last", "test_rules:own")
    with pytest.raises(ValueError, match="'wave' is no rule"):
        stopping.Stopping.at("quick rules=wave")
    result = made_up()
    result.content["config"] = result["config"] | {"rules": ["last", "test_rules:own"]}
    assert stopping.compared(result) == {"no stopping": "last", "test_rules:own": "test_rules:own"}
    for draw in stopping.EXPERIMENT.draw.values():
        plt.close(draw(result))


def test_labels_for_validation_are_as_wrong_as_those_for_training():
    config = replace(SMALL, train_size=1000, validation_size=200)
    one = stopping.posed(config, "by class", 0)
    wrong = one.noisy_validation != one.clean_validation
    assert not (wrong & (one.clean_validation % 2 == 1)).any()
    assert wrong.double().mean().item() == pytest.approx(0.2, abs=0.08)
