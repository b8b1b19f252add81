"""Colours of figures on dark pages: hue and order stay, and everything is seen."""

import io
import re
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from dark import INK, LETTERS, LINES, PAPER, contrast, dark, from_oklab, oklab, on_dark
from matplotlib.colors import to_hex

from earlystop import plots

NAMED = [plots.NOISY, plots.TRUE, plots.TEST, *plots.KINDS[1:3], {"color": plots.WRONG_COLOR}]
GREYS = ["#000000", "#404040", "#767676", "#999999", "#dddddd", "#e6e6e6", "#ffffff"]


def lightness(color):
    return oklab(color)[0]


def turned(color, other):
    """Degrees between two hues."""
    (one, two), (three, four) = oklab(color)[1:], oklab(other)[1:]
    return abs(np.degrees(np.angle(complex(one, two) / complex(three, four))))


def test_oklab_is_what_its_author_says_and_comes_back():
    np.testing.assert_allclose(oklab("#ffffff"), (1, 0, 0), atol=1e-4)
    np.testing.assert_allclose(oklab("#ff0000"), (0.62796, 0.22486, 0.12585), atol=1e-4)
    assert all(from_oklab(*oklab(color)) == color for color in ("#0072b2", "#d55e00", "#440154", "#808080"))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("color", [look["color"].lower() for look in NAMED])
def test_a_colour_with_a_meaning_stays_as_it_is_and_words_in_it_are_legible(color):
    assert on_dark(color) == color and contrast(color, PAPER) >= LINES
    words = on_dark(color, words=True)
    assert contrast(words, PAPER) >= LETTERS and turned(words, color) < 2


@pytest.mark.parametrize("count", [2, 3, 6, 12])
def test_ordered_levels_keep_their_order_and_hue(count):
    levels = [to_hex(plots.level_color(index, count)) for index in range(count)]
    seen = [on_dark(level) for level in levels]
    for colors in (levels, seen):
        assert all(lightness(low) < lightness(high) for low, high in pairwise(colors))
    assert all(contrast(color, PAPER) >= LINES for color in seen)
    assert all(turned(color, level) < 2 for color, level in zip(seen, levels))


def test_a_dark_colour_becomes_no_lighter_than_it_must():
    seen = on_dark("#00007f")
    assert LINES <= contrast(seen, PAPER) < LINES + 0.1 and turned(seen, "#00007f") < 2


def test_greys_stand_out_as_much_as_on_white_from_text_to_paper():
    seen = [on_dark(grey) for grey in GREYS]
    assert (seen[0], seen[-1]) == (INK, PAPER)
    assert all(lightness(high) > lightness(low) for high, low in pairwise(seen))
    for grey, color in zip(GREYS[2:], seen[2:]):
        assert contrast(color, PAPER) == pytest.approx(contrast(grey, "#ffffff"), rel=0.03)


def everything():
    """A figure with all that Matplotlib writes a colour for."""
    with plt.style.context(Path(plots.__file__).with_name("book.mplstyle")):
        fig, (ax, picture) = plt.subplots(1, 2)
        ax.plot([1, 2], **plots.NOISY, markeredgecolor="white", label="blue")
        ax.fill_between([0, 1], 1, 2, color="black", alpha=0.2)
        ax.bar([0], [1], color="black")
        ax.text(0, 1, "blue", color=plots.NOISY["color"])
        ax.text(1, 1, "$x^2$, boxed", bbox={"facecolor": "white", "edgecolor": "black"})
        ax.legend()
        picture.imshow(np.eye(2), cmap="gray")
        text = io.StringIO()
        fig.savefig(text, format="svg")
        plt.close(fig)
    return text.getvalue()


def test_a_dark_figure_is_the_same_figure_in_other_colours():
    light = everything()
    seen = dark(light)
    hidden = r'#[0-9a-f]{6}\b|none(?=["; ])| fill="[^"]*"'
    assert re.sub(hidden, "", seen) == re.sub(hidden, "", light)
    image = r"data:image/png;base64,[^\"]*"
    assert re.findall(image, seen) == re.findall(image, light) != []
    colors = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", seen))
    assert colors == {INK, PAPER, "#0072b2", on_dark("#0072b2", words=True), on_dark("#dddddd")}
    assert seen.count(f'<svg fill="{INK}"') == 1
    behind = re.findall(r'<g id="(?:figure|axes)_\d+">\s*<g id="patch_\d+">\s*<path [^>]*style="fill: (\S+?)"', seen)
    assert behind == ["none"] * 3
