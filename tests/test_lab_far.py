"""How far is the noise: the living figure computes what Python does, and mouse, finger and keys move it."""

import math
import re

import pytest
import torch
from labpage import engine_page, page_of

from earlystop.lab import read
from earlystop.lab.far import certificate, draw, linearized, on_circle, points, train
from earlystop.lab.model import activation_of, initial_weights
from earlystop.lab.state import state
from earlystop.theory import interpolation_distance_bound, spectral_norm

pytest_plugins = ["labpage"]

STATES = {
    "standard": {},
    "ridge": {"by": "ridge", "penalty": 0.02, "activation": "tanh", "distance": 0.4, "seed": 3},
    "wide": {"dim": 20, "hidden_units": 1000, "pace": 0.8, "seed": 0, "after": 300},
    "equal": {"different": False, "paired": True, "activation": "Gaussian softplus", "distance": 1.6},
    "ReLU": {"activation": "ReLU", "distance": 0.7, "after": 3},
}
ANGLES = [0.0, 0.4, 2.0, -1.3]
CLOSED = """([state, angles]) => {
  const weights = lab.initialWeights(state), start = { weights, norm: lab.spectralNorm(weights, state.dim) };
  const pair = new lab.Pair(start, state), { squares, step } = pair.linear;
  const shares = Array.from(squares, lab.filterOf(state.by, state, step));
  const around = { angles, ...lab.slopesAt(weights, lab.onCircle(angles, state.dim), state.dim, state.activation) };
  const answers = [shares, [1, 1]].map((one) => pair.answers(one, around));
  return { shares, answers, ways: [pair.way(shares), pair.way()], least: pair.least, ends: pair.answers([1, 1]) };
}"""
TRAINED = """(config) => {
  const known = lab.prepare(config), records = [...lab.records(known)], last = records[records.length - 1];
  return { iteration: last.iteration, distance: last.distance, weights: Array.from(last.weights) };
}"""


@pytest.fixture(scope="module")
def engine(chromium):
    """What JavaScript says, where `lab` has all that the figure's modules export."""
    page = chromium.new_page()
    page.goto(engine_page("far"))
    page.wait_for_function("globalThis.lab")
    yield page.evaluate
    page.close()


@pytest.mark.parametrize("name", STATES)
def test_the_closed_form_is_pythons(engine, name):
    now = state("far", **STATES[name])
    shown, expected = engine(CLOSED, [now, ANGLES]), linearized(now)
    assert shown["shares"] == pytest.approx(expected.shares.flip(0).tolist(), rel=1e-9)
    assert shown["ways"] == pytest.approx(expected.ways, rel=1e-9)
    assert shown["least"] == pytest.approx(certificate(now), rel=1e-9)
    assert shown["ends"] == pytest.approx([-1.0 if now["different"] else 1.0, 1.0], abs=1e-9)
    around = expected.answers(on_circle(torch.tensor(ANGLES, dtype=torch.float64), now["dim"]))
    assert shown["answers"] == [pytest.approx(one, abs=1e-9) for one in around.tolist()]


@pytest.mark.parametrize("changes", [{}, {"different": False, "seed": 5}, {"activation": "tanh", "distance": 0.5}])
def test_a_training_ends_where_pythons_does(engine, changes):
    now = state("far", **changes)
    outcome = train(now)
    own = {"points": points(now).tolist(), "given": [0 if now["different"] else 1, 1], "classes": 2, "clusters": 2}
    shown = engine(TRAINED, now | own | {"iterations": 200_000, "within": 0.01})
    assert shown["iteration"] == len(outcome.path.distance) - 1
    assert shown["distance"] == pytest.approx(outcome.path.distance[-1].item(), rel=1e-9)
    assert shown["weights"] == pytest.approx(outcome.path.weights.flatten().tolist(), abs=1e-9)
    assert (outcome.path.outputs[-1] - outcome.data.labels).abs().max() <= 0.01


@pytest.mark.parametrize("name", ["standard", "ridge", "wide"])
def test_no_training_comes_nearer_than_its_certificate(name):
    now = state("far", **STATES[name])
    path, start = train(now).path, initial_weights(now)
    gap = path.outputs[-1].diff().item()
    least = interpolation_distance_bound(start, *points(now), gap, activation_of(now))
    assert 0 < least <= spectral_norm(path.weights - start) <= path.distance[-1] + 1e-9


def test_stopping_and_ridge_move_less_than_the_labels_ask_for():
    for by in ("stopping", "ridge"):
        some, whole = linearized(state("far", by=by)).ways
        assert some < whole
    assert linearized(state("far", after=0)).ways[0] == 0


