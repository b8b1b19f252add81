"""The course kit: what it refuses, what it writes, and the whole way through the real nbgrader."""

import contextlib
import copy
import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import course
import nbformat
import pairs
import pytest
from answer_tables import RIGHT, WRONG
from nbgrader.api import Gradebook

ROOT = Path(__file__).resolve().parents[1]
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic

HEAD = "# One\n\n## Exercises\n\n"
ASKED = """```{{exercise-start}} Twice
:label: {label}
```
% implement, 5 minutes

Write it.
```{{exercise-end}}
```

```{{solution-start}} {label}
:class: dropdown
```

{body}```{{solution-end}}
```
"""


@pytest.fixture(scope="module")
def chapters():
    return course.read_course()


def exercises(chapters):
    return {exercise.label: exercise for chapter in chapters for exercise in chapter.exercises}


# ------------------------------------------------------------------------ the exercises


def test_there_are_enough_exercises_of_every_kind(chapters):
    for chapter in chapters:
        count = len(chapter.exercises)
        assert 3 <= count <= 7, f"book/{chapter.name}.md: {count} exercise(s), should be 3 to 7"
    every = exercises(chapters).values()
    assert len(every) >= 30
    assert {exercise.kind for exercise in every} == set(course.KINDS)
    assert any(exercise.rubric for exercise in every)


def test_every_solution_passes_and_no_stub_does(chapters):
    course.check_course(chapters)


@pytest.mark.parametrize("seed", [77, 20261126])
def test_individual_data_do_not_change_what_is_right(seed):
    for chapter in course.read_course():
        assert sum(len(course.SEED.findall(source)) for source in chapter.setup) == 1
        chapter.setup = [course.SEED.sub(f"SEED = {seed}", source) for source in chapter.setup]
        for exercise in chapter.exercises:
            course.check_grades(chapter, exercise)


def test_readers_see_no_marks(chapters):
    book = pairs.Book()
    for chapter in chapters:
        cells = book.notebook(chapter.name).cells
        assert not any("### BEGIN" in cell.source or "### END" in cell.source for cell in cells)
        assert not any(
            "% " in line[:2] for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()
        )


# -------------------------------------------------------------------- what is refused

ANSWER = "```{code-cell}\ndef twice(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n```\n\n"
CHECKS = ["twice(1) == 2", "twice(0) == 0", "twice(-3) == -6"]


def check(expression, hint=', "twice"'):
    return "```{code-cell}\n:tags: [check]\nassert " + expression + hint + "\n```\n\n"


def page(*checks, answer=ANSWER, label="ex-twice"):
    return ASKED.format(label=label, body=answer + "".join(checks or map(check, CHECKS)))


@pytest.fixture
def small_book(tmp_path):
    (tmp_path / "book").mkdir()
    for name in ("_config.yml", "book/references.bib"):
        shutil.copy(ROOT / name, tmp_path / name)

    def read(*texts, **options):
        names = [f"0{number}_page" for number in range(1, len(texts) + 1)]
        files = ", ".join(f"{{file: book/{name}}}" for name in names)
        (tmp_path / "_toc.yml").write_text(f"root: book/index\nparts: [{{numbered: true, chapters: [{files}]}}]\n")
        (tmp_path / "book" / "index.md").write_text("# Guide\n")
        for name, text in zip(names, texts):
            (tmp_path / "book" / f"{name}.md").write_text(HEAD + text)
        found = course.read_course(root=tmp_path, **options)
        course.check_course(found)
        return found

    return read


