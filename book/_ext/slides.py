"""Write the lectures ``book/slides/<chapter>.md`` as slides into ``_build/slides``.

A slide begins with ``## Heading``.  Below it stand words in Markdown with formulas and, each in a line of its own,

    {figure} fig-model     the figure of the chapter with this name, as the last build drew it
    {figure} fig-maps 1 2  its first two panels alone
    {code} draw_cluster    the cell of the chapter that defines this, without imports and assertions
    {lab} stop             a living figure, as in the chapter
    {lab} stop {seed: 3}   or with settings of its own

and last ``> Notes: ...``, which the speaker alone sees.  Figures and code are those of the notebooks that the last
build executed.  The folder needs no network: reveal.js is copied from an installed package.
"""

from __future__ import annotations

import ast
import base64
import html
import io
import logging
import re
import shutil
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pairs
import panels
import yaml
from bs4 import BeautifulSoup
from docutils.utils.smartquotes import educate_tokens
from formulas import FORMULA, mathml, write_font
from math_core import LatexError
from nbconvert import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from PIL import Image
from traitlets.config import Config

from earlystop import laboratory
from earlystop.lab.show import place

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).with_suffix("")
FEWEST, MOST = 12, 20  # slides of a lecture
WORDS = 40  # the most on a slide, besides heading, formulas, code and notes
HEADING = re.compile(r"^##(?!#)[ \t]*", re.M)
NOTES = re.compile(r"^> Notes:(.*\n?(?:>.*\n?)*)", re.M)
SHOWN = re.compile(r"^\{(\w+)\}[ \t]*(\S*)[ \t]*(.*)$", re.M)
MATH = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.S)
LITERAL = re.compile(r"(\$\$.+?\$\$|\$.+?\$|`.+?`)", re.S)  # in which quotes are no quotes
ROLE = re.compile(r"\{[\w:]+\}`")
EXERCISES = re.compile(r"^## Exercises", re.M)
UNCOUNTED = [SHOWN, MATH, re.compile(r"^```.*?^```", re.M | re.S), re.compile(r"`[^`]*`"), re.compile(r"\]\([^)]*\)")]
PICTURES = ("image/svg+xml", "image/png")
SIDES = re.compile(r'\bviewBox="\S+ \S+ (\S+) (\S+)"')
WIDE = 1.7  # width by height of a figure that stands below the words, not beside them
REVEAL = ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js")


class SlidesError(Exception):
    """A lecture cannot be written."""


@dataclass
class Slide:
    """What stands on a slide, and what is said."""

    heading: str
    body: str
    notes: str

    @property
    def words(self) -> int:
        """How many words the audience has to read."""
        text = self.body
        for pattern in UNCOUNTED:
            text = pattern.sub(" ", text)
        return len(re.findall(r"[^\W_][\w'’.,%-]*", text))


