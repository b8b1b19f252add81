"""Write ``notebooks/<chapter>.ipynb`` from ``book/<chapter>.md``, one way.

A chapter is MyST Markdown; its notebook must read well in plain Jupyter and in
Colab, which know no MyST: directives become quotes and headings, references
become words.  The result depends on the sources only.  The version of the package,
which notebooks ask for, is written first: its last part stands for the package's content.

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
from pathlib import Path

import jupytext
import nbformat
import yaml
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(\s*)(`{3,}|:{3,}|~{3,})(?:\{([\w:-]+)\})?[ \t]*(.*?)\s*$")
ROLE = re.compile(r"\{([a-zA-Z:_-]+)\}`([^`]+)`")
TARGET = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.S)
LABEL = re.compile(r"^\(([\w:.-]+)\)=\s*$")
BOXES = {
    "note",
    "tip",
    "warning",
    "important",
    "hint",
    "caution",
    "attention",
    "seealso",
    "admonition",
    "dropdown",
    "margin",
}
DROPPED = {"runs-in", "bibliography", "nb-exec-table", "tableofcontents"}
MARKS = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*\n", re.M)  # for course.py, not for readers


def without_marks(text: str) -> str:
    """A chapter without the two lines around each answer, which only the course kit needs."""
    return MARKS.sub("", text)


class PairError(Exception):
    """A chapter holds something that a notebook cannot show."""


def chapters(root: Path = ROOT) -> list[str]:
    """The chapters in the order of `_toc.yml`; raise `PairError` where that and the files disagree."""
    listed = re.findall(
        r"(?m)^[- ]*(?:file|root): *[\"']?book/(\d\d_\w+)", (root / "_toc.yml").read_text(encoding="utf8")
    )
    files = {path.stem for path in (root / "book").glob("[0-9][0-9]_*.md")}
    for name in sorted(files - {*listed}):
        raise PairError(f"book/{name}.md: no line of _toc.yml names this chapter, add '- file: book/{name}' to a part")
    for place, name in enumerate(listed, start=1):
        if name not in files:
            raise PairError(f"_toc.yml: there is no book/{name}.md")
        if int(name[:2]) != place:
            raise PairError(f"_toc.yml: book/{name} is chapter {place} there, so its name must begin with {place:02}_")
    return listed


def chapter_table(header: list[str], root: Path = ROOT) -> list[str]:
    """A MyST table of the chapters; but for the first, its columns are what front matter says under `chapter`."""
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for name in chapters(root):
        text = (root / "book" / f"{name}.md").read_text(encoding="utf8")
        front = re.match(r"---\n(.*?)\n---\n", text, re.S)
        said = (yaml.safe_load(front[1]) if front else {}).get("chapter") or {}
        cells = [f"{int(name[:2])}. {{doc}}`{name}`", *(said.get(column, "") for column in header[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def quote(title: str, body: str) -> str:
    """A block quote with a bold title."""
    text = f"**{title.rstrip('.')}.** {body}" if not body.startswith(("-", "$$", "1.")) else f"**{title}.**\n\n{body}"
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
        plain = []
        indent = len(fence[1])
        body = [line[indent:] if line[:indent].isspace() else line for line in lines[at + 1 : end]]
        yield (fence[3] or "", fence[4], body) if fence[3] else ("", lines[at], [*lines[at + 1 : end], lines[end]])
        at = end + 1
    yield None, "", plain


class Book:
    """The chapters with everything they can refer to: titles, figures, equations, papers."""

    def __init__(self, root: Path = ROOT, package: str | None = None):
        """Read all pages once and collect their labels; ``package`` replaces the configured address."""
        self.root = root
        self.package = package_address(root) if package is None else package
        self.papers = parse_file(str(root / "book" / "references.bib")).entries
        self.labels, self.pages, self.notebooks = {}, {}, {}
        for path in sorted((root / "book").glob("*.md")):
            self.notebooks[path.stem] = jupytext.reads(without_marks(path.read_text(encoding="utf8")), fmt="md:myst")
            self.collect(path.stem, self.notebooks[path.stem])

    def collect(self, page: str, notebook) -> None:
        """Number the figures, exercises and equations of a page as the book does."""
        chapter = int(page[:2]) if page[:2].isdigit() else 0
        self.counts = {}

        def numbered(kind: str, label: str | None) -> None:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if label:
                number = f"{chapter}.{self.counts[kind]}"
                self.labels[label] = f"({number})" if kind == "equation" else f"{kind} {number}"

        for cell in notebook.cells:
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            if figure.get("caption"):
                numbered("Figure", figure.get("name"))
            if cell.cell_type == "markdown":
                self.collect_text(page, cell.source, numbered)

    def collect_text(self, page: str, text: str, numbered) -> None:
        """Record the labels in Markdown text, directives included."""
        for name, argument, body in blocks(text, f"book/{page}.md"):
            if name is None:
                label = None
                for line in body:
                    if match := LABEL.match(line):
                        label = match[1]
                    elif match := re.match(r"^(#+)\s+(.*)$", line):
                        self.pages.setdefault(page, match[2])
                        if label:
                            self.labels[label] = match[2]
                        label = None
                    elif match := re.search(r"\$\$\s*\(([\w:.-]+)\)\s*$", line):
                        numbered("equation", match[1])
                continue
            options, inner = split_options(body)
            label = options.get("label") or options.get("name")
            if name.startswith("prf:") and name != "prf:proof":
                numbered("prf", label)  # one count for all of them, as in the book
                if label:
                    number = self.labels[label].split()[1]
                    self.labels[label] = f"{name[4:].capitalize()} {number}"
            elif name in ("exercise", "exercise-start"):
                numbered("Exercise", label)
            elif name == "math" and label:
                numbered("equation", label)
            if name:
                self.collect_text(page, inner, numbered)

    def name_of(self, label: str, where: str) -> str:
        """The words that stand for a label."""
        if label not in self.labels:
            raise PairError(f"{where}: nothing is labelled {label!r}")
        return self.labels[label]

    def cite(self, keys: str, style: str, where: str) -> str:
        """Author and year of the cited papers."""
        texts = []
        for key in keys.split(","):
            if key.strip() not in self.papers:
                raise PairError(f"{where}: references.bib has no {key.strip()!r}")
            paper = self.papers[key.strip()]
            names = [" ".join(person.last_names) for person in paper.persons["author"]]
            who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
            who = re.sub(r"[{}\\'\"]", "", who)
            texts.append(f"{who} ({paper.fields['year']})" if style == "t" else f"{who}, {paper.fields['year']}")
        return ", ".join(texts) if style == "t" else f"({'; '.join(texts)})"

    def role(self, match: re.Match, where: str) -> str:
        """Turn one role into plain text."""
        role, text = match[1], match[2]
        named = TARGET.match(text)
        label = named[2] if named else text
        if role in ("prf:ref", "ref", "numref", "eq"):
            found = self.name_of(label, where)
            return re.sub(r"%s|\{number\}", found.split()[-1], named[1]) if named else found
        if role.startswith("cite"):
            return self.cite(text, role.partition(":")[2] or "p", where)
        raise PairError(f"{where}: no plain text for the role {match[0]}")

    def inline(self, text: str, where: str) -> str:
        """Convert roles, labels, links and comments in running text."""
        lines = [line for line in text.splitlines() if not LABEL.match(line) and not line.startswith("%")]
        text = ROLE.sub(lambda match: self.role(match, where), "\n".join(lines))
        tag = lambda match: f"\\tag{{{self.name_of(match[1], where)[1:-1]}}}\n$$"
        text = re.sub(r"\s*\$\$\s*\(([\w:.-]+)\)\s*$", lambda match: "\n" + tag(match), text, flags=re.M)
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
        if name in ("code-cell", "raw-cell"):
            raise PairError(f"{where}: a code cell is nested in a directive, so no notebook can run it")
        if name == "math":
            label = options.get("label")
            return f"$$\n{raw}\n" + (f"\\tag{{{self.labels[label][1:-1]}}}\n" if label else "") + "$$"
        inner = self.convert(raw, where)
        if name.startswith("prf:"):
            title = self.labels.get(options.get("label"), name[4:].capitalize())
            return quote(f"{title} ({argument})" if argument else title, inner)
        if name in BOXES:
            return quote(argument or name.capitalize(), inner)
        if name in ("exercise", "exercise-start"):
            number = self.name_of(options.get("label", ""), where)
            return f"**{number}{f' ({argument})' if argument else ''}.** {inner}".rstrip()
        if name in ("solution", "solution-start"):
            title = f"Solution to {self.name_of(argument, where)}"
            if name == "solution-start":
                return f"**{title}.** {inner}".rstrip()
            return f"<details><summary>{title}</summary>\n\n{inner}\n\n</details>"
        if name in ("exercise-end", "solution-end"):
            return ""
        raise PairError(f"{where}: no plain Markdown for the directive {{{name}}}")

    def fold(self, text: str) -> str:
        """Turn a gated solution without code cells into one that folds."""
        start = r"(`{3,}|:{3,})\{solution-start\} *(\S+)\n((?::[\w-]+:.*\n)*)\1\n"
        end = r"(?:`{3,}|:{3,})\{solution-end\}\n(?:`{3,}|:{3,})"
        return re.sub(start + r"(.*?)" + end, r"``````{solution} \2\n\3\4``````", text, flags=re.S)

    def notebook(self, page: str):
        """The notebook of one chapter."""
        where, source, cells = f"book/{page}.md", self.notebooks[page], [install_cell(page, self.package)]
        for cell in source.cells:
            if cell.cell_type == "markdown":
                text = self.convert(self.fold(cell.source), where)
                if text:
                    cells.append(nbformat.v4.new_markdown_cell(text))
                continue
            tags = cell.metadata.get("tags")
            cells.append(nbformat.v4.new_code_cell(cell.source, metadata={"tags": tags} if tags else {}))
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            if figure.get("caption"):
                text = " ".join(self.inline(figure["caption"], where).split())
                cells.append(
                    nbformat.v4.new_markdown_cell(f"*{self.labels.get(figure.get('name'), 'Figure')}. {text}*")
                )
        seen = {}
        for cell in cells:
            digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
            seen[digest] = seen.get(digest, 0) + 1
            cell.id = f"{digest}-{seen[digest]}"
        metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        metadata |= {key: source.metadata[key] for key in ("accelerator", "colab") if key in source.metadata}
        metadata["generated"] = UNSEALED
        result = nbformat.v4.new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)
        nbformat.validate(result)
        return result


def install_cell(page: str, package: str):
    """The first cell: makes the book's package importable, or says how; then what is to come.

    ``package`` is what pip installs where the package is missing; empty if there is no address.
    The names of torch and numpy with their versions forbid pip to change them.
    """
    missing = 'if not util.find_spec("earlystop"):'
    install = [
        missing,
        '    stay = [f"{name}=={metadata.version(name)}" for name in ("torch", "numpy") if util.find_spec(name)]',
        f'    %pip install -q "{package}" {{" ".join(stay)}}',
    ]
    advice = "switch the network on (on Kaggle: Internet), or " if package else ""
    advice += "run `pip install .` with this kernel's Python in a copy of the book; then restart the kernel, run this cell again"
    renew = (
        f"run `%pip install '{package}'`"
        if package
        else "run `pip install .` with this kernel's Python in the book's new copy"
    )
    lines = [
        "# The package of this book, where it is missing; an installed torch or numpy stays as it is.",
        "from importlib import metadata, util",
        *(install if package else []),
        missing,
        f'    raise ImportError("the package of this book is not installed: {advice}")',
        'if not util.find_spec("earlystop.start"):',
        f'    raise ImportError("the installed package earlystop is an old copy: {renew}, then restart the kernel")',
        "import earlystop.start",
        f'earlystop.start.chapter("{page}", "{read_version()}")',
    ]
    return nbformat.v4.new_code_cell("\n".join(lines))


# ------------------------------------------------------------------- the version of the package

VERSION = re.compile(r'^__version__ = "(.+)"$', re.M)
LINE = r'__version__ = ".+"\n'
MERGED = re.compile(
    rf"^<{{7}} .*\n({LINE})(?:\|{{7}} .*\n{LINE})?={{7}}\n{LINE}>{{7}} .*\n", re.M
)  # both sides of a merge
PACKAGE = ("src/earlystop/**/*.py", "src/earlystop/*.mplstyle", "src/earlystop/*.json", "book/results/*.json*")


def read_version(root: Path = ROOT) -> str:
    """The version of the package, which is that of the notebooks."""
    return VERSION.search((root / "src/earlystop/__init__.py").read_text(encoding="utf8"))[1]


def source_version(root: Path = ROOT) -> str:
    """The version that the package should have: the numbers that people chose, and a hash of all that it installs."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))
    built = [project["build-system"], project["project"], project["tool"].get("setuptools")]
    digest = hashlib.sha256(json.dumps(built, sort_keys=True).encode())
    for path in sorted(path for pattern in PACKAGE for path in root.glob(pattern)):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        if path.name == "__init__.py":
            content = VERSION.sub("", content.decode("utf8")).encode()
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + content + b"\0")
    return f"{read_version(root).partition('+')[0]}+h{digest.hexdigest()[:8]}"


