"""The two-week unit: goals that exercises name, two tests whose keys are computed, and what the kit writes of it."""

import math
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import course
import nbformat
import pytest
import torch
import unit
import yaml

from earlystop import data

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "unit.md").read_text(encoding="utf8")
GOALS = unit.read_goals(ROOT)
TESTS = {
    f"{begins}{form}": unit.read_test(ROOT, form, part) for part, begins in unit.PARTS.items() for form in unit.FORMS
}
SIZES = {name: 5 if "week" in name else 10 for name in TESTS}
EVERY = [(form, question) for form, questions in TESTS.items() for question in questions]
NAMES = [f"{form} {question.number}" for form, question in EVERY]
PLAN = PAGE.partition("(unit-plan)=")[2].partition("## The two tests")[0]
THIRD = PAGE.partition("(unit-third-week)=")[2].partition("(unit-project)=")[0]
NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?")
SMALL = {0, 1, 2, 3, 4}  # numbers that a formula has by itself, or that a question has in words


@pytest.fixture(scope="module")
def chapters():
    return course.read_course()


@pytest.fixture(scope="module")
def written(chapters):
    return unit.files(ROOT, course.trained(chapters, "{0.number}"))


def exercises(chapters):
    return [one for chapter in chapters for one in chapter.exercises]


def numbers(text):
    """All numbers in a text, as they are written there."""
    return [found.replace("−", "-").replace(",", "") for found in NUMBER.findall(text)]


# ------------------------------------------------------------------------ goals


def test_every_exercise_names_a_goal_and_every_goal_is_trained(chapters):
    assert 8 <= len(GOALS) <= 17
    without = [one.label for one in exercises(chapters) if not one.goals]
    assert not without, f"name a goal: '% derive, 20 minutes, goals: vote' in {', '.join(without)}"
    trained = course.trained(chapters, "{0.label}")
    assert trained.keys() == GOALS.keys(), f"no exercise trains {GOALS.keys() - trained.keys()}"


def test_students_read_their_goals_at_the_head_of_an_exercise(chapters):
    (one,) = [one for one in exercises(chapters) if one.label == "ex-dataset-flips"]
    head = course.exercise_cells(one, solved=False)[0].source.splitlines()[2]
    assert head.endswith("You practice: counting labels, reading the theorem.*")
    row = next(line for line in course.overview(chapters) if "ex-dataset-flips" in line)
    assert "| Wrong by chance | 1, 4 | derive | 20 |" in row


def test_a_goal_that_there_is_not_is_refused_in_one_line():
    with pytest.raises(unit.UnitError, match="ex-x: there is no goal 'votes'.*choose from labels, clusters, vote"):
        unit.named_goals(ROOT, "labels, votes", "ex-x")


def test_a_book_without_a_unit_has_no_goals_and_no_files(tmp_path):
    assert unit.named_goals(tmp_path, "", "ex-x") == {} == unit.files(tmp_path, {})


# -------------------------------------------------------------------- the two tests


def test_the_two_forms_are_parallel():
    assert {name: len(questions) for name, questions in TESTS.items()} == SIZES
    for begins in unit.PARTS.values():
        for one, other in zip(TESTS[f"{begins}before"], TESTS[f"{begins}after"]):
            assert (one.about, one.goal) == (other.about, other.goal) and one.ask != other.ask
            assert one.key != other.key, f"question {one.number}: whoever remembers the letter is right"


def test_right_answers_stand_everywhere():
    for form, questions in TESTS.items():
        counts = Counter(question.key for question in questions)
        fair = {2, 3} if SIZES[form] == 10 else {1, 2}
        assert set(counts.values()) <= fair and len(counts) == unit.OPTIONS, f"{form}: {counts}"
        letters = "".join(question.key for question in questions)
        assert not re.search(r"(.)\1", letters), f"{form}: {letters}, twice the same"
    assert set(Counter(question.key for form, question in EVERY if SIZES[form] == 10).values()) == {5}


