"""Does the interval of the share of wrong labels hold that share? Fifty draws of each kind of noise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures.bench import Bench, problem, share, task
from earlystop.figures.splits import data_hashes, data_set, number
from earlystop.figures.suspects import confident_share
from earlystop.label_noise import KINDS
from earlystop.runs.experiment import Cell, Experiment, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import always, sizes
from earlystop.suspects import cross_fit, share_wrong

FAIR = ("none", *KINDS)  # kinds for which hard samples are wrong about as often as easy ones
KNOWN = (*FAIR, "hard samples")


@dataclass(frozen=True)
class Shares(Bench):
    """Small networks on digits, many times."""

    data: str = data_set("digits", "digits")
    side: int = always(8, "pixels at an edge, after averaging", ours=True, least=1)
    train_size: int = number(1000, 1000, 1000, "training images")
    validation_size: int = always(1, "validation images, of which none is used", ours=True, least=1)
    test_size: int = always(1, "test images, of which none is used", ours=True, least=1)
    width: int = number(128, 128, 128, "hidden units", ours=True)
    epochs: int = sizes(12, 12, 12, "epochs", ours=True, least=1)
    noises: tuple = always(KNOWN, "kinds of noise", ours=True, of=KNOWN, once=True)
    corruption_rate: float = always(0.2, "share of wrong labels", ours=True, most=1)
    folds: int = always(5, "folds", ours=True, least=2)
    seeds: int = number(50, 50, 50, "draws")


def hard_samples(
    inputs: Float[Tensor, "n ..."], labels: Int[Tensor, " n"], corruption_rate: float
) -> Int[Tensor, " n"]:
    """Labels of which a share is wrong: those of the samples nearest to the boundary of a linear classifier that knows
    the truth, each with the class on the other side."""
    from sklearn.linear_model import LogisticRegression

    flat, count = inputs.flatten(1).double().cpu().numpy(), round(corruption_rate * len(labels))
    linear = LogisticRegression(max_iter=200).fit(flat, labels.cpu().numpy())
    found = torch.full((len(labels), int(labels.max()) + 1), -1.0, dtype=torch.float64)
    found[:, torch.as_tensor(linear.classes_)] = torch.as_tensor(linear.predict_proba(flat))
    own = found.gather(1, labels.cpu()[:, None])[:, 0]
    other = found.scatter(1, labels.cpu()[:, None], -1.0).max(dim=1)
    near = (own - other.values).argsort(stable=True)[:count]
    noisy = labels.clone()
    noisy[near.to(labels.device)] = other.indices[near].to(labels.device)
    return noisy


def estimated(config: Shares, noise: str, seed: int, machine: Machine) -> dict[str, float]:
    """One draw: the share that is wrong, its estimate and interval, and that of confident learning."""
    known = noise in FAIR
    one = problem(config, noise if known else "none", config.corruption_rate, seed, device=machine.device)
    if not known:
        one = replace(one, given=hard_samples(one.inputs, one.true, config.corruption_rate))
    found = cross_fit(task(one, config, seed), config.folds)
    estimate = found.share_wrong
    return {
        "wrong": share(one.wrong), "estimate": estimate.estimate, "low": estimate.low, "high": estimate.high,
        "steady": float(estimate.steady), "confident": confident_share(found.probabilities, one.given),
        "confident_last": confident_share(found.last, one.given),
        "disagreeing": share(found.probabilities.argmax(dim=1) != one.given),
        "surest": share_wrong(found.probabilities, one.true).estimate,  # errors of the network where it is surest
    }  # fmt: skip


def runs(config: Shares, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, float]]:
    """What was estimated in each cell."""
    return [estimated(config, cell["noise"], cell["seed"], machine) for cell in machine.progress(cells, "draws")]


def covered(result: Result, noise: str) -> Float[Tensor, " draws"]:
    """1 where the interval holds the share that is wrong, else 0."""
    low, wrong, high = (result.numbers(key, noise=noise) for key in ("low", "wrong", "high"))
    return ((low <= wrong) & (wrong <= high)).double()


def coverage(result: Result) -> Float[Tensor, " draws"]:
    """Of each draw the share of kinds of noise whose interval holds; hard samples left out."""
    return torch.stack([covered(result, noise) for noise in FAIR]).mean(dim=0)


def error(result: Result, noise: str, key: str = "estimate") -> Float[Tensor, " draws"]:
    """How far an estimate is from the share that is wrong, without its sign."""
    return (result.numbers(key, noise=noise) - result.numbers("wrong", noise=noise)).abs()


covered_uniform = partial(covered, noise="uniform")
covered_hard = partial(covered, noise="hard samples")
covered_people = partial(covered, noise="human")  # of a result of suspects


def draw(result: Result) -> Figure:
    """The intervals of all draws, sorted by estimate, around the share that is wrong."""
    noises = result.levels("noise")
    fig, axes = plt.subplots(2, 3, figsize=(7, 4.4), sharex=True, sharey=True)
    for ax, noise in zip(axes.flat, noises):
        low, estimate, high = (result.numbers(key, noise=noise) for key in ("low", "estimate", "high"))
        holds, wrong = covered(result, noise) > 0, result.numbers("wrong", noise=noise)
        order = estimate.argsort()
        place = torch.empty(len(order)).scatter(0, order, torch.arange(1.0, len(order) + 1))
        for chosen, color, label in ((holds, plots.RIGHT_COLOR, "holds it"), (~holds, "black", "misses it")):
            ax.vlines(place[chosen], low[chosen], high[chosen], color=color, linewidth=1.2, label=f"interval {label}")
        ax.plot(place, estimate, ".", color="black", markersize=2.5, label="estimate")
        ax.plot(place[order], wrong[order], **plots.REFERENCE, label="share that is wrong")
        ax.set(title=f"{noise}: {holds.double().mean():.0%} hold")
    for ax in axes[1]:
        ax.set(xlabel="draw, by estimate")
    for ax in axes[:, 0]:
        ax.set(ylabel="share of wrong labels", ylim=(-0.01, 0.4))
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def table(result: Result) -> tuple[list[str], list[list[Any]], str]:
    """Of each kind of noise: coverage, mean errors of both estimates, errors where networks are surest, warnings."""
    caption = (
        "Coverage; mean distance of two estimates from the truth; the networks' errors where they are surest; how "
        "often the report warns that its interval may not hold."
    )
    header = ["wrong labels", "interval holds", "our error", "confident learning's", "network's error", "warned"]
    rows = []
    for noise in result.levels("noise"):
        ours, other = error(result, noise).mean(), error(result, noise, "confident").mean()
        surest, steady = (result.numbers(key, noise=noise).mean() for key in ("surest", "steady"))
        rows.append([noise, f"{covered(result, noise).mean():.0%}", f"{ours:.3f}", f"{other:.3f}", f"{surest:.1%}",
                     f"{1 - steady:.0%}"])  # fmt: skip
    return header, rows, caption


def tiny(machine: Machine) -> Numbers:
    """A second's run."""
    config = Shares.at("quick", train_size=300, width=32, epochs=4, folds=3)
    cells = [{"noise": noise, "seed": seed} for noise in ("by class", "hard samples") for seed in (0, 1)]
    found = runs(config, cells, None, machine)
    return {key: listed([run[key] for run in found]) for key in ("wrong", "estimate", "low", "high", "confident")}


EXPERIMENT = register(Experiment(
    name="shares",
    title="The share of wrong labels, estimated",
    config=Shares,
    runs=runs,
    one_by_one=True,
    sweep={"seed": "seeds", "noise": "noises"},
    work=lambda config: config.train_size * config.epochs * (config.folds + 1),
    trials=({"train_size": 300, "epochs": 4}, {"train_size": 300, "epochs": 12}),
    data=data_hashes,
    own=True,
    deep=False,
    draw={"": draw},
    paths={"two noises": ("float32", STACKED, tiny)},
))  # fmt: skip