def write_version(root: Path = ROOT) -> bool:
    """Write the version that the package should have into it; whether it was another one, or two in a merge."""
    path = root / "src/earlystop/__init__.py"
    found = path.read_text(encoding="utf8")
    text = MERGED.sub(r"\1", found)
    if text != found:
        path.write_text(text, encoding="utf8")
    text = VERSION.sub(f'__version__ = "{source_version(root)}"', text)
    if text != found:
        path.write_text(text, encoding="utf8")
    return text != found


# ------------------------------------------------------------------ the address of the repository

PUBLIC = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht")
ADDRESS = re.compile(
    r"(?:git\+)?(?:(?P<scheme>https?|ssh|git)://)?(?:[^@/\s]*@)?"  # how, and who
    r"(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::(?P<port>\d+)(?=/))?[:/]+(?P<path>\S+)",
    re.IGNORECASE,
)


def repository(root: Path = ROOT) -> str:
    """The web address of the repository that ``_config.yml`` names in any form; '' if it names none.

    Without user, password and suffix, as ``https://host/owner/name``. Raises `PairError` for what is no address.
    """
    try:
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8")) or {}
    except yaml.YAMLError as problem:
        raise PairError(f"_config.yml cannot be read: {' '.join(str(problem).split())}") from None
    found = config.get("repository") or {}
    url = found.get("url") if isinstance(found, dict) else found
    if url is None or url == "" or (isinstance(url, str) and not url.strip()):
        return ""
    match = ADDRESS.fullmatch(url.strip()) if isinstance(url, str) and isinstance(found, dict) else None
    if match and (match["scheme"] or "." in match["host"]):
        host, scheme = match["host"].lower().removeprefix("www."), (match["scheme"] or "").lower()
        parts = [part for part in re.split("[?#]", match["path"])[0].split("/") if part]
        ends = [
            at for at, part in enumerate(parts) if at >= 2 and part in ("-", "tree", "blob", "src", "commits", "wiki")
        ]
        parts = parts[: 2 if host in PUBLIC and host != "gitlab.com" else min(ends, default=len(parts))]
        parts[-1:] = [part.removesuffix(".git") for part in parts[-1:]]
        if len(parts) >= 2 and all(re.fullmatch(r"~?[\w.-]*\w[\w.-]*", part) for part in parts):
            port = f":{match['port']}" if match["port"] and scheme in ("http", "https") else ""
            return f"{'http' if scheme == 'http' and host not in PUBLIC else 'https'}://{host}{port}/{'/'.join(parts)}"
    raise PairError(
        f"_config.yml: repository.url {url!r} is no address of a repository: "
        "write it as https://github.com/OWNER/NAME, or leave it empty"
    )


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


def seal(text: str) -> str:
    """Put the digest of a notebook's text into it, in the place that its metadata keep for it."""
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
    kept = next(name for name in names if not os.path.lexists(name))
    path.rename(kept)
    return kept


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
        line += (
            f"; what was there had been changed, and is now {os.path.relpath(keep_aside(path, aside or path.parent))}"
        )
    os.replace(part, path)
    return line


def all_pairs(root: Path = ROOT, package: str | None = None, folder: Path | None = None) -> dict[Path, str]:
    """Every notebook's path and text."""
    book, folder = Book(root, package), folder or root / "notebooks"
    return {folder / f"{page}.ipynb": seal(nbformat.writes(book.notebook(page)) + "\n") for page in chapters(root)}


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
