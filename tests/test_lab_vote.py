"""The majority vote: limits and chances against counting all labels, and the living figure in a browser."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from labpage import page_of

from earlystop.data import nearest_label
from earlystop.lab import address, read, state, vote
from earlystop.lab.ballot import ANY, NEXT, WORST, allowed, ballots, chances, limits, scale, targets

pytest_plugins = ["labpage"]
UNEVEN = [-100, 10, 35, 80]


def now(**changes):
    return state("vote", **changes)


@pytest.mark.parametrize("kind", [ANY, NEXT, WORST])
@pytest.mark.parametrize("places", [[], UNEVEN])
def test_the_chance_of_a_lost_vote_is_that_of_all_given_labels_counted(kind, places):
    """Every way to fill four clusters of four samples, with its probability."""
    one = now(classes=4, wrong_to=kind, cluster_size=4, label_places=places)
    labels, rate, lost = np.array(scale(one).values), 0.3, []
    borders = (labels[1:] + labels[:-1]) / 2
    for own in range(4):
        to = targets(scale(one), kind, own)
        share = np.array([0.7 if i == own else rate / len(to) if i in to else 0.0 for i in range(4)])
        ways = [list(way) for way in itertools.product(range(4), repeat=4)]
        means = np.array([labels[way].mean() for way in ways])
        won = np.ones(len(ways), dtype=bool)
        if own:
            won &= means > borders[own - 1] + 1e-9
        if own < 3:
            won &= means < borders[own] - 1e-9
        lost.append(sum(math.prod(share[way]) for way, kept in zip(ways, won) if not kept))
    alone, some = chances(one, [rate])
    assert alone[0] == pytest.approx(lost[allowed(one).weakest], abs=1e-12)
    assert some[0] == pytest.approx(1 - np.prod(1 - np.array(lost)), abs=1e-12)


@pytest.mark.parametrize("classes", range(2, 9))
def test_even_labels_have_limits_in_closed_form(classes):
    """By chance 1/(K̄|α|), for the outer classes 1/K̄; next to it a half; at worst δ/4, and never less than twice δ/8."""
    even = now(classes=classes)
    for label, limit in zip(scale(even).values, limits(even)):
        assert limit == pytest.approx(1 / (classes * abs(label)) if abs(label) > 1e-9 else math.inf)
    assert limits(even | {"wrong_to": NEXT}) == pytest.approx([0.5] * classes)
    worst = allowed(even | {"wrong_to": WORST})
    assert worst.vote == pytest.approx(2 * worst.theorem) and worst.theorem == pytest.approx(1 / (4 * (classes - 1)))


@pytest.mark.parametrize("places", [[], UNEVEN])
def test_no_other_wrong_labels_lose_a_vote_sooner_than_the_worst(places):
    """All wrong labels of a cluster say one class: tried for every cluster and class, as their share grows."""
    one, size = now(classes=4, wrong_to=WORST, label_places=places), 500
    labels = np.array(scale(one).values)
    for own, limit in enumerate(limits(one)):
        first = min(
            wrong for to in range(4) if to != own for wrong in range(size // 2 + 1)
            if nearest(((size - wrong) * labels[own] + wrong * labels[to]) / size, labels) != own
        )  # fmt: skip
        assert first / size == pytest.approx(limit, abs=2 / size)
    assert allowed(one).vote >= 2 * allowed(one).theorem - 1e-12


def nearest(value, labels):
    return labels.tolist().index(nearest_label(torch.tensor([value]), torch.tensor(labels)).item())


def test_the_bound_of_theorem_41_is_reached_in_one_cluster_and_too_cautious_elsewhere():
    spread = now(classes=4, wrong_to=WORST)
    one = spread | {"one_cluster": True}
    assert allowed(one).vote == pytest.approx(allowed(one).anywhere) == pytest.approx(2 / 3 / (2 * 4 * 2))
    assert allowed(spread).vote == pytest.approx(4 * allowed(spread).anywhere)


def test_votes_are_the_whole_number_of_wrong_labels_that_definition_12_allows():
    found = ballots(now(corruption_rate=0.29, cluster_size=10))
    assert [sum(one.counts) - max(one.counts) for one in found] == [2, 2, 2]
    alone = ballots(now(corruption_rate=0.29, cluster_size=10, one_cluster=True, wrong_to=NEXT))
    assert [one.counts for one in alone] == [[2, 8, 0], [0, 10, 0], [0, 0, 10]]
    assert alone[0].mean == pytest.approx(-0.2) and [one.lost for one in alone] == [True, False, False]
    tie = ballots(now(classes=2, corruption_rate=0.5, wrong_to=NEXT))
    assert all(one.mean == 0 and one.lost for one in tie)


def test_labels_set_by_hand_need_a_place_for_each_class():
    with pytest.raises(ValueError, match="there are 2 label_places for 3 classes, should be one each"):
        scale(now(label_places=[-100, 100]))


def test_the_picture_shows_the_mean_labels_and_the_limits():
    fig = vote.draw(label_places=[-100, 10, 100], cluster_size=5, corruption_rate=0.4)
    one = now(label_places=[-100, 10, 100], cluster_size=5, corruption_rate=0.4)
    left, right = fig.axes
    means = [line.get_xdata()[0] for line in left.lines if line.get_label() == "mean given label"]
    assert means == [ballot.mean for ballot in ballots(one)]
    widths = [bars[0].get_width() for bars in right.containers]
    assert widths == [allowed(one).theorem, allowed(one).vote, allowed(one).anywhere]


# In a browser


def shown(page):
    """Mean labels of the rows, widths of the three bars as shares, and the two curves at each share."""
    return page.evaluate("""() => {
      const attribute = (all, name) => [...document.querySelectorAll(all)].map((one) => Number(one.getAttribute(name)));
      const chart = document.querySelectorAll(".lab-chart")[1], grid = [...chart.querySelectorAll(".lab-grid")];
      const at = grid.slice(0, 7).map((one) => Number(one.getAttribute("d").match(/M([\\d.]+)/)[1]));
      const bars = [...chart.querySelectorAll("rect.lab-vote-theory, rect.lab-vote-mean")];
      const curve = (one) => one.getAttribute("d").split(/[ML]/).slice(1).map((two) => Number(two.split(" ")[1]));
      const up = [0, 2].map((i) => Number(grid[7 + i].getAttribute("d").match(/ ([\\d.]+)H/)[1]));
      return {
        means: attribute("circle.lab-vote-mean", "cx").map((x) => (2 * (x - 20)) / 320 - 1),
        bars: bars.map((one) => (0.6 * Number(one.getAttribute("width"))) / (at[6] - at[0])),
        curves: [".lab-vote-some", ".lab-line:not(.lab-vote-some)"].map((one) =>
          curve(chart.querySelector(one)).map((y) => (y - up[0]) / (up[1] - up[0]))),
        labels: attribute("[role=slider]", "aria-valuenow"),
      };
    }""")


STATES = [
    {},
    {
        "classes": 5,
        "corruption_rate": 0.31,
        "wrong_to": WORST,
        "cluster_size": 37,
        "label_places": [-90, -60, 0, 35, 100],
    },
    {"classes": 8, "corruption_rate": 0.07, "one_cluster": True, "seed": 11},
    {"classes": 2, "corruption_rate": 0.5},  # a tie
]


@pytest.mark.parametrize("changes", STATES)
def test_the_page_shows_what_python_computes(lab_page, changes):
    lab_page.goto(page_of("vote", changes))
    found, one = shown(lab_page), now(**changes)
    limit, (alone, some) = allowed(one), chances(one, [i / 200 for i in range(121)])
    assert found["means"] == pytest.approx([ballot.mean for ballot in ballots(one)], abs=1e-9)
    assert found["labels"] == pytest.approx(scale(one).values, abs=0.005)
    assert found["bars"] == pytest.approx([limit.theorem, limit.vote, limit.anywhere], abs=1e-9)
    assert found["curves"][0] == pytest.approx(some, abs=1e-3)  # a tenth of a pixel
    assert found["curves"][1] == pytest.approx(alone, abs=1e-3)
    said = lab_page.inner_text(".lab-says")
    lost = sum(ballot.lost for ballot in ballots(one))
    assert f"lost in {lost} of" in said if lost else "every vote is won" in said
    assert f"ρ = {limit.vote:.3g}" in said and lab_page.get_attribute(".lab-chart", "aria-label").endswith(said)


def settled(page):
    """The state in the address, once it has followed."""
    page.wait_for_timeout(250)
    return read(page.url)[1] if "#lab-" in page.url else now()


def test_mouse_touch_and_keyboard_move_the_same_things(lab_page):
    lab_page.goto(page_of("vote", {"wrong_to": WORST}))
    rows, chart = (one.bounding_box() for one in lab_page.query_selector_all(".lab-chart"))
    by = rows["width"] / 360

    def place(label, y):
        return rows["x"] + (20 + 160 * (label + 1)) * by, rows["y"] + y * by

    lab_page.mouse.move(*place(-0.6, 60))  # the mean of the first row
    lab_page.mouse.down()
    lab_page.mouse.move(*place(0.0, 60))
    lab_page.mouse.up()
    assert settled(lab_page)["corruption_rate"] == pytest.approx(0.5)  # half of all labels say 1, not -1
    lab_page.mouse.move(*place(0, 300))
    lab_page.mouse.down()
    lab_page.mouse.move(*place(0.4, 300))
    lab_page.mouse.move(*place(3, 300))
    lab_page.mouse.up()
    assert settled(lab_page)["label_places"] == [-100, 90, 100]  # as near to its neighbor as it may be
    lab_page.touchscreen.tap(chart["x"] + chart["width"] * 0.5, chart["y"] + chart["height"] / 2)
    touched = settled(lab_page)["corruption_rate"]
    assert 0.2 < touched < 0.4
    lab_page.focus("[role=slider] >> nth=1")
    lab_page.keyboard.press("ArrowLeft")
    lab_page.keyboard.press("ArrowLeft")
    assert settled(lab_page)["label_places"] == [-100, 80, 100]
    lab_page.focus("input[name=corruption_rate]")
    lab_page.keyboard.press("ArrowRight")
    assert settled(lab_page)["corruption_rate"] == pytest.approx(touched + 0.01)


def test_of_labels_in_one_cluster_its_mean_alone_moves(lab_page):
    lab_page.goto(page_of("vote", {"wrong_to": WORST, "one_cluster": True}))
    rows = lab_page.query_selector(".lab-chart").bounding_box()
    by = rows["width"] / 360
    lab_page.touchscreen.tap(rows["x"] + 180 * by, rows["y"] + 150 * by)  # in the second row
    assert settled(lab_page)["corruption_rate"] == 0.2
    lab_page.touchscreen.tap(rows["x"] + 180 * by, rows["y"] + 60 * by)  # half of the first, a sixth of all labels
    assert settled(lab_page)["corruption_rate"] == pytest.approx(0.17)


def test_an_address_restores_its_state_and_buttons_change_it(lab_page):
    asked = now(classes=4, wrong_to=WORST, label_places=UNEVEN, corruption_rate=0.12)
    lab_page.goto(page_of("vote") + address("vote", asked))
    assert shown(lab_page)["labels"] == pytest.approx([-1, 0.1, 0.35, 0.8])
    lab_page.click("text=all in one cluster")
    assert lab_page.get_attribute("text=all in one cluster", "aria-pressed") == "true"
    assert settled(lab_page) == asked | {"one_cluster": True}
    lab_page.select_option("select[name=wrong_to]", ANY)
    before = shown(lab_page)["means"]
    lab_page.click("text=draw again")
    assert shown(lab_page)["means"] != before
    lab_page.fill("input[name=classes]", "6")
    assert settled(lab_page)["label_places"] == [] and len(shown(lab_page)["means"]) == 6
    assert not lab_page.is_visible("text=even labels")


@pytest.mark.parametrize("width", [390, 900])
def test_the_figure_fits_its_screen_with_legible_words(lab_page, width):
    lab_page.set_viewport_size({"width": width, "height": 844})
    lab_page.goto(page_of("vote", {"classes": 8}))
    assert lab_page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sizes = lab_page.evaluate("""() => [...document.querySelectorAll(".lab-chart text")].map((one) =>
      parseFloat(getComputedStyle(one).fontSize) * one.ownerSVGElement.getBoundingClientRect().width / 360)""")
    assert min(sizes) >= 11 and not re.search("NaN|undefined", lab_page.inner_html(".lab"))
