"""Files that survive: results, finished cells and checkpoints, written whole or not at all."""

import gzip
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

SCHEMA = "earlystop result, version 1"
DIGITS = 6  # significant digits of stored numbers
RESULT = {"experiment": str, "title": str, "scale": str, "config": dict, "data": dict,
          "finished": str, "runs": list, "cells": list}  # fmt: skip
RUN = {"device": str, "precision": str, "threads": int, "together": int, "versions": dict,
       "started": str, "seconds": (int, float), "peak memory in GB": (int, float)}  # fmt: skip


class StoreError(RuntimeError):
    """A file cannot be written, or is not what it should be; the message says what to do."""


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], Any]) -> None:
    """Replace `path` by `content` so that no reader ever sees half of it.

    Large content may be a function that writes it into an open file.
    Raises `StoreError` where the folder cannot be written or the disk is full.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            content(file) if callable(content) else file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise StoreError(
            f"cannot write {path} ({cause.strerror}): free some space, or choose another folder "
            "with --out or EARLYSTOP_RESULTS; what was finished before is kept"
        ) from error
    finally:
        with suppress(OSError):  # the folder may not be one
            part.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Tensors and nested lists as JSON can hold them, floats rounded to `DIGITS` digits.

    Raises `ValueError` for NaN and infinity.
    """
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float):
        if not abs(value) < float("inf"):
            raise ValueError(f"{value} cannot be stored: the run diverged, or is too small to have this number")
        return float(f"{value:.{DIGITS}g}")
    return value


def digest(value: Any) -> str:
    """12 hexadecimal digits that identify a JSON value."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()[:12]


def write_json(path: Path, content: dict) -> None:
    """Write JSON with one line a number or list, compressed if the name ends in .gz."""
    data = _text(plain(content)).encode()
    write_atomically(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_json(path: Path) -> dict:
    """Read what `write_json` wrote. Raises `StoreError` if it is damaged, foreign or missing."""
    try:
        data = path.read_bytes()
        content = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except FileNotFoundError:
        raise StoreError(f"there is no file {path}") from None
    except (gzip.BadGzipFile, EOFError, ValueError, zlib.error) as error:
        raise StoreError(f"{path} is damaged ({type(error).__name__}): delete it and run again") from error
    except OSError as error:
        raise StoreError(f"cannot read {path} ({error.strerror}): try again") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else None
        raise StoreError(
            f"{path} has the schema {found!r}, this program reads {SCHEMA!r}: "
            "delete it and run again, or use the version that wrote it"
        )
    return content


def read_result(path: Path) -> dict:
    """Read a result of an experiment. Raises `StoreError` as `read_json`, and if a part is missing."""
    content = expect(path, read_json(path), **RESULT)
    for run in content["runs"]:
        expect(path, run, **RUN, cells=int)
    for cell in content["cells"] or [{}]:
        if expect(path, cell, run=int)["run"] not in range(len(content["runs"])):
            raise StoreError(f"{path} has a cell of an unknown run: delete it and run again")
    return content


def expect(path: Path, content: Any, **kinds: type | tuple[type, ...]) -> Any:
    """`content`, part of the file `path`. Raises `StoreError` unless it has keys of these types."""
    for key, kind in kinds.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise StoreError(f"{path} has no {key!r} as it should: delete it and run again")
    return content


def _text(value: Any, indent: str = "") -> str:
    """JSON in which objects, and lists of objects, have a line an entry."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(k)}: {_text(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return "[\n" + ",\n".join(inner + _text(one, inner) for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


class Checkpoint:
    """Where an unfinished run goes on: a folder with the state of its training and its stages.

    `identity` names everything that the state depends on; a file of another run is refused.
    """

    def __init__(self, folder: Path, identity: str, every: float = 60.0):
        self.folder, self.identity, self.every = folder, identity, every
        self.last = self.started = time.monotonic()
        self.before = 0.0  # seconds that ended runs had spent when they were saved

    def seconds(self) -> float:
        """Time spent on this run so far, with that of the runs that it goes on from."""
        return self.before + time.monotonic() - self.started

    def load(self, name: str = "training") -> dict | None:
        """The saved state, or None. Raises `StoreError` if the file is damaged or foreign."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            saved = torch.load(path, weights_only=True, map_location="cpu")
            identity, state, before = saved["identity"], saved["state"], float(saved["seconds"])
        except MemoryError as error:
            raise StoreError(f"no memory is left to read {path}: try again") from error
        except Exception as error:  # whatever a damaged or foreign file raises
            raise StoreError(
                f"{path} is not a whole checkpoint ({type(error).__name__}): "
                f"delete {self.folder} to start this run again"
            ) from error
        if identity != self.identity:
            raise StoreError(f"{path} belongs to another run: delete {self.folder} to start again")
        self.before = max(self.before, before)
        return state

    def save(self, state: dict, name: str = "training") -> None:
        """Write the state, replacing the one before; at most 5 % of the time is spent on it."""
        start = time.monotonic()
        content = {"identity": self.identity, "state": state, "seconds": self.seconds()}
        write_atomically(self._path(name), lambda file: torch.save(content, file))
        self.last = time.monotonic()
        self.every = max(self.every, 20 * (self.last - start))

    def save_when_due(self, state: Callable[[], dict], now: bool = False) -> None:
        """Save if `every` seconds have passed since the last time, or `now`."""
        if now or time.monotonic() - self.last >= self.every:
            self.save(state())

    def keep(self, name: str, compute: Callable[[], dict]) -> dict:
        """The result of a stage: what was saved under `name`, or computed and saved."""
        state = self.load(name)
        if state is None:
            state = compute()
            self.save(state, name)
        return state

    def drop(self, name: str) -> None:
        """Delete what was saved under `name`, if anything was."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.pt"
