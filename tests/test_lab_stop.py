"""The living figure that is stopped: its numbers are Python's, and mouse, touch and keyboard move it."""

import re

import pytest
from labpage import page_of

from earlystop.lab import read
from earlystop.lab.model import predicted_window
from earlystop.lab.state import state
from earlystop.lab.stop import answers

pytest_plugins = ["labpage"]


@pytest.fixture
def figure(lab_page):
    """A window with the figure, once its runs are over."""

    def shown(end=""):
        lab_page.goto(page_of("stop") + end)
        settled(lab_page)
        return lab_page

    return shown


def settled(page):
    """Wait for the run and its control; some settings begin one a moment later."""
    page.wait_for_timeout(300)
    page.wait_for_selector(".lab-alive:not([aria-busy])")


def said(page):
    """Numbers of the sentence: the stop, wrong labels put right and all of them, errors and samples."""
    return [int(one.replace(",", "")) for one in re.findall(r"\d[\d,]*", page.inner_text(".lab-says"))[:5]]


def moments(last):
    """The iterations whose outputs the page keeps, at which the line can stand."""
    times = {*range(21), *(round(20 * 10 ** (m / 40)) for m in range(1, 200))}
    return [*sorted(one for one in times if one < last), last]


def as_python_says(changes):
    count = answers(**changes)
    stop = state("stop", **changes)["stop"]
    return [stop, count["right"], count["wrong"], count["errors"], count["samples"]]


@pytest.mark.parametrize(
    "end", ["", "&corruption_rate=0.4&stop=2", "&seed=7&input_noise=0.5&classes=3&samples=60&stop=13"]
)
def test_sentence_counts_what_python_counts(figure, end):
    changes = read(f"#lab-stop{end}")[1] | {"iterations": 600}
    page = figure(f"#lab-stop{end}&iterations=600")
    assert said(page) == as_python_says(changes)
    window = re.search(r"between (\d[\d,]*) and (\d[\d,]*|any)", page.inner_text(".lab-says"))
    found = window and tuple(int(one.replace(",", "")) for one in window.groups())
    assert found == predicted_window(changes)


def test_line_follows_mouse_finger_and_keys_and_the_address_follows_it(figure):
    page = figure("#lab-stop&iterations=600")
    chart = page.locator(".lab-chart").bounding_box()
    at = lambda share: (chart["x"] + share * chart["width"], chart["y"] + chart["height"] / 2)
    page.mouse.move(*at(0.3))
    page.mouse.down()
    page.mouse.move(*at(0.8), steps=5)
    page.mouse.up()
    dragged = said(page)[0]
    assert 100 < dragged < 400
    page.touchscreen.tap(*at(0.5))
    tapped = said(page)[0]
    assert 5 < tapped < dragged
    page.locator("label.lab-wide input").press("ArrowRight")
    assert said(page)[0] == moments(600)[moments(600).index(tapped) + 1]
    page.wait_for_timeout(300)
    assert read(page.url)[1]["stop"] == said(page)[0]
    assert said(page) == as_python_says(read(page.url)[1])


def test_a_label_is_changed_by_click_and_by_key(figure):
    page = figure("#lab-stop&iterations=600&corruption_rate=0")
    assert said(page)[0] == 20 and "no label is wrong" in page.inner_text(".lab-says")
    page.locator(".lab-sample").nth(3).click()
    settled(page)
    assert read(page.url)[1]["changed"] == [3]
    assert said(page) == as_python_says(read(page.url)[1])
    page.locator(".lab-sample").nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    settled(page)
    assert read(page.url)[1]["changed"] == [1, 3]
    assert page.locator(".lab-sample[aria-pressed=true]").count() == 2
    page.keyboard.press("ArrowRight")  # and goes on from there
    page.keyboard.press("Enter")
    settled(page)
    assert read(page.url)[1]["changed"] == [1, 2, 3]


def test_examples_and_what_cannot_be_are_said(figure):
    page = figure("#lab-stop&clusters=8&classes=4&dim=2&input_noise=0.9&iterations=600")
    assert "This cannot be: 8 clusters of radius 0.9 do not fit in 2 dimensions" in page.inner_text(".lab-says")
    page.locator("summary").click()
    page.get_by_label("examples").select_option("centers at ±e₁ and ±e₂, which erf cannot tell apart")
    settled(page)
    assert "at every iteration some answer is wrong" in page.inner_text(".lab-says")
    assert read(page.url)[1]["axes"] is True


def test_a_sweep_is_a_jump_for_readers_who_want_no_motion(chromium):
    page = chromium.new_page(reduced_motion="reduce")
    page.goto(page_of("stop") + "#lab-stop&iterations=300")
    settled(page)
    page.get_by_role("button", name="play").click()
    assert said(page)[0] == 300
    page.close()
