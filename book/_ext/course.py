"""Write the course kit from the chapters' exercises: notebooks for students, graders and nbgrader.

    python book/_ext/course.py                     everything, into _build/course
    python book/_ext/course.py --chapters 01,03 --exercises ex-overfit-pair --seed 7 --out DIR

An exercise stays what it is in the book.  In its solution, the lines that students have to write
stand between ``### BEGIN SOLUTION`` and ``### END SOLUTION``, and cells tagged ``check`` grade
them; a check that is also tagged ``remove-cell`` is kept from readers and students.  A comment
``% 2 points: what they are for`` makes a rubric for a written answer.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import jupytext
import nbformat
import pairs
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pairs import UNSEALED, Book, PairError, blocks, install_cell, package_address, seal, split_options, without_marks

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("derive", "predict", "implement", "experiment", "explain")
REGION = re.compile(r"^([ \t]*)### BEGIN SOLUTION[ \t]*\n.*?### END SOLUTION[ \t]*$", re.M | re.S)
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"  # what nbgrader writes, too
WRITTEN_STUB = "YOUR ANSWER HERE"
SEED = re.compile(r"^SEED = \d+", re.M)
KIND = re.compile(r"^% (\w+), (\d+) minutes$")
RUBRIC = re.compile(r"^% (\d+) points?: (.+)$")
LEAST_CHECKS = 3


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
    """One exercise with its solution, both in the order of the chapter."""

    chapter: str
    label: str
    number: str  # as in the book, "Exercise 1.2"
    title: str
    kind: str = ""
    minutes: int = 0
    text: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)  # code in the exercise itself
    solution: list = field(default_factory=list)  # texts (str), answers (Answer), checks (Check)
    rubric: list[tuple[int, str]] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The place that an error message names."""
        return f"book/{self.chapter}.md: {self.label}"

    @property
    def answers(self) -> list[Answer]:
        """The cells that students fill in."""
        return [part for part in self.solution if isinstance(part, Answer)]

    @property
    def checks(self) -> list[Check]:
        """The cells that grade them."""
        return [part for part in self.solution if isinstance(part, Check)]

    @property
    def points(self) -> tuple[int, int]:
        """Points for code, and for words."""
        return sum(check.points for check in self.checks), sum(points for points, _ in self.rubric)


class Answer(str):
    """The source of a cell with a marked solution."""

    @property
    def stub(self) -> str:
        """The cell as students get it."""
        indented = lambda match: "\n".join(match[1] + line for line in STUB.splitlines())
        return REGION.sub(indented, self)


@dataclass
class Chapter:
    """The exercises of one chapter, and the code that they all start from."""

    name: str
    title: str
    setup: list[str]
    exercises: list[Exercise]


# ------------------------------------------------------------------ reading the chapters


def read_chapter(book: Book, name: str) -> Chapter:
    """Collect the exercises of one chapter; raise `CourseError` if there are none."""
    text = (book.root / "book" / f"{name}.md").read_text(encoding="utf8")
    chapter = Chapter(name, book.pages[name], [], [])
    found, current, inside, started = {}, None, None, False
    for cell in jupytext.reads(text, fmt="md:myst").cells:
        if cell.cell_type == "code":
            if inside == "exercise":
                current.given.append(cell.source)
            elif inside == "solution":
                read_code(current, cell)
            elif started:
                chapter.setup.append(cell.source)
            continue
        for kind, argument, body in blocks(cell.source, f"book/{name}.md"):
            options, _ = split_options(body)
            if kind in ("exercise", "exercise-start"):
                label = options.get("label", "")
                if label in found:
                    raise CourseError(
                        f"book/{name}.md: the exercise id {label} is used twice, give one of them another"
                    )
                current = found[label] = Exercise(name, label, book.name_of(label, f"book/{name}.md"), argument)
                chapter.exercises.append(current)
            elif kind in ("solution", "solution-start"):
                if argument not in found:
                    raise CourseError(f"book/{name}.md: there is no exercise {argument} above its solution")
                current = found[argument]
            elif kind is None:
                started = started or "## Exercises" in body
            if kind in ("exercise-start", "solution-start"):
                inside = kind.removesuffix("-start")
            elif kind in ("exercise-end", "solution-end"):
                inside = None
            elif kind in ("exercise", "solution"):
                read_text(book, current, kind, None, "", split_options(body)[1].splitlines())
            elif inside:
                read_text(book, current, inside, kind, argument, body)
    if not chapter.exercises:
        raise CourseError(f"book/{name}.md: the chapter has no exercises, write one or leave it out with --chapters")
    return chapter


