"""Result files: the best one there is, its numbers, and where they come from."""

import html
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.runs.experiment import Experiment, check_how, find
from earlystop.runs.fingerprint import changed
from earlystop.runs.sizes import SCALES
from earlystop.runs.store import StoreError, expect, plain, read_json, sound

FREE = ("seeds", "losses", "heads")  # sizes that the paper does not state
RESULT = {"experiment": str, "title": str, "scale": str, "config": dict, "data": dict,
          "finished": str, "runs": list, "cells": list}  # fmt: skip


def read_result(path: Path) -> dict:
    """Read a result of an experiment. Raises `StoreError` as `read_json`, and unless its parts fit together."""
    with sound(path, ""):
        content = expect(read_json(path), **RESULT)
        if content["scale"].partition(" ")[0] not in SCALES:
            raise ValueError("an unknown scale")
        for run in content["runs"]:
            check_how(run)
            if expect(run, cells=int)["cells"] < 1:
                raise ValueError("a run of no cells")
        kinds: dict[str, type | None] = {}
        for cell in content["cells"]:
            if expect(cell, run=int)["run"] not in range(len(content["runs"])):
                raise ValueError("a cell of an unknown run")
            for key, value in cell.items():
                if _kind(value) is None or kinds.setdefault(key, _kind(value)) != _kind(value):
                    raise ValueError(f"damaged numbers in {key!r}")
    return content


def _kind(value: Any) -> type | None:
    """Whether a value is a word, a number, or a list of numbers; None if it is neither."""
    if isinstance(value, list):
        return list if all(_kind(one) in (float, list) for one in value) else None
    return str if isinstance(value, str) else float if isinstance(value, (int, float)) else None


def _told(size: Any) -> str:
    """A size as a reader wants it: 50,000, and lists without brackets."""
    if isinstance(size, (list, tuple)):
        return ", ".join(map(_told, size))
    return str(size).replace("_", " ") if isinstance(size, (str, bool)) or size is None else f"{size:,.10g}"


def _less(now: Any, there: Any) -> bool:
    """Whether a size is smaller than another one: a number, or a list that is shorter or of smaller numbers."""
    if isinstance(now, list):
        return len(now) < len(there) or (len(now) == len(there) and all(map(_less, now, there)))
    return isinstance(now, (int, float)) and now < there


@dataclass(frozen=True)
class Result:
    """A result file: one figure's numbers, with all that they depend on."""

    path: Path
    content: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    @property
    def experiment(self) -> Experiment:
        """The experiment whose numbers these are."""
        return find(self["experiment"])

    def select(self, **where: Any) -> list[dict[str, Any]]:
        """The cells with these values. Raises `StoreError` if there is none."""
        found = [c for c in self["cells"] if all(c[key] == value for key, value in where.items())]
        if not found:
            raise StoreError(f"{self.path.name} has no cell with {where}")
        return found

    def numbers(self, key: str, **where: Any) -> Float[Tensor, "cells ..."]:
        """The numbers `key` of all cells with these values, stacked. Raises `StoreError` if some have none."""
        if lacking := [cell for cell in self.select(**where) if key not in cell]:
            raise StoreError(f"{self.path.name} has no {key!r} for {len(lacking)} of its cells, as an older version")
        return torch.tensor([cell[key] for cell in self.select(**where)], dtype=torch.float64)

    def levels(self, key: str) -> list[Any]:
        """The values that `key` takes in the sweep, in order of appearance."""
        return list(dict.fromkeys(cell[key] for cell in self["cells"]))

    def until(self, epoch: int) -> "Result":
        """The same runs up to what was measured last by this epoch: of curves, the rest is cut."""
        cells = []
        for cell in self["cells"]:
            length, kept = len(cell["epoch"]), sum(one <= epoch for one in cell["epoch"])
            curves = {k: v for k, v in cell.items() if isinstance(v, list) and len(v) == length}
            cells.append(cell | {k: v[:kept] for k, v in curves.items()})
        return Result(self.path, self.content | {"cells": cells})

    @property
    def seeds(self) -> str:
        """How many seeds there are, in words."""
        return counted(len({cell["seed"] for cell in self["cells"]}), "seed")

    def unlike_paper(self) -> dict[str, tuple[Any, Any]]:
        """Sizes that the paper states and that are not those of the scale `paper`: here, and there."""
        kind = self.experiment.config
        paper, now = plain(vars(kind.at("paper"))), kind.completed(self["config"])
        asked = [key for key, size in kind.fields().items() if key not in FREE and not size.ours]
        return {key: (now.get(key), paper[key]) for key in asked if now.get(key) != paper[key]}

    @property
    def sizes(self) -> str:
        """Whether its sizes are the paper's, in words."""
        changes = self.unlike_paper().items()
        told = [f"{key.replace('_', ' ')} {_told(now)} instead of {_told(there)}" for key, (now, there) in changes]
        return f"not {self.whole}: {'; '.join(told)}" if told else self.whole

    @property
    def whole(self) -> str:
        """Whose sizes its scale `paper` has, in words."""
        return "this book's own" if self.experiment.own else "the paper's"

    @property
    def extent(self) -> str:
        """The same as `sizes`, without naming them."""
        changes = self.unlike_paper().values()
        if not changes:
            return f"sizes {self.whole}"
        smaller = all(starmap(_less, changes))
        if self.experiment.own and not smaller:
            return "not the usual sizes"
        return f"{'smaller than' if smaller else 'sizes not'} {self.whole}"

    @property
    def stale(self) -> list[str]:
        """What today's code gives otherwise than the code that computed this; empty if nothing."""
        return changed(self.experiment, self.content)

    @property
    def devices(self) -> str:
        """What its runs computed on, and how precisely."""
        words = self.experiment.words
        return "; ".join(sorted({f"{run['device']}, {words.format(run['precision'])}" for run in self["runs"]}))

    @property
    def minutes(self) -> float:
        """What it cost, all processes added up."""
        return sum(run["seconds"] for run in self["runs"]) / 60

    @property
    def command(self) -> str:
        """The command that computes it again."""
        scale, *changes = self["scale"].split()
        before, fields = self.experiment.config.completed({}), self.experiment.config.fields()
        newer = [key for key in sorted(before.keys() - self["config"].keys()) if before[key] != fields[key].at[scale]]
        changes += [f"{key}={before[key]}" for key in newer]
        options = "".join(f" --set {change}" for change in changes)
        kinds = {run["precision"] for run in self["runs"]}
        if len(kinds) == 1 and self.experiment.deep:
            options += f" --precision {kinds.pop()}"  # its default depends on the device
        return f"python -m earlystop run {self['experiment']} --scale {scale}{options}"

    @property
    def rank(self) -> tuple:
        """What makes a result better than another: the largest scale, then the fewest changed sizes."""
        scale, *changes = self["scale"].split()
        return SCALES.index(scale), -len(self.unlike_paper()), -len(changes), self["finished"]


