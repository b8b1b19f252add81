"""Figures for a phone: what becomes of the panels, and how a page shows them."""

import base64
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import figures
import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from docutils import nodes
from docutils.utils import new_document
from matplotlib.lines import Line2D
from matplotlib.text import Text

from earlystop import phone, plots

LETTERS = re.compile(r"scale\(([\d.]+) -[\d.]+\)")  # of hundredths of a point


@pytest.fixture(autouse=True)
def style():
    with plt.style.context(Path(plots.__file__).with_name("book.mplstyle")):
        yield
    plt.close("all")


def stacked(figure):
    figure.draw_without_rendering()
    phone.stack(figure)
    figure.draw_without_rendering()
    return phone.panels(figure)


def parts(svg):
    """The figure, and the one for a phone."""
    return figures.alone(svg), base64.b64decode(figures.PHONE.search(svg)[1]).decode()


def smallest(svg, shown):
    """Pixels of the smallest letters where the figure is shown at most so wide."""
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    return 100 * min(map(float, LETTERS.findall(svg))) * min(4 / 3, shown / width)


def grid(rows, columns, **options):
    figure, axes = plt.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        ax.plot([1, 2, 3], label="a curve")
    return figure, axes


def test_panels_stand_below_each_other_in_their_order():
    figure, axes = grid(2, 3, figsize=(9, 5))
    found = stacked(figure)
    assert found == [*axes.flat] and figure.get_figwidth() == phone.WIDTH
    boxes = [ax.get_window_extent() for ax in found]
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
    assert max(box.x0 for box in boxes) - min(box.x0 for box in boxes) < 1


def test_every_panel_gets_the_names_that_it_shared():
    figure, axes = grid(2, 2, sharex=True, sharey="row")
    for ax, title in zip(axes[0], ("left", "right")):
        ax.set_title(title)
    for ax, name in zip(axes[:, 0], ("above", "below")):
        ax.set_ylabel(name)
    for ax in axes[1]:
        ax.set_xlabel("x")
    found = stacked(figure)
    assert [ax.get_title("left") for ax in found] == ["left", "right"] * 2
    assert [ax.get_ylabel() for ax in found] == ["above", "above", "below", "below"]
    assert [ax.get_xlabel() for ax in found] == ["x"] * 4
    for ax in found:
        for axis, side in ((ax.xaxis, "labelbottom"), (ax.yaxis, "labelleft")):
            assert axis.get_tick_params()[side]


def test_a_panel_takes_its_name_from_its_nearest_neighbour():
    figure, axes = grid(1, 3)
    axes[0, 0].set_ylabel("error")
    axes[0, 1].set_ylabel("share")
    assert [ax.get_ylabel() for ax in stacked(figure)] == ["error", "share", "share"]


def test_places_without_a_panel_are_left_out():
    figure, axes = grid(2, 2)
    for ax in axes[1]:
        ax.clear()
    axes[1, 0].axis("off")
    axes[1, 1].set_visible(False)
    assert stacked(figure) == [*axes[0]] == figure.axes


def test_pictures_stay_side_by_side_as_far_as_their_titles_fit():
    figure, axes = plt.subplots(2, 6, figsize=(7, 3))
    for ax in axes.flat:
        ax.imshow(torch.zeros(4, 4))
        ax.axis("off")
        ax.set_title("truck (frog)")
    rows = {round(ax.get_window_extent().y0) for ax in stacked(figure)}
    assert 1 < len(rows) < 12


