"""What the stored clocks of Figure 5 say: their picture, and one value for each seed."""

import math
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.runs.results import Result

TICKS = (0.1, 1, 10, 100, 1000)  # of the time
SETTLED = 10  # iterations of the largest step size, after which step sizes are compared
FIGURE5 = ("least squares", "erf", "normal")  # as this book runs it
DRAWN = {
    FIGURE5: "erf",
    ("least squares", "ReLU", "normal"): "ReLU",
    ("least squares", "Gaussian softplus", "normal"): "Gaussian softplus",
    ("least squares", "tanh", "normal"): "tanh",
    ("least squares", "sin", "normal"): "sin",
    ("least squares", "erf", "paired"): "erf, f(W₀) = 0",
    ("least squares", "ReLU", "paired"): "ReLU, f(W₀) = 0",
    ("logistic", "erf", "normal"): "erf, logistic loss",
}
PANELS = DRAWN | {
    ("least squares", "Gaussian softplus", "paired"): "Gaussian softplus, f(W₀) = 0",
    ("least squares", "tanh", "paired"): "tanh, f(W₀) = 0",
    ("least squares", "sin", "paired"): "sin, f(W₀) = 0",
    ("logistic", "erf", "paired"): "erf, logistic loss, f(W₀) = 0",
}


def setting(panel: tuple[str, str, str], rate: float, step: float) -> dict[str, Any]:
    """The cells of a panel, at a corruption rate and a step size."""
    return dict(zip(("loss", "activation", "start"), panel)) | {"corruption_rate": rate, "step": step}


def steps_of(result: Result, panel: tuple[str, str, str]) -> list[float]:
    """The step sizes that a panel was run with."""
    cells = result.select(**dict(zip(("loss", "activation", "start"), panel)))
    return sorted({cell["step"] for cell in cells})


def draw(result: Result) -> Figure:
    """Error against the truth over η·curvature·τ, a line for each step size, and without noise."""
    fig, axes = plt.subplots(4, 2, figsize=(7, 9.2), sharex=True, sharey=True)
    noise, steps = (result["config"][key] for key in ("corruption_rate", "steps"))
    for ax, (panel, title) in zip(axes.T.flat, DRAWN.items()):
        for step in steps_of(result, panel):
            runs = setting(panel, noise, step)
            errors = result.numbers("error_true", **runs)
            kept = errors if step == max(steps) else errors.mean(0, keepdim=True)  # one band is enough
            look = {"color": plots.level_color(steps.index(step), len(steps)), "lw": 1.3}
            plots.band(ax, result.select(**runs)[0]["time"], kept, f"step size {step}", **look)
        runs = setting(panel, 0.0, max(steps))
        clean = result.numbers("error_true", **runs).mean(0, keepdim=True)
        plots.band(ax, result.select(**runs)[0]["time"], clean, "no wrong labels", **plots.CONTROL)
        flipped = result.numbers("flipped", **setting(panel, noise, max(steps)))
        ax.axhline(flipped.mean(), label="share of wrong labels", **plots.REFERENCE)
        ax.set(xscale="log", title=title, ylim=(0, 0.3))
    for ax in axes[:, 0]:
        ax.set(ylabel="error, true labels")
    for ax in axes[-1]:
        ax.set(xlabel="time, s = η σ₁² τ")
        plots.log_ticks(ax.xaxis, TICKS)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


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
