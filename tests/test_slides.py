"""Lectures: what stands on which slide, what is refused, and how they show in a browser."""

import ast
import io
import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pairs
import panels
import pytest
import slides
from bs4 import BeautifulSoup
from labpage import until
from nbformat.v4 import new_code_cell, new_notebook, new_output

from earlystop.lab.show import place

pytest_plugins = ["labpage"]
ROOT = Path(__file__).parents[1]
LECTURES = sorted((ROOT / "book/slides").glob("*.md"))
BUILT = "_build/html/_sources/book"
CHAPTER = """# One

```{code-cell} ipython3
import torch
from torch import (
    nn)

def mean(y):  # of labels
    assert len(y)
    return y.mean()
assert mean(torch.ones(2)) == 1

rho, eta = 0.2, 1
```

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-one
    caption: Words.
  image:
    alt: "Two panels, 1 < 2."
---
draw()
```

```{code-cell} ipython3
lab.show("stop", seed=3)
```

## Exercises

```{code-cell} ipython3
def answer():
    return 42
```
"""
FULL = "## A slide\n\nIt's $x'$ and $y$.\n\n> Notes: Say *it*.\n>\n> They ask.\n\n"


def drawing(width=7, height=3.5):
    """A figure of two panels as SVG, and itself."""
    figure, axes = plt.subplots(1, 2, figsize=(width, height), layout="constrained")
    for number, ax in enumerate(axes):
        ax.set(title=f"panel {number}", xlabel="iteration", ylabel="error", xlim=(0, 1000))
    figure.savefig(out := io.StringIO(), format="svg")
    plt.close(figure)
    return out.getvalue(), figure


def executed(path, picture):
    """A chapter's notebook as if it had been executed: each figure is the same picture."""
    code = [cell for cell in pairs.read(path).cells if cell.cell_type == "code"]
    done = [new_code_cell("install")]
    for cell in code:
        shown = [{"image/svg+xml": picture}] * bool(cell.metadata.get("mystnb"))
        if found := re.search(r"(?<!def )\bshow\((\"\w+\".*?)\)$", cell.source, re.M):
            shown.append({"text/html": place(ast.literal_eval(found[1].split(",")[0]))})
        done.append(new_code_cell(cell.source, outputs=[new_output("display_data", data) for data in shown]))
    return new_notebook(cells=done)


def book(folder, sources, chapters, picture):
    """A folder with lectures and executed chapters."""
    for name in ("book/slides", BUILT):
        (folder / name).mkdir(parents=True)
    for path in chapters:
        shutil.copy(path, folder / "book")
        nbformat.write(executed(path, picture), folder / BUILT / f"{path.stem}.ipynb")
    for name, text in sources.items():
        (folder / "book/slides" / name).write_text(text)
    return folder


@pytest.fixture
def small(tmp_path):
    """Writes a lecture of twelve slides, of which the text is the second, for a small chapter; gives its page."""

    def written(text, others=11):
        (tmp_path / "01_one.md").write_text(CHAPTER)
        lecture = {"01_one.md": f"## What?\n\n{text}" + FULL * others}
        folder = book(tmp_path / "root", lecture, [tmp_path / "01_one.md"], drawing()[0])
        (path,) = slides.write(folder, folder / "out")
        return BeautifulSoup(path.read_text(), "html.parser")

    return written


# ------------------------------------------------------------------ what is on a slide


def test_a_slide_has_its_heading_words_formulas_and_notes(small):
    page = small("Really?\n\n")
    first, *others = page.select("section")
    assert first["class"] == ["question"] and first.select_one("p.chapter").text == "1. One" and len(others) == 11
    assert others[0].h2.text == "A slide" and others[0].select_one(".words").text.startswith("It’s x′")
    assert len(others[0].select(".words math")) == 2 and not others[0].select("aside math")
    assert [one.text for one in others[0].select("aside.notes p")] == ["Say it.", "They ask."]


