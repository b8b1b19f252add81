"""The autograder for Gradescope, in folders laid out like its container: every grade is explained."""

import copy
import json
import os
import shutil
import subprocess
import sys
import zipfile

import nbformat
import pytest
import smallcourse
from nbformat.v4 import new_code_cell
from smallcourse import NAME, RIGHT

FILE = f"{NAME}.ipynb"
VISIBLE = {"Exercise 1.1, check 1: 1 point": 1, "Exercise 1.1, check 2: 2 points": 2}
VISIBLE |= {"Exercise 1.2, check 1: 1 point": 1, "Exercise 1.2, check 2: 1 point": 1}
HIDDEN = {"Exercise 1.1, check 3: 1 point, run when graded": 1, "Exercise 1.2, check 3: 1 point, run when graded": 1}
LOOP = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"


@pytest.fixture
def container(kit, tmp_path):
    """Grade files as Gradescope does: its folders, an environment's Python, the zip unpacked; the result."""
    with zipfile.ZipFile(kit / "kit" / "gradescope" / f"{NAME}.zip") as archive:
        archive.extractall(tmp_path / "source")
    shutil.copy(tmp_path / "source" / "run_autograder", tmp_path)
    script = tmp_path / "source" / "grade.py"
    script.write_text(script.read_text().replace("SECONDS = 30 ", "SECONDS = 4 "))
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission_metadata.json").write_text("{}")

    def grade(files):
        hand_in(tmp_path, files)
        environment = {key: value for key, value in os.environ.items() if key != "EARLYSTOP_CHECKS"}
        run = ["bash", tmp_path / "run_autograder"]
        done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
        assert (tmp_path / "results" / "results.json").is_file(), done.stderr
        return valid(json.loads((tmp_path / "results" / "results.json").read_text()))

    grade.folder = tmp_path
    return grade


@pytest.fixture(scope="module")
def script(kit, tmp_path_factory):
    """The script that grades, in its folder."""
    folder = tmp_path_factory.mktemp("autograder")
    with zipfile.ZipFile(kit / "kit" / "gradescope" / f"{NAME}.zip") as archive:
        archive.extractall(folder / "source")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "source")
        import grade

        yield grade
    sys.modules.pop("grade"), sys.modules.pop("submissions")


def hand_in(folder, files):
    for name, content in files.items():
        path = folder / "submission" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def valid(found):
    """A result in the documented form of results.json."""
    assert found.keys() <= {"score", "output", "output_format", "tests"} and found["output_format"] == "text"
    assert found["output"] and ("score" in found or found["tests"])
    for one in found["tests"]:
        assert one.keys() <= {"name", "score", "max_score", "status", "output", "visibility"}
        assert one["name"] and one["output"] and one.get("visibility") in (None, "visible", "after_published")
        assert ("score" in one) == ("max_score" in one) != ("status" in one)
        assert "score" not in one or 0 <= one["score"] <= one["max_score"]
        assert one.get("status") in (None, "passed", "failed")
    return found


def points(found):
    return {one["name"]: one["score"] for one in found["tests"] if "score" in one}


def outputs(found):
    return {one["name"]: one["output"] for one in found["tests"]}


# ------------------------------------------------------------------------ the zip


def test_the_zip_holds_what_gradescope_asks_for_and_no_solution(kit):
    with zipfile.ZipFile(kit / "kit" / "gradescope" / f"{NAME}.zip") as archive:
        names = archive.namelist()
        assert {"setup.sh", "run_autograder", "grade.py", "submissions.py", "guard.py", "requirements.txt"} <= {*names}
        assert {"package/pyproject.toml", "package/src/earlystop/__init__.py", FILE} <= {*names}
        for script in ("setup.sh", "run_autograder"):
            assert archive.getinfo(script).external_attr >> 16 & 0o111
            subprocess.run(["bash", "-n"], input=archive.read(script), check=True)
        assignment = archive.read(FILE).decode()
        assert "torch==" in archive.read("requirements.txt").decode()
    assert "secret = -3" in assignment and "two * x" not in assignment and "itself again" not in assignment


def test_the_zip_is_the_same_when_the_sources_are(kit, tmp_path):
    smallcourse.write(tmp_path)
    one, two = (folder / "kit" / "gradescope" / f"{NAME}.zip" for folder in (kit, tmp_path))
    assert one.read_bytes() == two.read_bytes()


