"""Write the course kit from the chapters' exercises: notebooks for students, graders, nbgrader and Gradescope.

    python book/_ext/course.py                     everything, into _build/course
    python book/_ext/course.py --chapters 01,03 --exercises ex-overfit-pair --seed 7 --out DIR

An exercise stays what it is in the book.  In its solution, the lines that students have to write stand between
``### BEGIN SOLUTION`` and ``### END SOLUTION``, and cells tagged ``check`` grade them; a check that is also tagged
``remove-cell`` is kept from readers and students.  A comment ``% 2 points: what they are for`` makes a rubric for a
written answer.  nbgrader makes the students' notebooks from the instructors'.  What ``unit.py`` makes goes along.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import gradescope
import jupytext
import nbformat
import pairs
import unit
import yaml
from docutils.nodes import make_id
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pairs import KERNEL, UNSEALED, Book, PairError, install_cell, package_address, seal, without_marks
from unit import Goal

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("derive", "predict", "implement", "experiment", "explain")
EXERCISE = re.compile(
    r"^```\{exercise-start\} *([^\n]*)\n(?::label: +(\S+)\n)?```\n(.*?)^```\{exercise-end\}\n```\n", re.M | re.S
)
SOLUTION = re.compile(
    r"^```\{solution-start\} *(\S+)\n(?::[^\n]*\n)*```\n(.*?)^```\{solution-end\}\n```\n", re.M | re.S
)
REGION = re.compile(r"^([ \t]*)### BEGIN SOLUTION[ \t]*\n.*?### END SOLUTION[ \t]*$", re.M | re.S)
SEED = re.compile(r"^SEED = \d+", re.M)
KIND = re.compile(r"^% (\w+), (\d+) minutes(?:, goals: (.+))?$", re.M)
READ = re.compile(r"^% read: (.+)$", re.M)
HEADING = re.compile(r"^#{2,3} (.+)$", re.M)
RUBRIC = re.compile(r"^% (\d+) points?: (.+)$", re.M)
NO_RUBRIC = re.compile(r"^% (?!\d+ points?: ).*$", re.M)
LEAST_CHECKS = 3
INTRODUCTION = """# {}: exercises

Write your answers in the cells that say `YOUR CODE HERE` or `YOUR ANSWER HERE`, below their first line.
The cells after them check your code and give a hint where it fails; some checks run only when your work is graded.
Add cells if you like, but do not delete, copy or merge those that are there. Numbers are those of the book."""


class CourseError(Exception):
    """The sources hold something that cannot be handed out, or graded."""


@dataclass
class Check:
    """A cell that grades an answer: all of its points, or none."""

    source: str
    hidden: bool
    points: int


@dataclass
class Exercise:
    """One exercise with its solution."""

    where: str  # that an error message names
    label: str
    number: str  # as in the book, "Exercise 1.2"
    title: str
    kind: str
    minutes: int
    goals: dict[str, Goal]
    read: list[str]  # sections of the chapter that it builds on, as links where the book's address is known
    question: str
    given: list[str]  # code in the exercise itself
    answers: list[str]  # cells that students fill in
    checks: list[Check]
    solution: str  # in words
    rubric: list[tuple[int, str]]

    @property
    def own_data(self) -> bool:
        """Whether the answer is a value that holds only for the student's own number `SEED`."""
        values = any(isinstance(node, ast.Assign) for answer in self.answers for node in ast.parse(answer).body)
        return values and any("SEED" in check.source for check in self.checks)

    @property
    def points(self) -> tuple[int, int]:
        """Points for code, and for words."""
        return sum(check.points for check in self.checks), sum(points for points, _ in self.rubric)


@dataclass
class Chapter:
    """The exercises of one chapter, and the code that they all start from."""

    name: str
    title: str
    setup: list[str]
    exercises: list[Exercise]


# ------------------------------------------------------------------ reading the chapters


def split(text: str, book: Book, where: str) -> tuple[list, str]:
    """The code cells of a piece of a chapter, and its words as plain Markdown."""
    cells = jupytext.reads(text, fmt="md:myst").cells
    words = [book.convert(cell.source, where) for cell in cells if cell.cell_type == "markdown"]
    return [cell for cell in cells if cell.cell_type == "code"], "\n\n".join(filter(None, words))


