"""Filters of singular values in pictures, and paths of training errors that they give."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import filters, plots


def three_filters(strength: float, step_size: float) -> Figure:
    """Stopping after 1/(ηλ²) iterations, ridge, and auxiliary variables after fifty times as many, against s."""
    s = torch.logspace(-2, 0, 200, dtype=torch.float64)
    iterations = round(filters.matching_iterations(step_size, strength))
    shares = {
        "stopping after τ": filters.stopping_filter(s, step_size, iterations),
        "ridge of strength λ": filters.ridge_filter(s, strength),
        "auxiliary variables": filters.auxiliary_filter(s, strength, step_size, 50 * iterations),
    }
    fig, ax = plt.subplots(figsize=(5.5, 3.4))
    for place, ((label, share), look) in enumerate(zip(shares.items(), plots.KINDS)):
        (drawn,) = ax.plot(s, share, label=label, **plots.line(look))
        drawn.set(marker=look["marker"], markevery=(8 * place, 24), markerfacecolor="none")
    ax.axvline(strength, **plots.REFERENCE, label="s = λ")
    ax.set(xscale="log", xlabel="singular value s", ylabel="share that is fitted", ylim=(-0.02, 1.05))
    plots.log_ticks(ax.xaxis)
    ax.legend()
    return fig


def paths(
    task: Callable[[int, float], tuple[Tensor, Tensor, Tensor]], seeds: Sequence[int], strength: float,
    wrong: float = 0.2, iterations: int = 20_000,
) -> Figure:  # fmt: skip
    """Errors by true labels along descent without a penalty, with auxiliary variables, and without wrong labels."""
    times = plots.some(iterations + 1, 90)[1:].tolist()
    fig, ax = plt.subplots(figsize=(5.5, 3.4))
    for label, own, rate, look in (
        ("no penalty", 0.0, wrong, plots.TRUE),
        ("auxiliary variables, and ridge", strength, wrong, plots.KINDS[0]),
        ("control: no wrong labels", 0.0, 0.0, plots.CONTROL),
    ):
        found = torch.stack([errors(*task(seed, rate), own, strength, times) for seed in seeds])
        plots.band(ax, times, found, label, **plots.line(look))
    ax.set(xscale="log", xlabel="iteration", ylabel="error, true labels", ylim=(-0.01, 0.25))
    plots.log_ticks(ax.xaxis)
    ax.legend()
    return fig


def errors(rows: Tensor, given: Tensor, true: Tensor, strength: float, largest: float, times: list[int]) -> Tensor:
    """The share of wrong signs after so many iterations, with a step size that is stable up to a strength."""
    vectors, values, _ = torch.linalg.svd(rows, full_matrices=False)
    step, along = 0.5 / (values[0].item() ** 2 + largest**2), vectors.T @ given
    shares = torch.stack([filters.auxiliary_filter(values, strength, step, time) for time in times])
    return ((shares * along) @ vectors.T * true <= 0).double().mean(dim=1)
