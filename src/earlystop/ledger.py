"""The ledger: each claim of the paper, and some beyond it, with a verdict that is computed from its evidence."""

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import yaml
from jaxtyping import Float
from torch import Tensor

from earlystop.metrics import interval
from earlystop.page import load
from earlystop.runs.machine import here
from earlystop.runs.provenance import versions
from earlystop.runs.results import Result, counted, folder
from earlystop.runs.store import SCHEMA

EACH = ("definition", "identity", "inequality")  # hold in every instance, or do not hold
KINDS = (*EACH, "number", "shape", "existence")  # the others are about a mean over seeds
YES, PART, NO = "reproduced", "in part", "not reproduced"
OPEN = ("outside this book", "not testable")
BEYOND = "Beyond the paper: "  # so begins the place of a claim that others make
SEEDS = 5  # of evidence that is computed at once: one set, and a second one
BOUNDS = {"at_most": 1, "at_least": 1, "between": 2}


@dataclass(frozen=True)
class Range:
    """The values of a quantity with which a claim holds: both ends belong to it."""

    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def read(cls, text: Any) -> "Range":
        """From `{at_most: 1}`, `{at_least: 0}` or `{between: [0, 1]}`; raises `ValueError` for anything else."""
        (how, value), *more = text.items() if isinstance(text, dict) and text else [("", None)]
        ends = [float(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, (int, float))]
        if more or BOUNDS.get(how) != len(ends) or ends != sorted(ends):
            raise ValueError(f"{text} should read at_most: 1, at_least: 0 or between: [0, 1]")
        return cls(**{"high": ends[0]}) if how == "at_most" else cls(*ends)

    def margins(self, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """How far inside each value is; below 0 it is outside."""
        return torch.minimum(values - self.low, self.high - values)

    def __str__(self) -> str:
        if self.low == -math.inf:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high == math.inf else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, or beyond it, in our words, and what would make it true: an entry of `claims.yml`."""

    id: str
    place: str  # in the paper, or `BEYOND` it and who says it
    statement: str
    kind: str
    verdict: str = ""  # of `OPEN`, with the reason `why`, where there is no evidence
    why: str = ""
    quantity: str = ""
    reproduced: Range = field(default_factory=Range)
    in_part: Range | None = None
    fixed: date | None = None  # when these ranges were chosen,
    seen: bool = False  # with the run before one's eyes, on the same day; that a later day comes after it is plain
    evidence: str = ""  # module:function
    result: dict[str, Any] | None = None  # the stored one that it is asked about; without it, it is asked about seeds
    chapter: str = ""
    figure: str = ""
    test: str = ""

    @classmethod
    def read(cls, entry: dict[str, Any]) -> "Claim":
        """An entry of the ledger. Raises `ValueError` that names the claim and the field that is wrong."""
        given: dict[str, Any] = {key.replace(" ", "_"): value for key, value in entry.items()}
        try:
            for problem in problems(given, {one.name for one in fields(cls)}):
                raise ValueError(problem)
            for key in given.keys() & {"reproduced", "in_part"}:
                given[key] = Range.read(given[key])
        except ValueError as error:
            raise ValueError(f"claims.yml: {entry.get('id', 'a claim without an id')}: {error}") from None
        return cls(**given)

    @property
    def function(self) -> Callable[..., Tensor]:
        """What computes the evidence: one value for each seed, of a result or from seeds."""
        module, _, name = self.evidence.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            raise ValueError(f"claims.yml: {self.id}: there is no {self.evidence}") from None


def problems(given: dict[str, Any], known: set[str]) -> Iterator[str]:
    """What is wrong with the fields of a claim."""
    needs = ["id", "place", "statement", "kind"]
    needs += ["why"] if "verdict" in given else ["quantity", "reproduced", "fixed", "evidence", "test"]
    yield from (f"{key!r} is missing" for key in needs if not given.get(key))
    yield from (f"{key!r} is no field of a claim" for key in given if key not in known)
    if given["kind"] not in KINDS:
        yield f"the kind is {given['kind']!r}, should be {', '.join(KINDS)}"
    if given.get("verdict", OPEN[0]) not in OPEN:
        yield f"the verdict is {given['verdict']!r}: by hand there is only {' or '.join(OPEN)}"


def read_claims(path: Path | None = None) -> dict[str, Claim]:
    """The claims of a ledger by their ids, in the order of the paper; default: the book's own.

    Raises `ValueError` that names the claim and the field that is wrong.
    """
    path = path or folder().parent / "claims.yml"
    try:
        entries = yaml.safe_load(path.read_text("utf8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"the ledger cannot be read: {error}") from None
    claims = [Claim.read(entry) for entry in entries]
    names = [claim.id for claim in claims]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"claims.yml: there are two claims {twice[0]!r}")
    return dict(zip(names, claims))


def word(claim: Claim, values: Float[Tensor, " n"]) -> str:
    """The verdict of these values alone.

    A definition, an identity or an inequality must hold in each of them. For any other claim the interval of the mean
    must lie in the range; if only the mean does, the claim holds in part. So it does within the weaker range.
    """
    each = claim.kind in EACH
    if (claim.reproduced.margins(looked_at(claim, values)) >= 0).all():
        return YES
    middle = values if each else values.mean()[None]
    weaker = [one for one in (claim.reproduced, claim.in_part) if one and (one.margins(middle) >= 0).all()]
    return PART if weaker else NO


def looked_at(claim: Claim, values: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
    """What must lie in the range: each value, or the 95 % interval of their mean, or the only value there is."""
    each = claim.kind in EACH or len(values) == 1
    return values if each else torch.tensor(interval(values), dtype=torch.float64)


def doubts(values: Float[Tensor, " n"], halves: Sequence[str], result: Result | None) -> list[str]:
    """Why no more than "in part" may be said of values that reproduce a claim."""
    found = ["it is one run"] * (result is not None and len(values) == 1)
    found += ["two sets of seeds do not agree"] * (len(set(halves)) > 1)
    found += ["its sizes are not those of the scale paper"] * bool(result and result.unlike_paper())
    return found


def judge(claim: Claim, read: Callable[..., Result] | None = None) -> dict[str, Any]:
    """A claim with its verdict and all that this rests on, as an entry of `claims.json`; `read` instead of `load`."""
    entry: dict[str, Any] = {
        key: getattr(claim, key) for key in ("id", "place", "statement", "kind", "chapter", "figure")
    }
    if claim.verdict:
        return entry | {"verdict": claim.verdict, "why": claim.why}
    result = (read or load)(claim.result["name"], **claim.result.get("levels", {})) if claim.result else None
    if result:
        values = claim.function(result).double().flatten()
        sets = [values[::2], values[1::2]] if len(values) >= 4 else []
    else:
        sets = [claim.function(range(start, start + SEEDS)).double().flatten() for start in (0, SEEDS)]
        values = torch.cat(sets)
    if not values.numel() or not values.isfinite().all():
        raise ValueError(f"{claim.id}: {claim.evidence} gives no finite numbers: {values.tolist()}")
    halves = [word(claim, part) for part in sets]
    found, why = word(claim, values), doubts(values, halves, result)
    return entry | {
        "verdict": PART if found == YES and why else found,
        "because": why,
        "quantity": claim.quantity,
        "value": values.mean().item(),
        "interval": list(interval(values)) if len(values) > 1 else None,
        "worst": values[claim.reproduced.margins(values).argmin()].item(),
        "margin": claim.reproduced.margins(looked_at(claim, values)).min().item(),
        "range": str(claim.reproduced),
        "fixed": str(claim.fixed),
        "chosen_after_run": claim.seen or bool(result and str(claim.fixed) > result["finished"][:10]),
        "seeds": len(values),
        "halves": halves,
        "evidence": claim.evidence,
        "code": place_of(claim),
        "test": claim.test,
        **origin(claim, result),
    }


def origin(claim: Claim, result: Result | None) -> dict[str, Any]:
    """Where, when and by which sizes the evidence was computed, and how to compute it again."""
    if result is None:
        command = f"python -m earlystop verify {claim.id}"
        now = {"device": here().words, "date": str(date.today()), "versions": versions()}
        return now | {"sizes": "", "result": "", "command": command}
    return {
        "device": result.devices, "date": result["finished"][:10], "versions": result["runs"][0]["versions"],
        "sizes": result.sizes, "result": result.path.name, "command": result.command,
    }  # fmt: skip


def place_of(claim: Claim) -> str:
    """The file of the package, and the line of it at which the evidence for a claim is defined."""
    module, _, name = claim.evidence.partition(":")
    source = inspect.getsource(import_module(module)).splitlines()
    starts = (f"def {name}(", f"{name} =", f"{name}:")
    return f"{module.replace('.', '/')}.py:{next(i for i, text in enumerate(source, 1) if text.startswith(starts))}"


def ledger(claims: dict[str, Claim]) -> dict[str, Any]:
    """The content of `claims.json`; claims of the paper are counted, and those beyond it on their own."""
    read = cache(load)  # many claims are about one file
    judged = [judge(claim, read) for claim in claims.values()]
    kept = {True: Counter(), False: Counter()}
    for entry in judged:
        kept[entry["place"].startswith(BEYOND)][entry["verdict"]] += 1
    counts, beyond = ({one: kept[where][one] for one in (YES, PART, NO, *OPEN)} for where in (False, True))
    return {"schema": SCHEMA, "counts": counts, "beyond": beyond, "claims": judged}


def told(entry: dict[str, Any]) -> str:
    """The evidence for one claim, as text for a terminal."""
    lines = [f"{entry['id']}: {entry['verdict'].upper()}", f"{entry['place']}: {entry['statement']}"]
    if "why" in entry:
        return "\n    ".join([*lines, entry["why"]])
    value, ends = f"{entry['value']:.4g}", entry["interval"]
    spread = f", 95 % interval {ends[0]:.4g} to {ends[1]:.4g}" if ends else ""
    after = ", after the run" * entry["chosen_after_run"]
    lines += [f"{entry['quantity']}: {value}{spread} ({counted(entry['seeds'], 'seed')}), worst {entry['worst']:.4g}",
              f"asked for: {entry['range']} (chosen on {entry['fixed']}{after}), margin {entry['margin']:.3g}",
              f"two sets of seeds: {', '.join(entry['halves'])}" if entry["halves"] else "not split: too few seeds",
              *(f"no more than in part: {why}" for why in entry["because"]),
              f"computed on {entry['device']}, {entry['date']}, by {entry['evidence']} ({entry['code']})",
              f"from {entry['result']} (sizes: {entry['sizes']})" if entry["result"] else "computed just now",
              f"tested by {entry['test']}", f"again: {entry['command']}"]  # fmt: skip
    return "\n    ".join(lines)