def read_chapter(book: Book, name: str) -> Chapter:
    """Collect the exercises of one chapter; raise `CourseError` if there are none."""
    where = f"book/{name}.md"
    whole = (book.root / where).read_text(encoding="utf8")
    text = whole.partition("\n## Exercises\n")[2]
    found = list(EXERCISE.finditer(text))
    if len(found) != len(re.findall(r"^[`:]{3,}\{exercise(?:-start)?\}", whole, re.M)):
        raise CourseError(
            f"{where}: an exercise stands below '## Exercises', between ```{{exercise-start}} and -end, with a label"
        )
    if not found:
        raise CourseError(f"{where}: the chapter has no exercises, write one or leave it out with --chapters")
    setup, _ = split(text[: found[0].start()], book, where)
    ends = [one.start() for one in found[1:]] + [len(text)]
    read = [read_exercise(book, where, one, text[one.end() : end]) for one, end in zip(found, ends)]
    return Chapter(name, book.pages[name], [cell.source for cell in setup], read)


def read_exercise(book: Book, where: str, asked: re.Match, below: str) -> Exercise:
    """An exercise and its solution, which stands below it."""
    title, label, text = asked.groups()
    solved, kind = SOLUTION.search(below), KIND.search(text)
    if not solved or solved[1] != label:
        raise CourseError(f"{where}: below the exercise {label} stands no solution of it")
    given, question = split(text, book, where)
    cells, words = split(solved[2], book, where)
    checks = [read_check(cell) for cell in cells if "check" in cell.metadata.get("tags", [])]
    answers = [cell.source for cell in cells if "### BEGIN SOLUTION" in cell.source]
    if odd := NO_RUBRIC.search(solved[2]):
        raise CourseError(f"{where}: {label}: {odd[0]!r} is no line of a rubric, as in '% 2 points: what they are for'")
    rubric = [(int(points), what) for points, what in RUBRIC.findall(solved[2])]
    asks = (kind[1], int(kind[2]), kind[3] or "") if kind else ("", 0, "")
    goals = unit.named_goals(book.root, asks[2], f"{where}: {label}")
    read = [section(book, where, heading) for heading in READ.findall(text)]
    head = (f"{where}: {label}", label, book.name_of(label, where), title, *asks[:2], goals, read)
    return Exercise(*head, question, [cell.source for cell in given], answers, checks, words, rubric)


def section(book: Book, where: str, heading: str) -> str:
    """A section of a chapter by its heading, with a link if `_config.yml` says where the book is."""
    headings = HEADING.findall((book.root / where).read_text(encoding="utf8"))
    if heading not in headings:
        raise CourseError(f"{where}: '% read: {heading}' is none of its headings: {'; '.join(headings)}")
    site = yaml.safe_load((book.root / "_config.yml").read_text(encoding="utf8")).get("html", {}).get("baseurl", "")
    words = book.convert(heading, where)
    return f"[{words}]({site.rstrip('/')}/{where[:-3]}.html#{make_id(heading)})" if site else f"*{words}*"


def read_check(cell) -> Check:
    """A cell that grades, with one point or those of its tag."""
    tags = cell.metadata["tags"]
    points = [int(tag.removeprefix("points-")) for tag in tags if re.fullmatch(r"points-\d+", tag)]
    return Check(cell.source, "remove-cell" in tags, *(points or [1]))


def choose(option: str, wanted: str | None, known: list[str]) -> list[str]:
    """Those of the book's names that an option has, or all; a chapter's number will do."""
    names = [part.strip() for part in wanted.split(",")] if wanted else known
    for name in names:
        if not any(name in (one, one.partition("_")[0]) for one in known):
            raise CourseError(f"{option}: there is no {name!r}, choose from {', '.join(known)}")
    return [one for one in known if one in names or one.partition("_")[0] in names]


def read_course(chapters: str | None = None, exercises: str | None = None, root: Path = ROOT) -> list[Chapter]:
    """The chapters of the book, or those named ("01,02"), with all exercises or some ("ex-half,ex-step").

    Numbers stay those of the book. Raises `CourseError` for a name that does not exist, and for one that exists twice.
    """
    book = Book(root)
    course = [read_chapter(book, name) for name in choose("--chapters", chapters, book.chapters)]
    every = [one for chapter in course for one in chapter.exercises]
    for label, count in Counter(one.label for one in every).items():
        if count > 1:
            places = {one.where for one in every if one.label == label}
            raise CourseError(
                f"{' and '.join(sorted(places))}: the exercise id {label} is used twice, give one another"
            )
    chosen = choose("--exercises", exercises, [one.label for one in every])
    for chapter in course:
        chapter.exercises = [one for one in chapter.exercises if one.label in chosen]
    return [chapter for chapter in course if chapter.exercises]


# -------------------------------------------------------- can it be handed out and graded?


