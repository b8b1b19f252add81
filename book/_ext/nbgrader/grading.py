"""Two steps of nbgrader's autograder that survive what students hand in, and a table of what they could not grade."""

import csv
import json
import os
import re
from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins.export import ExportPlugin
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Float

MOST_OUTPUT = 1_000_000  # characters a cell may show; the rest is forgotten
COLUMNS = ["assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"]
COLUMNS += ["raw_score", "late_submission_penalty", "score", "max_score", "remark"]  # as nbgrader writes them, and one
SEEN = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")  # by a kernel
REPAIRED = "**Repaired before grading.** A missing answer counts as blank, of several the last changed one.\n"
MARK = re.compile(r"^(?:# |<!-- )answer: ([\w-]+)")  # the first line of every answer


def grade_id(cell) -> str | None:
    """nbgrader's name of a cell, whatever an editor has made of its metadata."""
    found = cell.get("metadata")
    for key in ("nbgrader", "grade_id"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


class RestoreAnswers(NbGraderPreprocessor):
    """Put the answers of a submission into a fresh copy of the assignment, and nothing else.

    Answers are found by their first line, or by nbgrader's metadata where that line is gone: editors lose metadata,
    students delete, copy and rename cells. Cells that students added stay in front of the answer that follows them.
    What had to be repaired is said at the top of the feedback. nbgrader's next step restores the hidden checks.
    """

    def preprocess(self, nb, resources):
        """Return the repaired notebook."""
        names, course = resources["nbgrader"], CourseDirectory(parent=self)
        folder = course.format_path(course.release_directory, ".", names["assignment"])
        fresh = nbformat.read(Path(folder, f"{names['notebook']}.ipynb"), as_version=4)
        found, notes, cells = self.answers(nb, {grade_id(cell): cell for cell in fresh.cells}), [], []
        for cell in fresh.cells:
            name, copies = grade_id(cell), found.get(grade_id(cell), [])
            if name and len(copies) != 1:
                notes.append(f"{name} was there {len(copies)} times")
            if name and cell.metadata.nbgrader.solution:
                cells += [new_code_cell(source) for added, _ in copies for source in added]
                changed = [source for _, source in copies if source.strip() != cell.source.strip()]
                cell.source = changed[-1] if changed else cell.source
            cells.append(cell)
        if notes:
            self.log.warning("%s of %s: %s", names["notebook"], names["student"], "; ".join(notes))
            cells.insert(0, new_markdown_cell("\n- ".join([REPAIRED, *notes])))
        for number, cell in enumerate(cells):
            cell.id = f"graded-{number}"
        fresh.cells = cells
        return fresh, resources

    def answers(self, nb, known: dict) -> dict[str, list]:
        """Of every cell that is known: each of its copies, as what students added before it and its source."""
        found, added = {}, []
        for cell in nb.cells:
            source = str(cell.get("source", "")).encode("utf8", "replace").decode()  # half of a character: "?"
            mark, name = MARK.match(source), grade_id(cell)
            name = mark[1] if mark and mark[1] in known else name
            if name in known and name:
                found.setdefault(name, []).append((added, source))
                added = [] if known[name].metadata.nbgrader.solution else added
            elif cell.cell_type == "code" and not source.lstrip().startswith("# Exercise"):
                added = [*added, source]
        return found


def given(cell) -> bool:
    """Whether a cell is the assignment's own code, without points: imports and data."""
    grading = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and grading.get("locked", False) and not grading.get("grade", False)


def error(name: str, text: str):
    """An error as a cell shows it."""
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])


def readable(output):
    """An output as nbgrader and the feedback can read it; what is no valid output becomes an error."""
    try:
        nbformat.validate(output, ref="output", version=4, relax_add_props=True)
        text = json.dumps(output, ensure_ascii=False).encode("utf8", "replace")  # half of a character: "?"
        output = nbformat.from_dict(json.loads(text))
    except Exception as problem:
        return error("OutputError", f"what the code showed cannot be stored ({type(problem).__name__})")
    if output.output_type == "stream":  # nbgrader takes a warning in a check for a failure
        output.name = "stdout"
    return output


class GivenCodeError(RuntimeError):
    """The assignment's own code fails: nothing can be graded on this machine."""


