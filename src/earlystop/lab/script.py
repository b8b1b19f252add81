"""The laboratory as one script: its modules in order, without their imports."""

import json
import re
from collections.abc import Sequence

from earlystop.lab.state import SCRIPTS, SETTINGS

IMPORT = re.compile(r'^import [^;]*?from "\./([\w-]+)\.js";\n', re.M)
OTHERS = re.compile(r"^import [^;]*;\n", re.M)


def order(name: str, before: Sequence[str] = ()) -> list[str]:
    """The modules that one needs, itself last. `ValueError` for imports in a circle."""
    if name in before:
        raise ValueError(f"modules of the laboratory import each other in a circle: {' -> '.join([*before, name])}")
    found: list[str] = []
    for needed in IMPORT.findall(_text(name)):
        found += [one for one in order(needed, [*before, name]) if one not in found]
    return [*found, name]


def _text(name: str) -> str:
    return (SCRIPTS / f"{name}.js").read_text(encoding="utf8")


def body(main: str = "start") -> str:
    """The code of all modules that `main` needs, with the settings."""
    texts = [OTHERS.sub("", IMPORT.sub("", _text(name))).strip() for name in order(main)]
    settings = f"const SETTINGS = {json.dumps(SETTINGS, ensure_ascii=False, separators=(',', ':'))};"
    return "\n\n".join([settings, *(re.sub(r"^export ", "", text, flags=re.M) for text in texts)])


def classic() -> str:
    """One script for a page, which also works from a file and as a worker."""
    return f'(() => {{\n"use strict";\n{body()}\n}})();\n'


def module() -> str:
    """One module for a notebook, whose default export is what a widget asks for."""
    return f"{body()}\n\nexport default {{ render }};\n"


def styles() -> str:
    """The styles of all figures, the common ones first."""
    first, *others = [SCRIPTS / "lab.css", *(path for path in sorted(SCRIPTS.glob("*.css")) if path.name != "lab.css")]
    return "\n".join(path.read_text(encoding="utf8") for path in [first, *others])
