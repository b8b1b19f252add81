"""Run an experiment: its cells side by side, resumable, and all of it in one result file."""

import logging
import os
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import joblib
import psutil

from earlystop.runs.experiment import FILES, Cell, Experiment, Kept, compute, find, named_files
from earlystop.runs.fingerprint import record
from earlystop.runs.machine import Machine, cores, threads
from earlystop.runs.progress import progress
from earlystop.runs.provenance import now
from earlystop.runs.results import Result, each_result, read_result
from earlystop.runs.sizes import Sized
from earlystop.runs.store import SCHEMA, StoreError, alone, digest, plain, remove_left_overs, sound, write_json

LARGE = 200_000  # bytes of numbers from which on a result is compressed
TOGETHER_ON_GPU = 40  # cells in one batch
MEMORY = 12.0  # GB, unless told otherwise
BESIDE_JACOBIAN = 5.0  # GB for J Jᵀ of the paper's size, its eigenvectors and the libraries
LOOK_EVERY = 10.0  # seconds between two looks at a cluster
SAME = ("device", "precision", "threads", "together", "versions", "commit")  # in which runs differ


def run(
    experiment: Experiment, config: Sized, scale: str, out: Path, machine: Machine, *,
    jobs: int | None = None, together: int | None = None, address: str | None = None,
    save_every: float = 60.0, memory: float = MEMORY,
) -> Path:  # fmt: skip
    """Compute every cell that is not finished yet, and write `out`/<name>-<scale>.json; returns its path.

    Finished cells and checkpoints are kept in `out`/parts, and cells of result files in `out` count as
    finished, too. The options are those of the command line, with `address` that of a dask cluster.
    Raises `StoreError` on files that cannot be written or read.
    """
    cells, kept = experiment.all_cells(config), Kept(out, experiment, config, machine.precision)
    write_json(kept.folder / "writable.json", {"schema": SCHEMA})  # fail before, not after the work
    remove_left_overs(kept.folder)
    found = adopt(experiment, config, out, kept.identity, cells)
    for cell in cells:
        if digest(cell) not in found and (one := kept.finished(cell)):
            found[digest(cell)] = summarized(experiment, kept, one)
    missing = [cell for cell in cells if digest(cell) not in found]
    jobs, size = side_by_side(experiment, config, machine, jobs, together, memory)
    room = max(1.0, memory / (1 if address else jobs) - BESIDE_JACOBIAN)
    machine = replace(machine, threads=None if address else threads(jobs), jacobian_bytes=room * 1e9)
    to_go = f"{len(missing)} to go" if missing else "nothing is left to compute"
    print(f"{len(cells) - len(missing)} of {len(cells)} cells are finished, {to_go}")
    parent = None if address or jobs == 1 else os.getpid()
    machine = replace(machine, watched=not (address or parent))
    where = config.__module__, str(FILES.get(experiment.name, experiment.name))
    calls = [
        (where, vars(config), group, machine, out, save_every, parent) for group in experiment.groups(missing, size)
    ]
    finished = on_cluster(calls, address) if address and calls else on_this_machine(calls, jobs)
    for done in progress(finished, "groups of cells", total=len(calls)):
        for one in done:  # a cluster's worker may have another disk
            found[digest(one["cell"])] = summarized(experiment, kept, kept.keep(one))
    kept.tidy()
    with alone(kept.folder / "result.lock", f"the result of {experiment.name}"):
        return assemble(experiment, config, scale, out, [found[digest(cell)] for cell in cells])


def run_group(
    where: tuple[str, str], sizes: dict[str, Any], cells: list[Cell], machine: Machine, out: Path,
    save_every: float, parent: int | None,
) -> list[dict]:  # fmt: skip
    """Compute some cells in this process, which ends with its `parent`.

    Experiments are found by the module of their sizes, which registers them, and by their name or file.
    """
    if parent and parent != os.getpid():  # of a single group that is left, joblib makes no process
        end_with(parent)
    module, name = where
    if not name.endswith(".py"):
        import_module(module)
    experiment = find(name)
    config = experiment.config(**sizes)
    return compute(experiment, config, cells, machine, Kept(out, experiment, config, machine.precision), save_every)


