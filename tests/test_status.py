"""The book's page of results, from made-up claims, results and records."""

import pytest

from earlystop import status
from earlystop.ledger import read_claims
from earlystop.runs.results import Result, load
from earlystop.runs.store import SCHEMA, write_json


@pytest.fixture
def shown(monkeypatch):
    """The rows of tables, and the sentences, that are shown."""
    found = []
    monkeypatch.setattr(status, "table", lambda header, rows, caption: found.extend(rows))
    monkeypatch.setattr(status, "say", found.append)
    return found


def test_every_stored_result_that_a_claim_rests_on_is_found_once():
    paths = [result.path for result in status.stored()]
    assert len(paths) == len(set(paths)) >= 6
    asked = [claim.result for claim in read_claims().values() if claim.result]
    assert set(paths) == {load(one["name"], **one.get("levels", {})).path for one in asked}


def test_a_file_is_listed_with_its_sizes(shown, monkeypatch):
    whole = load("fig3")
    part = Result(whole.path.with_name("part"), whole.content | {"config": whole["config"] | {"train_size": 7}})
    monkeypatch.setattr(status, "stored", lambda: [whole, part])
    status.results()
    first, second = shown
    assert first == ["Figure 3", "paper", "the paper's", whole.devices, 3, whole["finished"][:10],
                     f"{whole.minutes:,.1f}", "no"]  # fmt: skip
    assert second == [*first[:2], "not the paper's", *first[3:]]


def test_seeds_that_share_random_numbers_are_told(shown, monkeypatch):
    result = load("fig1", losses="cross_entropy")
    content = result["config"] | {"streams": "separate"}
    for config, told in ((result["config"] | {"streams": "shared"}, 1), (content, 0)):
        one = Result(result.path, result.content | {"config": config})
        monkeypatch.setattr(status, "stored", lambda one=one: [one])
        shown.clear()
        status.results()
        assert len(shown) == 1 + told and "cross entropy" in shown[0][0]


@pytest.mark.parametrize(
    ("rounding", "seeds", "said"),
    [
        ((5, 5), (0, 6), "rounding: none. And these with other seeds: none."),
        ((5, 5), (5, 6), "rounding: none. And these with other seeds: a/b (5 of 6)."),
        ((3, 5), (6, 6), "rounding: a/b (3 of 5). And these with other seeds: none."),
    ],
)
def test_findings_that_depend_on_rounding_or_seeds_are_named(shown, tmp_path, monkeypatch, rounding, seeds, said):
    monkeypatch.setattr(status, "folder", lambda: tmp_path)
    one = {kind: dict(zip(("held", "runs"), pair)) for kind, pair in (("rounding", rounding), ("seeds", seeds))}
    record = {"schema": SCHEMA, "device": "a machine", "scale": "quick", "findings": {"a/b": one}}
    write_json(tmp_path / "findings.json", record)
    status.steadiness()
    assert said in shown[0] and "on a machine, at the scale quick: 1 finding." in shown[0]


def test_the_growth_of_the_cost_is_drawn_and_credited(shown, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(status, "folder", lambda: tmp_path)
    monkeypatch.setattr(status.pictures, "growth", drawn.append)
    content = {"schema": SCHEMA, "series": [{"title": "one"}], "device": "a machine", "threads of torch": 2,
               "command": "measure", "versions": {"torch": "2.0"}, "date": "today"}  # fmt: skip
    write_json(tmp_path / "growth.json", content)
    status.growth()
    status.growth_credit()
    assert drawn == [content["series"]]
    assert "Measured on a machine, with 2 threads, torch 2.0, on today" in shown[0] and "\nmeasure\n" in shown[0]
