"""Which labels are wrong? Networks stopped early against confident learning, and training without the suspects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures.bench import NOISES, Bench, Problem, problem, share, task
from earlystop.figures.splits import data_hashes, number
from earlystop.metrics import auroc, split_losses
from earlystop.remedies import remedy, train
from earlystop.runs.experiment import Cell, Experiment, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import always, sizes
from earlystop.suspects import CrossFit, cross_fit, share_wrong, suspicion

RANKINGS = {
    "early": "stopped early, not seen",
    "seen": "stopped early, seen",
    "last": "after the last epoch, not seen",
    "margin": "confident learning, stopped early",
    "margin_last": "confident learning, last epoch",
}
LEFT_OUT = {
    "nothing": "nothing",
    "suspects": "our suspects",
    "confident": "confident learning's, stopped early",
    "confident_last": "confident learning's, last epoch",
    "chance": "as many as our suspects, by chance",
    "wrong": "all wrong labels (needs the truth)",
}


@dataclass(frozen=True)
class Suspects(Bench):
    """Labels are judged by cross-fitted networks, and networks are trained again without the suspects."""

    epochs: int = sizes(40, 20, 20, "epochs", ours=True, least=1)
    noises: tuple = always(("none", "uniform", "pair", "by sample"), "kinds of noise", ours=True, of=NOISES, once=True)
    corruption_rate: float = always(0.3, "share of wrong labels", ours=True, most=1)
    folds: int = always(5, "folds", ours=True, least=2)
    seeds: int = number(5, 5, 5, "seeds")


# ------------------------------------------------------------------------ confident learning


def thresholds(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> Float[Tensor, " c"]:
    """Of each class the mean probability of that class among the samples labeled so; 1 for a class without samples."""
    own = [probabilities[labels == k, k] for k in range(probabilities.shape[1])]
    return torch.stack([one.mean() if len(one) else one.new_tensor(1.0) for one in own])


def confident_class(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """The most probable of the classes whose threshold is reached, −1 where none is."""
    reached = probabilities >= thresholds(probabilities, labels) - 1e-6
    best = torch.where(reached, probabilities, -1.0).max(dim=1)
    return torch.where(best.values >= 0, best.indices, -1)


def confident_joint(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> Float[Tensor, "c c"]:
    """Row i, column j: how many samples of the given class i are confidently of class j; rows scaled to all of i."""
    classes, found = probabilities.shape[1], confident_class(probabilities, labels)
    sure = found >= 0
    joint = torch.bincount(labels[sure] * classes + found[sure], minlength=classes**2).view(classes, classes).double()
    rows = torch.bincount(labels, minlength=classes).double()
    empty = joint.sum(dim=1) == 0
    joint[empty, empty] = rows[empty]
    return joint * (rows / joint.sum(dim=1).clamp(min=1e-12))[:, None]


def confident_share(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> float:
    """Confident learning's estimate of the share of wrong labels: what is off the diagonal of its joint."""
    joint = confident_joint(probabilities, labels)
    return 1 - (joint.diagonal().sum() / joint.sum()).item()


