"""What the finishing of a page changes: bars of folded code, numbers, places of the paper, symbols that tell."""

import pages
import pytest
from bs4 import BeautifulSoup
from formulas import mathml

FOLD = """<details class="above-input"><summary><p>Show</p><p>Hide</p></summary><pre>{code}</pre></details>{output}"""
OUTPUT = '<div class="cell_output">{}</div>'
TABLE = '<table><caption><span class="caption-number">Table 1.2 </span>Words.</caption></table>'


def after(step, text, name="book/01_one"):
    """A page with this article after one step."""
    soup = BeautifulSoup(f"<html><body><article>{text}</article></body></html>", "html.parser")
    step(soup, pages.Page(name))
    return soup


@pytest.mark.parametrize(
    ("code", "output", "name"),
    [
        ("a = 1", OUTPUT.format(TABLE), "Code of Table 1.2"),
        ("# the mean of all\na = 1", "", "Code: the mean of all"),
        ("def first():\n    return 1\n\ndef second():\n    assert first()\n", "", "Code: first, second"),
        ("a = 1\nfor one in (1, 2):\n    assert one", "", "Code: a check"),
        ("a = 1\nmeans, last = 2, 3\nb = 4\nprint(b)", "", "Code: b"),
        ("a = 1", OUTPUT.format("<p>It is 1.</p>"), "Code of what stands below"),
        ("%time a", "", "Code"),
        ("print()", "", "Code"),
    ],
)
def test_a_bar_names_the_code_that_it_opens(code, output, name):
    soup = after(pages.bars, FOLD.format(code=code, output=output))
    assert [one.text for one in soup.select("summary p")] == [name, name]


def test_figures_and_tables_count_in_chapters_alone():
    chapter, other = (after(pages.numbers, f"<h1>{number}Name</h1>{TABLE}").caption.text
                      for number in ('<span class="section-number">1. </span>', ""))  # fmt: skip
    assert (chapter, other) == ("Table 1.2 Words.", "Words.")


CLAIM = """<section id="eq"><span id="place-eq"></span><h3>Equation 1<a class="headerlink" href="#eq">#</a></h3>
<div class="signs"><p>1</p></div>
<div class="claim in-part" id="claim-eq1"><p>A <b>sentence</b>.</p><p>in part</p><div class="evidence"></div></div>
</section>"""


def test_a_place_opens_and_so_does_each_of_its_claims():
    place = after(pages.folds, CLAIM).select_one("section > details.place")
    assert place.summary.h3.text == "Equation 1" and place.summary.select_one("span.signs").text == "1"
    (claim,) = place.select(":scope > details.claim.in-part#claim-eq1")
    parts = [one.name for one in claim.find_all(recursive=False)]
    assert claim.summary.text == "A sentence." and parts == ["summary", "p", "div"]
    assert not place.select("summary a, [open]")


def tips(text, name="book/01_one"):
    return [one["data-tip"] for one in after(pages.symbol_tips, text, name).select("[data-tip]")]


def formula(tex):
    return f'<p><span class="math">{mathml(tex, False)}</span></p>'


def test_a_symbol_alone_tells_what_it_means_and_stops_no_keyboard():
    assert tips(formula(r"\varepsilon_0") + formula(r"2\varepsilon_0")) == ["radius of a cluster"]
    assert tips(formula("X")) == ["the matrix of all inputs, one in a row"]
    assert not tips(formula("K"), "book/notation") and not tips(f"<h2>{formula('K')}</h2>")
    assert not after(pages.symbol_tips, formula("K")).select("[tabindex]")
    assert not [text for text, _ in pages.symbols().values() if set("$*\\<{") & set(text)]


def test_a_symbol_of_one_chapter_or_of_a_box_is_not_taken_for_another():
    chapter = '<span id="chapter-overfitting"></span>'
    assert tips(chapter + formula("m")) == ["number of wrong labels in one cluster"] and not tips(formula("m"))
    assert not tips(f'<div class="exercise">{formula("K")}</div><div class="proof theorem">{formula("K")}</div>')
