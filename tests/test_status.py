"""The book's page of results, from made-up claims, results and records."""

import pytest

from earlystop import status
from earlystop.figures import fig1
from earlystop.runs.experiment import Claim
from earlystop.runs.results import Result, load
from earlystop.runs.store import SCHEMA, write_json


@pytest.fixture
def shown(monkeypatch):
    """The rows of tables, and the sentences, that are shown."""
    found = []
    monkeypatch.setattr(status, "table", lambda header, rows: found.extend(rows))
    monkeypatch.setattr(status, "say", found.append)
    return found


@pytest.fixture
def claims(monkeypatch):
    """Two claims, with a result at the paper's sizes and one that is smaller; and the two results."""
    whole = load("fig3")
    part = Result(whole.path.with_name("part"), whole.content | {"config": whole["config"] | {"train_size": 7}})
    claim = Claim("further away", "overfitting", lambda result: f"Seen in {result['config']['train_size']:,}.")
    monkeypatch.setattr(status, "claims", lambda: [(claim, whole), (claim, part), (claim, whole)])
    return whole, part


def test_every_claim_has_the_result_that_speaks_about_it():
    found = status.claims()
    assert {result["experiment"] for _, result in found} == {"fig1", "fig3", "fig4ab", "fig4c", "fig5"}
    assert all(claim in result.experiment.claims for claim, result in found)
    assert all(value in result["config"][key] for claim, result in found for key, value in claim.levels.items())


def test_a_verdict_says_whether_it_is_at_the_papers_sizes(shown, claims):
    status.verdicts()
    assert shown[0] == [
        "Figure 3: further away.", "{ref}`chapter-overfitting`", "At the paper's sizes. Seen in 3,000."
    ]  # fmt: skip
    assert shown[1][2] == "**Not** at the paper's sizes. Seen in 7."


def test_a_file_is_listed_once_with_its_sizes(shown, claims):
    whole, _ = claims
    status.results()
    first, second = shown
    assert first == ["Figure 3", "paper", "**yes**", whole.devices, 3, whole["finished"][:10],
                     f"{whole.minutes:,.1f}", "no"]  # fmt: skip
    assert second == [*first[:2], "**no**: train size", *first[3:]]


def test_seeds_that_share_random_numbers_are_told(shown, monkeypatch):
    result = load("fig1", losses="cross_entropy")
    content = result["config"] | {"streams": "separate"}
    for config, told in ((result["config"] | {"streams": "shared"}, 1), (content, 0)):
        one = Result(result.path, result.content | {"config": config})
        monkeypatch.setattr(status, "claims", lambda one=one: [(fig1.EXPERIMENT.claims[1], one)])
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