@pytest.mark.parametrize(("form", "question"), EVERY, ids=NAMES)
def test_nothing_but_the_content_gives_the_right_answer_away(form, question):
    lengths = {option.right: [len(one.says) for one in question.options if one.right == option.right]
               for option in question.options}  # fmt: skip
    assert max(lengths[True]) <= max(lengths[False]), "the right option is the longest"
    assert len({option.says for option in question.options}) == unit.OPTIONS
    assert len({option.because for option in question.options}) == unit.OPTIONS, "one misconception an option"
    assert all(len(option.because) > 20 for option in question.options)
    assert not re.search("all of the above|none of the above", " ".join(option.says for option in question.options))
    assert "$" not in question.ask + "".join(option.says + option.because for option in question.options)


def test_right_answers_are_not_always_the_shortest():
    shortest = [len(one.options[ord(one.key) - 65].says) < min(len(o.says) for o in one.options if not o.right)
                for _, one in EVERY]  # fmt: skip
    assert sum(shortest) <= len(EVERY) // 4


@pytest.mark.parametrize(("form", "question"), EVERY, ids=NAMES)
def test_every_key_is_computed(form, question):
    """What the right option says is what its `check` gives; so is every wrong number, and it is another one."""
    results = []
    for option in question.options:
        if not option.check:
            assert not option.right, "the right option has no check"
            continue
        found = eval(option.check, {"math": math, "torch": torch, "data": data})
        if isinstance(found, str):
            assert found in option.says and sum(found in one.says for one in question.options) == 1
            continue
        said = numbers(option.says)[0]
        assert abs(float(said) - found) < 0.51 * 10 ** -len(said.partition(".")[2]), f"{option.check} is {found}"
        results.append(found)
    assert len(set(results)) == len(results)


@pytest.mark.parametrize(("form", "question"), EVERY, ids=NAMES)
def test_checks_use_the_numbers_of_the_question(form, question):
    known = {float(text) for text in numbers(" ".join([question.ask, *(one.says for one in question.options)]))}
    known |= {abs(value) for value in known}
    for option in question.options:
        used = {float(text) for text in re.findall(r"\d+(?:\.\d+)?", option.check)}
        assert used <= known | SMALL, f"{option.check}: {used - known} is in no option, and not in the question"


def test_a_question_without_a_key_is_refused(tmp_path):
    (tmp_path / "book").mkdir()
    said = yaml.safe_load((ROOT / "book" / "unit.yml").read_text(encoding="utf8"))
    said["questions"][0]["after"]["options"][2]["wrong"] = said["questions"][0]["after"]["options"][2].pop("right")
    (tmp_path / "book" / "unit.yml").write_text(yaml.safe_dump(said))
    assert len(unit.read_test(tmp_path, "before")) == 10
    with pytest.raises(unit.UnitError, match=r"question 1, after: it should have 4 options, one of them right"):
        unit.read_test(tmp_path, "after")


# ------------------------------------------------------------------- what is written


@pytest.mark.parametrize("form", TESTS)
def test_students_get_every_question_and_no_key(written, form):
    for name in (f"{form}.md", f"{form}.html", f"{form}.ipynb"):
        assert all(one.says.split(" ")[0] in written[name] for question in TESTS[form] for one in question.options)
        assert not any(one.because in written[name] for question in TESTS[form] for one in question.options)
        assert "✓" not in written[name] and "right:" not in written[name].lower()
    notebook = nbformat.reads(written[f"{form}.ipynb"], as_version=4)
    answers = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert answers == ['code = ""'] + [f'answer_{number} = ""  # A, B, C or D' for number in range(1, SIZES[form] + 1)]


@pytest.mark.parametrize("form", TESTS)
def test_teachers_get_every_misconception(written, form):
    for question in TESTS[form]:
        (section,) = re.findall(rf"^### {question.number}: .*?(?=^### |\Z)", written[f"key-{form}.md"], re.M | re.S)
        assert f"✓ **{question.key}**" in section and section.count("✓") == 1
        assert all(option.because in section for option in question.options)
        assert re.search(r"trained by: Exercise \d", section), "no exercise trains what is asked"


