"""The instructor's dashboard: from a gradebook made for it, and from nbgrader itself."""

import json
import re
import subprocess
import sys
from datetime import datetime
from html.parser import HTMLParser

import dashboard
import nbformat
import pytest
import smallcourse
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook
from smallcourse import NAME, RIGHT

pytestmark = pytest.mark.filterwarnings("ignore:Object of type .* not in session")  # nbgrader's own
HOSTILE = "<script>alert('1')</script>\x1b[31m\x00"
BLANK = "def twice(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
SQUARES = (
    "def twice(x):\n    return x ** 2",
    "def twice(number):  # I am Ada\n    '''Mine.'''\n    return (number**2)",
)
STUDENTS = {  # the answer, what its checks say, and the points for words
    "ada": (SQUARES[0], ["twice(1) gives 1, not 2", ""], None),
    "bob": (SQUARES[1], ["twice(1) gives 1, not 2", ""], 2),
    "cy <b>": (f"def twice(x):\n    return {HOSTILE!r}", [HOSTILE, HOSTILE], None),
    "dan": (BLANK, ["NotImplementedError", "NotImplementedError"], 0),
    "eve": ("def twice(x):\n    return 2 * x", ["", ""], None),
    "flo": ("def twice(x:\n", ["NameError", "NameError"], None),
    "gus": ("def twice(y):\n    return 2 * ", ["NameError", "NameError"], None),
}


def graded_cell(name, source, outputs=(), kind="code", **grading):
    cell = new_code_cell(source) if kind == "code" else new_markdown_cell(source)
    if kind == "code":
        cell.outputs = [*outputs]
    cell.metadata["nbgrader"] = {"grade_id": name, "grade": False, "solution": False} | grading
    return cell


def autograded(code, said):
    """What nbgrader leaves of a submission."""
    cells = [
        new_markdown_cell("### Exercise 1.1: Twice <i>\n\nWrite it."),
        graded_cell("ex-two-answer", code, solution=True),
    ]
    for number, text in enumerate(said, start=1):
        name = text if text.endswith("Error") else "AssertionError"
        outputs = [new_output("error", ename=name, evalue=text, traceback=[])] if text else []
        body = "assert 1" if number == 1 else "### BEGIN HIDDEN TESTS\nassert 1\n### END HIDDEN TESTS"
        source = f"# Exercise 1.1, check {number}: 1 point\n{body}"
        cells.append(graded_cell(f"ex-two-check-{number}", source, outputs, grade=True, points=1))
    cells.append(graded_cell("ex-two-written", "words", kind="markdown", grade=True, solution=True, points=2))
    return new_notebook(cells=cells)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A course with one exercise, seven students who were graded, and one who was not."""
    folder = tmp_path_factory.mktemp("made")
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        gradebook.add_assignment("all")
        gradebook.add_notebook(NAME, "all")
        for name, kind, most in (("check-1", "code", 1), ("check-2", "code", 1), ("written", "markdown", 2)):
            gradebook.add_grade_cell(f"ex-two-{name}", NAME, "all", max_score=most, cell_type=kind)
        for student, (code, said, words) in STUDENTS.items():
            gradebook.add_student(student)
            gradebook.add_submission("all", student)
            for number, text in enumerate(said, start=1):
                grade = gradebook.find_grade(f"ex-two-check-{number}", NAME, "all", student)
                grade.auto_score, grade.needs_manual_grade = float(not text), False
            grade = gradebook.find_grade("ex-two-written", NAME, "all", student)
            grade.manual_score, grade.needs_manual_grade = words, words is None
            path = folder / "autograded" / student / "all" / f"{NAME}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(autograded(code, said)))
        gradebook.db.commit()
    for student in ("ada", "hal"):
        path = folder / "submitted" / student / "all" / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text("")
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return dashboard.read(folder)


@pytest.fixture(scope="module")
def text(found):
    return dashboard.page(found, when=datetime(2026, 1, 2))


def test_everything_is_counted(found):
    (one,) = found
    (exercise,) = one.exercises.values()
    assert (one.title, one.graded, one.failed) == (f"all: {NAME}", 7, ["hal"])
    assert exercise.title == "Exercise 1.1: Twice <i>" and exercise.most == 2 and exercise.most_words == 2
    assert exercise.scores == [1, 1, 0, 0, 2, 0, 0] and exercise.words == [2, 0] and exercise.blank == 1
    assert exercise.waiting == ["ada", "cy <b>", "eve", "flo", "gus"]
    checks = {check.title: (check.passed, len(check.said), check.hidden) for check in exercise.checks.values()}
    assert checks == {"check 1": (1, 5, False), "check 2": (3, 3, True)}


def test_equal_answers_are_known_by_what_they_do(found):
    (exercise,) = found[0].exercises.values()
    same = [wrong.same for wrong in exercise.wrong]
    assert len(same) == 5 and same[0] == same[1] and same.count(same[2]) == 1
    assert exercise.wrong[1].shown == "def twice(number):\n    return number ** 2"
    assert "no Python" in same[3] and "no Python" in same[4]


@pytest.mark.parametrize(
    "one, two, equal",
    [
        ("def f(x):\n    y = x\n    return y", "def f(a):\n    b = a\n    return b", True),
        ("def f(x):\n    return g(x)", "def f(x):\n    return h(x)", False),
        ("limit = 1 / 2", "limit=(1/2)  # half", True),
        ("limit = 0.5", "limit = 1 / 2", False),
        ("def f(x, y):\n    return x - y", "def f(y, x):\n    return x - y", False),
        ("(" * 10**4, "(" * 10**4, True),
        ("a\x00b", "a\x00b", True),
    ],
)
def test_which_answers_count_as_the_same(one, two, equal):
    assert (dashboard.canonical(one)[0] == dashboard.canonical(two)[0]) == equal


class Strict(HTMLParser):
    """Every tag that is opened is closed, and only these are there."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_closed_to_hostile_text_and_stands_alone(text):
    parser = Strict()
    parser.feed(text)
    assert not parser.open and not parser.seen & {"script", "b>", "img", "link"}
    assert all(link.startswith("#") for link in parser.links) and "default-src 'none'" in text
    assert "&lt;script&gt;" in text and "\x1b" not in text and "\x00" not in text


