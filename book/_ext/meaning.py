"""What a notebook's outputs depend on beside its cells: the code in `src/` that it uses, and the files that this reads.

Code is compared by its syntax, so that comments, docstrings and layout change nothing.  A notebook uses the modules
that it imports or names, as in ``load("fig1")``, and what these import in turn; and all modules of a package that
imports them by itself, where it is the package that is imported and not one of its modules.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

SWITCHES = {"EARLYSTOP_SCALE": "quick", "EARLYSTOP_DEVICE": "", "EARLYSTOP_PRECISION": ""}
FREE = {".py", ".pyc"}  # compared by meaning, or made from it
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
WALKS = {"iter_modules", "walk_packages"}
OBJECT = re.compile(r"earlystop(\.\w+)+:\w+")  # as pkgutil.resolve_name takes it


def key(sources: list[str], root: Path) -> str:
    """A hash of everything outside a notebook with these cells that can change what they show."""
    digest = hashlib.sha256(str([os.environ.get(name) or usual for name, usual in SWITCHES.items()]).encode())
    package = root / "src" / "earlystop"
    data = [path for path in package.rglob("*") if path.is_file() and path.suffix not in FREE]
    data += [path for path in (root / "book" / "results").glob("*.json*")]
    data += [path for path in [root / "book" / "_static" / "lab" / "settings.json"] if path.is_file()]
    for path in sorted([*data, root / "requirements.txt", *used(sources, package)]):
        if path.name != "minutes.json":  # how long chapters take
            digest.update(f"{path.relative_to(root).as_posix()} {of_file(path, path.stat().st_mtime_ns)} ".encode())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1000)
def of_file(path: Path, changed: int) -> str:
    """A hash of what a file means."""
    content = path.read_bytes()
    return hashlib.sha256(ast.dump(tree(path, changed)).encode() if path.suffix == ".py" else content).hexdigest()


@lru_cache(maxsize=1000)
def tree(path: Path, changed: int) -> ast.Module:
    """The syntax of a module, without docstrings and without its version, which follows all of the package."""
    found = ast.parse(re.sub(rb"(?m)^__version__ = .*$", b"", path.read_bytes()), str(path))
    for node in ast.walk(found):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]
    return found


def imported(code: ast.Module, package: list[str]) -> set[str]:
    """What code imports, absolutely; `package` is that of its module.  Also `a.b.name` of ``from a.b import name``,
    `a.name` of an attribute, which may be a module of the package `a`, and what a text "earlystop.b:name" names."""
    names, nodes = set(), [*ast.walk(code)]
    short = {one.asname: one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.add(f"{short.get(node.value.id, node.value.id)}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and OBJECT.fullmatch(node.value):
            names.add(node.value.replace(":", "."))
    return names


def modules(names: set[str], src: Path) -> set[Path]:
    """The files of modules in `src`, by their names or by the names of what is in them."""
    found = set()
    for name in names:
        parts = name.split(".")
        places = [src.joinpath(*some) for some in (parts, parts[:-1]) if some]
        files = [path for place in places for path in (place / "__init__.py", place.with_suffix(".py"))]
        found |= set([path for path in files if path.is_file()][:1])
    return found


def used(sources: list[str], package: Path) -> set[Path]:
    """The modules that cells use, directly or not, and the packages that these are in."""
    src, found, left = package.parent, set(), set()
    with suppress(SyntaxError):  # the execution of the cell will say so
        code = ast.parse(TransformerManager().transform_cell("\n".join(sources)))
        texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
        left = modules(imported(code, []), src) | {path for path in package.rglob("*.py") if path.stem in texts}
    while left:
        path = left.pop()
        found.add(path)
        left |= needed(path, src) - found
    return found | {one for path in found for one in packages(path, src)}


def packages(path: Path, src: Path) -> list[Path]:
    """The packages that a module is in."""
    inside = [parent / "__init__.py" for parent in path.parents if src in parent.parents]
    return [one for one in inside if one.is_file()]


def needed(path: Path, src: Path) -> set[Path]:
    """The modules that one imports, and its packages by name."""
    names = set()
    for one in {path, *packages(path, src)}:
        names |= imported(tree(one, one.stat().st_mtime_ns), list(one.parent.relative_to(src).parts))
    walks = path.name == "__init__.py" and WALKS & {name.rpartition(".")[2] for name in names}
    return modules(names, src) | (set(path.parent.rglob("*.py")) if walks else set())