class LimitedExecute(Execute):
    """Execute a submission; a cell that hangs or kills its kernel costs its own points only.

    The next cell runs in a new kernel in which the locked cells without points (imports, data) ran again.
    Where these fail, no fault of the student's, nothing is graded.
    """

    memory = Float(4.0, help="GB of data that a kernel may hold; see guard.py").tag(config=True)

    def preprocess(self, nb, resources):
        """Execute all cells in kernels with limits."""
        guard = Path(__file__).with_name("guard.py")
        self.interrupt_on_timeout = False  # code can ignore an interrupt, but not the end of its process
        self.extra_arguments = [f"--IPKernelApp.exec_files={guard}", "--HistoryManager.hist_file=:memory:"]
        self.timeout_func = lambda cell: (20 if given(cell) else 1) * self.timeout  # imports are slow, and ours
        self.startup_timeout = 300  # of a kernel, on a busy machine
        self.setup = []
        return super().preprocess(nb, resources)

    def start_new_kernel(self, **options):
        """Start a kernel that sees only harmless variables."""
        kept = {name: os.environ[name] for name in SEEN if name in os.environ}
        return super().start_new_kernel(env=kept | {"COURSE_MEMORY_GB": str(self.memory)}, **options)

    def process_message(self, msg, cell, cell_index):
        """Take what a cell shows, up to a limit."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result"):
            self.shown += len(str(msg["content"]))
            if self.shown > MOST_OUTPUT:
                return None
        return super().process_message(msg, cell, cell_index)

    def preprocess_cell(self, cell, resources, index):
        """Execute one cell; whatever it does to its kernel is its own error, and the next ones get a new kernel."""
        self.shown = 0
        if self.kc is None:
            self.restart(resources)
        try:
            cell, resources = self.run(cell, resources, index)
        except Exception as problem:  # a kernel that is gone, messages that cannot be read, code of ours that fails
            if self.km is not None:
                self._cleanup_kernel()
            self.create_kernel_manager()
            if given(cell):  # spoiled by what ran before
                self.restart(resources)
                cell, resources = self.run(cell, resources, index)
            else:
                words = {
                    CellTimeoutError: f"stopped after {self.timeout:g} s",
                    DeadKernelError: "the code ended its own process",
                }
                cell.outputs = [error(type(problem).__name__, words.get(type(problem), str(problem)))]
        self.setup += [index] * given(cell)
        return cell, resources

    def run(self, cell, resources, index):
        """Execute one cell, and make sure that nbgrader can read what it shows. Raises `GivenCodeError`."""
        cell, resources = super().preprocess_cell(cell, resources, index)
        if cell.cell_type == "code":
            cell.outputs = [readable(output) for output in cell.get("outputs", [])]
            errors = [output for output in cell.outputs if output.output_type == "error"]
            if given(cell) and errors:
                raise GivenCodeError(f"the assignment's own code fails: {errors[0].ename}: {errors[0].evalue}")
        return cell, resources

    def restart(self, resources) -> None:
        """A new kernel, with the given cells run once more; the notebook keeps what they showed the first time."""
        self.start_new_kernel()
        self.start_new_kernel_client()
        for index in self.setup:
            cell = self.nb.cells[index]
            self.run(nbformat.from_dict(dict(cell, outputs=[])), resources, index)
            self.nb.cells[index] = cell  # where nbclient has put what it executed


class ExportTable(ExportPlugin):
    """`grades.csv` as nbgrader writes it, with a last column of remarks, and no points that were not given."""

    def export(self, gradebook: Gradebook) -> None:
        """Write a line for every assignment and student, or for those that are asked for."""
        course, to = CourseDirectory(parent=self), self.to or "grades.csv"
        with open(to, "w", encoding="utf8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            for assignment in gradebook.assignments:
                for student in gradebook.students:
                    asked = not self.student or student.id in map(str, self.student)
                    if asked and (not self.assignment or assignment.name in self.assignment):
                        table.writerow(self.row(gradebook, course, assignment, student))
        self.log.info("Exporting grades to %s", to)

    def row(self, gradebook, course, assignment, student) -> dict:
        """What is known of one student's assignment; no points where it was not graded, and why."""
        row = {"assignment": assignment.name, "duedate": assignment.duedate, "max_score": assignment.max_score}
        row |= {"student_id": student.id} | {key: getattr(student, key) for key in ("last_name", "first_name", "email")}
        folders = course.submitted_directory, course.autograded_directory
        places = [Path(course.format_path(folder, student.id, assignment.name)) for folder in folders]
        handed_in, graded = ({path.stem for path in place.glob("*.ipynb")} for place in places)
        try:
            submission = gradebook.find_submission(assignment.name, student.id)
            row["timestamp"] = submission.timestamp
        except MissingEntry:
            submission = None
        names = [notebook.name for notebook in assignment.notebooks]
        if failed := [name for name in names if name in handed_in - graded]:
            return row | {"remark": "; ".join(f"not graded: {name}" for name in failed)}
        if submission is None or not graded:
            return row | {"remark": f"nothing {'that can be graded ' * bool(handed_in)}was handed in"}
        penalty, score = submission.late_submission_penalty or 0.0, submission.score
        row |= {"raw_score": score, "late_submission_penalty": penalty, "score": max(0.0, score - penalty)}
        waiting = sum(grade.needs_manual_grade for notebook in submission.notebooks for grade in notebook.grades)
        remarks = [f"not handed in: {name}" for name in names if name not in graded]
        return row | {"remark": "; ".join(remarks + [f"waiting for points for words: {waiting}"] * bool(waiting))}
