"""What a course needs explained next: one page from nbgrader's database and the notebooks that it has graded.

    python dashboard.py [FOLDER] [--names] [--out FILE]

FOLDER is nbgrader's, with gradebook.db (default: the one where this file lies). The page needs no network and no
script, and names no student, unless --names asks who waits for points. Answers are shown without comments, as Python
writes them, if at least two students gave the same.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook

PART = re.compile(r"-(answer(-\d+)?|check-\d+|written)$")
TITLE = re.compile(r"### (.+?): (.+)")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\x1b\[[0-9;]*[A-Za-z]")
STUB = "raise NotImplementedError()"  # as nbgrader leaves it where nothing was written
MOST_TEXT = 1500  # characters of an answer
MOST_HINT = 300
SHOWN = 5  # answers of an exercise, checks of an assignment


class DashboardError(Exception):
    """There is nothing to show."""


# ------------------------------------------------------------------- reading what was graded


@dataclass
class Check:
    """One check, and what it said to those who failed it."""

    title: str
    hidden: bool
    passed: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of all answers that are not blank, those that it refuses."""
        return len(self.said) / max(1, len(self.said) + self.passed)


@dataclass
class Exercise:
    """What all students did with one exercise."""

    title: str
    most: float = 0.0  # points by checks
    scores: list[float] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)
    blank: int = 0
    most_words: float = 0.0
    words: list[float] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)  # students

    @property
    def mean(self) -> float:
        """The points by checks that students have on average."""
        return sum(self.scores) / max(1, len(self.scores))


@dataclass
class Wrong:
    """An answer that some check refuses."""

    same: str  # equal for answers that do the same by the same code
    shown: str
    failed: tuple[str, ...]  # titles of the checks, and what the first of them said
    said: str


@dataclass
class Assignment:
    """One notebook of one assignment."""

    title: str
    exercises: dict[str, Exercise] = field(default_factory=dict)
    graded: int = 0
    failed: list[str] = field(default_factory=list)  # students whose notebook was handed in and not graded


def read(folder: Path) -> list[Assignment]:
    """Everything that was graded in a course; raises `DashboardError` if nothing was."""
    if not (folder / "gradebook.db").is_file():
        raise DashboardError(f"{folder} has no gradebook.db: name nbgrader's folder, after nbgrader autograde")
    found = []
    with Gradebook(f"sqlite:///{folder.resolve() / 'gradebook.db'}") as gradebook:
        for assignment in gradebook.assignments:
            for notebook in assignment.notebooks:
                one = read_notebook(folder, assignment.name, notebook)
                found += [one] * bool(one.graded or one.failed)
    if not found:
        raise DashboardError(f"nothing was graded in {folder}: run nbgrader autograde first")
    return found


def read_notebook(folder: Path, assignment: str, notebook) -> Assignment:
    """What all students did with one notebook; of a notebook that could not be graded, the student."""
    found = Assignment(notebook.name if assignment == notebook.name else f"{assignment}: {notebook.name}")
    handed_in = {path.parent.parent.name for path in folder.glob(f"submitted/*/{assignment}/{notebook.name}.ipynb")}
    for submission in sorted(notebook.submissions, key=lambda one: one.student.id):
        path = folder / "autograded" / submission.student.id / assignment / f"{notebook.name}.ipynb"
        try:
            cells = nbformat.read(path, as_version=4).cells
        except Exception:  # not there, or half of it
            continue
        handed_in.discard(submission.student.id)
        found.graded += 1
        add(found, submission, cells)
    found.failed = sorted(handed_in)
    return found


def add(found: Assignment, submission, cells: list) -> None:
    """Add one student's notebook to what is known of all."""
    named = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in cells}
    titles = dict(match.groups() for cell in cells if (match := TITLE.match(cell.source)))
    grades = {grade.name: grade for grade in submission.grades}
    exercises: dict[str, list[str]] = {}
    for name in filter(None, named):
        exercises.setdefault(PART.sub("", name), []).append(name)
    for label, names in exercises.items():
        graded = [name for name in names if name in grades]
        if graded:
            head = next((named[one].source.split(",")[0][2:] for one in graded if "-check-" in one), label)
            one = found.exercises.setdefault(label, Exercise(f"{head}: {titles[head]}" if head in titles else head))
            add_code(one, [grades[name] for name in graded if named[name].cell_type == "code"], named, names)
            add_words(one, [grades[name] for name in graded if named[name].cell_type != "code"], submission.student.id)


def add_words(one: Exercise, grades: list, student: str) -> None:
    """Add the points for an answer in words, or that it waits for them."""
    one.most_words = sum(grade.max_score for grade in grades)
    if any(grade.needs_manual_grade for grade in grades):
        one.waiting.append(student)
    elif grades:
        one.words.append(sum(grade.score for grade in grades))


