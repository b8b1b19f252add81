"""Write ``notebooks/<chapter>.ipynb`` from ``book/<chapter>.md``, one way.

A chapter is MyST Markdown; its notebook must read well in plain Jupyter and in Colab, which know no MyST: directives
become quotes and headings, references become words.  The result depends on the sources only.  The version of the
package, which notebooks ask for, is written first: its last part stands for the package's content.

    python book/_ext/pairs.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import nbformat
import yaml
from jsonschema import Draft7Validator
from jupytext.myst import myst_to_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(\s*)(`{3,}|:{3,}|~{3,})(?:\{([\w:-]+)\})?[ \t]*(.*?)\s*$")
ROLE = re.compile(r"\{([a-zA-Z:_-]+)\}`([^`]+)`")
TARGET = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.S)
LABEL = re.compile(r"^\(([\w:.-]+)\)=\s*$")
EQUATION = re.compile(r"\s*\$\$\s*\(([\w:.-]+)\)\s*$", re.M)
BOXES = "note tip warning important hint caution attention seealso admonition dropdown margin".split()  # noqa: SIM905
DROPPED = {"in-the-paper", "bibliography", "run-table", "tableofcontents", "exercise-end", "solution-end"}
LITERAL = {"code-block", "code", "raw", "parsed-literal"}  # what is in them is shown as it is
MARKS = re.compile(
    r"^[ \t]*### (?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)[ \t]*\n", re.M
)  # for course.py, not for readers
STRICT = {"type": "object", "additionalProperties": False}
FIGURE = {name: {} for name in ("caption", "name", "align", "caption_before")}
IMAGE = {name: {} for name in ("alt", "width", "height", "scale", "align", "classes")}
SHOWN = {"figure": STRICT | {"properties": FIGURE}, "image": STRICT | {"properties": IMAGE}}
OPTIONS = STRICT | {"properties": {"tags": {"type": "array"}, "mystnb": STRICT | {"properties": SHOWN}}}  # of a cell
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class PairError(Exception):
    """A chapter holds something that a notebook cannot show."""


def without_marks(text: str) -> str:
    """A chapter without the two lines around each answer, which only the course kit needs."""
    return MARKS.sub("", text)


def quote(title: str, body: str) -> str:
    """A block quote with a bold title."""
    text = f"**{title}.**\n\n{body}" if body.startswith(("-", "$$", "1.")) else f"**{title.rstrip('.')}.** {body}"
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def split_options(body: list[str]) -> tuple[dict, str]:
    """Separate the ``:key: value`` lines of a directive from its text."""
    options, rest = {}, list(body)
    while rest and (match := re.match(r"^\s*:([\w-]+):\s*(.*)$", rest[0])):
        options[match[1]] = match[2].strip()
        rest.pop(0)
    return options, "\n".join(rest).strip("\n")


def blocks(text: str, where: str):
    """Yield ``(name, argument, body lines)``; name is None for text, '' for a code fence."""
    lines, plain, at = text.splitlines(), [], 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if not fence or (fence[2][0] == ":" and not fence[3]):
            plain.append(lines[at])
            at += 1
            continue
        closing = re.compile(rf"^\s*{fence[2][0]}{{{len(fence[2])},}}\s*$")
        end = next((n for n in range(at + 1, len(lines)) if closing.match(lines[n])), None)
        if end is None:
            raise PairError(f"{where}: {lines[at].strip()!r} is not closed (is a code cell nested in it?)")
        yield None, "", plain
        plain, indent = [], len(fence[1])
        body = [line[indent:] if line[:indent].isspace() else line for line in lines[at + 1 : end]]
        yield (fence[3], fence[4], body) if fence[3] else ("", lines[at], lines[at + 1 : end + 1])
        at = end + 1
    yield None, "", plain


def contents(root: Path) -> dict[str, int]:
    """The pages by `_toc.yml`, each with the number of its chapter or 0; every numbered file must be there."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    parts, found = [toc, *toc.get("parts", [])], {Path(toc["root"]).name: 0}
    for part in parts:
        for chapter in part.get("chapters", []):
            found[Path(chapter["file"]).name] = 1 + max(found.values()) if part.get("numbered") else 0
    for path in sorted((root / "book").glob("[0-9]*.md")):
        if path.stem not in found:
            raise PairError(
                f"book/{path.name} is no page yet: write '- file: book/{path.stem}' where it belongs in _toc.yml"
            )
    return found


