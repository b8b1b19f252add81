"""Suspicious labels and their share, against plain loops, all cases, and simulations in which the assumption holds."""

from itertools import pairwise

import pytest
import torch
from scipy.stats import binom
from torch import nn
from torch.nn import functional as F

from earlystop import suspects
from earlystop.architectures import seeded
from earlystop.figures import bench, shares
from earlystop.figures import suspects as room
from earlystop.remedies import Task
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.streams import random_stream

DRAW = torch.Generator().manual_seed(0)
INPUTS, LABELS = torch.randn(30, 3, generator=DRAW), torch.randint(3, (30,), generator=DRAW)


def network(seed):
    with seeded(seed):
        return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3))


TASK = Task(INPUTS, LABELS, network, 3, epochs=4, batch_size=8, seed=5)


def plain(rows, asked):
    """Probabilities after each epoch of a network trained on some rows by a plain loop."""
    model, found = network(5), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(1, 5):
        order = torch.randperm(len(rows), generator=random_stream(5, f"batches of epoch {epoch}"))
        for batch in order.split(8):
            optimizer.zero_grad()
            F.cross_entropy(model(INPUTS[rows[batch]]), LABELS[rows[batch]]).backward()
            optimizer.step()
        found.append(model(INPUTS[asked]).softmax(dim=1).detach())
    return torch.stack(found)


def test_each_label_is_judged_by_a_network_that_has_not_seen_it():
    fold, said = suspects.fold_of(LABELS, 3, seed=5), torch.empty(4, 30, 3)
    for k in range(3):
        said[:, fold == k] = plain((fold != k).nonzero()[:, 0], fold == k)
    agreement = (said.argmax(dim=2) == LABELS).double().mean(dim=1)
    best = int(agreement.argmax())
    found = suspects.cross_fit(TASK, folds=3)
    assert found.epoch == best + 1 and found.agreement[1:] == pytest.approx(agreement.tolist())
    torch.testing.assert_close(found.probabilities, said[best])
    torch.testing.assert_close(found.last, said[-1])
    expected = torch.tensor([1 - said[best, i, LABELS[i]] for i in range(30)])
    torch.testing.assert_close(found.suspicion, expected)
    everything = torch.arange(30)
    torch.testing.assert_close(found.model(INPUTS).softmax(dim=1), plain(everything, everything)[best])


def test_a_label_does_not_change_what_is_said_of_it():
    other = LABELS.clone()
    other[4] = (other[4] + 1) % 3
    fold = suspects.fold_of(LABELS, 30, seed=5)
    assert fold.sort().values.tolist() == list(range(30))  # each alone
    one, another = (suspects.cross_fit(Task(INPUTS, y, network, 3, epochs=1), folds=30) for y in (LABELS, other))
    torch.testing.assert_close(one.probabilities[4], another.probabilities[4])


def test_folds_deal_out_each_class_evenly():
    fold = suspects.fold_of(LABELS, 4, seed=1)
    for k in range(3):
        sizes = torch.bincount(fold[k == LABELS], minlength=4)
        assert sizes.max() - sizes.min() <= 1
    assert suspects.fold_of(LABELS, 4, seed=2).tolist() != fold.tolist()


def test_the_same_seed_gives_the_same_and_another_one_not():
    again = [suspects.cross_fit(Task(INPUTS, LABELS, network, 3, epochs=2, seed=s), 3).suspicion for s in (1, 1, 2)]
    assert torch.equal(again[0], again[1]) and not torch.equal(again[0], again[2])


@pytest.mark.parametrize("eta", [0.1, 0.3, 0.6])
def test_for_uniform_noise_the_chance_to_be_wrong_rises_with_suspicion(eta):
    """All samples and labels: the probability of true and given class, by Bayes' rule on the whole table."""
    truth = torch.softmax(3 * torch.randn(6, 4, generator=DRAW, dtype=torch.float64), dim=1)
    noise = torch.full((4, 4), eta / 3, dtype=torch.float64).fill_diagonal_(1 - eta)
    joint = truth[:, :, None] * noise  # sample, true class, given class
    given = joint.sum(dim=1)
    cases = [(1 - given[x, y].item(), 1 - (joint[x, y, y] / given[x, y]).item()) for x in range(6) for y in range(4)]
    said = suspects.suspicion(given.repeat_interleave(4, 0), torch.arange(4).repeat(6))
    assert said.tolist() == pytest.approx([one for one, _ in cases])
    assert all(a[1] < b[1] for a, b in pairwise(sorted(cases)))


# ------------------------------------------------------------------------ the share