def summarized(experiment: Experiment, kept: Kept, finished: dict) -> dict[str, Any]:
    """A finished cell as a result file has it: its levels, what of its run is published, and how it was computed."""
    cell = finished["cell"]
    with sound(kept.path(cell)):
        return {"how": finished["how"], "entry": plain(cell | experiment.summary(finished["run"], cell))}


def adopt(
    experiment: Experiment, config: Sized, out: Path, identity: dict[str, Any], cells: Sequence[Cell]
) -> dict[str, dict]:  # fmt: skip
    """The finished cells that result files in `out` hold, by the digest of the cell.

    Only those of the same sizes, data and precision, from the same code or code that gives today's numbers; which a
    fingerprint cannot tell of code that sizes name, as `module:name`.
    """
    told = not named_files(config)
    wanted = {digest(plain(cell)): digest(cell) for cell in cells}

    def fits(result: Result) -> bool:
        known = experiment.config.completed(result["config"])
        its = {"config": {key: known[key] for key in identity["config"]}, "data": result["data"]}
        return plain(its) == plain({key: identity[key] for key in its})

    def finished(result: Result) -> Iterator[tuple[str, dict]]:
        for entry in result["cells"]:
            how = result["runs"][entry["run"]]
            cell = wanted.get(digest({key: entry.get(key) for key in cells[0]}))
            if not cell or how["precision"] != identity["precision"]:
                continue
            if how.get("commit", {}).get("source") == identity["source"] or (told and not result.stale):
                seconds = how["seconds"] / how["cells"] * how["together"]
                values = {key: value for key, value in entry.items() if key != "run"}
                yield cell, {"how": how | {"seconds": seconds}, "entry": values}

    found = sorted((dict(finished(one)) for one in each_result(out, experiment.name) if fits(one)), key=len)
    return {cell: one for adopted in found for cell, one in adopted.items()}  # of the largest, what it has