def add_code(one: Exercise, grades: list, named: dict, names: list[str]) -> None:
    """Add the points by checks, what the checks said, and the answer if it was wrong."""
    if not grades:
        return
    one.most = sum(grade.max_score for grade in grades)
    one.scores.append(sum(grade.score for grade in grades))
    answers = [named[name] for name in names if named[name].metadata.nbgrader.get("solution")]
    code = "\n".join(cell.source for cell in answers if cell.cell_type == "code")
    blank, failed = STUB in code, []
    one.blank += blank
    for grade in grades:
        source = named[grade.name].source
        check = one.checks.setdefault(grade.name, Check(title(source), "HIDDEN TESTS" in source))
        said = hint(named[grade.name])
        if said is None:
            check.passed += 1
        elif not (blank and said.startswith(("NotImplementedError", "NameError"))):
            check.said.append(said)
            failed.append((check.title, said))
    if failed and code and not blank:
        same, shown = canonical(code)
        one.wrong.append(Wrong(same, shown, tuple(name for name, _ in failed), failed[0][1]))


def title(source: str) -> str:
    """What a check is called in its first line, without its exercise and its points."""
    first = source.partition("\n")[0]
    match = re.search(r"check \d+", first)
    return match[0] if match else first[:40]


def hint(cell) -> str | None:
    """What a check failed with, or nothing."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            text = output.evalue if output.ename == "AssertionError" else f"{output.ename}: {output.evalue}"
            return plain(text or output.ename, MOST_HINT)
    return None


def plain(text: str, most: int) -> str:
    """Text without what a page cannot show, and not too long."""
    text = CONTROL.sub("", str(text)).encode("utf8", "replace").decode()
    return text if len(text) <= most else text[:most] + " ..."


# ------------------------------------------------------------------- which answers are the same


def canonical(code: str) -> tuple[str, str]:
    """Code by which equal answers are known, whatever their variables' names; and as it is shown, without comments."""
    try:
        tree = ast.parse(code)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                node.body = node.body[1:] or [ast.Pass()]
        shown = ast.unparse(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                rename(node)
        return ast.dump(tree), plain(shown, MOST_TEXT)
    except SyntaxError as problem:
        text = f"(no Python: {problem.msg})"
    except Exception as problem:  # deeper than Python can read, and the like
        text = f"(no Python: {type(problem).__name__})"
    return text, text


def rename(function: ast.FunctionDef) -> None:
    """Number the names that a function binds."""
    names: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            names.setdefault(node.arg, f"v{len(names)}")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, f"v{len(names)}")
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)


# ------------------------------------------------------------------- the page

STYLE = """
:root { color-scheme: light dark; --text: #1d2125; --back: #fff; --soft: #f1f3f5; --line: #c9ced3; --muted: #57606a;
  --bar: #0072b2; --wrong: #b3541e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ec; --back: #16191c; --soft: #22272c; --line: #3d454d;
  --muted: #a9b2bd; --bar: #56b4e9; --wrong: #f0a878; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--back); }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 3rem; border-bottom: 2px solid var(--line); }
h3 { margin: 2rem 0 .5rem; }
p, ul { margin: .4rem 0; }
a { color: var(--bar); }
.muted { color: var(--muted); }
.rows { display: grid; grid-template-columns: minmax(4.5rem, max-content) minmax(0, 1fr); gap: .2rem .8rem; }
@media (max-width: 40rem) { .wide { display: block; } .wide > :not(.bar, .said) { margin-top: .6rem; } }
.bar { display: flex; align-items: center; gap: .5rem; min-width: 0; }
.bar i { flex: none; height: .9rem; background: var(--bar); }
.bar.wrong i { background: var(--wrong); }
.said { grid-column: 2; color: var(--muted); overflow-wrap: anywhere; }
pre { margin: .4rem 0; padding: .6rem; overflow-x: auto; background: var(--soft); border: 1px solid var(--line);
  font: .875rem/1.4 ui-monospace, monospace; }
.answer { margin: .8rem 0; overflow-wrap: anywhere; }
"""
WIDE = '<div class="rows wide">'  # on a phone below each other
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(found: list[Assignment], names: bool = False, when: datetime | None = None) -> str:
    """The whole page as HTML."""
    links = "".join(f'<li><a href="#a{at}">{escape(one.title)}</a></li>' for at, one in enumerate(found))
    parts = [section(at, one, names) for at, one in enumerate(found)]
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Course dashboard</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<style>{STYLE}</style>\n'
        f"<h1>Course dashboard</h1>\n<p class=muted>Made {when or datetime.now():%Y-%m-%d %H:%M}, for instructors: "
        f"it shows hidden checks and answers.</p>\n<ul>{links}</ul>\n" + "\n".join(parts) + "\n</html>\n"
    )


