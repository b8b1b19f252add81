"""A student's notebook by itself, as in Colab, where "Run all" stops at the first error: a failed check is none."""

import course
import nbformat
import pairs
import pytest
import smallcourse
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell
from smallcourse import RIGHT
from traitlets.config import Config

# Files, since another test may take a port before its kernel does.
SOCKETS = Config(KernelManager={"transport": "ipc"})


def execute(notebook, timeout=120):
    """Run all cells of a notebook, until one fails."""
    NotebookClient(notebook, timeout=timeout, config=SOCKETS).execute()


@pytest.fixture
def run_all(kit, monkeypatch):
    """Run a notebook as Colab does, until a cell fails; what each cell has shown."""
    monkeypatch.delenv("EARLYSTOP_CHECKS", raising=False)

    def run(answers, change=lambda notebook: None):
        notebook = smallcourse.answered(kit, answers)
        change(notebook)
        execute(notebook)
        assert not [one for cell in notebook.cells for one in cell.get("outputs", []) if one.output_type == "error"]
        return {cell.id: "".join(one.get("text", "") for one in cell.get("outputs", [])) for cell in notebook.cells}

    return run


def test_a_blank_notebook_runs_to_its_summary(run_all):
    shown = run_all({})
    assert "Not yet: the answer is still blank" in shown["ex-twice-check-1"]
    assert "Exercise 1.1: 0 of 3 points" in shown["summary-01"] and shown["summary-01"].count("still blank") == 4
    assert "2 by hidden checks, 2 for words" in shown["summary-01"]


def test_right_answers_pass_and_the_rest_is_said_to_follow(run_all):
    shown = run_all(RIGHT)
    assert shown["ex-half-of-check-2"] == "Passed.\n"
    assert shown["summary-01"].splitlines()[:3] == [
        "Exercise 1.1: 3 of 3 points",
        "Exercise 1.2: 2 of 2 points",
        "Together: 5 of 5 points.",
    ]


def test_wrong_answers_show_what_they_do_and_stop_nothing(run_all):
    shown = run_all(
        {"ex-twice-answer": "def twice(x):\n    return x + '1'", "ex-half-of-answer": "half = 1.6\nhalf / 0"}
    )
    assert "Not yet: TypeError" in shown["ex-twice-check-1"] and "return x + '1'" in shown["ex-twice-check-1"]
    assert "Not yet: ZeroDivisionError" in shown["ex-half-of-answer"]
    assert shown["ex-half-of-check-1"] == "Not yet: twice 1.6 is 3.2, not 3\n"
    assert shown["summary-01"].splitlines()[3:6] == [
        "Exercise 1.2: 1 of 2 points",
        "    check 1: twice 1.6 is 3.2, not 3",
        "Together: 1 of 5 points.",
    ]


def test_the_value_of_an_answers_last_line_is_shown_and_a_deleted_check_is_missed(kit, run_all):
    def change(notebook):
        notebook.cells = [cell for cell in notebook.cells if cell.id != "ex-twice-check-2"]
        notebook.cells.append(new_code_cell("value = Out[max(Out)]\nprint(value)", id="value"))

    shown = run_all(RIGHT | {"ex-half-of-answer": "half = 1.5\nhalf * 100"}, change)
    assert shown["value"] == "150.0\n"
    assert "Exercise 1.1: 1 of 3 points\n    check 2: not run yet\n" in shown["summary-01"]


def test_no_hidden_check_is_in_it(kit):
    text = nbformat.writes(smallcourse.answered(kit, {}))
    assert "secret" not in text and "negative numbers" not in text and "HIDDEN" not in text


def test_where_a_machine_judges_a_check_raises_its_error(kit, monkeypatch):
    monkeypatch.setenv("EARLYSTOP_CHECKS", "raise")
    with pytest.raises(CellExecutionError, match="add a number to itself"):
        wrong = smallcourse.answered(kit, RIGHT | {"ex-twice-answer": "def twice(x):\n    return x"})
        execute(wrong)
    execute(smallcourse.answered(kit, RIGHT))


@pytest.mark.leg
@pytest.mark.parametrize("half", [0, 1])
def test_every_chapters_notebook_runs_to_its_summary(monkeypatch, half):
    """Some with right answers, the others as students get them; half of the chapters at a time."""
    monkeypatch.delenv("EARLYSTOP_CHECKS", raising=False)
    for place, chapter in list(enumerate(course.read_course()))[half::2]:
        solved = place % 4 < 2
        notebook, form = (course.notebook(chapter, form) for form in ("student", "solution"))
        answers = {cell.id: pairs.without_marks(cell.source) for cell in form.cells if "-answer" in cell.id}
        for cell in notebook.cells if solved else ():
            cell.source = answers.get(cell.id, cell.source)
        execute(notebook, timeout=600)
        shown = "".join(one.text for one in notebook.cells[-1].outputs)
        points = [check.points for one in chapter.exercises for check in one.checks if not check.hidden]
        assert f"Together: {sum(points) * solved} of {sum(points)} points." in shown, shown
