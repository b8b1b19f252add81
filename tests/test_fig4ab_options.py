"""The recipes of Figure 4ab that the paper leaves open: crops and mirror images, cross-entropy."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import torch
from torch.nn import functional as F

from earlystop.augment import EDGE, crop_and_flip
from earlystop.figures import fig4ab
from earlystop.figures.fig4ab import Figure4ab
from earlystop.images import load_images
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.store import plain
from earlystop.training import ImageStack

CONFIG = Figure4ab.at(
    "quick", data="patterns", train_size=40, validation_size=20, test_size=20, width=4, epochs=2, batch_size=10
)
CELLS = [{"corruption_rate": 0.5, "seed": 0}, {"corruption_rate": 0.3, "seed": 1}]


@pytest.fixture(scope="module")
def images():
    one, other = (load_images("patterns").subset(slice(first, first + 30)) for first in (0, 40))
    return ImageStack.of([one, other], [one, other])


def test_images_are_cut_and_mirrored_as_by_hand(images):
    moved, batch = crop_and_flip(images), torch.tensor([[3, 7], [29, 0]])
    moved.redraw(5, (0, 1))
    found, plain_inputs = moved.inputs(batch), images.inputs(batch)
    assert moved.moves[..., 2].unique().tolist() == [0, 1]
    assert moved.moves[..., :2].min() == 0 and moved.moves[..., :2].max() == 2 * EDGE
    for run in range(2):
        for sample in range(2):
            down, right, mirror = moved.moves[run, batch[run, sample]].tolist()
            whole = F.pad(plain_inputs[run, sample], [EDGE] * 4)
            cut = whole[:, down : down + 8, right : right + 8]
            assert torch.equal(found[run, sample], cut.flip(2) if mirror else cut)


def test_images_stay_where_they_are_until_moves_are_drawn(images):
    moved = crop_and_flip(images)
    assert torch.equal(moved.inputs(slice(2, 9)), images.inputs(slice(2, 9)))
    before = moved.inputs(slice(None))
    moved.redraw(1, (0, 1))
    assert not torch.equal(moved.inputs(slice(None)), before)


def test_moves_depend_on_seed_and_epoch_alone_and_stay_in_their_memory(images):
    moved, place = crop_and_flip(images), None
    drawn = {}
    for epoch, seeds in ((1, (0, 1)), (2, (0, 1)), (1, (1, 0)), (1, (0, 1))):
        moved.redraw(epoch, seeds)
        place = place or moved.moves.data_ptr()
        assert moved.moves.data_ptr() == place
        drawn.setdefault((epoch, seeds), []).append(moved.moves.clone())
    first, again = drawn[1, (0, 1)]
    assert torch.equal(first, again) and torch.equal(first.flip(0), drawn[1, (1, 0)][0])
    assert not torch.equal(first, drawn[2, (0, 1)][0]) and not torch.equal(first[0], first[1])


@pytest.mark.parametrize("change", [{"augmentation": "crop_flip"}, {"loss": "cross_entropy"}])
def test_a_recipe_is_part_of_the_configuration_and_changes_the_training(change):
    config = replace(CONFIG, **change)
    one, other = (fig4ab.runs(setting, CELLS, None, Machine()) for setting in (CONFIG, config))
    assert torch.equal(one[0]["losses"][0], other[0]["losses"][0]) == ("augmentation" in change)  # before training
    assert all(not torch.equal(a["losses"][-1], b["losses"][-1]) for a, b in zip(one, other))
    again = fig4ab.runs(config, CELLS, None, Machine())
    assert all(torch.equal(a["losses"], b["losses"]) for a, b in zip(other, again))


def test_runs_of_crops_and_mirror_images_do_not_depend_on_those_beside_them():
    config = replace(CONFIG, augmentation="crop_flip")
    together, (alone,) = (fig4ab.runs(config, cells, None, Machine()) for cells in (CELLS, CELLS[1:]))
    assert torch.allclose(together[1]["losses"], alone["losses"], rtol=1e-3, atol=1e-5)


def test_unknown_recipes_are_refused_at_the_door():
    with pytest.raises(ValueError, match="augmentation has 'crop', should be of none, crop_flip"):
        replace(CONFIG, augmentation="crop")
    with pytest.raises(ValueError, match="loss has 'hinge', should be of least_squares, cross_entropy"):
        replace(CONFIG, loss="hinge")


def test_results_from_before_the_options_are_of_least_squares_without_augmentation():
    known = Figure4ab.completed({"optimizer": "adam"})
    assert known["loss"] == "least_squares" and known["augmentation"] == "none"


def test_expected_cross_entropies_are_those_of_the_mean_label():
    for rate in (0.3, 0.5, 1.0):
        mean = torch.full((10,), rate / 10)
        mean[0] += 1 - rate
        losses = F.cross_entropy(mean.log().expand(2, 10), torch.tensor([0, 1]), reduction="none")
        assert fig4ab.expected("cross_entropy", rate) == pytest.approx(losses.tolist(), rel=1e-6)
    assert fig4ab.expected("least_squares", 0.3) == pytest.approx((0.0405, 0.7405))


def test_a_result_of_cross_entropy_is_drawn_by_its_own_loss(tmp_path):
    config = replace(CONFIG, loss="cross_entropy", optimizer="momentum", augmentation="crop_flip")
    cells = [
        plain(cell | fig4ab.summary(run, cell)) for cell, run in zip(CELLS, fig4ab.runs(config, CELLS, None, Machine()))
    ]
    result = Result(tmp_path / "made-up.json", {"experiment": "fig4ab", "config": plain(vars(config)), "cells": cells})
    assert fig4ab.recipe(result) == "cross entropy, SGD with momentum and crops and mirror images"
    figure = fig4ab.draw(result)
    assert figure.axes[0].get_xlim()[1] > 5 and sum(cells[0]["clean_best"]) == pytest.approx(1, abs=1e-4)
    plt.close(figure)
