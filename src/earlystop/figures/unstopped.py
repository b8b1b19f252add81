"""Trained to the end: plain losses, ridge to the start, auxiliary variables, sparse corrections and small losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures import bench
from earlystop.figures.bench import Bench
from earlystop.figures.splits import data_hashes, number
from earlystop.remedies import found_by
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import always, sizes

NAMES = {
    "least_squares": "least squares", "ridge": "ridge to the start", "auxiliary": "auxiliary variables",
    "sparse": "sparse corrections", "cross_entropy": "cross-entropy", "small_loss": "small losses",
}  # fmt: skip
KEPT = ("test", "noisy_validation", "memorized", "corrected")  # of what the bench sees after each epoch


@dataclass(frozen=True)
class Unstopped(Bench):
    """Six ways to train one network, with every setting of their grids, to the last epoch."""

    train_size: int = number(1000, 3000, 3000, "training images")
    validation_size: int = number(200, 600, 600, "validation images, their labels as noisy")
    test_size: int = number(397, 3000, 3000, "test images")
    remedies: tuple = always(tuple(NAMES), "losses and remedies", ours=True, of=NAMES, once=True)
    corruption_rates: tuple = always((0.4, 0.0), "share of labels that are wrong", ours=True, most=1, once=True)
    seeds: int = sizes(5, 5, 5, "seeds", ours=True, least=1)


def settings(name: str) -> list[dict[str, float]]:
    """Each setting of the grid of a remedy; the one empty setting of a loss."""
    grid = getattr(found_by(name), "grid", {})
    return [{key: value} for key, values in grid.items() for value in values] or [{}]


def cells(config: Unstopped) -> list[Cell]:
    """Every remedy, setting, share of wrong labels and seed; a setting is told by its place in the grid."""
    return [
        {"remedy": name, "setting": place, "corruption_rate": rate, "seed": seed}
        for seed in range(config.seeds)
        for rate in config.corruption_rates
        for name in config.remedies
        for place in range(len(settings(name)))
    ]


def runs(config: Unstopped, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """The curves of each cell, and the value of its setting."""
    return [run(config, machine=machine, **cell) for cell in cells]


def run(config: Unstopped, remedy: str, setting: int, corruption_rate: float, seed: int, machine: Machine) -> Run:
    """One remedy with one setting."""
    noise = "uniform" if corruption_rate else "none"
    problem = bench.problem(config, noise, corruption_rate, seed, device=machine.device)
    chosen = settings(remedy)[setting]
    found = bench.curves(problem, remedy, chosen, config, seed, machine)
    return {key: [round(one, 5) for one in found[key]] for key in KEPT} | {"value": next(iter(chosen.values()), 0.0)}


# ------------------------------------------------------------------------ what a result says


def ends(result: Result, remedy: str, rate: float, key: str = "test") -> Float[Tensor, "settings seeds"]:
    """A curve's last value, of every setting of a remedy."""
    places = sorted({cell["setting"] for cell in result.select(remedy=remedy)})
    found = [result.numbers(key, remedy=remedy, corruption_rate=rate, setting=place)[:, -1] for place in places]
    return torch.stack(found)


def chosen(result: Result, remedy: str, rate: float) -> int:
    """The setting that agrees best with the validation labels as given, after the last epoch, in the mean."""
    return int(ends(result, remedy, rate, "noisy_validation").mean(dim=1).argmax())


def curve(result: Result, remedy: str, rate: float, key: str = "test") -> Float[Tensor, "seeds epochs"]:
    """A curve of a remedy with the setting that is chosen for it without a true label."""
    return result.numbers(key, remedy=remedy, corruption_rate=rate, setting=chosen(result, remedy, rate))


def value(result: Result, remedy: str, rate: float) -> float:
    """The value of the setting that is chosen."""
    where = {"remedy": remedy, "corruption_rate": rate, "setting": chosen(result, remedy, rate)}
    return result.select(**where)[0]["value"]


def rate_of(result: Result) -> float:
    """The share of wrong labels beside the control's 0."""
    return max(result.levels("corruption_rate"))


def last(result: Result, remedy: str, rate: float | None = None) -> Float[Tensor, " seeds"]:
    """Test accuracy after the last epoch, seed by seed."""
    return curve(result, remedy, rate_of(result) if rate is None else rate)[:, -1]


def best(result: Result, remedy: str, rate: float | None = None) -> Float[Tensor, " seeds"]:
    """Test accuracy at the best epoch of each seed, which nobody knows."""
    return curve(result, remedy, rate_of(result) if rate is None else rate).max(dim=1).values


def stopped(result: Result, remedy: str, rate: float | None = None) -> Float[Tensor, " seeds"]:
    """Test accuracy at the epoch of each seed that agrees best with the validation labels as given."""
    rate = rate_of(result) if rate is None else rate
    where = curve(result, remedy, rate, "noisy_validation").argmax(dim=1, keepdim=True)
    return curve(result, remedy, rate).gather(1, where)[:, 0]


