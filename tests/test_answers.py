"""Answers that students give: right ones in many styles, wrong ones with a typical misconception, of every exercise.

`tests/answers/CHAPTER.py` holds them. RIGHT: for every exercise its answers by their style. WRONG: by their
misconception, each with the numbers of the checks that have to refuse it. An answer replaces all cells of the solution.
"""

from fractions import Fraction

import course
import numpy as np
import pytest
import torch
from answer_tables import RIGHT, WRONG

from earlystop import answers

CHAPTERS = {chapter.name: chapter for chapter in course.read_course()}
EXERCISES = {one.label: (chapter, one) for chapter in CHAPTERS.values() for one in chapter.exercises}
LEAST_RIGHT, LEAST_WRONG = 5, 4


def failed_checks(label, answer):
    """The numbers of the checks that refuse an answer; what is raised has to be a hint, not an accident."""
    chapter, exercise = EXERCISES[label]
    space, refused = {"__name__": "__main__"}, set()
    for source in [*chapter.setup, *exercise.given, answer]:
        assert not (problem := course.failure(source, space)), problem
    for number, check in enumerate(exercise.checks, start=1):
        if problem := course.failure(check.source, dict(space)):
            assert problem.startswith("AssertionError: "), f"check {number} of {label} has no hint for this: {problem}"
            refused.add(number)
    return refused


def rows(table):
    return [(label, style) for label, row in table.items() for style in row]


@pytest.mark.parametrize("label, style", rows(RIGHT))
def test_a_right_answer_passes_in_every_style(label, style):
    assert not failed_checks(label, RIGHT[label][style])


@pytest.mark.parametrize("label, misconception", rows(WRONG))
def test_a_wrong_answer_is_refused_where_it_is_wrong(label, misconception):
    answer, expected = WRONG[label][misconception]
    assert failed_checks(label, answer) == expected


def test_every_exercise_has_enough_answers_and_every_answer_an_exercise():
    graded = {label for label, (_, one) in EXERCISES.items() if one.checks}
    assert RIGHT.keys() == WRONG.keys() == graded
    for label in graded:
        assert len(RIGHT[label]) >= LEAST_RIGHT, f"{label}: {len(RIGHT[label])} right answers"
        assert len(WRONG[label]) >= LEAST_WRONG, f"{label}: {len(WRONG[label])} wrong answers"
        assert len(set(RIGHT[label].values())) == len(RIGHT[label]), f"{label}: the same right answer twice"


@pytest.mark.parametrize("label", WRONG)
def test_every_check_refuses_an_answer_that_all_others_take(label):
    alone = [expected for _, expected in WRONG[label].values() if len(expected) == 1]
    missing = set(range(1, len(EXERCISES[label][1].checks) + 1)) - set().union(*alone)
    assert not missing, f"no wrong answer fails check {sorted(missing)} of {label} alone: is the check of any use?"


OWN = [label for label, (_, exercise) in EXERCISES.items() if exercise.own_data]


def test_every_chapter_has_an_exercise_with_data_of_ones_own():
    assert {EXERCISES[label][0].name for label in OWN} == set(CHAPTERS)


@pytest.mark.parametrize("label", OWN)
def test_an_answer_for_other_data_is_refused(label):
    """What a student of seed 1 hands in does not pass with seed 2."""
    chapter, exercise = EXERCISES[label]

    def space(seed):
        names = {"__name__": "__main__"}
        for source in [*chapter.setup, *exercise.given]:
            assert not course.failure(course.SEED.sub(f"SEED = {seed}", source), names)
        return names

    theirs, mine = space(1), space(2)
    before = set(theirs)
    for source in exercise.answers:
        assert not course.failure(source, theirs)
    mine |= {name: theirs[name] for name in set(theirs) - before}
    assert any(course.failure(check.source, dict(mine)) for check in exercise.checks)


# ------------------------------------------------------------------------------ by value


HALVES = {
    "a list": [0.5, 0.5],
    "a tuple": (0.5, 0.5),
    "an array": np.array([0.5, 0.5]),
    "a tensor": torch.tensor([0.5, 0.5]),
    "a tensor with a gradient": torch.tensor([0.5, 0.5], requires_grad=True),
    "a column": torch.full((2, 1), 0.5),
    "numbers of several kinds": [torch.tensor(0.5), np.float32(0.5)],
    "fractions": [Fraction(1, 2), Fraction(1, 2)],
    "a generator": (x / 2 for x in (1, 1)),
}


@pytest.mark.parametrize("container", HALVES)
def test_an_answer_is_taken_by_value(container):
    answers.equal(halves=HALVES[container], gives=(0.5, 0.5), hint="half each")