# ------------------------------------------------------------------------ honest submissions


def test_right_answers_get_all_points_and_hidden_checks_show_later(kit, container):
    found = container({FILE: smallcourse.answered(kit, RIGHT, "Because.")})
    assert points(found) == VISIBLE | HIDDEN and {"passed"} == {outputs(found)[name] for name in VISIBLE | HIDDEN}
    later = {one["name"] for one in found["tests"] if one.get("visibility") == "after_published"}
    assert later == {*HIDDEN} and "5 of 5 points" in found["output"] and "2 points, show later" in found["output"]
    (words,) = [one for one in found["tests"] if "score" not in one]
    assert words["name"] == "Exercise 1.1, in words" and words["status"] == "passed" and "Because." in words["output"]
    assert "secret" in (container.folder / "source" / FILE).read_text()  # it is there again


def test_the_solution_as_the_kit_writes_it_gets_all_points(kit, container):
    found = container({FILE: (kit / "kit" / "solution" / FILE).read_bytes()})
    assert points(found) == VISIBLE | HIDDEN


def test_a_blank_notebook_gets_nothing_and_hears_why(kit, container):
    found = container({FILE: smallcourse.answered(kit, {})})
    assert set(points(found).values()) == {0} and len(points(found)) == 6
    assert {outputs(found)[name] for name in VISIBLE | HIDDEN} == {"The answer is still blank."}
    assert "no answer yet" in outputs(found)["Exercise 1.1, in words"]


def test_wrong_answers_hear_the_hints_of_their_checks(kit, container):
    wrong = {"ex-twice-answer": "def twice(x):\n    return x ** 2", "ex-half-of-answer": "half = (3 / 2"}
    found = container({FILE: smallcourse.answered(kit, wrong)})
    said = outputs(found)
    assert points(found) == dict.fromkeys(VISIBLE | HIDDEN, 0) | {"Exercise 1.1, check 2: 2 points": 2}
    assert said["Exercise 1.1, check 1: 1 point"] == "twice(1) gives 1, not 2: add a number to itself"
    assert said["Exercise 1.1, check 3: 1 point, run when graded"] == "negative numbers are doubled as well"
    assert "SyntaxError" in said["Exercise 1.2, check 1: 1 point"]
    assert "The answer itself fails" in said["Exercise 1.2, check 1: 1 point"]


# ------------------------------------------------------------------- files that are no submission

NONE = {
    "nothing": ({}, ["hand in 01_page.ipynb", "there was: nothing"]),
    "a script": ({"answer.py": b"half = 1.5"}, ["hand in 01_page.ipynb", "answer.py"]),
    "no notebook": ({FILE: b"this is not a notebook"}, ["cannot be read as a notebook"]),
    "a picture": ({FILE: bytes(range(256))}, ["cannot be read as a notebook"]),
    "a number": ({FILE: 3}, ["cannot be read as a notebook"]),
    "no cells": ({FILE: {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}}, ["cannot be read as a notebook"]),
    "odd cells": (
        {FILE: {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}},
        ["cannot be read as a notebook"],
    ),
    "too deep": ({FILE: b"[" * 100_000}, ["cannot be read as a notebook"]),
    "a folder": ({f"{FILE}/inside.txt": b"text"}, ["hand in 01_page.ipynb", "inside.txt"]),
    "too large": ({FILE: b" " * 50_000_001}, ["more than 50 MB"]),
}


@pytest.mark.parametrize("what", NONE)
def test_what_is_no_notebook_gets_nothing_and_hears_what_is_wanted(script, what):
    files, expected = NONE[what]
    folder = script.HERE.parent
    shutil.rmtree(folder / "submission", ignore_errors=True)
    (folder / "submission").mkdir()
    hand_in(folder, files)
    script.main()
    found = valid(json.loads((folder / "results" / "results.json").read_text()))
    assert found["score"] == 0 and all(text in found["output"] for text in expected), found


def test_a_machine_that_cannot_grade_says_so(kit, container):
    (container.folder / "venv" / "bin" / "python").unlink()
    run = ["bash", container.folder / "run_autograder"]
    subprocess.run(run, cwd=container.folder, capture_output=True, timeout=60)
    found = json.loads((container.folder / "results" / "results.json").read_text())
    assert found["score"] == 0 and "tell your instructor" in found["output"]


