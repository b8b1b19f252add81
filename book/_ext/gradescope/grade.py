"""Grade one submission as Gradescope's autograder: ../submission is read, ../results/results.json is written.

Whatever was handed in, the result says what was graded and why a check failed. The checks that students have are run
first, in a process that never sees the hidden ones. These follow in another, and show when grades are published.
"""

import contextlib
import copy
import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from submissions import Limits, error, errors, grade_id, grading, restore

HERE = Path(__file__).resolve().parent
ASSIGNMENT = next(HERE.glob("*.ipynb"), HERE / "assignment.ipynb")
MINUTES = 8.0  # for the whole notebook; Gradescope stops an autograder after ten, if nothing else is set
SECONDS = 30  # a cell; then its kernel is killed, and the next cell gets a new one
MOST_BYTES = 50_000_000  # of a notebook
MOST_TEXT = 4000  # characters of an output
HIDDEN = "### BEGIN HIDDEN TESTS"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
BLANK = "The answer is still blank."


class SubmissionError(Exception):
    """What was handed in cannot be graded."""


# ------------------------------------------------------------------- what was handed in


def read(path: Path):
    """A notebook that a student wrote; raises `SubmissionError` for a file that is none."""
    if path.stat().st_size > MOST_BYTES:
        raise SubmissionError(f"{path.name} has more than {MOST_BYTES // 10**6} MB: clear its outputs")
    try:
        found = nbformat.reads(path.read_text(encoding="utf8"), as_version=4)
        restore(found, fresh())
    except Exception as problem:
        reason = plain(f"{type(problem).__name__}: {problem}")[:200]
        raise SubmissionError(f"{path.name} cannot be read as a notebook ({reason})") from None
    return found


def fresh():
    """The assignment, as it is handed out, with all of its checks."""
    return copy.deepcopy(assignment)


def choose(folder: Path) -> tuple[object, list[str]]:
    """The notebook to grade, and what to say about the choice; raises `SubmissionError` if there is none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".ipynb_checkpoints" not in path.parts)
    found, notes = [], []
    for path in files:
        if path.suffix == ".ipynb":
            try:
                notebook = read(path)
                found.append((known(notebook), path.name == ASSIGNMENT.name, path.name, notebook))
            except SubmissionError as problem:
                notes.append(f"{problem}.")
    if not found:
        there = ", ".join(path.name for path in files) or "nothing"
        raise SubmissionError(
            " ".join([f"No notebook was found, hand in {ASSIGNMENT.name}; there was: {there}.", *notes])
        )
    *others, (count, _, name, notebook) = sorted(found, key=lambda one: (one[0] > 0, *one[1:3]))
    notes += [f"Graded: {name}."] * (len(files) > 1 or name != ASSIGNMENT.name)
    notes += [f"Not graded: {one[2]}." for one in others]
    notes += [f"None of the answers of {ASSIGNMENT.stem} is in it: is it another assignment's?"] * (not count)
    return notebook, notes


def known(notebook) -> int:
    """How many of the assignment's answers a notebook has."""
    names = {grade_id(cell) for cell in assignment.cells if grading(cell).get("solution")}
    marks = re.findall(r"answer: ([\w-]+)", "\n".join(str(cell.get("source", "")) for cell in notebook.cells))
    return len(names & {*marks, *map(grade_id, notebook.cells)})


# ------------------------------------------------------------------- running it


class Limited(Limits, NotebookClient):
    """Executes a whole notebook within limits, the last of them an end for all of it."""

    def __init__(self, notebook, end: float) -> None:
        super().__init__(notebook, timeout=SECONDS, allow_errors=True, raise_on_iopub_timeout=True)
        self.end = end
        self.limit()

    def execute_all(self) -> None:
        """Execute every cell."""
        with self.setup_kernel():
            for index, cell in enumerate(self.nb.cells):
                if time.monotonic() < self.end:
                    self.nb.cells[index] = self.survive(cell, index)
                elif cell.cell_type == "code":
                    cell.outputs = [error("TimeLimit", f"not run: the notebook as a whole took {MINUTES:g} minutes")]


def hidden(cell) -> bool:
    """Whether a cell is a check that students do not have."""
    return HIDDEN in cell.source and bool(grading(cell).get("grade"))


def run(notebook, wanted, end: float) -> list[dict]:
    """Execute a notebook with those of its checks that are wanted; a result for each of them."""
    part = copy.deepcopy(notebook)
    part.cells = [cell for cell in part.cells if not check(cell) or wanted(cell)]
    if not any(map(check, part.cells)):
        return []
    Limited(part, end).execute_all()
    return [result(cell, part.cells) for cell in part.cells if check(cell)]


def check(cell) -> bool:
    """Whether a cell gives points by itself."""
    return bool(grading(cell).get("grade")) and cell.cell_type == "code"


