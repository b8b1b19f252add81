"""The rooms of the paper's figures: small runs, their numbers, and the cells of their sweeps."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from earlystop import training
from earlystop.data import around_centers, clusterable_dataset, redraw_labels
from earlystop.figures import EXPERIMENTS, fig1, fig3, fig4ab, fig4c, fig5, splits
from earlystop.figures.fig1 import Figure1
from earlystop.figures.fig3 import Figure3
from earlystop.figures.fig4ab import Figure4ab, LossHistory
from earlystop.figures.fig4c import Figure4c, Spectrum
from earlystop.figures.fig5 import Figure5
from earlystop.figures.splits import load_split
from earlystop.images import load_images
from earlystop.metrics import auroc, loss_shares, overlap, split_losses
from earlystop.network import initial_weights
from earlystop.runs import results
from earlystop.runs.machine import Machine
from earlystop.runs.store import Checkpoint
from earlystop.training import accuracy, least_squares, train

# ------------------------------------------------------------------------ the figures, tiny

FIGURE1 = Figure1.at("quick", train_size=120, validation_size=60, test_size=80, widths=(4, 6, 8), epochs=2)
FIGURE3 = Figure3.at("quick", train_size=120, widths=(4, 6, 8), epochs=2)
FIGURE4AB = Figure4ab.at("quick", train_size=120, validation_size=30, test_size=40, width=4, epochs=2)
FIGURE4C = Figure4c.at("quick", samples=24, width=4, epochs=2)


def test_a_split_is_disjoint_scaled_by_its_training_images_and_corrupted():
    split = load_split("digits", 1000, 300, 0.5, seed=1)
    assert len(load_split("digits", 100, 0, 0.5, test_size=90).test) == 90
    assert (len(split.train), len(split.validation), len(split.test)) == (1000, 300, 397)
    pixels = torch.cat([split.train.pixels, split.validation.pixels])
    drawn, whole = ({tuple(x.flatten().tolist()) for x in images} for images in (pixels, load_images("digits").pixels))
    assert len(drawn) == 1300 and drawn <= whole
    # 500 of 1,000 labels drawn again, 9 in 10 of them wrong; 150 of 300 for validation.
    checked = split.noisy_validation != split.validation.labels
    for wrong, redrawn in ((split.flipped, 500), (checked, 150)):
        assert abs(wrong.sum().item() - 0.9 * redrawn) <= 5 * math.sqrt(0.09 * redrawn)
    raw = split.train.pixels.float() / 255
    for part in ("train", "validation", "test"):
        expected = (getattr(split, part).pixels.float() / 255 - raw.mean()) / raw.std()
        torch.testing.assert_close(split.inputs(part), expected)


OWN_DATA = """
from dataclasses import replace
from earlystop.images import load_images

def load(split):
    images = load_images("digits", split)
    return replace(images, given=(images.labels + 1) % 10 if split == "train" else None, title="mine")
