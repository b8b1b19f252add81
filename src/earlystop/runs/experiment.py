"""An experiment: what a figure's room declares, and how its cells are computed and kept."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from shutil import rmtree
from typing import Any

import psutil
import torch

from earlystop.runs.fingerprint import Paths
from earlystop.runs.machine import Machine, here, results_folder
from earlystop.runs.provenance import commit, now, source_hash, versions
from earlystop.runs.sizes import Sized
from earlystop.runs.store import Checkpoint, StoreError, alone, digest, expect, plain, read_state, sound, write_state

Cell = dict[str, Any]  # one run of a sweep: its corruption rate, its seed, ...
Run = dict[str, Any]  # what a cell gives: curves, tensors, numbers
FINISHED = {"cell": dict, "how": dict, "run": dict}  # a file of a finished cell
HOW = {"device": str, "precision": str, "threads": int, "together": int, "versions": dict, "started": str,
       "seconds": (int, float), "peak memory in GB": (int, float)}  # fmt: skip


def check_how(how: Any) -> None:
    """Raise `ValueError` unless it is told how a cell was computed."""
    expect(how, **HOW)
    if how["together"] < 1 or not 0 <= how["seconds"] < float("inf") or not isinstance(how.get("commit", {}), dict):
        raise ValueError("it has no batch, time or commit as it should be")


@dataclass(frozen=True, eq=False)
class Experiment:
    """One figure of the paper: its sizes, the cells of its sweep, and how they are computed and shown.

    `runs(config, cells, checkpoint, machine)` computes cells that agree in the keys `together`, as
    one batch. `sweep` names the sizes that list the cells, by the key that each gives a cell, and
    they do not change what a cell is. `work` is what a cell costs at a configuration, in any unit:
    from the times of `trials`, two smaller configurations, follows that of the whole.
    """

    name: str
    title: str
    config: type[Sized]
    runs: Callable[..., list[Run]]
    sweep: dict[str, str]
    work: Callable[[Any], float]
    trials: tuple[dict[str, int], dict[str, int]]
    together: tuple[str, ...] = ()
    one_by_one: bool = False  # whether a batch of them would take turns: each is kept as soon as it is finished
    cells: Callable[[Any], list[Cell]] | None = None  # default: all combinations of the sweep's values
    summary: Callable[[Run, Cell], Run] = lambda run, cell: run  # what of a run is published
    data: Callable[[Any], dict[str, str]] = lambda config: {}  # hashes of the data that are not made by code
    own: bool = False  # whether it is this book's, and the paper has none such
    deep: bool = True  # whether its networks can be trained in bfloat16
    words: str = "{}"  # for the precision of its numbers
    memory: float = 0.0  # GB that a process needs for itself
    float64: bool = False  # whether the device must have it
    draw: dict[str, Callable[[Any], Any]] = field(default_factory=dict)  # pictures by the end of their name
    paths: Paths = field(default_factory=dict)  # the tiny runs of its fingerprint

    def code(self, config: Sized) -> str:
        """A hash of the code that its numbers come from: the package's, and that of files outside it."""
        outside = [*filter(None, [FILES.get(self.name)]), *named_files(config)]
        return digest([source_hash(), *(path.read_text("utf8") for path in outside)]) if outside else source_hash()

    def all_cells(self, config: Any) -> list[Cell]:
        """Every cell of the sweep of a configuration."""
        return self.cells(config) if self.cells else grid(config, self.sweep)

    def groups(self, cells: Sequence[Cell], size: int) -> list[list[Cell]]:
        """Cells that can be computed as one batch, at most `size` in each group."""
        size = 1 if self.one_by_one else size
        kinds: dict[tuple, list[Cell]] = {}
        for cell in cells:
            kinds.setdefault(tuple(cell[key] for key in self.together), []).append(cell)
        return [kind[i : i + size] for kind in kinds.values() for i in range(0, len(kind), size)]

    def identity(self, config: Sized, precision: str) -> dict[str, Any]:
        """What finished work depends on, besides the cell: sizes, all of the source, data, precision."""
        return {
            "experiment": self.name,
            "config": {k: v for k, v in vars(config).items() if k not in self.sweep.values()},
            "source": self.code(config),
            "data": self.data(config),
            "precision": self.precision(precision),
        }

    def precision(self, chosen: str) -> str:
        """The precision of its numbers where this one was chosen."""
        return chosen if self.deep else "float32"

    def run(self, config: Sized, **cell: Any) -> Run:
        """One cell on this machine, `kept` in the folder `EARLYSTOP_RESULTS`; without one, nothing is kept."""
        machine, folder = here(), results_folder()
        kept = Kept(folder, self, config, machine.precision) if folder else None
        return compute(self, config, [cell], machine, kept)[0]["run"]


def grid(config: Sized, sweep: dict[str, str]) -> list[Cell]:
    """All combinations of the values of a sweep's sizes; a number counts from 0."""
    levels = [getattr(config, size) for size in sweep.values()]
    values = product(*(range(level) if isinstance(level, int) else level for level in levels))
    return [dict(zip(sweep, one)) for one in values]


def named_files(config: Sized) -> list[Path]:
    """The files whose functions and classes its sizes name, as `module:name`, each once."""
    values = [one if isinstance(one, (list, tuple)) else [one] for one in vars(config).values()]
    modules = {word.partition(":")[0] for some in values for word in some if isinstance(word, str) and ":" in word}
    found = [find_spec(module) for module in sorted(modules)]
    return [Path(spec.origin) for spec in found if spec and spec.has_location and spec.origin]


EXPERIMENTS: dict[str, Experiment] = {}
FILES: dict[str, Path] = {}  # of those that were found in a file outside the package