def test_code_comes_without_imports_and_assertions_of_its_own(small):
    code = small("{code} mean\n\n").pre.text.strip()
    assert code == "def mean(y):  # of labels\n    assert len(y)\n    return y.mean()\n\nrho, eta = 0.2, 1"


def test_a_figure_keeps_its_words_and_is_seen_whole_or_in_part(small):
    whole, right = small("{figure} fig-one\n\n## Half\n\n{figure} fig-one 2\n\n> Notes: x\n\n").select("figure")
    assert whole.img["alt"] == "Two panels, 1 < 2." and "class" not in whole.attrs
    assert right.img["alt"] == "Panel 2 of this figure: Two panels, 1 < 2." and right["class"] == ["beside"]
    assert all(one.img["src"].startswith("data:image/svg+xml;base64,") for one in (whole, right))


def test_a_window_holds_the_panel_with_its_words_and_no_other():
    svg, figure = drawing()
    boxes = [ax.get_tightbbox().transformed(figure.dpi_scale_trans.inverted()) for ax in figure.axes]
    for number, box in enumerate(boxes, start=1):
        left, _, width, height = map(float, re.search(r'viewBox="([^"]+)"', panels.window(svg, [number]))[1].split())
        assert left <= 72 * box.x0 and left + width >= 72 * box.x1 and height >= 72 * box.height
        assert width <= 72 * box.width + 15 and height <= 72 * box.height + 15
    assert panels.count(svg) == 2


def test_a_living_figure_has_the_settings_of_the_chapter_or_its_own(small):
    text = "{lab} stop\n\n## More\n\n{lab} stop {corruption_rate: 0.3}\n\n> Notes: x\n\n"
    usual, own = small(text).select("[data-lab]")
    assert (usual["data-state"], own["data-state"]) == ("{}", '{"corruption_rate":0.3}')


@pytest.mark.parametrize(
    ("text", "others", "said"),
    [
        ("{figure} fig-two\n\n", 11, "slide 'What?': there is no figure 'fig-two', only fig-one"),
        ("{figure} fig-one 3\n\n", 11, "slide 'What?': the figure has panels 1 to 2, not 3"),
        ("{code} answer\n\n", 11, "slide 'What?': there is no code 'answer', only mean, rho, eta"),
        ("{lab} go\n\n", 11, "slide 'What?': there is no lab 'go', only stop, clocks, vote, far, guess"),
        ("{lab} stop {rho: 1}\n\n", 11, "slide 'What?': {lab} stop {rho: 1}: stop has no setting 'rho', only seed, "),
        ("{lab} stop {seed: -1}\n\n", 11, "{lab} stop {seed: -1}: seed is -1, should be between 0 and "),
        ("{lab} stop {seed\n\n", 11, "{lab} stop {seed: while parsing"),
        ("{picture} x\n\n", 11, "slide 'What?': there is no {picture}, only figure, code, lab"),
        ("$\\nonsense$\n\n", 11, "a formula cannot be shown: "),
        ("{ref}`x`\n\n", 11, "slide 1 (What?) has {ref}`, which means something on pages only"),
        ("word " * 41 + "\n\n", 11, "slide 1 (What?) has 41 words, should be at most 40"),
        ("{figure} fig-one\n\n{lab} stop\n\n", 11, "slide 1 (What?) shows 2 figures, should be one"),
        ("## \n\n> Notes: x\n\n", 11, "slide 2 () has no heading"),
        ("## More\n\nWords.\n\n", 11, "slide 2 (More) has no notes: say below it, after '> Notes:', what to say"),
        ("", 10, "11 slides, should be 12 to 20"),
        ("", 20, "21 slides, should be 12 to 20"),
    ],
)
def test_what_nobody_could_teach_from_is_refused_in_one_line(small, text, others, said):
    with pytest.raises(slides.SlidesError) as problem:
        small(text, others)
    line = str(problem.value)
    assert line.startswith("book/slides/01_one.md: ") and said in line and "\n" not in line


def test_words_are_counted_without_code_formulas_and_places(small):
    small("word " * 40 + "$a b c$ `d e f`\n\n{code} mean\n\n$$\na = b\n$$\n\n```\ng h i\n```\n\n")


