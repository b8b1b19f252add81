"""Two steps of nbgrader's autograder that survive what students hand in, and a table that says what they could not grade."""

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
COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)  # as nbgrader writes them
MARK = re.compile(r"^(?:# |<!-- )answer: ([\w-]+)")  # the first line of every answer


def grade_id(cell) -> str | None:
    """nbgrader's name of a cell, whatever an editor has made of its metadata."""
    found = cell.get("metadata")
    for key in ("nbgrader", "grade_id"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


class RestoreAnswers(NbGraderPreprocessor):
    """Put the answers of a submission into a fresh copy of the assignment, and nothing else.

    Answers are found by their first line, or by nbgrader's metadata where that line is gone: editors
    lose metadata, students delete, copy and rename cells. Cells that students added stay in front of
    the answer that follows them. What had to be repaired is said at the top of the feedback.
    """

    def preprocess(self, nb, resources):
        """Return the repaired notebook."""
        names = resources["nbgrader"]
        course = CourseDirectory(parent=self)
        source = (
            Path(course.format_path(course.source_directory, ".", names["assignment"])) / f"{names['notebook']}.ipynb"
        )
        fresh = nbformat.read(source, as_version=4)
        known = {cell.metadata.nbgrader.grade_id: cell for cell in fresh.cells if "nbgrader" in cell.metadata}
        answers = {name: [] for name, cell in known.items() if cell.metadata.nbgrader.solution}
        added, waiting, present = {}, [], set()
        for cell in nb.cells:
            cell.source = str(cell.get("source", "")).encode("utf8", "replace").decode()  # half of a character: "?"
            mark, name = MARK.match(cell.source), grade_id(cell)
            name = mark[1] if mark and mark[1] in answers else name
            present.add(name)
            if name in answers:
                answers[name].append(cell.source)
                added.setdefault(name, []).extend(waiting)
                waiting = []
            elif name not in known and cell.cell_type == "code" and not cell.source.lstrip().startswith("# Exercise"):
                waiting.append(new_code_cell(cell.source))
        with Gradebook(resources["nbgrader"]["db_url"]) as gradebook:
            stored = {
                cell.name: cell.source
                for cell in gradebook.find_notebook(names["notebook"], names["assignment"]).source_cells
            }
        notes, cells = [], []
        for cell in fresh.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = stored.get(name, cell.source)
            if name in answers:
                given = [text for text in answers[name] if text.strip() != cell.source.strip()]
                notes += [f"{name} was missing and counts as blank"] * (not answers[name])
                notes += [f"{name} was there {len(answers[name])} times; the last changed one counts"] * (
                    len(answers[name]) > 1
                )
                cell.source = given[-1] if given else cell.source
            elif name and name not in present:
                notes.append(f"{name} was missing and was put back")
            cells += [*added.get(name, []), cell]
        if notes:
            self.log.warning("%s of %s: %s", names["notebook"], names["student"], "; ".join(notes))
            cells.insert(
                0, new_markdown_cell("**Repaired before grading:**\n\n" + "\n".join(f"- {note}" for note in notes))
            )
        fresh.cells = cells
        for number, cell in enumerate(cells):
            cell.id = f"graded-{number}"
        return fresh, resources


def given(cell) -> bool:
    """Whether a cell is the assignment's own code, without points: imports and data."""
    grading = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and grading.get("locked", False) and not grading.get("grade", False)


def readable(output):
    """An output as nbgrader and the feedback can read it; what is no valid output becomes an error."""
    try:
        nbformat.validate(output, ref="output", version=4, relax_add_props=True)
        text = json.dumps(output, ensure_ascii=False).encode("utf8", "replace")  # half of a character: "?"
        output = nbformat.from_dict(json.loads(text))
    except Exception as problem:
        text = f"OutputError: what the code showed cannot be stored ({type(problem).__name__})"
        return new_output("error", ename="OutputError", evalue=text, traceback=[text])
    if output.output_type == "stream":  # nbgrader takes a warning in a check for a failure
        output.name = "stdout"
    return output


def failure(problem: Exception, seconds: float):
    """What the feedback says of a cell that could not be executed to its end."""
    name, text = type(problem).__name__, str(problem)
    if isinstance(problem, CellTimeoutError):
        text = f"stopped after {seconds:g} s"
    elif isinstance(problem, DeadKernelError):
        text = "the code ended its own process"
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])