def check_form(one: Exercise) -> None:
    """Raise `CourseError` if an exercise lacks what grading needs."""
    least = f"{len(one.checks)} checks, should be at least {LEAST_CHECKS}"
    for wrong, message in (
        (one.kind not in KINDS, f"say what it asks for, as in '% implement, 20 minutes' (one of {', '.join(KINDS)})"),
        (not one.checks and not one.rubric, "nothing is graded, add checks or a rubric ('% 2 points: ...')"),
        (not all(map(REGION.search, one.answers)), "### BEGIN SOLUTION has no ### END SOLUTION"),
        (one.checks and not one.answers, "it has checks and no ### BEGIN SOLUTION, so students have nowhere to answer"),
        (one.answers and len(one.checks) < LEAST_CHECKS, least),
    ):
        if wrong:
            raise CourseError(f"{one.where}: {message}")


def check_names(chapter: Chapter) -> None:
    """Raise `CourseError` if two answers define the same name: one could pass for the other."""
    owners = {}
    for one in chapter.exercises:
        for name in re.findall(r"^(?:def )?(\w+)(?:\(| = )", "\n".join(one.answers), re.M):
            if owners.setdefault(name, one) is not one:
                raise CourseError(f"{one.where}: it defines {name!r}, as {owners[name].label} does: rename one")


def failure(source: str, space: dict) -> str:
    """Run a cell in a namespace; what it fails with, in one line, or ''."""
    try:
        exec(compile(source, "cell", "exec"), space)
    except SyntaxError as problem:
        return f"no plain Python ({problem.msg}): {(problem.text or '').strip()}"
    except Exception as problem:
        return f"{type(problem).__name__}: {' '.join(str(problem).split())}"
    return ""


def judges(node: ast.AST) -> bool:
    """Whether a piece of a check can fail: an assertion, or a call of `answers.check` or `answers.equal`."""
    called = getattr(node, "func", None)
    return isinstance(node, ast.Assert) or (
        isinstance(called, ast.Attribute)
        and isinstance(called.value, ast.Name)
        and (called.value.id, called.attr) in {("answers", "check"), ("answers", "equal")}
    )


def has_hint(node: ast.Assert | ast.Call) -> bool:
    """Whether what can fail says what may be wrong."""
    return bool(node.msg) if isinstance(node, ast.Assert) else any(one.arg == "hint" for one in node.keywords)


def check_grades(chapter: Chapter, one: Exercise) -> None:
    """Run an exercise twice: its solution must pass every check, which give hints, and its stub none."""
    solved, blank = {"__name__": "__main__"}, {"__name__": "__main__"}
    for source in [*chapter.setup, *one.given, *one.answers]:
        if problem := failure(source, solved):
            raise CourseError(f"{one.where}: the code fails with {problem}")
        failure(REGION.sub(r"\1raise NotImplementedError()", source), blank)
    for number, check in enumerate(one.checks, start=1):
        if problem := failure(check.source, dict(solved)):
            raise CourseError(f"{one.where}: the solution fails its own check {number}: {problem}")
        if not failure(check.source, dict(blank)):
            raise CourseError(f"{one.where}: check {number} passes without an answer, let it use what students write")
        hints = [has_hint(node) for node in ast.walk(ast.parse(check.source)) if judges(node)]
        if not hints or not all(hints):
            raise CourseError(f'{one.where}: check {number} gives no hint, write assert ..., "what may be wrong"')


def check_course(course: list[Chapter]) -> None:
    """Raise `CourseError`, with one line that names the place, unless all of it can be graded."""
    for chapter in course:
        check_names(chapter)
        for one in chapter.exercises:
            check_form(one)
            check_grades(chapter, one)


# ------------------------------------------------------------------- writing the notebooks


def cell(kind: str, source: str, name: str, **grading):
    """A cell that nbgrader knows by its name, in its own metadata (schema 3)."""
    new = new_code_cell(source) if kind == "code" else new_markdown_cell(source)
    new.id = name
    if grading:
        record = {"grade": False, "solution": False, "locked": False, "task": False, **grading}
        new.metadata["nbgrader"] = record | {"grade_id": name, "schema_version": 3, "cell_type": kind}
    return new


def plural(points: int, what: str = "") -> list[str]:
    """A number of points in words; nothing where there are none."""
    return [f"{points} point{'s' if points != 1 else ''}{what}"] * bool(points)


