"""Guess when to stop: what a page shows of stored runs is what Python reads there."""

import gzip
import json
import math
import re
from statistics import mean

import labpage
import pytest
import torch
from bs4 import BeautifulSoup

from earlystop import lab, page
from earlystop.figures import fig1, fig4ab
from earlystop.lab import guess
from earlystop.lab.show import place
from earlystop.lab.state import FIELDS
from earlystop.runs.store import StoreError

pytest_plugins = ["labpage"]


@pytest.fixture(scope="module")
def mnist():
    return page.load("fig1", losses="least_squares")


@pytest.fixture(scope="module")
def cifar():
    return page.load("fig4ab")


def test_the_rules_stop_where_the_chapter_stops_them(mnist):
    runs = guess.curves(mnist)["runs"]
    for rate in mnist.levels("corruption_rate"):
        ours = [one for one in runs if one["drawn_again"] == rate]
        for rule in (*fig1.STOPS, None):
            found = [one["test"][one["stops"][rule or "end"]] / guess.UNIT for one in ours]
            assert found == fig1.at_stop(mnist, "test", rate, rule).tolist()
        for one, cell in zip(ours, mnist.select(corruption_rate=rate)):
            assert one["test"][one["stops"]["best"]] == max(one["test"])
            reached = [i for i, share in enumerate(cell["noisy"]) if share >= 1 - 0.9 * rate] or [-1]
            assert one["stops"]["agreement"] == reached[0] % len(cell["epoch"])


def test_numbers_of_images_are_found_again_from_their_shares(cifar):
    random = torch.Generator().manual_seed(3)
    losses, flipped = torch.rand(5, 2000, generator=random), torch.randperm(2000, generator=random) < 547
    curves = {key: [0.1, 0.6, 0.7, 0.8, 0.75] for key in ("noisy", "true", "validation", "test")} | {
        "epoch": [*range(5)]
    }
    kept = fig4ab.summary({"losses": losses, "flipped": flipped, "curves": curves}, {"corruption_rate": 0.3})
    cell = {
        key: [float(f"{one:.6g}") for one in value] if torch.is_tensor(value) else value for key, value in kept.items()
    }
    cell |= {"corruption_rate": 0.3, "seed": 0}
    found = guess.histograms(cell, {"train_size": 2000})
    assert {one["epoch"] for one in found.values()} == {3, 4}  # the best, and the last
    for words, time in zip(guess.MOMENTS, (3, 3, 4)):
        for bin in (0, 7, 39):
            above = losses[time] >= bin / 40
            hits = (above & flipped).sum().item()
            shown = guess.suspects(found[words], bin)
            assert shown == (above.sum(), hits / above.sum().item(), hits / flipped.sum().item())
    with pytest.raises(StoreError, match="not of 1999 whole images"):
        guess.histograms(cell, {"train_size": 1999})


def test_stored_histograms_are_of_all_images_and_later_stops_find_fewer_wrong_labels(cifar):
    for cell, run in zip(cifar["cells"], guess.losses(cifar)["runs"]):
        assert {sum(one["right"] + one["wrong"]) for one in run["stops"].values()} == {cifar["config"]["train_size"]}
        assert (
            abs(
                sum(run["stops"]["at the end"]["wrong"]) / cifar["config"]["train_size"] - 0.9 * cell["corruption_rate"]
            )
            < 0.005
        )
        early, agreed, late = (
            cell["auroc"][cell["epoch"].index(cell[f"stop_{one}"])] for one in guess.MOMENTS.values()
        )
        assert early > agreed > late


def test_a_page_is_given_few_bytes_and_all_of_them(mnist, cifar):
    for data in (guess.curves(mnist), guess.losses(cifar)):
        text = place("guess", data, run=2)
        element = BeautifulSoup(text, "html.parser").div
        assert json.loads(element["data-data"]) == json.loads(json.dumps(data)) and element["data-state"] == '{"run":2}'
        assert len(gzip.compress(text.encode())) < 20_000
    assert FIELDS["moment"]["choices"] == [*guess.MOMENTS]
    assert "data-data" not in place("stop")


# --------------------------------------------------------------- in a browser


def address(data, state=""):
    file = labpage.file_of("guess")
    text = file.read_text(encoding="utf8")
    file.write_text(re.sub('<div class="lab".*?</div>', lambda _: place("guess", data), text), encoding="utf8")
    return file.as_uri() + state


def spot(window, chart, share):
    """Where a share of the breadth of a chart's axis is in the window."""
    box = window.locator("svg.lab-chart").nth(chart).locator(".lab-frame").bounding_box()
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def of_epoch(result, epoch):
    return math.log1p(epoch) / math.log1p(result["cells"][0]["epoch"][-1])


def scores(window):
    """The rows below the reader's eyes: epoch, test accuracy and mean over rounds of each."""
    rows = window.locator(".guess-score tr").all()[1:]
    return [[cell.rstrip("%") for cell in row.locator("td").all_inner_texts()] for row in rows]


