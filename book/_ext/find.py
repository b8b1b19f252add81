"""The index of the book's own search: sections, theorems, definitions, exercises, figures, tables and symbols.

It is read from the finished pages and written as a classic script, so that the search works from a folder, too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from bs4 import BeautifulSoup, SoupStrainer

MOST = 5000  # characters of a section that are searched
# Not searched: code and its outputs' names, formulas that stand alone, what folds repeat, numbers of sections' links.
SILENT = (
    "pre, .cell_input, div.math, a.headerlink, script, style, img, summary:not(.claim > summary), details.credit, "
    ".counts, .signs, .evidence, .sign, .claim code"
)
OBJECTS = {
    "theorem": ".proof.theorem, .proof.lemma, .proof.proposition, .proof.corollary",
    "definition": ".proof.definition",
    "exercise": ".exercise",
    "figure": "figure[id]",
}
TITLES = ".admonition-title, figcaption"
FIRST = re.compile(r"(?:(?:Fig\. [\d.]+ )?.{0,150}?(?:[.:?](?= )|$))?")  # the first sentence of a title
ACCENTS = str.maketrans("¯˜ˆ", "\u0304\u0303\u0302")
LOW = str.maketrans("0123456789+-−aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
HIGH = str.maketrans("0123456789+-−nT⊤", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿᵀᵀ")


def plain(tag) -> str:
    """The text of a part of a page on one line."""
    return " ".join(tag.get_text("").replace("\u2061", "").split())


def readable(soup) -> None:
    """Remove what is not for reading, and write formulas in one line."""
    for tag in soup.select(".place, .place > summary"):
        tag.unwrap()
    for tag in soup.select(SILENT):
        tag.decompose()
    for tag in soup.select("mover > mo"):
        tag.string = tag.get_text().translate(ACCENTS)
    for names, small, mark in (
        ("msub > :last-child, msubsup > :nth-child(2)", LOW, "_"),
        ("msup > :last-child, msubsup > :last-child", HIGH, "^"),
    ):
        for tag in soup.select(names):
            text = "".join(tag.get_text().split())
            tag.string = text.translate(small) if {*map(ord, text)} <= small.keys() else mark * text.isalnum() + text
    for tag in soup.select("mfrac > :first-child"):
        tag.append("/")
    for tag in soup.select("msqrt"):
        long = len(plain(tag)) > 1
        tag.insert(0, "√(" if long else "√")
        tag.append(")" * long)
    for tag in soup.select("td, th, li, p, dd, dt"):
        tag.append(" ")


def entries(text: str, name: str) -> list[list[str]]:
    """All that can be found on a page: kind, title, address and text."""
    soup = BeautifulSoup(text, "html.parser", parse_only=SoupStrainer("article"))
    readable(soup)
    page, found = plain(soup.h1) if soup.h1 else name, []

    def add(kind: str, title: str, anchor: str, words: str) -> None:
        found.append([kind, title, f"{name}.html" + f"#{anchor}" * bool(anchor), words[:MOST], page])

    for row in soup.select("tr[id^='symbol-']"):
        cells = [plain(cell) for cell in row.find_all(["td", "th"])]
        add("symbol", cells[0], row["id"], "; ".join(filter(None, cells[1:])))
    for kind, selector in OBJECTS.items():
        for tag in soup.select(selector):
            heading = tag.select_one(TITLES)
            title = plain(heading.extract()) if heading else ""
            short = FIRST.match(title)[0] or title[:150]
            add(kind, short, tag.get("id", ""), f"{title[len(short) :]} {plain(tag)}".strip())
            tag.extract()
    for tag in soup.select(".claim"):
        words = plain(tag.summary.extract()) if tag.summary else ""
        add("claim", words[:150], tag.get("id", ""), f"{words[150:]} {plain(tag)}".strip())
        tag.extract()
    for tag in soup.select("table:has(caption)"):
        caption = plain(tag.caption)
        place = tag.find_parent(["section", "div"], id=True)
        add("table", caption[:90], tag.get("id") or (place["id"] if place else ""), plain(tag))
    for table in soup.find_all("table"):
        table.decompose()
    for section in reversed(soup.select("section:has(> h1, > h2, > h3, > h4)")):
        heading = section.find(re.compile("h[1-4]")).extract()
        section.extract()
        add("page" if heading.name == "h1" else "section", plain(heading), section.get("id", ""), plain(section))
    return found


def write_index(app, exception) -> None:
    """Write what can be found on all pages."""
    if exception is None and app.builder.name == "html":
        paths = {name: Path(app.builder.get_outfilename(name)) for name in sorted(app.env.all_docs)}
        found = [one for name, path in paths.items() for one in entries(path.read_text(encoding="utf8"), name)]
        script = f"window.findIndex = {json.dumps(found, ensure_ascii=False, separators=(',', ':'))};\n"
        (Path(app.outdir) / "_static" / "find-index.js").write_text(script, encoding="utf8")


def setup(app) -> dict:
    """Connect everything to Sphinx."""
    app.connect("build-finished", write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
