"""What live runs found: said with its spread, marked where it differs, never an error."""

import re
import sys
import types

import margins
import pytest

from earlystop import page
from earlystop.runs.store import SCHEMA, digest, read_json, write_json

STEADY = {"holds": True, "rounding": {"runs": 5, "held": 5, "range": [1.4, 1.4]},
          "seeds": {"runs": 6, "held": 6, "range": [1.25, 1.5]}}  # fmt: skip
SURE = {"holds": True, "rounding": {"runs": 5, "held": 5, "range": [1.3, 1.3]},
        "seeds": {"runs": 6, "held": 6, "range": [1.3, 1.3]}}  # fmt: skip
WORDLESS = {"holds": True, **{kind: SURE[kind] | {"range": None} for kind in ("rounding", "seeds")}}
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
    found = {"steady": STEADY, "sure": SURE, "wordless": WORDLESS, "mixed": MIXED}
    write_json(results / "findings.json", record | {"findings": found})
    monkeypatch.setenv("EARLYSTOP_SCALE", "quick")
    return shown


def test_a_finding_is_said_with_its_spread_over_seeds(told):
    page.finding("steady", True, "It is **1.3**.", "It is not.", 1.3)
    assert told == [("It is **1.3** (over 6 seeds: 1.25 to 1.5).", {"finding": "steady", "differs": False})]
    told.clear()
    page.finding("steady", True, "It is **130%**", "It is not", 1.3, ".0%")
    assert told[0][0] == "It is **130%** (over 6 seeds: 125% to 150%)"
    told.clear()
    page.finding("sure", True, "It is 1.3.", "It is not.", 1.3)
    page.finding("wordless", True, "Yes.", "No.")
    assert [text for text, _ in told] == [
        "It is 1.3 (over 6 seeds: 1.3 in each).",
        "Yes (the sentence holds in 6 of 6 seeds).",
    ]


def test_a_finding_that_differs_says_so_and_is_marked(told):
    page.finding("steady", False, "Yes.", "No.")
    text, mark = told[0]
    assert text.startswith("No (over 6 seeds: 1.25 to 1.5; the sentence holds in none of the 6). **On this machine")
    assert "a machine" in text and mark == {"finding": "steady", "differs": True}


def test_a_finding_that_seeds_or_rounding_decide_says_how_often(told):
    page.finding("mixed", True, "Yes.", "No.")
    page.finding("mixed", False, "Yes.", "No.")
    assert told[0][0].startswith("Yes (the sentence holds in 4 of 6 seeds; where only the rounding")
    assert "it holds in 3 of 5 runs" in told[0][0] and "it holds in 2 of 5 runs" in told[1][0]
    assert [mark["differs"] for _, mark in told] == [False, True]


@pytest.mark.parametrize(
    "accuracies, learned",
    [([0.1, 0.12, 0.1], False), ([], False), ([float("nan")] * 2, False), ([0.1, 0.3, 0.1], True)],
)
def test_a_network_that_only_guesses_has_not_learned(accuracies, learned):
    assert page.learned(accuracies) == learned
    assert not page.learned(accuracies, n_classes=2)


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


# --------------------------------------------------------------------- the tool and its table

PAGES = margins.pages()


@pytest.mark.parametrize("name", PAGES)
def test_each_assertion_and_finding_of_a_page_was_measured_and_none_is_gone(name):
    page, found = margins.Named(margins.code_cells(PAGES[name])), read_json(margins.RECORD)["findings"]
    assert sorted(page.asserts) == sorted(margins.tabled(name)), f"run python benchmarks/margins.py {name} --save"
    recorded = {one for one in found if one.split("/")[0] == name}
    assert all(any(re.fullmatch(pattern, one) for one in recorded) for pattern in page.findings)
    assert all(any(re.fullmatch(pattern, one) for pattern in page.findings) for one in recorded)
    assert all(pattern.startswith(f"{name}/") for pattern in page.findings)


def test_every_recorded_finding_can_be_said(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda what, metadata: shown.append((what.data, metadata["earlystop"]))
    )
    monkeypatch.setenv("EARLYSTOP_SCALE", "quick")
    found = read_json(margins.RECORD)["findings"]
    for name, one in found.items():
        page.finding(name, one["holds"], "It is.", "It is not.")
    assert all("seeds" in text and "On this machine" not in text for text, _ in shown)
    assert [mark for _, mark in shown] == [{"finding": name, "differs": False} for name in found]