"""


def test_a_data_set_of_ones_own_is_trained_on_with_its_labels_as_given(tmp_path, monkeypatch):
    (tmp_path / "mydata.py").write_text(OWN_DATA)
    monkeypatch.syspath_prepend(tmp_path)
    split = load_split("mydata:load", 100, 20, 0.0, seed=2)
    assert torch.equal(split.noisy, (split.train.labels + 1) % 10) and split.flipped.all()
    assert torch.equal(split.noisy_validation, (split.validation.labels + 1) % 10)  # as given, too
    config = replace(FIGURE1, data="mydata:load", epochs=6)
    assert fig1.run(config, 0.0)["noisy"][-1] > fig1.run(config, 0.0)["true"][-1]
    with pytest.raises(ValueError, match="data set 'mydata:lode' is unknown"):
        replace(config, data="mydata:lode")
    before = fig1.EXPERIMENT.data(config)
    assert set(before) == {"train", "test"} and fig1.EXPERIMENT.data(FIGURE1) == {}
    monkeypatch.setattr(splits, "_images", lambda *a: replace(load_images("digits"), given=None))
    assert fig1.EXPERIMENT.data(config)["train"] != before["train"]  # other labels as given: another result


PARTS = ("noisy", "true", "test", "validation", "noisy_validation")


def test_every_draw_of_a_split_has_a_stream_of_its_own_and_old_results_keep_theirs():
    one, other = (load_split("digits", 300, 300, 0.5, seed, test_size=50) for seed in (0, 1))
    drawn = lambda truth, given: (truth != given).nonzero().flatten().tolist()
    trained = drawn(other.train.labels, other.noisy)
    assert drawn(one.validation.labels, one.noisy_validation) != trained
    assert not torch.equal(one.test.pixels, other.test.pixels)
    for seed in (0, 1):  # nor by the stream of the training labels of the same seed
        as_trained, _ = redraw_labels(one.validation.labels, torch.arange(10), 0.5, seed)
        assert not torch.equal(one.noisy_validation, as_trained)
    old, next_old = (load_split("digits", 300, 300, 0.5, seed, test_size=50, streams="shared") for seed in (0, 1))
    classes = torch.arange(10)
    expected, _ = redraw_labels(old.validation.labels, classes, 0.5, 1)  # the next seed's training stream
    assert torch.equal(old.noisy_validation, expected)
    assert torch.equal(old.test.pixels, next_old.test.pixels)
    assert torch.equal(old.noisy, one.noisy) and torch.equal(old.train.pixels, one.train.pixels)


@pytest.mark.parametrize("config", [FIGURE1, FIGURE4AB])
def test_unknown_streams_are_refused_at_the_door(config):
    assert replace(config, streams="shared").streams == "shared"
    with pytest.raises(ValueError, match="streams has 'seperate', should be of separate, shared"):
        replace(config, streams="seperate")


def test_shares_are_as_exact_as_those_in_a_file():
    outputs = F.one_hot(torch.zeros(1000, dtype=torch.long), 10).float()
    labels = (torch.arange(1000) >= 900).long()
    assert accuracy(outputs, labels).item() == 900 / 1000 == 0.9  # in single precision it is less
    history = LossHistory(torch.rand(3, 6), torch.arange(6) < 3, {
        "epoch": [0, 1, 2], "validation": [0.1, 0.2, 0.3], "noisy": [0.1, 0.73, 0.9],
    })  # fmt: skip
    assert fig4ab.summary(vars(history), {"corruption_rate": 0.3})["stop_agreement"] == 1  # 0.73 is 1 - 0.9 · 0.3


@pytest.mark.parametrize("optimizer", ["adam", "adadelta", "momentum", "sgd"])
def test_the_optimizer_of_figure_4ab_is_part_of_its_configuration(optimizer):
    config = replace(FIGURE4AB, optimizer=optimizer, epochs=1)
    assert fig4ab.EXPERIMENT.all_cells(config)
    losses = fig4ab.run(config, 0.5).losses
    others = [o for o in training.OPTIMIZERS if o != optimizer]
    for other in others:
        assert not torch.equal(losses, fig4ab.run(replace(config, optimizer=other), 0.5).losses)
    with pytest.raises(ValueError, match="should be of adadelta, adam, momentum, sgd"):
        fig4ab.EXPERIMENT.all_cells(replace(config, optimizer="lion"))


@pytest.mark.parametrize(
    ("run", "config", "keys"),
    [
        (fig1.run, FIGURE1, {*PARTS, *(f"{part}_loss" for part in PARTS)}),
        (fig3.run, FIGURE3, {"distance", "distance_per_layer", "accuracy", "loss"}),
    ],
)
def test_a_run_of_figure_1_or_3_is_repeatable_and_has_a_number_an_epoch(run, config, keys):
    curves, again, other = (run(config, 0.3, seed) for seed in (0, 0, 1))
    assert set(curves) == {"epoch", *keys} and all(len(curve) == 3 for curve in curves.values())
    assert curves["epoch"] == [0, 1, 2]
    for name, curve in curves.items():
        assert min(curve) >= 0 and max(curve) < math.inf
        assert max(curve) <= 1 or name not in (*PARTS, "accuracy")
    assert curves == again and curves != other
    if run is fig3.run:
        assert curves["distance"][0] == curves["distance_per_layer"][0] == 0 < curves["distance"][1]


def oracle(monkeypatch, config, validation_size, test_size):
    """Make every evaluation return the true one-hot labels; the split that it is told from."""
    split = load_split("digits", config.train_size, validation_size, 0.5, test_size=test_size)
    parts = (split.train, split.validation, split.test)
    truth = {len(part): F.one_hot(part.labels, 10).float() for part in parts if len(part)}
    for module in (fig1, fig3, fig4ab):
        evaluation = lambda _, images: truth[images.pixels.shape[1]][None].clone()
        monkeypatch.setattr(module, "evaluate_stack", evaluation)
    return split, truth


def test_the_curves_of_figure_1_count_true_and_given_labels_apart(monkeypatch):
    split, _ = oracle(monkeypatch, FIGURE1, FIGURE1.validation_size, FIGURE1.test_size)
    curves = fig1.run(FIGURE1, 0.5)
    assert curves["true"] == curves["test"] == curves["validation"] == [1, 1, 1]
    right = (split.noisy_validation == split.validation.labels).float().mean().item()
    assert curves["noisy_validation"] == pytest.approx([right] * 3)
    assert curves["noisy"] == pytest.approx([1 - split.flipped.float().mean().item()] * 3)


def test_the_curves_of_figure_3_are_on_the_given_labels(monkeypatch):
    split, _ = oracle(monkeypatch, FIGURE3, 0, None)
    curves, wrong = fig3.run(FIGURE3, 0.5), split.flipped.float().mean().item()
    assert wrong > 0.3 and curves["accuracy"] == pytest.approx([1 - wrong] * 3)
    assert curves["loss"] == pytest.approx([wrong] * 3)  # ½‖one-hot - another one-hot‖² = 1


def test_figure_4ab_stops_by_and_is_tested_on_different_images(monkeypatch):
    split, truth = oracle(monkeypatch, FIGURE4AB, 0, 70)
    truth[70][:30] = truth[70][:30].roll(1, dims=1)  # all of the validation images wrong
    history = fig4ab.run(FIGURE4AB, 0.5)
    assert history.curves["validation"] == [0, 0, 0] and history.curves["test"] == [1, 1, 1]
    assert history.curves["true"] == [1, 1, 1]
    assert torch.equal(history.flipped, split.flipped)
    assert torch.equal(history.losses, split.flipped.float().expand(3, -1))


def test_without_corruption_given_and_true_labels_are_the_same():
    curves = fig1.run(FIGURE1, 0.0)
    assert curves["noisy"] == curves["true"] and curves["validation"] == curves["noisy_validation"]


def test_the_order_of_training_has_nothing_to_do_with_which_labels_are_wrong(monkeypatch):
    visited = []

    def observed(stack, images, labels, **arguments):
        def loss(outputs, numbers):
            visited.append(numbers[0])
            return least_squares(outputs, labels.gather(1, numbers))

        numbers = torch.arange(labels.shape[1])[None]
        return train(stack, images, numbers, **{**arguments, "loss": loss})

    monkeypatch.setattr(splits, "train", observed)
    config = replace(FIGURE1, train_size=1000, epochs=1)
    fig1.run(config, 0.5, seed=3)
    flipped = load_split("digits", 1000, 60, 0.5, seed=3).flipped
    first = flipped[torch.cat(visited)[:500]].sum().item()  # hypergeometric
    share = flipped.float().mean().item()
    assert abs(first - 500 * share) <= 5 * math.sqrt(1000 * share * (1 - share) / 4)


def test_a_run_of_figure_4ab_keeps_every_loss_and_what_is_needed_to_stop():
    history, again, other = (fig4ab.run(FIGURE4AB, 0.5, seed) for seed in (0, 0, 1))
    assert history.losses.shape == (3, 120) and history.flipped.shape == (120,)
    losses = {"validation_loss", "test_loss"}
    assert set(history.curves) == {"epoch", "noisy", "true", "validation", "test", *losses}
    assert history.curves["epoch"] == [0, 1, 2]
    for name in ("noisy", "true", "validation", "test"):
        curve = history.curves[name]
        assert len(curve) == 3 and 0 <= min(curve) <= max(curve) <= 1
    assert (history.losses >= 0).all() and not torch.equal(history.losses[0], history.losses[-1])
    # 60 of 120 labels drawn again, 9 in 10 of them wrong.
    assert abs(history.flipped.sum().item() - 54) <= 5 * math.sqrt(60 * 0.09)
    assert {round(value * 30, 4) % 1 for value in history.curves["validation"]} == {0}
    assert {round(value * 40, 4) % 1 for value in history.curves["test"]} == {0}
    assert torch.equal(history.losses, again.losses) and history.curves == again.curves
    assert not torch.equal(history.losses, other.losses)


def test_the_best_epoch_is_the_first_of_the_highest():
    curves = {"validation": [0.1, 0.8, 0.8, 0.3], "noisy": [0.1, 0.2, 0.3, 0.9]}
    history = LossHistory(torch.zeros(4, 2), torch.zeros(2, dtype=torch.bool), curves)
    assert history.best_epoch() == 1 and history.best_epoch("noisy") == 3


def test_the_data_of_figure_4c_are_two_classes_with_labels_of_both_signs():
    config = replace(FIGURE4C, classes=(3, 8), samples=200)
    inputs, labels = fig4c.load_data(config)
    whole = load_images("digits")
    assert inputs.shape == (200, 1, 8, 8) and set(labels.tolist()) == {-1, 1}
    assert abs(inputs.mean().item()) < 1e-4 and abs(inputs.std().item() - 1) < 1e-4
    # Undo the normalization by its two extreme values, 0 and 255, and look the images up.
    pixels = (255 * (inputs - inputs.min()) / (inputs.max() - inputs.min())).round().byte()
    known = {tuple(x.flatten().tolist()): y.item() for x, y in zip(whole.pixels, whole.labels)}
    found = [known[tuple(x.flatten().tolist())] for x in pixels]
    assert found == [8 if label == 1 else 3 for label in labels]
    with pytest.raises(ValueError, match="2,000 images asked for"):
        fig4c.load_data(replace(config, samples=2000))


def test_a_run_of_figure_4c_has_two_spectra_and_is_repeatable():
    result, again = fig4c.run(FIGURE4C), fig4c.run(FIGURE4C)
    assert set(result) == {"before", "after", "accuracy", "flipped"}
    assert 0 <= result["accuracy"] <= 1 and result["accuracy"] == again["accuracy"]
    for name in ("before", "after"):
        spectrum = result[name]
        for numbers in (spectrum.values, spectrum.labels, spectrum.noise):
            assert numbers.shape == (24,) and (numbers >= 0).all()
        assert (spectrum.values.diff() <= 0).all() and spectrum.values[0] > 0
        assert torch.equal(spectrum.values, again[name].values)
    assert not torch.allclose(result["before"].values, result["after"].values)


def test_the_spectrum_of_figure_4c_splits_labels_and_flips_along_its_directions(monkeypatch):
    config = replace(FIGURE4C, samples=250, epochs=0)
    rng = np.random.default_rng(0)
    directions, values = np.linalg.qr(rng.normal(size=(250, 250)))[0], np.linspace(9, 1, 250)
    gram = torch.from_numpy((directions * values**2) @ directions.T)
    monkeypatch.setattr(fig4c, "model_gram", lambda *_, **__: gram)
    result = fig4c.run(config)
    labels = fig4c.load_data(config)[1].double().numpy()
    np.testing.assert_allclose(result["before"].values, values, rtol=1e-10)
    np.testing.assert_allclose(result["before"].labels, (labels @ directions) ** 2 / 250, atol=1e-6)
    assert result["before"].noise.sum().item() == pytest.approx(1, abs=1e-6)
    # 75 labels are drawn again, half of them flipped: a share ρ of ±2, so e has mean square 4ρ.
    assert abs(250 * result["flipped"] - 37.5) <= 5 * math.sqrt(75 / 4)
    # The directions know nothing of the flips: no one holds more than 25 times its even share.
    assert result["before"].noise.max() < 0.1


def test_a_spectrum_counts_the_values_above_a_share_of_the_largest():
    values = torch.tensor([10.0, 4.0, 1.001, 0.999, 0.0])
    spectrum = Spectrum(values, values, values)
    assert (spectrum.above(), spectrum.above(0.5), spectrum.above(0.0)) == (3, 1, 4)


# ------------------------------------------------------------------------ the cells of a sweep


@pytest.mark.parametrize(
    ("cells", "config", "count"),
    [
        (fig1.EXPERIMENT.all_cells, Figure1.at("paper"), 11 * 2 * 3),
        (fig3.EXPERIMENT.all_cells, Figure3.at("paper"), 6 * 3),
        (fig4ab.EXPERIMENT.all_cells, Figure4ab.at("paper"), 2 * 3),
        (fig4c.EXPERIMENT.all_cells, Figure4c.at("paper"), 2),
    ],
)
def test_more_seeds_or_levels_add_cells_and_keep_the_others(cells, config, count):
    now, more = cells(config), cells(replace(config, seeds=config.seeds + 1))
    assert len(now) == count and len(more) == count * (config.seeds + 1) // config.seeds
    assert all(cell in more for cell in now) and all(now.count(cell) == 1 for cell in now)
    if hasattr(config, "corruption_rates"):
        rates = config.corruption_rates
        more = cells(replace(config, corruption_rates=(0.05, *rates)))
        assert len(more) * len(rates) == count * (len(rates) + 1)
        assert all(cell in more for cell in now)


def test_a_level_or_seed_more_in_a_batch_changes_no_other_run(double):
    cells = [{"corruption_rate": rate, "seed": seed} for rate in (0.2, 0.6) for seed in (0, 1)]
    together, without = fig3.runs(FIGURE3, cells, None, Machine()), fig3.runs(FIGURE3, cells[1:3], None, Machine())
    for one, other in zip(together[1:3], without):
        for name, curve in one.items():
            assert curve == pytest.approx(other[name], rel=1e-8)
    assert fig3.run(FIGURE3, 0.6, 1)["loss"] == pytest.approx(together[3]["loss"], rel=1e-8)
    assert together[0]["loss"] != pytest.approx(together[1]["loss"], rel=1e-3)


def test_the_numbers_of_figure_4ab_follow_from_its_losses(double):
    config = replace(FIGURE4AB, epochs=4, step_size=0.05)
    cell = {"corruption_rate": 0.5, "seed": 2}
    one = fig4ab.summary(fig4ab.runs(config, [cell], None, Machine())[0], cell)
    history = fig4ab.run(config, 0.5, 2)
    losses, flipped = history.losses.numpy(), history.flipped.numpy()
    np.testing.assert_allclose(one["clean_loss"], losses[:, ~flipped].mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(one["flipped_loss"], losses[:, flipped].mean(axis=1), rtol=1e-12)
    pairs = losses[:, flipped][:, :, None] - losses[:, ~flipped][:, None, :]
    larger = (1 + np.sign(pairs).mean(axis=(1, 2))) / 2  # ties count half
    np.testing.assert_allclose(one["auroc"], larger, rtol=1e-12)
    assert one["overlap"] == [overlap(*history.groups(time)) for time in range(5)]
    best = int(np.argmax(history.curves["validation"]))
    reached = [t for t in range(5) if round(120 * history.curves["noisy"][t]) >= 66]  # 1 - 0.9 · ½
    stops = {"best": best, "agreement": reached[0] if reached else 4, "last": 4}
    for name, time in stops.items():
        assert one[f"stop_{name}"] == time
        for group, chosen in (("clean", ~flipped), ("flipped", flipped)):
            within = np.minimum(losses[time, chosen], 1.0)
            expected = np.histogram(within, 40, (0, 1))[0] / chosen.sum()
            np.testing.assert_allclose(one[f"{group}_{name}"], expected, atol=1e-6)


def test_the_shares_of_a_histogram_sum_to_one_and_equal_those_of_numpy():
    losses = torch.rand(500, generator=torch.Generator().manual_seed(0)) * 3
    shares = loss_shares(losses, top=1.5, bins=7)
    assert shares.sum().item() == pytest.approx(1)
    expected = np.histogram(np.minimum(losses.numpy(), 1.5), 7, (0, 1.5))[0] / 500
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    assert shares[-1] > 0.5  # what is above the top counts in the last bin


def test_the_numbers_of_figure_4c_are_those_of_its_spectra(tmp_path):
    cell = {"head": "difference", "seed": 1}
    one = fig4c.summary(fig4c.runs(FIGURE4C, [cell], None, Machine())[0], cell)
    run = fig4c.run(FIGURE4C, "difference", 1)
    assert (one["accuracy"], one["flipped"]) == (run["accuracy"], run["flipped"])
    for name in ("before", "after"):
        values = run[name].values.numpy()
        np.testing.assert_array_equal(one[f"singular_values_{name}"], values)
        assert one[f"above_tenth_{name}"] == (values > values[0] / 10).sum()
        for key, shares in (("labels", run[name].labels), ("flips", run[name].noise)):
            within = one[f"{key}_within_{name}"]
            np.testing.assert_allclose(within, np.cumsum(shares.numpy()), rtol=1e-6)
            assert within[-1].item() == pytest.approx(1)


def test_the_spectrum_before_training_is_computed_once_over_interruptions(tmp_path, monkeypatch):
    expected, spectra = fig4c.run(FIGURE4C), []
    original = fig4c.model_gram

    def counted(*arguments, **options):
        spectra.append(options)
        return original(*arguments, **options)

    monkeypatch.setattr(fig4c, "model_gram", counted)
    cells = [{"head": "single", "seed": 0}]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fig4c, "evaluate_stack", lambda *_: interrupt())
        fig4c.runs(FIGURE4C, cells, Checkpoint(tmp_path, "a run"), Machine())
    assert len(spectra) == 1
    (resumed,) = fig4c.runs(FIGURE4C, cells, Checkpoint(tmp_path, "a run"), Machine())
    assert len(spectra) == 2 and resumed["accuracy"] == expected["accuracy"]
    for name in ("before", "after"):
        assert torch.equal(resumed[name]["values"], expected[name].values)
        assert torch.equal(resumed[name]["noise"], expected[name].noise)


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_keys_of_a_batch_are_keys_of_its_cells(name):
    experiment = EXPERIMENTS[name]
    config = experiment.config.at("quick")
    cell = experiment.all_cells(config)[0]
    assert {*experiment.together, *experiment.sweep} <= cell.keys() and "seed" in cell
    assert set(experiment.sweep.values()) <= vars(config).keys()


def test_the_work_of_a_training_grows_with_what_it_trains_on_and_less_with_what_it_looks_at():
    config = Figure1.at("quick", train_size=100, validation_size=20, test_size=30, epochs=60)
    # Measured before training, after each of 40 epochs, and after epochs 50 and 60.
    assert splits.training_work(config) == 60 * 100 + 43 * (100 + 20 + 30) / 3
    whole = Figure4c.at("paper")
    works = [fig4c.work(replace(whole, epochs=epochs)) for epochs in (0, 10, 20)]
    assert works[2] - works[1] == works[1] - works[0] > 0
    assert fig4c.work(replace(whole, samples=20_000)) > 2 * fig4c.work(whole)


# ------------------------------------------------------------------------ Figure 5


@pytest.fixture(scope="module")
def stored():
    """Mean errors and flip rate over the seeds of the stored result at the paper's setting."""
    result = results.load("fig5")
    where = {k: v for k, v in fig5.cells(Figure5.at("paper"))[0].items() if k != "seed"}
    means = {"flipped": result.numbers("flipped", **where).mean().item()}
    for time, iteration in (("early", 80), ("late", 4500)):
        at = result["cells"][0]["iteration"].index(iteration)
        for kind in ("given", "true"):
            means[f"{time} {kind}"] = result.numbers(f"error_{kind}", **where)[:, at].mean().item()
    return means


