"""How nbgrader grades this course: answers are put back in their places, limits are set.

This folder is the root of the course. In it, as usual:
    nbgrader generate_assignment NAME; nbgrader autograde NAME; nbgrader generate_feedback NAME
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic

c = get_config()
c.CourseDirectory.course_id = "stopping-early"
c.CourseDirectory.root = str(HERE)
ours, theirs = "grading.{}".format, "nbgrader.preprocessors.{}".format
c.Autograde.sanitize_preprocessors = [
    ours("RestoreAnswers"), theirs("ClearOutput"), ours("HiddenChecks"), theirs("CheckCellMetadata")
]  # fmt: skip
c.Autograde.autograde_preprocessors = [
    ours("LimitedExecute"),
    *map(theirs, ("IgnorePattern", "LimitOutput", "CheckCellMetadata", "SaveAutoGrades", "AssignLatePenalties")),
]
c.LimitedExecute.timeout = 30  # seconds a cell; then its kernel is killed, and the next cell gets a new one
c.LimitedExecute.memory = 4.0  # GB of data a kernel may hold (Linux; elsewhere there is no limit)
c.ExportApp.plugin_class = ours("ExportTable")  # grades.csv shows no points that were not given