def register(experiment: Experiment) -> Experiment:
    """Make an experiment known by its name. Raises `ValueError` if that is the name of another one."""
    known = EXPERIMENTS.setdefault(experiment.name, experiment)
    if known.title != experiment.title:
        raise ValueError(f"there is an experiment {experiment.name!r} already ({known.title}): choose another name")
    EXPERIMENTS[experiment.name] = experiment  # it may have been improved
    return experiment


def find(name: str) -> Experiment:
    """An experiment by name, or by the file outside the package that registers it; raises `ValueError` if none is."""
    path = Path(name)
    if path.suffix == ".py" and path.is_file():
        return _own(path.resolve())
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise ValueError(f"there is no experiment {name!r}: use {known}, or a file that has an EXPERIMENT")
    return EXPERIMENTS[name]


def _own(path: Path) -> Experiment:
    """The experiment that a file outside the package registers."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    room = importlib.import_module(path.stem)
    if Path(room.__file__ or "").resolve() != path or not isinstance(getattr(room, "EXPERIMENT", None), Experiment):
        raise ValueError(f"{path} has no EXPERIMENT, or the name of another module: see CONTRIBUTING.md")
    FILES[room.EXPERIMENT.name] = path
    return register(room.EXPERIMENT)


class Kept:
    """The cells of an experiment at one configuration, finished and unfinished, in a folder's `parts`."""

    def __init__(self, folder: Path, experiment: Experiment, config: Sized, precision: str):
        self.folder, self.name = folder.resolve() / "parts", experiment.name
        self.identity = experiment.identity(config, precision)

    def path(self, cell: Cell) -> Path:
        """Where a finished cell is kept: its name holds all that its numbers depend on."""
        return self.folder / f"{self.name}-{digest([self.identity, cell])}.pt"

    def finished(self, cell: Cell) -> dict | None:
        """A cell with its run and how it was computed; None if it is not finished.

        Raises `StoreError` if its file is damaged or that of another one.
        """
        path = self.path(cell)
        if not path.exists():
            return None
        with sound(path):
            found = read_state(path, **FINISHED)
            check_how(found["how"])
            if plain(found["cell"], None) != plain(cell, None):
                raise ValueError(f"it is of the cell {found['cell']}, not {cell}")
        return found

    def keep(self, computed: dict) -> dict:
        """Store a finished cell, unless it is stored; returns what is stored."""
        with alone(self.folder / "cells.lock", f"the files of cells in {self.folder}"):
            if found := self.finished(computed["cell"]):
                return found
            write_state(self.path(computed["cell"]), computed)
        return computed

    @contextmanager
    def unfinished(self, cells: list[Cell], machine: Machine, every: float) -> Iterator[Checkpoint]:
        """The checkpoint of a batch, for one process at a time; deleted when the batch is finished."""
        own = digest([self.identity, cells, torch.__version__, machine.device, machine.threads])
        lock, folder = self.folder / f"{own}.lock", self.folder / f"{self.name}-{own}.checkpoint"
        with alone(lock, f"the same cells of {self.name}"):
            write_state(folder / "cells", {"identity": digest(self.identity), "cells": cells})
            yield Checkpoint(folder, own, every)
            rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # Windows, where somebody waits for it
                lock.unlink()

    def tidy(self) -> None:
        """Delete checkpoints of finished cells: of a process that was killed after it kept them."""
        for listed in self.folder.glob(f"{self.name}-*.checkpoint/cells"):
            with suppress(StoreError):  # another process was faster
                begun = read_state(listed, identity=str, cells=list)
                if begun["identity"] == digest(self.identity) and all(map(self.finished, begun["cells"])):
                    rmtree(listed.parent, ignore_errors=True)


def compute(
    experiment: Experiment, config: Sized, cells: list[Cell], machine: Machine,
    kept: Kept | None = None, save_every: float = 60.0,
) -> list[dict]:  # fmt: skip
    """Cells of one batch, each with its run and how it was computed: those that are `kept`, or computed and kept.

    An unfinished batch is saved every so many seconds, and goes on where it was.
    """
    if kept is None:
        with machine.at_work():
            runs = experiment.runs(config, cells, None, machine)
            return [{"cell": cell, "run": run} for cell, run in zip(cells, runs, strict=True)]
    found: list[Any] = [kept.finished(cell) for cell in cells]
    missing = [cell for cell, one in zip(cells, found) if not one]
    if not missing:
        return found
    with kept.unfinished(missing, machine, save_every) as checkpoint:
        later: list[Any] = [kept.finished(cell) for cell in missing]  # by somebody else who was at work
        if not all(later):
            later = [kept.keep(one) for one in _computed(experiment, config, missing, machine, checkpoint)]
    return [one or later.pop(0) for one in found]


def _computed(
    experiment: Experiment, config: Sized, cells: list[Cell], machine: Machine, checkpoint: Checkpoint
) -> list[dict]:
    """Cells of one batch, each with its run and how it was computed."""
    started = now()
    if machine.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with machine.at_work(), sound(checkpoint.folder, doubted=lambda: checkpoint.untried):
        runs = experiment.runs(config, cells, checkpoint, machine)
        how = {
            "device": machine.words,
            "precision": experiment.precision(machine.precision),
            "threads": torch.get_num_threads(),
            "together": len(cells),
            "started": started,
            "seconds": checkpoint.seconds(),
            "peak memory in GB": peak_memory(machine.device),
            "versions": versions(),
            "commit": commit() | {"source": experiment.code(config)},
        }
    return [{"cell": cell, "how": how, "run": run} for cell, run in zip(cells, runs, strict=True)]


def peak_memory(device: str = "cpu") -> float:
    """Largest memory of this process so far, of the GPU where there is one, in GB."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
