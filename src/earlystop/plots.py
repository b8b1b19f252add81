"""How the book draws: one style, colours that colour-blind readers can tell apart."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from earlystop import phone
from earlystop.arguments import counts, kinds, numbers, refuse, tensors
from earlystop.runs.progress import nobody_watches

# One colour, marker and dash a meaning, the same in every chapter: blue, orange and green speak of nothing else.
NOISY = {"color": "#0072B2", "linestyle": "-", "marker": "o"}  # against the given labels
TRUE = {"color": "#D55E00", "linestyle": "--", "marker": "s"}  # against the true labels
TEST = {"color": "#009E73", "linestyle": "-.", "marker": "^"}  # on unseen inputs
REFERENCE = {"color": "#000000", "linestyle": ":", "linewidth": 1.4}  # theory, or a flip rate
CURVES = (  # an accuracy of a training, its name and its look
    ("noisy", "training, given labels", NOISY),
    ("true", "training, true labels", TRUE),
    ("test", "test", TEST),
)
KINDS = (  # settings without an order and a meaning of their own: activations, recipes, rules that stop
    {"color": "#000000", "linestyle": "-", "marker": "x"},
    {"color": "#E69F00", "linestyle": "--", "marker": "D"},
    {"color": "#56B4E9", "linestyle": "-.", "marker": "v"},
    {"color": "#767676", "linestyle": ":", "marker": "P"},
)
CONTROL = {"color": "#767676", "linestyle": ":", "marker": ""}  # the same without wrong labels
RIGHT_COLOR, WRONG_COLOR = "#767676", "#CC79A7"  # samples whose given label is right, or wrong
MOST_POINTS = 240  # of a curve that is drawn; more are no longer seen, and make a page heavy
LEVEL_MAP = plt.get_cmap("viridis")


def use_style() -> None:
    """Draw everything in the book's style, as vector graphics; where a book is built, for phones, too.

    >>> earlystop.plots.use_style()
    """
    from IPython.core.getipython import get_ipython
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    plt.style.use(Path(__file__).with_name("book.mplstyle"))
    set_matplotlib_formats("svg")
    if nobody_watches() and (shell := get_ipython()):
        formatters = shell.display_formatter.formatters  # pyright: ignore
        formatters["image/svg+xml"].for_type(Figure, phone.twice)


def line(style: dict) -> dict:
    """`style` without its marker, for curves of many points.

    >>> sorted(earlystop.plots.line(earlystop.plots.TEST))
    ['color', 'linestyle']
    """
    kinds(dict, "a look, such as plots.TEST", style=style)
    return {key: value for key, value in style.items() if key != "marker"}


def level_color(index: int, count: int) -> tuple:
    """Colour of the `index`-th of `count` ordered levels, dark to bright; the brightest is not the green of tests.

    >>> len(earlystop.plots.level_color(0, 3))
    4
    """
    counts(index=index, count=count)
    refuse({f"index is {index}, should be from 0 to {count - 1}": not 0 <= index < count})
    return LEVEL_MAP(0.5 * index / max(1, count - 1))


def log_ticks(axis: Axis, ticks: Sequence[float] | None = None) -> None:
    """Plain numbers along a logarithmic axis, at `ticks` or else at powers of ten, and no marks between them.

    >>> import matplotlib.pyplot as plt
    >>> figure, ax = plt.subplots()
    >>> ax.set_xscale("log")
    >>> earlystop.plots.log_ticks(ax.xaxis, [1, 10, 100])
    """
    kinds(Axis, "one axis, as ax.xaxis", axis=axis)
    if ticks is not None:
        next(tensors(ticks=(ticks, "ticks")))
        axis.set_ticks(ticks)
    axis.set_major_formatter(lambda value, _: f"{value:,.12f}".rstrip("0").rstrip("."))
    axis.set_minor_locator(NullLocator())


def band(ax: Axes, x: Sequence[float] | Tensor, runs: Float[Tensor, "seeds points"], label: str, **style) -> None:
    """Mean over seeds as a line, and the range from lowest to highest as a band; a single run as a line.

    >>> import matplotlib.pyplot as plt
    >>> figure, ax = plt.subplots()
    >>> earlystop.plots.band(ax, [1, 2, 3], [[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]], "two seeds", **earlystop.plots.TEST)
    """
    kinds(Axes, "axes to draw on, as plt.subplots gives", ax=ax)
    (runs,) = tensors(runs=(runs, "... points"))
    runs = runs.cpu()[None] if runs.ndim == 1 else runs.cpu()
    runs, x = tensors(runs.dtype, runs=(runs, "seeds points"), x=(x, "points"))
    keep = some(runs.shape[1])
    x, runs = x[keep], runs[:, keep]
    (drawn,) = ax.plot(x, runs.mean(0), label=label, **style)
    if len(runs) > 1:
        ax.fill_between(x, runs.min(0).values, runs.max(0).values, color=drawn.get_color(), alpha=0.2, lw=0)


def some(points: int, most: int = MOST_POINTS) -> Int[Tensor, " kept"]:
    """Indices of at most `most` of `points`, first and last included, about evenly spread on a logarithmic axis.

    >>> earlystop.plots.some(1000, most=4)
    tensor([  0,   9,  99, 999])
    """
    counts(least=0, points=points)
    counts(least=2, most=most)
    if points <= most:
        return torch.arange(points)
    return (torch.logspace(0, 1, most, base=points, dtype=torch.float64) - 1).round().long().unique()


def share_bars(ax: Axes, clean: Float[Tensor, " bins"], flipped: Float[Tensor, " bins"], top: float) -> None:
    """Histograms from 0 to `top`, given as shares of the clean and of the flipped samples.

    >>> import matplotlib.pyplot as plt
    >>> figure, ax = plt.subplots()
    >>> earlystop.plots.share_bars(ax, [0.9, 0.1], [0.2, 0.8], top=1)
    """
    kinds(Axes, "axes to draw on, as plt.subplots gives", ax=ax)
    numbers(top=top)
    clean, flipped = tensors(clean=(clean, "bins"), flipped=(flipped, "bins"))
    edges = torch.linspace(0, top, len(clean) + 1)
    for shares, label, color in (
        (clean, "given label is right", RIGHT_COLOR),
        (flipped, "given label is wrong", WRONG_COLOR),
    ):
        look = {"facecolor": color + "66", "edgecolor": color, "linewidth": 1}
        ax.stairs(shares, edges, fill=True, label=label, **look)
