"""Figures for dark pages: a colour keeps its hue and its place in an order, black and white follow the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb

PAPER, INK = "#121212", "#ced6dd"  # background and text of the theme's dark pages
LINES, LETTERS = 3, 4.5  # the contrast that they need
GREY = 0.02  # chroma of what has no hue
DARKEST, MEET = 0.57, 0.8  # lightness of the first level on a dark page, and of the one that stays as it is
LEVEL_MAP = colormaps["viridis"]  # of `plots.level_color`
LEVELS = {to_hex(LEVEL_MAP(number)) for number in range(LEVEL_MAP.N)}

# The rectangles of the figure and of its panels; a text, before which Matplotlib writes its words; any other colour.
PARTS = re.compile(
    r'(?P<behind><g id="(?:figure|axes)_\d+">\s*<g id="patch_\d+">\s*<path [^>]*style="fill: )#ffffff'
    r'|(?P<words>-->\s*<g style="fill: )(?P<letters>#[0-9a-f]{6})'
    r"|(?P<paint>\b(?:fill|stroke): )(?P<lines>#[0-9a-f]{6})"
)
# OKLab, https://bottosson.github.io/posts/oklab: linear sRGB to cones, and the cube roots of these to what it is.
CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
OKLAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


def dark(svg: str) -> str:
    """A figure for a dark page: nothing behind it, and its colours such that they are seen there."""
    svg = re.sub(r"<svg\b", f'<svg fill="{INK}"', svg, count=1)  # what Matplotlib writes no colour for is black
    return PARTS.sub(_part, svg)


def _part(found: re.Match) -> str:
    """What stands in a dark figure for a colour."""
    if found["behind"]:
        return f"{found['behind']}none"
    if found["words"]:
        return found["words"] + on_dark(found["letters"], words=True)
    return found["paint"] + on_dark(found["lines"])


@cache
def on_dark(color: str, words: bool = False) -> str:
    """A colour on a dark page: a grey stands out as much as on a white one, another is lightened as far as needed."""
    lightness, *hue = oklab(color)
    if np.hypot(*hue) < GREY:
        return _first(lambda share: _between(PAPER, INK, share), max(LETTERS * words, contrast(color, "#ffffff")))
    least = LETTERS if words else LINES
    if color in LEVELS and lightness < MEET:
        first = oklab(to_hex(LEVEL_MAP(0)))[0]
        lightness = MEET - (MEET - DARKEST) * (MEET - lightness) / (MEET - first)
    elif contrast(color, PAPER) >= least:
        return color
    return _first(lambda share: from_oklab((1 - share) * lightness + share, *hue), least)


def _first(way: Callable[[float], str], least: float) -> str:
    """The first colour on a way from 0 to 1 that has a contrast with dark paper; its end if none has."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if contrast(way(middle), PAPER) >= least else (middle, high)
    return way(0.0) if contrast(way(0.0), PAPER) >= least else way(high)


def _between(first: str, last: str, share: float) -> str:
    """A colour on the straight way between two."""
    return from_oklab(*((1 - share) * oklab(first) + share * oklab(last)))


def contrast(color: str, other: str) -> float:
    """How much two colours stand out from each other, from 1 to 21 (WCAG)."""
    low, high = sorted(0.05 + _linear(one) @ (0.2126, 0.7152, 0.0722) for one in (color, other))
    return float(high / low)


def oklab(color: str) -> np.ndarray:
    """Lightness of a colour as it is seen, and its two coordinates from green to red and from blue to yellow."""
    return OKLAB @ np.cbrt(CONES @ _linear(color))


def from_oklab(lightness: float, a: float, b: float) -> str:
    """The colour of this lightness and hue; less colourful where a screen cannot show it."""
    for colorful in np.linspace(1, 0, 51):
        seen = np.linalg.solve(OKLAB, [lightness, colorful * a, colorful * b])
        rgb = np.linalg.solve(CONES, seen**3)
        if rgb.min() > -1e-4 and rgb.max() < 1 + 1e-4:
            break
    rgb = rgb.clip(0, 1)
    return to_hex(np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055))


def _linear(color: str) -> np.ndarray:
    """Red, green and blue as amounts of light."""
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