def test_text_before_the_first_slide_and_lectures_of_no_chapter_are_refused(tmp_path):
    (tmp_path / "01_one.md").write_text(CHAPTER)
    lectures = {"01_one.md": "Words.\n\n" + FULL * 12, "02_two.md": FULL * 12}
    folder = book(tmp_path / "root", lectures, [tmp_path / "01_one.md"], drawing()[0])
    with pytest.raises(slides.SlidesError, match="01_one.md: the text before the first '## Heading' is on no slide"):
        slides.write(folder, folder / "out")
    (folder / "book/slides/01_one.md").write_text(FULL * 12)
    with pytest.raises(slides.SlidesError, match=r"02_two.md: there is no such chapter, only 01_one$"):
        slides.write(folder, folder / "out")
    assert not (folder / "out").exists()


def test_without_a_book_or_with_an_old_one_the_message_says_what_to_do(tmp_path):
    with pytest.raises(slides.SlidesError, match="run make book first"):
        slides.write(tmp_path, tmp_path / "slides")
    (tmp_path / "01_one.md").write_text(CHAPTER)
    folder = book(tmp_path / "root", {"01_one.md": FULL * 12}, [tmp_path / "01_one.md"], drawing()[0])
    (folder / "book/01_one.md").write_text(CHAPTER.replace("0.2, 1", "0.3, 1"))
    with pytest.raises(slides.SlidesError, match="the chapter has changed since it was executed: run make book first"):
        slides.write(folder, folder / "out")


# ------------------------------------------------------------- the lectures of this book


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """All lectures, with the figures of the last build where there is one that fits, and stand-ins elsewhere."""
    folder = tmp_path_factory.mktemp("lectures")
    chapters = [ROOT / "book" / path.name for path in LECTURES]
    texts = {path.name: path.read_text() for path in LECTURES}
    made = book(folder / "root", texts, chapters, four())
    for path in chapters:
        done = ROOT / BUILT / f"{path.stem}.ipynb"
        try:
            slides.open_chapter(path, done)
        except (slides.SlidesError, FileNotFoundError):
            continue
        shutil.copy(done, made / BUILT)
    return {path.stem: path for path in slides.write(made, made / "out")}


def four():
    """A picture of four panels."""
    figure, _ = plt.subplots(2, 2, figsize=(6, 3.4))
    figure.savefig(out := io.StringIO(), format="svg")
    plt.close(figure)
    return out.getvalue()


@pytest.mark.parametrize("lecture", [path.stem for path in LECTURES])
def test_a_lecture_asks_shows_and_sums_up(written, lecture):
    page = BeautifulSoup(written[lecture].read_text(), "html.parser")
    first, *others = page.select("section")
    asked = [one for one in [first, *others] if "?" in one.h2.text or "?" in one.select_one(".body").text]
    assert "?" in first.h2.text and others[-1].h2.text == "Summary" and len(asked) > 2
    assert len(page.select("figure")) >= 3 and page.pre and all(one["alt"] for one in page.select("img"))
    assert not re.search(r"\bassert\b|^(import|from) ", "\n".join(one.text for one in page.select("pre")), re.M)


@pytest.mark.parametrize("lecture", [path.stem for path in LECTURES])
def test_a_lecture_needs_no_network(written, lecture):
    text = written[lecture].read_text()
    loaded = re.findall(r"<(?:script|link|img)[^>]*?(?:src|href)=\"([^\"]+)\"", text)
    local = {name for name in loaded if not name.startswith("data:")}
    assert local == {"reveal/reveal.css", "reveal/reveal.js", "reveal/notes.js"}
    assert all((written[lecture].parent / name).is_file() for name in [*local, "math.woff"])
    sheets = [text, (written[lecture].parent / "reveal/reveal.css").read_text()]
    assert not any(re.search(r"(@import|url\()\W*(https?:)?//", sheet) for sheet in sheets)