@pytest.fixture
def double_figure5(double, monkeypatch):
    """Data and weights of Figure 5 in double precision."""
    for make in (clusterable_dataset, initial_weights):
        monkeypatch.setattr(fig5, make.__name__, partial(make, dtype=torch.float64))


def test_figure_5_has_the_sizes_of_the_paper():
    config = Figure5.at("paper")
    data = fig5.load_data(config, seed=0)
    assert data.inputs.shape == (400, 20) and data.clusters.bincount().tolist() == [200, 200]
    assert data.classes.tolist() == [0, 1] and data.corrupted.sum() == 120
    radius = (data.inputs - data.centers[data.clusters]).norm(dim=1)
    torch.testing.assert_close(radius, torch.full_like(radius, 0.5))
    assert (data.centers[0] - data.centers[1]).norm() >= 1
    assert (config.hidden_units, config.early, config.iterations) == (1000, 80, 4500)


def test_the_stored_figure_5_has_learned_the_truth_and_not_the_flips_at_iteration_80(stored):
    assert stored["early true"] <= 0.01
    assert abs(stored["early given"] - stored["flipped"]) <= 0.02


def test_the_stored_figure_5_has_fitted_the_flips_at_iteration_4500(stored):
    assert stored["late given"] <= 0.02
    assert abs(stored["late true"] - stored["flipped"]) <= 0.02


