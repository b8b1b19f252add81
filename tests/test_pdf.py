"""One PDF of the whole book: pages joined in their order, links that stay inside, boxes that are whole."""

import re
import shutil
from pathlib import Path

import pdf
import pytest
from bs4 import BeautifulSoup

STATIC = Path(__file__).resolve().parents[1] / "book/_static"
TOC = """format: jb-book
root: book/index
parts:
- {chapters: [{file: book/about}]}
- {numbered: true, chapters: [{file: book/01_one}]}
"""
CITATION = """title: "Short: A longer title"
authors: [{name: Some people}]
references: [{title: The paper, url: "https://example.org/paper"}]
"""
HTML = """<html><head><link rel="stylesheet" href="../_static/a.css"><script src="../_static/other.js"></script></head>
<body><nav>menu</nav><article class="bd-article">{}</article></body></html>"""
PAGES = {
    "index": '<h1 id="top">Home<a class="headerlink" href="#top">#</a></h1><a href="01_one.html">to one</a>',
    "about": '<h1 id="top">About</h1><a href="01_one.html#part">to a part</a> <a href="../claims.json">data</a>',
    "01_one": """<h1 id="top">1. One</h1><h2 id="part">A part</h2><a href="#top">up</a> <a href="about.html">about</a>
<a href="https://example.org">out</a><img src="../_images/a.svg" loading="lazy" alt="a">
<details class="hide above-input"><summary>Show code</summary><div class="cell_input">folded</div></details>
<details class="credit"><summary>Paper scale</summary><p>the rest</p></details>
<details class="place"><summary>Eq. 1</summary><details class="claim"><summary>A claim</summary>
<div class="evidence"><p>found</p><p>asked for</p><p>by whom</p></div></details></details>
<details class="solution"><summary>Solution</summary><p>the answer</p></details>
<noscript><img src="../_images/still.svg" alt="still"></noscript>""",
}