REFUSED = {
    "used twice": [page() + "\n" + page()],
    "book/02_page.md: ex-twice: the exercise id ex-twice is used twice": [page(), page()],
    "check 2 passes without an answer": [page(check("twice(1) == 2"), check("2 == 2"), check("twice(2) == 4"))],
    "the solution fails its own check 3": [page(*map(check, CHECKS[:2]), check("twice(1) == 3"))],
    "no exercises": ["Nothing here.\n"],
    "between ```{exercise-start} and -end": [page() + "\n````{exercise}\n:label: ex-plain\n\nWhy?\n````\n"],
    "2 checks, should be at least 3": [page(*map(check, CHECKS[:2]))],
    "check 1 gives no hint": [page(check("twice(1) == 2", hint=""), *map(check, CHECKS[:2]))],
    "has no ### END SOLUTION": [page(answer=ANSWER.replace("    ### END SOLUTION\n", ""))],
    "nothing is graded": [ASKED.format(label="ex-twice", body="So.\n\n")],
    "say what it asks for": [page().replace("% implement, 5 minutes\n", "")],
    "it defines 'twice', as ex-twice does": [page() + "\n" + page(label="ex-again")],
    "nowhere to answer": [page(answer="```{code-cell}\ntwice = lambda x: 2 * x\n```\n\n")],
    "no plain Python (invalid syntax): assert twice(1) =": [page(check("twice(1) ="), *map(check, CHECKS[1:]))],
    "no plain Python (invalid syntax): %time 1": [page(answer=ANSWER.replace("### BEGIN", "%time 1\n    ### BEGIN"))],
    "below the exercise ex-twice stands no solution": [page().replace("start} ex-twice", "start} ex-none")],
    "'% 2 pts: why' is no line of a rubric": [page(answer=ANSWER + "% 2 pts: why\n\n")],
    "below the exercise ex-again stands no solution": [page(label="ex-again").split("```{solution-start}")[0] + page()],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_graded_is_refused_in_one_line(small_book, message):
    with pytest.raises(course.CourseError) as problem:
        small_book(*REFUSED[message])
    assert message in str(problem.value) and "book/0" in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_sound_exercise_is_accepted(small_book):
    (chapter,) = small_book(page())
    assert chapter.exercises[0].points == (3, 0)


def test_points_are_those_of_the_tags_and_their_sums_stand_below_the_table(small_book):
    two = check(CHECKS[0]).replace("[check]", "[check, points-2]")
    course_of_one = small_book(page(two, *map(check, CHECKS[1:])))
    assert course_of_one[0].exercises[0].points == (4, 0)
    *_, row, sums = course.overview(course_of_one)
    assert row.endswith("| implement | 5 | 4 | 0 |") and sums.endswith("| **5** | **4** | **0** |")


def test_the_words_of_a_solution_are_in_no_notebook_that_becomes_the_students(small_book):
    (chapter,) = small_book(page(answer=ANSWER + "Twice is itself and itself again.\n\n"))
    forms = ("student", "instructor", "solution")
    told = ["itself again" in nbformat.writes(course.notebook(chapter, form)) for form in forms]
    assert told == [False, False, True]


def test_an_exercise_names_what_to_read_first_and_links_it_where_the_book_is_published(small_book, tmp_path):
    asked = page().replace("Write it.\n", "Write it.\n% read: Twice as *much*\n")
    (chapter,) = small_book("## Twice as *much*\n\n" + asked)
    question = course.notebook(chapter, "student").cells[2].source
    assert "Read first: *Twice as *much**." in question and "% read" not in question
    config = (tmp_path / "_config.yml").read_text()
    (tmp_path / "_config.yml").write_text(config.replace('baseurl: ""', 'baseurl: "https://a.github.io/b/"'))
    (chapter,) = course.read_course(root=tmp_path)
    assert chapter.exercises[0].read == ["[Twice as *much*](https://a.github.io/b/book/01_page.html#twice-as-much)"]
    with pytest.raises(course.CourseError, match="'% read: Thrice' is none of its headings: .*Twice as"):
        small_book("## Twice as *much*\n\n" + asked.replace("% read: Twice as *much*", "% read: Thrice"))


@pytest.mark.parametrize("options", [["--chapters", "12"], ["--exercises", "ex-none"]])
def test_unknown_names_are_refused(options, capsys):
    assert course.main(options) == 1
    printed = capsys.readouterr().err.strip()
    assert options[0] in printed and options[1] in printed and "choose from" in printed and "\n" not in printed


# ------------------------------------------------------------------------ what is written


def test_the_command_writes_every_form(tmp_path):
    assert (
        course.main(
            ["--chapters", "02,01", "--exercises", "ex-dataset-odd,ex-half", "--seed", "5", "--out", str(tmp_path)]
        )
        == 0
    )
    for form in ("student", "instructor", "solution"):
        assert [path.name for path in sorted((tmp_path / form).iterdir())] == [
            "01_dataset_model-seed5.ipynb",
            "02_main_theorem-seed5.ipynb",
        ]
    texts = {
        form: (tmp_path / form / "01_dataset_model-seed5.ipynb").read_text()
        for form in ("student", "instructor", "solution")
    }
    assert all("SEED = 5" in text and "Exercise 1.4" in text and "Exercise 1.1" not in text for text in texts.values())
    assert "torch.cat([X, torch.ones" in texts["solution"] and "torch.cat([X, torch.ones" not in texts["student"]
    assert "smallest_eigenvalue(" not in texts["student"] and "HIDDEN" not in texts["student"] + texts["solution"]
    assert "import earlystop" in texts["student"]
    assert not (tmp_path / "unit").exists()  # no seed changes it


def test_what_an_instructor_changed_is_kept_and_named(tmp_path, capsys):
    options = ["--chapters", "01", "--exercises", "ex-dataset-flips", "--out", str(tmp_path)]
    assert course.main(options) == course.main(options) == 0
    assert not list(tmp_path.rglob("*.mine*")) and len(capsys.readouterr().out.splitlines()) == 2
    changed = [tmp_path / "nbgrader" / "nbgrader_config.py", tmp_path / "nbgrader" / "source" / NAME / f"{NAME}.ipynb"]
    for path in changed:
        path.write_text(path.read_text().replace("30", "60") + "\n")
    assert course.main(options) == 0
    kept = [tmp_path / "changed" / f"{path.stem}.mine{path.suffix}" for path in changed]
    assert sorted(tmp_path.rglob("*.mine*")) == sorted(kept)
    printed = capsys.readouterr().out
    assert all(path.name in printed for path in [*changed, *kept]) and len(printed.splitlines()) == 3
    assert (
        course.main(["--chapters", "01", "--exercises", "ex-dataset-odd", "--out", str(tmp_path)]) == 0
    )  # others, unchanged
    assert len(list(tmp_path.rglob("*.mine*"))) == 2


# ------------------------------------------------------------------- through nbgrader


LAUNCH = """import sys
from nbgrader.apps import NbGraderApp
failed = 0
for command in sys.argv[1:]:
    try:
        NbGraderApp.launch_instance(command.split())
    except SystemExit as end:
        failed = failed or end.code
sys.exit(failed)
"""


def nbgrader(folder, *commands, code=0):
    """Run commands of the real nbgrader in a course, in one process as it starts slowly; what they printed."""
    run = [sys.executable, "-c", LAUNCH, *commands]
    done = subprocess.run(run, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800)
    assert done.returncode == code, done.stdout
    return done.stdout


def submission(chapter, answers=None, written="Because."):
    """What a student hands in: the student's notebook with answers by grade id."""
    notebook = course.notebook(chapter, "student")
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if answers is not None and name in answers:
            cell.source = f"{cell.source.splitlines()[0]}\n{answers[name]}"
        elif answers is not None and name.endswith("-written"):
            cell.source = cell.source.replace("YOUR ANSWER HERE", written)
    return notebook


def hand_in(folder, student, name, notebook):
    path = folder / "submitted" / student / "all" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook if isinstance(notebook, str) else json.dumps(notebook))


