"""The deep networks, their training, and small runs of the figures that use them."""

import copy
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from earlystop import figure1, figure4ab, figure4c, store, training
from earlystop.architectures import ResidualBlock, conv_net, count_parameters, resnet
from earlystop.data import redraw_labels
from earlystop.experiments import EXPERIMENTS
from earlystop.figure1 import (
    Figure1,
    Figure3,
    figure1_cells,
    figure1_run,
    figure3_cells,
    figure3_run,
    figure3_runs,
    load_split,
)
from earlystop.figure4ab import Figure4ab, LossHistory, figure4ab_cells, figure4ab_run, figure4ab_runs
from earlystop.figure4c import Figure4c, Spectrum, calibrate, figure4c_cells, figure4c_data, figure4c_run, figure4c_runs
from earlystop.images import Images, load_images
from earlystop.metrics import loss_shares, overlap
from earlystop.scale import Way, random_stream
from earlystop.store import Checkpoint
from earlystop.training import (
    ImageStack,
    Stack,
    accuracy,
    cross_entropy,
    distances,
    evaluate,
    evaluate_stack,
    least_squares,
    train,
)

# ------------------------------------------------------------------------ architectures


@pytest.mark.parametrize(
    ("make", "count"),
    [(lambda: conv_net(), 4_795_914), (lambda: resnet(), 269_722), (lambda: resnet(n_classes=1), 269_137)],
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


@pytest.mark.parametrize("make", [lambda s: conv_net((1, 8, 8), (2, 3, 4), seed=s), lambda s: resnet(8, seed=s)])
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
    outputs, labels = rng.normal(size=(2, 20, 4)), rng.integers(4, size=(2, 20))
    expected = 0.5 * ((outputs - np.eye(4)[labels]) ** 2).sum(axis=-1)
    actual = least_squares(torch.from_numpy(outputs), torch.from_numpy(labels))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-14)


def test_cross_entropy_is_that_of_torch_for_every_sample():
    generator = torch.Generator().manual_seed(0)
    outputs = 30 * torch.randn(2, 20, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (2, 20), generator=generator)
    expected = F.cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="none")
    torch.testing.assert_close(cross_entropy(outputs, labels), expected.view(2, 20))


