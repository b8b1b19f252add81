"""In a student's notebook: a check that fails does not stop "Run all", and a last cell sums up.

Cells are known by their first line, as the course kit writes it. Where `EARLYSTOP_CHECKS` is "raise", as in graders,
checks raise their errors.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import traceback
from typing import Any

CHECK = re.compile(r"# (.+, check \d+): \d+ points?(?:\n|$)")
ANSWER = "# answer: "
CAUGHT = """
try:
    pass
except Exception as problem_of_this_check:
    __import__("earlystop.checks", fromlist=["done"]).done(problem_of_this_check)
else:
    __import__("earlystop.checks", fromlist=["done"]).done(None)
"""
SHOW = '__import__("sys").displayhook'
BLANK = "the answer is still blank"


class Watch(ast.NodeTransformer):
    """Wraps the cells that may fail, and keeps what their checks said: '' where they passed."""

    def __init__(self) -> None:
        self.cell, self.blank = "", False
        self.said: dict[str, str] = {}

    def begin(self, info: Any) -> None:
        """Before a cell runs: its source."""
        self.cell = info.raw_cell

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Catch the errors of checks and answers, and show the value of a last line as IPython does."""
        if not node.body or not (CHECK.match(self.cell) or self.cell.startswith(ANSWER)):
            return node
        if isinstance(node.body[-1], ast.Expr):
            node.body[-1].value = ast.Call(ast.parse(SHOW, mode="eval").body, [node.body[-1].value], [])
        (caught,) = ast.parse(CAUGHT).body
        assert isinstance(caught, ast.Try)
        caught.body = node.body
        node.body = [caught]
        return ast.fix_missing_locations(node)


_watch = Watch()


def start() -> None:
    """From now on a check that fails shows its hint and is remembered, and the next cells run."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or os.environ.get("EARLYSTOP_CHECKS") == "raise" or _watch in shell.ast_transformers:
        return
    shell.events.register("pre_run_cell", _watch.begin)
    shell.ast_transformers.append(_watch)


def done(problem: Exception | None) -> None:
    """Say and remember how the cell that runs has ended."""
    check, said = CHECK.match(_watch.cell), words(problem) if problem else ""
    if check:
        _watch.said[check[1]] = said
    else:
        _watch.blank = isinstance(problem, NotImplementedError)
    if problem:  # to stderr, which nbgrader's `validate` takes for a failure
        print(f"Not yet: {said}", *trace(problem)[bool(check) :], sep="\n", file=sys.stderr)
    elif check:
        print("Passed.")


def words(problem: Exception) -> str:
    """What a check says of an answer, in one line or a few."""
    if isinstance(problem, NotImplementedError) or (_watch.blank and isinstance(problem, NameError)):
        return BLANK
    hint = isinstance(problem, AssertionError) and str(problem)
    return hint or f"{type(problem).__name__}: {problem}"


def trace(problem: Exception) -> list[str]:
    """Where code failed, from the cell that ran; nothing where a check refused an answer."""
    own = problem.__cause__ or problem
    if isinstance(own, (AssertionError, NotImplementedError)):
        return []
    return [line.rstrip() for line in traceback.format_tb(own.__traceback__)]


def summary(points: dict[str, dict[int, int]], hidden: int = 0, for_words: int = 0) -> None:
    """Print which checks passed when they last ran, and the points; `points`: of each exercise, by its checks."""
    total = 0
    for exercise, checks in points.items():
        left = {at: _watch.said.get(f"{exercise}, check {at}", "not run yet") for at in checks}
        got = sum(one for at, one in checks.items() if not left[at])
        print(f"{exercise}: {got} of {sum(checks.values())} points")
        print("".join(f"    check {at}: {said}\n" for at, said in left.items() if said), end="")
        total += got
    print(f"Together: {total} of {sum(sum(checks.values()) for checks in points.values())} points.")
    print(f"Points that follow when your work is graded: {hidden} by hidden checks, {for_words} for words.")