def section(at: int, one: Assignment, names: bool) -> str:
    """One assignment."""
    scored = [each for each in one.exercises.values() if each.scores]
    waiting = {name: each.waiting for name, each in one.exercises.items() if each.waiting}
    lines = [f'<h2 id="a{at}">{escape(one.title)}</h2>', f"<p>{counted(one.graded, 'notebook')} graded.</p>"]
    if one.failed:
        lines.append(f"<p><b>{counted(len(one.failed), 'notebook')} not graded</b>{listed(one.failed, names)}: ")
        lines.append("nbgrader autograde says why.</p>")
    if waiting:
        total, items = sum(map(len, waiting.values())), ""
        for name, who in waiting.items():
            items += f"<li>{escape(one.exercises[name].title)}: {len(who)}{listed(who, names)}</li>"
        lines.append(f"<p><b>{counted(total, 'answer')} in words</b> waiting for points:</p><ul>{items}</ul>")
    rows = "".join(bar(each.title, each.mean, each.most, f"{each.mean:.1f} of {each.most:g}") for each in scored)
    lines += [f"<h3>Points by checks, on average</h3>{WIDE}{rows}</div>"] * bool(scored)
    worst = [(check, each) for each in one.exercises.values() for check in each.checks.values() if check.said]
    worst = sorted(worst, key=lambda pair: -pair[0].share)[:SHOWN]
    if worst:
        rows = "".join(check_rows(check, f"{each.title.partition(':')[0]}, {check.title}") for check, each in worst)
        lines.append(f"<h3>Checks that fail most</h3>{WIDE}{rows}</div>")
    return "\n".join([*lines, *map(exercise, one.exercises.values())])


def counted(number: int, what: str) -> str:
    """A number of things, in words."""
    return f"{number} {what}{'s' * (number != 1)}"


def listed(students: list[str], names: bool) -> str:
    """Who they are, if that is asked for."""
    return escape(f" ({', '.join(plain(one, 80) for one in students)})") if names else ""


def exercise(one: Exercise) -> str:
    """One exercise: points, checks, wrong answers that recur."""
    lines = [f"<h3>{escape(one.title)}</h3>"]
    if one.scores:
        count, total = Counter(one.scores), len(one.scores)
        values = sorted({*count, *map(float, range(int(one.most) + 1))})
        rows = "".join(bar(f"{value:g} of {one.most:g}", count[value], total, str(count[value])) for value in values)
        lines += [f"<p>Students by their points for checks:</p><div class=rows>{rows}</div>"]
    if one.most_words:
        mean = f"{sum(one.words) / len(one.words):.1f} on average" if one.words else "none given yet"
        waiting = f"; {len(one.waiting)} waiting" * bool(one.waiting)
        lines.append(f"<p>For words, of {one.most_words:g}: {mean}{waiting}.</p>")
    rows = "".join(check_rows(check) for check in one.checks.values() if check.said)
    lines += [f"<p>Checks that failed:</p>{WIDE}{rows}</div>"] * bool(rows)
    return "\n".join([*lines, *wrong_answers(one)])


def bar(name: str, value: float, total: float, text: str, kind: str = "") -> str:
    """A row with a bar and its number."""
    size = f"{min(70.0, 70 * value / (total or 1)):.1f}%"
    return f'<div>{escape(name)}</div><div class="bar {kind}"><i style="width: {size}"></i>{text}</div>'


def check_rows(check: Check, name: str = "") -> str:
    """How often a check failed, and what it said most often."""
    failed, name = len(check.said), (name or check.title) + " (hidden)" * check.hidden
    row = bar(name, failed, failed + check.passed, f"{failed} of {failed + check.passed}", "wrong")
    said = Counter(check.said).most_common(2)
    return row + "".join(f"<div class=said>{escape(text)} <b>×&nbsp;{count}</b></div>" for text, count in said)


def wrong_answers(one: Exercise) -> list[str]:
    """The wrong answers that several students gave, most frequent first, and how many others there are."""
    groups: dict[str, list[Wrong]] = {}
    for wrong in one.wrong:
        groups.setdefault(wrong.same, []).append(wrong)
    often = sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)[:SHOWN]
    rest = len(one.wrong) - sum(map(len, often))
    lines = [f"<p>Left blank, wholly or in part: {one.blank}.</p>"] * bool(one.blank)
    lines += ["<p>Wrong answers that recur:</p>"] * bool(often)
    for group in often:
        first, failed = group[0], ", ".join(dict.fromkeys(name for wrong in group for name in wrong.failed))
        said = Counter(wrong.said for wrong in group).most_common(1)[0][0]
        lines.append(f"<div class=answer><b>{len(group)} times</b>, fails {escape(failed)}: {escape(said)}")
        lines.append(f"<pre>{escape(first.shown)}</pre></div>")
    return lines + [f"<p class=muted>Other wrong answers: {rest}.</p>"] * bool(rest)


def main(arguments: list[str]) -> int:
    """Write the page; return 1 with one line on stderr if there is nothing to show."""
    parser = argparse.ArgumentParser(prog="dashboard.py", description="One page from what nbgrader has graded.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="nbgrader's folder")
    parser.add_argument("--names", action="store_true", help="name the students who wait for points")
    parser.add_argument("--out", type=Path, help="the page (default: dashboard.html in that folder)")
    options = parser.parse_args(arguments)
    out = options.out or options.folder / "dashboard.html"
    try:
        text = page(read(options.folder), options.names)
    except DashboardError as problem:
        print(problem, file=sys.stderr)
        return 1
    out.write_text(text, encoding="utf8")
    print(f"wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
