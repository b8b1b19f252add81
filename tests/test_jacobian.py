"""The Jacobian against torch.func, its spectrum against an SVD, and the bounds on it."""

import math

import pytest
import torch
from reference import named, network, problem, smooth
from torch import nn
from torch.func import jacrev
from torch.nn.utils import prune

from earlystop.architectures import resnet
from earlystop.jacobian import (
    _exact_product,
    _linear_layers,
    energy_share,
    gram,
    information_space,
    jacobian,
    model_gram,
    singular_values,
    top_singular_values,
)
from earlystop.runs.machine import Machine


def norm(matrix):
    return torch.linalg.matrix_norm(matrix, 2).item()


@named
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_the_jacobian_equals_automatic_differentiation(phi, dtype, tolerance):
    weights, x, _ = problem(16, 5, 9, dtype=dtype)
    expected = jacrev(lambda w: network(w, x, phi))(weights).flatten(1)
    actual = jacobian(weights, x, phi)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


@named
def test_the_gram_matrix_is_that_of_the_jacobian(phi):
    weights, x, _ = problem(30, 6, 12)
    rows = jacobian(weights, x, phi)
    torch.testing.assert_close(gram(weights, x, phi).double(), rows @ rows.T, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------ any model


def trained_resnet(n, dtype=torch.float32):
    """A ResNet with running statistics other than 0 and 1, n images, and a number per output."""
    model = resnet(8, channels=1, width=4, n_classes=3).to(dtype)
    x = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    for _ in range(3):
        model(x)
    return model.eval(), x, lambda out: out[0] - out[2]


@pytest.fixture(scope="module")
def whole_jacobian():
    """J of 11 images in double precision, by `torch.func.jacrev` of the whole network."""
    model, x, number = trained_resnet(11, torch.float64)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def numbers(parameters):
        return torch.vmap(number)(torch.func.functional_call(model, parameters, (x,)))

    parts = jacrev(numbers)(parameters).values()
    return model, x, number, torch.cat([part.flatten(1) for part in parts], dim=1)


def test_the_gram_matrix_of_a_model_equals_a_loop_over_samples():
    model, x, number = trained_resnet(7, torch.float64)
    rows = []
    for sample in x:
        out = model(sample[None])[0]
        parts = torch.autograd.grad(number(out), list(model.parameters()))
        rows.append(torch.cat([part.flatten() for part in parts]))
    expected = torch.stack(rows) @ torch.stack(rows).T
    state = {name: value.clone() for name, value in model.state_dict().items()}
    actual = model_gram(model, x, number)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12 * expected.max().item())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model_gram(model.float(), x.float(), number).dtype == torch.float64


class Tied(nn.Module):
    """Linear layers of every kind: once, twice in a pass, on two axes, with shared weights, frozen, without bias."""

    def __init__(self):
        super().__init__()
        self.first, self.twice, self.pixels = nn.Linear(6, 5, bias=False), nn.Linear(5, 5), nn.Linear(2, 2)
        self.one, self.other, self.frozen = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3).requires_grad_(False)
        self.other.weight = self.one.weight

    def forward(self, x):
        x = self.twice(self.twice(self.first(self.pixels(x).flatten(1)).tanh()).tanh()).tanh()
        return self.frozen(self.other(self.one(x).tanh()).tanh())


def test_the_part_of_linear_layers_equals_their_rows():
    torch.manual_seed(0)
    model, x = Tied().double().eval(), torch.randn(6, 3, 2, dtype=torch.float64)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    numbers = lambda parameters: torch.func.functional_call(model, parameters, (x,))[:, 1].square()
    rows = torch.cat([part.flatten(1) for part in jacrev(numbers)(parameters).values()], dim=1)
    found = model_gram(model, x, lambda out: out[1].square())
    torch.testing.assert_close(found, rows @ rows.T, rtol=1e-12, atol=1e-14)
    assert [type(one) for one in _linear_layers(model, x)] == [nn.Linear] * 2  # first and frozen