def read(path: Path):
    """A page as a notebook; raises `PairError` for what cannot be read, and for options of cells that there are not."""
    text, where = without_marks(path.read_text(encoding="utf8")), f"book/{path.name}"
    try:
        found = myst_to_notebook(text)
    except Exception as problem:  # nbformat does not say where
        at = text.find(f"tags: {getattr(problem, 'instance', None)}\n")
        line = f"line {text.count(chr(10), 0, at) + 1}: " if at > 0 else ""
        raise PairError(f"{where}: {line}{' '.join(str(problem).split())}") from None
    for cell in found.cells:
        for problem in Draft7Validator(OPTIONS).iter_errors(cell.metadata):
            place = f"{where}: the cell that begins with {cell.source.strip().partition(chr(10))[0]!r}"
            raise PairError(f"{place}: {': '.join(map(str, problem.path)) or 'options'}: {problem.message}")
    return found


def chapter_table(header: list[str], root: Path) -> list[str]:
    """A MyST table of the chapters; but for the first, its columns are what front matter says under `chapter`."""
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for name, number in contents(root).items():
        if number:
            said = read(root / "book" / f"{name}.md").metadata.get("chapter", {})
            cells = [f"{number}. {{doc}}`{name}`", *(said.get(column, "") for column in header[1:])]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