def tiny(seed=0, n=23):
    """One linear network as a stack, and images and labels for it."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    pixels = torch.randint(256, (n, 1, 3, 3), generator=generator, dtype=torch.uint8)
    images = Images(pixels, torch.randint(3, (n,), generator=generator), "noise")
    return Stack([model]), ImageStack.of([images], [images]), images.labels[None]


def descent(stack, step_size=0.1):
    return torch.optim.SGD(stack.parameters.values(), lr=step_size)


def recorded_order(epochs=3, seed=0):
    """The samples of every batch, seen by handing their numbers over as labels."""
    stack, images, labels = tiny()
    batches = []

    def loss(outputs, numbers):
        batches.append(numbers[0])
        return least_squares(outputs, labels.gather(1, numbers))

    run = dict(optimizer=descent(stack), epochs=epochs, batch_size=8, loss=loss, seeds=[seed])
    train(stack, images, torch.arange(23)[None], **run)
    return stack, batches


def test_every_epoch_visits_every_sample_once_in_a_new_seeded_order():
    _, batches = recorded_order()
    assert [len(batch) for batch in batches] == [8, 8, 7] * 3
    epochs = [torch.cat(batches[i : i + 3]).tolist() for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs} | {tuple(range(23))}) == 4
    again, other = recorded_order(seed=0)[1], recorded_order(seed=1)[1]
    assert torch.equal(torch.cat(again), torch.cat(batches))
    assert not torch.equal(torch.cat(other), torch.cat(batches))


def test_training_equals_matrix_products(double):
    trained, batches = recorded_order()
    stack, images, labels = tiny()
    weight, bias = (p[0].detach() for p in stack.parameters.values())
    x = images.pixels[0].flatten(1).double() / 255
    x, y = (x - x.mean()) / x.std(), F.one_hot(labels[0], 3).double()
    for batch in batches:
        residual = x[batch] @ weight.T + bias - y[batch]
        weight = weight - 0.1 * residual.T @ x[batch] / len(batch)
        bias = bias - 0.1 * residual.mean(dim=0)
    for actual, expected in zip(trained.parameters.values(), (weight, bias)):
        torch.testing.assert_close(actual[0].detach(), expected, rtol=0, atol=1e-12)


def test_numbers_are_recorded_before_training_and_after_every_epoch():
    stack, images, labels = tiny()
    seen = []

    def measure():
        seen.append(stack.parameters["1.weight"].detach().clone())
        return {"norm": seen[-1].flatten(1).norm(dim=1)}

    start = stack.parameters["1.weight"].detach().clone()
    run = dict(optimizer=descent(stack), batch_size=8, seeds=[0])
    history = train(stack, images, labels, epochs=2, measure=measure, **run)
    assert history["epoch"] == [0, 1, 2] and set(history) == {"epoch", "norm"}
    assert [one.item() for one in history["norm"]] == pytest.approx([w.norm().item() for w in seen])
    assert torch.equal(seen[0], start) and not torch.equal(seen[1], start)
    assert torch.equal(seen[2], stack.parameters["1.weight"])
    assert train(stack, images, labels, epochs=1, **run) == {}


def test_later_epochs_are_measured_now_and_then_and_the_last_one_always():
    assert [e for e in range(83) if Way().measured(e, 82)] == [*range(41), 50, 60, 70, 80, 82]
    assert [e for e in range(4) if Way().measured(e, 3)] == [0, 1, 2, 3]
    stack, images, labels = tiny(n=2)
    run = dict(optimizer=descent(stack, 1e-3), batch_size=2, seeds=[0])
    history = train(stack, images, labels, epochs=67, measure=lambda: {}, **run)
    assert history["epoch"] == [*range(41), 50, 60, 67]


def test_training_goes_on_in_train_mode_after_an_evaluation():
    _, images, labels = tiny()
    stack = Stack([nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(9, 3))])
    measure = lambda: {"n": evaluate_stack(stack, images)}
    run = dict(optimizer=descent(stack, 0.01), batch_size=23, seeds=[0])
    train(stack, images, labels, epochs=3, measure=measure, **run)
    assert stack.buffers["0.num_batches_tracked"].tolist() == [3]


def test_training_that_diverges_is_refused_with_its_epoch_and_seed():
    stack = Stack([nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(2)])
    with torch.no_grad():
        stack.parameters["1.weight"][1] *= 1e30
    images, labels = digits(0)
    run = dict(optimizer=descent(stack), epochs=5, batch_size=8, seeds=[7, 9])
    message = r"loss is (nan|inf) in epoch 1 of seed 9: lower the step size"
    with pytest.raises(ValueError, match=message):
        train(stack, ImageStack.of([images] * 2, [images] * 2), labels.expand(2, -1), **run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(epochs=-1), "epochs is -1"),
        (dict(batch_size=0), "batch_size 0"),
        (dict(labels=torch.zeros(1, 22).long()), r"\(1, 23\) images but \(1, 22\) labels"),
        (dict(labels=torch.zeros(2, 23).long()), r"\(1, 23\) images but \(2, 23\) labels"),
    ],
)
def test_bad_training_arguments_are_refused(change, message):
    stack, images, labels = tiny()
    good = dict(images=images, labels=labels, optimizer=descent(stack), epochs=1, batch_size=8)
    with pytest.raises(ValueError, match=message):
        train(stack, **{**good, "seeds": [0], **change})


def test_evaluation_is_batched_in_eval_mode_without_gradients():
    _, images, _ = tiny()
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(9, 3)).train()
    inputs = images.inputs(slice(None))[0]
    stacked = evaluate_stack(Stack([model], Way(evaluated=5)), images)
    model.train()
    outputs = evaluate(model, inputs, batch_size=5)
    model.eval()
    torch.testing.assert_close(outputs, model(inputs).detach())
    torch.testing.assert_close(stacked, outputs[None])
    assert not outputs.requires_grad and not stacked.requires_grad
    assert model[0].num_batches_tracked == 0


def test_accuracy_is_the_share_of_largest_outputs():
    outputs = torch.tensor([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0], [1.0, 2.0]])
    assert accuracy(outputs, torch.tensor([0, 1, 1, 1])) == 0.75
    labels = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 0]])
    assert accuracy(outputs.expand(2, -1, -1), labels).tolist() == [0.75, 0.25]


def test_the_distance_is_that_of_all_weights_or_the_mean_over_layers():
    rng = np.random.default_rng(0)
    start = {"a": rng.normal(size=(3, 5, 4)), "b": rng.normal(size=(3, 5)), "c": np.zeros((3, 2))}
    end = {name: value + rng.normal(size=value.shape) for name, value in start.items()}
    as_tensors = [{k: torch.tensor(v) for k, v in state.items()} for state in (end, start)]
    together, per_layer = distances(*as_tensors)
    for run in range(3):
        moved = [np.linalg.norm(end[k][run] - start[k][run]) for k in start]
        size = [np.linalg.norm(start[k][run]) for k in start]
        expected = np.linalg.norm(moved) / np.linalg.norm(size)
        assert together[run].item() == pytest.approx(expected, rel=1e-12)
        expected = (moved[0] / size[0] + moved[1] / size[1]) / 2  # the third starts at zero
        assert per_layer[run].item() == pytest.approx(expected, rel=1e-12)
    assert [d.tolist() for d in distances(as_tensors[1], as_tensors[1])] == [[0] * 3, [0] * 3]


# ------------------------------------------------------------------------ many networks at once

NETWORKS = {
    "conv net": lambda seed: conv_net((1, 8, 8), (4, 6, 8), seed=seed),
    "ResNet": lambda seed: resnet(8, channels=1, width=4, seed=seed),
}
OPTIMIZERS = {
    "Adadelta": (figure1.adadelta, lambda weights: torch.optim.Adadelta(weights, lr=1.0)),
    "Adam": (lambda stack: training.adam(stack, 0.004), lambda weights: torch.optim.Adam(weights, lr=0.004)),
    "SGD": (
        lambda stack: figure4c.momentum(stack, 0.02),
        lambda weights: torch.optim.SGD(weights, lr=0.02, momentum=0.9, nesterov=True),
    ),
}
ROUNDING = dict(rtol=1e-9, atol=1e-9)  # of some ten steps in double precision: each multiplies it
SEEDS = (3, 0, 7)
every_kind = pytest.mark.parametrize("kind", NETWORKS)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def digits(seed, n=70):
    """Some digits with labels of which many are wrong."""
    images = load_images("digits")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n]
    labels = torch.randint(10, (n,), generator=torch.Generator().manual_seed(seed + 100))
    return images.subset(order), labels


def stacked(kind, optimizer, seeds, loss=least_squares, epochs=2):
    """Train a stack on the digits of each seed; the stack and its images."""
    stack = Stack([NETWORKS[kind](seed) for seed in seeds])
    sets, labels = zip(*(digits(seed) for seed in seeds))
    images = ImageStack.of(sets, sets)
    run = dict(epochs=epochs, batch_size=16, seeds=seeds, loss=loss)
    train(stack, images, torch.stack(labels), optimizer=OPTIMIZERS[optimizer][0](stack), **run)
    return stack, images


def by_hand(kind, optimizer, seed, loss, epochs=2):
    """The same training of one network, in plain PyTorch."""
    images, labels = digits(seed)
    x = images.pixels.float() / 255
    x = (x - x.mean()) / x.std()
    model = NETWORKS[kind](seed).train()
    optimizer = OPTIMIZERS[optimizer][1](model.parameters())
    for epoch in range(1, epochs + 1):
        order = torch.randperm(70, generator=random_stream(seed, f"batches of epoch {epoch}"))
        for batch in order.split(16):
            outputs, y = model(x[batch]), labels[batch]
            if loss is least_squares:
                value = F.mse_loss(outputs, F.one_hot(y, 10).float(), reduction="sum") / 2 / len(y)
            else:
                value = F.cross_entropy(outputs, y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return model


def assert_same_state(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(actual[name].detach(), value.detach(), **ROUNDING, msg=name)


@pytest.mark.parametrize("loss", [least_squares, cross_entropy])
@every_optimizer
@every_kind
def test_each_network_of_a_stack_is_trained_as_by_a_plain_loop(kind, optimizer, loss, double):
    stack, _ = stacked(kind, optimizer, SEEDS, loss)
    for run, seed in enumerate(SEEDS):
        expected = by_hand(kind, optimizer, seed, loss).state_dict()
        assert_same_state({k: v[run] for k, v in stack.state().items()}, expected)


@every_optimizer
@every_kind
def test_a_network_trains_alone_as_in_any_stack(kind, optimizer, double):
    whole, images = stacked(kind, optimizer, SEEDS)
    fewer, _ = stacked(kind, optimizer, SEEDS[1:])
    alone, own_images = stacked(kind, optimizer, SEEDS[1:2])
    state = alone.state()
    for stack, run in ((whole, 1), (fewer, 0)):
        assert_same_state({k: v[run : run + 1] for k, v in stack.state().items()}, state)
    with_others, by_itself = evaluate_stack(whole, images)[1], evaluate_stack(alone, own_images)[0]
    torch.testing.assert_close(with_others, by_itself, **ROUNDING)
    network = whole.network(1).eval()
    torch.testing.assert_close(network(images.inputs(slice(None))[1]), with_others, **ROUNDING)


def test_runs_on_the_same_images_share_them_and_others_do_not():
    first, second = digits(0)[0], digits(1)[0]
    shared, apart = (ImageStack.of([one, first], [second, first]) for one in (first, second))
    assert shared.pixels.untyped_storage().nbytes() == first.pixels.numel()
    assert apart.pixels.untyped_storage().nbytes() == 2 * first.pixels.numel()
    columns = torch.tensor([[5, 0, 3], [2, 2, 69]])
    for stack, sets in ((shared, (first, first)), (apart, (second, first))):
        for run, (images, trained) in enumerate(zip(sets, (second, first))):
            scale = trained.pixels.numpy() / 255
            expected = (images.pixels.numpy() / 255 - scale.mean()) / scale.std(ddof=1)
            actual = stack.inputs(slice(None))[run].numpy()
            np.testing.assert_allclose(actual, expected, atol=1e-5)
            chosen = stack.inputs(columns)[run].numpy()
            np.testing.assert_allclose(chosen, expected[columns[run]], atol=1e-5)


@every_optimizer
@every_kind
def test_an_interrupted_training_goes_on_bit_for_bit(kind, optimizer, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "time", SimpleNamespace(monotonic=lambda: 0.0))  # saved each epoch

    def run(checkpoint, stop=None):
        stack = Stack([NETWORKS[kind](seed) for seed in SEEDS[:2]])
        sets, labels = zip(*(digits(seed) for seed in SEEDS[:2]))
        images, seen = ImageStack.of(sets, sets), []

        def measure():
            seen.append(evaluate_stack(stack, images)[:, 0])
            if len(seen) == stop:
                raise KeyboardInterrupt
            return {"outputs": seen[-1]}

        history = train(
            stack, images, torch.stack(labels), optimizer=OPTIMIZERS[optimizer][0](stack),
            epochs=4, batch_size=32, seeds=SEEDS[:2], measure=measure, checkpoint=checkpoint,
        )  # fmt: skip
        return stack.state(), history, len(seen)

    whole, expected, _ = run(None)
    with pytest.raises(KeyboardInterrupt):  # in epoch 3, after the checkpoint of epoch 2
        run(Checkpoint(tmp_path, "a run", every=0), stop=4)
    state, history, count = run(Checkpoint(tmp_path, "a run", every=0))
    assert count == 2 and history["epoch"] == expected["epoch"] == [0, 1, 2, 3, 4]
    assert all(map(torch.equal, history["outputs"], expected["outputs"]))
    assert all(torch.equal(state[name], whole[name]) for name in whole)


@every_kind
def test_in_bfloat16_weights_and_losses_stay_float32(kind, monkeypatch):
    monkeypatch.setenv("EARLYSTOP_DEVICE", "cpu")
    exact, images = stacked(kind, "SGD", SEEDS[:2], epochs=0)
    expected = evaluate_stack(exact, images)
    monkeypatch.setenv("EARLYSTOP_PRECISION", "bfloat16")
    rounded = evaluate_stack(exact, images)
    error = (rounded - expected).abs().max() / expected.abs().max()
    assert rounded.dtype == torch.float32 and 1e-4 < error < 0.05
    kinds = []

    def loss(outputs, labels):
        kinds.append(outputs.dtype)
        return least_squares(outputs, labels)

    trained, _ = stacked(kind, "SGD", SEEDS[:2], loss, epochs=1)
    assert set(kinds) == {torch.float32}
    assert all(p.dtype == torch.float32 for p in trained.parameters.values())


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


PARTS = ("noisy", "true", "test", "validation", "noisy_validation")


def test_every_draw_of_a_split_has_a_stream_of_its_own_and_old_results_keep_theirs():
    one, other = (load_split("digits", 300, 300, 0.5, seed, test_size=50) for seed in (0, 1))
    drawn = lambda truth, given: (truth != given).nonzero().flatten().tolist()
    trained = drawn(other.train.labels, other.noisy)
    assert drawn(one.validation.labels, one.noisy_validation) != trained
    assert not torch.equal(one.test.pixels, other.test.pixels)
    old, next_old = (load_split("digits", 300, 300, 0.5, seed, test_size=50, streams="shared") for seed in (0, 1))
    classes = torch.arange(10)
    expected, _ = redraw_labels(old.validation.labels, classes, 0.5, 1)  # the next seed's training stream
    assert torch.equal(old.noisy_validation, expected)
    assert torch.equal(old.test.pixels, next_old.test.pixels)
    assert torch.equal(old.noisy, one.noisy) and torch.equal(old.train.pixels, one.train.pixels)


@pytest.mark.parametrize("config", [FIGURE1, FIGURE4AB])
def test_unknown_streams_are_refused_at_the_door(config):
    assert replace(config, streams="shared").streams == "shared"
    with pytest.raises(ValueError, match="streams is 'seperate', should be of separate, shared"):
        replace(config, streams="seperate")


def test_shares_are_as_exact_as_those_in_a_file():
    outputs = F.one_hot(torch.zeros(1000, dtype=torch.long), 10).float()
    labels = (torch.arange(1000) >= 900).long()
    assert accuracy(outputs, labels).item() == 900 / 1000 == 0.9  # in single precision it is less
    history = LossHistory(torch.rand(3, 6), torch.arange(6) < 3, {
        "epoch": [0, 1, 2], "validation": [0.1, 0.2, 0.3], "noisy": [0.1, 0.73, 0.9],
    })  # fmt: skip
    assert figure4ab.summary(history, 0.3)["stop_agreement"] == 1  # 0.73 is 1 - 0.9 · 0.3


@pytest.mark.parametrize("optimizer", ["adam", "adadelta", "momentum"])
def test_the_optimizer_of_figure_4ab_is_part_of_its_configuration(optimizer):
    config = replace(FIGURE4AB, optimizer=optimizer, epochs=1)
    assert figure4ab_cells(config)
    losses = figure4ab_run(config, 0.5).losses
    others = [o for o in training.OPTIMIZERS if o != optimizer]
    for other in others:
        assert not torch.equal(losses, figure4ab_run(replace(config, optimizer=other), 0.5).losses)
    with pytest.raises(ValueError, match="should be of adadelta, adam, momentum"):
        figure4ab_cells(replace(config, optimizer="sgd"))


@pytest.mark.parametrize(
    ("run", "config", "keys"),
    [
        (figure1_run, FIGURE1, {*PARTS, *(f"{part}_loss" for part in PARTS)}),
        (figure3_run, FIGURE3, {"distance", "distance_per_layer", "accuracy", "loss"}),
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
    if run is figure3_run:
        assert curves["distance"][0] == curves["distance_per_layer"][0] == 0 < curves["distance"][1]


def oracle(monkeypatch, config, validation_size, test_size):
    """Make every evaluation return the true one-hot labels; the split that it is told from."""
    split = load_split("digits", config.train_size, validation_size, 0.5, test_size=test_size)
    parts = (split.train, split.validation, split.test)
    truth = {len(part): F.one_hot(part.labels, 10).float() for part in parts if len(part)}
    for module in (figure1, figure4ab):
        evaluation = lambda _, images: truth[images.pixels.shape[1]][None].clone()
        monkeypatch.setattr(module, "evaluate_stack", evaluation)
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

    def observed(stack, images, labels, **arguments):
        def loss(outputs, numbers):
            visited.append(numbers[0])
            return least_squares(outputs, labels.gather(1, numbers))

        numbers = torch.arange(labels.shape[1])[None]
        return train(stack, images, numbers, **{**arguments, "loss": loss})

    monkeypatch.setattr(figure1, "train", observed)
    config = replace(FIGURE1, train_size=1000, epochs=1)
    figure1_run(config, 0.5, seed=3)
    flipped = load_split("digits", 1000, 60, 0.5, seed=3).flipped
    first = flipped[torch.cat(visited)[:500]].sum().item()  # hypergeometric
    share = flipped.float().mean().item()
    assert abs(first - 500 * share) <= 5 * math.sqrt(1000 * share * (1 - share) / 4)


def test_a_run_of_figure_4ab_keeps_every_loss_and_what_is_needed_to_stop():
    history, again, other = (figure4ab_run(FIGURE4AB, 0.5, seed) for seed in (0, 0, 1))
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
    inputs, labels = figure4c_data(config)
    whole = load_images("digits")
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
    monkeypatch.setattr(figure4c, "model_gram", lambda *_, **__: gram)
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


# ------------------------------------------------------------------------ the cells of a sweep


@pytest.mark.parametrize(
    ("cells", "config", "count"),
    [
        (figure1_cells, Figure1.at("paper"), 11 * 2 * 3),
        (figure3_cells, Figure3.at("paper"), 6 * 3),
        (figure4ab_cells, Figure4ab.at("paper"), 2 * 3),
        (figure4c_cells, Figure4c.at("paper"), 2),
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
    together, without = figure3_runs(FIGURE3, cells), figure3_runs(FIGURE3, cells[1:3])
    for one, other in zip(together[1:3], without):
        for name, curve in one.items():
            assert curve == pytest.approx(other[name], rel=1e-8)
    assert figure3_run(FIGURE3, 0.6, 1)["loss"] == pytest.approx(together[3]["loss"], rel=1e-8)
    assert together[0]["loss"] != pytest.approx(together[1]["loss"], rel=1e-3)


def test_the_numbers_of_figure_4ab_follow_from_its_losses(double):
    config = replace(FIGURE4AB, epochs=4, step_size=0.05)
    (one,) = figure4ab_runs(config, [{"corruption_rate": 0.5, "seed": 2}])
    history = figure4ab_run(config, 0.5, 2)
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
    (one,) = figure4c_runs(FIGURE4C, [{"head": "difference", "seed": 1}])
    run = figure4c_run(FIGURE4C, "difference", 1)
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
    expected, spectra = figure4c_run(FIGURE4C), []
    original = figure4c.model_gram

    def counted(*arguments, **options):
        spectra.append(options)
        return original(*arguments, **options)

    monkeypatch.setattr(figure4c, "model_gram", counted)
    checkpoint = Checkpoint(tmp_path, "a run")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(figure4c, "evaluate_stack", lambda *_: interrupt())
        figure4c_run(FIGURE4C, checkpoint=checkpoint)
    assert len(spectra) == 1
    resumed = figure4c_run(FIGURE4C, checkpoint=Checkpoint(tmp_path, "a run"))
    assert len(spectra) == 2 and resumed["accuracy"] == expected["accuracy"]
    for name in ("before", "after"):
        assert torch.equal(resumed[name].values, expected[name].values)
        assert torch.equal(resumed[name].noise, expected[name].noise)


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_keys_of_a_batch_are_keys_of_its_cells(name):
    experiment = EXPERIMENTS[name]
    config = experiment.config.at("quick")
    cell = experiment.cells(config)[0]
    assert set(experiment.together) <= cell.keys() and "seed" in cell
    assert set(experiment.sweep) <= vars(config).keys()


# ------------------------------------------------------------------------ calibration


def test_calibration_sets_the_statistics_of_the_whole_set_and_nothing_else(double):
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
    for norm, seen in norms:
        torch.testing.assert_close(norm.running_mean, seen.mean(dim=(0, 2, 3)), **ROUNDING)
        torch.testing.assert_close(norm.running_var, seen.var(dim=(0, 2, 3)), **ROUNDING)
        norm.running_var *= 1 - 1 / seen[:, 0].numel()  # a batch is divided by the n of its variance
    torch.testing.assert_close(model(x), whole(x), **ROUNDING)  # as on the whole set


@pytest.mark.parametrize("count", [40, 50])
def test_calibration_in_batches_averages_over_samples(count):
    model = nn.Sequential(nn.BatchNorm2d(2))
    x = torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    x = x + torch.arange(count)[:, None, None, None]  # the last batch is unlike the others
    calibrate(model, x, batch_size=20)
    torch.testing.assert_close(model[0].running_mean, x.mean(dim=(0, 2, 3)))
