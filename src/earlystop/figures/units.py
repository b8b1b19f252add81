"""What the stored clocks of Figure 5 say: their picture, and one value for each seed."""

import math
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.runs.results import Result

TICKS = (0.1, 1, 10, 100, 1000)  # of the time
SETTLED = 10  # iterations of the largest step size, after which step sizes are compared
FIGURE5 = ("least squares", "erf", "normal")  # as this book runs it
PANELS = {
    FIGURE5: "erf",
    ("least squares", "ReLU", "normal"): "ReLU",
    ("least squares", "Gaussian softplus", "normal"): "Gaussian softplus",
    ("least squares", "tanh", "normal"): "tanh",
    ("least squares", "sin", "normal"): "sin",
    ("least squares", "erf", "paired"): "erf, f(W₀) = 0",
    ("least squares", "ReLU", "paired"): "ReLU, f(W₀) = 0",
    ("logistic", "erf", "normal"): "erf, logistic loss",
    ("least squares", "Gaussian softplus", "paired"): "Gaussian softplus, f(W₀) = 0",
    ("least squares", "tanh", "paired"): "tanh, f(W₀) = 0",
    ("least squares", "sin", "paired"): "sin, f(W₀) = 0",
    ("logistic", "erf", "paired"): "erf, logistic loss, f(W₀) = 0",
}
COMPARED = {  # what is drawn beside Figure 5, by the thing that changes
    "activation": {
        FIGURE5: "erf",
        ("least squares", "Gaussian softplus", "normal"): "Gaussian softplus",
        ("least squares", "ReLU", "normal"): "ReLU",
    },
    "start": {FIGURE5: "normal weights", ("least squares", "erf", "paired"): "f(W₀) = 0"},
    "loss": {FIGURE5: "least squares", ("logistic", "erf", "normal"): "logistic loss"},
}


def setting(panel: tuple[str, str, str], rate: float, step: float) -> dict[str, Any]:
    """The cells of a panel, at a corruption rate and a step size."""
    return dict(zip(("loss", "activation", "start"), panel)) | {"corruption_rate": rate, "step": step}


def steps_of(result: Result, panel: tuple[str, str, str]) -> list[float]:
    """The step sizes that a panel was run with."""
    cells = result.select(**dict(zip(("loss", "activation", "start"), panel)))
    return sorted({cell["step"] for cell in cells})


def draw(result: Result) -> Figure:
    """Error against the truth over the time s; in each panel one thing changes, and grey is without wrong labels."""
    fig, axes = plt.subplots(2, 2, figsize=(7, 6), sharex=True, sharey=True)
    noise, steps = (result["config"][key] for key in ("corruption_rate", "steps"))
    draw_steps(axes[0, 0], result)
    for ax, (title, panels) in zip(axes.flat[1:], COMPARED.items()):
        for (panel, name), style in zip(panels.items(), plots.KINDS):
            look = {"markevery": 6, "markersize": 4}
            curve(ax, result, setting(panel, noise, max(steps)), name, **style | look)  # pyright: ignore
            grey = plots.CONTROL | {"marker": style["marker"]} | look
            curve(ax, result, setting(panel, 0.0, max(steps)), "_", **grey)  # pyright: ignore
        ax.set(title=title)
    wrong = result.numbers("flipped", **setting(FIGURE5, noise, max(steps))).mean()
    for ax in axes.flat:
        share = ax.axhline(wrong, **plots.REFERENCE)
        ax.legend(loc="upper right", fontsize=9)
    for ax in axes[:, 0]:
        ax.set(ylabel="error, true labels")
    for ax in axes[-1]:
        ax.set(xscale="log", xlabel="time, s = η σ₁² τ", ylim=(-0.01, 0.3))
        plots.log_ticks(ax.xaxis, TICKS)
    handles, words = [axes[0, 0].lines[-2], share], ["no wrong labels", "share of wrong labels"]  # pyright: ignore
    fig.legend(handles, words, loc="outside lower center", ncols=2)
    return fig


def draw_steps(ax: Axes, result: Result) -> None:
    """Figure 5 by all step sizes: means over the seeds, and the range of the largest; and without noise."""
    noise, steps = (result["config"][key] for key in ("corruption_rate", "steps"))
    for i, step in enumerate(steps):
        look = {"color": plots.level_color(i, len(steps)), "lw": 1.3}
        curve(ax, result, setting(FIGURE5, noise, step), f"{step}/σ₁²", step == max(steps), **look)
    curve(ax, result, setting(FIGURE5, 0.0, max(steps)), "_", **plots.CONTROL)  # pyright: ignore
    ax.set(title="step size")


def curve(ax: Axes, result: Result, runs: dict[str, Any], label: str, ranged: bool = True, **look: Any) -> None:
    """The error against the truth over the time: the mean of the seeds, and their range if that is wanted."""
    errors = result.numbers("error_true", **runs)
    kept = errors if ranged else errors.mean(0, keepdim=True)
    plots.band(ax, result.select(**runs)[0]["time"], kept, label, **look)