def read_text(book: Book, exercise: Exercise, inside: str, kind, argument: str, body: list[str]) -> None:
    """Add a piece of Markdown to an exercise or its solution, and read the comments in it."""
    for line in body if kind is None else ():
        if match := KIND.match(line):
            exercise.kind, exercise.minutes = match[1], int(match[2])
        elif match := RUBRIC.match(line):
            exercise.rubric.append((int(match[1]), match[2]))
    if kind is None:
        text = book.convert("\n".join(body), exercise.where)
    elif kind == "":
        text = "\n".join([argument, *body])
    else:
        text = book.directive(kind, argument, body, exercise.where)
    if text.strip():
        (exercise.text if inside == "exercise" else exercise.solution).append(text.strip())


def read_code(exercise: Exercise, cell) -> None:
    """Add an answer or a check to an exercise; what only illustrates a solution is for the book."""
    tags = cell.metadata.get("tags", [])
    if "check" in tags:
        points = [int(tag.removeprefix("points-")) for tag in tags if re.fullmatch(r"points-\d+", tag)]
        exercise.solution.append(Check(cell.source, "remove-cell" in tags, *(points or [1])))
    elif "### BEGIN SOLUTION" in cell.source:
        if not REGION.search(cell.source):
            raise CourseError(f"{exercise.where}: ### BEGIN SOLUTION has no ### END SOLUTION")
        exercise.solution.append(Answer(cell.source))


def read_course(chapters: str | None = None, exercises: str | None = None, root: Path = ROOT) -> list[Chapter]:
    """The chapters of the book, or those named; numbers stay those of the book.

    `chapters` ("01,02") and `exercises` ("ex-half,ex-step") choose some of them.
    Raises `CourseError` for a name that does not exist, and for sources that cannot be graded.
    """
    book = Book(root)
    names = pairs.chapters(root)
    if chapters:
        wanted = [part.strip() for part in chapters.split(",")]
        for part in wanted:
            if part not in names and part not in [name[:2] for name in names]:
                raise CourseError(f"--chapters: there is no chapter {part!r}, choose from {', '.join(names)}")
        names = [name for name in names if name in wanted or name[:2] in wanted]
    course = [read_chapter(book, name) for name in names]
    every = [exercise for chapter in course for exercise in chapter.exercises]
    labels = [exercise.label for exercise in every]
    for exercise in every:
        if labels.count(exercise.label) > 1:
            places = [f"book/{other.chapter}.md" for other in every if other.label == exercise.label]
            raise CourseError(f"{' and '.join(places)}: both have an exercise {exercise.label}, rename one")
    if exercises:
        wanted = [part.strip() for part in exercises.split(",")]
        for part in wanted:
            if part not in labels:
                raise CourseError(
                    f"--exercises: there is no exercise {part!r} in {', '.join(names)}, choose from {', '.join(labels)}"
                )
        for chapter in course:
            chapter.exercises = [exercise for exercise in chapter.exercises if exercise.label in wanted]
        course = [chapter for chapter in course if chapter.exercises]
    return course


# -------------------------------------------------------- can it be handed out and graded?


