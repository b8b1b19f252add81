"""Evidence for chapter 7: auxiliary variables and ridge to the start, by descent on each; float64, a value a seed."""

import torch
from torch import Tensor

from earlystop import data, jacobian, network
from earlystop.evidence.definitions import clusters, each, weights

STRENGTH, STEPS = 1.0, 400


def linearized(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the Jacobian of a small network for training and for fresh inputs, and what is left to learn."""
    one, start = clusters(seed), weights(seed, 100)
    fresh = data.around_centers(one, 20, seed=seed + 1)
    residual = one.labels - network.predict(start, one.inputs)
    return jacobian.jacobian(start, one.inputs), jacobian.jacobian(start, fresh.inputs), residual


def stable(rows: Tensor) -> float:
    """A step size below one over the largest curvature of both ways."""
    return 0.9 / (torch.linalg.matrix_norm(rows, 2).item() ** 2 + STRENGTH**2)


def by_ridge(rows: Tensor, residual: Tensor, steps: int) -> Tensor:
    """The moves of the weights after each step on ½‖Jw - r‖² + ½λ²‖w‖²."""
    move, step, kept = torch.zeros_like(rows[0]), stable(rows), []
    for _ in range(steps):
        move = move - step * (rows.T @ (rows @ move - residual) + STRENGTH**2 * move)
        kept.append(move)
    return torch.stack(kept)


def by_auxiliary(rows: Tensor, residual: Tensor, steps: int) -> Tensor:
    """The moves of the weights after each step on ½‖Jw + λb - r‖², where b starts at 0."""
    move, offsets, step, kept = torch.zeros_like(rows[0]), torch.zeros_like(residual), stable(rows), []
    for _ in range(steps):
        left = rows @ move + STRENGTH * offsets - residual
        move, offsets = move - step * rows.T @ left, offsets - step * STRENGTH * left
        kept.append(move)
    return torch.stack(kept)


@each
def auxiliary_from_ridge(seed):
    """The largest difference between answers of both ways, training or fresh, after any step, over the largest one."""
    rows, fresh, residual = linearized(seed)
    both = torch.cat([rows, fresh])
    one, other = (way(rows, residual, STEPS) @ both.T for way in (by_ridge, by_auxiliary))
    return (one - other).abs().max() / one.abs().max()


@each
def auxiliary_from_ridge_regression(seed):
    """The largest difference between the end of descent and kernel ridge regression, over the largest answer."""
    rows, fresh, residual = linearized(seed)
    kernel = rows @ rows.T + STRENGTH**2 * torch.eye(len(rows), dtype=rows.dtype)
    regression = fresh @ rows.T @ torch.linalg.solve(kernel, residual)
    found = fresh @ by_auxiliary(rows, residual, STEPS)[-1]
    return (found - regression).abs().max() / regression.abs().max()