def test_the_picture_says_what_is_near_and_what_is_far():
    ways, around = draw().axes
    shown = {one.get_label(): one.get_ydata() for one in ways.lines}
    assert (shown["different labels"] > shown["certificate: at least"]).all()
    assert shown["different labels"][0] == pytest.approx(linearized(state("far", distance=0.01)).ways[1])
    assert len(around.lines[0].get_xdata()) == 181


@pytest.fixture
def figure(lab_page):
    """A window with the figure, once its training is over."""

    def shown(end=""):
        lab_page.goto(page_of("far") + end)
        settled(lab_page)
        return lab_page

    return shown


def settled(page):
    page.wait_for_timeout(250)
    for _ in range(100):
        if "itself moved" in said(page) or "opposite answers" in said(page):
            return
        page.wait_for_timeout(50)
    raise AssertionError(said(page))


def said(page):
    return page.inner_text(".lab-says")


def numbers(text):
    """Numbers of the sentence: distance, way of the linearized network, of the network itself, certificate; answers."""
    found = re.findall(r"apart|by (?:at least )?([\d.]+)[ .]|answers (-?[\d.]+) and (-?[\d.]+)", text.replace("−", "-"))
    return [float(one.rstrip(".")) for group in found for one in group if one]


@pytest.mark.parametrize(
    "end", ["", "&distance=0.3&seed=4&activation=tanh&after=40", "&distance=0.5&by=ridge&penalty=0.2"]
)
def test_the_sentence_has_pythons_numbers(figure, end):
    now = state("far", **read(f"#lab-far{end}")[1])
    linear, page = linearized(now), figure(f"#lab-far{end}")
    way, itself, least, *answers = numbers(said(page))
    assert [way, itself, least] == pytest.approx(
        [linear.ways[1], train(now).path.distance[-1].item(), certificate(now)], rel=0.006
    )
    assert answers == pytest.approx(linear.answers(points(now))[0].tolist(), abs=0.051)
    assert said(page) in page.locator(".lab-chart").first.get_attribute("aria-label")


def test_mouse_finger_and_keys_move_the_point_and_the_address_follows(figure):
    page = figure()
    distance = lambda: float(page.locator("input[name=distance]").get_attribute("aria-valuetext"))
    chart = page.locator(".lab-chart").first.bounding_box()
    page.mouse.move(chart["x"] + 0.5 * chart["width"], chart["y"] + 0.5 * chart["height"])
    page.mouse.down()
    page.mouse.move(chart["x"] + 0.75 * chart["width"], chart["y"] + 0.5 * chart["height"], steps=4)
    page.mouse.up()
    assert 0.3 < distance() < 0.6
    circle = page.locator(".lab-map").bounding_box()
    finger(
        page,
        page.locator(".far-grip circle").bounding_box(),
        circle["x"] + 0.9 * circle["width"],
        circle["y"] + 0.527 * circle["height"],
    )
    assert distance() == pytest.approx(math.sqrt(2), abs=0.02)
    page.locator("input[name=distance]").press("ArrowLeft")
    assert 1.3 < distance() < 1.4
    settled(page)
    assert read(page.url)[1]["distance"] == distance()
    page.reload()
    settled(page)
    assert distance() == read(page.url)[1]["distance"]


def finger(page, box, x, y):
    """Press on the middle of a box and move to a place."""
    touch = page.context.new_cdp_session(page)
    send = lambda kind, *at: touch.send(
        "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": at[0], "y": at[1]}] if at else []}
    )
    from_x, from_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    send("touchStart", from_x, from_y)
    for share in (0.25, 0.5, 0.75, 1):
        send("touchMove", from_x + share * (x - from_x), from_y + share * (y - from_y))
    send("touchEnd")


def test_labels_and_ridge_are_chosen_and_tries_leave_dots(figure):
    page = figure()
    dots = lambda look: (page.locator(f"path.{look}").get_attribute("d") or "").count("M")
    assert (dots("far-tried"), dots("far-alike")) == (1, 0)
    page.get_by_role("button", name="give both the label 1").press("Enter")
    settled(page)
    assert (dots("far-tried"), dots("far-alike")) == (1, 1)
    assert read(page.url)[1]["different"] is False and "asks for nothing" in said(page)
    page.get_by_label("stay close by").select_option("ridge")
    assert "With a ridge of 0.07" in said(page)
    assert page.get_by_label("weight of the ridge").is_visible() and not page.get_by_label("stop after").is_visible()
    page.locator("summary").click()
    page.get_by_role("button", name="forget my dots").click()
    assert (dots("far-tried"), dots("far-alike")) == (0, 0)


def test_what_cannot_be_is_said(figure):
    page = figure("#lab-far&distance=2&different=false")
    assert "erf gives opposite points opposite answers" in said(page)
    page = figure("#lab-far&activation=ReLU&distance=1")
    assert "The certificate says nothing: the slope of ReLU jumps" in said(page)