class Book:
    """The chapters with everything they can refer to: titles, figures, equations, papers."""

    def __init__(self, root: Path = ROOT, package: str | None = None):
        """Read all pages once and collect their labels; ``package`` replaces the configured address."""
        self.root = root
        self.package = package_address(root) if package is None else package
        self.papers = parse_file(str(root / "book" / "references.bib")).entries
        self.labels, self.pages, self.notebooks, self.counts = {}, {}, {}, Counter()
        for page, chapter in contents(root).items():
            self.notebooks[page] = read(root / "book" / f"{page}.md")
            for cell in self.notebooks[page].cells:
                figure = cell.metadata.get("mystnb", {}).get("figure", {})
                if figure.get("caption") and chapter:  # elsewhere they have no numbers
                    self.number("Figure", chapter, figure.get("name"))
                if cell.cell_type == "markdown":
                    self.collect(page, chapter, cell.source)

    @property
    def chapters(self) -> list[str]:
        """The pages that are chapters."""
        return [page for page in self.notebooks if page[:2].isdigit()]

    def number(self, kind: str, chapter: int, label: str | None, words: str = "{} {}") -> None:
        """Count one more of a kind, as Sphinx does: by chapter, and on all other pages together."""
        self.counts[kind, chapter] += 1
        if label:
            count = self.counts[kind, chapter]
            self.labels[label] = words.format(kind, f"{chapter}.{count}" if chapter else count)

    def collect(self, page: str, chapter: int, text: str) -> None:
        """Record the labels in Markdown text, directives included."""
        for name, _, body in blocks(text, f"book/{page}.md"):
            options, inner = split_options(body)
            label = options.get("label") or options.get("name")
            if name is None:
                self.collect_plain(page, chapter, body)
            elif name.startswith("prf:") and name != "prf:proof":  # one count for all of them
                self.number("prf", chapter, label, name[4:].capitalize() + " {1}")
            elif name in ("exercise", "exercise-start"):
                self.number("Exercise", chapter, label)
            elif name == "math" and label:
                self.number("equation", chapter, label, "({1})")
            if name and name not in LITERAL:
                self.collect(page, chapter, inner)

    def collect_plain(self, page: str, chapter: int, lines: list[str]) -> None:
        """Record the labels of headings and of equations between dollars."""
        labels = []  # a heading may have two
        for line in lines:
            if match := LABEL.match(line):
                labels.append(match[1])
            elif match := re.match(r"^#+\s+(.*)$", line):
                self.pages.setdefault(page, match[1])
                self.labels |= dict.fromkeys(labels, match[1])
                labels = []
            elif match := EQUATION.search(line):
                self.number("equation", chapter, match[1], "({1})")

    def name_of(self, label: str, where: str) -> str:
        """The words that stand for a label."""
        if label not in self.labels:
            raise PairError(f"{where}: nothing is labelled {label!r}")
        return self.labels[label]

    def tag(self, label: str, where: str) -> str:
        """The number of an equation, in its formula."""
        return f"\\tag{{{self.name_of(label, where)[1:-1]}}}"

    def cite(self, keys: str, style: str, where: str) -> str:
        """Author and year of the cited papers."""
        texts = []
        for key in map(str.strip, keys.split(",")):
            if key not in self.papers:
                raise PairError(f"{where}: references.bib has no {key!r}")
            paper = self.papers[key]
            names = [" ".join(person.last_names) for person in paper.persons["author"]]
            who = re.sub(r"[{}\\'\"]", "", f"{names[0]} et al." if len(names) > 2 else " and ".join(names))
            texts.append(f"{who} ({paper.fields['year']})" if style == "t" else f"{who}, {paper.fields['year']}")
        return ", ".join(texts) if style == "t" else f"({'; '.join(texts)})"

    def role(self, match: re.Match, where: str) -> str:
        """Turn one role into plain text."""
        role, text = match[1], match[2]
        if role.startswith("cite"):
            return self.cite(text, role.partition(":")[2] or "p", where)
        if role == "claim":
            return f"judged on the page What holds as {text}"
        if role not in ("prf:ref", "ref", "numref", "eq"):
            raise PairError(f"{where}: no plain text for the role {match[0]}")
        named = TARGET.match(text)
        found = self.name_of(named[2] if named else text, where)
        return re.sub(r"%s|\{number\}", found.split()[-1], named[1]) if named else found

    def inline(self, text: str, where: str) -> str:
        """Convert roles, labels, links and comments in running text."""
        lines = [line for line in text.splitlines() if not LABEL.match(line) and not line.startswith("%")]
        text = ROLE.sub(lambda match: self.role(match, where), "\n".join(lines))
        text = EQUATION.sub(lambda match: f"\n{self.tag(match[1], where)}\n$$", text)
        text = re.sub(r"\[([^\]]*)\]\(#([\w:.-]+)\)", lambda m: m[1] or self.name_of(m[2], where), text)
        text = re.sub(r"\]\((?:\./)?(\d\d_\w+)\.md(#[\w-]*)?\)", r"](\1.ipynb)", text)
        return re.sub(r"(?<=\S)\{[.#][\w. #-]+\}", "", text)

    def convert(self, text: str, where: str) -> str:
        """Convert Markdown text with directives to plain Markdown."""
        parts = []
        for name, argument, body in blocks(text, where):
            if name is None:
                parts.append(self.inline("\n".join(body), where))
            elif name == "":
                parts.append("\n".join([argument, *body]))
            elif name not in DROPPED:
                parts.append("\n" + self.directive(name, self.inline(argument, where), body, where) + "\n")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).strip("\n")

    def directive(self, name: str, argument: str, body: list[str], where: str) -> str:
        """Convert one directive."""
        options, raw = split_options(body)
        label = options.get("label", "")
        if name == "math":
            return "\n".join(["$$", raw, *([self.tag(label, where)] if label else []), "$$"])
        if name in ("code-cell", "raw-cell"):
            raise PairError(f"{where}: a code cell is nested in a directive, so no notebook can run it")
        inner = self.convert(raw, where)
        if name.startswith("prf:"):
            title = self.labels.get(label, name[4:].capitalize())
            return quote(f"{title} ({argument})" if argument else title, inner)
        if name in BOXES:
            return quote(argument or name.capitalize(), inner)
        if name in ("exercise", "exercise-start"):
            title = f" ({argument})" if argument else ""
            return f"**{self.name_of(label, where)}{title}.** {inner}".rstrip()
        if name in ("solution", "solution-start"):
            title = f"Solution to {self.name_of(argument, where)}"
            folded = f"<details><summary>{title}</summary>\n\n{inner}\n\n</details>"
            return folded if name == "solution" else f"**{title}.** {inner}".rstrip()
        raise PairError(f"{where}: no plain Markdown for the directive {{{name}}}")

    def fold(self, text: str) -> str:
        """Turn a gated solution without code cells into one that folds."""
        start = r"(`{3,}|:{3,})\{solution-start\} *(\S+)\n((?::[\w-]+:.*\n)*)\1\n"
        end = r"(?:`{3,}|:{3,})\{solution-end\}\n(?:`{3,}|:{3,})"
        return re.sub(start + r"(.*?)" + end, r"``````{solution} \2\n\3\4``````", text, flags=re.S)

    def cells(self, cell, where: str) -> list:
        """What stands in a notebook for a cell of its chapter."""
        if cell.cell_type == "markdown":
            text = self.convert(self.fold(cell.source), where)
            return [new_markdown_cell(text)] if text else []
        tags = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        text = " ".join(self.inline(figure.get("caption", ""), where).split())
        caption = new_markdown_cell(f"*{self.labels.get(figure.get('name'), 'Figure')}. {text}*")
        return [new_code_cell(cell.source, metadata=tags)] + [caption] * bool(text)

    def notebook(self, page: str):
        """The notebook of one chapter."""
        where, source, seen = f"book/{page}.md", self.notebooks[page], Counter()
        cells = [install_cell(page, self.package), *(new for cell in source.cells for new in self.cells(cell, where))]
        for cell in cells:
            digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
            seen[digest] += 1
            cell.id = f"{digest}-{seen[digest]}"
        kept = {key: source.metadata[key] for key in ("accelerator", "colab") if key in source.metadata}
        metadata = {"kernelspec": KERNEL, **kept, "generated": UNSEALED}
        result = new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)
        nbformat.validate(result)
        return result