def without_noise(result: Result, step_size: float) -> tuple[Tensor, Tensor]:
    """Figure 5's error without a wrong label, over its iterations at a step size: seeds by times."""
    runs = setting(FIGURE5, 0.0, max(result["config"]["steps"]))
    time = torch.tensor(result.select(**runs)[0]["time"], dtype=torch.float64)
    return time / per_iteration(result, step_size), result.numbers("error_true", **runs)


def per_iteration(result: Result, step_size: float) -> float:
    """The time s that an iteration of Figure 5 takes at a step size, by the mean curvature of the seeds."""
    runs = setting(FIGURE5, 0.0, max(result["config"]["steps"]))
    return step_size * result.numbers("curvature", **runs).mean().item()


def clock(result: Result, key: str, panel: tuple[str, str, str], step: float, control: bool = False) -> Tensor:
    """When something has happened, in time and not in iterations; infinite where it has not."""
    rate = 0.0 if control else result["config"]["corruption_rate"]
    iterations = result.numbers(key, **setting(panel, rate, step))
    return torch.where(iterations < 0, math.inf, iterations * step)


def moments(result: Result) -> list[list[str]]:
    """For every panel the times at which the truth is learned and the noise takes over, at the largest step size."""
    step = max(result["config"]["steps"])
    asked = (("learned", False), ("learned", True), ("taken", False))
    return [[title, *(median(clock(result, key, panel, step, control)) for key, control in asked)]
            for panel, title in PANELS.items()]  # fmt: skip


def median(times: Tensor) -> str:
    """The median over the seeds with its range in words; of those that got there, where some did not."""
    there = times[times.isfinite()]
    if not len(there):
        return "–"
    middle, low, high = (f"{float(f'{one:.2g}'):,g}" for one in (there.median(), there.min(), there.max()))
    more = [f"{low} to {high}"] * (low != high) + [f"in {len(there)} of {len(times)} runs"] * (len(there) < len(times))
    return f"{middle} ({', '.join(more)})" if more else middle


def spread_of_steps(result: Result, panel: tuple[str, str, str]) -> Tensor:
    """How far the errors of two step sizes are apart at one time, at most: from the tenth large step on."""
    start, found = SETTLED * max(result["config"]["steps"]), []
    for a, b in pairwise(steps_of(result, panel)):
        runs = [setting(panel, result["config"]["corruption_rate"], step) for step in (a, b)]
        times = [result.select(**one)[0]["time"] for one in runs]
        common = [t for t in times[0] if t >= start and t in times[1]]
        errors = [result.numbers("error_true", **one)[:, [t.index(c) for c in common]] for one, t in zip(runs, times)]
        found.append((errors[0] - errors[1]).abs().max(dim=1).values)
    return torch.stack(found).max(dim=0).values


def steps_apart(result: Result) -> Tensor:
    """The same of all panels that have several step sizes."""
    panels = [panel for panel in PANELS if len(steps_of(result, panel)) > 1]
    return torch.stack([spread_of_steps(result, panel) for panel in panels]).max(dim=0).values


def noisy_panels(result: Result) -> list[tuple[str, str, str]]:
    """Every loss, activation and start that was run with noise."""
    cells = result.select(corruption_rate=result["config"]["corruption_rate"])
    return list(dict.fromkeys((cell["loss"], cell["activation"], cell["start"]) for cell in cells))


def truth_first(result: Result) -> Tensor:
    """The share of all runs with noise in which the truth is learned, to 1 %, before the noise takes over."""
    found = [
        clock(result, "learned", panel, step) < clock(result, "taken", panel, step)
        for panel in noisy_panels(result) for step in steps_of(result, panel)
    ]  # fmt: skip
    return torch.stack(found).double().mean(dim=0)


def at_end(result: Result, key: str, panel: tuple[str, str, str], control: bool = False) -> Tensor:
    """The last number of a curve, or a number, at the largest step size."""
    rate = 0.0 if control else result["config"]["corruption_rate"]
    values = result.numbers(key, **setting(panel, rate, max(result["config"]["steps"])))
    return values[:, -1] if values.ndim > 1 else values


LOGISTIC = ("logistic", "erf", "normal")
ACTIVATIONS = [panel for panel in PANELS if panel[0] == "least squares" and panel[2] == "normal"]


def logistic_best(result: Result) -> Tensor:
    """The lowest error against the truth on the path of the logistic loss."""
    return at_end(result, "best", LOGISTIC)


def logistic_fitted(result: Result) -> Tensor:
    """The error on the given labels at the end of the path of the logistic loss."""
    return at_end(result, "error_given", LOGISTIC)


def fresh_harm(result: Result) -> Tensor:
    """How much more often the late network errs on fresh inputs than the early one, a mean over activations."""
    found = [
        at_end(result, "fresh_error_late", panel) - at_end(result, "fresh_error_early", panel) for panel in ACTIVATIONS
    ]
    return torch.stack(found).mean(dim=0)


def fresh_control(result: Result) -> Tensor:
    """The same without wrong labels."""
    found = [
        at_end(result, "fresh_error_late", panel, True) - at_end(result, "fresh_error_early", panel, True)
        for panel in ACTIVATIONS
    ]
    return torch.stack(found).mean(dim=0)
