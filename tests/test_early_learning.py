"""Early learning in a linear model, against autograd, a plain loop and what is proved of it."""

import math

import pytest
import torch

from earlystop import early_learning
from earlystop.early_learning import descend, gradient, linear_dataset
from earlystop.evidence import remedies as evidence

DATA = linear_dataset(60, 50, seed=3)


def by_autograd(loss, weights):
    weights = weights.clone().requires_grad_()
    return torch.autograd.grad(loss(DATA.inputs @ weights * DATA.given), weights)[0]


def test_the_gradient_is_that_of_the_loss_with_its_factors_of_two():
    weights = torch.randn(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = gradient(weights, DATA.inputs, DATA.given)
    defined = lambda margin: torch.log(1 + torch.exp(-2 * margin)).mean() / 2
    torch.testing.assert_close(found, by_autograd(defined, weights), rtol=1e-12, atol=1e-14)
    printed = by_autograd(lambda margin: torch.log(1 + torch.exp(-margin)).mean(), weights)
    halved = DATA.inputs.T @ ((DATA.inputs @ weights / 2).tanh() - DATA.given) / 120
    torch.testing.assert_close(printed, halved, rtol=1e-12, atol=1e-14)  # the slip: half the argument
    assert (printed - found).norm() > 0.05 * found.norm()


def test_data_have_the_shares_and_the_shape_of_the_model():
    data = linear_dataset(20_000, 3, coin_rate=0.4, spread=0.3, seed=1)
    assert data.wrong.double().mean().item() == pytest.approx(0.2, abs=0.01)
    rest = (data.direction - data.true[:, None] * data.inputs) / 0.3  # z
    torch.testing.assert_close(rest.T.cov(), torch.eye(3).double(), rtol=0, atol=0.04)
    assert rest.mean(dim=0).abs().max() < 0.03 and data.direction.norm().item() == pytest.approx(1)
    assert set(data.given.tolist()) == {-1, 1} and not linear_dataset(50, 3, coin_rate=0).wrong.any()
    half = linear_dataset(20_000, 3, coin_rate=1.0).wrong.double().mean().item()
    assert half == pytest.approx(0.5, abs=0.02)


def test_a_descent_is_a_plain_loop():
    path = descend(DATA, step_size=0.5, iterations=200, seed=2, records=20)
    start = torch.randn(50, generator=early_learning.random_stream(2, "linear start"), dtype=torch.float64)
    w, at = 2 * start / start.norm(), {}
    for step in range(201):
        slope = sum(x * (math.tanh(w @ x) - e) for x, e in zip(DATA.inputs, DATA.given)) / 120
        at[step] = w, slope
        w = w - 0.5 * slope
    assert path.iteration[0] == 0 and path.iteration[-1] == 200 and len(path.iteration) <= 20
    for row, step in enumerate(path.iteration.tolist()):
        w, slope = at[step]
        answers = (DATA.inputs @ w).sign()
        for part, found in ((~DATA.wrong, path.right[row, 0]), (DATA.wrong, path.right[row, 1])):
            assert found == (answers == DATA.true)[part].double().mean()
        assert path.fitted[row] == (answers == DATA.given).double().mean()
        assert path.learned[row].item() == pytest.approx((w @ DATA.direction).item(), abs=1e-9)


def test_truth_comes_first_and_noise_later():
    """At the paper's kind of sizes: nearly all wrong labels corrected early, and all of them fitted in the end."""
    data = linear_dataset(200, 190, coin_rate=0.4, spread=0.1)
    path = descend(data, iterations=8000, seed=0)
    best = early_learning.early(path)
    assert path.right[0, 1] < 0.75 and path.right[best, 1] > 0.95 and path.right[-1, 1] < 0.05
    assert path.iteration[best] < 200 and path.fitted[-1] > 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear_dataset(9, 3, coin_rate=1.2), "coin_rate is 1.2, should be between 0 and 1"),
        (lambda: linear_dataset(9, 3, spread=0), "spread is 0, should be positive"),
        (lambda: descend(DATA, step_size=1), "step_size is 1, should be between 0 and 1"),
    ],
)
def test_bad_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_evidence_is_read_off_a_path(monkeypatch):
    made = early_learning.LinearPath(
        torch.arange(3), torch.tensor([[0.5, 0.4], [0.9, 0.8], [1.0, 0.1]]), torch.zeros(3),
        torch.tensor([0.0, 0.2, 0.9]),
    )  # fmt: skip
    monkeypatch.setattr(evidence, "path", lambda seed: made)
    assert evidence.corrected_early([0, 1]).tolist() == pytest.approx([0.8] * 2)
    assert evidence.corrected_at_the_stop([0]).tolist() == pytest.approx([0.8])
    assert evidence.corrected_late([0]).tolist() == pytest.approx([0.1])