@dataclass
class Picture:
    """A figure as the last build drew it, with words for those who do not see it."""

    kind: str
    content: str
    alt: str

    def part(self, numbers: list[int]) -> Picture:
        """Some of its panels."""
        which = f"Panel {' and '.join(map(str, numbers))} of this figure"
        return Picture(self.kind, panels.window(self.content, numbers), f"{which}: {self.alt}")

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, in whatever unit."""
        if self.kind == "image/png":
            return Image.open(io.BytesIO(base64.b64decode(self.content))).size
        width, height = SIDES.search(self.content).groups()
        return float(width), float(height)

    @property
    def html(self) -> str:
        """The figure on a slide; one that is not wide stands beside the words."""
        data = self.content.strip() if self.kind == "image/png" else base64.b64encode(self.content.encode()).decode()
        width, height = self.size
        place = "" if width > WIDE * height else ' class="beside"'
        return f'<figure{place}><img alt="{html.escape(self.alt)}" src="data:{self.kind};base64,{data}"></figure>'


@dataclass
class Chapter:
    """What a chapter can show: figures, code by the names that it defines, and how it shows living figures."""

    title: str
    figure: dict[str, Picture] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    lab: dict[str, dict] = field(default_factory=dict)


# ------------------------------------------------------------- what a lecture says


def read(path: Path) -> list[Slide]:
    """The slides of a lecture; raises `SlidesError` for what nobody could teach from."""
    before, *parts = HEADING.split(path.read_text(encoding="utf8"))
    if before.strip():
        raise SlidesError("the text before the first '## Heading' is on no slide")
    slides = [slide(part) for part in parts]
    for number, one in enumerate(slides, start=1):
        if problem := fault(one, number == 1):
            raise SlidesError(f"slide {number} ({one.heading}) {problem}")
    if not FEWEST <= len(slides) <= MOST:
        raise SlidesError(f"{len(slides)} slides, should be {FEWEST} to {MOST}")
    return slides


def slide(text: str) -> Slide:
    """A slide from the text behind its mark."""
    heading, _, rest = text.partition("\n")
    notes = "\n".join(re.sub(r"^> ?", "", found, flags=re.M) for found in NOTES.findall(rest))
    return Slide(heading.strip(), NOTES.sub("", rest).strip(), notes.strip())


def fault(one: Slide, first: bool) -> str:
    """What is wrong with a slide by itself, or nothing."""
    role = ROLE.search(one.heading + one.body + one.notes)
    figures = [kind for kind, *_ in SHOWN.findall(one.body) if kind != "code"]
    faults = {
        "has no heading": not one.heading,
        "has no notes: say below it, after '> Notes:', what to say and what students ask": not (one.notes or first),
        f"has {one.words} words, should be at most {WORDS}": one.words > WORDS,
        f"shows {len(figures)} figures, should be one": len(figures) > 1,
        f"has {role and role[0]}, which means something on pages only": bool(role),
    }
    return next((words for words, found in faults.items() if found), "")


# ----------------------------------------------------------- what a chapter shows


def open_chapter(path: Path, executed: Path) -> Chapter:
    """A chapter with what its executed notebook shows; raises `SlidesError` if that is of another text."""
    code = (cell for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code")
    title, done = re.search(r"^# (.+)$", path.read_text(encoding="utf8"), re.M)[1], [*code][1:]  # the first installs
    found, taught = Chapter(f"{int(path.stem[:2])}. {title}"), True
    for cell in pairs.read(path).cells:
        if cell.cell_type == "markdown":
            taught = taught and not EXERCISES.search(cell.source)
        elif done and done[0].source == cell.source:
            collect(found, cell, done.pop(0).outputs, taught)
        else:
            raise SlidesError("the chapter has changed since it was executed: run make book first")
    return found


def collect(chapter: Chapter, cell, outputs: list, taught: bool) -> None:
    """Add what a cell shows to its chapter; code of exercises is not shown, lest it be an answer."""
    data = [output.data for output in outputs if "data" in output]
    options = cell.metadata.get("mystnb", {})
    if name := options.get("figure", {}).get("name"):
        pictures = [(kind, one[kind]) for one in data for kind in PICTURES if kind in one]
        for kind, content in pictures[:1]:
            chapter.figure[name] = Picture(kind, content, options["image"]["alt"])
    for one in BeautifulSoup(" ".join(one.get("text/html", "") for one in data), "html.parser").select("[data-lab]"):
        texts = {kind: yaml.safe_load(one.get(f"data-{kind}", "null")) for kind in ("state", "data")}
        chapter.lab.setdefault(one["data-lab"], texts)
    if taught:
        tree = ast.parse(cell.source)
        for name in (name for part in tree.body for name in defined(part)):
            chapter.code.setdefault(name, idea(cell.source, tree))


def defined(part: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(part, ast.FunctionDef | ast.ClassDef):
        return [part.name]
    targets = part.targets if isinstance(part, ast.Assign) else []
    return [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]


def idea(source: str, tree: ast.Module) -> str:
    """Code without the imports and assertions of its own level."""
    lines = source.splitlines()
    for part in tree.body:
        if isinstance(part, ast.Import | ast.ImportFrom | ast.Assert):
            lines[part.lineno - 1 : part.end_lineno] = [None] * (part.end_lineno - part.lineno + 1)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line for line in lines if line is not None)).strip("\n")


# ------------------------------------------------------------------------ slides


def notebook(slides: list[Slide], chapter: Chapter):
    """The slides as a notebook, as nbconvert wants it."""
    cells = []
    for one in slides:
        new = [markdown(f"## {one.heading}"), *shown(one, chapter)]
        kinds = ["slide"] + ["-"] * (len(new) - 1)
        if one.notes:
            new, kinds = [*new, markdown(one.notes)], [*kinds, "notes"]
        for cell, kind in zip(new, kinds):
            cell.metadata["slideshow"] = {"slide_type": kind}
        cells += new
    return new_notebook(cells=cells, metadata={"title": chapter.title, "language_info": {"name": "python"}})


def markdown(text: str):
    """A cell of Markdown, with quotes and apostrophes as in print."""
    parts = (("literal" if at % 2 else "plain", part) for at, part in enumerate(LITERAL.split(text.strip())))
    return new_markdown_cell("".join(educate_tokens(parts, "q", "en")))


def shown(one: Slide, chapter: Chapter) -> list:
    """The body of a slide as cells: Markdown for words, code, and raw HTML for figures."""
    cells, at = [], 0
    for found in SHOWN.finditer(one.body):
        try:
            cells += [markdown(one.body[at : found.start()]), thing(chapter, *found.groups())]
        except SlidesError as problem:
            raise SlidesError(f"slide '{one.heading}': {problem}") from None
        at = found.end()
    cells.append(markdown(one.body[at:]))
    return [cell for cell in cells if cell.source]


def thing(chapter: Chapter, kind: str, name: str, more: str):
    """The cell of what a line in braces asks for; raises `SlidesError` for what there is not."""
    known = {"figure": chapter.figure, "code": chapter.code, "lab": laboratory.FIGURES}
    if kind not in known:
        raise SlidesError(f"there is no {{{kind}}}, only {', '.join(known)}")
    if name not in known[kind]:
        raise SlidesError(f"there is no {kind} {name!r}, only {', '.join(known[kind])}")
    if kind == "code":
        return new_code_cell(chapter.code[name])
    if kind == "lab":
        return new_raw_cell(living(chapter.lab.get(name, {}), name, more))
    found = chapter.figure[name]
    return new_raw_cell((found.part(chosen(found, more)) if more else found).html)


def chosen(found: Picture, text: str) -> list[int]:
    """The numbers of panels that a figure has."""
    last = panels.count(found.content) if found.kind == "image/svg+xml" else 0
    numbers = [int(one) if one.isdigit() else 0 for one in text.split()]
    if not all(0 < one <= last for one in numbers):
        raise SlidesError(f"the figure has panels 1 to {last}, not {text}" if last else "a photograph has no panels")
    return numbers


def living(usual: dict, name: str, settings: str) -> str:
    """The place of a living figure: as in the chapter, but for settings that the slide has of its own."""
    try:
        own = yaml.safe_load(settings) if settings else usual.get("state") or {}
        return place(name, usual.get("data"), **own)
    except (ValueError, TypeError, yaml.YAMLError) as problem:
        raise SlidesError(f"{{lab}} {name} {settings}: {' '.join(str(problem).split())}") from None


def formulas(text: str) -> str:
    """HTML with its TeX as MathML, as on the pages of the book."""
    return MATH.sub(lambda found: mathml(html.unescape(found[1] or found[2]), bool(found[1])), text)


def exporter() -> SlidesExporter:
    """What writes a notebook as slides, by the template beside this file."""
    config = Config()
    config.SlidesExporter.exclude_anchor_links = True
    config.CSSHTMLHeaderPreprocessor.style = "a11y-high-contrast-light"
    folders = [str(TEMPLATE.parent)]
    made = SlidesExporter(config=config, extra_template_basedirs=folders, template_name=TEMPLATE.name)
    made.register_filter("formulas", formulas)
    return made


def page(slides: list[Slide], chapter: Chapter) -> str:
    """The page of a lecture."""
    cells = notebook(slides, chapter)
    figures = [name for name in laboratory.FIGURES if any(f'data-lab="{name}"' in cell.source for cell in cells.cells)]
    resources = {
        "styles": laboratory.styles() * bool(figures) + (TEMPLATE / "slides.css").read_text(encoding="utf8"),
        "laboratory": laboratory.body(*figures, "start") if figures else "",
        "alive": (TEMPLATE / "alive.js").read_text(encoding="utf8"),
    }
    try:
        return exporter().from_notebook_node(cells, resources)[0]
    except LatexError as problem:
        raise SlidesError(f"a formula cannot be shown: {' '.join(str(problem).split())}") from None


def copy_reveal(out: Path) -> None:
    """Copy the part of reveal.js that the slides load."""
    reveal = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"
    out.mkdir(parents=True, exist_ok=True)
    for name in REVEAL:
        shutil.copy(reveal / name, out)


def lecture(source: Path, executed: dict[str, Path]) -> str:
    """The page of a source; raises `SlidesError`, which names it, for one that cannot be written."""
    try:
        if source.stem not in executed:
            raise SlidesError(f"there is no such chapter, only {', '.join(sorted(executed))}")
        return page(read(source), open_chapter(source.parents[1] / source.name, executed[source.stem]))
    except SlidesError as problem:
        raise SlidesError(f"book/slides/{source.name}: {problem}") from None


def write(root: Path, out: Path) -> list[Path]:
    """Write all lectures, or none; raises `SlidesError`."""
    folder = root / "_build/html/_sources/book"
    if not (executed := {path.stem: path for path in folder.glob("[0-9][0-9]_*.ipynb")}):
        raise SlidesError(f"there are no executed notebooks in {folder}: run make book first")
    sources = sorted((root / "book/slides").glob("*.md"))
    pages = {out / f"{source.stem}.html": lecture(source, executed) for source in sources}
    copy_reveal(out / "reveal")
    for path, text in pages.items():
        path.write_text(text, encoding="utf8")
    formulas = " ".join(one for text in pages.values() for one in FORMULA.findall(text))
    write_font(set(html.unescape(re.sub(r"<[^>]*>", "", formulas))), out / "math.woff")
    return list(pages)


def main() -> int:
    """Write the lectures; return 1 with one line on stderr if that cannot be done."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    try:
        for path in write(ROOT, ROOT / "_build/slides"):
            print("wrote", path)
    except SlidesError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
