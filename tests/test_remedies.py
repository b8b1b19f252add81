"""Remedies against what is known of them independently: closed forms, autograd, brute force, plain loops."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from earlystop import remedies
from earlystop.remedies import Remedy, Task, progressive, remedy, train
from earlystop.remedies.facility import facility_location
from earlystop.streams import random_stream

N, D, K = 24, 5, 4
OWN = (
    "smaller_steps", "smoothing", "generalized", "symmetric", "early_learning", "co_teaching", "coreset", "progressive",
)  # fmt: skip
FOLDER = Path(remedies.__file__).parent


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(D, 6), nn.Tanh(), nn.Linear(6, K)).double()


def task(**changes):
    labels = torch.arange(N) % K
    sizes = {"epochs": 4, "batch_size": 10, "seed": 3} | changes
    return Task(draw(N, D), labels, linear, optimizer=lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9), **sizes)


ROWS, OUTPUTS = torch.arange(N), 2 * draw(N, K, seed=1)
LABELS = ROWS % K


def losses(name, outputs=OUTPUTS, **settings):
    return remedy(name, task(), **settings).losses(outputs, ROWS)


def weights(one):
    return nn.utils.parameters_to_vector(one.model.parameters()).detach()


def trained(name, **settings):
    one = remedy(name, task(), **settings)
    for _ in train(one):
        pass
    return one


# ------------------------------------------------------------------------ the door


def test_training_is_a_plain_loop(double):
    """Cross-entropy by the one door, and in plain PyTorch: the same weights."""
    model, own = linear(3), task()
    move = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(1, 5):
        for rows in torch.randperm(N, generator=random_stream(3, f"batches of epoch {epoch}")).split(10):
            move.zero_grad()
            F.cross_entropy(model(own.inputs[rows]), own.labels[rows]).backward()
            move.step()
    plain = nn.utils.parameters_to_vector(model.parameters()).detach()
    torch.testing.assert_close(weights(trained("cross_entropy")), plain, rtol=1e-12, atol=1e-12)


def test_smaller_steps_are_cross_entropy_with_another_step_size(double):
    own = task()
    own.optimizer = lambda w: torch.optim.SGD(w, lr=0.05 * 0.2, momentum=0.9)
    list(train(plain := remedy("cross_entropy", own)))
    torch.testing.assert_close(weights(trained("smaller_steps", factor=0.2)), weights(plain), rtol=1e-12, atol=1e-12)


def test_the_pace_changes_the_step_size_of_every_epoch():
    seen = []
    one = remedy("co_teaching", task(pace=lambda epoch, epochs: 1 / epoch))
    for _ in train(one):
        seen.append([move.param_groups[0]["lr"] for move in one.optimizers])
    assert seen == [[pytest.approx(0.05 / max(1, epoch))] * 2 for epoch in range(5)]


def test_a_remedy_of_ones_own_is_found_by_module_and_name():
    assert type(remedy("toy_remedy:Trimmed", task(), share=0.5)).__name__ == "Trimmed"
    assert remedy("toy_remedy:bounded", task()).losses(OUTPUTS, ROWS).shape == (N,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: remedy("prayer", task()), "'prayer' is no remedy: use one of cross_entropy"),
        (lambda: remedy("os:path", task()), "os:path is neither a function nor a class derived from Remedy"),
        (lambda: remedy("no_module:x", task()), "No module named 'no_module'"),
        (lambda: remedy("generalized", task(), q=0.5), "its settings are power"),
        (lambda: remedy("least_squares", task(), power=0.5), "its settings are none"),
        (lambda: remedy("generalized", task(), power=0.0), "power is 0.0, should be above 0"),
        (lambda: remedy("generalized", task(), power="big"), "power is 'big', should be a number"),
        (lambda: remedy("smoothing", task(), smoothing=1), "smoothing is 1, should be less than 1"),
        (lambda: remedy("smaller_steps", task(), factor=0), "factor is 0, should be more than 0"),
        (lambda: remedy("symmetric", task(), log_of_zero=0.0), "log_of_zero is 0.0, should be below 0"),
        (lambda: remedy("symmetric", task(), forward=-1.0), "forward is -1.0, should be 0 or more"),
        (lambda: remedy("symmetric", task(), reverse=-1.0), "reverse is -1.0, should be 0 or more"),
        (lambda: remedy("early_learning", task(), momentum=1.0), "momentum is 1.0, should be from 0 and below 1"),
        (lambda: remedy("early_learning", task(), weight=-1.0), "weight is -1.0, should be 0 or more"),
        (lambda: remedy("co_teaching", task(), corruption_rate=1.0), "corruption_rate is 1.0, should be from 0"),
        (lambda: remedy("co_teaching", task(), ramp=0), "ramp is 0, should be 1 or more"),
        (lambda: remedy("coreset", task(), kept=0.0), "kept is 0.0, should be above 0"),
        (lambda: remedy("coreset", task(), first=0), "first is 0, should be 1 or more"),
        (lambda: remedy("progressive", task(), parts=0), "parts is 0, should be 1 or more"),
        (lambda: facility_location(draw(3, 2), 4), "count is 4, but there are 3 points"),
        (lambda: remedy("smaller_steps", task(), factor=math.inf), "factor is inf, should be more than 0"),
        (lambda: remedy("symmetric", task(), log_of_zero=-math.inf), "log_of_zero is -inf, should be below 0"),
        (lambda: remedy("early_learning", task(), weight=math.inf), "weight is inf, should be 0 or more"),
        (lambda: remedy("smoothing", task(), smoothing=-math.inf), "smoothing is -inf, should be less than 1"),
        (lambda: remedy("cross_entropy", Task(draw(3, 2), [0, 1, 0], lambda seed: 5)), "should give"),
        (lambda: Task((draw(3, 2) * 0).int(), [0, 1, 0], linear), "inputs are of torch.int32, should be floating"),
        (lambda: Task(draw(3, 2) / 0, [0, 1, 0], linear), "inputs have entries that are not finite"),
        (lambda: Task(draw(3, 2), [0, 1], linear), "should have 2 rows, as labels has"),
        (lambda: Task(draw(0, 2), torch.zeros(0), linear), "there are no samples"),
        (lambda: Task(draw(3, 2), [0, 1, 2], linear, classes=2), "classes are 2, but a label is 2"),
        (lambda: list(train(Remedy(task()))), "Remedy has neither losses nor a step"),
        (lambda: list(train(remedy("toy_remedy:mean", task()))), "should give a number each"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_refused_in_words(call, message):
    with pytest.raises((ValueError, NotImplementedError), match=message.replace("(", r"\(")):
        call()


def test_pes_asks_for_a_sequential_network():
    with pytest.raises(ValueError, match="network is Linear.*, should be what makes an nn.Sequential"):
        remedy("progressive", Task(draw(4, 2), [0, 1, 0, 1], lambda seed: nn.Linear(2, 2).double()))


def test_training_that_diverges_is_told():
    own = task(epochs=9)
    own.optimizer = lambda w: torch.optim.SGD(w, lr=1e200)
    with pytest.raises(ValueError, match=r"stopped being finite in epoch \d: try a smaller step size"):
        list(train(remedy("least_squares", own)))


@pytest.mark.parametrize("name", OWN)
def test_each_remedy_has_four_settings_to_try_and_a_short_file_of_its_own(name):
    where = remedies.REMEDIES[name].partition(":")[0].rpartition(".")[2]
    assert len((FOLDER / f"{where}.py").read_text().splitlines()) <= 60
    grid = remedies.found_by(name).grid
    tried = [dict(zip(grid, values)) for values in itertools.product(*grid.values())]
    assert len(tried) == 4
    for settings in tried:
        outputs = trained(name, **settings).outputs(draw(3, D))
        assert outputs.shape == (3, K) and bool(outputs.isfinite().all())


# ------------------------------------------------------------------------ losses


def test_smoothing_is_cross_entropy_on_a_mixed_target():
    target = 0.7 * F.one_hot(LABELS, K) + 0.3 / K
    expected = F.cross_entropy(OUTPUTS, target, reduction="none")
    torch.testing.assert_close(losses("smoothing", smoothing=0.3), expected)
    torch.testing.assert_close(losses("smoothing", smoothing=0), losses("cross_entropy"))


def test_in_linear_least_squares_smoothing_only_shrinks():
    """On centered inputs the solution for smoothed labels is 1 - α times that for given ones (Lukasik et al.)."""
    x = draw(N, D)
    x = x - x.mean(dim=0)
    y = F.one_hot(LABELS, K).double()
    given, smoothed = (torch.linalg.lstsq(x, t).solution for t in (y, 0.6 * y + 0.4 / K))
    torch.testing.assert_close(smoothed, 0.6 * given, rtol=1e-10, atol=1e-12)


def test_generalized_cross_entropy_has_its_two_limits():
    p = OUTPUTS.softmax(dim=1)
    absolute = (p - F.one_hot(LABELS, K)).abs().sum(dim=1)
    torch.testing.assert_close(losses("generalized", power=1.0), absolute / 2)
    torch.testing.assert_close(losses("generalized", power=1e-7), losses("cross_entropy"), rtol=1e-5, atol=1e-6)


def test_generalized_cross_entropy_weighs_gradients_by_a_power_of_belief():
    outputs = OUTPUTS.clone().requires_grad_()
    (own,) = torch.autograd.grad(losses("generalized", outputs, power=0.4).sum(), outputs)
    (plain,) = torch.autograd.grad(F.cross_entropy(outputs, LABELS, reduction="sum"), outputs)
    belief = OUTPUTS.softmax(dim=1)[ROWS, LABELS, None] ** 0.4
    torch.testing.assert_close(own, belief * plain)


def over_classes(name, **settings):
    """The sum of a loss over all labels that a sample could have been given."""
    total = torch.zeros(N, dtype=torch.float64)
    for label in range(K):
        one = remedy(name, Task(draw(N, D), torch.full((N,), label), linear, classes=K), **settings)
        total += one.losses(OUTPUTS, ROWS)
    return total


@pytest.mark.parametrize(
    ("name", "settings", "constant"),
    [("generalized", {"power": 1.0}, K - 1), ("symmetric", {"forward": 0.0, "log_of_zero": -4.0}, 4 * (K - 1))],
)
def test_a_symmetric_loss_sums_to_a_constant_over_classes(name, settings, constant):
    """The condition of Ghosh et al. for noise that is uniform; cross-entropy does not keep it."""
    torch.testing.assert_close(over_classes(name, **settings), torch.full((N,), float(constant)).double())
    assert over_classes("cross_entropy").std() > 0.1 and over_classes("generalized", power=0.5).std() > 0.01


@pytest.mark.parametrize("log_of_zero", [-4.0, math.log(1e-4)])
def test_the_reverse_part_is_a_cross_entropy_with_a_number_for_log_0(log_of_zero):
    logs = torch.where(F.one_hot(LABELS, K) == 1, 0.0, log_of_zero).double()
    reverse = -(OUTPUTS.softmax(dim=1) * logs).sum(dim=1)
    expected = 0.1 * F.cross_entropy(OUTPUTS, LABELS, reduction="none") + 2 * reverse
    torch.testing.assert_close(losses("symmetric", reverse=2.0, log_of_zero=log_of_zero), expected)


def test_early_learning_has_the_gradient_of_its_lemma():
    """p - y + λg with g_c = p_c Σ_k (t_k - t_c) p_k / (1 - ⟨p, t⟩), Lemma 2 of Liu et al."""
    one, outputs = remedy("early_learning", task(), momentum=0.8, weight=3.0), OUTPUTS.clone().requires_grad_()
    one.losses(OUTPUTS + draw(N, K, seed=2), ROWS)  # targets of an earlier visit
    (found,) = torch.autograd.grad(one.losses(outputs, ROWS).sum(), outputs)
    p, t = OUTPUTS.softmax(dim=1), one.targets
    inner = (p * t).sum(dim=1, keepdim=True)
    lemma = p / (1 - inner) * (inner - t)
    assert p.min() > 1e-4 and p.max() < 1 - 1e-4  # nothing is clamped
    torch.testing.assert_close(found, p - F.one_hot(LABELS, K) + 3 * lemma, rtol=1e-10, atol=1e-12)


def test_targets_are_moving_averages_of_what_was_said():
    one, said = remedy("early_learning", task(), momentum=0.6, weight=1.0), [draw(N, K, seed=s) for s in range(3)]
    for outputs in said:
        one.losses(outputs, ROWS)
    expected = sum(0.4 * 0.6 ** (2 - i) * outputs.softmax(dim=1) for i, outputs in enumerate(said))
    torch.testing.assert_close(one.targets, expected, rtol=1e-3, atol=1e-3)  # but for the clamping
    rest = one.targets.clone()
    one.losses(said[0][:3], ROWS[:3])
    assert torch.equal(one.targets[3:], rest[3:]) and not torch.equal(one.targets[:3], rest[:3])


def test_without_its_term_early_learning_is_cross_entropy(double):
    torch.testing.assert_close(weights(trained("early_learning", weight=0.0)), weights(trained("cross_entropy")))


# ------------------------------------------------------------------------ two networks


def test_co_teaching_without_noise_is_two_plain_trainings(double):
    one = trained("co_teaching", corruption_rate=0.0)
    torch.testing.assert_close(weights(one), weights(trained("cross_entropy")))
    assert not torch.equal(weights(one), nn.utils.parameters_to_vector(one.second.parameters()).detach())


def test_co_teaching_picks_fewer_samples_along_the_ramp():
    one, found = remedy("co_teaching", task(), corruption_rate=0.4, ramp=4), []
    for epoch in (1, 2, 4, 9):
        one.begin(epoch)
        found.append(one.picked(torch.arange(20.0)).tolist())
    assert [len(rows) for rows in found] == [18, 16, 12, 12] and found[-1] == list(range(12))


def test_each_network_learns_what_the_other_finds_easy(double):
    """One step by hand, in which the two pick different samples."""
    one, rows = remedy("co_teaching", task(), corruption_rate=0.5, ramp=1), torch.arange(10)
    one.begin(1)
    x, y = one.task.inputs[rows], one.task.labels[rows]
    easy = [F.cross_entropy(m(x), y, reduction="none").argsort()[:5] for m in (one.model, one.second)]
    assert set(easy[0].tolist()) != set(easy[1].tolist())
    expected = []
    for model, chosen in zip((one.model, one.second), reversed(easy)):
        gradients = torch.autograd.grad(F.cross_entropy(model(x[chosen]), y[chosen]), [*model.parameters()])
        expected.append([w.detach() - 0.05 * g for w, g in zip(model.parameters(), gradients)])
    one.step(rows)
    for model, now in zip((one.model, one.second), expected):
        torch.testing.assert_close([*map(torch.Tensor.detach, model.parameters())], now)


# ------------------------------------------------------------------------ coresets


def value(points, chosen):
    """How much nearer points are to the chosen ones than the two that are farthest apart."""
    apart = torch.cdist(points, points)
    return (apart.max() - apart[list(chosen)].min(dim=0).values).sum().item()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_facility_location_is_near_the_best_of_all_sets(seed, count):
    points = draw(9, 2, seed=seed)
    chosen, served = facility_location(points, count)
    best = max(value(points, one) for one in itertools.combinations(range(9), count))
    found = value(points, chosen.tolist())
    assert len(set(chosen.tolist())) == count and served.sum() == 9
    assert found == pytest.approx(best) if count == 1 else found >= 0.93 * best  # 1 - 1/e is proved


@pytest.mark.parametrize("seed", range(4))
def test_the_lazy_greedy_choice_is_the_greedy_one(seed):
    points, plain = draw(30, 3, seed=seed), []
    for _ in range(8):
        rest = [i for i in range(30) if i not in plain]
        plain.append(max(rest, key=lambda i: value(points, [*plain, i])))
    chosen, served = facility_location(points, 8)
    assert chosen.tolist() == plain
    nearest = torch.cdist(points, points[plain]).argmin(dim=1)
    assert served.tolist() == [(nearest == place).sum().item() for place in range(8)]


def test_in_two_clusters_the_medoids_are_one_of_each():
    points = torch.cat([0.1 * draw(7, 2), 5 + 0.1 * draw(3, 2)])
    chosen, served = facility_location(points, 2)
    assert sorted((chosen < 7).tolist()) == [False, True] and sorted(served.tolist()) == [3, 7]


def test_crust_trains_on_medoids_of_every_class_only():
    one, seen = remedy("coreset", task(), kept=0.5, first=2), []
    one.losses = lambda outputs, rows, own=one.losses: (seen.append(rows), own(outputs, rows))[1]
    for epoch in train(one):
        if epoch == 1:
            assert sorted(torch.cat(seen).tolist()) == list(range(N)) and bool((one.weights == 1).all())
            seen.clear()
        if epoch == 2:
            kept = torch.cat(seen)
            assert torch.bincount(one.task.labels[kept]).tolist() == [N // K // 2] * K
            assert one.weights.sum() == N and bool((one.weights[kept] > 0).all())


def test_crust_with_all_samples_is_plain_training(double):
    torch.testing.assert_close(weights(trained("coreset", kept=1.0, first=1)), weights(trained("cross_entropy")))


# ------------------------------------------------------------------------ PES


def test_pes_that_never_begins_anew_is_plain_training(double):
    assert torch.equal(weights(trained("progressive", first=4)), weights(trained("cross_entropy")))


def deeper(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(D, 6), nn.Tanh(), nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), nn.ReLU(),
                         nn.Linear(6, K)).double()  # fmt: skip


def test_pes_begins_later_parts_anew_and_lets_earlier_ones_rest():
    own = Task(draw(N, D), LABELS, deeper, epochs=7, batch_size=10, seed=3)
    one, states = remedy("progressive", own, first=2, later=2), []
    assert one.anew == {3: 2, 5: 4} and one.open == 7
    for _ in train(one):
        states.append([{k: v.clone() for k, v in part.state_dict().items()} for part in one.model])
    same = lambda part, a, b: all(torch.equal(states[a][part][k], states[b][part][k]) for k in states[a][part])
    assert not same(0, 1, 2)  # all is trained at first,
    assert same(0, 2, 6) and not same(2, 3, 4)  # then the first part rests
    assert not same(4, 5, 6) and same(0, 4, 6)
    weight = lambda part, epoch: next(iter(states[epoch][part].values()))
    assert same(2, 4, 6)  # and the second one, too, with its running means
    assert not torch.equal(weight(0, 6), weight(0, 7))  # in the end all is trained again


def test_pes_begins_with_the_weights_of_another_seed():
    one = remedy("progressive", task(), first=1, later=1, parts=5)
    before = one.model[0].weight.clone()
    one.begin(2)
    torch.testing.assert_close(one.model[2].weight, linear(3 + 2)[2].weight)
    assert torch.equal(one.model[0].weight, before) and not one.model[0].weight.requires_grad
    assert len(one.anew) == 1  # never the first part


def test_in_the_end_pes_learns_only_what_it_answers_itself():
    one = remedy("progressive", task(), first=1, later=1)
    said = one.outputs(one.task.inputs).argmax(dim=1)
    one.begin(one.open)
    assert torch.equal(one.confident, said == LABELS)
    trusted = ROWS[one.confident]
    twin = remedy("cross_entropy", task())
    one.step(ROWS)
    twin.step(trusted)
    assert torch.equal(weights(one), weights(twin)) and isinstance(one, progressive.Progressive)
