"""Steps of nbgrader's autograder that survive what students hand in, and a table of what they could not grade."""

import csv
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins.export import ExportPlugin
from nbgrader.preprocessors import Execute, NbGraderPreprocessor, OverwriteCells
from submissions import Limits, restore
from traitlets import Float

COLUMNS = ["assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"]
COLUMNS += ["raw_score", "late_submission_penalty", "score", "max_score", "remark"]  # as nbgrader writes them, and one


class RestoreAnswers(NbGraderPreprocessor):
    """Put the answers of a submission into a fresh copy of the assignment.

    What had to be repaired is said at the top of the feedback. nbgrader's next step restores the hidden checks.
    """

    def preprocess(self, nb, resources):
        """Return the repaired notebook."""
        names, course = resources["nbgrader"], CourseDirectory(parent=self)
        folder = course.format_path(course.release_directory, ".", names["assignment"])
        fresh = nbformat.read(Path(folder, f"{names['notebook']}.ipynb"), as_version=4)
        if notes := restore(nb, fresh):
            self.log.warning("%s of %s: %s", names["notebook"], names["student"], "; ".join(notes))
        return fresh, resources


class HiddenChecks(OverwriteCells):
    """Put the hidden checks back, without a warning for each: RestoreAnswers has said what a student changed."""

    def report_change(self, name, attr, old, new):
        """Say what differs from the source to those who debug."""
        self.log.debug("%s of cell %s was %s, not %s", attr, name, new, old)


class LimitedExecute(Limits, Execute):
    """Execute a submission; a cell that hangs or kills its kernel costs its own points only."""

    memory = Float(4.0, help="GB of data that a kernel may hold; see guard.py").tag(config=True)

    def preprocess(self, nb, resources):
        """Execute all cells in kernels with limits."""
        self.limit()
        return super().preprocess(nb, resources)

    def preprocess_cell(self, cell, resources, index):
        """Execute one cell."""
        return self.survive(cell, index), resources


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
