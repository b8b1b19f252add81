"""What the sweep of Theorem 2.2 shows: pictures, and one number for every seed."""

from typing import Any


def draw(result: Any) -> None:
    """To be drawn."""


def draw_controls(result: Any) -> None:
    """To be drawn."""


def draw_worst(result: Any) -> None:
    """To be drawn."""
