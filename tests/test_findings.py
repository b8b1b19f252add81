"""What live runs found: said with its spread, marked where it differs, never an error."""

import pytest

from earlystop import page
from earlystop.store import SCHEMA, write_json

STEADY = {"holds": True, "rounding": {"runs": 5, "held": 5, "range": [1.4, 1.4]},
          "seeds": {"runs": 6, "held": 6, "range": [1.25, 1.5]}}  # fmt: skip
MIXED = {"holds": True, "rounding": {"runs": 5, "held": 3, "range": None},
         "seeds": {"runs": 6, "held": 4, "range": None}}  # fmt: skip


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What is displayed in a book with this record: text and mark of each output."""
    shown, results = [], tmp_path / "book" / "results"
    monkeypatch.setattr(
        "IPython.display.display",
        lambda what, metadata=None: shown.append((what.data, (metadata or {}).get("earlystop"))),
    )
    monkeypatch.chdir(tmp_path)
    record = {"schema": SCHEMA, "device": "a machine", "scale": "quick"}
    write_json(results / "findings.json", record | {"findings": {"steady": STEADY, "mixed": MIXED}})
    monkeypatch.setenv("EARLYSTOP_SCALE", "quick")
    return shown


def test_a_finding_is_said_with_its_spread_over_seeds(told):
    page.finding("steady", True, "It is **1.3**.", "It is not.", 1.3)
    assert told == [("It is **1.3** (over 6 seeds: 1.25 to 1.5).", {"finding": "steady", "differs": False})]
    told.clear()
    page.finding("steady", True, "It is **130%**", "It is not", 1.3, ".0%")
    assert told[0][0] == "It is **130%** (over 6 seeds: 125% to 150%)"


def test_a_finding_that_differs_says_so_and_is_marked(told):
    page.finding("steady", False, "Yes.", "No.")
    text, mark = told[0]
    assert text.startswith("No (over 6 seeds: 1.25 to 1.5, the same in 0 of them). **On this machine")
    assert "a machine" in text and mark == {"finding": "steady", "differs": True}


def test_a_finding_that_seeds_or_rounding_decide_says_how_often(told):
    page.finding("mixed", True, "Yes.", "No.")
    page.finding("mixed", False, "Yes.", "No.")
    assert told[0][0].startswith("Yes (over 6 seeds, the same in 4 of them; where only the rounding")
    assert "the same in 3 of 5 runs" in told[0][0] and "the same in 2 of 5 runs" in told[1][0]
    assert [mark["differs"] for _, mark in told] == [False, True]


@pytest.mark.parametrize("lost", ["name", "scale", "file", "damaged"])
def test_a_finding_without_a_record_is_said_all_the_same(told, tmp_path, monkeypatch, lost):
    record = tmp_path / "book" / "results" / "findings.json"
    if lost == "scale":
        monkeypatch.setenv("EARLYSTOP_SCALE", "colab")
    elif lost == "file":
        record.unlink()
    elif lost == "damaged":
        record.write_text("{")
    page.finding("new" if lost == "name" else "steady", True, "Yes.", "No.")
    assert told == [("Yes.", None)]
