"""Run an experiment: its cells side by side, resumable, and all of it in one result file."""

import dataclasses
import os
import shutil
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import psutil
import torch
from joblib import cpu_count as cores  # those that this process may use

from earlystop.experiments import EXPERIMENTS, Experiment, check, identity
from earlystop.fingerprint import changed, record
from earlystop.page import progress
from earlystop.provenance import commit, hardware, now, source_hash, versions
from earlystop.scale import Cell, Sized, Way, device, precision
from earlystop.store import (
    RUN,
    SCHEMA,
    Checkpoint,
    StoreError,
    digest,
    expect,
    plain,
    read_json,
    read_result,
    write_json,
)  # fmt: skip

LARGE = 200_000  # bytes of numbers from which on a result is compressed
TOGETHER_ON_GPU = 40  # cells in one batch
MEMORY = 12.0  # GB, unless told otherwise
BESIDE_JACOBIAN = 5.0  # GB for J Jᵀ of the paper's size, its eigenvectors and the libraries
TOLD, LOOK_EVERY = "progress.txt", 10.0  # how far a process is, and seconds between two looks
SAME = ("device", "precision", "threads", "together", "versions", "commit")  # in which runs differ


def run(
    name: str,
    config: Sized,
    scale: str,
    out: Path,
    *,
    jobs: int | None = None,
    engine: str = "local",
    address: str | None = None,
    together: int | None = None,
    save_every: float = 60.0,
    memory: float = MEMORY,
    say: Callable[[str], None] = print,
) -> Path:
    """Compute every cell that is not finished yet, and write `out`/<name>-<scale>.json.

    Finished cells and checkpoints are kept in `out`/parts, so that a run which was ended in any
    way goes on where it was, and one with more seeds or levels computes only those; the cells of
    result files in `out` count as finished, too, on whichever machine they were computed.

    - `together`: cells in a batch; default one on a CPU, all on a GPU.
    - `jobs`: processes that work side by side; default one a core, one for a GPU.
    - `engine`: "local", or "dask" for the workers of the cluster at `address`.
    - `save_every`: seconds after which an unfinished run is saved, at the end of an epoch.
    - `memory`: GB that spectra of a Jacobian may take, all processes together.

    Returns the file's path. Raises `StoreError` on files that cannot be written or read.
    """
    check(config)
    cells, parts = EXPERIMENTS[name].cells(config), out.resolve() / "parts"
    write_json(parts / "writable.json", {"schema": SCHEMA})  # fail before, not after the work
    for half in parts.glob(f".{name}-*.part"):  # what a killed run left
        half.unlink(missing_ok=True)
    common = identity(name, config)
    paths = [part(parts, name, common, cell) for cell in cells]
    adopt(name, [*cells[0]], common, out, paths)
    missing = [cell for cell, path in zip(cells, paths) if not path.exists()]

    jobs, size = side_by_side(name, config, jobs, together, memory)
    groups = grouped(missing, EXPERIMENTS[name], size)
    here = jobs == 1 and engine == "local"
    settings = {
        "EARLYSTOP_DEVICE": os.environ.get("EARLYSTOP_DEVICE", "auto"),
        "EARLYSTOP_PRECISION": precision(),
        "threads": threads(jobs) if engine == "local" else None,
        "save_every": save_every,
        "jacobian_bytes": max(1.0, memory / (jobs if engine == "local" else 1) - BESIDE_JACOBIAN) * 1e9,
        "parent": None if engine == "dask" else os.getpid(),
        "tells": not here,
    }
    say(f"{len(cells) - len(missing)} of {len(cells)} cells are finished, "
        + (f"{len(missing)} to go" if missing else "nothing is left to compute"))  # fmt: skip
    calls = [(name, config, group, settings, parts, digest(common)) for group in groups]
    finished = on_cluster(calls, address) if engine == "dask" and calls else on_this_machine(calls, jobs)
    for checkpoint, done in watched(finished, len(calls), parts, name):
        for cell, values, how in done:
            content = {"schema": SCHEMA, "cell": cell, "run": how, "values": values}
            write_json(part(parts, name, common, cell), content)
        shutil.rmtree(checkpoint, ignore_errors=True)  # only now is it not needed
    return assemble(name, config, scale, out, paths, common)


def watched(finished: Iterator, total: int, parts: Path, name: str) -> Iterator:
    """`finished` with a bar that also shows, from their files, how far the processes are."""
    started, done = time.time() - 2, threading.Event()  # file systems may round times
    bar = progress(finished, "groups of cells", total=total)

    def look() -> None:
        while not done.wait(LOOK_EVERY):
            told = []
            for file in parts.glob(f"{name}-*.checkpoint/{TOLD}"):
                with suppress(OSError):  # it may be gone
                    told += [file.read_text("utf8")] * (file.stat().st_mtime >= started)
            bar.set_postfix_str("; ".join(told))

    threading.Thread(target=look, daemon=True).start()
    try:
        yield from bar
    finally:
        done.set()