class Mirrored(nn.Module):
    """A linear layer whose weights are used once more, transposed, without its being called."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return nn.functional.linear(self.layer(x).tanh(), self.layer.weight.T)


@pytest.mark.parametrize("make", [
    Mirrored,
    lambda: nn.Sequential(prune.l1_unstructured(nn.Linear(4, 3), "weight", 0.5), nn.Tanh()),
    lambda: nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 3)), nn.Tanh()),
])  # fmt: skip
def test_a_linear_layer_with_weights_of_another_kind_is_taken_by_its_rows(make):
    torch.manual_seed(0)
    model, x = make().double().eval(), torch.randn(5, 4, dtype=torch.float64)
    rows = []
    for one in x:
        gradients = torch.autograd.grad(model(one[None])[0].square().sum(), [*model.parameters()])
        rows.append(torch.cat([part.flatten() for part in gradients]))
    expected = torch.stack(rows) @ torch.stack(rows).T
    found = model_gram(model, x, lambda out: out.square().sum())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9 * expected.max().item())


def test_a_linear_layer_that_an_output_does_not_use_has_no_part():
    """Two heads side by side, of which the output looks at one."""

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen, self.unseen = nn.Linear(3, 1), nn.Linear(3, 1)

        def forward(self, x):
            return torch.cat([self.seen(x), self.unseen(x).detach()], dim=1)

    x = torch.eye(3, dtype=torch.float64)
    assert torch.equal(model_gram(Heads().double().eval(), x, lambda out: out[0]), x + 1)


@pytest.mark.parametrize("tile", [1, 3, 4, 512])
@pytest.mark.parametrize("rows_held", [0.5, 1, 4, 6, 100])
def test_the_gram_matrix_of_a_model_is_the_same_in_parts(whole_jacobian, tile, rows_held):
    model, x, number, rows = whole_jacobian
    actual = model_gram(model, x, number, Machine(jacobian_bytes=rows_held * 8 * rows.shape[1], tile=tile))
    expected = rows @ rows.T
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12 * expected.max().item())
    assert torch.equal(actual, actual.T)


@pytest.mark.parametrize("limit_in_rows", [2, 5])
def test_a_limit_on_the_memory_is_kept(monkeypatch, limit_in_rows):
    model, x, number = trained_resnet(11)
    p, sizes = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("8.")), []
    original = torch.Tensor.new_empty

    def recorded(tensor, *shape):
        sizes.append(shape)
        return original(tensor, *shape)

    monkeypatch.setattr(torch.Tensor, "new_empty", recorded)
    model_gram(model, x, number, Machine(jacobian_bytes=(limit_in_rows + 0.5) * 4 * p, tile=2))
    assert sizes == [(limit_in_rows, p), (2, p)]  # what is held, and a tile of the rows beyond


def test_no_more_than_half_of_the_free_memory_is_taken(monkeypatch):
    model, x, number = trained_resnet(11)
    p = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("8."))  # all but the linear layer
    sizes, original = [], torch.Tensor.new_empty
    monkeypatch.setattr("earlystop.jacobian._free_bytes", lambda where: 2 * 3.5 * 4 * p)
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda x, *shape: sizes.append(shape) or original(x, *shape))
    model_gram(model, x, number)
    assert sizes[0] == (3, p)


@pytest.mark.parametrize("batch_size", [4, 1000])
@pytest.mark.parametrize("rank", [1, 4, 10])
def test_the_top_singular_values_equal_those_of_the_whole_jacobian(whole_jacobian, rank, batch_size):
    model, x, number, rows = whole_jacobian
    values, vectors = top_singular_values(model, x, number, rank, batch_size)
    left, expected, _ = torch.linalg.svd(rows, full_matrices=False)
    assert values.shape == (rank,) and vectors.shape == (11, rank)
    torch.testing.assert_close(values, expected[:rank], rtol=1e-6, atol=0)
    along = (vectors * left[:, :rank]).sum(dim=0).abs()
    torch.testing.assert_close(along, torch.ones(rank, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank", [-1, 0, 11])
def test_an_impossible_number_of_singular_values_is_refused(rank):
    model, x, number = trained_resnet(11)
    with pytest.raises(ValueError, match=f"rank is {rank}, should be between 1 and 10"):
        top_singular_values(model, x, number, rank)
    with pytest.raises(ValueError, match=f"rank is {rank}, should be between 1 and 8"):
        information_space(torch.eye(8), rank)


class Coupled(nn.Module):
    """Subtracts the mean over the batch, in any mode."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x) - self.layer(x).mean(dim=0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)),
         "^1 normalizes by the batch also in eval mode.*track_running_stats=True"),
        (Coupled(), "depends on the other samples of its batch"),
    ],
)  # fmt: skip
def test_a_model_that_couples_samples_in_eval_mode_is_refused(model, message):
    inputs = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    first = lambda out: out[0]
    for call in (lambda: model_gram(model.eval(), inputs, first),
                 lambda: top_singular_values(model.eval(), inputs, first, 2)):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    whole = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LayerNorm(4), nn.Linear(4, 2))
    assert model_gram(whole.eval(), inputs, first).shape == (6, 6)