def test_figure_5_flips_about_15_percent():
    flipped = sum(fig5.load_data(Figure5.at("quick"), seed).flipped.sum().item() for seed in range(5))
    # 120 of 400 labels are drawn again, 5 times: binomial with 600 fair coins.
    assert abs(flipped - 300) <= 5 * math.sqrt(600 / 4)


def test_figure_5_draws_its_weights_independently_of_its_data():
    for seed in range(3):
        data, run = fig5.run(Figure5.at("quick", iterations=0), seed)
        directions = torch.cat([data.centers, data.inputs - data.centers[data.clusters]])
        directions = directions / directions.norm(dim=1, keepdim=True)
        rows = run.weights / run.weights.norm(dim=1, keepdim=True)
        # Of 402,000 random cosines in R^20 the largest exceeds 0.95 with chance 2e-5.
        assert (rows @ directions.T).abs().max() < 0.95


def test_figure_5_sweeps_one_size_at_a_time_around_the_setting_of_the_paper():
    config = Figure5.at("paper")
    cells = fig5.cells(config)
    base = {"corruption_rate": 0.3, "hidden_units": 1000, "input_noise": 0.5, "clusters": 2}
    paper = [c for c in cells if c["noise"] == "offset" and base.items() <= c.items()]
    assert [cell["seed"] for cell in paper] == list(range(100))
    others = [cell for cell in cells if cell not in paper]
    changed = [[key for key in (*base, "noise") if c[key] != {**base, "noise": "offset"}[key]]
               for c in others]  # fmt: skip
    assert all(len(keys) == 1 for keys in changed)
    assert {keys[0] for keys in changed} == {*base, "noise"}
    assert all(cells.count(cell) == 1 for cell in others)
    fewer = fig5.cells(Figure5.at("paper", seeds=2))
    assert all(cell in cells for cell in fewer) and len(fewer) < len(cells)