def lost(result: Result, remedy: str) -> Float[Tensor, " seeds"]:
    """By how much the last epoch is worse than the best one."""
    return best(result, remedy) - last(result, remedy)


def over(result: Result, remedy: str, plain: str) -> Float[Tensor, " seeds"]:
    """By how much a remedy at its last epoch is better than a plain loss that is stopped by noisy labels."""
    return last(result, remedy) - stopped(result, plain)


lost_by_auxiliary = partial(lost, remedy="auxiliary")
lost_by_ridge = partial(lost, remedy="ridge")
auxiliary_over_cross_entropy = partial(over, remedy="auxiliary", plain="cross_entropy")
sparse_over_least_squares = partial(over, remedy="sparse", plain="least_squares")
small_loss_over_cross_entropy = partial(over, remedy="small_loss", plain="cross_entropy")


def table(result: Result) -> tuple[list[str], list[list[str]]]:
    """Test accuracies in percent, means over the seeds: the columns' names, and a row for each way to train."""
    rows = []
    for name in result.levels("remedy"):
        found = [kind(result, name) for kind in (best, stopped, last)] + [last(result, name, 0.0)]
        setting = value(result, name, rate_of(result))
        rows.append([
            NAMES[name], f"{setting:g}" if setting else "–", *(f"{100 * one.mean().item():.1f}" for one in found)
        ])  # fmt: skip
    return ["training", "setting", "best epoch", "stopped", "last epoch", "last, control"], rows


def draw(result: Result) -> Figure:
    """Test accuracy along the training, a panel for each way to train; with wrong labels, and without."""
    fig, axes = plt.subplots(2, 3, figsize=(7, 4.8), sharex=True, sharey=True)
    for ax, name in zip(axes.flat, result.levels("remedy")):
        for rate, look in ((rate_of(result), plots.TEST), (0.0, plots.CONTROL)):
            shown = curve(result, name, rate)
            label = f"test, {rate:.0%} wrong labels" if rate else "test, control: no wrong label"
            plots.band(ax, range(shown.shape[1]), shown, label, **plots.line(look))
        memorized = curve(result, name, rate_of(result), "memorized")
        plots.band(ax, range(memorized.shape[1]), memorized, "wrong labels memorized", **plots.line(plots.NOISY))
        ax.set(title=NAMES[name], ylim=(0, 1.02))
    for ax in axes[1]:
        ax.set(xlabel="epoch")
    for ax in axes[:, 0]:
        ax.set(ylabel="share")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def draw_strength(result: Result) -> Figure:
    """Test accuracy at the best and at the last epoch against λ, for ridge and for auxiliary variables."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
    rate = rate_of(result)
    for ax, name in zip(axes, ("ridge", "auxiliary")):
        runs = [result.select(remedy=name, corruption_rate=rate, setting=place) for place in range(len(settings(name)))]
        values = [group[0]["value"] for group in runs]
        tops = torch.tensor([[max(one["test"]) for one in group] for group in runs]).T
        plots.band(ax, values, ends(result, name, rate).T, "last epoch", **plots.TEST)
        plots.band(ax, values, tops, "best epoch", **plots.KINDS[0] | {"linestyle": ":"})
        plots.band(ax, values, ends(result, name, 0.0).T, "last epoch, control", **plots.CONTROL)
        plain = last(result, "least_squares").mean().item()
        ax.axhline(plain, color=plots.KINDS[1]["color"], linestyle="--", label="least squares, last epoch")
        ax.set(title=NAMES[name], xlabel="strength λ", xscale="log")
        plots.log_ticks(ax.xaxis, values)
    axes[0].set(ylabel="test accuracy")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def tiny(machine: Machine) -> Numbers:
    """Mean losses and test accuracies along a small training by every remedy, with the last setting of its grid."""
    config = Unstopped.at("quick", train_size=40, validation_size=20, test_size=30, width=8, epochs=2, batch_size=16)
    problem, numbers = bench.problem(config, "uniform", 0.4, 1, device=machine.device), {}
    for name in NAMES:
        found = bench.curves(problem, name, settings(name)[-1], config, 1, machine)
        numbers[name] = listed([found["loss"], found["test"]])
    return numbers


EXPERIMENT = register(Experiment(
    name="unstopped",
    title="Trained to the end: losses and remedies that may need no stopping",
    own=True,
    one_by_one=True,
    config=Unstopped,
    runs=runs,
    cells=cells,
    sweep={"remedy": "remedies", "corruption_rate": "corruption_rates", "seed": "seeds"},
    work=lambda config: config.epochs * (config.train_size + 0.2 * config.test_size),
    trials=({"train_size": 256, "epochs": 1}, {"train_size": 256, "epochs": 3}),
    data=data_hashes,
    deep=False,
    draw={"": draw, "_strength": draw_strength},
    paths={"six remedies": ("float32", STACKED, tiny)},
))  # fmt: skip
