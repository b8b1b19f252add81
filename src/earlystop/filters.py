"""Stopping early, ridge to the start and auxiliary variables: one family of filters of singular values.

A network that is linear in its weights learns along each left singular vector of its Jacobian by itself. A filter is
the share of the residual there that a method fits, by the singular value s. All in float64.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.arguments import counts, numbers, refuse, tensors

Values = Float[Tensor, " n"]


def stopping_filter(values: Values, step_size: float, iterations: int) -> Values:
    """1 - (1 - ηs²)^τ, what gradient descent has fitted after τ iterations.

    Raises `ValueError` where a step is too large: ηs² should be at most 1, so that nothing is fitted beyond.

    >>> earlystop.filters.stopping_filter([2.0, 0.2], step_size=0.1, iterations=10).round(decimals=2)
    tensor([0.9900, 0.0400], dtype=torch.float64)
    """
    return auxiliary_filter(values, 0.0, step_size, iterations)


def ridge_filter(values: Values, strength: float) -> Values:
    """s²/(s² + λ²), what the solution with ridge ½λ²‖θ - θ₀‖² fits.

    Raises `ValueError` for values or a strength below 0, and where both are 0.

    >>> earlystop.filters.ridge_filter([2.0, 0.2], strength=1.0).round(decimals=2)
    tensor([0.8000, 0.0400], dtype=torch.float64)
    """
    squares = _squares(values)
    _check_strength(strength)
    refuse({"strength is 0, and so is one of the values: give a strength above 0": not (squares + strength).all()})
    return squares / (squares + strength**2)


def auxiliary_filter(values: Values, strength: float, step_size: float, iterations: int) -> Values:
    """s²/(s² + λ²) · (1 - (1 - η(s² + λ²))^τ): auxiliary variables, or ridge, after τ iterations of gradient descent.

    For λ = 0 this is the filter of stopping, for τ → ∞ that of ridge (Theorem 4.1 of Hu, Li and Yu, 2020). Raises
    `ValueError` for values, a strength or iterations below 0, and where a step is too large: η(s² + λ²) should be at
    most 1.

    >>> earlystop.filters.auxiliary_filter([2.0, 0.2], strength=1.0, step_size=0.1, iterations=10).round(decimals=2)
    tensor([0.8000, 0.0300], dtype=torch.float64)
    """
    squares = _squares(values)
    _check_strength(strength)
    _check_step(step_size)
    counts(least=0, iterations=iterations)
    rates = squares + strength**2
    largest = step_size * rates.max().item() if len(rates) else 0.0
    refuse(
        {
            f"step_size is {step_size:.4g}: times s² + λ² it is up to {largest:.4g}, should be at most 1": largest
            > 1 + 1e-9
        }
    )
    learned = 0 - torch.expm1(torch.special.xlog1py(float(iterations), (-step_size * rates).clamp(min=-1)))
    return torch.where(squares > 0, squares / rates.clamp(min=1e-300), 0.0) * learned


def matching_iterations(step_size: float, strength: float) -> float:
    """1/(ηλ²), after which stopping fits small singular values as ridge does.

    Raises `ValueError` for a step size or a strength that is not above 0.

    >>> round(earlystop.filters.matching_iterations(step_size=0.1, strength=0.5), 3)
    40.0
    """
    _check_step(step_size)
    _check_strength(strength)
    refuse({"strength is 0, should be above: without a penalty ridge fits all": not strength})
    return 1 / (step_size * strength**2)


def iteration_window(truth: float, noise: float, step_size: float, tolerance: float = 0.1) -> tuple[float, float]:
    """Iterations from which singular values ≥ `truth` are fitted, and up to which those ≤ `noise` are not.

    Both but for a share `tolerance`. The window is empty where the second number is the smaller one. Raises
    `ValueError` if not 0 < `noise` < `truth`, a tolerance is not between 0 and ½, or a step is 1/`truth`² or larger.

    >>> begin, end = earlystop.filters.iteration_window(truth=2.0, noise=0.2, step_size=0.1)
    >>> round(begin, 1), round(end, 1)
    (4.5, 26.3)
    """
    _check_spectrum(truth, noise, tolerance)
    _check_step(step_size)
    refuse({f"step_size is {step_size:.4g}, should be below 1/truth²": step_size * truth**2 >= 1})
    begin = math.log(tolerance) / math.log1p(-step_size * truth**2)
    return begin, math.log1p(-tolerance) / math.log1p(-step_size * noise**2)


def strength_window(truth: float, noise: float, tolerance: float = 0.1) -> tuple[float, float]:
    """Strengths λ from which ridge does not fit singular values ≤ `noise`, and up to which it fits those ≥ `truth`.

    Both but for a share `tolerance`. The window is empty where the second number is the smaller one. Raises
    `ValueError` if not 0 < `noise` < `truth`, or a tolerance is not between 0 and ½.

    >>> low, high = earlystop.filters.strength_window(truth=2.0, noise=0.2)
    >>> round(low, 3), round(high, 3)
    (0.6, 0.667)
    """
    _check_spectrum(truth, noise, tolerance)
    odds = math.sqrt((1 - tolerance) / tolerance)
    return noise * odds, truth / odds


def _squares(values: Values) -> Values:
    (values,) = tensors(torch.float64, values=(values, "n"))
    refuse({"values have one below 0: singular values have none": bool((values < 0).any())})
    return values.square()


def _check_strength(strength: float) -> None:
    numbers(strength=strength)
    refuse({f"strength is {strength}, should be 0 or more": not 0 <= strength < math.inf})


def _check_step(step_size: float) -> None:
    numbers(step_size=step_size)
    refuse({f"step_size is {step_size}, should be above 0": not 0 < step_size < math.inf})


def _check_spectrum(truth: float, noise: float, tolerance: float) -> None:
    numbers(truth=truth, noise=noise, tolerance=tolerance)
    refuse({
        f"noise is {noise} and truth {truth}, should be 0 < noise < truth": not 0 < noise < truth < math.inf,
        f"tolerance is {tolerance}, should be above 0 and below one half": not 0 < tolerance < 0.5,
    })  # fmt: skip
