"""When to stop if nobody has clean labels: what each rule loses, by noise, step sizes and loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures.bench import NOISES, PACES, Bench, Problem, curves, problem
from earlystop.figures.splits import data_hashes, number, training_work
from earlystop.metrics import interval
from earlystop.remedies import found_by
from earlystop.rules import RULES, Rule, chosen, regret, rule, uniform_law
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always

COMPARED = ("noisy_validation", "label_wave", "label_wave_patience", "planted_flips", "discrepancy", "last")
NAMES: dict[str, str] = {
    "noisy_validation": "noisy validation",
    "label_wave": "Label Wave",
    "label_wave_patience": "…, with patience",
    "planted_flips": "planted labels",
    "discrepancy": "discrepancy",
    "last": "no stopping",
}
TITLES = {"none": "no wrong label", "uniform": "uniform noise", "pair": "pair noise", "by class": "noise by class"}
CROSS = {"loss": "cross_entropy"}
DIGITS = 5  # of an accuracy that are kept


@dataclass(frozen=True)
class Stopping(Bench, Sized):
    """The comparison's network on several noises, with several step sizes and losses: the curves of all epochs."""

    step_size: float = always(0.02, "step size of SGD with momentum 0.9", ours=True)  # chosen on small digits
    corruption_rate: float = always(0.3, "share of wrong labels", ours=True, most=1)
    class_rate: float = always(0.2, "the same of noise by class, twice that of the even ones", ours=True, most=0.5)
    planted_share: float = always(0.02, "share of labels made wrong on purpose", ours=True, most=1)
    noises: tuple = always(("none", "uniform", "pair", "by class"), "noises", ours=True, of=NOISES, once=True)
    paces: tuple = always(tuple(PACES), "step sizes along the training", ours=True, of=PACES, once=True)
    losses: tuple = always(("cross_entropy", "least_squares"), "losses", must=found_by, once=True)
    rules: tuple = always(COMPARED, "rules that are compared", ours=True, must=rule, once=True)
    seeds: int = number(5, 5, 5, "seeds")


def cells(config: Stopping) -> list[Cell]:
    """Every noise, pace and loss, seed by seed; all losses but the first with the first pace alone."""
    return [
        {"noise": noise, "pace": pace, "loss": loss, "seed": seed}
        for seed in range(config.seeds)
        for noise in config.noises
        for loss in config.losses
        for pace in (config.paces if loss == config.losses[0] else config.paces[:1])
    ]


def posed(config: Stopping, noise: str, seed: int, device: str | None = None) -> Problem:
    """Images of a seed with one noise, and some labels that are wrong on purpose."""
    rate = config.class_rate if noise == "by class" else config.corruption_rate
    return problem(config, noise, rate, seed, config.planted_share, device)


