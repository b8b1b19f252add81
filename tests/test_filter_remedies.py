"""Ridge, auxiliary variables, sparse corrections and small losses, each against a fact that needs none of its code."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from earlystop.remedies import Remedy, Task, found_by, remedy, train
from earlystop.streams import random_stream

N, D, C = 12, 5, 3


def linear(seed, zero=False):
    torch.manual_seed(seed)
    made = nn.Linear(D, C).double()
    if zero:
        nn.init.zeros_(made.weight)
    return made


def task(batch_size=N, epochs=6, momentum=0.5, step_size=0.1, network=linear, **other):
    inputs = torch.randn(N, D, generator=random_stream(1, "inputs"), dtype=torch.float64)
    labels = torch.randint(C, (N,), generator=random_stream(2, "labels"))
    optimizer = partial(torch.optim.SGD, lr=step_size, momentum=momentum)
    return Task(
        inputs, labels, network, classes=C, optimizer=optimizer, epochs=epochs, batch_size=batch_size, seed=3, **other
    )


def path(name, given, **settings):
    one = remedy(name, given, **settings)
    return torch.stack([one.outputs(given.inputs) for _ in train(one)])


@pytest.mark.parametrize("momentum", (0.0, 0.5))
def test_ridge_and_auxiliary_have_the_same_outputs_after_every_step_of_a_linear_network(momentum):
    given = task(momentum=momentum, epochs=200)
    ridge, auxiliary, plain = (path(name, given, **how) for name, how in (
        ("ridge", {"strength": 1.5}), ("auxiliary", {"strength": 1.5}), ("least_squares", {})))  # fmt: skip
    assert (ridge - auxiliary).abs().max() < 1e-12 < 1e-3 < (ridge - plain).abs().max()


def test_ridge_ends_where_the_normal_equations_say():
    given = task(epochs=3000, momentum=0.9)
    start = linear(3)
    x = torch.cat([given.inputs, torch.ones(N, 1, dtype=torch.float64)], dim=1)
    first = torch.cat([start.weight, start.bias[:, None]], dim=1).detach().T
    y = F.one_hot(given.labels, C).double()
    moved = torch.linalg.solve(x.T @ x + 4 * torch.eye(D + 1).double(), x.T @ (y - x @ first))
    assert torch.allclose(path("ridge", given, strength=2.0)[-1], x @ (first + moved), atol=1e-10)


@pytest.mark.parametrize("name, setting", [
    ("ridge", {"strength": 0}), ("auxiliary", {"strength": 0}), ("sparse", {"price": 1e9}),
    ("small_loss", {"dropped_share": 0}),
])  # fmt: skip
@pytest.mark.parametrize("batch_size", (5, N))
def test_in_its_limit_a_remedy_is_plain_training(name, setting, batch_size):
    given = task(batch_size=batch_size)
    plain = path("cross_entropy" if name == "small_loss" else "least_squares", given)
    assert torch.allclose(path(name, given, **setting), plain, atol=1e-14)


def test_a_very_strong_ridge_stays_and_auxiliary_offsets_of_a_stuck_network_take_the_residual():
    given = task(step_size=1e-8, epochs=50)
    ridge = path("ridge", given, strength=1e4)
    assert (ridge - ridge[0]).abs().max() < 1e-6
    one = remedy("auxiliary", given, strength=1e4)
    [*train(one)]
    residual = F.one_hot(given.labels, C) - one.outputs(given.inputs)
    shares = 1e4 * one.offsets.detach() / residual
    gone, speed, share = 0.0, 0.0, 1e-8 * 1e8 / N  # of each residual, by heavy-ball steps on a number
    for _ in range(50):
        speed = 0.5 * speed + share * (1 - gone)
        gone += speed
    assert torch.allclose(shares, torch.full_like(shares, gone), rtol=1e-4)


def test_offsets_start_at_zero_move_with_their_own_batch_and_are_not_answered():
    given = task(batch_size=5, epochs=1, momentum=0.0)
    one, twin = remedy("auxiliary", given, strength=2.0), linear(3)
    assert not one.offsets.any()
    rows = torch.tensor([0, 4, 7])
    one.step(rows)
    others = torch.ones(N, dtype=torch.bool).index_fill(0, rows, False)
    residual = F.one_hot(given.labels, C) - twin(given.inputs)
    assert torch.allclose(one.offsets[rows], (0.1 * 2.0 * residual[rows] / 3).detach())
    assert not one.offsets[others].any()
    assert torch.equal(one.outputs(given.inputs), one.model(given.inputs))


def test_a_step_of_ones_own_for_each_sample_is_a_larger_strength():
    """A loss summed for b, of means for the weights: the strength times √B on all samples, where B = N."""
    given, strength = task(momentum=0.0, epochs=30), 0.7
    one, offsets = linear(3), torch.zeros(N, C, dtype=torch.float64, requires_grad=True)
    for _ in range(30):
        residual = one(given.inputs) + strength * offsets - F.one_hot(given.labels, C)
        slopes = torch.autograd.grad(0.5 * residual.square().sum(), [*one.parameters(), offsets])
        with torch.no_grad():
            for weight, slope in zip(one.parameters(), slopes):
                weight -= 0.1 * slope / N
            offsets -= 0.1 * slopes[-1]
    assert torch.allclose(path("auxiliary", given, strength=strength * N**0.5)[-1], one(given.inputs), atol=1e-12)


def test_sparse_is_huber_s_loss_and_its_correction_cannot_be_bettered():
    given, rows = task(), torch.arange(N)
    one = remedy("sparse", given, price=0.3)
    outputs = (2 * torch.randn(N, C, generator=random_stream(5, "outputs"))).double().requires_grad_()
    huber = F.huber_loss(outputs, F.one_hot(given.labels, C).double(), reduction="none", delta=0.3).sum(dim=1)
    assert torch.allclose(one.losses(outputs, rows), huber)
    slopes = [torch.autograd.grad(loss.sum(), outputs)[0] for loss in (one.losses(outputs, rows), huber)]
    assert torch.allclose(*slopes)
    residual = F.one_hot(given.labels, C) - outputs
    tried = torch.linspace(-8, 8, 3201, dtype=torch.float64)[:, None, None]
    least = (0.5 * (tried - residual).square() + 0.3 * tried.abs()).argmin(dim=0)
    assert (one.corrections(outputs, rows) - tried.flatten()[least]).abs().max() < 0.0051


def test_small_loss_steps_on_the_plain_mean_of_the_samples_it_keeps():
    given = task(momentum=0.0)
    one, twin = remedy("small_loss", given, dropped_share=0.5, ramp=2), linear(3)
    one.begin(1)
    rows = torch.arange(N)
    found = F.cross_entropy(twin(given.inputs), given.labels, reduction="none")
    kept = sorted(range(N), key=lambda row: found[row].item())[: N - N // 4]  # half of the way to a half
    F.cross_entropy(twin(given.inputs[kept]), given.labels[kept]).backward()
    one.step(rows)
    for mine, its in zip(one.model.parameters(), twin.parameters()):
        assert torch.allclose(mine, its - 0.1 * its.grad)
    one.begin(7)
    assert one.now == 0.5


@pytest.mark.parametrize("name, setting, value, message", [
    ("ridge", "strength", -1, "0 or more"),
    ("auxiliary", "strength", float("nan"), "should be a number"),
    ("auxiliary", "strength", "much", "a number"),
    ("sparse", "price", 0, "more than 0"),
    ("sparse", "price", float("inf"), "more than 0"),
    ("small_loss", "dropped_share", 1, "below 1"),
    ("small_loss", "ramp", 0, "1 or more"),
])  # fmt: skip
def test_a_wrong_setting_is_named(name, setting, value, message):
    with pytest.raises(ValueError, match=f"{setting} .*{message}"):
        remedy(name, task(), **{setting: value})


def test_inputs_may_be_images():
    images = torch.zeros(4, 1, 2, 2)
    assert Task(images, [0, 1, 0, 1], lambda seed: nn.Flatten()).inputs.shape == images.shape


@pytest.mark.parametrize("name", ("ridge", "auxiliary", "sparse", "small_loss"))
def test_a_grid_names_four_settings_that_all_train_in_single_precision(name):
    made = found_by(name)
    ((key, values),) = made.grid.items()
    assert issubclass(made, Remedy) and len(values) == 4
    given = copy.copy(task(batch_size=5, network=lambda seed: linear(seed).float()))
    given.inputs = given.inputs.float()
    for value in values:
        assert path(name, given, **{key: value}).isfinite().all()