class GivenCodeError(RuntimeError):
    """The assignment's own code fails: nothing can be graded on this machine."""


class LimitedExecute(Execute):
    """Execute a submission; a cell that hangs or kills its kernel costs its own points only.

    The next cell runs in a new kernel in which the locked cells without points (imports, data) ran again.
    Where these fail, no fault of the student's, nothing is graded.
    """

    memory = Float(4.0, help="GB of data that a kernel may hold; see guard.py").tag(config=True)

    def preprocess(self, nb, resources):
        """Execute all cells in a kernel with limits, and without the grader's own environment."""
        guard = Path(__file__).with_name("guard.py")
        self.interrupt_on_timeout = False  # code can ignore an interrupt, but not the end of its process
        self.extra_arguments = [f"--IPKernelApp.exec_files={guard}", "--HistoryManager.hist_file=:memory:"]
        self.timeout_func = lambda cell: (20 if given(cell) else 1) * self.timeout  # imports are slow, and ours
        self.startup_timeout = 300  # of a kernel, on a busy machine
        self.setup = []
        return super().preprocess(nb, resources)

    def start_new_kernel(self, **options):
        """Start a kernel that sees only harmless variables."""
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
            if name in os.environ
        }
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
            self.end_kernel()
            if given(cell):  # spoiled by what ran before
                self.restart(resources)
                cell, resources = self.run(cell, resources, index)
            else:
                cell.outputs = [failure(problem, self.timeout)]
        if given(cell):
            self.setup.append(index)
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

    def end_kernel(self) -> None:
        """End the kernel, if it has not ended by itself, and be ready for a new one."""
        if self.km is not None:
            self._cleanup_kernel()
        self.create_kernel_manager()

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
        """Write a line for every assignment and student."""
        course, to = CourseDirectory(parent=self), self.to or "grades.csv"
        with open(to, "w", encoding="utf8", newline="") as file:
            table = csv.writer(file)
            table.writerow([*COLUMNS, "remark"])
            for assignment in gradebook.assignments:
                for student in gradebook.students:
                    chosen = (not self.assignment or assignment.name in self.assignment) and (
                        not self.student or student.id in map(str, self.student)
                    )
                    if chosen:
                        table.writerow(self.row(gradebook, course, assignment, student))
        self.log.info("Exporting grades to %s", to)

    def row(self, gradebook, course, assignment, student) -> list:
        """What is known of one student's assignment; no points where it was not graded, and why."""
        person = [student.id, student.last_name, student.first_name, student.email]
        folders = [
            course.format_path(step, student.id, assignment.name)
            for step in (course.submitted_directory, course.autograded_directory)
        ]
        handed_in, graded = ({path.stem for path in Path(folder).glob("*.ipynb")} for folder in folders)
        names = [notebook.name for notebook in assignment.notebooks]
        remarks = [f"not graded: {name}" for name in names if name in handed_in - graded]
        points = [""] * 3
        try:
            submission = gradebook.find_submission(assignment.name, student.id)
        except MissingEntry:
            submission = None
        if not remarks and (submission is None or not graded):
            remarks = ["nothing that can be graded was handed in" if handed_in else "nothing was handed in"]
        elif not remarks:
            penalty = submission.late_submission_penalty or 0.0
            points = [submission.score, penalty, max(0.0, submission.score - penalty)]
            remarks = [f"not handed in: {name}" for name in names if name not in graded]
            waiting = sum(grade.needs_manual_grade for notebook in submission.notebooks for grade in notebook.grades)
            remarks += [f"waiting for points for words: {waiting}"] * bool(waiting)
        when = "" if submission is None else submission.timestamp or ""
        return [
            assignment.name,
            assignment.duedate or "",
            when,
            *(value or "" for value in person),
            *points,
            assignment.max_score,
            "; ".join(remarks),
        ]