def folder(start: Path | None = None) -> Path:
    """`book/results` of the book around the current folder, or of the package: its copy, or the book that it is in.

    Raises `StoreError` if there is neither.
    """
    here = (start or Path.cwd()).resolve()
    for place in (here, *here.parents):
        if (place / "book" / "results").is_dir():
            return place / "book" / "results"
    package = Path(__file__).parents[1]
    for place in (package / "results", package.parents[1] / "book" / "results"):  # installed, or in the book
        if place.is_dir():
            return place
    raise StoreError(f"no folder book/results in {here} or above: open this in a copy of the book")


def each_result(folder: Path, name: str) -> Iterator[Result]:
    """Every result of an experiment in a folder; files of such names that are none are passed over with a warning."""
    for path in sorted(folder.glob(f"{name}-*.json*")):
        try:
            result = Result(path, read_result(path))
        except StoreError as error:
            warnings.warn(f"passed over, no result of {name}: {error}", stacklevel=2)
        else:
            yield from [result] * (result["experiment"] == name)


def load(name: str, where: Path | None = None, **levels: Any) -> Result:
    """The best result of an experiment: the largest scale, then the fewest changed sizes.

    Only those count whose sweep has these `levels`, as in `losses="cross_entropy"`. Raises
    `StoreError` if there is none.
    """
    fitting = [
        one
        for one in each_result(where or folder(), name)
        if all(value in one["config"].get(key, ()) for key, value in levels.items())
    ]
    if not fitting:
        sizes = "".join(f" --set {key}={value}" for key, value in levels.items())
        raise StoreError(
            f"no result of {name} yet: python -m earlystop run {name} --scale paper{sizes} --out book/results"
        )
    return max(fitting, key=lambda one: one.rank)


def credit(result: Result) -> str:
    """One muted line on sizes, seeds and machine, which opens on cost, versions and command, as HTML for a page."""
    runs = result["runs"]
    memory, versions = max(run["peak memory in GB"] for run in runs), {run["versions"]["torch"] for run in runs}
    machines = "; ".join(sorted({run["device"] for run in runs}))
    stale = f" <b>Its code gives other numbers now</b> ({'; '.join(result.stale)})." if result.stale else ""
    return (
        f'<details class="credit"><summary>Computed beforehand; {result.extent}; {result.seeds}, {machines}.{stale}'
        f"</summary><p>The sizes are {html.escape(result.sizes)}. Computed on {result.devices}: "
        f"{counted(len(result['cells']), 'run')}, {result.minutes:,.1f} minutes of all processes "
        f"added up, at most {memory:.1f} GB, torch {', '.join(sorted(versions))}, finished {result['finished']}. "
        f"In a copy of the book:</p><pre>{html.escape(result.command)}</pre></details>"
    )


def counted(number: int, word: str) -> str:
    """A number with its noun."""
    return f"{number:,} {word}{'s' if number != 1 else ''}"