def exercise_cells(one: Exercise, solved: bool) -> list:
    """All cells of one exercise; graders find solution and rubric in the cell of a written answer."""
    (code, words), name = one.points, one.label
    points = ", ".join(plural(code, " by checks") + plural(words, " for words"))
    goals = f" You practice: {', '.join(goal.title for goal in one.goals.values())}." * bool(one.goals)
    head = f"### {one.number}: {one.title}\n\n*About {one.minutes} minutes; {points}.{goals}*\n"
    head += "Read first: {}.\n".format(", ".join(one.read)) * bool(one.read) + f"\n{one.question}"
    cells = [cell("markdown", head, f"{name}-question")]
    cells += [cell("code", text, f"{name}-given-{at}", locked=True) for at, text in enumerate(one.given, start=1)]
    for number, text in enumerate(one.answers, start=1):
        answer = f"{name}-answer" + (f"-{number}" if number > 1 else "")
        cells.append(cell("code", f"# answer: {answer}\n{text}", answer, solution=True))
    if solved and one.solution and not words:
        cells.append(cell("markdown", one.solution, f"{name}-solution"))
    cells += [check_cell(one, number, check) for number, check in enumerate(one.checks, start=1)]
    return cells + [written_cell(one, words)] * bool(words)


def check_cell(one: Exercise, number: int, check: Check):
    """The cell that grades."""
    head, body = f"# {one.number}, check {number}: {plural(check.points)[0]}", check.source
    if "answers." in body and "import answers" not in body:  # a student may have used this name
        body = f"from earlystop import answers\n\n{body}"
    if check.hidden:
        head, body = head + ", run when graded", f"### BEGIN HIDDEN TESTS\n{body}\n### END HIDDEN TESTS"
    return cell("code", f"{head}\n{body}", f"{one.label}-check-{number}", grade=True, locked=True, points=check.points)


def written_cell(one: Exercise, points: int):
    """The cell for an answer in words."""
    name, rubric = f"{one.label}-written", "\n".join(f"- {plural(points)[0]}: {what}" for points, what in one.rubric)
    text = f"### BEGIN SOLUTION\n{one.solution}\n\n**Points**\n\n{rubric}\n### END SOLUTION"
    return cell("markdown", f"<!-- answer: {name} -->\n{text}", name, grade=True, solution=True, points=points)


def notebook(chapter: Chapter, form: str):
    """One chapter's exercises for students ("student"), nbgrader ("instructor") or readers of "solution"."""
    cells = [cell("markdown", INTRODUCTION.format(chapter.title), f"introduction-{chapter.name[:2]}")]
    if form != "instructor":
        install = install_cell(chapter.name, package_address(ROOT)).source.rpartition("\n")[0]
        install = f"{install}\nearlystop.checks.start()".replace("import earlystop.start", "import earlystop.checks")
        cells.append(cell("code", install, f"install-{chapter.name[:2]}"))
    for number, source in enumerate(chapter.setup, start=1):
        cells.append(cell("code", source, f"setup-{chapter.name[:2]}-{number}", locked=True))
    cells += [new for one in chapter.exercises for new in exercise_cells(one, form == "solution")]
    if form != "instructor":
        cells.append(cell("code", summary(chapter), f"summary-{chapter.name[:2]}"))
    result = new_notebook(cells=cells, metadata={"generated": UNSEALED, "kernelspec": KERNEL}, nbformat_minor=5)
    if form == "student":
        result = released(result, "ClearHiddenTests", "ComputeChecksums")
    for one in result.cells if form == "solution" else ():
        one.source = without_marks(one.source + "\n").rstrip()
    nbformat.validate(result)
    return result


def summary(chapter: Chapter) -> str:
    """The last cell of a student's notebook: which of its checks pass, and what follows."""
    lines, hidden, words = [], 0, 0
    for one in chapter.exercises:
        known = {at: check.points for at, check in enumerate(one.checks, start=1) if not check.hidden}
        lines += [f'    "{one.number}": {known},'] * bool(known)
        hidden, words = hidden + one.points[0] - sum(known.values()), words + one.points[1]
    head = '# What the checks said when they last ran: choose "Run all", then look here.'
    return "\n".join([head, "earlystop.checks.summary({", *lines, f"}}, hidden={hidden}, for_words={words})"])


def released(instructor, *more: str):
    """What nbgrader makes of an instructor's notebook: blank answers, and what `more` of its steps do."""
    from nbgrader import preprocessors as steps

    found, resources = instructor, {}
    for step in ("LockCells", "ClearSolutions", "CheckCellMetadata", *more):
        found, resources = getattr(steps, step)().preprocess(found, resources)
    return found


