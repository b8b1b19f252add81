"""The loss of Eq. 3, the logistic loss, and gradient descent on them, Eq. 4."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.arguments import counts, finite, kinds, numbers, refuse, tensors
from earlystop.jacobian import gram
from earlystop.network import ERF, Activation, Inputs, Weights, check_activation, output_weights, predict
from earlystop.runs.progress import progress as bar


@dataclass(frozen=True)
class Criterion:
    """The loss of an output f with a label y, whose slope by f is `predicted`(f) - y.

    >>> earlystop.descent.LOGISTIC.predicted(torch.tensor(0.0))
    tensor(0.5000)
    """

    name: str
    value: Callable[[Tensor, Tensor], Tensor]
    predicted: Callable[[Tensor], Tensor]  # the label that an output stands for
    curvature: float  # the largest second derivative by f


LEAST_SQUARES = Criterion("least squares", lambda f, y: 0.5 * (f - y).square(), lambda f: f, 1.0)
# log(1 + eᶠ) - yf: the cross-entropy of the label y, 0 or 1, and a probability whose logit is f.
LOGISTIC = Criterion("logistic", lambda f, y: torch.nn.functional.softplus(f) - y * f, torch.sigmoid, 0.25)


def loss(
    weights: Weights, inputs: Inputs, labels: Float[Tensor, " n"], activation: Activation = ERF,
    criterion: Criterion = LEAST_SQUARES,
) -> Float[Tensor, ""]:  # fmt: skip
    """L(W) = ½ Σᵢ (yᵢ - f(W, xᵢ))², a sum and not a mean (Eq. 3); the sum of another `criterion`.

    >>> earlystop.descent.loss(torch.zeros(2, 3), torch.eye(3), [1, -1, 1])
    tensor(1.5000)
    """
    weights, inputs, labels = _taken(weights, inputs, labels, activation, criterion)
    return criterion.value(predict(weights, inputs, activation), labels).sum()


def gradient(
    weights: Weights, inputs: Inputs, labels: Float[Tensor, " n"], activation: Activation = ERF,
    criterion: Criterion = LEAST_SQUARES,
) -> Weights:  # fmt: skip
    """∇L(W) = Σᵢ (f(W, xᵢ) - yᵢ) (v ⊙ φ'(W xᵢ)) xᵢᵀ, the gradient of Eq. 3 by hand; with σ(f) for f if logistic.

    >>> earlystop.descent.gradient(torch.zeros(2, 3), torch.eye(3), [1, -1, 1]).shape
    torch.Size([2, 3])
    """
    weights, inputs, labels = _taken(weights, inputs, labels, activation, criterion)
    v = output_weights(len(weights), weights)
    residual = criterion.predicted(predict(weights, inputs, activation)) - labels
    return (residual[:, None] * activation.derivative(inputs @ weights.T) * v).T @ inputs


def _taken(weights, inputs, labels, activation, criterion) -> Iterator[Tensor]:
    """Weights, inputs and labels as tensors that fit each other."""
    check_activation(activation)
    _check_criterion(criterion)
    return tensors(weights=(weights, "... k d"), inputs=(inputs, "... n d"), labels=(labels, "... n"))


def _check_criterion(criterion: Criterion) -> None:
    kinds(Criterion, "a Criterion, LEAST_SQUARES or LOGISTIC", criterion=criterion)


def largest_stable_step(
    weights: Weights, inputs: Inputs, activation: Activation = ERF, criterion: Criterion = LEAST_SQUARES
) -> float:
    """2/σ₁(J)², above which gradient descent on the linearized loss diverges; 8/σ₁(J)² for the logistic loss.

    Infinite where no weight has a slope. Raises `ValueError` if there are no inputs.

    >>> round(earlystop.descent.largest_stable_step(torch.zeros(2, 3), torch.eye(3)), 2)
    1.57
    """
    weights, inputs = tensors(weights=(weights, "k d"), inputs=(inputs, "n d"))
    finite(weights=weights, inputs=inputs)
    _check_criterion(criterion)
    refuse({"there are no inputs: no step is too large or too small": not len(inputs)})
    largest = torch.linalg.eigvalsh(gram(weights, inputs, activation).double())[-1].item()
    return 2 / (criterion.curvature * largest) if largest > 0 else math.inf


@dataclass(frozen=True)
class Trajectory:
    """What a run of gradient descent leaves behind: T iterations on n samples.

    >>> weights = earlystop.network.initial_weights(100, 3)
    >>> run = earlystop.descent.gradient_descent(weights, torch.eye(3), [1, -1, 1], step_size=0.5, iterations=5)
    >>> run.outputs.shape, run.distance.shape, run.weights.shape
    (torch.Size([6, 3]), torch.Size([6]), torch.Size([100, 3]))
    """

    outputs: Float[Tensor, "T+1 *runs n"]  # f(W_τ) on the training inputs, τ = 0 to T
    distance: Float[Tensor, "T+1 *runs"]  # ‖W_τ - W₀‖_F
    weights: Float[Tensor, "*runs k d"]  # W_T


class DivergenceError(ValueError):
    """Gradient descent left the region where the loss is finite or sensible.

    >>> issubclass(earlystop.descent.DivergenceError, ValueError)
    True
    """


def gradient_descent(
    weights: Float[Tensor, "*runs k d"], inputs: Float[Tensor, "*runs n d"], labels: Float[Tensor, "*runs n"], *,
    step_size: float, iterations: int, activation: Activation = ERF, ridge: float = 0.0, progress: Callable = bar,
    criterion: Criterion = LEAST_SQUARES,
) -> Trajectory:  # fmt: skip
    """Run W_{τ+1} = W_τ - η ∇L(W_τ) from W₀ = `weights` (Eq. 4).

    `step_size` (η > 0), `iterations` (T ≥ 0). With `ridge` (μ ≥ 0) the loss is L(W) + μ‖W - W₀‖²_F, the objective of
    W_ridge in section 2; `criterion` is another loss than that of Eq. 3. Equal to a loop over `gradient`, with the work
    arrays kept: about three times faster. With a leading axis, several runs descend together. `ValueError` on bad
    arguments, `DivergenceError` if the loss explodes.

    >>> weights = earlystop.network.initial_weights(100, 3)
    >>> run = earlystop.descent.gradient_descent(weights, torch.eye(3), [1, -1, 1], step_size=0.5, iterations=50)
    >>> run.outputs[-1].round()
    tensor([ 1., -1.,  1.])
    """
    weights, inputs, labels = _taken(weights, inputs, labels, activation, criterion)
    _check_arguments(weights, inputs, labels, step_size, iterations, ridge, criterion)
    v = output_weights(weights.shape[-2], weights)
    start = weights.mT.contiguous()  # (d, k): the layout that is fastest
    current, transposed = start.clone(), inputs.mT.contiguous()
    hidden, work = (inputs.new_empty(*inputs.shape[:-1], len(v)) for _ in range(2))
    outputs, distance = (inputs.new_empty(iterations + 1, *s) for s in (labels.shape, labels.shape[:-1]))
    first = None  # the loss at the start
    for tau in progress(range(iterations + 1), "gradient descent"):
        torch.matmul(inputs, current, out=hidden)
        torch.matmul(activation.value(hidden, out=work), v, out=outputs[tau])
        distance[tau] = torch.linalg.vector_norm(current - start, dim=(-2, -1))
        residual = criterion.predicted(outputs[tau]) - labels
        if tau % 20 == 0 or tau == iterations:
            size = criterion.value(outputs[tau], labels).sum(-1)
            first = size if first is None else first
            if not (size <= 4 * (first + 1)).all():
                raise _diverged(tau, step_size, weights, inputs, activation, ridge, criterion)
        if tau < iterations:
            slopes = activation.derivative(hidden, out=work)
            step = ((transposed * residual.unsqueeze(-2)) @ slopes).mul_(v)
            if ridge:
                step += 2 * ridge * (current - start)
            current -= step_size * step
    return Trajectory(outputs, distance, current.mT.contiguous())


def _check_arguments(weights, inputs, labels, step_size, iterations, ridge, criterion) -> None:
    numbers(step_size=step_size, ridge=ridge)
    counts(iterations=iterations)
    named = {"weights": weights, "inputs": inputs, "labels": labels}
    runs, groups = weights.shape[:-2], inputs.shape[:-2]
    refuse({
        f"weights for {tuple(runs)} runs, but inputs for {tuple(groups)}": runs != groups,
        f"inputs for {tuple(groups)} runs, but labels for {tuple(labels.shape[:-1])}": labels.shape[:-1] != groups,
        **{f"{name} contain NaN or infinity": not torch.isfinite(one).all() for name, one in named.items()},
        "a label is outside [0, 1]: the logistic loss needs probabilities":
            criterion is LOGISTIC and not ((labels >= 0) & (labels <= 1)).all(),
        f"step_size is {step_size}, should be above 0": not step_size > 0,
        f"iterations is {iterations}, should be 0 or more": iterations < 0,
        f"ridge is {ridge}, should be 0 or more": not ridge >= 0,
    })  # fmt: skip


def _diverged(tau, step_size, weights, inputs, activation, ridge, criterion) -> DivergenceError:
    one_each = zip(weights.flatten(0, -3), inputs.flatten(0, -3)) if weights.ndim > 2 else [(weights, inputs)]
    limit = min(largest_stable_step(w, x, activation, criterion) for w, x in one_each)
    stable = 2 / (2 / limit + 2 * ridge)
    return DivergenceError(
        f"gradient descent diverged by iteration {tau} with step_size {step_size:.4g}; "
        f"the largest stable step at initialization is about {stable:.4g}"
    )
