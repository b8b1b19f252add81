"""How far a run is, for somebody who watches."""

import os
from collections.abc import Iterable

from tqdm.auto import tqdm


def nobody_watches() -> bool:
    """Whether `TQDM_DISABLE` says that bars and sliders are of no use."""
    return os.environ.get("TQDM_DISABLE", "0") not in ("", "0")


def progress(items: Iterable, description: str, total: int | None = None) -> tqdm:
    """`items`, with a bar after two seconds; set `TQDM_DISABLE=1` where nobody watches."""
    return tqdm(items, desc=description, total=total, delay=2, leave=False, disable=nobody_watches())
