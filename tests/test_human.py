"""People's errors against drawn ones: the training beside a plain loop, and what its curves say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from earlystop.figures import human
from earlystop.figures.splits import load_split
from earlystop.label_noise import transition
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.store import Checkpoint
from earlystop.streams import random_stream

SMALL = human.Human.at(
    "quick", data="patterns", train_size=24, unseen_size=20, test_size=20, batch_size=16, width=4, hidden=8,
    epochs=2, looks=2, looked_until=1, seeds=2,
)  # fmt: skip
MACHINE = Machine(watched=False)
CELLS = [{"labels": kind, "seed": 1} for kind in human.LABELS]


def plain(kind):
    """The same training in plain PyTorch, and what it answers after the last step."""
    split = load_split("patterns", 24, 20, 0.0, 1, 20)
    x, v = split.inputs("train"), split.inputs("validation")
    labels = human.label_sets(split.train.labels, None, x, 1)
    held = human.label_sets(split.validation.labels, None, v, 1)
    model = human.conv3((3, 8, 8), 4, 8, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=SMALL.step_size)
    for epoch in (1, 2):
        order = torch.randperm(24, generator=random_stream(1, f"batches of epoch {epoch}"))
        for batch in order.split(16):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), labels[kind][batch]).backward()
            optimizer.step()
    return model(x), model(v), labels, held


@pytest.mark.parametrize("path", ["stacked", "side by side"])
def test_networks_are_trained_and_looked_at_as_by_a_plain_loop(path, double):
    runs = human.runs(SMALL, CELLS, None, replace(MACHINE, path=path))
    for kind, run in zip(human.LABELS, runs):
        seen, unseen, labels, held = plain(kind)
        assert run["epoch"] == [0, 0.5, 1, 2]
        assert run["loss"][-1] == pytest.approx(F.cross_entropy(seen, labels[kind]).item(), rel=1e-6)
        for other in ("human", "matched"):
            wrong, away = labels[other] != labels["none"], held[other] != held["none"]
            answers = seen.argmax(1)[wrong]
            assert run[f"seen {other}"][-1] == (answers == labels[other][wrong]).double().mean().item()
            assert run[f"true {other}"][-1] == (answers == labels["none"][wrong]).double().mean().item()
            assert run[f"unseen {other}"][-1] == (unseen.argmax(1) == held[other])[away].double().mean().item()
            expected = F.cross_entropy(seen[wrong], labels[other][wrong]).item()
            assert run[f"loss {other}"][-1] == pytest.approx(expected, rel=1e-6)


def test_an_interrupted_training_goes_on_where_it_was(tmp_path, monkeypatch):
    original, whole = human.train_epoch, human.runs(SMALL, CELLS, None, MACHINE)

    def interrupted(step, labels, epoch, *rest):
        if epoch == 2:
            raise KeyboardInterrupt
        original(step, labels, epoch, *rest)

    monkeypatch.setattr(human, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        human.runs(SMALL, CELLS, Checkpoint(tmp_path, "me", every=0), MACHINE)
    trained = []
    monkeypatch.setattr(human, "train_epoch", lambda *all_of: trained.append(all_of[2]) or original(*all_of))
    assert human.runs(SMALL, CELLS, Checkpoint(tmp_path, "me"), MACHINE) == whole
    assert trained == [2]


def test_the_three_start_alike_and_see_the_same_images_and_matrix():
    runs = human.runs(SMALL, CELLS, None, MACHINE)
    for key in ("seen human", "unseen matched", "test", "loss human"):
        assert len({run[key][0] for run in runs}) == 1
    *_, labels, _ = plain("none")
    assert torch.equal(transition(labels["none"], labels["human"]), transition(labels["none"], labels["matched"]))


def test_a_resnet_goes_the_same_way():
    runs = human.runs(replace(SMALL, network="resnet", epochs=1), CELLS[:1], None, MACHINE)
    assert len(runs[0]["seen human"]) == 3 and runs[0]["loss"][0] > 0
    with pytest.raises(ValueError, match="network has 'vgg'"):
        human.Human.at("quick", network="vgg")


def test_the_network_has_about_three_million_products_for_an_image():
    model, count = human.conv3((3, 32, 32), 16, 512, 0), 0
    x: Any = torch.zeros(1, 3, 32, 32)
    for layer in model.children():
        out: Any = layer(x)
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            count += layer.weight.numel() * (out.shape[2] * out.shape[3] if out.ndim == 4 else 1)
        x = out
    assert x.shape == (1, 10) and 2.5e6 < count < 4e6


def test_one_looks_finely_in_the_first_epochs():
    assert human.looked_at(replace(SMALL, train_size=160, looks=4)) == [{2, 5, 8, 10}, {10}]
    assert human.work(SMALL) == 2 * 24 + 4 * 64 / 3


def test_a_time_is_read_between_two_looks():
    curves = torch.tensor([[0.0, 0.4, 0.8, 0.6], [0.5, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3], [0.0, 0.0, 0.5, 1.0]])
    found = human.time_to(torch.tensor([0.0, 1.0, 2.0, 4.0]), curves, 0.5)
    assert found.tolist() == pytest.approx([1.25, 0, float("inf"), 2])


def made(human_seen=(0.1, 0.3, 0.7), matched_seen=(0.1, 0.2, 0.6), foreseen=(0.05, 0.02)):
    """Two seeds, the second half an epoch faster with people's labels; looks at 0, 6 and 8 epochs."""
    cells = []
    for seed in (1, 0):  # in any order
        more = {"epoch": [0, 6, 8], "seed": seed, "test": [0.1, 0.5, 0.4]}
        shifted = [human_seen[0], human_seen[1] + 0.1 * seed, human_seen[2]]
        curves = {"unseen human": [0.1, 0.12, 0.1], "unseen matched": [0.1, 0.08, 0.1], "true human": [0.1, 0.5, 0.3]}
        curves |= {"true matched": [0.1, 0.6, 0.4]} | more
        cells += [
            {"labels": "human", "seen human": shifted, "seen matched": [0.1] * 3, **curves},
            {"labels": "matched", "seen human": [0.1] * 3, "seen matched": list(matched_seen), **curves},
            {"labels": "none", "seen human": [0.1, foreseen[0], 0], "seen matched": [0.1, foreseen[1], 0], **curves},
        ]
    return Result(Path("made-up.json"), {"experiment": "human", "cells": cells, "config": {"data": "digits"}})