# ------------------------------------------------------------------- notebooks that were bent


def test_another_name_and_several_files_are_graded_and_named(kit, container):
    right, blank = smallcourse.answered(kit, RIGHT), smallcourse.answered(kit, {})
    other = nbformat.v4.new_notebook(cells=[new_code_cell("1")])
    files = {"Copy of it.ipynb": right, "other.ipynb": other, ".ipynb_checkpoints/01_page.ipynb": blank, "x.py": b"1"}
    found = container(files)
    assert points(found) == VISIBLE | HIDDEN
    assert "Graded: Copy of it.ipynb." in found["output"] and "Not graded: other.ipynb." in found["output"]


def test_another_assignment_is_named(container):
    found = container({FILE: nbformat.v4.new_notebook(cells=[new_code_cell("half = 1.5")])})
    assert set(points(found).values()) == {0} and "another assignment's" in found["output"]


def test_deleted_copied_and_changed_cells_cost_nothing_else(kit, container):
    notebook = smallcourse.answered(kit, RIGHT)
    for cell in notebook.cells:
        if "check" in cell.id:
            cell.source, cell.metadata = "pass", {"nbgrader": {"points": 100, "grade_id": cell.id}}
    checks = [cell for cell in notebook.cells if "check" in cell.id]
    answer = next(cell for cell in notebook.cells if cell.id == "ex-twice-answer")
    helped = copy.deepcopy(answer) | {"source": "# answer: ex-twice-answer\ndef twice(x):\n    return helper * x"}
    cells = [cell for cell in notebook.cells if cell not in checks and cell.id != "ex-half-of-answer"]
    notebook.cells = [*cells, *checks[:2], *checks[:2], new_code_cell("helper = 2"), helped]
    found = container({FILE: notebook})
    assert points(found) == {name: score * (".1" in name) for name, score in (VISIBLE | HIDDEN).items()}
    assert "ex-half-of-answer was there 0 times" in found["output"] and "there 2 times" in found["output"]


HARM = {
    "loop": (LOOP, "stopped after 4 s"),
    "exit": ("import os\nos._exit(0)", "ended its own process"),
    "quiet": (
        "get_ipython().showtraceback = lambda *a, **o: None\ndef twice(x):\n    raise ValueError('x')",
        "ValueError",
    ),
    "half": ("def twice(x):\n    raise AssertionError(chr(0xd83d))", "surrogates not allowed"),
    "odd": ("def twice(x):\n    raise AssertionError('so' + chr(0) + '\\x1b[31m' + 'long' * 10**6)", "solong"),
    "files": (
        "from pathlib import Path\ntext = ''.join(path.read_text() for path in Path(FOLDER).glob('source/*.ipynb'))\n"
        "def twice(x):\n    raise AssertionError('read: ' + text)",
        "read: ",
    ),
    "results": (
        "from pathlib import Path\nPath(FOLDER, 'results', 'results.json').write_text('{\"score\": 100}')\n"
        "def twice(x):\n    return 0",
        "twice(1) gives 0",
    ),
    "spy": (
        "import sys\ndef twice(x):\n    seen = [*globals().get('In', []), str(sys._getframe(1).f_globals)]\n"
        "    raise AssertionError('spied: ' + ' '.join(seen))",
        "spied: ",
    ),
}


@pytest.mark.leg
@pytest.mark.parametrize("what", HARM)
def test_harm_costs_only_its_own_points_and_shows_no_hidden_check(kit, container, what):
    code, expected = HARM[what]
    code = code.replace("FOLDER", repr(str(container.folder)))
    found = container({FILE: smallcourse.answered(kit, RIGHT | {"ex-twice-answer": code})})
    said, score = outputs(found), points(found)
    assert score["Exercise 1.1, check 1: 1 point"] == 0 and expected in said["Exercise 1.1, check 1: 1 point"], said
    assert {name: score[name] for name in score if ".2" in name} == {name: 1 for name in score if ".2" in name}
    shown = json.dumps([one for one in found["tests"] if one.get("visibility") != "after_published"])
    assert "secret" not in shown + found["output"] and "negative numbers" not in shown