def scores(folder, student, name):
    """Points that nbgrader gave, by grade id."""
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        return {
            grade.name: grade.auto_score for grade in gradebook.find_submission_notebook(name, "all", student).grades
        }


def solutions(chapter, wrong=()):
    """Right answers by grade id, or for the exercises in `wrong` typical wrong ones."""
    found = {}
    for exercise in chapter.exercises:
        for number, answer in enumerate(exercise.answers, start=1):
            name = f"{exercise.label}-answer" + (f"-{number}" if number > 1 else "")
            found[name] = pairs.without_marks(answer + "\n")
            if exercise.label in wrong:
                found[name] = mistakes(exercise)[0] if number == 1 else "pass"
    return found


def in_other_styles(chapter):
    """Right answers by grade id, each in the last of its other styles."""
    found = {}
    for exercise in chapter.exercises:
        for number in range(1, len(exercise.answers) + 1):
            name = f"{exercise.label}-answer" + (f"-{number}" if number > 1 else "")
            found[name] = list(RIGHT[exercise.label].values())[-1] if number == 1 else "pass"
    return found


def mistakes(exercise):
    """The first wrong answer of an exercise, in place of all its cells, and the checks that refuse it."""
    return next(iter(WRONG[exercise.label].values()))


def expected(chapter, wrong=()):
    """Points of every check for `solutions`."""
    return {
        f"{exercise.label}-check-{number}": 0
        if exercise.label in wrong and number in mistakes(exercise)[1]
        else check.points
        for exercise in chapter.exercises
        for number, check in enumerate(exercise.checks, start=1)
    }


def automatic(points):
    return {name: score for name, score in points.items() if "-check-" in name}