OUTSIDE = """() => {
  const slide = Reveal.getCurrentSlide(), box = slide.getBoundingClientRect();
  return [...slide.querySelectorAll("*")].filter((one) => {
    const {left, top, right, bottom, width, height} = one.getBoundingClientRect();
    const over = Math.max(box.left - left, box.top - top, right - box.right, bottom - box.bottom);
    return over > 1 && width && height && !one.closest("aside, .lab-aloud, defs");
  }).map((one) => one.outerHTML.slice(0, 80));
}"""
SMALLEST = """() => Math.min(...[...Reveal.getCurrentSlide().querySelectorAll("figure img")].map((one) =>
  Math.min(one.width / one.naturalWidth, one.height / one.naturalHeight)), 9)"""


@pytest.fixture
def stage(chromium):
    """Opens a lecture from its file in a window of 1280 by 720; nothing is asked of a network, nothing complains."""
    context, events = chromium.new_context(viewport={"width": 1280, "height": 720}), []

    def opened(path):
        page = context.new_page()
        page.on("console", lambda m: events.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: events.append(str(error)))
        page.on("request", lambda one: None if re.match("(file|data|blob):", one.url) else events.append(one.url))
        page.goto(path.as_uri())
        until(page, "() => Reveal.isReady() && document.fonts.status === 'loaded'")
        return page

    yield opened
    context.close()
    assert not events, events


def show(page, number):
    """Go to a slide, and wait until a living figure on it has been drawn and says something."""
    page.evaluate(f"Reveal.slide({number})")
    until(
        page,
        """() => [...Reveal.getCurrentSlide().querySelectorAll("[data-lab]")].every((one) =>
      one.querySelector(".lab-alive path") && one.querySelector(".lab-says")?.textContent !== "")""",
    )


@pytest.mark.parametrize("lecture", [path.stem for path in LECTURES])
def test_every_slide_fits_its_box_and_its_figures_are_legible(written, stage, lecture):
    page = stage(written[lecture])
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        show(page, number)
        assert not page.evaluate(OUTSIDE), number + 1
        assert page.evaluate(SMALLEST) > 0.9, number + 1


def alive(written):
    """The lectures with living figures, and the numbers of their slides."""
    for name, path in written.items():
        sections = BeautifulSoup(path.read_text(), "html.parser").select("section")
        yield from ((name, number) for number, one in enumerate(sections) if one.select("[data-lab]"))


def test_a_living_figure_keeps_its_keys_and_its_slide_stays(written, stage):
    cases = list(alive(written))
    assert cases
    for name, number in cases:
        page = stage(written[name])
        show(page, number)
        inside, at = "Reveal.getCurrentSlide().querySelector", "() => Reveal.getIndices().h"
        drawn = f"() => {inside}('[data-lab]').innerHTML"
        slider, before = f"{inside}('[data-lab] input[type=range]')", page.evaluate(drawn)
        assert page.evaluate(f"() => {inside}('svg').getBoundingClientRect().height") > 100
        page.evaluate(f"{slider}.focus()")
        for key in ("ArrowRight", "ArrowDown", "ArrowRight", "Space"):
            page.keyboard.press(key)
        until(page, f"(before) => {inside}('[data-lab]').innerHTML !== before", before)
        assert page.evaluate(at) == number and page.evaluate("() => location.hash") in ("", f"#/{number}")
        page.keyboard.press("PageDown")
        assert page.evaluate(at) == number + 1
        page.keyboard.press("ArrowLeft")
        page.evaluate(f"{slider}.focus()")
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(at) == number + 1 and not page.evaluate("() => Reveal.isOverview()")


def test_networks_are_trained_beside_the_page_even_of_a_file(written, stage):
    page = stage(next(path for path in written.values() if '<div class="lab" data-lab="stop"' in path.read_text()))
    with page.expect_worker():
        page.reload()


def test_the_speaker_sees_the_notes(written, stage):
    page = stage(next(iter(written.values())))
    show(page, 1)
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    said = page.evaluate("() => Reveal.getCurrentSlide().querySelector('aside').textContent.trim().slice(0, 60)")
    until(popup.value, "(said) => document.body.textContent.includes(said)", said)
