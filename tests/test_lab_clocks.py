"""Two clocks: what Python draws, and that the living figure shows the same and follows mouse, touch and keys."""

import json
import math
import re

import matplotlib.pyplot as plt
import pytest
import torch
from labpage import page_of

from earlystop.lab import clocks
from earlystop.lab.model import linearized_outputs
from earlystop.lab.state import FIGURES, read, state

pytest_plugins = ["labpage"]

TIMES = torch.arange(400)
FIGURE_5 = FIGURES["clocks"]["presets"]["the paper's Figure 5, on the sphere"]
SAID = ".lab:not([aria-busy]) .lab-says:not(:empty)"


def test_the_clockwork_is_the_linearized_network():
    it, now = clocks.clockwork(paired=False), state("clocks", paired=False)
    data, outputs = linearized_outputs(now | {"changed": []}, TIMES)
    assert torch.allclose(it.data.labels + it.left(TIMES) @ it.vectors.T, outputs, atol=1e-10)
    assert (it.squares.diff() <= 0).all() and torch.equal(it.data.inputs, data.inputs)


def test_a_share_left_at_its_clock_is_one_over_e():
    it = clocks.clockwork(pace=0.01)
    for clock, direction in zip(it.clocks, (3, 4)):
        left = (it.left(torch.tensor([clock]))[0] / it.along)[direction].item()
        assert abs(left - math.exp(-1)) < 0.02


def test_values_made_by_hand_are_the_only_ones_that_change():
    usual, hand = clocks.clockwork(), clocks.clockwork(last_information=0.2, first_nuisance=0.5)
    assert torch.allclose(hand.squares[[3, 4]].sqrt() / hand.squares[0].sqrt(), torch.tensor([0.2, 0.5]).double())
    others = [i for i in range(100) if i not in (3, 4)]
    assert torch.equal(usual.squares[others], hand.squares[others]) and hand.clocks[0] > hand.clocks[1]


def test_the_window_closes_with_the_radius_of_the_clusters():
    ratios = [second / first for first, second in (clocks.clockwork(input_noise=r).clocks for r in (0.05, 0.1, 0.2))]
    assert 3 < ratios[0] / ratios[1] < 5 and ratios[1] > ratios[2] > 1
    assert clocks.clockwork(input_noise=0.0).clocks[1] == math.inf


def test_the_picture_shows_the_clocks_and_where_no_answer_is_wrong():
    left, right = clocks.draw(stop=33).axes
    it, lines = clocks.clockwork(), {line.get_label(): line for line in right.lines}
    (shaded,) = (patch.get_bbox() for patch in right.patches)
    assert (shaded.x0, shaded.x1) == pytest.approx(it.clocks)
    assert torch.tensor(left.lines[0].get_ydata()).equal(it.squares[:4].sqrt())
    times = torch.tensor(lines["nuisance"].get_xdata())
    assert torch.tensor(lines["nuisance"].get_ydata()).equal(it.shares(times)[1])
    assert tuple(lines["no answer is wrong"].get_xdata()) == it.right(times)
    assert lines["the same without wrong labels"].get_xdata()[-1] == clocks.LATEST
    assert right.lines[-1].get_xdata()[0] == 33
    plt.close("all")


def sentence(page):
    return page.wait_for_selector(SAID).inner_text()


def rounded(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def expected(**changes):
    """Pieces of the sentence that Python would say."""
    it, now = clocks.clockwork(**changes), state("clocks", **changes)
    nuisance, free = it.shares(torch.tensor([now["stop"]]))[1].item(), it.right(torch.arange(3000))
    first, second = (f"about {rounded(one)} iteration" for one in it.clocks)
    wrong = f"from iteration {free[0]} to {free[1]}" if free else "some answer is wrong at every iteration"
    return [f"After {now['stop']} iterations", f"nuisance it is {100 * nuisance:.2g}%", first, second, wrong]


@pytest.mark.parametrize(
    "changes",
    [{}, {"first_nuisance": 0.31, "stop": 200}, {"axes": True, "stop": 300}, FIGURE_5],
    ids=["standard", "by hand", "axes", "Figure 5"],
)
def test_the_page_says_what_python_computes(lab_page, changes):
    lab_page.goto(page_of("clocks", json.dumps(changes)))
    said = sentence(lab_page)
    assert [piece for piece in expected(**changes) if piece not in said] == [], said
    assert ("made by hand" in said) == ("first_nuisance" in changes)
    label = lab_page.locator("svg[role=img]").last.get_attribute("aria-label")
    assert label.endswith(said)


def test_a_singular_value_follows_mouse_touch_and_keys(lab_page):
    lab_page.set_viewport_size({"width": 900, "height": 400})  # a finger could scroll here
    lab_page.goto(page_of("clocks"))
    usual = sentence(lab_page)
    handle = lab_page.locator("[role=slider].lab-first_nuisance")
    value = lambda: float(handle.get_attribute("aria-valuenow"))
    box, before = handle.locator(".lab-target").bounding_box(), value()
    assert min(box["width"], box["height"]) >= 24
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    lab_page.mouse.move(x, y)
    lab_page.mouse.down()
    lab_page.mouse.move(x, y - 30)
    lab_page.mouse.up()
    dragged = value()
    assert dragged > 2 * before and "made by hand" in sentence(lab_page)
    touch = lab_page.context.new_cdp_session(lab_page)
    moves = [("touchMove", y - 30 + 5 * i) for i in range(1, 8)]
    for kind, at in (("touchStart", y - 30), *moves, ("touchEnd", None)):
        points = [] if at is None else [{"x": x, "y": at}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert value() < before
    handle.focus()
    lab_page.keyboard.press("PageUp")
    lab_page.keyboard.press("ArrowUp")
    by_hand = value()
    lab_page.wait_for_url(re.compile(f"first_nuisance={by_hand}"))
    assert read(lab_page.url)[1] == state("clocks", first_nuisance=by_hand)
    lab_page.reload()
    assert sentence(lab_page) and value() == by_hand
    lab_page.get_by_text("undo my singular values").click()
    assert sentence(lab_page) == usual and value() == before


def test_the_stop_follows_a_drag_and_the_radius_its_slider(lab_page):
    lab_page.goto(page_of("clocks"))
    sentence(lab_page)
    line = lab_page.locator(".lab-drag")
    box = line.bounding_box()
    lab_page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2)
    stop = int(lab_page.locator(".lab-wide output").inner_text().replace(",", ""))
    assert 100 < stop < 2000 and sentence(lab_page).startswith(f"After {stop} iterations")
    lab_page.locator("[name=input_noise]").focus()
    for _ in range(5):
        lab_page.keyboard.press("ArrowRight")
    lab_page.wait_for_url(re.compile("input_noise=0.25"))
    assert all(piece in sentence(lab_page) for piece in expected(input_noise=0.25, stop=stop))


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"input_noise": 1.0}, "do not fit in 20 dimensions: fewer, smaller, or more dimensions"),
        ({"classes": 4, "clusters": 2}, "every class needs one"),
        ({"samples": 6, "clusters": 8}, "every one needs one"),
    ],
    ids=["too large", "too many classes", "too few samples"],
)
def test_a_state_that_cannot_be_says_why_as_python_does(lab_page, changes, reason):
    with pytest.raises(ValueError, match=reason):
        clocks.clockwork(**changes)
    lab_page.goto(page_of("clocks", json.dumps(changes)))
    assert reason in sentence(lab_page)
