"""The finishing of every page: only scripts that it needs, a policy that enforces this, and what eyes and ears miss.

Sphinx and its theme write a page; the functions of `STEPS` then change it, each in one respect.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import re
import shutil
from functools import cache
from pathlib import Path

import lab
from bs4 import BeautifulSoup, NavigableString
from find import plain, readable
from formulas import mathml

UNUSED = re.compile(
    r"fontawesome|togglebutton|sphinx_highlight|doctools|searchtools|language_data|searchindex|design-tabs|mathjax"
)
THEIRS = re.compile(r"dataset\.mode|toggle(?:Hint|Open|button)|MathJax|DOCUMENTATION_OPT|searchInput")
STATIC = Path(__file__).resolve().parents[1] / "_static"
NOTATION = STATIC.with_name("notation.md")
LOCAL = "a, summary, h1, h2, h3, h4, .proof, .exercise, .solution"  # no symbols, or with meanings of their own
OURS = ("early.js", "site.js", "find.js")  # the first one before a page is shown
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'self'; script-src 'self'"
)
ACTIONS = {"window.print()": "print", "toggleFullScreen()": "fullscreen"}
SWITCH = """<button type="button" class="btn btn-sm pst-navbar-icon code-switch pst-js-only" aria-pressed="false"
 aria-label="Hide all code" title="Hide all code"><i class="fas fa-code"></i></button>"""

RESULTS = """<h1>Search</h1><form class="find-form" role="search"><label>Search this book
 <input type="search" name="q" autocomplete="off" spellcheck="false"></label></form>