def side_by_side(
    name: str, config: Sized, jobs: int | None, together: int | None = None, memory: float = MEMORY
) -> tuple[int, int]:
    """How many processes, and how many cells in one batch.

    It depends on the whole sweep and not on what is still missing: the threads of a process,
    and so its rounding, stay the same when a sweep goes on. Spectra of a Jacobian are found one
    at a time for every `MEMORY` GB.
    """
    experiment, on_cpu = EXPERIMENTS[name], device().type == "cpu"
    size = together or (1 if on_cpu else TOGETHER_ON_GPU)
    most = len(grouped(experiment.cells(config), experiment, size))
    if name == "fig4c":
        most = min(most, max(1, int(memory // MEMORY)))
    return min(jobs or (cores() if on_cpu else 1), most), size


def threads(jobs: int) -> int:
    """Threads of each of `jobs` processes: an even share of the cores, or `OMP_NUM_THREADS`."""
    share = max(1, cores() // jobs)
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2": of nested ones
    if wanted and not wanted.isdecimal():
        raise ValueError(f"OMP_NUM_THREADS is {wanted!r}, should be a number of threads")
    return min(share, int(wanted or share))


def adopt(name: str, keys: list[str], common: dict, out: Path, paths: list[Path]) -> None:
    """Write the finished cells at `paths` that result files in `out` already hold.

    Only those of the same sizes, data and precision, from code that gives today's numbers. Raises
    `StoreError` on a damaged file.
    """
    for file in sorted(out.glob(f"{name}-*.json*")):
        result = read_result(file)
        found = {key: result.get(key) for key in ("experiment", "data")} | {"source": common["source"]}
        known = EXPERIMENTS[name].config.completed(result["config"])
        found["config"] = {k: v for k, v in known.items() if k in common["config"]}
        for entry in result["cells"]:
            machine, cell = result["runs"][entry["run"]], {key: entry.get(key) for key in keys}
            own = found | {"precision": EXPERIMENTS[name].precision(machine["precision"])}
            path = part(paths[0].parent, name, own, cell)
            if path not in paths or path.exists() or not of_today(name, result, machine):
                continue
            seconds = machine["seconds"] / machine["cells"] * machine["together"]
            values = {k: v for k, v in entry.items() if k not in cell and k != "run"}
            how = machine | {"seconds": seconds}
            write_json(path, {"schema": SCHEMA, "cell": cell, "run": how, "values": values})


def of_today(name: str, result: dict, machine: dict) -> bool:
    """Whether today's code would compute the cells of a stored run."""
    return machine.get("commit", {}).get("source") == source_hash() or not changed(name, result)


def part(parts: Path, name: str, common: dict, cell: Cell) -> Path:
    """Where a finished cell is kept: its name holds all that its numbers depend on."""
    return parts / f"{name}-{digest([common, cell])}.json"


def grouped(cells: Sequence[Cell], experiment: Experiment, size: int) -> list[list[Cell]]:
    """Cells that can be computed as one batch, at most `size` in each group."""
    kinds: dict[tuple, list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(tuple(cell[key] for key in experiment.together), []).append(cell)
    return [kind[i : i + size] for kind in kinds.values() for i in range(0, len(kind), size)]


def run_group(
    name: str, config: Sized, cells: list[Cell], settings: dict, parts: Path, common: str
) -> tuple[Path, list[tuple[Cell, dict, dict]]]:
    """Compute some cells in this process; each with its values and how they were computed.

    The folder before them holds the checkpoint, until somebody has stored the cells.
    """
    os.environ.update({k: v for k, v in settings.items() if k.isupper()})
    if settings["parent"] != os.getpid():
        os.environ["TQDM_DISABLE"] = "1"  # the bar is in another process
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    if settings["parent"] not in (None, os.getpid()):
        end_with(settings["parent"])
    torch.backends.cudnn.deterministic = True  # same seed and device, same curve
    own = digest([common, cells, torch.__version__, device().type, torch.get_num_threads()])
    folder = parts / f"{name}-{own}.checkpoint"
    checkpoint = Checkpoint(folder, own, settings["save_every"])
    started = now()
    if device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    os.environ["EARLYSTOP_PROGRESS"] = str(folder / TOLD) if settings["tells"] else ""
    try:
        way = Way(jacobian_bytes=settings["jacobian_bytes"])
        values = EXPERIMENTS[name].runs(config, cells, checkpoint, way)
    finally:
        os.environ["EARLYSTOP_PROGRESS"] = ""
    how = {
        "device": hardware(),
        "precision": EXPERIMENTS[name].precision(precision()),
        "threads": torch.get_num_threads(),
        "together": len(cells),
        "started": started,
        "seconds": checkpoint.seconds(),
        "peak memory in GB": peak_memory(),
        "versions": versions(),
        "commit": commit(),
    }
    return folder, [(cell, one, how) for cell, one in zip(cells, values)]


def end_with(parent: int) -> None:
    """End this process when its parent has ended: nobody would store what it computes."""

    def watch() -> None:
        while os.getppid() == parent and psutil.pid_exists(parent):
            time.sleep(1)
        time.sleep(1)  # after Ctrl-C it may be ending already
        interrupt_main()  # a file that is being written is put away
        time.sleep(5)
        os._exit(1)

    name = f"end with {parent}"
    if name not in {thread.name for thread in threading.enumerate()}:
        threading.Thread(target=watch, name=name, daemon=True).start()


def peak_memory() -> float:
    """Largest memory of this process so far, of the GPU where there is one, in GB."""
    if device().type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def on_this_machine(calls: Sequence[tuple], jobs: int) -> Iterator[list]:
    """The results of `run_group` as they come, from `jobs` processes; from this one if that is 1.

    Raises `StoreError` if the system ends one of them.
    """
    if not calls:
        return
    parallel = joblib.Parallel(min(jobs, len(calls)), return_as="generator_unordered", pre_dispatch="n_jobs")
    try:
        yield from parallel(joblib.delayed(run_group)(*call) for call in calls)
    except BrokenProcessPool as error:
        raise StoreError(
            "the system ended a process, as it does when memory runs out: what is finished is kept "
            "and the same command goes on from there, with fewer processes by --jobs 1"
        ) from error


def on_cluster(calls: Sequence[tuple], address: str | None) -> Iterator[list]:
    """The same from the workers of a dask cluster; a group whose worker is lost is done again."""
    try:
        from concurrent.futures import CancelledError

        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise StoreError("dask is not installed: pip install 'earlystop[cluster]'") from None
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise StoreError(f"no dask scheduler at {address} ({error}): check --address") from error
    with client:
        futures = [client.submit(run_group, *call, pure=False) for call in calls]
        for future in as_completed(futures):
            try:
                done = future.result()
            except (KilledWorker, CancelledError) as error:
                raise StoreError(f"the cluster lost a group of cells ({error}): the same command goes on") from error
            yield done


def assemble(name: str, config: Sized, scale: str, out: Path, paths: Sequence[Path], common: dict) -> Path:
    """Write all cells into one file, with how each was computed."""
    parts = [read_json(path) for path in paths]
    for path, found, cell in zip(paths, parts, EXPERIMENTS[name].cells(config)):
        expect(path, found, values=dict, run=dict)
        expect(path, found["run"], **RUN)
        if found.get("cell") != plain(cell):
            raise StoreError(f"{path} is of the cell {found.get('cell')}, not {cell}: delete it and run again")
    machines = [{key: part["run"].get(key) for key in SAME} for part in parts]
    distinct = [m for i, m in enumerate(machines) if m not in machines[:i]]
    entries = [
        part["cell"] | {"run": distinct.index(machine)} | part["values"] for part, machine in zip(parts, machines)
    ]
    content = {
        "schema": SCHEMA,
        "experiment": name,
        "title": EXPERIMENTS[name].title,
        "scale": scale,
        "config": vars(config),
        "data": common["data"],
        "finished": now(),
        "runs": [machine | _cost([p["run"] for p, m in zip(parts, machines) if m == machine]) for machine in distinct],
        "cells": entries,
        "fingerprint": record(name),
    }
    size = sum(path.stat().st_size for path in paths)
    stem = f"{name}-{scale}".replace(" ", "-").replace("=", "_").replace(",", "+")
    if len(stem) > 60:
        stem = f"{name}-{scale.split()[0]}-{digest(scale)}"
    path = out / f"{stem}.json{'.gz' if size > LARGE else ''}"
    if path.exists():
        old, new = read_json(path), plain(content)
        if all(old.get(key) == new[key] for key in new.keys() - {"finished", "fingerprint"}):
            return path  # nothing is new but the date
    write_json(path, content)
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
    name: str, config: Sized, jobs: int | None = None, together: int | None = None, memory: float = MEMORY
) -> float:
    """Seconds that all cells will take, from two small runs of the first group of cells."""
    check(config)
    experiment = EXPERIMENTS[name]
    jobs, size = side_by_side(name, config, jobs, together, memory)
    groups = grouped(experiment.cells(config), experiment, size)
    torch.set_num_threads(threads(jobs))
    small, large = (
        dataclasses.replace(config, **{k: min(v, getattr(config, k)) for k, v in trial.items()})
        for trial in experiment.trials
    )
    seconds = []
    for one in (small, small, large):  # the first is a warm-up
        start = time.perf_counter()
        experiment.runs(one, groups[0])
        seconds.append(time.perf_counter() - start)
    more_work = experiment.work(large) - experiment.work(small)
    rate = max(seconds[2] - seconds[1], 1e-3) / more_work if more_work else 0.0
    return rate * experiment.work(config) * len(groups) / jobs