def test_the_cells_of_figure_5_run_together_as_each_by_itself(double_figure5):
    config = Figure5.at("quick", iterations=120, hidden_units=100)
    base = {"corruption_rate": 0.3, "hidden_units": 100, "input_noise": 0.5, "clusters": 2,
            "noise": "offset"}  # fmt: skip
    changes = [{"seed": 0}, {"seed": 1}, {"seed": 0, "corruption_rate": 0.6},
               {"seed": 0, "input_noise": 0.1}, {"seed": 0, "noise": "shell"}]  # fmt: skip
    cells = [base | change for change in changes]
    together = fig5.runs(config, cells, None, Machine())
    alone = [fig5.runs(config, [cell], None, Machine())[0] for cell in cells]
    for one, other in zip(together, alone):
        assert one.keys() == other.keys()
        for key, value in one.items():
            first, second = torch.as_tensor(value), torch.as_tensor(other[key])
            torch.testing.assert_close(first, second, rtol=0, atol=1e-9)
    curves = [one["distance"].tolist() for one in alone]
    assert all(curve != pytest.approx(curves[0], abs=1e-6) for curve in curves[1:])


def test_the_numbers_of_figure_5_are_those_of_its_run(double_figure5):
    config = Figure5.at("quick", iterations=300, hidden_units=100, early=40)
    base = {"corruption_rate": 0.3, "hidden_units": 100, "input_noise": 0.5, "clusters": 2}
    (one,) = fig5.runs(config, [base | {"noise": "offset", "seed": 3}], None, Machine())
    data, run = fig5.run(config, 3)
    points = one["iteration"].tolist()
    assert points[0] == 0 and points[-1] == 300 and 40 in points
    torch.testing.assert_close(one["distance"], run.distance[points])
    outputs = run.outputs[points].numpy()
    for key, labels in (("error_true", data.clean_labels), ("error_given", data.labels)):
        expected = ((outputs > 0.5) != labels.numpy().astype(bool)).mean(axis=1)
        np.testing.assert_allclose(one[key], expected, atol=1e-12)
    assert one["flipped"] == data.flipped.float().mean()
    for name, tau in (("early", 40), ("late", 300)):
        groups = split_losses((run.outputs[tau] - data.labels).square(), data.flipped)
        assert one[f"auroc_{name}"] == pytest.approx(auroc(*groups), abs=1e-12)
        for group, losses in zip(("clean", "flipped"), groups):
            shares = one[f"{group}_{name}"]
            assert shares.sum().item() == pytest.approx(1)
            within = np.histogram(losses.numpy().clip(max=1.5), len(shares), (0, 1.5))[0]
            np.testing.assert_allclose(shares, within / len(losses), atol=1e-12)
        fresh = around_centers(data, 400, 3, noise="offset")
        _, then = fig5.run(replace(config, iterations=tau), 3)
        hidden = torch.erf(fresh.inputs @ then.weights.T)
        outputs = 0.1 * (hidden[:, :50].sum(dim=1) - hidden[:, 50:].sum(dim=1))
        wrong = ((outputs > 0.5) != fresh.labels.bool()).float().mean().item()
        assert one[f"fresh_error_{name}"].item() == pytest.approx(wrong, abs=1e-12)