def sources(chapters, out):
    """A course whose only assignment, `all`, holds all chapters."""
    course.write(chapters, out)
    folder = out / "nbgrader"
    (folder / "source" / "all").mkdir()
    for chapter in chapters:
        shutil.move(folder / "source" / chapter.name / f"{chapter.name}.ipynb", folder / "source" / "all")
        (folder / "source" / chapter.name).rmdir()
    return folder


# ------------------------------------------------------------ what a grader must survive

LOOP = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
READER = """import sys
def walked_angle(r):
    frame = sys._getframe(1)
    names = {**frame.f_globals, **frame.f_locals, **globals()}
    values = [value for name, value in names.items() if isinstance(value, float) and name != "__r"]
    return values[-1] if values else 0.0"""
HARM = {  # in place of the answer to ex-dataset-walk
    "loop": LOOP,
    "exit": "import sys\nsys.exit(0)",
    "quit": "import os\nos._exit(0)",
    "memory": "hog = bytearray(5 * 10**9)\nfor at in range(0, len(hog), 4096):\n    hog[at] = 1\n"
    "def walked_angle(r):\n    return 0.0",
    "reader": READER,
    "chatter": "while True:\n    print('x' * 10**6)",
    "odd": "print(chr(0xd83d))\nfrom IPython.display import display, publish_display_data\n"
    "publish_display_data({'text/plain': 3})\n"
    "display({'application/json': chr(0xdc00)}, raw=True)\ndef walked_angle(r):\n    return 0.0",
    "message": "get_ipython().kernel.session.send(get_ipython().kernel.iopub_socket, 'comm_open', {'data': None},\n"
    "    parent=get_ipython().kernel.get_parent())\ndef walked_angle(r):\n    return 0.0",
    "files": "open('huge', 'wb').write(bytes(2 * 10**8))\ndef walked_angle(r):\n    return 0.0",
}
KEPT = ["ex-dataset-flips", "ex-dataset-walk", "ex-dataset-nearest"]
NAME = "01_dataset_model"