def check_form(exercise: Exercise) -> None:
    """Raise `CourseError` if an exercise lacks what grading needs."""
    where, checks = exercise.where, exercise.checks
    if exercise.kind not in KINDS or not exercise.minutes:
        raise CourseError(f"{where}: say what it asks for, as in '% implement, 20 minutes' (one of {', '.join(KINDS)})")
    if not checks and not exercise.rubric:
        raise CourseError(f"{where}: nothing is graded, add checks or a rubric ('% 2 points: ...') to its solution")
    if checks and not exercise.answers:
        raise CourseError(f"{where}: it has checks and no ### BEGIN SOLUTION, so students have nowhere to answer")
    if exercise.answers and len(checks) < LEAST_CHECKS:
        raise CourseError(f"{where}: {len(checks)} checks, should be at least {LEAST_CHECKS}")
    for number, check in enumerate(checks, start=1):
        asserts = [node for node in ast.walk(parsed(check.source, where)) if isinstance(node, ast.Assert)]
        if not asserts or any(node.msg is None for node in asserts):
            raise CourseError(f'{where}: check {number} gives no hint, write assert ..., "what may be wrong"')


def parsed(source: str, where: str) -> ast.Module:
    """The syntax tree of a cell. Raises `CourseError` if it is no plain Python."""
    try:
        return ast.parse(source)
    except SyntaxError as problem:
        raise CourseError(f"{where}: no plain Python ({problem.msg}): {(problem.text or '').strip()}") from None


def check_names(chapter: Chapter) -> None:
    """Raise `CourseError` if two answers define the same name: one could pass for the other."""
    owners = {}
    for exercise in chapter.exercises:
        for node in [node for answer in exercise.answers for node in parsed(answer, exercise.where).body]:
            names = (
                [node.name]
                if isinstance(node, ast.FunctionDef)
                else [
                    name.id
                    for target in getattr(node, "targets", [])
                    for name in ast.walk(target)
                    if isinstance(name, ast.Name)
                ]
            )
            for name in names:
                if owners.setdefault(name, exercise) is not exercise:
                    raise CourseError(
                        f"{exercise.where}: it defines {name!r}, as {owners[name].label} does: rename one"
                    )


def execute(sources: list[str], where: str) -> dict:
    """Run cells one after the other in a namespace of their own, and return it."""
    space = {"__name__": "__main__"}
    for source in sources:
        try:
            exec(compile(source, where, "exec"), space)
        except Exception as problem:
            raise CourseError(f"{where}: the code fails with {type(problem).__name__}: {problem}") from None
    return space


def check_grades(chapter: Chapter, exercise: Exercise) -> None:
    """Run an exercise twice: its solution must pass every check, its stub none."""
    start, where = [*chapter.setup, *exercise.given], exercise.where
    solved = execute([*start, *map(without_marks, exercise.answers)], where)
    blank = execute(start, where)
    for answer in exercise.answers:
        try:
            exec(compile(answer.stub, where, "exec"), blank)
        except Exception:  # the stub, or a line that needs an earlier answer
            pass
    for number, check in enumerate(exercise.checks, start=1):
        code = compile(check.source, f"{where}, check {number}", "exec")
        try:
            exec(code, dict(solved))
        except Exception as problem:
            raise CourseError(
                f"{where}: the solution fails its own check {number}: {type(problem).__name__}: {problem}"
            ) from None
        try:
            exec(code, dict(blank))
        except Exception:
            continue
        raise CourseError(f"{where}: check {number} passes without an answer, let it use what students write")


def check_course(course: list[Chapter]) -> None:
    """Raise `CourseError`, with one line that names the place, unless all of it can be graded."""
    for chapter in course:
        check_names(chapter)
        for exercise in chapter.exercises:
            check_form(exercise)
            check_grades(chapter, exercise)


# ------------------------------------------------------------------- writing the notebooks


