"""The ledger: verdicts from made-up evidence, its errors, its command, and that the book's own one is whole."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import jsonschema
import pytest
import scorecard
import torch
import yaml

from earlystop import ledger
from earlystop.ledger import Claim

ROOT = Path(__file__).parents[1]
ENTRY = {"id": "made-up", "place": "Section 1", "statement": "It holds.", "kind": "number", "quantity": "a number",
         "reproduced": {"at_most": 1}, "fixed": "2026-11-28", "evidence": "test_ledger:evidence",
         "test": "tests/test_ledger.py"}  # fmt: skip
VALUES = {"steady": [0.5, 0.6, 0.5, 0.6, 0.5, 0.6], "at the end": [0.5, 1.6, 0.5, 1.6, 0.5, 1.6],
          "outside": [2.0, 2.1, 2.0, 2.1, 2.0, 2.1], "one": [0.5], "three": [0.5, 0.6, 0.7],
          "one outside": [1.5]}  # fmt: skip


class Stored:
    """A stored result with given numbers."""

    def __init__(self, values, smaller=()):
        self.values, self.smaller = torch.tensor(values), dict.fromkeys(smaller, (1, 2))
        self.devices, self.path, self.command, self.sizes = "a machine", Path("made-up.json"), "make it", "some"

    def __getitem__(self, key):
        return {"finished": "2026-11-28 12:00", "runs": [{"versions": {"torch": "2"}}]}[key]

    def unlike_paper(self):
        return self.smaller


def evidence(what):
    """Numbers of a stored result, or 0.1 for each seed."""
    return what.values if isinstance(what, Stored) else torch.full((len(what),), 0.1)


def uneven(seeds):
    """Good with the first seeds, bad with the second ones."""
    return torch.tensor([0.1 if seed < ledger.SEEDS else 9.0 for seed in seeds])


def judged(monkeypatch, values, smaller=(), **changes):
    """The entry of a claim about a stored result."""
    monkeypatch.setattr(ledger, "load", lambda *_, **__: Stored(values, smaller))
    return ledger.judge(Claim.read(ENTRY | {"result": {"name": "made-up"}} | changes))


@pytest.mark.parametrize(
    "name, changes, verdict",
    [
        ("steady", {}, "reproduced"),
        ("at the end", {}, "not reproduced"),
        ("at the end", {"reproduced": {"at_most": 1.1}}, "in part"),
        ("outside", {}, "not reproduced"),
        ("outside", {"in part": {"at_most": 3}}, "in part"),
        ("outside", {"in part": {"at_most": 2}}, "not reproduced"),
        ("outside", {"reproduced": {"at_least": 1.9}}, "reproduced"),
        ("outside", {"reproduced": {"between": [0, 1]}}, "not reproduced"),
        ("steady", {"kind": "inequality"}, "reproduced"),
        ("at the end", {"kind": "inequality"}, "not reproduced"),
        ("at the end", {"kind": "inequality", "in part": {"at_most": 1.65}}, "in part"),
        ("at the end", {"kind": "inequality", "in part": {"at_most": 1.5}}, "not reproduced"),
        ("three", {}, "reproduced"),
        ("three", {"reproduced": {"at_most": 0.65}}, "in part"),
        ("one", {}, "in part"),
        ("one outside", {}, "not reproduced"),
    ],
)
def test_a_verdict_follows_from_the_interval(monkeypatch, name, changes, verdict):
    entry = judged(monkeypatch, VALUES[name], **changes)
    assert entry["verdict"] == verdict
    assert entry["value"] == pytest.approx(torch.tensor(VALUES[name]).mean().item())
    assert (entry["interval"] is None) == (len(VALUES[name]) == 1)


def test_what_is_not_the_papers_size_holds_in_part_and_says_why(monkeypatch):
    entry = judged(monkeypatch, VALUES["steady"], smaller=["train_size"])
    assert entry["verdict"] == "in part" and entry["because"] == ["its sizes are not those of the scale paper"]
    assert entry["sizes"] == "some"
    assert judged(monkeypatch, VALUES["outside"], smaller=["train_size"])["verdict"] == "not reproduced"


def test_a_range_that_was_chosen_after_the_run_is_told(monkeypatch):
    told = {day: ledger.told(judged(monkeypatch, VALUES["steady"], fixed=day)) for day in ("2026-11-28", "2026-11-29")}
    assert "after the run" in told["2026-11-29"] and "after the run" not in told["2026-11-28"]
    assert "after the run" in ledger.told(judged(monkeypatch, VALUES["steady"], seen=True))


def test_two_sets_of_seeds_that_disagree_hold_in_part(monkeypatch):
    split = judged(monkeypatch, [0.1, 1.3, 0.1, 1.3, 0.1, 1.2], **{"in part": {"at_most": 9}})
    assert split["halves"] == ["reproduced", "in part"] and split["verdict"] == "in part"
    computed = ledger.judge(Claim.read(ENTRY | {"evidence": "test_ledger:uneven", "reproduced": {"at_most": 7}}))
    assert computed["halves"] == ["reproduced", "not reproduced"] and computed["verdict"] == "in part"
    assert computed["because"] == ["two sets of seeds do not agree"]


def test_evidence_is_computed_for_two_disjoint_sets_of_seeds(monkeypatch):
    asked = []
    monkeypatch.setattr(
        sys.modules[__name__], "evidence", lambda seeds: asked.append(set(seeds)) or torch.zeros(len(seeds))
    )
    entry = ledger.judge(Claim.read(ENTRY))
    assert len(asked) == 2 and not asked[0] & asked[1] and entry["seeds"] == sum(map(len, asked))


def test_the_interval_covers_the_mean_as_often_as_it_says():
    """Against draws from a known distribution: about 95 % of the intervals hold its mean."""
    draws = torch.randn(400, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    held = [low <= 0 <= high for low, high in (ledger.interval(one) for one in draws)]
    assert 0.90 <= sum(held) / len(held) <= 0.98
    assert ledger.interval(torch.tensor([1.0, 3.0, 2.0])) == pytest.approx((-0.484, 4.484), abs=1e-3)  # 2 ± 4.303 / √3


def test_evidence_that_is_no_number_is_an_error(monkeypatch):
    for values in ([], [0.5, float("nan")]):
        with pytest.raises(ValueError, match="made-up: test_ledger:evidence gives no finite numbers"):
            judged(monkeypatch, values)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"statement": ""}, "made-up: 'statement' is missing"),
        ({"test": None}, "made-up: 'test' is missing"),
        ({"quantty": "x"}, "made-up: 'quantty' is no field"),
        ({"kind": "guess"}, "made-up: the kind is 'guess', should be definition"),
        ({"verdict": "reproduced", "why": "I say so"}, "by hand there is only outside this book or not testable"),
        ({"verdict": "not testable"}, "made-up: 'why' is missing"),
        ({"reproduced": {"below": 1}}, "made-up: {'below': 1} should read at_most: 1"),
        ({"reproduced": {"between": [1, 0]}}, r"should read at_most: 1, at_least: 0 or between: \[0, 1\]"),
        ({"reproduced": 1}, "1 should read at_most"),
    ],
)
def test_a_malformed_claim_is_named_with_its_field(tmp_path, changes, message):
    (tmp_path / "claims.yml").write_text(yaml.safe_dump([ENTRY | changes]))
    with pytest.raises(ValueError, match=message):
        ledger.read_claims(tmp_path / "claims.yml")


def test_a_ledger_that_cannot_be_read_says_so(tmp_path):
    for text, message in (("- [", "cannot be read"), (yaml.safe_dump([ENTRY, ENTRY]), "two claims 'made-up'")):
        (tmp_path / "claims.yml").write_text(text)
        with pytest.raises(ValueError, match=message):
            ledger.read_claims(tmp_path / "claims.yml")
    with pytest.raises(ValueError, match="cannot be read"):
        ledger.read_claims(tmp_path / "none.yml")
    with pytest.raises(ValueError, match="made-up: there is no test_ledger:nothing"):
        ledger.judge(Claim.read(ENTRY | {"evidence": "test_ledger:nothing"}))


# ------------------------------------------------------------- the book's own

CLAIMS = ledger.read_claims(ROOT / "book" / "claims.yml")
JUDGED = {name: claim for name, claim in CLAIMS.items() if not claim.verdict}


@pytest.fixture(scope="module")
def content():
    """What `claims.json` would hold."""
    return ledger.ledger(CLAIMS)


def test_the_ledger_follows_its_published_schema(content):
    schema = json.loads((ROOT / "book" / "claims.schema.json").read_text("utf8"))
    jsonschema.validate(json.loads(json.dumps(content)), schema)
    broken = json.loads(json.dumps(content))
    broken["claims"][0]["verdict"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_every_claim_names_what_there_is():
    pages = "\n".join(path.read_text("utf8") for path in (ROOT / "book").glob("*.md"))
    for claim in JUDGED.values():
        assert callable(claim.function), claim.id
        file, _, test = claim.test.partition("::")
        assert (ROOT / file).is_file() and f"def {test}" in (ROOT / file).read_text("utf8"), claim.id
        assert not claim.chapter or f"(chapter-{claim.chapter})=" in pages, claim.id
        assert not claim.figure or f"name: {claim.figure}\n" in pages, claim.id


def test_the_command_shows_one_claim_and_refuses_an_unknown_one():
    def verify(*arguments):
        command = [sys.executable, "-m", "earlystop", "verify", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    one = verify("intro-heuristics")
    assert one.returncode == 0 and one.stdout.startswith("intro-heuristics: OUTSIDE THIS BOOK")
    other = verify("no-such-claim")
    assert other.returncode == 2 and re.match("error: there is no claim 'no-such-claim'", other.stderr)


def swapped(one):
    """The range on the other side of its end: what was asked for is now what must not be."""
    return ledger.Range(**({"low": one.high + 1e-9} if one.high < float("inf") else {"high": one.low - 1e-9}))


def test_ten_claims_that_are_altered_turn_their_verdicts(content, monkeypatch):
    held = [entry["id"] for entry in content["claims"] if entry["verdict"] == "reproduced" and entry["result"]][:10]
    assert len(held) == 10
    for claim in map(CLAIMS.get, held):
        wrong = replace(claim, reproduced=swapped(claim.reproduced), in_part=None)
        assert ledger.judge(wrong)["verdict"] == "not reproduced", claim.id
        right, far = claim.function, swapped(claim.reproduced)
        number = far.low + 1 if far.low > -float("inf") else far.high - 1
        fake = property(lambda _, right=right, n=number: lambda result: torch.full_like(right(result), n))
        monkeypatch.setattr(Claim, "function", fake)
        assert ledger.judge(replace(claim, in_part=None))["verdict"] == "not reproduced", claim.id
        monkeypatch.undo()


def test_claims_that_pages_name_exist_and_notebooks_say_so_in_words():
    named = 0
    for page in (ROOT / "book").glob("[0-9]*.md"):
        notebook = (ROOT / "notebooks" / f"{page.stem}.ipynb").read_text("utf8")
        for name in re.findall(r"{claim}`(.+?)`", page.read_text("utf8")):
            assert name in CLAIMS and f"judged on the page What holds as {name}" in notebook
            named += 1
    assert named


@pytest.mark.leg
def test_no_verdict_depends_on_the_vector_instructions_of_a_processor(content, tmp_path):
    simpler = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
    command = [sys.executable, "-m", "earlystop", "verify", "--json", tmp_path / "claims.json"]
    subprocess.run(command, env=os.environ | simpler, cwd=ROOT, check=True, capture_output=True)
    there = json.loads((tmp_path / "claims.json").read_text("utf8"))["claims"]
    assert [one["verdict"] for one in there] == [one["verdict"] for one in content["claims"]]


def test_code_and_tests_are_links_where_the_repository_has_an_address():
    at = "https://host/owner/name"
    assert scorecard.place("src/a.py:7", "") == "<code>src/a.py:7</code>"
    assert f'"{at}/blob/main/src/a.py#L7"' in scorecard.place("src/a.py:7", at)
    assert f'"{at}/blob/main/tests/b.py"' in scorecard.place("tests/b.py::test_b", at)


def test_the_page_shows_every_claim_with_its_verdict_and_evidence(content):
    text = "\n".join(scorecard.counts(content) + scorecard.page(content, ""))
    for entry in content["claims"]:
        assert f"(claim-{entry['id']})=" in text and entry["statement"] in text
        assert entry.get("why", entry.get("fixed")) in text
    kinds = sum(1 for one in scorecard.SIGNS if content["counts"].get(one) or content["beyond"].get(one))
    assert text.count('class="verdict') == len(content["claims"]) + kinds
    among = {(scorecard.where(entry), entry["verdict"]) for entry in content["claims"]}
    signs = len(content["claims"]) + len(among) + kinds
    assert text.count('class="sign ') == signs
    assert set(content["counts"]) <= set(scorecard.SIGNS) == set(scorecard.MEANINGS)


def test_every_verdict_can_be_chosen_and_counts_add_up(content):
    text = "\n".join(scorecard.counts(content))
    chosen = re.findall(r'id="only-([\w-]+)"', text)
    assert chosen == [
        "all",
        *(scorecard.slug(one) for one in scorecard.SIGNS if content["counts"].get(one) or content["beyond"].get(one)),
    ]
    assert all(text.count(f"#only-{one}:checked") == 2 and f".claim:not(.{one})" in text for one in chosen[1:])
    places = [list(claims) for _, claims in groupby(content["claims"], key=lambda one: one["place"])]
    told = re.findall(r"</span> (\d+)", " ".join(map(scorecard.signs, places)))
    assert sum(map(int, told)) == len(content["claims"])


def test_the_page_begins_with_what_does_not_hold(content):
    lines = scorecard.page(content, "")
    listed = lines[2 : lines.index("## The paper, place by place") - 1]
    papers = [one for one in content["claims"] if not one["place"].startswith(ledger.BEYOND)]
    failed = [one["id"] for one in papers if one["verdict"] == "not reproduced"]
    assert failed and [re.search(r"#claim-([\w-]+)", line)[1] for line in listed] == failed


def test_claims_beyond_the_paper_are_counted_and_shown_on_their_own(content):
    place = f"{ledger.BEYOND}Somebody (2020)"
    other = content["claims"][1] | {"id": "other", "chapter": "mnist", "place": place, "verdict": "in part"}
    more = content | {"claims": [*content["claims"], other], "beyond": {"in part": 1}}
    assert scorecard.BEYOND == ledger.BEYOND
    lines = scorecard.page(more, "")
    below = lines[lines.index("## Beyond the paper") :]
    assert "### Mnist" in below and "(claim-other)=" in below
    assert f"{other['statement']} (Somebody (2020))" in "\n".join(below)
    assert "1 of these are beyond the paper" in "".join(scorecard.counts(more))
    entry = CLAIMS["intro-heuristics"]
    counts = [ledger.ledger({"x": replace(entry, place=place)}) for place in (entry.place, f"{ledger.BEYOND}Somebody")]
    assert [(sum(one["counts"].values()), sum(one["beyond"].values())) for one in counts] == [(1, 0), (0, 1)]


def test_evidence_is_told_without_computer_notation(content):
    told = [line for entry in content["claims"] if "why" not in entry for line in scorecard.evidence(entry, "")[:2]]
    assert not [line for line in told if re.search(r"\de[-+]?\d", line)]
    assert scorecard.plain("at most 1e-09") == "at most 10⁻⁹" and scorecard.number(-2.5e-7) == "−2.5 × 10⁻⁷"
    entry = next(one for one in content["claims"] if one["verdict"] == "not reproduced")
    assert "short." in scorecard.evidence(entry, "")[1]
    assert not [line for line in told if re.search(r"\b(\S+) to \1[.);]?(\s|$)", line)]  # from a number to itself


def test_two_seeds_are_told_by_both_values_and_a_single_number_is_asked_for_exactly(monkeypatch):
    two = scorecard.evidence(judged(monkeypatch, [1.25, 0.25]), "")
    assert two[0] == "a number: <b>0.25 and 1.25</b>, 2 seeds."
    assert two[1].startswith("Asked for: at most 1. The range")
    three = scorecard.evidence(judged(monkeypatch, [0.5, 0.6, 0.7]), "")
    assert "95% interval" in three[0] and "to spare." in three[1]
    exactly = judged(monkeypatch, [1.0, 1.0, 1.0], reproduced={"between": [1 - 1e-9, 1 + 1e-9]})
    assert scorecard.evidence(exactly, "")[1].startswith("Asked for: exactly 1. The range")