def test_the_page_says_what_recurs_and_names_nobody(text, found):
    words = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    assert "<b>2 times</b>, fails check 1: twice(1) gives 1, not 2" in words and "return x ** 2" in words
    assert "check 2 (hidden)" in words and "1 notebook not graded" in words and "5 answers in words" in words
    assert "Other wrong answers: 3" in words and "0.6 of 2<" in words
    names = ("ada", "bob", "cy", "dan", "eve", "flo", "gus", "hal")
    assert not [name for name in names if re.search(rf"\b{name}\b", words, re.I)]
    assert all(name in dashboard.page(found, names=True) for name in ("(hal)", "cy &lt;b&gt;"))


def test_where_nothing_was_graded_it_says_so(tmp_path, capsys):
    assert dashboard.main([str(tmp_path)]) == 1
    assert "no gradebook.db" in capsys.readouterr().err
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}"):
        pass
    assert dashboard.main([str(tmp_path)]) == 1
    assert "nothing was graded" in capsys.readouterr().err


@pytest.mark.leg
def test_after_nbgrader_itself(tmp_path):
    """The kit, graded by nbgrader; the page is written by the copy in its folder."""
    smallcourse.write(tmp_path)
    course, wrong = tmp_path / "kit" / "nbgrader", {"ex-twice-answer": "def twice(n):\n    return n * n"}
    handed_in = {"right": RIGHT, "one": RIGHT | wrong, "two": RIGHT | wrong, "blank": {}}
    for student, answers in handed_in.items():
        path = course / "submitted" / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(smallcourse.answered(tmp_path, answers, "Because."), path)
    for command in ("generate_assignment", "autograde"):
        subprocess.run([sys.executable, "-m", "nbgrader", command, NAME], cwd=course, check=True, capture_output=True)
    subprocess.run([sys.executable, "dashboard.py"], cwd=course, check=True)
    page = (course / "dashboard.html").read_text()
    assert "4 notebooks graded" in page and "<b>2 times</b>, fails check 1, check 3: twice(1) gives 1, not 2" in page
    assert "return n * n" in page and "Left blank, wholly or in part: 1" in page and "4 answers in words" in page
