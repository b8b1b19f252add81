"""Fingerprints: stored results are what today's code would compute, and a changed number is named."""

import copy
import os
import subprocess
from pathlib import Path

import pytest
import torch

from earlystop import training
from earlystop.figures import EXPERIMENTS
from earlystop.runs import provenance
from earlystop.runs.experiment import Experiment
from earlystop.runs.fingerprint import changed, differences, fingerprint
from earlystop.runs.store import read_json

FOLDER = Path(__file__).resolve().parents[1] / "book" / "results"
STORED = {path.name: read_json(path) for path in sorted(FOLDER.glob("*.json*"))}
STALE: dict[str, str] = {}  # results whose code gives other numbers now, on purpose: file and reason
WITH = {name: content for name, content in STORED.items() if "fingerprint" in content}


def experiment(content: dict) -> Experiment:
    """The experiment whose code gave a file's numbers."""
    return EXPERIMENTS[{"silent": "fig1"}.get(content["experiment"], content["experiment"])]


@pytest.fixture(scope="module")
def fig3() -> dict:
    return fingerprint(EXPERIMENTS["fig3"])


def test_every_figure_has_a_fingerprint_of_all_its_paths():
    assert {experiment(content).name for content in WITH.values()} == EXPERIMENTS.keys()
    assert all(name in WITH for name in STORED if name.split("-")[0] in EXPERIMENTS)
    for content in WITH.values():
        assert content["fingerprint"]["numbers"].keys() <= experiment(content).paths.keys()
        for run in content.get("runs", [content]):
            assert run["commit"].keys() >= {"hash", "dirty", "how"} and run["commit"]["hash"]


@pytest.mark.parametrize("name", WITH)
def test_the_code_still_gives_the_numbers_of_a_stored_result(name):
    """Where it does not, on purpose, the result stands in `STALE` until it is run again."""
    content = WITH[name]
    told = changed(experiment(content), content)
    assert bool(told) == (name in STALE), f"its code gives other numbers now ({'; '.join(told)})"


def test_a_fingerprint_is_the_same_in_every_digit_and_leaves_no_trace(fig3):
    def traces():
        return (torch.get_num_threads(), torch.random.get_rng_state().sum().item(), dict(os.environ),
                torch.backends.cudnn.deterministic)  # fmt: skip

    before = traces()
    assert fingerprint(EXPERIMENTS["fig3"]) == fig3
    assert traces() == before


def test_the_first_number_that_differs_is_named(fig3):
    assert differences("fig3", fig3, fig3) == []
    other = copy.deepcopy(fig3)
    other["side by side"]["distance"][1] *= 1.01
    told = differences("fig3", other, fig3)
    old, new = other["side by side"]["distance"][1], fig3["side by side"]["distance"][1]
    assert told == [f"fig3, side by side: distance {old:.4g} → {new:.4g}"]
    other["side by side"]["distance"] = fig3["side by side"]["distance"][:-1]
    assert differences("fig3", other, fig3) == ["fig3, side by side: distance 11 numbers → 12"]
    assert differences("fig3", fig3, other) == ["fig3, side by side: distance 12 numbers → 11"]
    other["side by side"] = {key: one for key, one in fig3["side by side"].items() if key != "loss"}
    assert differences("fig3", other, fig3) == ["fig3, side by side: loss 0 numbers → 12"]
    del other["side by side"]
    assert differences("fig3", other, fig3) == []  # a path of later code says nothing
    assert differences("fig3", fig3, other) == ["fig3, side by side: epoch 12 numbers → 0"]


@pytest.mark.parametrize(
    ("path", "number", "differs"),
    [
        ("stacked", 1.0009, False),
        ("stacked", 1.0011, True),
        ("in bfloat16", 1.039, False),
        ("in bfloat16", 1.041, True),
    ],
)
def test_numbers_agree_in_a_thousandth_and_those_in_bfloat16_in_a_fiftieth(path, number, differs):
    """And in as much as that beside zero."""
    told = differences("x", {path: {"loss": [1.0]}}, {path: {"loss": [number]}})
    assert bool(told) == differs
    beside = differences(
        "x", {path: {"loss": [0.0]}}, {path: {"loss": [(number - 1) / (100 if path == "stacked" else 2)]}}
    )
    assert bool(beside) == differs


def test_rounding_is_no_difference_and_the_loss_is_one(fig3, monkeypatch):
    nearly = {p: {k: [n * (1 + 1e-4) for n in v] for k, v in one.items()} for p, one in fig3.items()}
    assert differences("fig3", nearly, fig3) == []
    monkeypatch.setattr("earlystop.figures.fig3.evaluate_stack", lambda *a: 2 * training.evaluate_stack(*a))
    trained = [f"fig3, {path}: loss" for path in fig3 if not path.startswith("rounded")]
    told = differences("fig3", fig3, fingerprint(EXPERIMENTS["fig3"]))
    assert [words.rpartition(" ")[0].rpartition(" →")[0].rpartition(" ")[0] for words in told] == trained


def git(folder: Path, *words: str) -> str:
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", "-C", folder, *name, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_run_names_its_commit_and_whether_the_code_was_changed_since(tmp_path, monkeypatch):
    package = tmp_path / "book" / "src" / "earlystop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "FOLDER", package)
    git(tmp_path / "book", "init", "-q")
    assert provenance.commit()["hash"] is None  # in a repository, but not of it: an environment, say
    git(tmp_path / "book", "add", ".")
    git(tmp_path / "book", "commit", "-qm", "one")
    found = provenance.commit()
    assert (found["hash"], found["dirty"]) == (git(tmp_path / "book", "rev-parse", "HEAD"), False)
    (package / "data.py").write_text("1\n")
    later = provenance.commit()
    assert later["dirty"] is True and later["source"] != found["source"]


def test_an_installed_package_has_a_source_and_no_commit(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "FOLDER", tmp_path)
    found = provenance.commit()
    assert (found["hash"], found["dirty"]) == (None, None) and len(found["source"]) == 12
    monkeypatch.setenv("PATH", "")  # no git at all
    assert provenance.commit() == found
