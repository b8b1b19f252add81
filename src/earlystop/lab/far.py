"""How far is the noise: two points of a circle and the way of the weights to their labels, by the book's functions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.descent import largest_stable_step
from earlystop.jacobian import gram, jacobian
from earlystop.lab.model import Outcome, State, activation_of, initial_weights, run
from earlystop.lab.state import state
from earlystop.network import predict
from earlystop.theory import interpolation_distance_bound

LONGEST, WITHIN = 200_000, 0.01  # iterations of a training, and how well it fits
TRIED = (0.1, 0.2, 0.5, 1.2)  # distances at which the picture trains the network itself


def on_circle(angles: Float[Tensor, " n"], dim: int) -> Float[Tensor, "n d"]:
    """Points of the unit circle in the plane of the first two axes."""
    return torch.nn.functional.pad(torch.stack([angles.cos(), angles.sin()], dim=1), (0, dim - 2))


def points(settings: State) -> Float[Tensor, "2 d"]:
    """Two points at the distance of a state."""
    angles = torch.tensor([0.0, 2 * math.asin(settings["distance"] / 2)], dtype=torch.float64)
    return on_circle(angles, settings["dim"])


def train(settings: State) -> Outcome:
    """The network itself, trained until it fits both labels."""
    own = {"points": points(settings).tolist(), "given": [0 if settings["different"] else 1, 1], "classes": 2}
    return run(settings | own | {"iterations": LONGEST, "within": WITHIN})


def certificate(settings: State) -> float:
    """The least ‖W - W₀‖ that is proved for both labels; 0 for ReLU, of which nothing is proved."""
    gap, phi = 2.0 if settings["different"] else 0.0, activation_of(settings)
    if math.isinf(phi.smoothness):
        return 0.0
    return interpolation_distance_bound(initial_weights(settings), *points(settings), gap, phi)  # pyright: ignore


def filter_of(settings: State, step: float) -> Callable[[Tensor], Tensor]:
    """The share that is fitted of a direction with some σ²: by τ iterations, or by ridge."""
    if settings["by"] == "ridge":
        return lambda square: square / (square + 2 * settings["penalty"])
    return lambda square: 1 - (1 - step * square) ** settings["after"]


@dataclass(frozen=True)
class Linear:
    """The linearized network at the two points of a state, which has fitted shares of both directions."""

    settings: State
    squares: Float[Tensor, "2"]  # σ², smaller first
    shares: Float[Tensor, "2"]  # by the filter of the state
    move: Float[Tensor, "parts kd"]  # of the weights: stopped or with ridge, and with all fitted

    @property
    def ways(self) -> list[float]:
        """‖W - W₀‖ stopped or with ridge, and with both labels fitted."""
        return self.move.norm(dim=1).tolist()

    def answers(self, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "parts n"]:
        """What is answered stopped or with ridge, and with both labels fitted."""
        W, phi = initial_weights(self.settings), activation_of(self.settings)
        return predict(W, inputs, phi) + self.move @ jacobian(W, inputs, phi).T


def linearized(settings: State) -> Linear:
    """The linearized network of a state."""
    W, X, phi = initial_weights(settings), points(settings), activation_of(settings)
    step = settings["pace"] * largest_stable_step(W, X, phi)
    squares, vectors = torch.linalg.eigh(gram(W, X, phi))
    labels = torch.tensor([-1.0 if settings["different"] else 1.0, 1.0], dtype=torch.float64)
    along = vectors.T @ (labels - predict(W, X, phi)) / squares
    shares = filter_of(settings, step)(squares)
    moves = torch.stack([shares * along, along]) @ vectors.T @ jacobian(W, X, phi)
    return Linear(settings, squares, shares, moves)


def draw(**changes: Any) -> Figure:
    """How far the weights must go for two labels, and what is answered around the circle on the way."""
    settings = state("far", **changes)
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.8))
    _draw_ways(left, settings)
    _draw_answers(right, settings)
    return fig


def _draw_ways(ax: Axes, settings: State) -> None:
    def at(distances: list[float], different: bool) -> list[State]:
        return [settings | {"distance": one, "different": different} for one in distances]

    distances, dot = torch.logspace(-2, math.log10(1.95), 40).tolist(), {"ls": "", "marker": "o", "mec": "black"}
    for different, look, color, name in ((True, plots.line(plots.KINDS[0]), plots.WRONG_COLOR, "different labels"),
                                         (False, plots.CONTROL, plots.RIGHT_COLOR, "equal labels")):  # fmt: skip
        ax.plot(distances, [linearized(one).ways[1] for one in at(distances, different)], label=name, **look)  # pyright: ignore
        walked = [train(one).path.distance[-1] for one in at(list(TRIED), different)]
        ax.plot(TRIED, walked, color=color, label="gradient descent" if different else None, **dot)  # pyright: ignore
    least = [certificate(one) for one in at(distances, True)]
    ax.fill_between(distances, 0.1, least, color="#e4e4e4", lw=0)
    ax.plot(distances, least, label="certificate: at least", **plots.REFERENCE)
    ax.set(title="how far the weights must go", xlabel="distance of the points, ε₀", ylabel="‖W − W₀‖")
    ax.set(xscale="log", yscale="log", xlim=(0.01, 2), ylim=(0.1, 500))
    ax.set_xticks([0.01, 0.1, 1], labels=["0.01", "0.1", "1"])
    ax.set_yticks([0.1, 1, 10, 100], labels=["0.1", "1", "10", "100"])
    ax.minorticks_off()
    ax.legend()


def _draw_answers(ax: Axes, settings: State) -> None:
    around, (W, phi) = (
        torch.linspace(-180, 180, 181, dtype=torch.float64),
        (initial_weights(settings), activation_of(settings)),
    )
    inputs, trained = on_circle(around.deg2rad(), settings["dim"]), train(settings)
    ridge, stopped = f"with ridge, μ = {settings['penalty']:g}", f"stopped, τ = {settings['after']:,}"
    name = ridge if settings["by"] == "ridge" else stopped
    ax.plot(around, predict(W, inputs, phi), lw=0.8, color=plots.CONTROL["color"], label="before training")
    ax.plot(around, linearized(settings).answers(inputs)[0], color="black", label=name)
    ax.plot(around, predict(trained.path.weights, inputs, phi), **plots.line(plots.NOISY), label="trained to the end")
    where = [0, 2 * math.degrees(math.asin(settings["distance"] / 2))]
    ax.plot(where, trained.data.labels, "o", color="black", label="given labels")
    ax.set(title="answers around the circle", ylim=(-3, 3), xticks=(-180, 0, 180), yticks=(-1, 0, 1))
    ax.set(xlabel="degrees from the first point", ylabel="f(W, x)")
    ax.legend(loc="lower right")
