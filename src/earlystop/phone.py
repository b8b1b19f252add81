"""Figures as a built page shows them: legible at the width of its column, and once more for a phone."""

import base64
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, GridSpecFromSubplotSpec
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

MARK = "<!-- for a phone: {} -->"  # behind a figure: the same one for a phone, in base64
LEAST = 11  # pixels of letters as shown
COLUMN, PHONE = 672, 358  # pixels of a figure on a laptop, beside the menu, and on a phone
WIDTH, INSIDE = 4.2, 3.4  # inches of a figure for a phone, and about how many its axes have of them
MARGINS = 0.25  # inches that Jupyter may leave around
SIDES = ("left", "center", "right")  # where a title can stand


def twice(figure: Figure) -> str | None:
    """The figure as SVG, and behind it the one for a phone, which takes its axes."""
    enlarge(figure, max(1 / 96, figure.get_figwidth() / COLUMN))  # a small one is not enlarged
    figure.draw_without_rendering()
    thin_out(figure)
    wide = printed(figure)
    if not wide or figure.subfigs or not panels(figure):
        return wide or None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an author cannot mend
        stack(figure)
        return wide + MARK.format(base64.b64encode(printed(figure).encode()).decode())


def printed(figure: Figure) -> str:
    """The figure as SVG, as Jupyter shows it; empty if nothing was drawn."""
    from IPython.core.pylabtools import print_figure

    return str(print_figure(figure, "svg") or "")


def panels(figure: Figure) -> list[Axes]:
    """The axes that stand in a grid and show something, from top left to bottom right."""
    found = [ax for ax in figure.axes if ax.get_subplotspec() and not _empty(ax)]
    return sorted(found, key=lambda ax: (-round(_place(ax).y1, 3), _place(ax).x0))


def stack(figure: Figure) -> None:
    """Put the panels below each other, each with its own title, names and tick labels.

    Pictures stay side by side as far as their titles fit. The figure has been laid out.
    """
    every = panels(figure)
    shapes = {ax: ax.bbox.height / ax.bbox.width for ax in every}
    for ax in every:
        name_again(ax, every)
    for ax in [ax for ax in figure.axes if ax.get_subplotspec() and ax not in every]:
        ax.remove()
    enlarge(figure, (WIDTH + MARGINS) / PHONE)
    figure.draw_without_rendering()
    lines = list(rows(every))
    heights = [max(_height(ax, shapes[ax], places) for ax in line) for places, line in lines]
    figure.set_layout_engine("constrained")
    figure.set_size_inches(WIDTH, sum(heights) + legends_on_top(figure))
    grid = GridSpec(len(lines), 1, figure, height_ratios=heights)
    for row, (places, line) in enumerate(lines):
        inner = GridSpecFromSubplotSpec(1, places, grid[row])
        for column, ax in enumerate(line):
            ax.set_subplotspec(inner[column])
    fit(figure)


def enlarge(figure: Figure, inches_a_pixel: float) -> None:
    """Raise the letters that would be shown with less than `LEAST` pixels."""
    least = 72 * LEAST * inches_a_pixel
    for text in figure.findobj(Text):
        text.set_fontsize(max(text.get_fontsize(), least))
    for axis in [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]:
        size = axis.get_major_ticks(1)[0].label1.get_fontsize()
        axis.set_tick_params("both", labelsize=max(least, size))  # those to come, too


def name_again(ax: Axes, every: Sequence[Axes]) -> None:
    """Give a panel what it shared with its neighbours: tick labels, names of axes, the title of its column."""
    here = _place(ax)
    above = [one for one in every if _near(_place(one).x0, here.x0) and _place(one).y0 > here.y0]
    below = [one for one in every if _near(_place(one).x0, here.x0) and _place(one).y0 < here.y0]
    left = [one for one in every if _near(_place(one).y0, here.y0) and _place(one).x0 < here.x0]
    for side in SIDES * (not any(map(ax.get_title, SIDES))):
        ax.set_title(_first(one.get_title(side) for one in reversed(above)), loc=side)
    if not ax.axison:
        return
    ax.set_xlabel(ax.get_xlabel() or _first(one.get_xlabel() for one in below))
    ax.set_ylabel(ax.get_ylabel() or _first(one.get_ylabel() for one in reversed(left)))
    for axis, shared in ((ax.xaxis, ax.get_shared_x_axes()), (ax.yaxis, ax.get_shared_y_axes())):
        if len(shared.get_siblings(ax)) > 1:
            axis.set_tick_params("both", **{"labelbottom" if axis is ax.xaxis else "labelleft": True})
            axis.offsetText.set_visible(True)


def rows(every: Sequence[Axes]) -> Iterator[tuple[int, list[Axes]]]:
    """What stands side by side on a phone, and in how many places: a panel alone, pictures as their titles allow."""
    for picture, group in groupby(every, key=_picture):
        group = list(group)
        places = _abreast(group) if picture else 1
        yield from ((places, group[start : start + places]) for start in range(0, len(group), places))