def runs(config: Stopping, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """The curves of `bench.curves`, and the share of given training labels that are wrong, those planted included."""
    found = []
    for cell in cells:
        one = posed(config, cell["noise"], cell["seed"], machine.device)
        run = curves(one, cell["loss"], {}, config, cell["seed"], machine, cell["pace"])
        run["cross_entropy"] = run.pop("loss")  # as a cell has a loss already
        wrong = (one.given != one.true).double().mean().item()
        found.append({key: [round(value, DIGITS) for value in run[key]] for key in run} | {"noise_level": wrong})
    return found


# ------------------------------------------------------------------------ what rules choose and lose


def told(cell: Cell, name: str) -> Rule:
    """A rule by its name. The discrepancy principle is told the share of labels that is wrong, which nobody knows."""
    return rule(name, noise_level=cell["noise_level"]) if name == "discrepancy" else rule(name)


def compared(result: Result) -> dict[str, str]:
    """The rules of a result by their names, as a picture calls them."""
    return {NAMES.get(name) or name: name for name in result["config"]["rules"]}


def epochs(result: Result, one: str | Rule, **where: Any) -> list[int]:
    """The epoch that a rule, of a name or a function of curves, chooses in each run."""
    return [chosen(cell, told(cell, one) if isinstance(one, str) else one) for cell in result.select(**where)]


def regrets(result: Result, one: str | Rule, key: str = "test", **where: Any) -> Float[Tensor, " runs"]:
    """What a rule, of a name or a function of curves, loses in each run: best accuracy minus that where it stops."""
    found = [regret(cell, told(cell, one) if isinstance(one, str) else one, key) for cell in result.select(**where)]
    return torch.tensor(found, dtype=torch.float64)


def table(result: Result, own: Mapping[str, str | Rule] = {}, loss: str = "cross_entropy") -> tuple[list, list]:
    """Header and rows of mean regrets in points: a row for each rule, a column for each noise, constant steps."""
    noises = result.levels("noise")
    rows = [
        [
            name,
            *(f"{100 * regrets(result, one, noise=noise, loss=loss, pace='constant').mean():.1f}" for noise in noises),
        ]
        for name, one in {**compared(result), **own}.items()
    ]
    return ["rule", *(TITLES.get(noise, noise) for noise in noises)], rows


def of_rule(result: Result, name: str, noise: str = "uniform", pace: str = "constant") -> Float[Tensor, " seeds"]:
    """What a rule loses in all seeds, with cross-entropy."""
    return regrets(result, name, noise=noise, pace=pace, **CROSS)


noisy_validation_uniform = partial(of_rule, name="noisy_validation")
noisy_validation_pair = partial(of_rule, name="noisy_validation", noise="pair")
label_wave_uniform = partial(of_rule, name="label_wave")
planted_uniform = partial(of_rule, name="planted_flips")
discrepancy_uniform = partial(of_rule, name="discrepancy")


def wave_lost_by_cosine(result: Result, noise: str = "uniform") -> Float[Tensor, " seeds"]:
    """What Label Wave with patience loses more where step sizes decay by a cosine than where they are constant."""
    decayed, constant = (of_rule(result, "label_wave_patience", noise, pace) for pace in ("cosine", "constant"))
    return decayed - constant


def control(result: Result) -> Float[Tensor, " seeds"]:
    """How many epochs before the best one Label Wave stops, without wrong labels but those planted."""
    where = {"noise": "none", "pace": "constant", **CROSS}
    best, at = (torch.tensor(epochs(result, one, **where)) for one in ("oracle", "label_wave"))
    return (best - at).double()


def off_the_law(result: Result, noise: str) -> Float[Tensor, " seeds"]:
    """How far the accuracy on noisy validation labels is from the law of uniform noise, mean over epochs."""
    found = []
    for cell in result.select(noise=noise, pace="constant", **CROSS):
        law = uniform_law(torch.tensor(cell["validation"], dtype=torch.float64), rate_of(result, noise))
        found.append((torch.tensor(cell["noisy_validation"], dtype=torch.float64) - law)[1:].mean())
    return torch.stack(found)


def rate_of(result: Result, noise: str) -> float:
    """The share of validation labels that is wrong."""
    config = result["config"]
    return {"none": 0.0, "by class": config["class_rate"]}.get(noise, config["corruption_rate"])


# ------------------------------------------------------------------------ pictures


def draw(result: Result, own: Mapping[str, str | Rule] = {}, loss: str = "") -> Figure:
    """What each rule loses: a panel for each noise, a mark for each way of the step sizes, with 95 % intervals."""
    loss, noises = loss or result.levels("loss")[0], result.levels("noise")
    every = {**compared(result), **own}
    rows = -(-len(noises) // 2)
    fig, axes = plt.subplots(rows, 2, figsize=(7, 0.7 + (0.6 + 0.34 * len(every)) * rows), sharex=True, sharey=True,
                             squeeze=False)  # fmt: skip
    for ax, noise in zip(axes.flat, noises):
        paces = dict.fromkeys(cell["pace"] for cell in result.select(noise=noise, loss=loss))
        for place, (pace, look) in enumerate(zip(paces, plots.KINDS)):
            found = [100 * regrets(result, one, noise=noise, pace=pace, loss=loss) for one in every.values()]
            means = torch.stack([one.mean() for one in found])
            ends = torch.tensor([interval(one) for one in found], dtype=torch.float64).clamp(0, 100)
            bars = torch.stack([means - ends[:, 0], ends[:, 1] - means]).clamp(min=0)
            heights = [row + 0.24 * (place - (len(paces) - 1) / 2) for row in range(len(every))]
            ax.errorbar(means, heights, xerr=bars, label=pace, **look | {"linestyle": "", "ms": 5, "elinewidth": 1.2})
        ax.set(title=TITLES.get(noise, noise), yticks=range(len(every)), yticklabels=every)
        ax.set_xscale("symlog", linthresh=1, linscale=0.6)
        ax.set(xlim=(-0.15, 45), xlabel="regret, points")
        plots.log_ticks(ax.xaxis, (0, 1, 3, 10, 30))
        ax.label_outer()
    axes[0, 0].invert_yaxis()
    for ax in axes.flat[len(noises) :]:
        ax.remove()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, title="step sizes")
    return fig


def draw_law(result: Result, loss: str = "") -> Figure:
    """Accuracy on noisy against that on true validation labels, epoch by epoch, and the law of uniform noise."""
    loss = loss or result.levels("loss")[0]
    noises = [noise for noise in result.levels("noise") if noise != "none"] or result.levels("noise")
    fig, axes = plt.subplots(1, len(noises), figsize=(7, 3.4), sharex=True, sharey=True, squeeze=False)
    pace = result.levels("pace")[0]
    for ax, noise in zip(axes[0], noises):
        before, after = [], []
        for cell in result.select(noise=noise, pace=pace, loss=loss):
            best = chosen(cell, RULES["oracle"])
            pairs = list(zip(cell["validation"], cell["noisy_validation"]))
            before += pairs[: best + 1]
            after += pairs[best + 1 :]
        for points, label, look in ((after, "after the best epoch", 1), (before, "until then", 0)):
            dots = sorted({(round(x, 3), round(y, 3)) for x, y in points})
            look = plots.KINDS[look] | {"linestyle": "", "ms": 3.5, "alpha": 0.6}
            ax.plot([x for x, _ in dots], [y for _, y in dots], label=label, **look)
        ends = torch.tensor([0.0, 1.0])
        ax.plot(ends, uniform_law(ends, rate_of(result, noise)), label="law of uniform noise", **plots.REFERENCE)
        ax.set(title=TITLES.get(noise, noise), xlim=(0.45, 1), ylim=(0.35, 0.9), xlabel="accuracy, true labels")
    axes[0, 0].set_ylabel("accuracy, noisy labels")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_curves(result: Result, noise: str = "", loss: str = "", seed: int = 0) -> Figure:
    """One run with constant and one with the last way of the step sizes: accuracies, signals, and where rules stop."""
    loss, levels = loss or result.levels("loss")[0], result.levels("noise")
    noise = noise or ("uniform" if "uniform" in levels else levels[0])
    paces = list(dict.fromkeys((result.levels("pace")[0], result.levels("pace")[-1])))
    fig, axes = plt.subplots(2, len(paces), figsize=(7, 5.2), sharex=True, sharey="row", squeeze=False)
    for (top, bottom), pace in zip(axes.T, paces):
        cell = result.select(noise=noise, loss=loss, pace=pace, seed=seed)[0]
        top.plot(cell["epoch"], cell["test"], label="test, true labels", **plots.line(plots.TEST))
        top.plot(cell["epoch"], cell["noisy_validation"], label="validation, noisy labels", **plots.line(plots.NOISY))
        for (name, one), marker in zip(compared(result).items(), "osv^DPX*"):
            at = chosen(cell, told(cell, one))
            look = {"marker": marker, "color": "black", "mfc": "white", "ms": 7, "linestyle": "", "zorder": 3}
            top.plot([cell["epoch"][at]], [cell["test"][at]], label=name, **look)
        bottom.plot(cell["epoch"][1:], cell["changed"][1:], label="answers that changed", **plots.line(plots.KINDS[0]))
        bottom.plot(
            cell["epoch"], cell["planted"], label="planted labels that are fitted", **plots.line(plots.KINDS[1])
        )
        top.set(title=f"{pace}: accuracy", ylim=(0.3, 1.02))
        bottom.set(title=f"{pace}: what the rules see", xlabel="epoch", ylim=(0, 1.02))
        top.tick_params(labelbottom=True)
    drawn = [axes[0, 0].get_legend_handles_labels(), axes[1, 0].get_legend_handles_labels()]
    handles, labels = ([*one, *other] for one, other in zip(*drawn))
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig


def tiny(machine: Machine) -> Numbers:
    """Curves of two small trainings."""
    config = Stopping.at("quick", train_size=40, validation_size=20, test_size=30, width=8, epochs=3, batch_size=16)
    shapes = (("uniform", "constant", "cross_entropy", 0), ("by class", "cosine", "least_squares", 1))
    found = runs(config, [dict(zip(("noise", "pace", "loss", "seed"), one)) for one in shapes], None, machine)
    return {
        key: listed([run[key] for run in found])
        for key in ("cross_entropy", "given", "noisy_validation", "noise_level")
    }


EXPERIMENT = register(Experiment(
    name="stopping",
    title="When to stop without clean labels",
    config=Stopping,
    runs=runs,
    one_by_one=True,
    cells=cells,
    own=True,
    sweep={"seed": "seeds", "noise": "noises", "pace": "paces", "loss": "losses"},
    work=training_work,
    trials=({"train_size": 256, "epochs": 1}, {"train_size": 256, "epochs": 3}),
    data=data_hashes,
    deep=False,
    draw={"": draw, "-law": draw_law, "-curves": draw_curves},
    paths={"two runs": ("float32", STACKED, tiny)},
))  # fmt: skip