def test_a_legend_of_the_figure_stands_above_it_and_fits():
    figure, axes = grid(1, 2)
    axes[0, 0].plot([1, 2, 4], label="a second curve with a long name")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    found = stacked(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["a curve", "a second curve with a long name"]
    box = legend.get_window_extent()
    assert box.width <= figure.bbox.width and box.y0 >= found[0].get_window_extent().y1


def test_a_legend_keeps_the_markers_of_points_with_intervals():
    figure, axes = plt.subplots(1, 2)
    for ax, marker in zip(axes, "x<"):
        ax.errorbar([1], [1], xerr=0.2, marker="o", linestyle="", label="stopped")
        ax.errorbar([1], [2], marker=marker, linestyle="", label="last")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    markers = lambda: [line.get_marker() for line in figure.legends[0].findobj(Line2D) if line.get_marker() in "ox<"]
    before = markers()
    stacked(figure)
    assert markers() == before == ["o", "x"]


def test_long_lines_are_broken_and_formulas_are_not():
    figure, axes = grid(1, 2)
    axes[0, 0].set_title("a title of very many words that never fits on one line of a phone, however small")
    axes[0, 1].set_title("$a + b + c$ " * 9)
    first, second = stacked(figure)
    assert "\n" in first.get_title("left") and "\n" not in second.get_title("left")


def test_numbers_that_would_touch_are_left_out():
    figure, axes = grid(1, 1)
    axes[0, 0].set_xticks([0, 0.04, 0.08, 2], labels=["0.00", "0.04", "0.08", "2.00"])
    figure.draw_without_rendering()
    phone.thin_out(figure)
    assert [label.get_text() for label in axes[0, 0].get_xticklabels()] == ["0.00", "0.08"]  # what is seen


def test_numbers_outside_an_axis_do_not_count():
    figure, axes = grid(1, 1)
    axes[0, 0].set_xticks([-3, 0, 0.04, 0.08], labels=["-3.00", "0.00", "0.04", "0.08"])
    axes[0, 0].set_xlim(-1, 2)
    figure.draw_without_rendering()
    phone.thin_out(figure)
    seen = [tick.label1.get_text() for tick in axes[0, 0].xaxis.get_major_ticks() if tick.label1.get_visible()]
    assert seen == ["-3.00", "0.00", "0.08"]


@pytest.mark.parametrize(("columns", "width"), [(1, 6), (2, 7), (3, 9)])
def test_letters_are_legible_on_both_screens(columns, width):
    figure, axes = grid(1, columns, figsize=(width, 3.2))
    for ax in axes.flat:
        ax.set_title("small", fontsize=6)
        ax.legend(fontsize=5)
        ax.tick_params(labelsize=6)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", fontsize=6)
    wide, narrow = parts(phone.twice(figure))
    assert smallest(wide, 688) >= phone.LEAST
    assert smallest(narrow, phone.PHONE) >= phone.LEAST
    assert all(text.get_fontsize() >= 8 for text in figure.findobj(Text))


def test_a_figure_without_axes_in_a_grid_stays_alone():
    figure = plt.figure()
    figure.add_axes((0.1, 0.1, 0.8, 0.8)).plot([1, 2])
    assert not figures.PHONE.search(phone.twice(figure))
    assert phone.twice(plt.figure()) is None


@pytest.mark.parametrize("built", [True, False])
def test_only_a_built_page_draws_for_phones(monkeypatch, built):
    known = {}
    formatter = SimpleNamespace(for_type=known.__setitem__)
    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters={"image/svg+xml": formatter}))
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    monkeypatch.setattr("matplotlib_inline.backend_inline.set_matplotlib_formats", lambda kind: None)
    monkeypatch.setenv("TQDM_DISABLE", str(int(built)))
    plots.use_style()
    assert list(known.values()) == [phone.twice] * built


# ------------------------------------------------------------------------ pages


@pytest.fixture
def book(tmp_path):
    """A page's image, and what Sphinx knows of it."""
    svg = phone.twice(grid(1, 2)[0])
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "one.svg").write_text(svg)
    builder = SimpleNamespace(images={"made/one.svg": "one.svg"}, imagedir="_images")
    return SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "out", builder=builder)


def test_a_page_names_all_figures_and_their_sizes(book):
    document = new_document("page")
    document += nodes.image(uri="made/one.svg")
    figures.part(book, document)
    figures.part(book, document)  # a page is read again
    own = '<img alt="B" class="b" src="../_images/one.svg" />'
    context = {"body": f'<img alt="A" src="../_images/one.svg" />{own}<img src="x">'}
    figures.finish_page(book, "page", "", context, document)
    *shown, unknown = re.findall(r"<img[^>]*>", context["body"])
    assert unknown == '<img src="x">' and all('loading="lazy"' in one for one in shown)
    assert [re.search(r'class="([^"]*)"', one)[1] for one in shown] == [
        "only-light", "only-dark", "only-light b", "only-dark b"
    ]  # fmt: skip
    assert all(re.search(r' width="6\d\d" height="\d+"', one) for one in shown)
    assert [re.search(r'src="([^"]*)"', one)[1] for one in shown[:2]] == [
        "../_images/one.svg", "../_images/one.dark.svg"
    ]  # fmt: skip
    for name in ("one.phone.svg", "one.phone.dark.svg"):
        source = f'<picture><source media="(max-width: 600px)" srcset="../_images/{name}" width="4'
        assert context["body"].count(source) == 2
        assert (book.outdir / "_images" / name).read_text().count("<svg ") == 1
    assert not figures.PHONE.search((book.srcdir / "made" / "one.svg").read_text())


def test_a_download_has_figures_without_those_for_phones():
    svg = phone.twice(grid(1, 2)[0])
    output = nbformat.v4.new_output("display_data", {"image/svg+xml": svg})
    assert figures.without_phone(output).data["image/svg+xml"] == figures.alone(svg) != svg
    text = nbformat.v4.new_output("stream", text="words")
    assert figures.without_phone(text) == text


def test_a_paragraph_before_a_table_becomes_its_caption():
    document = new_document("page")
    words = nodes.paragraph("", "", nodes.Text("Table: How "), nodes.emphasis("", "many"), nodes.Text("."))
    document += [nodes.table(), words, nodes.table(), nodes.paragraph("", "Words."), nodes.table()]
    figures.Captions(document).apply()
    plain, named, other = document.findall(nodes.table)
    assert named[0].astext() == "How many." and isinstance(named[0][1], nodes.emphasis) and named["ids"] == ["table-2"]
    assert not plain.children and not other.children and len(document) == 4
