"""Files that survive: results, finished cells and checkpoints, written whole or not at all."""

import gzip
import hashlib
import io
import json
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4
from zipfile import ZipFile

import torch
from filelock import FileLock, Timeout

SCHEMA = "earlystop result, version 1"
DIGITS = 6  # significant digits of stored numbers
LEFT_OVER = 86_400  # seconds after which a half-written file is of a process that was killed
# What wrong content raises.
BROKEN = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError)


class StoreError(RuntimeError):
    """A file cannot be written, or is not what it should be; the message says what to do."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until a file is written: torch ends the whole process if its file is closed meanwhile."""
    before, late = signal.getsignal(signal.SIGINT), []
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: late.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if late:
            signal.raise_signal(signal.SIGINT)


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], Any]) -> None:
    """Replace `path` by `content` so that no reader ever sees half of it.

    Large content may be a function that writes it into an open file.
    Raises `StoreError` where the folder cannot be written or the disk is full.
    """
    half = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")  # its own for every writer
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half.open("xb") as file:
            with uninterrupted():
                content(file) if callable(content) else file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise _not_written(path, cause) from error
    finally:
        with suppress(OSError):  # the folder may not be one
            half.unlink(missing_ok=True)


def _not_written(path: Path, cause: OSError) -> StoreError:
    return StoreError(
        f"cannot write {path} ({cause.strerror}): free some space, or choose another folder "
        "with --out or EARLYSTOP_RESULTS; what was finished before is kept"
    )


def remove_left_overs(folder: Path) -> None:
    """Delete what writers of another day began and did not end; those at work are left alone."""
    for half in folder.glob(".*.part"):
        with suppress(OSError):  # somebody else was faster
            if time.time() - half.stat().st_mtime > LEFT_OVER:
                half.unlink()


def plain(value: Any, digits: int | None = DIGITS) -> Any:
    """Tensors and nested lists as JSON can hold them, floats rounded to significant `digits`.

    Raises `ValueError` for NaN and infinity.
    """
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(one, digits) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, digits) for one in value]
    if isinstance(value, float):
        if not abs(value) < float("inf"):
            raise ValueError(f"{value} cannot be stored: the run diverged, or is too small to have this number")
        return float(f"{value:.{digits}g}") if digits else value
    return value


def digest(value: Any) -> str:
    """12 hexadecimal digits that identify a JSON value, to the last digit of its numbers."""
    return hashlib.sha256(json.dumps(plain(value, None), sort_keys=True).encode()).hexdigest()[:12]


def write_json(path: Path, content: dict) -> None:
    """Write JSON with one line a number or list, compressed if the name ends in .gz."""
    data = _text(plain(content)).encode()
    write_atomically(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_json(path: Path) -> dict:
    """Read what `write_json` wrote. Raises `StoreError` if it is damaged, foreign or missing."""
    data = _bytes(path)
    try:
        content = plain(json.loads(gzip.decompress(data) if path.suffix == ".gz" else data), None)  # refuses NaN
    except (gzip.BadGzipFile, EOFError, ValueError, zlib.error, RecursionError) as error:
        raise StoreError(f"{path} is damaged ({type(error).__name__})") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise StoreError(f"{path} has the schema {found!r}, this program reads {SCHEMA!r}")
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path} ({error.strerror})") from error


def expect(content: Any, **kinds: type | tuple[type, ...]) -> Any:
    """`content` of a file. Raises `ValueError` unless it has keys of these types."""
    for key, kind in kinds.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise ValueError(f"no {key!r} as it should be")
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


@contextmanager
def sound(
    path: Path, advice: str = ": delete it and run again", doubted: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """Context that uses the content of a file: what wrong content raises becomes one line that names it.

    Unless it is no longer `doubted`, or there was no memory.
    """
    try:
        yield
    except (StoreError, torch.OutOfMemoryError):
        raise
    except BROKEN as error:
        if not doubted():
            raise
        cause = f"{type(error).__name__}: {error}"
        raise StoreError(f"{path} does not hold what it should ({cause}){advice}") from error


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Context that one process at a time may enter, with the lock file `path`; the others say what they wait for."""
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=1)
    except Timeout:
        print(f"another command is at work on {what}: waiting for it", flush=True)
        lock.acquire()
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        yield
    finally:
        lock.release()


class Checkpoint:
    """Where an unfinished run goes on: a folder with the state of its training and its stages.

    `identity` names everything that the state depends on; a file of another run is refused.
    """

    def __init__(self, folder: Path, identity: str, every: float = 60.0):
        self.folder, self.identity, self.every = folder, identity, every
        self.last = self.started = time.monotonic()
        self.before = 0.0  # seconds that ended runs had spent when they were saved
        self.untried = False  # whether a state was loaded and the run has not gone on from it yet

    def seconds(self) -> float:
        """Time spent on this run so far, with that of the runs that it goes on from."""
        return self.before + time.monotonic() - self.started

    def path(self, name: str = "training") -> Path:
        """The file of a stage."""
        return self.folder / f"{name}.pt"

    def load(self, name: str = "training") -> dict | None:
        """The saved state, or None. Raises `StoreError` if the file is damaged or foreign."""
        path = self.path(name)
        if not path.exists():
            return None
        saved = read_state(path, identity=str, state=dict, seconds=(int, float))
        if saved["identity"] != self.identity:
            raise StoreError(f"{path} belongs to another run: delete {self.folder} to start again")
        self.before = max(self.before, saved["seconds"])
        self.untried = True
        return saved["state"]

    def save(self, state: dict, name: str = "training") -> None:
        """Write the state, replacing the one before; at most 5 % of the time is spent on it."""
        start, self.untried = time.monotonic(), False
        write_state(self.path(name), {"identity": self.identity, "state": state, "seconds": self.seconds()})
        self.last = time.monotonic()
        self.every = max(self.every, 20 * (self.last - start))

    def save_when_due(self, state: Callable[[], dict], now: bool = False) -> None:
        """Save if `every` seconds have passed since the last time, or `now`."""
        self.untried = False
        if now or time.monotonic() - self.last >= self.every:
            self.save(state())

    def keep(self, name: str, compute: Callable[[], dict]) -> dict:
        """The result of a stage: what was saved under `name`, or computed and saved."""
        state = self.load(name)
        if state is None:
            state = compute()
            self.save(state, name)
        return state


def write_state(path: Path, content: dict) -> None:
    """Write nested dictionaries and lists of tensors, numbers and words, in full precision."""
    write_atomically(path, lambda file: torch.save(content, file))


def read_state(path: Path, **kinds: type | tuple[type, ...]) -> dict:
    """Read what `write_state` wrote. Raises `StoreError` if it is damaged, or has no keys of these types."""
    file = io.BytesIO(_bytes(path))
    try:
        if part := ZipFile(file).testzip():  # torch does not look at the checksums
            raise ValueError(part)
        file.seek(0)
        content = torch.load(file, weights_only=True, map_location="cpu")
    except MemoryError as error:
        raise StoreError(f"no memory is left to read {path}: try again") from error
    except Exception as error:  # whatever a damaged or foreign file raises
        raise StoreError(f"{path} is damaged ({type(error).__name__}): delete it and run again") from error
    with sound(path):
        return expect(content, **kinds)
