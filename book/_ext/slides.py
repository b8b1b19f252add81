"""Write every chapter as slides into ``_build/slides``, from the notebooks that the last build executed.

A heading begins a slide, ``###`` and every figure one below it; a section that fills a slide is
continued below.  Exercises are left out.  The tags ``slide``, ``subslide`` and ``skip-slide`` on a code
cell decide otherwise.  reveal.js and MathJax are copied from installed packages.
"""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import nbformat
from earlystop_book import copy_mathjax
from nbconvert import SlidesExporter
from nbformat.v4 import new_markdown_cell
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 14  # of text and code before a section is continued on another slide


def pieces(cells) -> list:
    """The cells, with text split into paragraphs, up to the exercises and without the first cell, which installs."""
    found = []
    for cell in cells[1:]:
        if cell.cell_type != "markdown":
            found.append(cell)
            continue
        for part in re.split(r"\n{2,}(?!>)", cell.source):
            if part.strip() == "## Exercises":
                return found
            found.append(new_markdown_cell(part))
    return found


def weight(cell) -> float:
    """About how many lines of a slide a cell fills."""
    if cell.cell_type == "markdown":
        return 1 + sum(1 + len(line) // 100 for line in cell.source.splitlines())
    hidden = {"remove-input", "hide-input"} & set(cell.metadata.get("tags", []))
    lines = 0 if hidden else len(cell.source.splitlines())
    return lines + sum(
        12 if "image/png" in output.get("data", {}) or "image/svg+xml" in output.get("data", {}) else 3
        for output in cell.outputs
    )


def to_slides(notebook):
    """Give every cell its place: a slide, a slide below it, or on the same one."""
    notebook.cells, filled = pieces(notebook.cells), 0.0
    for cell in notebook.cells:
        tags, heading = (
            cell.metadata.get("tags", []),
            re.match(r"#{1,3} ", cell.source) if cell.cell_type == "markdown" else None,
        )
        caption = cell.cell_type == "markdown" and cell.source.startswith("*Figure")
        kind = "-"
        if heading:
            kind = "subslide" if heading[0] == "### " else "slide"
        elif filled + weight(cell) > MOST_LINES and filled > 2 and not caption:
            kind = "subslide"
        kind = next((tag for tag in ("slide", "subslide") if tag in tags), kind)
        kind = "skip" if {"skip-slide", "remove-cell"} & set(tags) else kind
        filled = weight(cell) + (filled if kind == "-" else 0) if kind != "skip" else filled
        cell.metadata["slideshow"] = {"slide_type": kind}
    return notebook


def write(source: Path, out: Path) -> list[Path]:
    """Write the slides of all executed notebooks in `source`; raise `SystemExit` if there are none."""
    notebooks = sorted(source.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise SystemExit(f"there are no executed notebooks in {source}: run make book first")
    out.mkdir(parents=True, exist_ok=True)
    reveal = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs" / "dist"
    for name in ("reveal.js", "reveal.css", "theme/white.css"):  # other themes load fonts from elsewhere
        (out / "reveal" / "dist" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(reveal / name, out / "reveal" / "dist" / name)
    shutil.copytree(reveal / "theme" / "fonts", out / "reveal" / "dist" / "theme" / "fonts", dirs_exist_ok=True)
    copy_mathjax(out)
    config = Config()
    config.SlidesExporter.reveal_url_prefix = "reveal"
    config.SlidesExporter.reveal_theme = "white"
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = {"remove-input", "hide-input"}
    exporter = SlidesExporter(
        config=config, extra_template_basedirs=[str(Path(__file__).parent)], template_name="slides"
    )
    written = []
    for path in notebooks:
        notebook = to_slides(nbformat.read(path, as_version=4))
        html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
        written.append(out / f"{path.stem}.html")
        written[-1].write_text(html, encoding="utf8")
        print("wrote", written[-1])
    return written


if __name__ == "__main__":
    write(ROOT / "_build/html/_sources/book", ROOT / "_build/slides")
