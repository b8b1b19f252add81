"""The book's page of results, from made-up claims, results and records."""

import pytest

from earlystop import colophon
from earlystop.ledger import read_claims
from earlystop.runs.results import Result, load
from earlystop.runs.store import SCHEMA, write_json


@pytest.fixture
def shown(monkeypatch):
    """The rows of tables, and the sentences, that are shown."""
    found = []
    monkeypatch.setattr(colophon, "table", lambda header, rows, caption: found.extend(rows))
    monkeypatch.setattr(colophon, "say", found.append)
    return found


def test_every_stored_result_that_a_claim_rests_on_is_found_once():
    paths = [result.path for result in colophon.stored()]
    assert len(paths) == len(set(paths)) >= 6
    asked = [claim.result for claim in read_claims().values() if claim.result]
    different = [one for place, one in enumerate(asked) if one not in asked[:place]]
    assert set(paths) == {load(one["name"], **one.get("levels", {})).path for one in different}


def test_a_file_is_listed_with_its_sizes(shown, monkeypatch):
    whole = load("fig3")
    part = Result(whole.path.with_name("part"), whole.content | {"config": whole["config"] | {"train_size": 7}})
    monkeypatch.setattr(colophon, "stored", lambda: [whole, part])
    colophon.results()
    first, second, smaller, stale = shown
    assert first == ["Figure 3", "the paper's", whole["runs"][0]["device"], 3,
                     whole["finished"][:10].replace("-", "‑"), f"{whole.minutes:,.1f}"]  # fmt: skip
    assert second == [first[0], "smaller", *first[2:]]
    assert smaller == "- *Figure 3* is not the paper's: train size 7 instead of 3,000." and stale.startswith("None")


def test_a_stale_result_is_named_with_what_moved(shown, monkeypatch):
    monkeypatch.setattr(Result, "stale", ["loss"])
    monkeypatch.setattr(colophon, "stored", lambda: [load("fig3")])
    colophon.results()
    assert shown[1:] == ["**Stale**, for today's code gives other numbers: Figure 3 (loss)."]


def test_seeds_that_share_random_numbers_are_told(shown, monkeypatch):
    result = load("fig1", losses="cross_entropy")
    content = result["config"] | {"streams": "separate"}
    for config, told in ((result["config"] | {"streams": "shared"}, 1), (content, 0)):
        one = Result(result.path, result.content | {"config": config})
        monkeypatch.setattr(colophon, "stored", lambda one=one: [one])
        shown.clear()
        colophon.results()
        assert sum("random" in str(one) for one in shown) == told and "cross entropy" in shown[0][0]


@pytest.mark.parametrize(
    ("rounding", "seeds", "said"),
    [
        ((5, 5), (0, 6), ("rounding: none.", "seeds: none.")),
        ((5, 5), (5, 6), ("rounding: none.", "seeds: a/b (5 of 6).")),
        ((3, 5), (6, 6), ("rounding: a/b (3 of 5).", "seeds: none.")),
    ],
)
def test_findings_that_depend_on_rounding_or_seeds_are_named(shown, tmp_path, monkeypatch, rounding, seeds, said):
    monkeypatch.setattr(colophon, "folder", lambda: tmp_path)
    one = {kind: dict(zip(("held", "runs"), pair)) for kind, pair in (("rounding", rounding), ("seeds", seeds))}
    record = {"schema": SCHEMA, "device": "a machine", "scale": "quick", "findings": {"a/b": one}}
    write_json(tmp_path / "findings.json", record)
    colophon.steadiness()
    assert all(one in shown[0] for one in said) and "1 finding of their own, recorded on a machine at" in shown[0]


def test_the_growth_of_the_cost_is_drawn_and_credited(shown, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(colophon, "folder", lambda: tmp_path)
    monkeypatch.setattr(colophon.pictures, "growth", drawn.append)
    content = {"schema": SCHEMA, "series": [{"title": "one"}], "device": "a machine", "threads of torch": 2,
               "command": "measure", "versions": {"torch": "2.0"}, "date": "today"}  # fmt: skip
    write_json(tmp_path / "growth.json", content)
    colophon.growth()
    colophon.growth_credit()
    assert drawn == [content["series"]]
    assert "Measured on a machine, with 2 threads, torch 2.0, on today" in shown[0] and "\nmeasure\n" in shown[0]