@pytest.mark.parametrize(
    "answer, said",
    [
        (None, "nothing .* is a `return` missing"),
        ("0.5", "text, '0.5', where numbers are expected"),
        ({0.5}, "a set, .* where numbers are expected"),
        ([[1, 2], 3], "parts of different shapes"),
        ([0.5, 0.4], r"\[0.5, 0.4\], not \[0.5, 0.5\]: half each"),
        ([0.5], r"0.5.*not \[0.5, 0.5\]"),
        ([0.5, None], "nan"),
        (len, "the function len"),
        (object(), "a object"),
    ],
)
def test_what_is_no_such_value_is_said(answer, said):
    with pytest.raises(AssertionError, match=said):
        answers.check(lambda: answer, gives=(0.5, 0.5), hint="half each")
    with pytest.raises(AssertionError, match=said):
        answers.equal(halves=answer, gives=(0.5, 0.5), hint="half each")


@pytest.mark.parametrize(
    "right, taken, refused",
    [(1 / 3, 0.333, 0.33), (0.15, 0.1501, 0.3), (2, 2.0, 2.01), (0, 0.0, 0.001), (0.017638, 0.0176, 0.01768)],
)
def test_digits_count_as_one_would_write_them(right, taken, refused):
    answers.equal(share=taken, gives=right, hint="a share")
    with pytest.raises(AssertionError, match="share is .* a share"):
        answers.equal(share=refused, gives=right, hint="a share")


@pytest.mark.parametrize("given, asked", [(0.67, True), (0.7, True), (0.66, False), (0.64, False)])
def test_more_digits_are_asked_for_where_digits_are_what_lacks(given, asked):
    for right, answer in ((2 / 3, given), ([2 / 3, 0], [given, 0])):
        with pytest.raises(AssertionError) as refused:
            answers.equal(share=answer, gives=right, hint="two thirds")
        assert ("give more digits" in str(refused.value)) == asked
    with pytest.raises(AssertionError, match="0.67, not 0.66667: two thirds"):
        answers.equal(share=0.67, gives=2 / 3, within=0.001, hint="two thirds")


def test_a_message_shows_the_call_and_where_many_numbers_differ():
    def doubled(x, *, twice):
        return 2 * x if twice else x

    with pytest.raises(
        AssertionError, match=r"doubled\(\[1, 2.5\], twice=False\) gives \[1, 2.5\], not \[2, 5\]: by two"
    ):
        answers.check(doubled, torch.tensor([1, 2.5]), twice=False, gives=[2, 5], hint="by two")
    with pytest.raises(
        AssertionError, match=r"doubled\(\[20 numbers\], .*, at position 1 of 20, gives 1, not 2: by two"
    ):
        answers.check(doubled, torch.arange(20), twice=False, gives=2 * torch.arange(20), hint="by two")
    with pytest.raises(AssertionError, match=r"doubled\(text\) ends in TypeError|doubled\('a'\) ends in TypeError"):
        answers.check(doubled, "a", gives=2, hint="by two")


def test_one_of_several_numbers_is_judged():
    def pair():
        return [0.25, 0.5]

    answers.check(pair, at=1, gives=0.5, hint="half")
    with pytest.raises(AssertionError, match=r"pair\(\)\[0\] gives 0.25, not 0.5: half"):
        answers.check(pair, at=0, gives=0.5, hint="half")
    for short in (lambda: 0.5, lambda: [0.5]):
        with pytest.raises(AssertionError, match="gives .*0.5.*, where at least 2 numbers are expected: half"):
            answers.check(short, at=1, gives=0.5, hint="half")


@pytest.mark.parametrize(
    "address, said", [("", "still blank"), (None, "no address"), ("#lab-far", "one of the figure 'far'"),
                      ("#lab-guess&run=x", "run is 'x' in this address"), ("#lab-guess&run=0", "between 1 and")]
)  # fmt: skip
def test_what_is_no_link_of_the_figure_is_said(address, said):
    assert answers.link("https://a.b/c.html#lab-guess&run=2", "guess")["run"] == 2
    with pytest.raises(AssertionError, match=said):
        answers.link(address, "guess")


def test_one_number_is_asked_for():
    assert answers.number(max, 1, 2.5) == answers.number(lambda: [torch.tensor(2.5)]) == 2.5
    with pytest.raises(AssertionError, match=r"list\(\[1, 2\]\) gives \[1, 2\] where one number is expected"):
        answers.number(list, [1, 2])


def test_a_stub_stays_a_stub():
    def stub():
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        answers.check(stub, gives=1, hint="write it")