# ------------------------------------------------------------------- what Gradescope shows


def plain(text: object) -> str:
    """Text that every reader of JSON can show: no colours, no half characters, not too long."""
    text = CONTROL.sub("", ANSI.sub("", str(text))).encode("utf8", "replace").decode()
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " ..."


def result(cell, cells: list) -> dict:
    """What a check gives, and why."""
    failed, points = errors(cell), float(grading(cell)["points"])
    answers = [one for one in cells if one.cell_type == "code" and grading(one).get("solution")]
    own = [one for one in answers if exercise(one) == exercise(cell)]
    return {
        "name": plain(cell.source.splitlines()[0].removeprefix("# ")),
        "score": 0.0 if failed else points,
        "max_score": points,
        "output": why(failed[0], own) if failed else "passed",
        "visibility": "after_published" if hidden(cell) else "visible",
    }


def exercise(cell) -> str:
    """The exercise that a cell belongs to."""
    return re.sub(r"-(answer(-\d+)?|check-\d+|written)$", "", grade_id(cell) or "")


def why(failed, answers: list) -> str:
    """What a check found, and the error of the answer if there was one."""
    found, own = said(failed), [said(one) for cell in answers for one in errors(cell)[:1]]
    if BLANK in (found, *own) and failed.ename != "AssertionError":
        return BLANK
    return plain("\n".join([found, *(f"The answer itself fails. {one}" for one in own if one not in (found, BLANK))]))


def said(failed) -> str:
    """An error in words: a hint as it is, other errors with the place where they happened."""
    if failed.ename == "NotImplementedError":
        return BLANK
    if failed.ename == "AssertionError" and failed.evalue:
        return failed.evalue
    return "\n".join(dict.fromkeys([f"{failed.ename}: {failed.evalue}", *failed.traceback[-3:]]))


def words(cells: list) -> list[dict]:
    """A note for every answer in words, without points."""
    stubs = {grade_id(cell): cell.source for cell in assignment.cells}
    titles = {exercise(cell): cell.source.split(",")[0].removeprefix("# ") for cell in assignment.cells if check(cell)}
    found = []
    for cell in cells:
        if cell.cell_type == "markdown" and grading(cell).get("grade"):
            blank = cell.source.strip() == stubs[grade_id(cell)].strip()
            note = f"Up to {grading(cell)['points']:g} by hand, later. "
            note += "There is no answer yet." if blank else f"Your answer:\n{cell.source.partition(chr(10))[2]}"
            name = f"{titles.get(exercise(cell), exercise(cell))}, in words"
            found.append({"name": name, "status": "failed" if blank else "passed", "output": plain(note)})
    return found


def nothing(reason: str) -> dict:
    """A result without points, and its reason."""
    note = {"name": "Grading", "status": "failed", "output": plain(reason), "visibility": "visible"}
    return {"score": 0.0, "output": plain(reason), "output_format": "text", "tests": [note]}


def grade(folder: Path) -> dict:
    """The result of what lies in a folder."""
    begin = time.monotonic()
    notebook, notes = choose(folder)
    graded = fresh()
    notes += [f"Repaired: {note}." for note in restore(notebook, graded)]
    visible = run(graded, lambda cell: not hidden(cell), begin + 60 * MINUTES / 2)
    later = run(graded, hidden, begin + 60 * MINUTES)
    points = sum(one["score"] for one in visible), sum(one["max_score"] for one in visible)
    notes.insert(0, "Checks that you have: {:g} of {:g} points.".format(*points))
    notes += [f"Hidden checks, {sum(one['max_score'] for one in later):g} points, show later."] * bool(later)
    tests = [*visible, *later, *words(graded.cells)]
    return {"output": plain("\n".join(notes)), "output_format": "text", "tests": tests}


def write(found: dict, folder: Path) -> None:
    """Put the result where Gradescope looks for it: all of it, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "results.json.part"
    part.write_text(json.dumps(found, indent=1), encoding="ascii")
    os.replace(part, folder / "results.json")


def main() -> None:
    """Grade; no answer can read the hidden checks from a file while it runs, as there is none."""
    write(nothing("Grading did not come to its end: hand in again, and tell your instructor."), HERE.parent / "results")
    text = ASSIGNMENT.read_text(encoding="utf8")
    with contextlib.suppress(OSError):
        ASSIGNMENT.unlink()
    try:
        found = grade(HERE.parent / "submission")
    except SubmissionError as problem:
        found = nothing(str(problem))
    except Exception as problem:
        found = nothing(f"Nothing was graded, tell your instructor: {type(problem).__name__}: {problem}")
    write(found, HERE.parent / "results")
    with contextlib.suppress(OSError):
        ASSIGNMENT.write_text(text, encoding="utf8")


assignment = nbformat.read(ASSIGNMENT, as_version=4)

if __name__ == "__main__":
    sys.exit(main())
