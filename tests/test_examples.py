"""The images that a page shows with what a network said of them, and what stands in where they cannot be had."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from earlystop import plots
from earlystop.figures import examples
from earlystop.figures.splits import TINY_SIZES, load_split
from earlystop.images import DataError
from earlystop.runs.machine import Machine
from earlystop.runs.results import load

CONFIG = examples.Examples.at(
    "quick", validation_size=30, test_size=30, widths=(4, 6, 8), **TINY_SIZES | {"train_size": 60}
)
CELL = {"data": "digits", "corruption_rate": 0.5, "seed": 3}


@pytest.fixture(scope="module")
def run():
    return examples.runs(CONFIG, [CELL], None, Machine(watched=False))[0]


def test_the_first_images_with_a_wrong_label_and_with_a_right_one_are_shown(run):
    split = load_split("digits", 60, 30, 0.5, 3, 30)
    wrong = [i for i in range(60) if split.noisy[i] != split.train.labels[i]]
    right = [i for i in range(60) if i not in wrong]
    assert run["index"] == wrong[:8] + right[:8]
    assert run["given"] == split.noisy[run["index"]].tolist()
    assert run["truth"] == split.train.labels[run["index"]].tolist()
    assert len(run["early"]) == len(run["late"]) == 16 and "said" not in run


def test_what_is_said_is_that_of_the_best_validation_accuracy_and_that_of_the_end():
    curves = {"epoch": [0, 1, 2, 3], "validation": [0.9, 0.2, 0.7, 0.7], "said": [[0], [1], [2], [3]]}
    told = examples.told(curves, {"given": [4]})
    assert (told["early"], told["late"], told["stopped"], told["given"]) == ([2], [3], 2, [4])


def test_photographs_go_through_the_residual_network_and_gray_images_through_the_other():
    sizes = SimpleNamespace(depth=8, width=4, widths=(4, 6, 8))
    assert len(examples.network(sizes, 1, 8, 8, 0)) == 9
    assert examples.network(sizes, 3, 8, 8, 0)[0].in_channels == 3


def test_the_images_of_a_run_are_those_that_it_was_trained_on(run):
    seen = examples._seen(run | CELL, examples.on(CONFIG, "digits"))
    split = load_split("digits", 60, 30, 0.5, 3, 30)
    assert torch.equal(seen.pixels, split.train.pixels[run["index"]]) and "Images of scikit-learn" in seen.origin
    said = seen.wrong("early", "truth"), seen.wrong("late", "given")
    assert said == (
        sum(a == b for a, b in zip(run["early"][:8], run["truth"][:8])),
        sum(a == b for a, b in zip(run["late"][:8], run["given"][:8])),
    )
    assert seen.knows == run["true"][run["epoch"].index(run["stopped"])]


def test_where_the_images_cannot_be_had_digits_stand_in_and_say_so(run, monkeypatch):
    def unreachable(data, *rest, **more):
        if data != "digits":
            raise DataError("CIFAR-10, 32 × 32 pixels in color is not in the cache")
        return load_split(data, *rest, **more)

    monkeypatch.setattr(examples, "load_split", unreachable)
    monkeypatch.setattr(type(examples.EXPERIMENT), "run", lambda self, config, **cell: asked.append(cell) or short)
    asked, short = [], run | {"index": list(range(16))}
    first, seen = (examples.seen(load("examples"), data) for data in ("mnist", "cifar10"))
    assert asked == [{"data": "digits", "corruption_rate": 0.5, "seed": seed} for seed in (0, 1)]
    assert seen.pixels.shape == (16, 1, 8, 8) and not torch.equal(seen.pixels, first.pixels)
    assert seen.origin.startswith("**These are not the chapter's images.** CIFAR-10 was not to be had")
    assert "shows others of scikit-learn's handwritten digits" in seen.origin and "others" not in first.origin


@pytest.fixture
def known(monkeypatch):
    """A stored run of photographs whose third and fourth wrong labels are put right, and 16 black images for it."""
    said = {"truth": [5] * 16, "given": [3] * 8 + [5] * 8, "early": [3, 4, 5, 5] + [3] * 12, "late": [3] * 16}
    monkeypatch.setattr(
        examples, "_seen",
        lambda run, sizes: examples.Seen(torch.zeros(16, 3, 8, 8, dtype=torch.uint8), said, "T", "0123456789"),
    )  # fmt: skip
    return said


def test_the_one_image_is_the_first_whose_wrong_label_is_put_right(known):
    seen, index = examples.one(load("examples"), "cifar10")
    assert index == 2
    figure = examples.draw_one(seen, index)
    words = [(text.get_text(), to_hex(text.get_color()).upper()) for text in figure.axes[0].texts]
    assert words[::2] == [(one, examples.GRAY.upper()) for one in examples.WORDS.values()]
    orange, blue = plots.TRUE["color"], plots.NOISY["color"]
    assert words[1::2] == [("5", orange), ("3", blue), ("5", orange), ("3", blue)]
    plt.close(figure)


def test_without_photographs_the_one_image_is_a_digit_of_which_nothing_is_said(monkeypatch):
    def unreachable(run, sizes):
        raise DataError("CIFAR-10, 32 × 32 pixels in color is not in the cache")

    monkeypatch.setattr(examples, "_seen", unreachable)
    seen, index = examples.one(load("examples"), "cifar10")
    assert "CIFAR-10 was not to be had" in seen.instead and "digits" in seen.title
    assert seen.run["truth"][index] != seen.run["given"][index] and seen.pixels.shape == (1, 1, 8, 8)
    figure = examples.draw_one(seen, index)
    assert [text.get_text() for text in figure.axes[0].texts[::2]] == ["true label", "given label"]
    plt.close(figure)


def test_words_have_the_colour_of_the_label_that_they_agree_with():
    said = {"truth": [5] * 16, "given": [3] * 8 + [5] * 8, "early": [5] * 15 + [1], "late": [3] * 8 + [5] * 8}
    figure = examples.draw_images(examples.Seen(torch.zeros(16, 1, 8, 8, dtype=torch.uint8), said, "T", "0123456789"))
    wrong, right = figure.axes
    words = [[(text.get_text(), to_hex(text.get_color()).upper()) for text in ax.texts] for ax in (wrong, right)]
    orange, blue, gray = plots.TRUE["color"], plots.NOISY["color"], examples.GRAY.upper()
    digits = [[word for word in side if word[0].isdigit()] for side in words]
    assert digits[0] == [("5", orange), ("3", blue), ("5", orange), ("3", blue)] * 8
    assert digits[1] == [("5", orange)] * 30 + [("1", gray), ("5", orange)]
    assert min(text.get_fontsize() for ax in figure.axes for text in ax.texts) >= 9
    plt.close(figure)


def test_a_stored_run_is_drawn_with_its_stop():
    result = load("examples")
    figure = examples.draw(result)
    for ax, name in zip(figure.axes, ("mnist", "cifar10")):
        (cell,) = result.select(data=name)
        curves = {line.get_label(): line.get_ydata() for line in ax.lines}
        assert np.allclose(curves["test"], cell["test"]) and np.allclose(curves["training, true labels"], cell["true"])
        assert [line.get_xdata()[0] for line in ax.lines if line.get_label() == "stopped early"] == [cell["stopped"]]
    plt.close(figure)