def confident_suspects(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Samples that are confidently of another class than their label."""
    found = confident_class(probabilities, labels)
    return (found >= 0) & (found != labels)


def margin(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Suspicion by confident learning's normalized margin: the best other class minus the given one, from −1 to 1."""
    others = probabilities.scatter(1, labels[:, None], -1.0)
    return others.max(dim=1).values - probabilities.gather(1, labels[:, None])[:, 0]


# ------------------------------------------------------------------------ the comparison


def rankings(found: CrossFit, one: Problem) -> dict[str, Float[Tensor, " n"]]:
    """How suspicious each label is, in five ways."""
    with torch.no_grad():
        seen = found.model(one.inputs).softmax(dim=1)
    return {
        "early": found.suspicion,
        "seen": suspicion(seen, one.given),
        "last": suspicion(found.last, one.given),
        "margin": margin(found.probabilities, one.given),
        "margin_last": margin(found.last, one.given),
    }


def left_out(found: CrossFit, one: Problem, seed: int) -> dict[str, Bool[Tensor, " n"]]:
    """Which samples each way leaves out. Ours are the most suspicious ones, as many as the estimated share says."""
    count, nobody = round(found.share_wrong.estimate * len(one.given)), torch.zeros_like(one.wrong)
    ours = nobody.index_fill(0, found.suspicion.argsort(descending=True, stable=True)[:count], True)
    order = torch.randperm(len(ours), generator=torch.Generator().manual_seed(seed)).to(ours.device)
    return {
        "nothing": nobody,
        "suspects": ours,
        "confident": confident_suspects(found.probabilities, one.given),
        "confident_last": confident_suspects(found.last, one.given),
        "chance": ours[order],
        "wrong": one.wrong,
    }


def trained_without(one: Problem, out: Bool[Tensor, " n"], config: Any, seed: int) -> tuple[float, float]:
    """Test accuracy of a network trained on the rest: stopped by noisy validation labels, and after the last epoch."""
    rest = {key: getattr(one, key)[~out] for key in ("inputs", "given", "true", "planted")}
    learner, agreed, right = remedy("cross_entropy", task(replace(one, **rest), config, seed)), [], []
    for epoch in train(learner):
        if epoch:
            agreed.append(share(learner.outputs(one.validation).argmax(dim=1) == one.noisy_validation))
            right.append(share(learner.outputs(one.test).argmax(dim=1) == one.test_labels))
    return right[max(range(len(agreed)), key=agreed.__getitem__)], right[-1]


def judged(config: Suspects, noise: str, seed: int, machine: Machine) -> dict[str, float]:
    """One noise and seed: AUROC of the rankings, who is left out, and test accuracy without them."""
    one = problem(config, noise, config.corruption_rate, seed, device=machine.device)
    found = cross_fit(task(one, config, seed), config.folds)
    estimate = found.share_wrong
    row: dict[str, float] = {
        "wrong": share(one.wrong), "estimate": estimate.estimate, "low": estimate.low, "high": estimate.high,
        "steady": float(estimate.steady), "confident": confident_share(found.probabilities, one.given),
        "epoch": float(found.epoch), "right": share(found.probabilities.argmax(dim=1) == one.true),
        "surest": share_wrong(found.probabilities, one.true).estimate,  # errors of the networks where they are surest
    }  # fmt: skip
    if one.wrong.any():
        row |= {f"auroc {way}": auroc(*split_losses(by, one.wrong)) for way, by in rankings(found, one).items()}
    for way, out in left_out(found, one, seed).items():
        stopped, last = trained_without(one, out, config, seed)
        row |= {f"out {way}": share(out), f"found {way}": share(one.wrong[out]) if out.any() else 0.0,
                f"stopped {way}": stopped, f"last {way}": last}  # fmt: skip
    return row


def runs(config: Suspects, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, float]]:
    """What was found in each cell."""
    return [judged(config, cell["noise"], cell["seed"], machine) for cell in machine.progress(cells, "judging labels")]


# ------------------------------------------------------------------------ evidence


def found_by(result: Result, way: str = "early", noise: str = "uniform") -> Float[Tensor, " seeds"]:
    """AUROC of a ranking on the wrong labels."""
    return result.numbers(f"auroc {way}", noise=noise)


def ahead(result: Result, way: str, noise: str = "uniform") -> Float[Tensor, " seeds"]:
    """By how much our AUROC is above that of another ranking, seed by seed."""
    return found_by(result, "early", noise) - found_by(result, way, noise)


def gained(result: Result, noise: str = "uniform", way: str = "suspects", when: str = "stopped"):
    """Test accuracy that is gained by training again without some samples, seed by seed."""
    return result.numbers(f"{when} {way}", noise=noise) - result.numbers(f"{when} nothing", noise=noise)


ahead_of_seen = partial(ahead, way="seen")
ahead_of_last = partial(ahead, way="last")
ahead_of_last_people = partial(ahead, way="last", noise="human")
gained_people = partial(gained, noise="human")


def share_by_stopping(result: Result) -> list[float]:
    """Of what stopping and leaving out suspects gain over training to the end, the part of stopping, by noise."""
    noises = [noise for noise in result.levels("noise") if noise != "none"]
    gain = lambda noise, way: (
        (result.numbers(f"stopped {way}", noise=noise) - result.numbers("last nothing", noise=noise)).mean().item()
    )
    return [gain(noise, "nothing") / gain(noise, "suspects") for noise in noises]


def apart_from_margin(result: Result) -> Float[Tensor, " seeds"]:
    """How far our AUROC and that of confident learning's margin are apart on uniform noise, without a sign."""
    return ahead(result, "margin").abs()


def changed_without_noise(result: Result) -> Float[Tensor, " seeds"]:
    """By how much test accuracy changes without our suspects where no label is wrong, without a sign."""
    return gained(result, "none").abs()


# ------------------------------------------------------------------------ pictures


def draw(result: Result) -> Figure:
    """AUROC of each ranking by kind of noise: a dot for each seed, a bar at the mean."""
    noises = [noise for noise in result.levels("noise") if noise != "none"]
    fig, axes = plt.subplots(1, len(noises), figsize=(7, 3), sharey=True, squeeze=False)
    for ax, noise in zip(axes.flat, noises):
        _dots(ax, [found_by(result, way, noise) for way in RANKINGS], [*RANKINGS.values()], plots.RIGHT_COLOR)
        ax.set(title=_title(noise), xlabel="AUROC")
    return fig