def test_the_jacobian_of_a_model_in_train_mode_is_refused():
    model, x, number = trained_resnet(3)
    model.train()
    for spectrum in (model_gram, lambda *given: top_singular_values(*given, rank=1)):
        with pytest.raises(ValueError, match="eval mode"):
            spectrum(model, x, number)


def test_tf32_is_off_in_the_product_and_then_as_it_was(tf32):
    """What it would do to the numbers, only a GPU shows."""

    class Asks:
        T = None

        def __matmul__(self, other):
            return torch.backends.cuda.matmul.allow_tf32

    assert _exact_product(Asks(), Asks()) is False and torch.backends.cuda.matmul.allow_tf32


# ------------------------------------------------------------------------ the spectrum


@pytest.mark.parametrize("rank", [3, 20])
def test_singular_values_equal_those_of_the_matrix_and_are_never_nan(rank):
    rows = torch.randn(8, rank, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values, count = singular_values(rows @ rows.T), min(8, rank)
    torch.testing.assert_close(values[:count], torch.linalg.svdvals(rows))
    assert (values[count:] < 1e-6).all()


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_information_space_is_the_leading_left_singular_space(rank):
    rows = torch.randn(8, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    basis = information_space(rows @ rows.T, rank)
    torch.testing.assert_close(basis.T @ basis, torch.eye(rank, dtype=torch.float64))
    left = torch.linalg.svd(rows).U[:, :rank]
    torch.testing.assert_close(basis @ basis.T, left @ left.T)
    torch.testing.assert_close((basis.T @ left).abs(), torch.eye(rank, dtype=torch.float64))


def test_the_energy_share_is_the_squared_cosine_to_the_space():
    basis = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    values = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0], [1.0, 1.0, 1.0]])
    assert energy_share(values, basis).tolist() == pytest.approx([1, 0, 2 / 3])
    assert energy_share(values[2], basis).item() == pytest.approx(2 / 3)


# ------------------------------------------------------------------------ what the proofs use


@smooth
@pytest.mark.parametrize("seed", range(3))
def test_the_jacobian_is_bounded_and_lipschitz(phi, seed):
    weights, x, _ = problem(40, 6, 15, seed)
    assert norm(jacobian(weights, x, phi)) <= phi.smoothness * norm(x)
    generator = torch.Generator().manual_seed(seed)
    for size in (1e-3, 0.1, 3.0):
        change = size * torch.randn(40, 6, generator=generator, dtype=torch.float64)
        difference = norm(jacobian(weights + change, x, phi) - jacobian(weights, x, phi))
        bound = phi.smoothness / math.sqrt(40) * norm(x) * norm(change)
        assert 0 < difference <= bound