@pytest.mark.parametrize("form", TESTS)
def test_moodle_reads_one_right_option_and_a_feedback_for_each(written, form):
    category, *questions = ElementTree.fromstring(written[f"moodle-{form}.xml"])
    assert category.get("type") == "category" and len(questions) == SIZES[form]
    for question, entry in zip(TESTS[form], questions):
        assert entry.get("type") == "multichoice" and entry.findtext("single") == "true"
        assert question.ask.split("\n")[0][:40] in entry.findtext("questiontext/text", "")
        answers = entry.findall("answer")
        assert [answer.get("fraction") for answer in answers] == ["100" if o.right else "0" for o in question.options]
        for option, answer in zip(question.options, answers):
            assert option.says in answer.findtext("text", "")
            assert option.because in answer.findtext("feedback/text", "")


def test_printed_pages_need_nothing_from_elsewhere(written):
    for name in (name for name in written if name.endswith(".html")):
        assert not re.search(r"src=|<link|<script|@import", written[name]), name
    for name in unit.HANDOUTS:
        assert not re.search(r"[{}$]", written[f"{name}.md"]), f"{name}: what only the book can show"
        assert written[f"{name}.md"].startswith("# ")
    assert written["project.html"].count("<table>") == 2


def test_the_kit_writes_the_unit(tmp_path, written):
    course.write([], tmp_path)
    assert {path.name for path in (tmp_path / "unit").iterdir()} == written.keys()


# ---------------------------------------------------------------------------- the page


def planned_goals(chapters, plan, count):
    """What a plan's exercises train; its hours are full, and its command names its exercises."""
    hours = re.findall(r"^### Hour \d+: .*?(?=^### |\Z)", plan, re.M | re.S)
    assert len(hours) == count
    for hour in hours:
        (lesson,) = re.findall(r"^- \*\*In class\.\*\* (.*)$", hour, re.M)
        assert sum(map(int, re.findall(r"\((\d+)\)", lesson))) == 60, hour.splitlines()[0]
    planned = set(re.findall(r"\{ref\}`(ex-[\w-]+)`", plan))
    (command,) = re.findall(r'--exercises ([\w,-]+)"', plan)
    assert set(command.split(",")) == planned and len(command.split(",")) == len(planned)
    assert len(exercises(course.read_course(exercises=command))) == len(planned)
    return {name for one in exercises(chapters) if one.label in planned for name in one.goals}


def test_the_plans_fill_their_hours_with_exercises_that_there_are(chapters):
    two, third = planned_goals(chapters, PLAN, 8), planned_goals(chapters, THIRD, 4)
    assert two | third == GOALS.keys(), f"the plans do not train {GOALS.keys() - two - third}"
    assert {question.goal for name, questions in TESTS.items() if "week" not in name for question in questions} <= two
    assert {question.goal for name, questions in TESTS.items() if "week" in name for question in questions} <= third


def test_each_chapter_has_its_hour_and_every_section_of_the_paper_its_questions():
    for label in ("dataset", "main-theorem", "overfitting", "mnist", "cifar10", "jacobian"):
        assert f"<chapter-{label}>" in PLAN
    for label in ("filters", "stopping", "structured", "remedies", "your-labels"):
        assert f"<chapter-{label}>" in THIRD
    guide = PAGE.partition("(unit-reading)=")[2]
    sections = re.findall(r"^### Section (\S+),(.*?)(?=^### |\Z)", guide, re.M | re.S)
    assert [number for number, _ in sections] == ["1", "1.1", "1.2", "2", "2.1", "3", "4", "5"]
    assert all("- **Read**" in text and "- **Ask**" in text for _, text in sections)
    assert all("{claim}" in text for number, text in sections if number != "5")


def test_points_of_the_rubric_are_what_the_page_says():
    table = PAGE.partition("### How it is judged")[2].partition("(unit-reading)=")[0]
    rows = re.findall(r"^\| (\*\*.+?) \|(.*)\|$", table, re.M)
    assert all(len(cells.split(" | ")) == 4 for _, cells in rows)
    (most,) = re.findall(r"(\d+) in all", table)
    assert int(most) == 3 * sum(2 if name.endswith(", twice") else 1 for name, _ in rows)


def test_the_site_has_no_keys():
    """Neither the page nor the guide says what the options are."""
    pages = "".join((ROOT / "book" / f"{name}.md").read_text(encoding="utf8") for name in ("unit", "instructors"))
    assert not any(
        option.because in pages or question.ask in pages for _, question in EVERY for option in question.options
    )
