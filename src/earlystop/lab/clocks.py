"""Two clocks, as a picture without a script: singular values of the Jacobian, and when each direction is learned."""

from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.data import Dataset
from earlystop.figures.pictures import INFORMATION, NUISANCE
from earlystop.jacobian import gram
from earlystop.lab.model import State, activation_of, dataset, initial_weights
from earlystop.lab.state import state
from earlystop.metrics import error_rate
from earlystop.network import predict
from earlystop.window import first_stretch

LATEST, BEYOND = 100_000, 8  # iterations; nuisance directions that are drawn
SPACES = ("information", "nuisance")
LOOKS: tuple[dict[str, Any], ...] = (INFORMATION, NUISANCE)
ROUNDING = 1e-10  # a square of a singular value below this part of the largest is 0


@dataclass(frozen=True)
class Clockwork:
    """The linearized network of a state, direction by direction; the first `clusters` of them are of information."""

    data: Dataset
    clusters: int
    step: float  # η
    squares: Float[Tensor, " n"]  # σ_j², some perhaps made by hand
    vectors: Float[Tensor, "n n"]  # u_j, in columns
    along: Float[Tensor, " n"]  # the residual at the start

    @property
    def clocks(self) -> tuple[float, float]:
        """1/(ησ²) of the slowest information direction, and of the fastest nuisance direction."""
        information, nuisance = self.squares.split([self.clusters, len(self.squares) - self.clusters])
        return (1 / (self.step * information.min())).item(), (1 / (self.step * nuisance.max())).item()

    def left(self, times: Int[Tensor, " T"]) -> Float[Tensor, "T n"]:
        """The residual along each direction after some iterations."""
        return self.along * (1 - self.step * self.squares) ** times[:, None]

    def shares(self, times: Int[Tensor, " T"]) -> tuple[Tensor, Tensor]:
        """The shares of information and of nuisance that are not yet learned."""
        spaces = slice(self.clusters), slice(self.clusters, None)
        information, nuisance = (self.left(times)[:, s].norm(dim=1) / (self.along[s].norm() or 1) for s in spaces)
        return information, nuisance

    def right(self, times: Int[Tensor, " T"]) -> tuple[int, int] | None:
        """The first stretch of these iterations at which no answer is wrong by the true labels, or None."""
        outputs = self.data.labels + self.left(times) @ self.vectors.T
        found = first_stretch(error_rate(outputs, self.data.clean_labels, self.data.classes) == 0)
        return found and (int(times[found[0]]), int(times[found[1]]))


def clockwork(**changes: Any) -> Clockwork:
    """The linearized network of a state of the figure. `ValueError` for a state that cannot be."""
    now: State = state("clocks", **changes) | {"changed": []}
    data, weights, phi, K = dataset(now), initial_weights(now), activation_of(now), now["clusters"]
    squares, vectors = (part.flip(-1) for part in torch.linalg.eigh(gram(weights, data.inputs, phi)))
    squares, step = squares.where(squares > ROUNDING * squares[0], 0), 2 * now["pace"] / squares[0].item()
    for name, at in (("last_information", K - 1), ("first_nuisance", K)):
        squares[at] = now[name] ** 2 * squares[0] if now[name] else squares[at]
    residual = predict(weights, data.inputs, phi) - data.labels
    return Clockwork(data, K, step, squares, vectors, residual @ vectors)


def without_wrong_labels(one: Clockwork) -> Clockwork:
    """The same network on the true labels."""
    data = replace(one.data, labels=one.data.clean_labels)
    return replace(one, data=data, along=one.along + (one.data.labels - data.labels) @ one.vectors)


def draw(**changes: Any) -> Figure:
    """What the living figure shows of a state: its two spaces, and its two clocks up to a stop."""
    it = clockwork(**changes)
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.9))
    _spaces(left, it)
    _clocks(right, it)
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    right.axvline(state("clocks", **changes)["stop"], color="black")
    return fig


def _spaces(ax: Axes, it: Clockwork) -> None:
    """The first singular values."""
    sigma = it.squares[: it.clusters + BEYOND].sqrt()
    index = torch.arange(1, len(sigma) + 1)
    for rows, name, look in zip((slice(it.clusters), slice(it.clusters, None)), SPACES, LOOKS):
        marks: dict[str, Any] = look | {"linestyle": "", "markersize": 5}
        ax.plot(index[rows], sigma[rows], label=name, **marks)
    ax.set(title="two spaces", xlabel="direction", ylabel="singular value of J", yscale="log")
    ax.set_ylim(0.01 * sigma[0].item(), 2 * sigma[0].item())
    ax.set_xticks(sorted({1, it.clusters, it.clusters + 1, len(sigma)}))
    plots.log_ticks(ax.yaxis)


def _clocks(ax: Axes, it: Clockwork) -> None:
    """What is not yet learned, the stretch between the clocks, and where no answer is wrong, with its control."""
    times, (first, second) = (torch.logspace(0, 1, 400, LATEST + 1) - 1).round().long().unique(), it.clocks
    if first < second:
        ax.axvspan(first, min(second, LATEST), color="#e4e4e4", label="between the clocks")
    for share, name, look in zip(it.shares(times), SPACES, LOOKS):
        ax.plot(times, share, label=name, **plots.line(look))
    bars = (it, 1.07, "no answer is wrong", "-", plots.TRUE), (
        without_wrong_labels(it), 1.15, "the same without wrong labels", ":", plots.CONTROL)  # fmt: skip
    for one, height, name, dash, look in bars:
        if found := one.right(times):
            ax.plot(found, (height, height), label=name, color=look["color"], linestyle=dash, linewidth=4)
    ax.set(title="two clocks", xlabel="iteration", ylabel="share not yet learned", ylim=(0, 1.2), yticks=(0, 0.5, 1))
    ax.set_xscale("symlog", linthresh=1)
    plots.log_ticks(ax.xaxis, (0, 1, 100, 10_000))
    ax.set_xlim(0, LATEST)