INSTALL = """# The package of this book, where it is missing; an installed torch or numpy stays as it is.
{fetch}try:
    import earlystop.start
except ImportError:
    raise ImportError("the package of this book is not installed, or is an old copy: {advice}, "
                      "then restart the kernel, run this cell again") from None
earlystop.start.chapter("{page}", "{version}")"""
FETCH = """from importlib import metadata, util
if not util.find_spec("earlystop"):
    stay = [f"{{name}}=={{metadata.version(name)}}" for name in ("torch", "numpy") if util.find_spec(name)]
    %pip install -q "{package}" {{" ".join(stay)}}
"""  # the names of torch and numpy with their versions forbid pip to change them


def install_cell(page: str, package: str):
    """The first cell: makes the book's package importable by `package`, pip's name for it or '', or says how."""
    advice = "run `pip install .` with this kernel's Python in a copy of the book"
    if package:
        advice = f"switch the network on (on Kaggle: Internet), run `%pip install '{package}'`"
    fetch = FETCH.format(package=package) if package else ""
    return new_code_cell(INSTALL.format(page=page, version=read_version(), fetch=fetch, advice=advice))


# ------------------------------------------------------------------- the version of the package

VERSION = re.compile(r'^__version__ = "(.+)"$', re.M)
LINE = r'__version__ = ".+"\n'
MERGED = re.compile(rf"^<{{7}} .*\n({LINE})(?:\|{{7}} .*\n{LINE})?={{7}}\n{LINE}>{{7}} .*\n", re.M)  # both sides
PACKAGE = ("*.py", "*.mplstyle", "*.json")


def read_version(root: Path = ROOT) -> str:
    """The version of the package, which is that of the notebooks."""
    return VERSION.search((root / "src/earlystop/__init__.py").read_text(encoding="utf8"))[1]


