"""The machine that numbers are computed on, as one value that is handed down."""

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from joblib import cpu_count as cores  # those that this process may use

from earlystop.runs.progress import progress

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Machine:
    """Where and how networks are trained and looked at: it changes no more than the rounding of a number."""

    device: str = "cpu"  # "cpu", "cuda" or "mps"
    precision: str = "float32"  # of the training of deep networks, or "bfloat16"
    threads: int | None = None  # of torch; None leaves them as they are
    watched: bool = True  # whether a bar shows how far a run is
    path: str = "by device"  # of a step: "stacked", "side by side"; by device: side by side on a GPU
    every_epoch_until: int = 40  # measured after each epoch until this one,
    then_every: int = 10  # later after every tenth
    evaluated: int = 1000  # samples that are evaluated at a time
    calibrated: int = 500  # samples by which batch norm is calibrated at a time
    tile: int = 512  # rows of a Jacobian that are computed and multiplied at a time
    jacobian_bytes: float = 9e9  # of a Jacobian held at a time, so that all stays below 12 GB

    def measured(self, epoch: int, last: int) -> bool:
        """Whether to measure after this epoch: all of the first ones, later only some."""
        return epoch <= self.every_epoch_until or epoch % self.then_every == 0 or epoch == last

    @property
    def side_by_side(self) -> bool:
        """Whether networks work one beside the other instead of by batched operators."""
        return self.device == "cuda" if self.path == "by device" else self.path == "side by side"

    def autocast(self) -> torch.autocast:
        """Context in which operations that may be computed in bfloat16 are, if `precision` says so."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def progress(self, items: Iterable, description: str, total: int | None = None) -> Iterable:
        """`items`, with a bar if it is `watched`."""
        return progress(items, description, total) if self.watched else items

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Torch as described here, and the same numbers in every run on a GPU; as it was afterwards."""
        threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
        torch.set_num_threads(self.threads or threads)
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic = deterministic

    @property
    def words(self) -> str:
        """The device as a reader would name it."""
        if self.device == "cuda":
            return torch.cuda.get_device_name()
        return f"{self.device} ({platform.machine()}, {cores()} cores)"


def here(device: str | None = None, precision: str | None = None) -> Machine:
    """This machine as a person has set it: by arguments, or `EARLYSTOP_DEVICE` and `EARLYSTOP_PRECISION`.

    Left at "auto" it is a CUDA GPU or the CPU, and bfloat16 where a GPU has units for it, else
    float32: GPUs before Ampere (T4, V100) would only emulate it. An Apple GPU (mps) has no float64,
    so it is used only where it is asked for. Raises `ValueError` for what is unknown, and for a
    device that this machine lacks.
    """
    device = device or os.environ.get("EARLYSTOP_DEVICE") or "auto"
    precision = precision or os.environ.get("EARLYSTOP_PRECISION") or "auto"
    for kind, value, known in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if value not in known:
            name = f"EARLYSTOP_{kind.upper()} or --{kind}"
            raise ValueError(f"{kind} {value!r} is unknown, use one of {', '.join(known)} ({name})")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[device]:
        raise ValueError(f"this machine has no device {device!r}: use --device cpu")
    if precision == "auto":
        recent = device == "cuda" and torch.cuda.get_device_capability() >= (8, 0)
        precision = "bfloat16" if recent else "float32"
    return Machine(device, precision)


def results_folder() -> Path | None:
    """The folder in which finished runs are kept, `EARLYSTOP_RESULTS`; None if it is not set."""
    folder = os.environ.get("EARLYSTOP_RESULTS", "").strip()
    return Path(folder).expanduser().resolve() if folder else None


def threads(jobs: int) -> int:
    """Threads of each of `jobs` processes: an even share of the cores, or `OMP_NUM_THREADS`."""
    share = max(1, cores() // jobs)
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2": of nested ones
    if wanted and not wanted.isdecimal():
        raise ValueError(f"OMP_NUM_THREADS is {wanted!r}, should be a number of threads")
    return min(share, int(wanted or share))
