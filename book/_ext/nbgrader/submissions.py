"""What a student hands in: answers, put back into a fresh assignment and executed within limits.

It needs nbclient alone: nbgrader's steps in grading.py are built on it, and so is the script that grades on Gradescope.
"""

import json
import os
import re
from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

MOST_OUTPUT = 1_000_000  # characters a cell may show; the rest is forgotten
SEEN = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")  # by a kernel
REPAIRED = "**Repaired before grading.** A missing answer counts as blank, of several the last changed one.\n"
JUDGE = "earlystop/answers.py"  # in a part of a traceback
MARK = re.compile(r"^(?:# |<!-- )answer: ([\w-]+)")  # the first line of every answer


# ------------------------------------------------------------------- answers, back in their places


def grading(cell) -> dict:
    """nbgrader's metadata of a cell, whatever an editor has made of them."""
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def grade_id(cell) -> str | None:
    """nbgrader's name of a cell."""
    found = grading(cell).get("grade_id")
    return found if isinstance(found, str) else None


def answers(nb, known: dict) -> dict[str, list]:
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


def restore(nb, fresh) -> list[str]:
    """Put the answers of a submission into a fresh assignment, and nothing else; what had to be repaired.

    Answers are found by their first line, or by nbgrader's metadata where that line is gone: editors lose metadata,
    students delete, copy and rename cells. Cells that students added stay in front of the answer that follows them.
    Repairs are said at the top of the notebook.
    """
    found, notes, cells = answers(nb, {grade_id(cell): cell for cell in fresh.cells}), [], []
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
        cells.insert(0, new_markdown_cell("\n- ".join([REPAIRED, *notes])))
    for number, cell in enumerate(cells):
        cell.id = f"graded-{number}"
    fresh.cells = cells
    return notes


# ------------------------------------------------------------------- executed within limits


def given(cell) -> bool:
    """Whether a cell is the assignment's own code, without points: imports and data."""
    found = grading(cell)
    return cell.cell_type == "code" and found.get("locked", False) and not found.get("grade", False)


def error(name: str, text: str):
    """An error as a cell shows it."""
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])


def errors(cell) -> list:
    """What a cell failed with."""
    return [output for output in cell.get("outputs", []) if output.output_type == "error"]


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
    if output.output_type == "error":  # where a check compares is none of the student's errors
        output.traceback = [part for part in output.traceback if JUDGE not in part]
    return output


class GivenCodeError(RuntimeError):
    """The assignment's own code fails: nothing can be graded on this machine."""


class Limits:
    """For a `NotebookClient`: a cell that hangs or kills its kernel costs its own points only.

    The next cell runs in a new kernel, in which the locked cells without points (imports, data) ran again, and so did
    answers and added cells, but for the answers of an exercise whose check was stopped.
    Where locked cells fail, no fault of the student's, nothing is graded.
    """

    memory = 4.0  # GB of data that a kernel may hold; see guard.py

    def limit(self) -> None:
        """Set what must be set before a kernel starts."""
        guard = Path(__file__).with_name("guard.py")
        self.interrupt_on_timeout = False  # code can ignore an interrupt, but not the end of its process
        self.extra_arguments = [f"--IPKernelApp.exec_files={guard}", "--HistoryManager.hist_file=:memory:"]
        self.timeout_func = lambda cell: (20 if given(cell) else 1) * self.timeout  # imports are slow, and ours
        self.startup_timeout = 300  # of a kernel, on a busy machine
        self.again = []  # places of the cells that a new kernel needs

    def start_new_kernel(self, **options):
        """Start a kernel that sees only harmless variables, and in which a check that fails is an error."""
        kept = {name: os.environ[name] for name in SEEN if name in os.environ}
        kept |= {"COURSE_MEMORY_GB": str(self.memory), "EARLYSTOP_CHECKS": "raise"}
        return super().start_new_kernel(env=kept, **options)

    def process_message(self, msg, cell, cell_index):
        """Take what a cell shows, up to a limit."""
        if msg["msg_type"] in ("stream", "display_data", "execute_result"):
            self.shown += len(str(msg["content"]))
            if self.shown > MOST_OUTPUT:
                return None
        return super().process_message(msg, cell, cell_index)

    def on_cell_executed(self, cell, execute_reply, **_):
        """An error that the code kept from being shown is shown."""
        reply = execute_reply["content"]
        if reply["status"] == "error" and not errors(cell):
            cell.outputs.append(error(reply["ename"], reply["evalue"]))

    def survive(self, cell, index):
        """Execute one cell; whatever it does to its kernel is its own error, and the next ones get a new kernel."""
        self.shown = 0
        if self.kc is None:
            self.restart()
        try:
            cell = self.run(cell, index)
        except Exception as problem:  # a kernel that is gone, messages that cannot be read, code of ours that fails
            self.end_kernel()
            if not given(cell):
                self.forget(cell)
                words = {
                    CellTimeoutError: f"stopped after {self.timeout:g} s",
                    DeadKernelError: "the code ended its own process",
                }
                cell.outputs = [error(type(problem).__name__, words.get(type(problem), str(problem)))]
                return cell
            self.trust_nobody()  # spoiled by what ran before
            self.restart()
            cell = self.run(cell, index)
        self.again += [index] * (cell.cell_type == "code" and not grading(cell).get("grade"))
        return cell

    def end_kernel(self) -> None:
        """Kill the kernel, if there is one; the next cell starts another."""
        if self.km is not None:
            self._cleanup_kernel()
        self.create_kernel_manager()

    def forget(self, check) -> None:
        """No new kernel runs the answers that this check stopped at: its next check would stop as late."""
        name, mark, _ = (grade_id(check) or "").rpartition("-check-")
        own = [index for index in self.again if (grade_id(self.nb.cells[index]) or "").startswith(f"{name}-answer")]
        self.again = [index for index in self.again if not (mark and index in own)]

    def trust_nobody(self) -> None:
        """From now on only the given cells run in a new kernel."""
        self.again = [index for index in self.again if given(self.nb.cells[index])]

    def run(self, cell, index):
        """Execute one cell, and make sure that what it shows can be read. Raises `GivenCodeError`."""
        cell = self.execute_cell(cell, index, store_history=True)
        if cell.cell_type == "code":
            cell.outputs = [readable(output) for output in cell.get("outputs", [])]
            if given(cell) and errors(cell):
                first = errors(cell)[0]
                raise GivenCodeError(f"the assignment's own code fails: {first.ename}: {first.evalue}")
        return cell

    def restart(self) -> None:
        """A new kernel, in which cells that did no harm before run once more, or else the given ones alone."""
        try:
            self.repeat()
        except Exception:
            self.end_kernel()
            self.trust_nobody()
            self.repeat()

    def repeat(self) -> None:
        """A new kernel, with cells run once more; the notebook keeps what they showed the first time."""
        self.start_new_kernel()
        self.start_new_kernel_client()
        for index in self.again:
            cell = self.nb.cells[index]
            self.run(nbformat.from_dict(dict(cell, outputs=[])), index)
            self.nb.cells[index] = cell  # where nbclient has put what it executed
