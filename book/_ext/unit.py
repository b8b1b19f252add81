"""Write what a class of the two-week unit needs: both tests, their keys, the project and the reading guide.

Goals and questions stand in ``book/unit.yml``, handouts are sections of ``book/unit.md``; ``course.py`` writes all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from string import ascii_uppercase
from xml.etree import ElementTree

import nbformat
import yaml
from markdown_it import MarkdownIt
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pairs import KERNEL, UNSEALED, Book, PairError, seal

FORMS = ("before", "after")
PARTS = {"questions": "", "third week": "third-week-"}  # of unit.yml, and how the names of their files begin
HANDOUTS = ("project", "reading")  # labels on the page, behind `unit-`
OPTIONS = 4
INTRODUCTION = """# A test, {} the {}

{} questions; one of the four options is right. It is not graded: it shows what needs to be explained.
A *given label* is what a network is told about a sample, its *true label* is what the sample really is; a given label
that is not the true one is *wrong*.

Your code, the same in both tests: """
KEY = """# Key of the test {} the {}

Right are **{}**. Below each option stands why it is right, or which misconception leads to it."""
STYLE = """body { font: 11pt/1.45 system-ui, sans-serif; max-width: 44em; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.25em } h3 { font-size: 1em; margin-bottom: .3em }
section { break-inside: avoid } table { border-collapse: collapse; margin: .6em 0; display: block; overflow-x: auto }
th, td { border: 1px solid #999; padding: .2em .6em; text-align: left; vertical-align: top }
ul { padding-left: 1.2em } li p { margin: 0 }"""
HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{}</title>
<style>{}</style></head>
<body>
{}
</body></html>
"""
MARK = f'<!-- "generated": "{UNSEALED}" -->\n'  # by it the kit sees whether somebody changed the file


class UnitError(PairError):
    """The unit names something that does not exist, or a question lacks something."""


@dataclass(frozen=True)
class Goal:
    """Something that students can do after the course."""

    number: int
    title: str
    can: str


@dataclass(frozen=True)
class Option:
    """One of the answers to choose from."""

    says: str
    right: bool
    because: str  # it is right, or the misconception that leads to it
    check: str  # what computes it


@dataclass(frozen=True)
class Question:
    """One form of a question."""

    number: int
    about: str
    goal: str
    ask: str
    options: list[Option]

    @property
    def key(self) -> str:
        """The letter of the right option."""
        return next(letter for letter, option in lettered(self) if option.right)


# ----------------------------------------------------------------- reading the unit


@cache
def read_unit(root: Path) -> dict:
    """What ``book/unit.yml`` says; a book without it has no goals."""
    path = root / "book" / "unit.yml"
    return yaml.safe_load(path.read_text(encoding="utf8")) if path.exists() else {"goals": {}, "questions": []}


def read_goals(root: Path) -> dict[str, Goal]:
    """The goals by name, in their order."""
    return {name: Goal(number, **said) for number, (name, said) in enumerate(read_unit(root)["goals"].items(), start=1)}


def named_goals(root: Path, names: str, where: str) -> dict[str, Goal]:
    """The goals in a list with commas; raise `UnitError` for a name that there is not."""
    known, wanted = read_goals(root), [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise UnitError(f"{where}: there is no goal {name!r} in book/unit.yml, choose from {', '.join(known)}")
    return {name: known[name] for name in wanted}


def read_option(said: dict, where: str) -> Option:
    """One option; raise `UnitError` unless it says why it is right, or why somebody chooses it."""
    if not said.get("says") or ("right" in said) == ("wrong" in said):
        raise UnitError(f"{where}: an option has 'says', and either 'right' (why) or 'wrong' (the misconception)")
    because = said.get("right") or said.get("wrong")
    return Option(said["says"], "right" in said, because, said.get("check", ""))


def read_test(root: Path, form: str, part: str = "questions") -> list[Question]:
    """A part's questions in one form; raise `UnitError` unless each has four options of which one is right."""
    questions = []
    for number, said in enumerate(read_unit(root).get(part, []), start=1):
        where = f"book/unit.yml: {'' if part == 'questions' else f'{part}, '}question {number}, {form}"
        named_goals(root, said["goal"], where)
        options = [read_option(one, where) for one in said[form]["options"]]
        if len(options) != OPTIONS or sum(one.right for one in options) != 1:
            raise UnitError(f"{where}: it should have {OPTIONS} options, one of them right")
        questions.append(Question(number, said["about"], said["goal"], said[form]["ask"].strip(), options))
    return questions


def head(text: str, questions: list[Question], form: str, part: str) -> str:
    """The head of a test, with its form, what it is about, and how many questions it has."""
    many = {10: "Ten", 5: "Five"}.get(len(questions), str(len(questions)))
    return text.format(form, "unit" if part == "questions" else part, many)


def lettered(question: Question) -> list[tuple[str, Option]]:
    """The options with their letters."""
    return list(zip(ascii_uppercase, question.options))


# ------------------------------------------------------------------ what is written


def asked(question: Question) -> str:
    """A question with its options, without the key."""
    options = "\n".join(f"- **{letter}** {option.says}" for letter, option in lettered(question))
    return f"### {question.number}\n\n{question.ask}\n\n{options}"


def sheet(questions: list[Question], form: str, part: str) -> str:
    """What students get, as Markdown."""
    return "\n\n".join([head(INTRODUCTION, questions, form, part) + "_" * 12, *map(asked, questions)]) + "\n"


def told(option: Option) -> str:
    """Why an option is right, or what leads to it, as a sentence."""
    return f"Right: {option.because}." if option.right else f"This answer {option.because}."


def explained(question: Question, goal: Goal, trained: list[str]) -> str:
    """A question with its key, for teachers."""
    marks = {True: "✓ ", False: ""}
    options = [f"- {marks[one.right]}**{letter}** {one.says}  \n  {told(one)}" for letter, one in lettered(question)]
    exercises = ", ".join(trained) or "no exercise that was chosen"
    head = f"### {question.number}: {question.about}\n\n{question.ask}"
    return "\n\n".join([head, "\n".join(options), f"Goal {goal.number}, {goal.title}. It is trained by: {exercises}."])


def key(
    questions: list[Question], form: str, part: str, goals: dict[str, Goal], trained: dict[str, list[str]]
) -> str:  # fmt: skip
    """What teachers get, as Markdown."""
    letters = " ".join(f"{one.number}{one.key}" for one in questions)
    parts = [explained(one, goals[one.goal], trained.get(one.goal, [])) for one in questions]
    return "\n\n".join([KEY.format(form, "unit" if part == "questions" else part, letters), *parts]) + "\n"


def sheet_notebook(questions: list[Question], form: str, part: str) -> str:
    """The sheet as a notebook, with a cell for each answer."""
    cells = [
        new_markdown_cell(head(INTRODUCTION, questions, form, part), id="introduction"),
        new_code_cell('code = ""', id="code"),
    ]
    for one in questions:
        cells.append(new_markdown_cell(asked(one), id=f"question-{one.number}"))
        cells.append(new_code_cell(f'answer_{one.number} = ""  # A, B, C or D', id=f"answer-{one.number}"))
    result = new_notebook(cells=cells, metadata={"generated": UNSEALED, "kernelspec": KERNEL}, nbformat_minor=5)
    nbformat.validate(result)
    return seal(result)


def rendered(markdown: str) -> str:
    """Markdown with tables as HTML; symbols are letters, so that a page needs nothing from elsewhere."""
    return MarkdownIt("commonmark").enable("table").render(markdown)


def printable(markdown: str) -> str:
    """A page to print; a question is not parted by the end of a sheet."""
    title = markdown.partition("\n")[0].lstrip("# ")
    parts = [f"<section>{rendered(part)}</section>" for part in re.split(r"^(?=### )", markdown, flags=re.M)]
    return HTML.format(title, STYLE, "\n".join(parts))


def text_in(parent, tag: str, text: str, **attributes: str):
    """An element of Moodle's, whose text is one level deeper."""
    element = ElementTree.SubElement(parent, tag, attributes)
    ElementTree.SubElement(element, "text").text = text
    return element


def moodle(questions: list[Question], form: str, part: str) -> str:
    """A test in Moodle's XML; the misconceptions are the feedback."""
    quiz = ElementTree.Element("quiz")
    category = ElementTree.SubElement(quiz, "question", type="category")
    text_in(category, "category", f"$course$/top/Stopping Early, {form} the {'unit' if part == 'questions' else part}")
    for one in questions:
        entry = ElementTree.SubElement(quiz, "question", type="multichoice")
        text_in(entry, "name", f"{form} {one.number}: {one.about}")
        text_in(entry, "questiontext", rendered(one.ask), format="html")
        for tag, value in {"single": "true", "shuffleanswers": "false", "answernumbering": "ABCD"}.items():
            ElementTree.SubElement(entry, tag).text = value
        for option in one.options:
            points = "100" if option.right else "0"
            answer = text_in(entry, "answer", rendered(option.says), fraction=points, format="html")
            text_in(answer, "feedback", rendered(told(option)), format="html")
    ElementTree.indent(quiz)
    return ElementTree.tostring(quiz, encoding="unicode", xml_declaration=True) + "\n"


def handout(book: Book, name: str) -> str:
    """A section of the unit's page as plain Markdown; claims are named by their ids."""
    text = (book.root / "book" / "unit.md").read_text(encoding="utf8")
    found = re.search(rf"^\(unit-{name}\)=\n#(# .*?)(?=^\([\w-]+\)=\n## |^## |\Z)", text, re.M | re.S)
    if not found:
        raise UnitError(f"book/unit.md: there is no section with the label unit-{name}")
    plain = re.sub(r"\{claim\}(`[^`]+`)", r"\1", found[1])
    return book.convert(plain, "book/unit.md") + "\n"


def files(root: Path, trained: dict[str, list[str]]) -> dict[str, str]:
    """The texts of all files by name; nothing for a book without a unit. `trained`: the exercises of each goal."""
    if not read_goals(root):
        return {}
    book, goals = Book(root), read_goals(root)
    texts, made = {name: handout(book, name) for name in HANDOUTS}, {}
    for form, (part, begins) in product(FORMS, PARTS.items()):
        if questions := read_test(root, form, part):
            name = f"{begins}{form}"
            texts |= {name: sheet(questions, form, part), f"key-{name}": key(questions, form, part, goals, trained)}
            made |= {f"{name}.ipynb": sheet_notebook(questions, form, part)}
            made |= {f"moodle-{name}.xml": moodle(questions, form, part)}
    for name, text in texts.items():
        made |= {f"{name}.md": text, f"{name}.html": printable(text)}
    marked = {name: seal(f"{text}\n{MARK}") for name, text in made.items() if not name.endswith(".ipynb")}
    return made | marked


def goal_table(root: Path, trained: dict[str, list[str]]) -> list[str]:
    """A MyST table of the goals with the exercises that train them."""
    lines = ["| goal | students can | trained by |", "|---:|---|---|"]
    for name, goal in read_goals(root).items():
        lines.append(f"| {goal.number} | **{goal.title}**: {goal.can} | {', '.join(trained.get(name, []))} |")
    return lines