def side_by_side(
    experiment: Experiment, config: Sized, machine: Machine, jobs: int | None, together: int | None, memory: float
) -> tuple[int, int]:
    """How many processes, and how many cells in one batch.

    It depends on the whole sweep and not on what is still missing: the threads of a process,
    and so its rounding, stay the same when a sweep goes on. Spectra of a Jacobian are found one
    at a time for every `MEMORY` GB.
    """
    on_cpu = machine.device == "cpu"
    size = together or (1 if on_cpu else TOGETHER_ON_GPU)
    most = len(experiment.groups(experiment.all_cells(config), size))
    if experiment.memory:
        most = min(most, max(1, int(memory // experiment.memory)))
    return min(jobs or (cores() if on_cpu else 1), most), size


@cache
def end_with(parent: int) -> None:
    """End this process when its parent has ended: nobody would store what it computes."""

    def watch() -> None:
        while os.getppid() == parent and psutil.pid_exists(parent):
            time.sleep(1)
        time.sleep(1)  # after Ctrl-C it may be ending already
        interrupt_main()  # a file that is being written is put away
        time.sleep(5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def on_this_machine(calls: Sequence[tuple], jobs: int) -> Iterator[list]:
    """The results of `run_group` as they come, from `jobs` processes; from this one if that is 1.

    Raises `StoreError` if the system ends one of them.
    """
    if not calls:
        return
    parallel: Any = joblib.Parallel(min(jobs, len(calls)), return_as="generator_unordered", pre_dispatch="n_jobs")
    try:
        yield from parallel(joblib.delayed(run_group)(*call) for call in calls)
    except BrokenProcessPool as error:
        raise StoreError(
            "the system ended a process, as it does when memory runs out: what is finished is kept "
            "and the same command goes on from there, with fewer processes by --jobs 1"
        ) from error


def on_cluster(calls: Sequence[tuple], address: str) -> Iterator[list]:
    """The same from the workers of a dask cluster; a group whose worker is lost is done again."""
    try:
        from concurrent.futures import CancelledError

        from distributed import Client, KilledWorker, wait  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise StoreError("dask is not installed: pip install 'earlystop[cluster]'") from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what is lost is told below, in one line
    print(f"waiting for the scheduler at {address}")
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise StoreError(f"no dask scheduler at {address} ({error}): check --address") from error
    lost = lambda error: StoreError(f"the cluster lost a group of cells ({error}): the same command goes on")
    with client:
        pending = {client.submit(run_group, *call, pure=False) for call in calls}
        deserted = False
        while pending:
            before, deserted = deserted, not client.scheduler_info()["workers"]
            if deserted > before:
                print(f"the cluster at {address} has no workers now: waiting for some")
            try:
                waited: Any = wait(pending, timeout=LOOK_EVERY, return_when="FIRST_COMPLETED")
                done, pending = waited
            except TimeoutError:
                continue
            except CancelledError as error:
                raise lost(error) from error
            failed = None
            for future in done:  # first those that are finished: they may lie on workers' own disks
                try:
                    found = future.result()
                except Exception as error:
                    failed = error
                else:
                    yield found
            if failed:
                raise lost(failed) if isinstance(failed, (KilledWorker, CancelledError)) else failed


def assemble(experiment: Experiment, config: Sized, scale: str, out: Path, found: Sequence[dict]) -> Path:
    """Write all cells into one file, with how each was computed; a file that has another content is left as it is."""
    machines = [{key: one["how"].get(key) for key in SAME} for one in found]
    distinct = [m for i, m in enumerate(machines) if m not in machines[:i]]
    content = {
        "schema": SCHEMA,
        "experiment": experiment.name,
        "title": experiment.title,
        "scale": scale,
        "config": vars(config),
        "data": experiment.data(config),
        "finished": now(),
        "runs": [m | _cost([one["how"] for one, n in zip(found, machines) if n == m]) for m in distinct],
        "cells": [one["entry"] | {"run": distinct.index(m)} for one, m in zip(found, machines)],
    }
    new = plain(content)
    stem = f"{experiment.name}-{scale}".replace(" ", "-").replace("=", "_").replace(",", "+").replace(":", ".")
    if len(stem) > 60:
        stem = f"{experiment.name}-{scale.split()[0]}-{digest(scale)}"
    ending = ".json.gz" if len(str(new["cells"])) > LARGE else ".json"
    path, number = out / f"{stem}{ending}", 1
    while path.exists():
        with suppress(StoreError):  # a file that is no result is left alone, too
            old = read_result(path)
            if all(old.get(key) == new[key] for key in new.keys() - {"finished"}):
                return path  # nothing is new but the date
        print(f"{path} is another result and is kept: the new one is written beside it")
        number += 1
        path = out / f"{stem}-{number}{ending}"
    write_json(path, content | {"fingerprint": record(experiment)})
    return path


def _cost(runs: list[dict]) -> dict[str, Any]:
    """What the cells computed in the same way have cost; those of one batch count once."""
    return {
        "cells": len(runs),
        "started": min(one["started"] for one in runs),
        "seconds": sum(one["seconds"] / one["together"] for one in runs),
        "peak memory in GB": max(one["peak memory in GB"] for one in runs),
    }


def estimate(
    experiment: Experiment, config: Sized, machine: Machine, jobs: int | None = None,
    together: int | None = None, memory: float = MEMORY,
) -> float:  # fmt: skip
    """Seconds that all cells will take, from two small runs of the first group of cells."""
    print("measuring what it takes, by two small runs")
    jobs, size = side_by_side(experiment, config, machine, jobs, together, memory)
    groups = experiment.groups(experiment.all_cells(config), size)
    machine = replace(machine, threads=threads(jobs))
    small, large = (
        replace(config, **{key: min(size, getattr(config, key)) for key, size in trial.items()})
        for trial in experiment.trials
    )
    seconds = []
    for one in (small, small, large):  # the first is a warm-up
        start = time.perf_counter()
        compute(experiment, one, groups[0], machine)
        seconds.append(time.perf_counter() - start)
    more_work = experiment.work(large) - experiment.work(small)
    rate = max(seconds[2] - seconds[1], 1e-3) / more_work if more_work else 0.0
    return rate * experiment.work(config) * len(groups) / jobs
