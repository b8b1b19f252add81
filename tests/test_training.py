"""The deep networks and their training: many at once as each alone, by plain PyTorch."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from earlystop import remedies, streams, training
from earlystop.architectures import ResidualBlock, conv_net, count_parameters, resnet
from earlystop.images import Images, load_images
from earlystop.runs import store
from earlystop.runs.machine import Machine
from earlystop.runs.store import Checkpoint
from earlystop.streams import random_stream
from earlystop.training import (
    ImageStack,
    Stack,
    accuracy,
    calibrate,
    cross_entropy,
    distances,
    evaluate,
    evaluate_stack,
    least_squares,
    train,
)  # fmt: skip

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


def test_a_sample_that_would_be_a_batch_of_its_own_joins_the_one_before():
    """Batch normalization refuses one sample, and how many are left over depends on the data of a reader."""
    for n, sizes in ((23, [8, 8, 7]), (25, [8, 8, 9]), (8, [8]), (1, [1])):
        assert [len(one) for one in streams.batches(torch.arange(n), 8)] == sizes
    assert [one.tolist() for one in streams.batches(torch.arange(3), 1)] == [[0], [1], [2]]
    _, images, labels = tiny(n=17)
    stack = Stack([nn.Sequential(nn.Flatten(), nn.BatchNorm1d(9), nn.Linear(9, 3))])
    train(stack, images, labels, optimizer=descent(stack), epochs=1, batch_size=8, seeds=[0])
    task = remedies.Task(torch.randn(17, 9), labels[0], lambda seed: nn.Sequential(nn.BatchNorm1d(9), nn.Linear(9, 3)),
                         epochs=1, batch_size=8)  # fmt: skip
    assert list(remedies.train(remedies.remedy("cross_entropy", task))) == [0, 1]


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
    assert [e for e in range(83) if Machine().measured(e, 82)] == [*range(41), 50, 60, 70, 80, 82]
    assert [e for e in range(4) if Machine().measured(e, 3)] == [0, 1, 2, 3]
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


def test_a_last_step_that_diverges_is_refused_too():
    stack, images, labels = tiny()
    stack.parameters["1.weight"].data *= 1e4
    with pytest.raises(ValueError, match="weights are not finite after epoch 1 of seed 5: lower the step size"):
        train(stack, images, labels, optimizer=descent(stack, 1e38), epochs=1, batch_size=23, seeds=[5])


@pytest.mark.parametrize("name", training.OPTIMIZERS)
def test_an_infinite_step_is_refused(name):
    with pytest.raises(ValueError, match="step_size is inf, should be above 0 and finite"):
        training.OPTIMIZERS[name](tiny()[0], float("inf"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(epochs=-1), "epochs is -1"),
        (dict(batch_size=0), "batch_size is 0"),
        (dict(labels=torch.zeros(1, 22).long()), r"labels has shape \(1, 22\), should have \(1, 23\)"),
        (dict(labels=torch.zeros(2, 23).long()), r"labels has shape \(2, 23\), should have \(1, 23\)"),
        (dict(optimizer=torch.optim.SGD(nn.Linear(9, 3).parameters(), lr=0.1)), "optimizer is of other weights"),
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
    stacked = evaluate_stack(Stack([model], Machine(evaluated=5)), images)
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
    "Adadelta": (training.adadelta, lambda weights: torch.optim.Adadelta(weights, lr=1.0)),
    "Adam": (lambda stack: training.adam(stack, 0.004), lambda weights: torch.optim.Adam(weights, lr=0.004)),
    "SGD": (
        lambda stack: training.momentum(stack, 0.02),
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


def stacked(kind, optimizer, seeds, loss=least_squares, epochs=2, machine=Machine()):
    """Train a stack on the digits of each seed; the stack and its images."""
    stack = Stack([NETWORKS[kind](seed) for seed in seeds], machine)
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
        for run, (images, own) in enumerate(zip(sets, (second, first))):
            scale = own.pixels.numpy() / 255
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
def test_in_bfloat16_weights_and_losses_stay_float32(kind):
    half = Machine(precision="bfloat16")
    exact, images = stacked(kind, "SGD", SEEDS[:2], epochs=0)
    expected = evaluate_stack(exact, images)
    rounded = evaluate_stack(stacked(kind, "SGD", SEEDS[:2], epochs=0, machine=half)[0], images)
    error = (rounded - expected).abs().max() / expected.abs().max()
    assert rounded.dtype == torch.float32 and 1e-4 < error < 0.05
    kinds = []

    def loss(outputs, labels):
        kinds.append(outputs.dtype)
        return least_squares(outputs, labels)

    trained, _ = stacked(kind, "SGD", SEEDS[:2], loss, epochs=1, machine=half)
    assert set(kinds) == {torch.float32}
    assert all(p.dtype == torch.float32 for p in trained.parameters.values())


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
