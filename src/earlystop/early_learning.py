"""Two clocks without a network: in a linear model, too, truth comes before noise.

The setting of Liu et al. (2020), section 3: an input is x = ε*(v - σz) with a direction v of length 1, a normal z and
the true label ε* = ±1. Its given label ε is ε*, but with probability Δ a fair coin, so a share Δ/2 of them is wrong.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earlystop.arguments import counts, kinds, numbers, refuse, tensors
from earlystop.streams import random_stream

START = 2.0  # the length of the first weights, as in the paper
AWAY = 0.1  # θᵀv from which on the paper calls early learning over


@dataclass(frozen=True)
class LinearData:
    """n inputs in p dimensions with labels ±1, as given and true, and the direction that tells them apart.

    >>> earlystop.early_learning.linear_dataset(4, 3, coin_rate=0).wrong.tolist()
    [False, False, False, False]
    """

    inputs: Float[Tensor, "n p"]
    given: Float[Tensor, " n"]
    true: Float[Tensor, " n"]
    direction: Float[Tensor, " p"]

    @property
    def wrong(self) -> Bool[Tensor, " n"]:
        """Samples whose given label is wrong."""
        return self.given != self.true


@dataclass(frozen=True)
class LinearPath:
    """What was seen along a descent, a value for each of some iterations.

    >>> path = earlystop.early_learning.descend(earlystop.early_learning.linear_dataset(40, 30), iterations=9)
    >>> path.right.shape
    torch.Size([10, 2])
    """

    iteration: Int[Tensor, " t"]
    right: Float[Tensor, "t 2"]  # share of answers that are true, of samples with right and with wrong labels
    fitted: Float[Tensor, " t"]  # share of all samples that are answered as given
    learned: Float[Tensor, " t"]  # θᵀv


def linear_dataset(
    n_samples: int, dim: int, *, coin_rate: float = 0.4, spread: float = 0.1, seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> LinearData:  # fmt: skip
    """Two classes on both sides of a random direction; a share Δ = `coin_rate` of the labels are those of a fair coin.

    `spread` is σ, the deviation of each coordinate. Raises `ValueError` unless 0 ≤ Δ ≤ 1 and σ > 0.

    >>> data = earlystop.early_learning.linear_dataset(1000, 5, coin_rate=0.4)
    >>> 0.15 < data.wrong.double().mean() < 0.25
    tensor(True)
    """
    counts(least=1, n_samples=n_samples, dim=dim)
    numbers(coin_rate=coin_rate, spread=spread)
    kinds(torch.dtype, "a dtype of torch", dtype=dtype)
    refuse({
        f"coin_rate is {coin_rate}, should be between 0 and 1": not 0 <= coin_rate <= 1,
        f"spread is {spread}, should be positive": not 0 < spread < float("inf"),
    })  # fmt: skip
    draw = random_stream(seed, "linear data")
    normal = lambda *shape: torch.randn(*shape, generator=draw, dtype=torch.float64)
    direction = normal(dim)
    direction = direction / direction.norm()
    true, coin = (2.0 * torch.randint(2, (n_samples,), generator=draw) - 1 for _ in range(2))
    given = torch.where(torch.rand(n_samples, generator=draw) < coin_rate, coin, true)
    inputs = true[:, None] * (direction - spread * normal(n_samples, dim))
    return LinearData(inputs.to(dtype), given.to(dtype), true.to(dtype), direction.to(dtype))


def gradient(
    weights: Float[Tensor, " p"], inputs: Float[Tensor, "n p"], given: Float[Tensor, " n"]
) -> Float[Tensor, " p"]:  # fmt: skip
    """1/(2n) Σ x_i (tanh θᵀx_i - ε_i), the gradient of 1/(2n) Σ log(1 + exp(-2 ε_i θᵀx_i)).

    The paper's appendix prints the loss without the two factors 2, whose gradient has tanh(θᵀx/2); its proofs use this
    one. Liu et al. (2020), section 3.

    >>> earlystop.early_learning.gradient([0.0], [[1.0], [1.0]], [1.0, 1.0])
    tensor([-0.5000])
    """
    weights, inputs, given = tensors(weights=(weights, "p"), inputs=(inputs, "n p"), given=(given, "n"))
    return _gradient(weights, inputs, given)


def _gradient(weights: Tensor, inputs: Tensor, given: Tensor) -> Tensor:
    return inputs.T @ ((inputs @ weights).tanh() - given) / (2 * len(inputs))


def descend(
    data: LinearData, *, step_size: float = 0.5, iterations: int = 5000, seed: int = 0, records: int = 60
) -> LinearPath:  # fmt: skip
    """Gradient descent on the given labels from random weights of length 2; looked at about `records` times.

    Raises `ValueError` unless 0 < `step_size` < 1, as the theorem asks.

    >>> path = earlystop.early_learning.descend(earlystop.early_learning.linear_dataset(40, 30), iterations=9)
    >>> path.iteration.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    kinds(LinearData, "a LinearData, as linear_dataset makes", data=data)
    numbers(step_size=step_size)
    counts(least=0, iterations=iterations)
    counts(least=2, records=records)
    refuse({f"step_size is {step_size}, should be between 0 and 1": not 0 < step_size < 1})
    start = torch.randn(data.inputs.shape[1], generator=random_stream(seed, "linear start"), dtype=torch.float64)
    weights = (START * start / start.norm()).to(data.inputs)
    steps = torch.logspace(0, 1, records, base=iterations + 1, dtype=torch.float64).sub(1).round().long().unique()
    wanted, rows = set(steps.tolist()) if iterations >= records else set(range(iterations + 1)), []
    for iteration in range(iterations + 1):
        if iteration in wanted:
            rows.append((iteration, *_seen(weights, data)))
        weights = weights - step_size * _gradient(weights, data.inputs, data.given)
    iteration, *seen = zip(*rows)
    return LinearPath(torch.tensor(iteration), *map(torch.stack, seen))


def _seen(weights: Tensor, data: LinearData) -> tuple[Tensor, ...]:
    """A row of `LinearPath` without its iteration."""
    outputs = data.inputs @ weights
    true, given = (outputs * data.true > 0).to(outputs), (outputs * data.given > 0).to(outputs)
    right = torch.stack([true[part].mean() for part in (~data.wrong, data.wrong)])
    return right, given.mean(), weights @ data.direction


def early(path: LinearPath) -> int:
    """The place in a path where the answers to wrongly labeled samples are true most often.

    Raises `ValueError` if no label was wrong.

    >>> data = earlystop.early_learning.linear_dataset(40, 30)
    >>> 0 <= earlystop.early_learning.early(earlystop.early_learning.descend(data, iterations=30)) <= 30
    True
    """
    kinds(LinearPath, "a LinearPath, as descend gives", path=path)
    refuse({"path has no wrong labels: there is nothing to correct": bool(path.right[:, 1].isnan().any())})
    return int(path.right[:, 1].argmax())