def named(chapter: Chapter, seed: int | None) -> str:
    """The name of an assignment, with individual data or without."""
    return chapter.name + (f"-seed{seed}" if seed is not None else "")


def write(course: list[Chapter], out: Path, seed: int | None = None) -> None:
    """Write all notebooks, their zips, nbgrader's folder and the unit, which no seed changes; keep what was changed."""
    nbgrader, texts = Path(__file__).parent / "nbgrader", {}
    for chapter in course:
        name = named(chapter, seed)
        for form in ("student", "instructor", "solution"):
            texts[out / form / f"{name}.ipynb"] = seal(notebook(chapter, form))
        texts[out / "nbgrader" / "source" / name / f"{name}.ipynb"] = texts[out / "instructor" / f"{name}.ipynb"]
        gradescope.pack(out / "gradescope" / f"{name}.zip", released(notebook(chapter, "instructor")))
    for file in ("nbgrader_config.py", "grading.py", "submissions.py", "guard.py", "Dockerfile"):
        texts[out / "nbgrader" / file] = (nbgrader / file).read_text(encoding="utf8")
    if seed is None:
        texts |= {out / "unit" / name: text for name, text in unit.files(ROOT, trained(course, "{0.number}")).items()}
    texts[out / "nbgrader" / "dashboard.py"] = Path(__file__).with_name("dashboard.py").read_text(encoding="utf8")
    for path, text in texts.items():
        line = pairs.write(path, text, out / "changed")
        if "; " in line:
            print(line)


def trained(course: list[Chapter], words: str) -> dict[str, list[str]]:
    """The exercises of every goal, each in the form that `words` gives it."""
    found = {}
    for one in [one for chapter in course for one in chapter.exercises]:
        for name in one.goals:
            found.setdefault(name, []).append(words.format(one))
    return found


def goals_overview(course: list[Chapter]) -> list[str]:
    """A MyST table of all goals with the exercises that train them."""
    return unit.goal_table(ROOT, trained(course, "{{numref}}`{{number}} <{0.label}>`"))


def totals(course: list[Chapter]) -> list[int]:
    """How many exercises, minutes, points by checks, points for words."""
    every = [one for chapter in course for one in chapter.exercises]
    return [len(every), sum(one.minutes for one in every), *(sum(one.points[at] for one in every) for at in (0, 1))]


def overview(course: list[Chapter]) -> list[str]:
    """A MyST table of all exercises with their points, and the sums."""
    every = [one for chapter in course for one in chapter.exercises]
    goals = "{ref}`goals <unit-goals>`" if any(one.goals for one in every) else "goals"
    header = f"exercise | about | {goals} | asks to | minutes | points by checks | for words"
    lines = [f"| {header} |", "|---|---|---|---|---:|---:|---:|"]
    for one in every:
        points, goals = " | ".join(map(str, one.points)), ", ".join(str(goal.number) for goal in one.goals.values())
        asks = one.kind + ", own data" * one.own_data
        row = f"{one.title} | {goals} | {asks} | {one.minutes} | {points}"
        lines.append(f"| {{numref}}`{{number}} <{one.label}>` | {row} |")
    return [*lines, "| **{} exercises** | | | | **{}** | **{}** | **{}** |".format(*totals(course))]


def main(arguments: list[str]) -> int:
    """Write the course kit; return 1 with one line on stderr if the sources do not allow it."""
    parser = argparse.ArgumentParser(prog="course.py", description="Write the course kit from the book's exercises.")
    parser.add_argument("--chapters", help="numbers or names, as in 01,02 (default: all)")
    parser.add_argument("--exercises", help="ids, as in ex-half,ex-step (default: all)")
    parser.add_argument("--seed", type=int, help="individual data: the number in the line SEED = ...")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "course", help="folder (default: _build/course)")
    options = parser.parse_args(arguments)
    os.environ |= {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}  # exercises are small
    try:
        course = read_course(options.chapters, options.exercises)
        for chapter in course if options.seed is not None else ():  # the numbers that these students will see
            chapter.setup = [SEED.sub(f"SEED = {options.seed}", source) for source in chapter.setup]
        check_course(course)
        write(course, options.out, options.seed)
    except (CourseError, PairError) as problem:
        print(problem, file=sys.stderr)
        return 1
    count, _, code, words = totals(course)
    each = ", ".join("{}: {} + {}".format(named(one, options.seed), *totals([one])[2:]) for one in course)
    print(f"wrote {count} exercises to {options.out}: {code} points by checks, {words} for words ({each})")
    if not package_address(ROOT):
        print("these notebooks do not install the book's package: no repository: url in _config.yml", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
