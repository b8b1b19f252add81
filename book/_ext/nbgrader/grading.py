"""Two steps of nbgrader's autograder that survive what students hand in."""

import os
import re
from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_markdown_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Float

MOST_OUTPUT = 1_000_000  # characters a cell may show; the rest is forgotten
MARK = re.compile(r"^(?:# |<!-- )answer: ([\w-]+)")  # the first line of every answer


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
        source = Path(course.format_path(course.source_directory, ".", names["assignment"])) / f"{names['notebook']}.ipynb"
        fresh = nbformat.read(source, as_version=4)
        known = {cell.metadata.nbgrader.grade_id: cell for cell in fresh.cells if "nbgrader" in cell.metadata}
        answers = {name: [] for name, cell in known.items() if cell.metadata.nbgrader.solution}
        added, waiting, present = {}, [], set()
        for cell in nb.cells:
            mark, name = MARK.match(cell.source), cell.metadata.get("nbgrader", {}).get("grade_id")
            name = mark[1] if mark and mark[1] in answers else name
            present.add(name)
            if name in answers:
                answers[name].append(cell.source)
                added.setdefault(name, []).extend(waiting)
                waiting = []
            elif name not in known and cell.cell_type == "code" and not cell.source.lstrip().startswith("# Exercise"):
                cell.metadata = nbformat.NotebookNode()
                waiting.append(cell)
        with Gradebook(resources["nbgrader"]["db_url"]) as gradebook:
            stored = {cell.name: cell.source for cell in gradebook.find_notebook(names["notebook"], names["assignment"]).source_cells}
        notes, cells = [], []
        for cell in fresh.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = stored.get(name, cell.source)
            if name in answers:
                given = [text for text in answers[name] if text.strip() != cell.source.strip()]
                notes += [f"{name} was missing and counts as blank"] * (not answers[name])
                notes += [f"{name} was there {len(answers[name])} times; the last changed one counts"] * (len(answers[name]) > 1)
                cell.source = given[-1] if given else cell.source
            elif name and name not in present:
                notes.append(f"{name} was missing and was put back")
            cells += [*added.get(name, []), cell]
        if notes:
            self.log.warning("%s of %s: %s", names["notebook"], names["student"], "; ".join(notes))
            cells.insert(0, new_markdown_cell("**Repaired before grading:**\n\n" + "\n".join(f"- {note}" for note in notes)))
        fresh.cells = cells
        for number, cell in enumerate(cells):
            cell.id = f"graded-{number}"
        return fresh, resources


def given(cell) -> bool:
    """Whether a cell is the assignment's own code, without points: imports and data."""
    grading = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and grading.get("locked", False) and not grading.get("grade", False)


class LimitedExecute(Execute):
    """Execute a submission; a cell that hangs or kills its kernel costs its own points only.

    The next cell runs in a new kernel in which the locked cells without points (imports, data) ran again.
    """

    memory = Float(4.0, help="GB of data that a kernel may hold; see guard.py").tag(config=True)

    def preprocess(self, nb, resources):
        """Execute all cells in a kernel with limits, and without the grader's own environment."""
        guard = Path(__file__).with_name("guard.py")
        self.interrupt_on_timeout = False  # code can ignore an interrupt, but not the end of its process
        self.extra_arguments = [f"--IPKernelApp.exec_files={guard}", "--HistoryManager.hist_file=:memory:"]
        self.timeout_func = lambda cell: (20 if given(cell) else 1) * self.timeout  # imports are slow, and ours
        self.setup = []
        return super().preprocess(nb, resources)

    def start_new_kernel(self, **options):
        """Start a kernel that sees only harmless variables."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
        return super().start_new_kernel(env=kept | {"COURSE_MEMORY_GB": str(self.memory)}, **options)

    def process_message(self, msg, cell, cell_index):
        """Take what a cell shows, up to a limit."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result"):
            self.shown += len(str(msg["content"]))
            if self.shown > MOST_OUTPUT:
                return None
        return super().process_message(msg, cell, cell_index)

    def preprocess_cell(self, cell, resources, index):
        """Execute one cell; give the next ones a new kernel if this one used up its own."""
        self.shown = 0
        if self.kc is None:
            self.restart(resources)
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except (CellTimeoutError, DeadKernelError) as problem:
            late = isinstance(problem, CellTimeoutError)
            name = "CellTimeoutError" if late else "DeadKernelError"
            text = f"stopped after {self.timeout} s" if late else "the code ended its own process"
            cell.outputs = [new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])]
            self._cleanup_kernel()
        for output in cell.get("outputs", []):  # nbgrader takes a warning in a check for a failure
            if output.output_type == "stream":
                output.name = "stdout"
        if given(cell):
            self.setup.append(cell)
        return cell, resources

    def restart(self, resources) -> None:
        """A new kernel, with the given cells run once more."""
        self.create_kernel_manager()
        self.start_new_kernel()
        self.start_new_kernel_client()
        for number, cell in enumerate(self.setup):
            super().preprocess_cell(nbformat.from_dict(dict(cell, outputs=[])), resources, number)