@pytest.mark.parametrize("trials, eta", [(20, 0.05), (50, 0.2), (200, 0.3), (100, 0.01)])
def test_the_interval_holds_the_probability_as_often_as_it_says(trials, eta):
    """The sum over all outcomes, with nothing drawn."""
    held = 0.0
    for hits in range(trials + 1):
        low, high = suspects.clopper_pearson(hits, trials)
        held += binom.pmf(hits, trials, eta) * (low <= eta <= high)
    assert 0.95 <= held < 1


def test_the_share_is_found_where_all_assumptions_hold():
    """A network that is never wrong, of any confidence, and labels that are wrong by chance alone."""
    draw, held = torch.Generator().manual_seed(1), 0
    for _ in range(200):
        true = torch.randint(4, (400,), generator=draw)
        given = torch.where(torch.rand(400, generator=draw) < 0.2, (true + 1) % 4, true)
        sure = 0.5 + 0.5 * torch.rand(400, 1, generator=draw)
        said = F.one_hot(true, 4) * sure + (1 - F.one_hot(true, 4)) * (1 - sure) / 3
        found = suspects.share_wrong(said, given, network_error=0.0)
        assert abs(found.judged - 200) <= 4 and found.estimate == found.disagreeing / found.judged
        held += found.low <= 0.2 <= found.high
    assert held >= 184  # of 190 that are expected at least: the chance of fewer is below 1 in 100


def test_by_disagreement_the_share_is_known_up_to_the_networks_errors():
    for _ in range(100):
        answer, true, given = torch.randint(3, (3, 40), generator=DRAW)
        said = F.one_hot(answer, 3).double()
        apart, errors = (suspects.share_wrong(said, one, surest=1.0).estimate for one in (given, true))
        assert apart - errors - 1e-9 <= (given != true).double().mean() <= apart + errors + 1e-9


def test_the_surest_of_each_answer_count_and_an_uneven_half_is_noticed():
    sure = torch.linspace(0.9, 0.6, 100).repeat(2)
    answer = torch.arange(200) // 100
    said = torch.stack([torch.where(answer == k, sure, 1 - sure) for k in (0, 1)], dim=1)
    labels = answer.clone()
    labels[25:50] = 1  # the less sure half of the surest half of the first answer
    found = suspects.share_wrong(said, labels, surest=0.5)
    assert (found.judged, found.disagreeing, found.steady) == (100, 25, False)
    assert suspects.share_wrong(said, answer).steady
    labels[100:150] = 0
    assert suspects.share_wrong(said, labels, surest=0.5).disagreeing == 75


# ------------------------------------------------------------------------ the rooms


def test_confident_learning_is_that_of_a_plain_loop():
    said = torch.softmax(2 * torch.randn(60, 3, generator=DRAW), dim=1)
    labels = torch.randint(3, (60,), generator=DRAW)
    limits = [sum(said[i, k] for i in range(60) if labels[i] == k) / sum(labels == k) for k in range(3)]
    joint, suspected = torch.zeros(3, 3), []
    for i in range(60):
        over = [k for k in range(3) if said[i, k] >= limits[k]]
        best = max(over, key=lambda k: said[i, k]) if over else -1
        if over:
            joint[labels[i], best] += 1
        suspected.append(bool(over) and best != labels[i])
    expected = joint / joint.sum(dim=1, keepdim=True) * torch.bincount(labels)[:, None]
    torch.testing.assert_close(room.confident_joint(said, labels), expected.double())
    assert room.confident_suspects(said, labels).tolist() == suspected
    assert room.confident_share(said, labels) == pytest.approx(1 - expected.trace().item() / 60)
    margins = [max(said[i, k] for k in range(3) if k != labels[i]) - said[i, labels[i]] for i in range(60)]
    torch.testing.assert_close(room.margin(said, labels), torch.stack(margins))


def test_hard_samples_are_those_nearest_to_the_boundary():
    x = torch.linspace(-1, 1, 41)[:, None]
    labels = (x[:, 0] > 0).long()
    noisy = shares.hard_samples(x, labels, 0.2)
    wrong = (noisy != labels).nonzero()[:, 0]
    assert len(wrong) == 8 and x[wrong].abs().max() <= 0.26


def test_who_is_left_out_and_what_it_gains():
    config = room.Suspects.at("quick", train_size=200, validation_size=60, test_size=60, width=16, epochs=3, folds=2)
    one = room.problem(config, "uniform", 0.3, 0)
    found = suspects.cross_fit(room.task(one, config, 0), 2)
    out = room.left_out(found, one, 0)
    count = round(found.share_wrong.estimate * 200)
    ours = set(sorted(range(200), key=lambda i: -found.suspicion[i])[:count])
    assert set(out["suspects"].nonzero()[:, 0].tolist()) == ours
    assert out["chance"].sum() == count and not out["nothing"].any() and torch.equal(out["wrong"], one.wrong)
    (row,) = room.runs(config, [{"noise": "uniform", "seed": 0}], None, Machine())
    assert row["auroc early"] == pytest.approx(
        sum((found.suspicion[one.wrong][:, None] > found.suspicion[~one.wrong]).double().flatten()).item()
        / (one.wrong.sum() * (~one.wrong).sum()).item(), abs=1e-6
    )  # fmt: skip
    assert (row["stopped wrong"], row["last wrong"]) == room.trained_without(one, one.wrong, config, 0)
    run = bench.curves(one, "cross_entropy", {}, config, 0, Machine(watched=False))
    epoch = 1 + max(range(config.epochs), key=run["noisy_validation"][1:].__getitem__)
    assert (row["stopped nothing"], row["last nothing"]) == (run["test"][epoch], run["test"][-1])