def cell(kind: str, source: str, identifier: str, **grading):
    """A cell; with `grading`, one that nbgrader knows, in its own metadata (schema 3)."""
    new = new_code_cell(source) if kind == "code" else new_markdown_cell(source)
    new.id = identifier
    if grading:
        record = dict(grade=False, solution=False, locked=False, task=False) | grading
        new.metadata["nbgrader"] = record | dict(grade_id=identifier, schema_version=3, cell_type=kind)
    return new


def plural(points: int) -> str:
    """A number of points in words."""
    return f"{points} point{'s' if points != 1 else ''}"


def statement(exercise: Exercise):
    """The cell that asks."""
    code, words = exercise.points
    parts = [f"{plural(code)} by checks"] * bool(code) + [f"{plural(words)} for words"] * bool(words)
    head = f"### {exercise.number}: {exercise.title}\n\n*About {exercise.minutes} minutes; {', '.join(parts)}.*"
    return cell("markdown", "\n\n".join([head, *exercise.text]), f"{exercise.label}-question")


def answer_cells(exercise: Exercise, form: str):
    """The cells that students fill in: as stubs, as nbgrader's source, or solved."""
    cells = []
    for number, answer in enumerate(exercise.answers, start=1):
        source = {"student": answer.stub, "instructor": str(answer), "solution": without_marks(answer)}[form]
        name = f"{exercise.label}-answer" + (f"-{number}" if number > 1 else "")
        cells.append(cell("code", f"# answer: {name}\n{source}", name, solution=True))
    return cells


def check_cell(exercise: Exercise, number: int, form: str):
    """The cell that grades."""
    check = exercise.checks[number - 1]
    head, body = f"# {exercise.number}, check {number}: {plural(check.points)}", check.source
    if check.hidden and form == "student":
        head, body = head + ", run when graded", ""
    elif check.hidden and form == "instructor":
        head, body = head + ", run when graded", f"### BEGIN HIDDEN TESTS\n{body}\n### END HIDDEN TESTS"
    options = dict(grade=True, locked=True, points=check.points)
    return cell("code", f"{head}\n{body}".rstrip(), f"{exercise.label}-check-{number}", **options)


def written_cell(exercise: Exercise, form: str):
    """The cell for an answer in words; graders find the solution and the rubric in it."""
    texts = [part for part in exercise.solution if type(part) is str]
    rubric = [f"- {plural(points)}: {what}" for points, what in exercise.rubric]
    solution = "\n\n".join([*texts, "**Points**\n\n" + "\n".join(rubric)])
    name = f"{exercise.label}-written"
    body = {
        "student": WRITTEN_STUB,
        "solution": solution,
        "instructor": f"### BEGIN SOLUTION\n{solution}\n### END SOLUTION",
    }[form]
    return cell(
        "markdown", f"<!-- answer: {name} -->\n{body}", name, grade=True, solution=True, points=exercise.points[1]
    )


def exercise_cells(exercise: Exercise, form: str) -> list:
    """All cells of one exercise in one of the three forms."""
    cells = [statement(exercise)]
    for number, code in enumerate(exercise.given, start=1):
        cells.append(cell("code", code, f"{exercise.label}-given-{number}", locked=True))
    cells += answer_cells(exercise, form)
    if form == "solution" and not exercise.rubric:
        texts = [part for part in exercise.solution if type(part) is str]
        cells += [cell("markdown", "\n\n".join(texts), f"{exercise.label}-solution")] * bool(texts)
    cells += [check_cell(exercise, number, form) for number in range(1, len(exercise.checks) + 1)]
    return cells + [written_cell(exercise, form)] * bool(exercise.rubric)


INTRODUCTION = """# {title}: exercises

Write your answers in the cells that say `YOUR CODE HERE` or `YOUR ANSWER HERE`, below their first line.
The cells after them check your code and give a hint where it fails; some checks run only when your work is graded.
Add cells if you like, but do not delete, copy or merge those that are there. Numbers are those of the book."""