def legends_on_top(figure: Figure) -> float:
    """Put the legends of the whole figure above it, in as few columns as fit; the inches that they need."""
    inches = 0.0
    for legend in list(figure.legends):
        widest = max(text.get_window_extent().width for text in legend.texts) / figure.dpi + 0.6
        columns = max(1, int((WIDTH + 0.2) / widest))
        again(legend, "outside upper center", columns)
        inches += 0.2 + 0.22 * ceil(len(legend.texts) / columns)
    return inches


def again(legend: Legend, place: str, columns: int) -> None:
    """The same legend in another place."""
    labels = [text.get_text() for text in legend.texts]
    look = {"title": legend.get_title().get_text() or None, "fontsize": legend.texts[0].get_fontsize()}
    owner: Any = legend.axes or legend.get_figure()
    axes = [legend.axes] if legend.axes else owner.axes[::-1]  # of a label in several panels the first one counts
    bars = {one.get_label(): one for ax in axes for one in ax.containers if isinstance(one, ErrorbarContainer)}
    handles = [bars.get(label, handle) for label, handle in zip(labels, legend.legend_handles)]  # theirs lack markers
    legend.remove()
    owner.legend(handles, labels, loc=place, ncols=columns, **look)


def fit(figure: Figure) -> None:
    """Break the lines, and narrow the legends, that are wider than what is there."""
    for ax in figure.axes:
        if (legend := ax.get_legend()) and legend.get_window_extent().width > figure.dpi * INSIDE:
            again(legend, "best", 1)
    figure.draw_without_rendering()
    for ax in figure.axes:
        for text in [ax.title, ax._left_title, ax._right_title, ax.xaxis.label]:  # pyright: ignore
            _wrap(text, text.get_window_extent().width, figure.bbox.x1 - ax.bbox.x0)
        _wrap(ax.yaxis.label, ax.yaxis.label.get_window_extent().height, 1.1 * ax.bbox.height)
    thin_out(figure)


def thin_out(figure: Figure) -> None:
    """Leave out every second number at an axis where they would touch; the figure has been laid out."""
    for axis in [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]:
        low, high = f"{axis.axis_name}0", f"{axis.axis_name}1"
        start, end = sorted(axis.get_view_interval())
        shown = [tick.label1 for tick in axis.get_major_ticks() if start <= tick.get_loc() <= end]
        numbers = [label for label in shown if re.search(r"\d", label.get_text())]
        numbers.sort(key=lambda label: getattr(label.get_window_extent(), low))
        boxes = [label.get_window_extent() for label in numbers if label.get_visible()]
        if any(getattr(first, high) > getattr(second, low) for first, second in pairwise(boxes)):
            for label in numbers[1::2]:
                label.set_visible(False)


def _wrap(text: Text, length: float, room: float) -> None:
    """Break a text that is longer than the room for it; formulas are left alone."""
    if length > room and "$" not in text.get_text():
        longest = max(map(len, text.get_text().splitlines()))
        text.set_text(textwrap.fill(text.get_text(), int(longest * room / length)))


def _place(ax: Axes) -> Bbox:
    """Where the grid has a panel, in parts of the figure."""
    return ax.get_subplotspec().get_position(ax.figure)  # pyright: ignore


def _first(texts: Iterable[str]) -> str:
    """The first text that is not empty, if there is one."""
    return next(filter(None, texts), "")


def _near(a: float, b: float) -> bool:
    return abs(a - b) < 1e-3


def _empty(ax: Axes) -> bool:
    """Whether nothing is seen of a panel, as where a grid has more places than needed."""
    return not ax.get_visible() or not (ax.axison or ax.has_data() or ax.texts)


def _picture(ax: Axes) -> bool:
    """Whether a panel is one image without axes."""
    return len(ax.images) == 1 and not (
        ax.axison and any(map(Text.get_text, ax.get_xticklabels() + ax.get_yticklabels()))
    )


def _abreast(group: Sequence[Axes]) -> int:
    """How many pictures fit beside each other, at most as many as before, in rows of the same length."""
    texts = [text for ax in group for text in (ax.title, ax._left_title, ax.xaxis.label)]  # pyright: ignore
    widest = max(text.get_window_extent().width for text in texts) / group[0].figure.dpi + 0.1
    most = max(1, min(len({round(_place(ax).x0, 3) for ax in group}), int(WIDTH / widest)))
    return ceil(len(group) / ceil(len(group) / most))


def _height(ax: Axes, shape: float, abreast: int) -> float:
    """Inches of a panel with all that belongs to it; curves are never taller than wide."""
    if abreast > 1:
        return shape * WIDTH / abreast + 0.3
    around = ax.get_tightbbox().height - ax.bbox.height  # pyright: ignore
    low, high = (0.6, 0.8) if ax.get_aspect() == "auto" else (0, 1.1)
    return INSIDE * min(max(shape, low), high) + around / ax.figure.dpi