@pytest.mark.parametrize("name", PAGES)
def test_the_code_whose_margins_were_measured_has_not_changed_since(name):
    then = read_json(margins.RECORD)["pages"].get(name, {}).get("cells")
    cells = margins.code_cells(PAGES[name])
    if cells and then != digest(cells):
        pytest.xfail(f"{name} is stale: run benchmarks/margins.py {name} --save")


CELLS = [
    "import torch\nfrom earlystop import network\nfrom earlystop.page import finding, say",
    "seed = torch.Generator().manual_seed(1).initial_seed()\nfirst = network.initial_weights(4, 3)[0, 0].item()",
    "for bound in (3, 2.5):\n    assert 2 < bound, 'a message'\nassert torch.tensor([1.0, 4]).max() <= 3",
    "assert all(x > 1 for x in (2, 4)) and sorted((2, 1), key=lambda x: x < 2)[0] == 2",
    "finding('x/y', seed > 50, 'Yes.', 'No.', first)\nsay(f'Of {seed} it is ' + ('much' if seed > 50 else 'little'))",
]


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    """A small page in three ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(margins, "KEPT", tmp_path_factory.mktemp("margins"))
        run = {way: margins.run("x", way, CELLS, sys.executable) for way in ("base", "n1", "s100")}
        patch.setattr("subprocess.run", None)  # what was found is kept
        assert run == {way: margins.run("x", way, CELLS, sys.executable) for way in run}
    return run


def test_margins_are_measured_and_a_failed_assertion_does_not_stop(ways):
    lines = {line[-1]: line for line in margins.margins_of(ways)}
    assert lines["2 < bound"][:2] == ["2", "2.5"] and lines["2 < bound"][2] == "0.2"
    failed = lines["torch.tensor([1.0, 4]).max() <= 3"]
    assert failed[4] == "FAILS in base, n1, s100" and failed[2] == "-0.25"
    last = lines["all(x > 1 for x in (2, 4)) and sorted((2, 1), key=lambda x: x < 2)[0] == 2"]
    assert last[4] == "never moves" and not any(one["stopped"] for one in ways.values())


def test_findings_and_words_that_flip_are_reported(ways):
    found = margins.findings_of({"x": ways})["x/y"]
    assert not found["holds"]
    assert (found["rounding"]["runs"], found["rounding"]["held"]) == (2, 0)
    assert (found["seeds"]["runs"], found["seeds"]["held"]) == (2, 1)
    low, high = found["rounding"]["range"]
    assert 0 < abs(high - low) <= 5e-7 * abs(low)  # one unit in the last place
    low, high = found["seeds"]["range"]
    assert abs(high - low) > 1e-3
    ((way, _, words),) = margins.flips(ways)
    assert way == "s100" and words.endswith("it is much")


def test_a_new_assertion_is_not_in_the_table_until_it_is_measured(tmp_path, monkeypatch, ways):
    monkeypatch.setattr(margins, "TABLE", tmp_path / "margins.txt")
    margins.TABLE.write_text(margins.HEAD + margins.text_of({"x": ways}, margins.findings_of({"x": ways})))
    asserts = margins.Named(CELLS).asserts
    assert margins.tabled("x") == asserts and len(asserts) == 3
    assert margins.Named([*CELLS, "assert 2 < bound"]).asserts == [*asserts, "2 < bound [2]"]
    assert margins.tabled("y") == []


def test_the_record_names_the_code_that_ran_and_not_what_the_page_says_since(tmp_path, monkeypatch, ways):
    monkeypatch.setattr(margins, "TABLE", tmp_path / "margins.txt")
    monkeypatch.setattr(margins, "RECORD", tmp_path / "findings.json")
    monkeypatch.setattr(margins.subprocess, "run", lambda *_, **__: types.SimpleNamespace(stdout="abc\n"))
    monkeypatch.setattr(margins, "pages", dict)  # none stands there any more
    margins.save({"x": ways}, {"x": CELLS}, "a command")
    assert read_json(margins.RECORD)["pages"]["x"]["cells"] == digest(CELLS)
