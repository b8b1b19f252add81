"""How far long work is: a bar for a person, or a file for whoever looks later."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tqdm.auto import tqdm


def progress(items: Iterable, description: str, total: int | None = None) -> Iterable:
    """`items`, with a bar after two seconds; set `TQDM_DISABLE=1` where nobody watches.

    Where `EARLYSTOP_PROGRESS` names a file, how far it is is written there instead.
    """
    if file := os.environ.get("EARLYSTOP_PROGRESS"):
        return _told(items, description, len(items) if total is None else total, Path(file))
    return tqdm(items, desc=description, total=total, delay=2, leave=False, disable=nobody_watches())


def _told(items: Iterable, description: str, total: int, file: Path) -> Iterable:
    def tell(text: str) -> None:
        with suppress(OSError):  # it is only for the eye
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


def nobody_watches() -> bool:
    """Whether `TQDM_DISABLE` says that nobody looks at bars and sliders."""
    return os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