@pytest.mark.parametrize(
    ("reading", "values"),
    [
        ("earlier", [7.5 - 7.0, 7.5 - (6 + 2 / 3)]),  # half is reached where the line from 6 to 8 crosses it
        ("sooner", [0.1, 0.2]),
        ("foreseen", [0.03, 0.03]),
        ("beyond", [0.07, 0.17]),
        ("unseen", [0.04, 0.04]),
        ("by_heart", [0.06, 0.16]),
    ],
)
def test_differences_are_read_seed_by_seed(reading, values):
    assert getattr(human, reading)(made()).tolist() == pytest.approx(values)


def test_undecided_is_an_answer():
    assert human.decided(torch.tensor([1.0, 1.1, 0.9])) == "yes"
    assert human.decided(torch.tensor([-1.0, -1.1, -0.9])) == "the other way round"
    assert human.decided(torch.tensor([1.0, -1.0, 0.5])) == "undecided"
    header, rows = human.table(made())
    assert len(header) == 4 and [len(row) for row in rows] == [4] * 5 and "stand-in" in human.whose(made())
    assert rows[0][:2] == ["epochs earlier, until 50% are memorized", "+0.67"] and rows[1][1] == "+15.0"
    assert "**15.0 points** more" in human.told(made()) and "it is 3.0 points" in human.told(made())
    assert human.told(made()).count("**undecided**") == 1 + (human.decided(human.earlier(made())) == "undecided")
    human.draw(made())


def test_the_data_are_named_by_their_hashes():
    assert human.EXPERIMENT.data(SMALL) == {}
    assert set(human.EXPERIMENT.data(replace(SMALL, data="cifar10n"))) == {"train", "test", "labels"}
