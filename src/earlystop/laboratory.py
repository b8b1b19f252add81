"""The settings of the laboratory, and its figures as one script: the modules that they need, without their imports."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED, BOOK = HERE / "lab" / "static", HERE.parents[1] / "book" / "_static" / "lab"
SCRIPTS = INSTALLED if INSTALLED.is_dir() else BOOK  # the scripts of the laboratory, in the package or in the book
SETTINGS = json.loads((SCRIPTS / "settings.json").read_text(encoding="utf8"))
FIGURES = tuple(SETTINGS["figures"])
IMPORT = re.compile(r'^import [^;]*?from "\./([\w-]+)\.js";\n', re.M)
OTHERS = re.compile(r"^import [^;]*;\n", re.M)
COMMENT = re.compile(r"//|/\*\*.*\*/$")  # of a line


def order(*names: str) -> list[str]:
    """These modules in front of each other, and in front of each all that it needs. `ValueError` for a circle."""
    return list(dict.fromkeys(one for name in names for one in _needed(name, [])))


def _needed(name: str, before: list[str]) -> list[str]:
    if name in before:
        raise ValueError(f"modules of the laboratory import each other in a circle: {' -> '.join([*before, name])}")
    return [*(one for needed in IMPORT.findall(_text(name)) for one in _needed(needed, [*before, name])), name]


def _text(name: str) -> str:
    return (SCRIPTS / f"{name}.js").read_text(encoding="utf8")


def body(*names: str) -> str:
    """The code of these modules and of all that they need, with the settings, without comments and indentation."""
    texts = [OTHERS.sub("", IMPORT.sub("", _text(name))) for name in order(*names)]
    settings = f"const SETTINGS = {json.dumps(SETTINGS, ensure_ascii=False, separators=(',', ':'))};"
    lines = (line.strip().removeprefix("export ") for text in texts for line in text.splitlines())
    return "\n".join([settings, *(line for line in lines if line and not COMMENT.match(line))])


def classic(figures: Sequence[str] = FIGURES) -> str:
    """One script for a page with these figures, which also works from a file and as a worker."""
    return f'(() => {{\n"use strict";\n{body(*figures, "start")}\n}})();\n'


def module() -> str:
    """One module for a notebook, whose default export is what a widget asks for."""
    return f"{body(*FIGURES, 'start')}\nexport default {{ render }};\n"


def styles() -> str:
    """The styles of all figures, the common ones first."""
    first, *others = [SCRIPTS / "lab.css", *(path for path in sorted(SCRIPTS.glob("*.css")) if path.name != "lab.css")]
    return "\n".join(path.read_text(encoding="utf8") for path in [first, *others])