<div class="find-results" aria-live="polite"><noscript>This search needs JavaScript.</noscript></div>"""


def scripts(soup, page) -> None:
    """Load what is used, from files: no script in the page itself."""
    for tag in soup.find_all(["script", "link"]):
        address = tag.get("src") or (tag.get("href") if "stylesheet" in tag.get("rel", []) else "") or ""
        inline = tag.name == "script" and not address and tag.get("type") in (None, "text/javascript")
        if (inline and THEIRS.search(tag.text)) or UNUSED.search(address):
            tag.decompose()
    if not soup.select_one("[class*='sd-']"):
        for tag in soup.select("link[href*='sphinx-design']"):
            tag.decompose()
    root = soup.html.get("data-content_root", "./")
    for name in OURS:
        tag = soup.new_tag("script", src=f"{root}_static/{name}?v={page.versions[name]}")
        if name != OURS[0]:
            tag["defer"] = ""
        soup.head.append(tag)
    for tag in soup.select("[onclick]"):
        tag["data-do"] = ACTIONS[tag.attrs.pop("onclick")]


def policy(soup, page) -> None:
    """Let a page load from its own site alone, and run no script but files and those it had when it was built."""
    texts = [tag.string or "" for tag in soup.find_all("script", src=False) if not tag.get("type")]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    content = " ".join([POLICY, *(f"'sha256-{one}'" for one in hashes)])
    soup.head.insert(1, soup.new_tag("meta", attrs={"http-equiv": "Content-Security-Policy", "content": content}))
    for again in soup.select('meta[name="viewport"]')[1:]:
        again.decompose()


def folds(soup, page) -> None:
    """Boxes that open are details of HTML: on a click anywhere on their bar, and without a script."""
    for box in soup.select("div.admonition.dropdown, div.solution.dropdown"):
        title = box.find("p", class_="admonition-title") or box.find("p")
        for link in title.find_all("a"):
            link.unwrap()
        title.name, fold = "summary", soup.new_tag("details")
        fold.extend([title.extract(), *list(box.contents)])
        box.append(fold)
        box["class"] = [name for name in box["class"] if name != "dropdown"]
    for box in soup.select("div.claim"):
        box.name, box.p.name = "details", "summary"
    for section in soup.select("section:has(> .claim)"):
        places(soup, section)
    for summary in soup.select("summary[aria-label]"):
        del summary["aria-label"]


def places(soup, section) -> None:
    """A place of the paper with its claims: a line that opens, with the name and the signs."""
    bar, fold = soup.new_tag("summary"), soup.new_tag("details", attrs={"class": "place"})
    heading, among = section.find("h3", recursive=False), section.find(class_="signs", recursive=False)
    for link in heading.select(".headerlink"):
        link.decompose()
    heading.insert_before(fold)
    among.name = "span"
    for words in among.find_all("p"):
        words.unwrap()
    bar.extend([heading.extract(), among.extract()])
    fold.extend([bar, *(claim.extract() for claim in section.find_all(class_="claim", recursive=False))])


def bars(soup, page) -> None:
    """Bars that open code name what it is for."""
    for fold in soup.select("details.above-input"):
        output = fold.find_next_sibling(class_="cell_output")
        name = code_for(fold.pre.get_text(), output)
        for words in fold.select("summary > p"):
            words.string = name
    for words in soup.select("details.above-output > summary > p"):
        words.string = "What the code prints"


def code_for(code: str, output) -> str:
    """What code is for: a numbered picture or table, what its first line says, words, or what it defines."""
    number, comment = output and output.select_one(".caption-number"), re.match(r"\s*# *(.+)", code)
    if number or comment:
        return f"Code of {number.get_text(strip=True)}" if number else f"Code: {comment[1]}"
    if output:
        return "Code of what stands below"
    try:
        body = ast.parse(code).body
    except SyntaxError:  # a line for IPython
        return "Code"
    defined = [one.name for one in body if isinstance(one, (ast.FunctionDef, ast.ClassDef))]
    if not defined and any(isinstance(one, ast.Assert) for part in body for one in ast.walk(part)):
        return "Code: a check"
    set_last = [name.id for one in body if isinstance(one, ast.Assign) for name in one.targets if hasattr(name, "id")]
    return f"Code: {', '.join(defined or set_last[-1:])}".removesuffix(": ")


def numbers(soup, page) -> None:
    """Figures and tables count within chapters; on a page that has no number, they have none."""
    if not soup.select_one("article h1 .section-number"):
        for number in soup.select("article .caption-number"):
            number.decompose()


@cache
def symbols() -> dict[str, tuple[str, str]]:
    """What the symbols of `book/notation.md` mean, by their MathML, and the one chapter that has them, or ''."""
    found = {}
    for row in re.findall(r"(?m)^\| \[\$.*$", NOTATION.read_text("utf8")):
        names, meaning, *_, code = row.strip("| ").split(" | ")
        several, chapter = re.findall(r"\$(.+?)\$", names), re.match(r"computed in .*<(.+)>", code)
        texts = meaning.split(", ", len(several) - 1)
        for tex, text in zip(several, texts, strict=True):
            signs = str(BeautifulSoup(mathml(tex, False), "html.parser"))
            found[signs] = in_words(text), chapter[1] if chapter else ""
    return found


def in_words(text: str) -> str:
    """A line of Markdown without its marks, formulas in one line."""
    text = re.sub(r"\$(.+?)\$", lambda tex: mathml(tex[1], False), text.replace("**", ""))
    soup = BeautifulSoup(text, "html.parser")
    readable(soup)
    return plain(soup)


def symbol_tips(soup, page) -> None:
    """A formula that is one symbol tells what it means to whoever points at it; the keyboard does not stop there."""
    for formula in soup.select(f"article span.math:not(:is({LOCAL}) *)"):
        text, chapter = symbols().get(str(formula.math), ("", ""))
        if text and page.name != "book/notation" and (not chapter or soup.find(id=chapter)):
            formula["data-tip"] = text


def roles(soup, page) -> None:
    """Names and roles that say what is there, ids that are there once."""
    seen = set()
    for tag in soup.select("[id]"):
        if tag["id"] in seen:
            del tag["id"]
        seen.add(tag.get("id"))
    for tag in soup.select(".citation-list, .citation-list [role], .citation-list[role]"):
        tag.attrs.pop("role", None)
    for tag in soup.select(".search-button-field[aria-label]"):
        del tag["aria-label"]
    for tag in soup.select(".sidebar-primary-items__start > .sidebar-primary-item:first-child"):
        tag["role"], tag["aria-label"] = "region", "Title"
    for tag in soup.select("i[class*='fa-'], span[class*='fa-']"):
        tag["aria-hidden"] = "true"
    for tag in soup.select("#ethical-ad-placement"):
        tag.decompose()
    for row, tag in enumerate(soup.select("article tbody tr")):
        if page.name == "book/notation" and not tag.get("id"):
            tag["id"] = f"symbol-{row + 1}"


def code_switch(soup, page) -> None:
    """A switch that hides all code, on pages that have some."""
    bar = soup.select_one(".article-header-buttons")
    if bar and soup.select_one("div.cell_input"):
        bar.insert(0, BeautifulSoup(SWITCH, "html.parser"))


def tips(soup, page) -> None:
    """References show their entry in a tooltip of ours, for the keyboard too."""
    for link in soup.select("article a.reference[href*='references.html#'][title]"):
        link["data-tip"] = link.attrs.pop("title")


def joined(soup, page) -> None:
    """Keep a formula and the sign that follows it on one line, where a browser would part them."""
    for formula in soup.select("article span.math:not(.wide)"):
        after = formula.next_sibling
        signs = re.match(r"[,.;:!?)’”]+", after) if isinstance(after, NavigableString) else None
        if signs:
            after.replace_with(after[signs.end() :])
            formula.wrap(soup.new_tag("span", attrs={"class": "joined"})).append(signs[0])


def search_page(soup, page) -> None:
    """The page of results is filled by the search of our own."""
    if page.name == "search":
        place = soup.select_one(".bd-search-container")
        place.clear()
        place.append(BeautifulSoup(RESULTS, "html.parser"))


STEPS = (scripts, lab.load, folds, numbers, bars, roles, code_switch, tips, symbol_tips, joined, search_page, policy)


class Page:
    """What the steps know of a page beside its HTML."""

    def __init__(self, name: str):
        self.name = name
        self.versions = {name: digest(STATIC / name) for name in OURS}


def digest(path: Path) -> str:
    """A short hash of a file, for its address: a browser's old copy is not used for a new one."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def finished(text: str, name: str) -> str:
    """A page as it is published."""
    soup, page = BeautifulSoup(text, "html.parser"), Page(name)
    for step in STEPS:
        step(soup, page)
    return str(soup)


