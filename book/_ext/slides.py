"""Write every chapter as slides into ``_build/slides``, from the notebooks that the last build executed.

A heading begins a slide, ``###`` and every figure one below it; a section that fills a slide is continued below.
Exercises are left out.  The tags ``slide``, ``subslide`` and ``skip-slide`` on a code cell decide otherwise.
reveal.js and MathJax are copied from installed packages.
"""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat.v4 import new_markdown_cell
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 14  # of text and code before a section is continued on another slide
MATHJAX = ["output/chtml/fonts/woff-v2", "input/tex/extensions"]
FOLDED = {"remove-input", "hide-input"}


def pieces(cells) -> list:
    """The cells, with text split into paragraphs, up to the exercises and without the first cell, which installs."""
    found = []
    for cell in cells[1:]:
        words = cell.cell_type == "markdown"
        found += map(new_markdown_cell, re.split(r"\n{2,}(?!>)", cell.source)) if words else [cell]
    ends = [at for at, cell in enumerate(found) if cell.source.strip() == "## Exercises"]
    return found[: min(ends, default=len(found))]


def weight(cell, tags: set[str]) -> int:
    """About how many lines of a slide a cell fills."""
    lines = cell.source.splitlines()
    if cell.cell_type == "markdown":
        return 1 + sum(1 + len(line) // 100 for line in lines)
    pictures = [{"image/png", "image/svg+xml"} & set(output.get("data", {})) for output in cell.outputs]
    return len(lines) * (not FOLDED & tags) + sum(12 if picture else 3 for picture in pictures)


def place(cell, tags: set[str], full: bool) -> str:
    """Where a cell stands: on a new slide, on one below the last, or on the same one."""
    heading = re.match(r"#{1,3} ", cell.source) if cell.cell_type == "markdown" else None
    if {"skip-slide", "remove-cell"} & tags:
        return "skip"
    if {"slide", "subslide"} & tags:
        return "slide" if "slide" in tags else "subslide"
    if heading:
        return "subslide" if heading[0] == "### " else "slide"
    return "subslide" if full and not cell.source.startswith("*Figure") else "-"


def to_slides(notebook):
    """Give every cell its place."""
    notebook.cells, filled = pieces(notebook.cells), 0
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        lines = weight(cell, tags)
        kind = place(cell, tags, filled > 2 and filled + lines > MOST_LINES)
        if kind != "skip":
            filled = lines + (filled if kind == "-" else 0)
        cell.metadata["slideshow"] = {"slide_type": kind}
    return notebook


def copy_reveal(out: Path) -> None:
    """Copy the part of reveal.js that the slides load."""
    reveal = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs" / "dist"
    shutil.copytree(reveal / "theme" / "fonts", out / "theme" / "fonts", dirs_exist_ok=True)
    for name in ("reveal.js", "reveal.css", "theme/white.css"):  # other themes load fonts from elsewhere
        shutil.copy(reveal / name, out / name)


def copy_mathjax(folder: Path) -> None:
    """Copy the part of MathJax that the slides load."""
    package = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for name in MATHJAX:
        shutil.copytree(package / name, folder / "mathjax" / name, dirs_exist_ok=True)
    shutil.copy(package / "tex-chtml.js", folder / "mathjax")


def exporter() -> SlidesExporter:
    """What writes a notebook as slides, by the template beside this file."""
    config = Config()
    config.SlidesExporter.reveal_url_prefix = "reveal"
    config.SlidesExporter.reveal_theme = "white"
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = FOLDED
    return SlidesExporter(config=config, extra_template_basedirs=[str(Path(__file__).parent)], template_name="slides")


def write(source: Path, out: Path) -> list[Path]:
    """Write the slides of all executed notebooks in `source`; raise `SystemExit` if there are none."""
    notebooks = sorted(source.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise SystemExit(f"there are no executed notebooks in {source}: run make book first")
    copy_reveal(out / "reveal" / "dist")
    copy_mathjax(out)
    for path in notebooks:
        notebook = to_slides(nbformat.read(path, as_version=4))
        html, _ = exporter().from_notebook_node(notebook, {"metadata": {"name": path.stem}})
        (out / f"{path.stem}.html").write_text(html, encoding="utf8")
        print("wrote", out / f"{path.stem}.html")
    return [out / f"{path.stem}.html" for path in notebooks]


if __name__ == "__main__":
    write(ROOT / "_build/html/_sources/book", ROOT / "_build/slides")