def notebook(chapter: Chapter, form: str):
    """One chapter's exercises for students ("student"), nbgrader ("instructor") or readers of "solution"."""
    name = chapter.name[:2]
    cells = [cell("markdown", INTRODUCTION.format(title=chapter.title), f"introduction-{name}")]
    if form != "instructor":
        install = install_cell(chapter.name, package_address(ROOT)).source.partition("import earlystop.start")[0]
        cells.append(cell("code", f"{install}import earlystop", f"install-{name}"))
    for number, source in enumerate(chapter.setup, start=1):
        cells.append(cell("code", source, f"setup-{name}-{number}", locked=True))
    for exercise in chapter.exercises:
        cells += exercise_cells(exercise, form)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    result = new_notebook(cells=cells, metadata={"generated": UNSEALED, "kernelspec": kernel}, nbformat_minor=5)
    nbformat.validate(result)
    return result


def write(course: list[Chapter], out: Path, seed: int | None = None) -> None:
    """Write all notebooks, and a folder in which nbgrader works as it is; what was changed is kept, in `changed`."""
    nbgrader, texts = out / "nbgrader", {}
    for chapter in course:
        name = chapter.name + (f"-seed{seed}" if seed is not None else "")
        targets = {form: [out / form] for form in ("student", "instructor", "solution")}
        targets["instructor"].append(nbgrader / "source" / name)
        for form, folders in targets.items():
            text = seal(nbformat.writes(notebook(chapter, form)) + "\n")
            texts |= {folder / f"{name}.ipynb": text for folder in folders}
    for file in ("nbgrader_config.py", "grading.py", "guard.py", "Dockerfile"):
        texts[nbgrader / file] = (Path(__file__).parent / "nbgrader" / file).read_text(encoding="utf8")
    for path, text in texts.items():
        line = pairs.write(path, text, out / "changed")
        if "; " in line:
            print(line)


def overview(course: list[Chapter]) -> list[str]:
    """A MyST table of all exercises with their points, and the sums."""
    lines = ["| exercise | | asks to | minutes | points by checks | points for words |", "|---|---|---|---|---|---|"]
    every = [exercise for chapter in course for exercise in chapter.exercises]
    for one in every:
        lines.append(
            f"| {{ref}}`{one.label}` | {one.title} | {one.kind} | {one.minutes} | {one.points[0]} | {one.points[1]} |"
        )
    sums = [sum(one.minutes for one in every), *(sum(one.points[at] for one in every) for at in (0, 1))]
    return [*lines, f"| **{len(every)} exercises** | | | **{sums[0]}** | **{sums[1]}** | **{sums[2]}** |"]


def main(arguments: list[str]) -> int:
    """Write the course kit; return 1 with one line on stderr if the sources do not allow it."""
    parser = argparse.ArgumentParser(prog="course.py", description="Write the course kit from the book's exercises.")
    parser.add_argument("--chapters", help="numbers or names, as in 01,02 (default: all)")
    parser.add_argument("--exercises", help="ids, as in ex-half,ex-step (default: all)")
    parser.add_argument("--seed", type=int, help="individual data: the number in the line SEED = ...")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "_build" / "course", help="where to write (default: _build/course)"
    )
    options = parser.parse_args(arguments)
    os.environ |= {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}  # exercises are small
    try:
        course = read_course(options.chapters, options.exercises)
        if options.seed is not None:  # the numbers that these students will see
            for chapter in course:
                chapter.setup = [SEED.sub(f"SEED = {options.seed}", source) for source in chapter.setup]
        check_course(course)
    except (CourseError, PairError) as problem:
        print(problem, file=sys.stderr)
        return 1
    write(course, options.out, options.seed)
    every = [exercise for chapter in course for exercise in chapter.exercises]
    code, words = (sum(exercise.points[at] for exercise in every) for at in (0, 1))
    print(
        f"wrote {len(every)} exercises of {len(course)} chapters to {options.out}: {code} points by checks, {words} for words"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
