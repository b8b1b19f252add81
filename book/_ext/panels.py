"""Some panels of a figure that Matplotlib wrote as SVG: the same drawing, seen through a smaller window."""

from __future__ import annotations

import re
from xml.etree import ElementTree

Box = tuple[float, float, float, float]  # left, top, right and bottom
G, USE, PATH = ("{http://www.w3.org/2000/svg}" + name for name in ("g", "use", "path"))
NUMBER = re.compile(r"-?[\d.]+")
PLACED = re.compile(r"translate\((\S+) (\S+)\)(?: rotate\((\S+)\))? scale\((\S+) ")  # of a text
ABOVE, BELOW, WIDE = 85, 25, 65  # what letters take of their line, and one in it, in hundredths of their size
EDGE = 4  # points around what is shown


def count(svg: str) -> int:
    """How many panels a figure has."""
    return len(_axes(svg))


def window(svg: str, numbers: list[int]) -> str:
    """The figure as far as the panels with these numbers, from 1, and their words reach."""
    left, top, right, bottom = _around([_extent(_axes(svg)[number - 1]) for number in numbers])
    left, top, width, height = left - EDGE, top - EDGE, right - left + 2 * EDGE, bottom - top + 2 * EDGE
    size = f'width="{width:.1f}pt" height="{height:.1f}pt" viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}"'
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt" viewBox="[^"]*"', size, svg, count=1)


def _axes(svg: str) -> list[ElementTree.Element]:
    """The groups of the panels, in the order in which they were made."""
    return [group for group in ElementTree.fromstring(svg).iter(G) if group.get("id", "").startswith("axes_")]


def _extent(axes: ElementTree.Element) -> Box:
    """The box of a panel: its frame, and all words that belong to it."""
    frame = [float(one) for one in NUMBER.findall(axes.find(f"{G}/{PATH}").get("d"))]
    boxes = [(min(frame[::2]), min(frame[1::2]), max(frame[::2]), max(frame[1::2]))]
    for group in axes.iter(G):
        if placed := PLACED.match(group.get("transform", "")):
            boxes.append(_words(group, *(float(one or 0) for one in placed.groups())))
    return _around(boxes)


def _around(boxes: list[Box]) -> Box:
    """The box around some."""
    left, top, right, bottom = zip(*boxes)
    return min(left), min(top), max(right), max(bottom)


def _words(group: ElementTree.Element, x: float, y: float, turn: float, scale: float) -> Box:
    """The box of a text that begins at a place, and runs to the right, or upwards if it is turned."""
    starts = [NUMBER.search(letter.get("transform", "0"))[0] for letter in group.iter(USE)]
    long, above, below = (max(map(float, starts), default=0) + WIDE) * scale, ABOVE * scale, BELOW * scale
    return (x - above, y - long, x + below, y) if turn else (x, y - above, x + long, y + below)
