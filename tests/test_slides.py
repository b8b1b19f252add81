"""Slides: what stands on which one, and that they need nothing from elsewhere."""

import re

import nbformat
import pytest
import slides
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PICTURE = new_output("display_data", {"image/png": "iVBORw0KGgo="})


@pytest.fixture
def chapter():
    cells = [
        new_code_cell("import earlystop"),
        new_markdown_cell("# One\n\nA question.\n\n## Two\n\n$x = 1$"),
        new_code_cell("draw()", metadata={"tags": ["hide-input"]}, outputs=[PICTURE]),
        new_markdown_cell("*Figure 1.1. A caption.*\n\nMore.\n\n### Three"),
        new_code_cell("assert secret", metadata={"tags": ["remove-cell"]}),
        new_markdown_cell("## Exercises\n\nWrite it."),
        new_code_cell("solution()"),
    ]
    return new_notebook(cells=cells)


def test_headings_and_pictures_begin_slides(chapter):
    found = [(cell.source, cell.metadata.slideshow.slide_type) for cell in slides.to_slides(chapter).cells]
    assert found == [
        ("# One", "slide"),
        ("A question.", "-"),
        ("## Two", "slide"),
        ("$x = 1$", "-"),
        ("draw()", "subslide"),
        ("*Figure 1.1. A caption.*", "-"),
        ("More.", "subslide"),
        ("### Three", "subslide"),
        ("assert secret", "skip"),
    ]


def test_an_author_may_decide(chapter):
    chapter.cells[2].metadata["tags"] = ["skip-slide"]
    chapter.cells[4].metadata["tags"] = ["slide"]
    kinds = {cell.source: cell.metadata.slideshow.slide_type for cell in slides.to_slides(chapter).cells}
    assert kinds["draw()"] == "skip" and kinds["assert secret"] == "slide"


def test_slides_need_no_network(chapter, tmp_path):
    nbformat.write(chapter, tmp_path / "01_one.ipynb")
    (page,) = slides.write(tmp_path, tmp_path / "slides")
    html = page.read_text()
    assert "draw()" not in html and "solution()" not in html and "secret" not in html and "A caption." in html
    loaded = re.findall(r"<(?:script|link|img)[^>]*?(?:src|href)=\"([^\"]+)\"", html)
    local = [name for name in loaded if not name.startswith("data:")]
    assert {"reveal/dist/reveal.js", "reveal/dist/reveal.css", "mathjax/tex-chtml.js"} <= set(local)
    assert all((tmp_path / "slides" / name).is_file() for name in local), local
    for sheet in (tmp_path / "slides").rglob("*.css"):
        assert not re.search(r"(@import|url\()[^;]*https?:", sheet.read_text()), sheet


def test_without_a_book_the_message_says_what_to_do(tmp_path):
    with pytest.raises(SystemExit, match="run make book first"):
        slides.write(tmp_path, tmp_path / "slides")