def source_version(root: Path = ROOT) -> str:
    """The version that the package should have: the numbers that people chose, and a hash of all that it installs."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))
    built = [project["build-system"], project["project"], project["tool"].get("setuptools")]
    digest = hashlib.sha256(json.dumps(built, sort_keys=True).encode())
    paths = [path for pattern in PACKAGE for path in (root / "src/earlystop").rglob(pattern)]
    for path in sorted([*paths, *(root / "book/results").glob("*.json*"), *(root / "book/_static/lab").glob("*.*")]):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        if path.name == "__init__.py":
            content = VERSION.sub("", content.decode("utf8")).encode()
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + content + b"\0")
    return f"{read_version(root).partition('+')[0]}+h{digest.hexdigest()[:8]}"


def write_version(root: Path = ROOT) -> bool:
    """Write the version that the package should have into it; whether it was another one, or two in a merge."""
    path = root / "src/earlystop/__init__.py"
    found = path.read_text(encoding="utf8")
    if (one := MERGED.sub(r"\1", found)) != found:
        path.write_text(one, encoding="utf8")
    wanted = VERSION.sub(f'__version__ = "{source_version(root)}"', one)
    if wanted != one:  # the file as it is stays: claims are judged again where it is newer than they are
        path.write_text(wanted, encoding="utf8")
    return wanted != found


# ------------------------------------------------------------------ the address of the repository

ADDRESS = re.compile(r"https?://[\w-]+(\.[\w-]+)+(:\d+)?(/~?\w[\w.-]*){2,}")


def repository(root: Path = ROOT) -> str:
    """The web address of the repository by ``_config.yml``, '' if it names none; `PairError` for what is no address."""
    try:
        found = (yaml.safe_load((root / "_config.yml").read_text(encoding="utf8")) or {}).get("repository") or {}
    except yaml.YAMLError as problem:
        raise PairError(f"_config.yml cannot be read: {' '.join(str(problem).split())}") from None
    url = found.get("url") or "" if isinstance(found, dict) else found
    address = str(url).strip().rstrip("/").removesuffix(".git")
    if address and not (isinstance(found, dict) and ADDRESS.fullmatch(address)):
        raise PairError(
            f"_config.yml: repository: url must be like https://github.com/OWNER/NAME or empty, not {url!r}"
        )
    return address


def package_address(root: Path) -> str:
    """What pip installs: the tag of this version in the repository that ``_config.yml`` names, or nothing."""
    address = repository(root)
    return f"earlystop @ git+{address}@v{read_version()}" if address else ""


# ------------------------------------------------------------------------- writing the notebooks

UNSEALED = "0" * 16
SEAL = re.compile(r'(?<="generated": ")[0-9a-f]{16}(?=")')
CONFLICT = re.compile(r"^<<<<<<< .*^=======$.*^>>>>>>> ", re.M | re.S)  # both sides are in git


def digest(text: str) -> str:
    """The digest of a notebook's text, whatever digest stands in it."""
    return hashlib.sha256(SEAL.sub("", text).encode()).hexdigest()[:16]


def seal(notebook) -> str:
    """The text of a notebook, with its digest in the place that its metadata keep for it."""
    text = notebook if isinstance(notebook, str) else nbformat.writes(notebook) + "\n"
    return SEAL.sub(digest(text), text)


def changed(path: Path) -> bool:
    """Whether a file is not as it was written here: run, edited, or half of it."""
    text = path.read_bytes().decode("utf8", "replace").replace("\r\n", "\n")  # git for Windows writes such lines
    found = SEAL.search(text)
    return not CONFLICT.search(text) and (not found or found[0] != digest(text))


def keep_aside(path: Path, folder: Path) -> Path:
    """Move a file into a folder, under a name that is free, and return that."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (folder / f"{path.stem}.mine{number or ''}{path.suffix}" for number in (0, *range(2, 10**6)))
    return path.rename(next(name for name in names if not os.path.lexists(name)))


def write(path: Path, text: str, aside: Path | None = None) -> str:
    """Write a generated file, if it is another one. Returns what was done, or ''.

    What its owner changed is kept in the folder `aside`, or beside it.
    """
    if path.is_file() and path.read_bytes() == text.encode():
        return ""
    line = f"wrote {os.path.relpath(path)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf8")  # all of it, or nothing
    if os.path.lexists(path) and (not path.is_file() or changed(path)):
        kept = os.path.relpath(keep_aside(path, aside or path.parent))
        line += f"; what was there had been changed, and is now {kept}"
    os.replace(part, path)
    return line


def all_pairs(root: Path = ROOT, package: str | None = None, folder: Path | None = None) -> dict[Path, str]:
    """Every notebook's path and text."""
    book, folder = Book(root, package), folder or root / "notebooks"
    return {folder / f"{page}.ipynb": seal(book.notebook(page)) for page in book.chapters}


def main(arguments: list[str]) -> int:
    """Write the notebooks that differ from their chapters; return 1 with one line on stderr if that cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", metavar="WHAT", help="what their first cell installs (default: by _config.yml)")
    parser.add_argument("--out", type=Path, default=ROOT / "notebooks", help="folder (default: notebooks)")
    options = parser.parse_args(arguments)
    folder = options.out.resolve()
    try:
        if folder == ROOT / "notebooks" and write_version():
            print(f"the package is now version {read_version()}")
        for path, text in all_pairs(package=options.package, folder=folder).items():
            if line := write(path, text):
                print(line)
    except (PairError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