@pytest.fixture
def book(tmp_path):
    """A made-up book that was built, its root and its site."""
    site = tmp_path / "_build/html"
    for folder in ("book", "src/earlystop", "_build/html/book", "_build/html/_static", "_build/html/_images"):
        (tmp_path / folder).mkdir(parents=True)
    files = {"_toc.yml": TOC, "_config.yml": "html: {baseurl: ''}", "CITATION.cff": CITATION, "book/01_one.md": "# One"}
    for name, text in {**files, "src/earlystop/__init__.py": '__version__ = "1.2.3"\n'}.items():
        (tmp_path / name).write_text(text)
    for name, text in PAGES.items():
        (site / "book" / f"{name}.html").write_text(HTML.format(text))
    (site / "_static/a.css").write_text("p { color: black }")
    for name in ("a", "still"):
        (site / f"_images/{name}.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    return tmp_path, site


def test_pages_are_joined_in_their_order_with_a_cover(book):
    soup = BeautifulSoup(pdf.joined(book[1], book[0]), "html.parser")
    assert [one["id"] for one in soup.select("article")] == ["index", "about", "01_one"]
    assert soup.select_one(".cover h1").text == "Short" and soup.select_one(".subtitle").text == "A longer title"
    entries = {link.text: link["href"] for link in soup.select(".cover nav a")}
    assert entries == {"Home": "#index", "About": "#about", "1. One": "#01_one"}
    assert "Version 1.2.3" in soup.select_one(".cover").text and "menu" not in soup.text
    assert len(soup.select("link[rel=stylesheet]")) == 1 and not soup.select("script")


def test_links_and_pictures_hold_in_one_document(book):
    soup = BeautifulSoup(pdf.joined(book[1], book[0]), "html.parser")
    ids = [one["id"] for one in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    links = {link.text: link["href"] for link in soup.select("article a")}
    assert links == {"to one": "#01_one", "to a part": "#01_one--part", "up": "#01_one--top", "about": "#about",
                     "out": "https://example.org"}  # fmt: skip
    assert all(link[1:] in ids for link in links.values() if link.startswith("#"))
    pictures = soup.select("img")
    assert len(pictures) == 2 and all(one["src"] == (book[1] / "_images" / f"{name}.svg").as_uri()
                                      for one, name in zip(pictures, ("a", "still")))  # fmt: skip
    assert "loading" not in pictures[0].attrs


def test_a_file_beside_the_pages_is_a_link_where_the_book_has_an_address(book):
    (book[0] / "_config.yml").write_text("html: {baseurl: 'https://o.github.io/r'}")
    soup = BeautifulSoup(pdf.joined(book[1], book[0]), "html.parser")
    links = {link.text: link["href"] for link in soup.select("a")}
    assert links["data"] == "https://o.github.io/r/claims.json" and "https://o.github.io/r/" in links


def test_solutions_are_open_and_folded_code_is_left_out(book):
    soup = BeautifulSoup(pdf.joined(book[1], book[0]), "html.parser")
    text = soup.select_one("#\\30 1_one").text
    assert "the answer" in text and "Paper scale" in text
    assert "A claim" in text and "asked for" in text and "by whom" not in text
    assert "folded" not in text and "Show code" not in text and "the rest" not in text
    assert all("open" in one.attrs for one in soup.select("details"))


def test_a_book_that_was_not_built_is_named(book):
    (book[1] / "book/about.html").unlink()
    with pytest.raises(SystemExit, match="has no page about: run make book first"):
        pdf.joined(book[1], book[0])


def test_a_missing_browser_is_told_in_a_line(monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="There is no browser to print with: install Chromium"):
        pdf.browser_program()


@pytest.fixture
def printed(book):
    """A function that prints the book with another page: the bytes of the PDF, and boxes that do not fit a page."""
    pytest.importorskip("playwright.sync_api")
    if not any(map(shutil.which, pdf.BROWSERS)):
        pytest.skip("no browser found")

    def write(text):
        (book[1] / "book/about.html").write_text(HTML.format(f"<h1>About</h1>{text}"))
        target = book[0] / "_build/pdf/book.pdf"
        tall = pdf.write(book[1], target, book[0])
        assert [path.name for path in target.parent.iterdir()] == ["book.pdf"]
        return target.read_bytes(), tall

    return write


def test_the_pdf_has_bookmarks_links_and_whole_boxes(printed):
    box = '<div class="cell_input" style="height: 600px">x</div>'
    content, tall = printed("<h2>Sub</h2>" + 4 * box)
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", content))
    assert pages == 3 + 4 and not tall  # the cover, two pages, and each box on one of its own
    titles = [one.decode() for one in re.findall(rb"/Title \(([^)]*)\)", content)]
    assert {"Home", "About", "Sub", "1. One", "A part"} <= set(titles)
    assert content.count(b"/Subtype /Link") >= 7


def test_what_is_only_for_screens_is_not_printed(book):
    """Colours and signs of the book's own style, against those of a theme."""
    sessions = pytest.importorskip("playwright.sync_api")
    if not any(map(shutil.which, pdf.BROWSERS)):
        pytest.skip("no browser found")
    root, site = book
    theme = "figure figcaption { color: silver } .bd-content { margin: 1cm }"
    ours = [(STATIC / f"{name}.css").read_text() for name in ("book", "figures", "print")]
    (site / "_static/a.css").write_text("\n".join([theme, *ours]))
    text = """<h1>About</h1><figure><figcaption>A caption</figcaption></figure>
<details class="credit"><summary>Paper scale</summary></details>
<div class="solution admonition"><details><summary>Solution</summary><p>the answer</p></details></div>
<table><tr><td><p><code><span class="pre">a_long_name</span></code></p></td></tr></table>"""
    (site / "book/about.html").write_text(HTML.format(text))
    (root / "whole.html").write_text(pdf.joined(site, root))
    with sessions.sync_playwright() as session:
        page = session.chromium.launch(executable_path=pdf.browser_program(), args=["--no-sandbox"]).new_page()
        page.goto((root / "whole.html").as_uri())
        page.emulate_media(media="print")
        computed = "([one, name, of]) => getComputedStyle(document.querySelector(one), of)[name]"
        style = lambda one, name, of="": page.evaluate(computed, [one, name, of])
        assert style("figcaption", "color") == style("body", "color") == "rgb(0, 0, 0)"
        assert style("body", "margin") == "0px" and int(style(".credit summary", "fontWeight")) < 500
        assert style(".solution summary", "content", "::after") == "none"
        assert style("td .pre", "overflowWrap") == "break-word"  # "anywhere" lets a column be narrower than its words


def test_a_box_that_is_higher_than_a_page_is_told(printed):
    _, (told,) = printed('<div class="cell_input" style="height: 1500px">long</div>')
    assert told.startswith("about cell_input: long")
