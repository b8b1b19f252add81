"""What all benchmarks share: the machine in words, alternating measurement, tables, JSON."""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from earlystop.runs.machine import here
from earlystop.runs.provenance import now, versions
from earlystop.runs.store import write_json


def arguments(doc: str) -> argparse.ArgumentParser:
    """A command line with the two options of every benchmark, `--repeats` and `--save`."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--repeats", type=int, default=3, help="after one warm-up (default: 3)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the numbers as JSON")
    return parser


def about(*packages: str) -> dict[str, Any]:
    """Machine, cores, threads, versions and date of this process; `packages` besides our own."""
    found = versions()
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        "device": here().words,
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads of torch": torch.get_num_threads(),
        "versions": found,
        "date": now(),
    }


def print_about(facts: dict[str, Any]) -> None:
    """One line with the machine, one with the versions."""
    print(
        f"{facts['device']}, {facts['vector instructions']}, {facts['cores']} cores, "
        f"{facts['threads of torch']} threads of torch unless a table says otherwise, "
        f"{facts['date']}"
    )
    print(", ".join(f"{name} {number}" for name, number in facts["versions"].items()))


def operations(model: torch.nn.Module, *image_shape: int) -> float:
    """Operations of one image forward: a multiplication and an addition count two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, *image_shape))
    return counter.get_total_flops()


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call, until the GPU has finished too."""
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if here().device == "cuda":
        torch.cuda.synchronize()


def alternate(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each way in each of `repeats` rounds, all ways by turns: A B A B.

    A first round is a warm-up and does not count. Raises `ValueError` if `repeats` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"--repeats is {repeats}, should be 1 or more")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, work in ways.items():
            spent = timed(work)
            if turn:  # the first is a warm-up
                seconds[name].append(spent)
    return seconds


def compared(seconds: dict[str, list[float]], ours: str) -> list[dict[str, Any]]:
    """For each way its seconds and how many times as long as `ours` it takes, round by round."""
    return [
        {"way": name, "seconds": times, "times ours": [one / own for one, own in zip(times, seconds[ours])]}
        for name, times in seconds.items()
    ]


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def print_compared(title: str, rows: Sequence[dict[str, Any]], *more: str) -> None:
    """The table of `compared`, with the columns `more` of its rows after the ratios."""
    header = ["", "seconds", "times ours", *more]
    body = [[r["way"], r["seconds"], r["times ours"], *(r.get(k, "") for k in more)] for r in rows]
    print_table(title, header, body)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns of text, as wide as needed; a list is shown as its median and range."""
    lines = [[_text(value) for value in line] for line in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    print(f"\n{title}")
    for line in lines:
        print("  " + "  ".join(v.ljust(w) for v, w in zip(line, widths)).rstrip())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return spread(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def save(path: Path | None, content: dict[str, Any]) -> None:
    """Write JSON where `--save` says so."""
    if path:
        write_json(path, content)
        print(f"\n{path}")
