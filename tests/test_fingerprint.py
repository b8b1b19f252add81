"""Fingerprints: stored results are what today's code would compute, and a changed number is named."""

import copy
import os
from pathlib import Path

import pytest
import torch

from earlystop import training
from earlystop.fingerprint import PATHS, changed, differences, fingerprint
from earlystop.store import read_json

FOLDER = Path(__file__).resolve().parents[1] / "book" / "results"
STORED = {path.name: read_json(path) for path in sorted(FOLDER.glob("*.json*"))}
STALE: dict[str, str] = {}  # results whose code gives other numbers now, on purpose: file and reason
WITH = {name: content for name, content in STORED.items() if "fingerprint" in content}


def experiment(content: dict) -> str:
    """The experiment whose code gave a file's numbers."""
    return {"silent": "fig1"}.get(content["experiment"], content["experiment"])


@pytest.fixture(scope="module")
def fig3() -> dict:
    return fingerprint("fig3")


def test_every_figure_has_a_fingerprint_of_all_its_paths():
    assert {experiment(content) for content in WITH.values()} == PATHS.keys()
    assert all(name in WITH for name in STORED if name.startswith("fig"))
    for content in WITH.values():
        assert content["fingerprint"]["numbers"].keys() == PATHS[experiment(content)].keys()
        for run in content.get("runs", [content]):
            assert run["commit"].keys() == {"hash", "dirty", "how"} and run["commit"]["hash"]


@pytest.mark.parametrize("name", WITH)
def test_the_code_still_gives_the_numbers_of_a_stored_result(name):
    """Where it does not, on purpose, the result stands in `STALE` until it is run again."""
    content = WITH[name]
    told = changed(experiment(content), content)
    assert bool(told) == (name in STALE), f"its code gives other numbers now ({'; '.join(told)})"


def test_a_fingerprint_is_the_same_in_every_digit_and_leaves_no_trace(fig3):
    before = torch.get_num_threads(), torch.random.get_rng_state().sum().item(), dict(os.environ)
    assert fingerprint("fig3") == fig3
    assert (torch.get_num_threads(), torch.random.get_rng_state().sum().item(), dict(os.environ)) == before


def test_the_first_number_that_differs_is_named(fig3):
    assert differences("fig3", fig3, fig3) == []
    other = copy.deepcopy(fig3)
    other["side by side"]["distance"][1] *= 1.01
    told = differences("fig3", other, fig3)
    old, new = other["side by side"]["distance"][1], fig3["side by side"]["distance"][1]
    assert told == [f"fig3, side by side: distance {old:.4g} → {new:.4g}"]
    other["side by side"]["distance"] = fig3["side by side"]["distance"][:-1]
    assert differences("fig3", other, fig3) == ["fig3, side by side: distance 11 numbers → 12"]
    del other["side by side"]
    assert differences("fig3", other, fig3) == ["fig3, side by side: epoch 0 numbers → 12"]


def test_rounding_is_no_difference_and_the_loss_is_one(fig3, monkeypatch):
    nearly = {p: {k: [n * (1 + 1e-4) for n in v] for k, v in one.items()} for p, one in fig3.items()}
    assert differences("fig3", nearly, fig3) == []
    monkeypatch.setattr("earlystop.figure1.least_squares", lambda *a: 2 * training.least_squares(*a))
    assert len(differences("fig3", fig3, fingerprint("fig3"))) == len(fig3)