def test_a_reader_stops_and_is_told_the_truth(lab_page, mnist):
    lab_page.goto(address(guess.curves(mnist), "#lab-guess&drawn_again=0.3"))
    (cell,) = mnist.select(corruption_rate=0.3, seed=0)
    says, slider = lab_page.locator(".lab-says"), lab_page.locator("input[name=epoch]")
    assert not lab_page.locator(".lab-true").first.get_attribute("d") and ["?", "?", "–"] in scores(lab_page)

    lab_page.mouse.move(*spot(lab_page, 0, of_epoch(mnist, 1)))
    lab_page.mouse.down()
    lab_page.mouse.move(*spot(lab_page, 0, of_epoch(mnist, 20)), steps=3)
    lab_page.mouse.move(*spot(lab_page, 0, of_epoch(mnist, 12)))
    lab_page.mouse.up()
    shown = re.search(r"epoch (\d+) .*? ([\d.]+)% .*? ([\d.]+)%", says.inner_text())
    for text, value in zip(shown.groups(), (12, 100 * cell["noisy"][12], 100 * cell["noisy_validation"][12])):
        assert abs(float(text) - value) < 0.056  # four digits are sent, and one is shown
    assert lab_page.locator(".lab-given").first.get_attribute("d").count("L") == 20  # as far as it was trained

    slider.focus()
    lab_page.keyboard.press("ArrowLeft")
    assert says.inner_text().startswith("After epoch 11 ") and slider.get_attribute("aria-valuetext") == "11"
    lab_page.touchscreen.tap(*spot(lab_page, 0, of_epoch(mnist, 6)))
    assert says.inner_text().startswith("After epoch 6 ")

    lab_page.get_by_role("button", name="stop here").focus()
    lab_page.keyboard.press("Enter")
    rows, places = scores(lab_page), {"you": 6} | guess.stops(cell, mnist["config"])
    assert [int(epoch) for epoch, *_ in rows] == [cell["epoch"][i] for i in places.values()]
    for (_, test, average), i in zip(rows, places.values()):
        assert test == average and abs(float(test) - 100 * cell["test"][i]) < 0.051
    assert (
        slider.is_disabled()
        and lab_page.locator(".lab-true").first.get_attribute("d").count("L") == len(cell["epoch"]) - 1
    )
    label = lab_page.locator("svg.lab-chart").get_attribute("aria-label")
    assert label.endswith(says.inner_text()) and says.inner_text().startswith("You stopped after epoch 6: ")


def test_the_tally_is_the_mean_of_all_rounds(lab_page, mnist):
    lab_page.goto(address(guess.curves(mnist)))
    played = []
    for epoch in (2, 30, 4):
        lab_page.touchscreen.tap(*spot(lab_page, 0, of_epoch(mnist, epoch)))
        lab_page.get_by_role("button", name="stop here").click()
        lab_page.wait_for_url(re.compile(f"epoch={epoch}&told"))
        _, state = lab.read(lab_page.url)
        assert state["epoch"] == epoch and state["told"]
        cell = guess.chosen(mnist, state)
        places = [epoch, *guess.stops(cell, mnist["config"]).values()]
        played.append([cell["test"][i] for i in places])
        for (*_, average), values in zip(scores(lab_page), zip(*played)):
            assert abs(float(average) - 100 * mean(values)) < 0.051
        told = lab_page.locator(".lab-says").inner_text()
        if epoch != 4:
            lab_page.get_by_role("button", name="next round").click()
    assert len(set(map(tuple, played))) == 3  # another run each time
    lab_page.reload()
    assert lab_page.locator(".lab-says").inner_text() == told


def test_a_threshold_has_the_precision_and_recall_of_its_suspects(lab_page, cifar):
    lab_page.goto(address(guess.losses(cifar), "#lab-guess&drawn_again=0.3&run=2"))
    (cell,) = cifar.select(corruption_rate=0.3, seed=1)
    found, says = guess.histograms(cell, cifar["config"]), lab_page.locator(".lab-says")

    def agrees(stop, bin):
        epoch, count, above, *shares = re.findall(r"[\d.,]*\d", says.inner_text())
        number, precision, recall = guess.suspects(found[stop], bin)
        assert (int(epoch), int(count.replace(",", ""))) == (found[stop]["epoch"], number)
        assert float(above) == bin / 40
        assert [int(one) for one in shares] == [round(100 * one) for one in (precision, recall)]
        return True

    early, _, late = guess.MOMENTS
    lab_page.mouse.move(*spot(lab_page, 0, 0.3))
    lab_page.mouse.down()
    lab_page.mouse.move(*spot(lab_page, 0, 0.61), steps=3)
    lab_page.mouse.up()
    assert agrees(early, 24)
    lab_page.touchscreen.tap(*spot(lab_page, 0, 0.251))
    assert agrees(early, 10)
    lab_page.locator("select[name=moment]").select_option(late)
    lab_page.locator("input[name=threshold]").press("ArrowRight")
    assert agrees(late, 11)
    lab_page.wait_for_url(lambda url: "0.275" in url)
    assert lab.read(lab_page.url)[1]["moment"] == late
    lab_page.reload()
    assert agrees(late, 11)


def test_without_stored_runs_it_says_so(lab_page):
    lab_page.goto(labpage.file_of("guess").as_uri())
    assert "this page has none" in lab_page.locator(".lab").inner_text()