def test_evidence_counts_seed_by_seed(tmp_path):
    cells = [
        {"noise": noise, "seed": s, "low": 0.1, "high": 0.3, "wrong": w, "estimate": 0.2, "confident": 0.25, "run": 0}
        for s in (0, 1) for noise, w in [*((one, 0.2 if s else 0.05) for one in shares.FAIR), ("hard samples", 0.5)]
    ]  # fmt: skip
    made = Result(tmp_path / "made.json", {"cells": cells, "experiment": "shares"})
    assert shares.coverage(made).tolist() == [0, 1]
    assert shares.covered_hard(made).tolist() == [0, 0] and shares.covered_uniform(made).tolist() == [0, 1]
    rows = [{"noise": "uniform", "seed": 0, "auroc early": 0.9, "auroc last": 0.7, "auroc seen": 0.95,
             "stopped nothing": 0.8, "stopped suspects": 0.85, "last nothing": 0.6, "last suspects": 0.8}]  # fmt: skip
    made = Result(tmp_path / "made.json", {"cells": rows, "experiment": "suspects"})
    assert room.ahead_of_last(made).tolist() == pytest.approx([0.2])
    assert room.ahead_of_seen(made).tolist() == pytest.approx([-0.05])
    assert room.gained(made).tolist() == pytest.approx([0.05])
    assert room.share_by_stopping(made) == pytest.approx([0.2 / 0.25])


def test_evidence_of_people_and_of_the_control_is_theirs(tmp_path):
    row = {"seed": 0, "wrong": 0.4, "estimate": 0.6, "low": 0.5, "high": 0.7, "confident": 0.65,
           "right": 0.4, "surest": 0.5, "steady": 0.0}  # fmt: skip
    row |= {f"{when} {way}": 0.5 for when in ("stopped", "last") for way in room.LEFT_OUT}
    areas = {"auroc early": 0.7, "auroc margin": 0.75, "auroc last": 0.6, "auroc seen": 0.7, "auroc margin_last": 0.5}
    cells = [row | {"noise": "none", "stopped suspects": 0.47},
             row | areas | {"noise": "human", "stopped suspects": 0.52},
             row | areas | {"noise": "uniform", "auroc margin": 0.68, "wrong": 0.6}]  # fmt: skip
    made = Result(tmp_path / "made.json", {"cells": cells, "experiment": "suspects"})
    for found, expected in (
        (room.apart_from_margin, 0.02), (room.changed_without_noise, 0.03), (room.ahead_of_last_people, 0.1),
        (room.gained_people, 0.02), (shares.covered_people, 0), (shares.covered_uniform, 1),
    ):  # fmt: skip
        assert found(made).tolist() == pytest.approx([expected])
    head, rows, _ = room.shares_table(made)
    assert dict(zip(head, rows[1])) == {
        "wrong labels": "people's labels", "in truth": "40.0%", "estimated": "60.0%", "confident learning": "65.0%",
        "networks err": "60.0%", "errors where surest": "50.0%", "warned": "1 of 1",
    }  # fmt: skip
    ahead = [row[1:4] for row in room.rankings_table(made)[1]]
    assert ahead == [["0.000", "+0.100", "−0.050"], ["0.000", "+0.100", "+0.020"]]
    assert [row[1] for row in room.gain_table(made)[1]] == ["−0.030", "+0.020", "0.000"]


@pytest.mark.parametrize(
    "change, told",
    [
        (dict(folds=31), "folds are 31"),
        (dict(task=Task(INPUTS, LABELS, network, 3, epochs=0)), "task has no epochs"),
        (dict(task=Task(INPUTS, LABELS * 0, lambda seed: nn.Linear(3, 1), 1)), "task has one class"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        suspects.cross_fit(**{"task": TASK, "folds": 3, **change})


def test_what_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match="probabilities should be"):
        suspects.suspicion([[0.5, 0.6]], [0])
    with pytest.raises(ValueError, match="labels has 2, but there are 2 classes"):
        suspects.suspicion([[0.5, 0.5]], [2])
    with pytest.raises(ValueError, match="surest is 0"):
        suspects.share_wrong([[0.5, 0.5]], [1], surest=0.0)
