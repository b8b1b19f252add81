"""How far a run is: a bar for somebody who watches, or a file for the process that does."""

import os
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm


def nobody_watches() -> bool:
    """Whether `TQDM_DISABLE` says that bars and sliders are of no use."""
    return os.environ.get("TQDM_DISABLE", "0") not in ("", "0")


def progress(items: Iterable, description: str, total: int | None = None) -> tqdm:
    """`items`, with a bar after two seconds; set `TQDM_DISABLE=1` where nobody watches."""
    return tqdm(items, desc=description, total=total, delay=2, leave=False, disable=nobody_watches())


def told(items: Iterable, description: str, file: Path, total: int | None = None) -> Iterator:
    """`items`, while `file` says how far they are; it is only for the eye, so writing may fail."""
    total = total if total is not None else len(items) if isinstance(items, Sized) else 0

    def tell(text: str) -> None:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{description} {text}", "utf8")

    start, due = time.monotonic(), 0.0
    for done, item in enumerate(items):
        if (now := time.monotonic()) >= due:
            left = f", {duration((now - start) / done * (total - done))} left" if done else ""
            tell(f"{done} of {total}{left}")
            due = now + 1
        yield item
    tell("finished")


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