def grades(folder, monkeypatch):
    """Score and remark of every student, as `nbgrader export` writes them."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext" / "nbgrader")
    monkeypatch.chdir(folder)
    from grading import ExportTable

    with Gradebook("sqlite:///gradebook.db") as gradebook:
        ExportTable().export(gradebook)
    with open("grades.csv", encoding="utf8") as file:
        return {line["student_id"]: (line["score"], line["remark"]) for line in csv.DictReader(file)}


@pytest.mark.leg
@pytest.mark.filterwarnings("ignore:Object of type .* not in session")  # nbgrader's own
def test_a_loop_costs_its_own_points_and_the_table_shows_no_grade_that_was_not_given(small_book, tmp_path, monkeypatch):
    """A loop that ignores interrupts, a notebook that cannot be read, and one like that after a good one."""
    setup = "```{code-cell}\nSEED = 0\ntwo = 2\n```\n\n"
    again = page(label="ex-again").replace("twice(", "again(").replace("return 2 *", "return two *")
    (chapter,) = small_book(
        setup + page() + "\n" + again.replace("```{solution-end}", "% 3 points: why\n\n```{solution-end}")
    )
    folder, right = sources([chapter], tmp_path / "kit"), solutions(chapter)
    hand_in(folder, "loop", chapter.name, submission(chapter, right | {"ex-twice-answer": LOOP}))
    hand_in(folder, "garbage", chapter.name, "this is not a notebook")
    log = nbgrader(folder, "generate_assignment all", "autograde all --LimitedExecute.timeout=4", code=1)
    assert "There was an error processing assignment" in log and "garbage" in log  # and the others were graded
    points = {name: points * (not name.startswith("ex-twice")) for name, points in expected(chapter).items()}
    assert automatic(scores(folder, "loop", chapter.name)) == points and sum(points.values()) == 3, log
    notebook = folder / "autograded" / "loop" / "all" / f"{chapter.name}.ipynb"
    assert "CellTimeoutError: stopped after 4 s" in notebook.read_text()
    failed = ("", f"not graded: {chapter.name}")
    assert grades(folder, monkeypatch) == {"loop": ("3.0", "waiting for points for words: 1"), "garbage": failed}
    notebook.unlink()  # as nbgrader does with an earlier submission when a new one cannot be graded
    with Gradebook("sqlite:///gradebook.db") as gradebook:
        gradebook.add_student("absent, so far")
        gradebook.db.commit()
    nothing = ("", "nothing was handed in")
    assert grades(folder, monkeypatch) == {"loop": failed, "garbage": failed, "absent, so far": nothing}


@pytest.fixture(scope="module")
def listener():
    """A port of this machine, and the list of those who connected to it."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.2)
        heard, over = [], threading.Event()

        def listen():
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    heard.append(server.accept())

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, listener):
    """Submissions that hang, end, hoard, delete, copy, lose, read and connect, graded in one call."""
    chapter = course.read_course("01", ",".join(KEPT))[0]
    folder, right = sources([chapter], tmp_path_factory.mktemp("hostile")), solutions(chapter)
    connect = (
        f"import socket\nwith socket.create_connection(('127.0.0.1', {listener[0]})) as line:\n"
        "    line.sendall(b'the hidden tests')\ndef walked_angle(r):\n    return 0.0"
    )
    for student, code in {**HARM, "network": connect}.items():
        hand_in(folder, student, NAME, submission(chapter, right | {"ex-dataset-walk-answer": code}))
    solved = submission(chapter, right)

    def changed(student, change):
        notebook = copy.deepcopy(solved)
        notebook.cells = [
            new
            for cell in notebook.cells
            for new in change(cell, cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        ]
        hand_in(folder, student, NAME, notebook)

    def easy(cell, name):
        if "-check-" in name:
            cell.source, cell.metadata["nbgrader"]["points"] = "pass", 100
        elif name.startswith("ex-dataset-walk-answer"):
            cell.source = cell.source.splitlines()[0]
        return [cell]

    def bare(cell, name):
        cell.metadata = {}
        return [cell]

    def loud(cell, name):
        if name.startswith("ex-dataset-walk-answer"):
            cell.source += "\nimport warnings\nquiet_angle = walked_angle\n"
            cell.source += "def walked_angle(r):\n    warnings.warn('slow')\n    return quiet_angle(r)"
        return [cell]

    def helped(cell, name):  # a cell of their own, with what the answer needs
        if name != "ex-dataset-walk-answer":
            return [cell]
        cell.source = cell.source.replace("2 * math.asin(r / 2)", "helper(r)")
        return [nbformat.v4.new_code_cell("import math\nhelper = lambda r: 2 * math.asin(r / 2)"), cell]

    def importer(cell, name):  # a check hangs, and a later answer needs what a cell of their own imports
        if name == "ex-dataset-flips-answer":
            return [nbformat.v4.new_code_cell("import numpy as np"), cell]
        if name == "ex-dataset-walk-answer":
            cell.source = f"# answer: {name}\ndef walked_angle(r):\n    while True:\n        pass\n\nquarter = 2**0.5"
        elif name == "ex-dataset-nearest-answer":
            cell.source = cell.source.replace("return ", "assert np.pi\n    return ")
        return [cell]

    changed("importer", importer)
    changed("deleter", lambda cell, name: [cell] * (name != "ex-dataset-walk-answer" and "-check-" not in name))
    changed("copier", lambda cell, name: [cell, copy.deepcopy(cell)])
    changed("easy", easy)
    changed("loud", loud)
    changed("helped", helped)
    solved.metadata["kernelspec"] = {"name": "julia-1.10", "display_name": "Julia", "language": "julia"}
    changed("bare", bare)  # an editor that keeps no metadata, and another kernel
    last = copy.deepcopy(
        submission(
            chapter, right | {"ex-dataset-nearest-answer": "def classify(outputs, labels):\n    while True: pass"}
        )
    )
    last.cells[:0] = [
        {"cell_type": "code", "metadata": {}, "source": "1"},
        {"cell_type": "raw", "metadata": {"nbgrader": 3}, "source": ""},
    ]
    hand_in(folder, "last", NAME, last)
    grade = "autograde all --LimitedExecute.timeout=6 --LimitedExecute.memory=3"
    return folder, chapter, nbgrader(folder, "generate_assignment all", grade)


@pytest.mark.leg
@pytest.mark.parametrize("student", [*HARM, "network", "deleter", "easy", "importer"])
def test_harm_costs_only_its_own_points(hostile, student):
    folder, chapter, log = hostile
    points = automatic(scores(folder, student, NAME))
    full = expected(chapter)
    assert points == {name: 0 if name.startswith("ex-dataset-walk") else full[name] for name in full}, log


@pytest.mark.leg
@pytest.mark.parametrize("student", ["copier", "bare", "loud", "helped"])
def test_copies_lost_metadata_warnings_and_own_cells_cost_nothing(hostile, student):
    folder, chapter, log = hostile
    assert automatic(scores(folder, student, NAME)) == expected(chapter), log


@pytest.mark.leg
def test_repairs_are_said(hostile):
    folder, _, _ = hostile
    text = (folder / "autograded" / "deleter" / "all" / f"{NAME}.ipynb").read_text()
    assert "ex-dataset-walk-answer was there 0 times" in text and "Repaired before grading" in text
    assert "there 2 times" in (folder / "autograded" / "copier" / "all" / f"{NAME}.ipynb").read_text()


@pytest.mark.leg
def test_a_loop_in_the_last_check_and_cells_that_are_none_cost_nothing_else(hostile):
    folder, chapter, log = hostile
    points, full = automatic(scores(folder, "last", NAME)), expected(chapter)
    assert points == {name: 0 if name.startswith("ex-dataset-nearest") else full[name] for name in full}, log


@pytest.mark.leg
def test_nobody_got_out(hostile, listener):
    assert listener[1] == []
    assert "PermissionError" in (hostile[0] / "autograded" / "network" / "all" / f"{NAME}.ipynb").read_text()


# ------------------------------------------------------------------- every chapter, as a course


@pytest.fixture(scope="module")
def graded(chapters, tmp_path_factory):
    """All chapters, handed in blank, solved, and (two of them) with typical mistakes."""
    folder = sources(chapters, tmp_path_factory.mktemp("course"))
    for chapter in chapters:
        hand_in(folder, "blank", chapter.name, submission(chapter))
        hand_in(folder, "right", chapter.name, submission(chapter, solutions(chapter)))
    for chapter in chapters[:2]:
        hand_in(folder, "wrong", chapter.name, submission(chapter, solutions(chapter, WRONG)))
        hand_in(folder, "styles", chapter.name, submission(chapter, in_other_styles(chapter)))
    nbgrader(folder, "generate_assignment all", "autograde all", "generate_feedback all --student wrong")
    return folder


@pytest.mark.leg
def test_nbgrader_releases_the_students_notebook(chapters, graded):
    for chapter in chapters:
        theirs = nbformat.read(graded / "release" / "all" / f"{chapter.name}.ipynb", as_version=4)
        ours = nbformat.read(graded.parent / "student" / f"{chapter.name}.ipynb", as_version=4)
        ends = [cell for cell in ours.cells if cell.id.startswith(("install", "summary"))]
        kept = [cell.source.strip() for cell in ours.cells if cell not in ends]
        assert [cell.source.strip() for cell in theirs.cells] == kept
        assert len(ends) == 2


@pytest.mark.leg
def test_blank_gets_nothing(chapters, graded):
    for chapter in chapters:
        points = scores(graded, "blank", chapter.name)
        assert set(points.values()) == {0} and set(automatic(points)) == set(expected(chapter)), chapter.name


@pytest.mark.leg
def test_the_solution_gets_full_marks(chapters, graded):
    for chapter in chapters:
        assert automatic(scores(graded, "right", chapter.name)) == expected(chapter), chapter.name
        with Gradebook(f"sqlite:///{graded / 'gradebook.db'}") as gradebook:
            notebook = gradebook.find_submission_notebook(chapter.name, "all", "right")
            for grade in notebook.grades:
                if grade.name.endswith("-written"):
                    assert grade.needs_manual_grade and grade.auto_score is None
                    grade.manual_score = grade.max_score
            gradebook.db.commit()
            assert notebook.score == notebook.max_score == sum(sum(one.points) for one in chapter.exercises)


@pytest.mark.leg
def test_right_answers_in_other_styles_get_full_marks_by_checks(chapters, graded):
    for chapter in chapters[:2]:
        assert automatic(scores(graded, "styles", chapter.name)) == expected(chapter), chapter.name


@pytest.mark.leg
def test_mistakes_lose_their_own_points(chapters, graded):
    for chapter in chapters[:2]:
        assert automatic(scores(graded, "wrong", chapter.name)) == expected(chapter, WRONG), chapter.name


@pytest.mark.leg
def test_feedback_shows_the_hints(chapters, graded):
    page = (graded / "feedback" / "wrong" / "all" / f"{chapters[0].name}.html").read_text()
    assert "the distance is a chord, not an arc" in page
