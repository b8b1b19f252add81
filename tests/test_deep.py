"""The deep networks, their training, and small runs of the figures that use them."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from earlystop import experiments
from earlystop.architectures import ResidualBlock, conv_net, count_parameters, resnet
from earlystop.experiments import (
    Figure1,
    Figure3,
    Figure4ab,
    Figure4c,
    LossHistory,
    Spectrum,
    calibrate,
    figure1_run,
    figure3_run,
    figure4ab_run,
    figure4c_data,
    figure4c_run,
    load_split,
)
from earlystop.training import Distance, accuracy, evaluate, least_squares, train

# ------------------------------------------------------------------------ architectures


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: conv_net(), 4_795_914),
        (lambda: resnet(), 269_722),
        (lambda: resnet(n_classes=1), 269_137),
    ],
)
def test_a_network_has_the_parameters_of_the_paper(make, count):
    model = make()
    assert count_parameters(model) == count == sum(p.numel() for p in model.parameters())


def test_frozen_parameters_are_not_counted():
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    assert count_parameters(model) == 6


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 7), (1, 28, 28)])
def test_the_convolutional_network_takes_images_of_any_shape(shape):
    model = conv_net(shape, widths=(2, 3, 4), n_classes=5)
    assert model(torch.zeros(2, *shape)).shape == (2, 5)
    layers = [type(layer) for layer in model if list(layer.parameters())]
    assert layers == [nn.Conv2d, nn.Conv2d, nn.Linear, nn.Linear]


@pytest.mark.parametrize("shape", [(1, 5, 28), (1, 28, 5)])
def test_images_too_small_for_the_convolutional_network_are_refused(shape):
    with pytest.raises(ValueError, match="at least 6 × 6"):
        conv_net(shape)


@pytest.mark.parametrize(("depth", "side", "stages"), [(8, 8, 2), (14, 32, 8), (20, 32, 8)])
def test_the_resnet_has_its_depth_and_halves_the_image_twice(depth, side, stages):
    model = resnet(depth, channels=2, width=4, n_classes=7).eval()
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == depth
    x = torch.randn(3, 2, side, side)
    assert model(x).shape == (3, 7)
    assert model[:-3](x).shape == (3, 16, stages, stages)


@pytest.mark.parametrize("depth", [-4, 2, 7, 18, 21])
def test_an_impossible_depth_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth is {depth}"):
        resnet(depth)


@pytest.mark.parametrize(("channels", "width", "stride"), [(4, 4, 1), (4, 8, 2), (3, 8, 2)])
def test_the_shortcut_has_no_parameters_and_passes_its_input_on(channels, width, stride):
    block = ResidualBlock(channels, width, stride).eval()
    assert sum(p.numel() for p in block.parameters()) == 9 * width * (channels + width) + 4 * width
    nn.init.zeros_(block.conv2.weight)  # the residual branch is now 0: only the shortcut is left
    x = torch.rand(2, channels, 6, 6)
    out = block(x)
    first = (width - channels) // 2
    expected = torch.zeros(2, width, 6 // stride, 6 // stride)
    expected[:, first : first + channels] = x[:, :, ::stride, ::stride]
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(
    "make", [lambda s: conv_net((1, 8, 8), (2, 3, 4), seed=s), lambda s: resnet(8, seed=s)]
)
def test_construction_is_seeded_and_leaves_the_global_generator_alone(make):
    before = torch.random.get_rng_state()
    first, again, other = (list(make(seed).parameters()) for seed in (5, 5, 6))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first[0], other[0])


def test_the_convolutions_of_the_resnet_have_he_initialization():
    convolutions = [m for m in resnet(8).modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 7
    for weight in (convolution.weight for convolution in convolutions):
        expected = math.sqrt(2 / (9 * weight.shape[0]))  # 9 · channels out: the fan out
        assert weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * weight.numel()))


# ------------------------------------------------------------------------ training


def test_least_squares_is_half_the_squared_distance_to_the_one_hot_label():
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(20, 4)), rng.integers(4, size=20)
    expected = 0.5 * ((outputs - np.eye(4)[labels]) ** 2).sum(axis=1)
    actual = least_squares(torch.from_numpy(outputs), torch.from_numpy(labels))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-14)


def tiny(seed=0):
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    inputs = torch.randn(23, 1, 3, 3, generator=generator)
    return model, inputs, torch.randint(3, (23,), generator=generator)


def recorded_order(epochs=3, seed=0):
    """The samples of every batch, seen by handing their numbers over as labels."""
    model, inputs, labels = tiny()
    batches = []

    def loss(outputs, numbers):
        batches.append(numbers)
        return least_squares(outputs, labels[numbers])

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    numbers = torch.arange(23)
    run = dict(optimizer=optimizer, epochs=epochs, batch_size=8, loss=loss, seed=seed)
    train(model, inputs, numbers, **run)
    return model, batches


def test_every_epoch_visits_every_sample_once_in_a_new_seeded_order():
    _, batches = recorded_order()
    assert [len(batch) for batch in batches] == [8, 8, 7] * 3
    epochs = [torch.cat(batches[i : i + 3]).tolist() for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs} | {tuple(range(23))}) == 4
    again, other = recorded_order(seed=0)[1], recorded_order(seed=1)[1]
    assert torch.equal(torch.cat(again), torch.cat(batches))
    assert not torch.equal(torch.cat(other), torch.cat(batches))


def test_training_equals_a_loop_written_by_hand():
    trained, batches = recorded_order()
    model, inputs, labels = tiny()
    weight, bias = (p.detach().double() for p in model.parameters())
    x, y = inputs.flatten(1).double(), F.one_hot(labels, 3).double()
    for batch in batches:
        residual = x[batch] @ weight.T + bias - y[batch]
        weight = weight - 0.1 * residual.T @ x[batch] / len(batch)
        bias = bias - 0.1 * residual.mean(dim=0)
    for actual, expected in zip(trained.parameters(), (weight, bias)):
        torch.testing.assert_close(actual.detach().double(), expected, rtol=1e-4, atol=1e-5)


def test_numbers_are_recorded_before_training_and_after_every_epoch():
    model, inputs, labels = tiny()
    seen = []

    def after(epoch):
        seen.append((epoch, model[1].weight.detach().clone()))
        return {"epoch": epoch, "double": torch.tensor(2.0 * epoch)}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = model[1].weight.detach().clone()
    history = train(model, inputs, labels, optimizer=optimizer, epochs=2, after_epoch=after)
    assert history == {"epoch": [0, 1, 2], "double": [0, 2, 4]}
    assert torch.equal(seen[0][1], start) and not torch.equal(seen[1][1], start)
    assert torch.equal(seen[2][1], model[1].weight)
    assert train(model, inputs, labels, optimizer=optimizer, epochs=1) == {}


def test_training_goes_on_in_train_mode_after_an_evaluation():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(9, 3))
    _, inputs, labels = tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    measure = lambda _: {"n": len(evaluate(model, inputs))}  # noqa: E731
    train(model, inputs, labels, optimizer=optimizer, epochs=3, batch_size=23, after_epoch=measure)
    assert model[0].num_batches_tracked == 3


def test_training_that_diverges_is_refused_with_its_epoch():
    model, inputs, labels = tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    with pytest.raises(ValueError, match=r"loss is (nan|inf) in epoch 1: lower the step size"):
        train(model, inputs, labels, optimizer=optimizer, epochs=5, batch_size=8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(epochs=-1), "epochs is -1"),
        (dict(batch_size=0), "batch_size 0"),
        (dict(labels=torch.zeros(22, dtype=torch.long)), "23 inputs but 22 labels"),
    ],
)
def test_bad_training_arguments_are_refused(change, message):
    model, inputs, labels = tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    good = dict(inputs=inputs, labels=labels, optimizer=optimizer, epochs=1)
    with pytest.raises(ValueError, match=message):
        train(model, **{**good, **change})


def test_evaluation_is_batched_in_eval_mode_without_gradients():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(9, 3)).train()
    _, inputs, _ = tiny()
    outputs = evaluate(model, inputs, batch_size=5)
    model.eval()
    torch.testing.assert_close(outputs, model(inputs).detach())
    assert not outputs.requires_grad and model[0].num_batches_tracked == 0


def test_accuracy_is_the_share_of_largest_outputs():
    outputs = torch.tensor([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0], [1.0, 2.0]])
    assert accuracy(outputs, torch.tensor([0, 1, 1, 1])) == 0.75


def test_the_distance_is_that_of_all_weights_or_the_mean_over_layers():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    nn.init.zeros_(model[1].bias)
    start = [p.detach().numpy().copy() for p in model.parameters()]
    distance = Distance(model)
    assert distance() == distance.per_layer() == 0
    with torch.no_grad():
        for p in model.parameters():
            p += torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    end = [p.detach().numpy() for p in model.parameters()]
    moved = np.concatenate([(b - a).ravel() for a, b in zip(start, end)])
    together = np.concatenate([a.ravel() for a in start])
    assert distance() == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(together), rel=1e-5)
    ratios = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(start, end) if a.any()]
    assert len(ratios) == 3 and distance.per_layer() == pytest.approx(np.mean(ratios), rel=1e-5)


# ------------------------------------------------------------------------ the figures, tiny

FIGURE1 = Figure1.at(
    "quick", train_size=120, validation_size=60, test_size=80, widths=(4, 6, 8), epochs=2
)
FIGURE3 = Figure3.at("quick", train_size=120, widths=(4, 6, 8), epochs=2)
FIGURE4AB = Figure4ab.at(
    "quick", train_size=120, validation_size=30, test_size=40, width=4, epochs=2
)
FIGURE4C = Figure4c.at("quick", samples=24, width=4, epochs=2)


def test_a_split_is_disjoint_scaled_by_its_training_images_and_corrupted():
    split = load_split("digits", 1000, 300, 0.5, seed=1)
    assert len(load_split("digits", 100, 0, 0.5, test_size=90).test) == 90
    assert (len(split.train), len(split.validation), len(split.test)) == (1000, 300, 397)
    pixels = torch.cat([split.train.pixels, split.validation.pixels])
    drawn, whole = (
        {tuple(x.flatten().tolist()) for x in images}
        for images in (pixels, experiments.load_images("digits").pixels)
    )
    assert len(drawn) == 1300 and drawn <= whole
    # 500 of 1,000 labels drawn again, 9 in 10 of them wrong; 150 of 300 for validation.
    checked = split.noisy_validation != split.validation.labels
    for wrong, redrawn in ((split.flipped, 500), (checked, 150)):
        assert abs(wrong.sum().item() - 0.9 * redrawn) <= 5 * math.sqrt(0.09 * redrawn)
    raw = split.train.pixels.float() / 255
    for part in ("train", "validation", "test"):
        expected = (getattr(split, part).pixels.float() / 255 - raw.mean()) / raw.std()
        torch.testing.assert_close(split.inputs(part), expected)


@pytest.mark.parametrize(
    ("run", "config", "keys"),
    [
        (figure1_run, FIGURE1, {"noisy", "true", "test", "validation", "noisy_validation"}),
        (figure3_run, FIGURE3, {"distance", "distance_per_layer", "accuracy", "loss"}),
    ],
)
def test_a_run_of_figure_1_or_3_is_repeatable_and_has_a_number_an_epoch(run, config, keys):
    curves, again, other = (run(config, 0.3, seed) for seed in (0, 0, 1))
    assert set(curves) == keys and all(len(curve) == 3 for curve in curves.values())
    for name, curve in curves.items():
        assert min(curve) >= 0 and max(curve) < math.inf
        assert max(curve) <= 1 or name in ("distance", "distance_per_layer", "loss")
    assert curves == again and curves != other
    if run is figure3_run:
        assert curves["distance"][0] == curves["distance_per_layer"][0] == 0 < curves["distance"][1]
        assert curves["loss"][-1] < curves["loss"][0]


def oracle(monkeypatch, config, validation_size, test_size):
    """Make every evaluation return the true one-hot labels; the split that it is told from."""
    split = load_split("digits", config.train_size, validation_size, 0.5, test_size=test_size)
    parts = (split.train, split.validation, split.test)
    truth = {len(part): F.one_hot(part.labels, 10).float() for part in parts if len(part)}
    monkeypatch.setattr(experiments, "evaluate", lambda model, inputs: truth[len(inputs)].clone())
    return split, truth


def test_the_curves_of_figure_1_count_true_and_given_labels_apart(monkeypatch):
    split, _ = oracle(monkeypatch, FIGURE1, FIGURE1.validation_size, FIGURE1.test_size)
    curves = figure1_run(FIGURE1, 0.5)
    assert curves["true"] == curves["test"] == curves["validation"] == [1, 1, 1]
    right = (split.noisy_validation == split.validation.labels).float().mean().item()
    assert curves["noisy_validation"] == pytest.approx([right] * 3)
    assert curves["noisy"] == pytest.approx([1 - split.flipped.float().mean().item()] * 3)


def test_the_curves_of_figure_3_are_on_the_given_labels(monkeypatch):
    split, _ = oracle(monkeypatch, FIGURE3, 0, None)
    curves, wrong = figure3_run(FIGURE3, 0.5), split.flipped.float().mean().item()
    assert wrong > 0.3 and curves["accuracy"] == pytest.approx([1 - wrong] * 3)
    assert curves["loss"] == pytest.approx([wrong] * 3)  # ½‖one-hot - another one-hot‖² = 1


def test_figure_4ab_stops_by_and_is_tested_on_different_images(monkeypatch):
    split, truth = oracle(monkeypatch, FIGURE4AB, 0, 70)
    truth[70][:30] = truth[70][:30].roll(1, dims=1)  # all of the validation images wrong
    history = figure4ab_run(FIGURE4AB, 0.5)
    assert history.curves["validation"] == [0, 0, 0] and history.curves["test"] == [1, 1, 1]
    assert history.curves["true"] == [1, 1, 1]
    assert torch.equal(history.flipped, split.flipped)
    assert torch.equal(history.losses, split.flipped.float().expand(3, -1))


def test_without_corruption_given_and_true_labels_are_the_same():
    curves = figure1_run(FIGURE1, 0.0)
    assert curves["noisy"] == curves["true"] and curves["validation"] == curves["noisy_validation"]


def test_the_order_of_training_has_nothing_to_do_with_which_labels_are_wrong(monkeypatch):
    visited = []

    def observed(model, inputs, labels, **arguments):
        def loss(outputs, numbers):
            visited.append(numbers)
            return least_squares(outputs, labels[numbers])

        return train(model, inputs, torch.arange(len(labels)), loss=loss, **arguments)

    monkeypatch.setattr(experiments, "train", observed)
    config = replace(FIGURE1, train_size=1000, epochs=1)
    figure1_run(config, 0.5, seed=3)
    flipped = load_split("digits", 1000, 60, 0.5, seed=3).flipped
    first = flipped[torch.cat(visited)[:500]].sum().item()  # hypergeometric
    share = flipped.float().mean().item()
    assert abs(first - 500 * share) <= 5 * math.sqrt(1000 * share * (1 - share) / 4)


def test_a_run_of_figure_4ab_keeps_every_loss_and_what_is_needed_to_stop():
    history, again, other = (figure4ab_run(FIGURE4AB, 0.5, seed) for seed in (0, 0, 1))
    assert history.losses.shape == (3, 120) and history.flipped.shape == (120,)
    assert set(history.curves) == {"noisy", "true", "validation", "test"}
    for curve in history.curves.values():
        assert len(curve) == 3 and 0 <= min(curve) <= max(curve) <= 1
    assert (history.losses >= 0).all() and history.losses[-1].mean() < history.losses[0].mean()
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
    inputs, labels = figure4c_data(config)
    whole = experiments.load_images("digits")
    assert inputs.shape == (200, 1, 8, 8) and set(labels.tolist()) == {-1, 1}
    assert abs(inputs.mean().item()) < 1e-4 and abs(inputs.std().item() - 1) < 1e-4
    # Undo the normalization by its two extreme values, 0 and 255, and look the images up.
    pixels = (255 * (inputs - inputs.min()) / (inputs.max() - inputs.min())).round().byte()
    known = {tuple(x.flatten().tolist()): y.item() for x, y in zip(whole.pixels, whole.labels)}
    found = [known[tuple(x.flatten().tolist())] for x in pixels]
    assert found == [8 if label == 1 else 3 for label in labels]
    with pytest.raises(ValueError, match="2,000 images asked for"):
        figure4c_data(replace(config, samples=2000))


def test_a_run_of_figure_4c_has_two_spectra_and_is_repeatable():
    result, again = figure4c_run(FIGURE4C), figure4c_run(FIGURE4C)
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
    monkeypatch.setattr(experiments, "model_gram", lambda *_, **__: gram)
    result = figure4c_run(config)
    labels = figure4c_data(config)[1].double().numpy()
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


# ------------------------------------------------------------------------ calibration


def test_calibration_sets_the_statistics_of_the_whole_set_and_nothing_else():
    model = resnet(8, channels=1, width=4)
    x = 3 * torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 1
    model(5 * x)  # other statistics to start from
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    calibrate(model, x)
    assert not model.training
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
    assert all(m.momentum == 0.1 for m in model.modules() if isinstance(m, nn.BatchNorm2d))

    whole = copy.deepcopy(model).train()
    for part in whole.modules():  # on the whole set at once, every norm sees these statistics
        if isinstance(part, nn.BatchNorm2d):
            part.register_forward_hook(lambda norm, given, _: setattr(norm, "seen", given[0]))
    whole(x)
    pairs = zip(model.modules(), whole.modules())
    norms = [(norm, other.seen) for norm, other in pairs if isinstance(norm, nn.BatchNorm2d)]
    assert len(norms) == 7
    close = dict(rtol=1e-4, atol=1e-5)
    for norm, seen in norms:
        torch.testing.assert_close(norm.running_mean, seen.mean(dim=(0, 2, 3)), **close)
        torch.testing.assert_close(norm.running_var, seen.var(dim=(0, 2, 3)), **close)
    # Up to the n/(n-1) of the variance, the model now computes what it does on the whole set.
    torch.testing.assert_close(model(x), whole(x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("count", [40, 50])
def test_calibration_in_batches_averages_over_samples(count):
    model = nn.Sequential(nn.BatchNorm2d(2))
    x = torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    x = x + torch.arange(count)[:, None, None, None]  # the last batch is unlike the others
    calibrate(model, x, batch_size=20)
    torch.testing.assert_close(model[0].running_mean, x.mean(dim=(0, 2, 3)))
