"""Fingerprints: the numbers of tiny runs of an experiment, by which its stored results stand or fall.

A result holds the fingerprint of the code that computed it. As long as today's code gives these
numbers again, the result is what this code would compute, however the code is written.
"""

import platform
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from earlystop.runs.machine import Machine
from earlystop.runs.provenance import now
from earlystop.runs.store import plain

Numbers = dict[str, list[float]]  # a quantity and its numbers, whatever their shape was
Paths = dict[str, tuple[str, Machine, Callable[[Machine], Numbers]]]  # name: precision, machine, tiny run
STACKED, SIDE_BY_SIDE = (
    Machine(
        path=path, threads=1, watched=False, every_epoch_until=1, then_every=3, evaluated=10, calibrated=32, tile=32
    )
    for path in ("stacked", "side by side")
)  # fmt: skip; one thread of a CPU, no bar, and limits that a tiny run reaches


def listed(values: object) -> list[float]:
    """All numbers of a tensor or of nested lists, in order."""
    if isinstance(values, (list, tuple)):
        return [number for one in values for number in listed(one)]
    return [float(number) for number in torch.as_tensor(values).double().flatten().tolist()]


def fingerprint(experiment: Any) -> dict[str, Numbers]:
    """The numbers of all paths of an experiment, by the code as it is."""
    found = {}
    for name, (precision, machine, compute) in experiment.paths.items():
        machine = replace(machine, precision=precision)
        with machine.at_work():
            found[name] = plain(compute(machine))
    return found


today = lru_cache(fingerprint)  # the code of a process stays what it is


def record(experiment: Any) -> dict[str, Any]:
    """The fingerprint as a result holds it: with torch, machine and date."""
    return {
        "numbers": today(experiment),
        "torch": torch.__version__,
        "device": f"cpu ({platform.machine()})",
        "taken": now(),
        "how": "by the code and on the machine of the run",
    }


def differences(name: str, stored: dict[str, Numbers], now: dict[str, Numbers]) -> list[str]:
    """What the code gives otherwise `now`: for each stored path the first quantity that differs.

    Numbers agree within 0.1 % (2 % where they were computed in bfloat16). A path that was not yet
    there says nothing.
    """
    found = []
    for path, then in stored.items():
        here = now.get(path, {})
        share, least = (2e-2, 2e-2) if "bfloat16" in path else (1e-3, 1e-5)
        for key in dict.fromkeys([*then, *here]):
            old, new = then.get(key, []), here.get(key, [])
            pairs = [(a, b) for a, b in zip(old, new) if not abs(a - b) <= share * abs(a) + least]
            if pairs or len(old) != len(new):
                told = "{:.4g} → {:.4g}".format(*pairs[0]) if pairs else f"{len(old)} numbers → {len(new)}"
                found.append(f"{name}, {path}: {key} {told}")
                break
    return found


def changed(experiment: Any, content: dict[str, Any]) -> list[str]:
    """What today's code gives otherwise than the fingerprint in `content` says, in words."""
    numbers = content.get("fingerprint", {}).get("numbers")
    if not numbers:
        return [f"{experiment.name}: no fingerprint tells whether its code gives the same numbers still"]
    return differences(experiment.name, numbers, today(experiment))