def finish_pages(app) -> None:
    """Let every page that the builder renders pass through `finished`."""
    if app.builder.name != "html":
        return
    app.builder.search, app.config.html_additional_pages = False, {"search": "search.html"}  # no index of Sphinx's own
    render = app.builder.templates.render

    def both(template: str, context: dict) -> str:
        text = render(template, context)
        return finished(text, context.get("pagename", "")) if "</html>" in text else text

    app.builder.templates.render = both


def tidy(app, exception) -> None:
    """Leave no file of the theme that no page loads."""
    if exception is None and app.builder.name == "html":
        static = Path(app.outdir) / "_static"
        for path in [static / "vendor", static / "locales", *static.rglob("*")]:
            if path.is_dir() and path.name in ("vendor", "locales"):
                shutil.rmtree(path)
            elif path.is_file() and (UNUSED.search(path.name) or path.suffix in (".map", ".txt")):
                path.unlink()


def setup(app) -> dict:
    """Connect everything to Sphinx; all pages are written again after a change of what makes them."""
    makers = [STATIC / name for name in OURS] + [NOTATION]
    makers += [Path(__file__).with_name(f"{name}.py") for name in ("dark", "figures", "formulas", "pages")]
    app.add_config_value("pages_made_by", " ".join(map(digest, makers)), "html")
    app.connect("builder-inited", finish_pages)
    app.connect("build-finished", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