def draw_gain(result: Result) -> Figure:
    """Test accuracy gained by leaving samples out, stopped early and after the last epoch."""
    noises, ways = result.levels("noise"), [way for way in LEFT_OUT if way != "nothing"]
    fig, axes = plt.subplots(1, len(noises), figsize=(7.4, 3), sharex=True, sharey=True, squeeze=False)
    for ax, noise in zip(axes.flat, noises):
        _dots(ax, [gained(result, noise, way) for way in ways], [LEFT_OUT[way] for way in ways], plots.TEST["color"])
        ax.axvline(0, **plots.line(plots.CONTROL))
        ax.set(title=_title(noise), xlabel="gain")
    return fig


def shares_table(result: Result) -> tuple[list[str], list[list[str]], str]:
    """What is estimated of the share of wrong labels, how often the alarm rings, and how much the networks know."""
    columns = {
        "in truth": "wrong", "estimated": "estimate", "confident learning": "confident",
        "networks err": "right", "errors where surest": "surest",
    }  # fmt: skip

    def cells(noise: str) -> list[str]:
        means = {name: result.numbers(key, noise=noise).mean().item() for name, key in columns.items()}
        means["networks err"] = 1 - means["networks err"]
        alarms = (result.numbers("steady", noise=noise) == 0).sum().item()
        return [*(f"{one:.1%}" for one in means.values()), f"{alarms} of {len(result.numbers('steady', noise=noise))}"]

    rows = [[_title(noise), *cells(noise)] for noise in result.levels("noise")]
    caption = "The share of wrong labels, mean of the seeds, and what networks make of it that err themselves."
    return ["wrong labels", *columns, "warned"], rows, caption


def signed(values: Float[Tensor, " seeds"]) -> str:
    """A mean with its sign; nothing has none."""
    told = f"{values.mean():+.3f}".replace("-", "−")
    return told if set(told) & set("123456789") else "0.000"


def rankings_table(result: Result) -> tuple[list[str], list[list[str]], str]:
    """By how much our AUROC is above those of the other rankings."""
    ways = {"seen": "seen", "last": "last epoch", "margin": "confident learning", "margin_last": "the same, last epoch"}
    rows = [
        [_title(noise), *(signed(ahead(result, way, noise)) for way in ways)]
        for noise in result.levels("noise")
        if noise != "none"
    ]
    caption = "By how much our AUROC is above that of the others, mean of the seeds. Below zero ours is worse."
    return ["wrong labels", *ways.values()], rows, caption


def gain_table(result: Result) -> tuple[list[str], list[list[str]], str]:
    """What it gains to train without our suspects and confident learning's, and without all wrong labels."""
    kinds = {
        "ours": ("suspects", "stopped"), "ours, last epoch": ("suspects", "last"),
        "confident learning's": ("confident", "stopped"), "all wrong labels": ("wrong", "stopped"),
    }  # fmt: skip
    rows = [
        [_title(noise), *(signed(gained(result, noise, *one)) for one in kinds.values())]
        for noise in result.levels("noise")
    ]
    caption = (
        "Test accuracy gained by training without suspects, mean of the seeds; stopped early where nothing is said."
    )
    return ["wrong labels", *kinds], rows, caption


def _title(noise: str) -> str:
    return {"human": "people's labels"}.get(noise, noise)


def _dots(ax: Any, values: list[Tensor], names: list[str], color: str) -> None:
    for at, one in enumerate(values):
        ax.plot(one, torch.full_like(one, at), "o", markersize=4, color=color, alpha=0.6)
        ax.plot([one.mean()], [at], "|", markersize=14, color="black")
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.locator_params(axis="x", nbins=3)


def tiny(machine: Machine) -> Numbers:
    """A second's run."""
    config = Suspects.at("quick", train_size=300, validation_size=40, test_size=60, width=32, epochs=4, folds=3)
    cells = [{"noise": noise, "seed": seed} for noise in ("none", "by sample") for seed in (0, 1)]
    found = runs(config, cells, None, machine)
    keys = ("wrong", "estimate", "confident", "right", "stopped suspects", "last nothing")
    return {key: listed([run[key] for run in found]) for key in keys} | {
        "auroc": listed([[run["auroc early"], run["auroc margin_last"]] for run in found[2:]])
    }


EXPERIMENT = register(Experiment(
    name="suspects",
    title="Suspicious labels, and training without them",
    config=Suspects,
    runs=runs,
    one_by_one=True,
    sweep={"seed": "seeds", "noise": "noises"},
    work=lambda config: config.train_size * config.epochs * (config.folds + 6),
    trials=({"train_size": 300, "epochs": 4}, {"train_size": 300, "epochs": 12}),
    data=data_hashes,
    own=True,
    deep=False,
    draw={"": draw, "-gain": draw_gain},
    paths={"two noises": ("float32", STACKED, tiny)},
))  # fmt: skip
