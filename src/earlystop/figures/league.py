"""What the field does with early stopping: every remedy on one network, with the same noise, seeds and tuning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from earlystop import plots, rules
from earlystop.figures.bench import NOISES, Bench, curves, problem
from earlystop.figures.splits import data_hashes, number, training_work
from earlystop.metrics import interval
from earlystop.remedies import REMEDIES, Remedy, found_by
from earlystop.runs.experiment import Cell, Experiment, register
from earlystop.runs.fingerprint import STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always

NAMES = {
    "cross_entropy": "cross-entropy",
    "smaller_steps": "cross-entropy, smaller steps",
    "least_squares": "least squares",
    "ridge": "ridge to the start",
    "auxiliary": "auxiliary variables",
    "sparse": "sparse correction",
    "small_loss": "small loss",
    "smoothing": "label smoothing",
    "generalized": "GCE",
    "symmetric": "SCE",
    "early_learning": "ELR",
    "co_teaching": "co-teaching",
    "coreset": "CRUST",
    "progressive": "PES",
}
TITLES = {
    "none": "no wrong label", "uniform": "any other class", "pair": "the next class", "human": "labels by people",
}  # fmt: skip
KEPT = ("epoch", "test", "noisy_validation", "memorized")  # curves that are stored
DIGITS = 5  # of an accuracy that are kept
TUNING = 1000  # the first seed that is used for tuning, far from those of the comparison
OUTSIDE = 15  # points below the lowest of those that are stopped, where the picture ends
FORWARD = 1 / 3  # the cost of a pass without a gradient, in passes with one


@dataclass(frozen=True)
class League(Bench, Sized):
    """The bench's network, with all remedies, some noises and a tuning on seeds of its own."""

    epochs: int = number(60, 20, 20, "epochs", ours=True)
    batch_size: int = number(64, 128, 128, "batch size", ours=True)
    remedies: tuple = always(tuple(REMEDIES), "remedies", ours=True, must=found_by, once=True)
    noises: tuple = always(("none", "uniform", "pair"), "noises", ours=True, of=NOISES, once=True)
    corruption_rate: float = always(0.4, "share of wrong labels", ours=True, most=1)
    tuning_seeds: int = number(2, 1, 1, "seeds for tuning, apart from the others", ours=True)
    seeds: int = number(5, 5, 5, "seeds")


def settings(name: str) -> list[dict[str, Any]]:
    """What is tried of a remedy: all combinations of its grid; of a loss, itself."""
    grid = getattr(found_by(name), "grid", {})
    return [dict(zip(grid, values)) for values in product(*grid.values())]


@lru_cache(maxsize=256)
def tuned(config: League, name: str, noise: str, machine: Machine) -> tuple[int, tuple[float, ...]]:
    """The best settings of a remedy by their place in its grid, and the score of all.

    A score is the highest accuracy on *noisy* validation labels along a training, the mean over seeds that serve for
    nothing else. No true label is looked at. A process tunes once for all seeds of a comparison.
    """
    tried = settings(name)
    scores = [0.0] * len(tried)
    for seed in range(TUNING, TUNING + config.tuning_seeds) if len(tried) > 1 else ():
        one = problem(config, noise, config.corruption_rate, seed, device=machine.device)
        for place, chosen in enumerate(tried):
            scores[place] += max(curves(one, name, chosen, config, seed, machine)["noisy_validation"])
    scores = [round(score / config.tuning_seeds, DIGITS) for score in scores]
    return scores.index(max(scores)), tuple(scores)


class Passes:
    """Counts what a remedy sends through its networks: samples with a gradient, and without one."""

    def __init__(self, evaluated: int):
        self.with_gradient, self.without, self.evaluated, self.hooked = 0, 0, evaluated, False

    def __call__(self, remedy: Remedy) -> dict[str, float]:
        """Passes so far, those for our own curves left out; on its first call it begins to count."""
        if not self.hooked:
            for one in vars(remedy).values():
                if isinstance(one, nn.Module):
                    one.register_forward_pre_hook(self.count)
            self.hooked = True
            return {"passes": 0.0}
        self.without -= self.evaluated
        return {"passes": self.with_gradient + FORWARD * self.without}

    def count(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """One call of a network."""
        if torch.is_grad_enabled():
            self.with_gradient += len(inputs[0])
        else:
            self.without += len(inputs[0])


def runs(config: League, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, Any]]:
    """Curves of each cell with its tuned settings, its cost, and how the tuning went.

    `passes` is the cost in passes with a gradient, over what one network of plain training needs.
    """
    state = (checkpoint and checkpoint.load()) or {"found": []}
    for cell in cells[len(state["found"]) :]:
        fair = replace(config, remedies=("cross_entropy",), noises=("none",), seeds=1)  # what tuning depends on
        place, scores = tuned(fair, cell["remedy"], cell["noise"], replace(machine, watched=False))
        chosen = settings(cell["remedy"])[place]
        one = problem(config, cell["noise"], config.corruption_rate, cell["seed"], device=machine.device)
        count = Passes(sum(map(len, (one.inputs, one.test, one.validation))))
        run = curves(one, cell["remedy"], chosen, config, cell["seed"], machine, also=count)
        state["found"].append({
            **{key: [round(value, DIGITS) for value in run[key]] for key in KEPT},
            "passes": run["passes"][-1] / (config.epochs * len(one.inputs)),
            "wrong": one.wrong.double().mean().item(),
            "settings": ", ".join(f"{key} {value:.3g}" for key, value in chosen.items()) or "none",
            "place": place,
            "scores": list(scores),
        })  # fmt: skip
        if checkpoint:
            checkpoint.save_when_due(lambda: state)
    return state["found"]


# ------------------------------------------------------------------------ what is read off


def name_of(remedy: str) -> str:
    """A remedy's name as readers know it; of one's own, what stands after the colon."""
    return NAMES.get(remedy, remedy.rpartition(":")[2])


def best(cell: dict[str, Any]) -> float:
    """The highest accuracy on test images at any epoch: nobody can know when that is."""
    return max(cell["test"])


def last(cell: dict[str, Any]) -> float:
    """That after the last epoch."""
    return cell["test"][-1]


def stopped(cell: dict[str, Any]) -> float:
    """That of the epoch which noisy validation labels choose."""
    return cell["test"][rules.noisy_validation(cell)]


def regret(cell: dict[str, Any]) -> float:
    """What that choice loses."""
    return best(cell) - stopped(cell)


def memorized(cell: dict[str, Any]) -> float:
    """The share of wrong training labels that are answered as given in the end."""
    return cell["memorized"][-1]


def passes(cell: dict[str, Any]) -> float:
    """The cost, in trainings of one plain network."""
    return cell["passes"]


COLUMNS: dict[str, Callable[[dict[str, Any]], float]] = {
    "best": best, "stopped": stopped, "last": last, "memorized": memorized, "regret": regret, "passes": passes,
}  # fmt: skip


def column(result: Result, what: str, remedy: str, noise: str) -> Float[Tensor, " seeds"]:
    """One number a seed of a remedy with a noise."""
    cells = sorted(result.select(remedy=remedy, noise=noise), key=lambda cell: cell["seed"])
    return torch.tensor([COLUMNS[what](cell) for cell in cells], dtype=torch.float64)


def ahead(
    result: Result, remedy: str, noise: str, what: str = "stopped", of: str = "cross_entropy"
) -> Float[Tensor, " seeds"]:
    """By how much a remedy is ahead of another one, seed by seed, in percentage points."""
    return 100 * (column(result, what, remedy, noise) - column(result, what, of, noise))


def lost(result: Result, remedy: str, noise: str) -> float:
    """By how many points the last epoch is behind the best one, the mean over seeds."""
    return 100 * float((column(result, "best", remedy, noise) - column(result, "last", remedy, noise)).mean())


def worst_regret(result: Result, noise: str) -> tuple[float, str]:
    """The largest mean regret of all remedies in points, and whose it is."""
    found = {one: 100 * column(result, "regret", one, noise).mean().item() for one in result.levels("remedy")}
    return max((points, name_of(one)) for one, points in found.items())


def caption(result: Result, noise: str) -> str:
    """That of a noise's table."""
    cells = result.select(noise=noise)
    rate = sum(cell["wrong"] for cell in cells) / len(cells)
    said = {"none": "The control, no label is wrong", "human": f"{rate:.0%} of the labels that people gave are wrong"}
    kind = said.get(noise) or f"{result['config']['corruption_rate']:.0%} of the labels are {TITLES[noise]}"
    return (
        f"{kind}: means over {result.seeds}, accuracies on unseen images with 95% intervals. Cost: passes with a "
        "gradient, one plain training being 1."
    )


def table(result: Result, noise: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows for `page.table`: means over seeds, with half of a 95 % interval for the three accuracies."""
    header = ["remedy", "stopped, %", "best, %", "last, %", "memorized, %", "regret, points", "cost", "settings"]
    rows = []
    for remedy in ranked(result, noise):
        found = {what: column(result, what, remedy, noise) for what in COLUMNS}
        told = [
            f"{100 * found[what].mean():.1f} ± {100 * half(found[what]):.1f}" for what in ("stopped", "best", "last")
        ]
        rest = [f"{100 * found['memorized'].mean():.0f}", f"{100 * found['regret'].mean():.1f}"]
        chosen = result.select(remedy=remedy, noise=noise)[0]["settings"].replace("_", " ")
        rows.append([name_of(remedy), *told, *rest, f"{found['passes'].mean():.2f}", chosen])
    return header, rows


def half(values: Float[Tensor, " seeds"]) -> float:
    """Half the length of the 95 % interval of a mean; 0 of one value."""
    if len(values) < 2:
        return 0.0
    low, high = interval(values)
    return float(high - low) / 2


def ranked(result: Result, noise: str) -> list[str]:
    """The remedies, those first that are best where noisy validation stops them."""
    return sorted(result.levels("remedy"), key=lambda one: -column(result, "stopped", one, noise).mean().item())


def clear(result: Result, noise: str, what: str = "stopped", of: str = "cross_entropy") -> list[str]:
    """The remedies that are ahead of another one by more than chance: the 95 % interval is above 0."""
    others = [one for one in result.levels("remedy") if one != of]
    return [one for one in others if interval(ahead(result, one, noise, what, of))[0] > 0]


def compared(result: Result, noise: str) -> str:
    """Sentences: how many remedies are ahead of cross-entropy by more than chance, in the end and where all stop."""
    points, late = lost(result, "cross_entropy", noise), clear(result, noise, "last")
    better, finer = (clear(result, noise, of=one) for one in ("cross_entropy", "smaller_steps"))
    kind = {"human": "labels by people", "none": "no wrong label"}.get(noise, f"{noise} noise")
    return (
        f"With {kind} cross-entropy loses **{points:.1f} points** from its best epoch to its last, where {len(late)} "
        "others are ahead of it by more than chance. "
        f"Where noisy labels stop all of them, **{len(better)}** are ahead of it, and **{len(finer)}** are ahead of "
        "cross-entropy with smaller steps."
    )


def undecided(result: Result, noise: str) -> list[str]:
    """The remedies, by name, among whose settings tuning could not choose: all have the same score."""
    cells = result.select(noise=noise, seed=result.levels("seed")[0])
    return [name_of(one["remedy"]) for one in cells if len(one["scores"]) > 1 == len(set(one["scores"]))]


def grids() -> list[list[str]]:
    """Rows of a table: what was tried of each remedy."""
    tried = {name: settings(name) for name in REMEDIES}
    return [
        [
            name_of(name),
            "; ".join(", ".join(f"{k.replace('_', ' ')} {v:.3g}" for k, v in one.items()) for one in all_of),
        ]
        for name, all_of in tried.items()
        if len(all_of) > 1
    ]


def draw(result: Result) -> Figure:
    """Test accuracy of all remedies, best, where noisy validation stops and in the end, a panel for each noise.

    What would lie far to the left is a triangle at the edge.
    """
    noises = result.levels("noise")
    order = ranked(result, noises[min(1, len(noises) - 1)])[::-1]
    size = (2.6 + 2.4 * len(noises), 1.4 + 0.27 * len(order))
    fig, axes = plt.subplots(1, len(noises), figsize=size, sharey=True, squeeze=False)
    looks = (  # all of unseen images, so all in their colour
        ("last", "after the last epoch", {"marker": "x", "markersize": 5}),
        ("stopped", "stopped by noisy labels", {"marker": "o", "markersize": 5}),
        ("best", "best epoch", {"marker": "|", "markersize": 9}),
    )
    for ax, noise in zip(axes[0], noises):
        edge = min(100 * column(result, "stopped", remedy, noise).mean().item() for remedy in order) - OUTSIDE
        for row, remedy in enumerate(order):
            found = {what: 100 * column(result, what, remedy, noise) for what, *_ in looks}
            ends = [max(edge, float(one.mean())) for one in found.values()]
            ax.plot([min(ends), max(ends)], [row, row], color=plots.TEST["color"], alpha=0.35, linewidth=2, zorder=1)
            for what, label, look in looks:
                own = {"color": plots.TEST["color"], "linestyle": "", "label": label if row == 0 else None}
                wide = half(found[what]) if what == "stopped" else None
                far = {"marker": "<"} if found[what].mean() < edge else {}
                ax.errorbar(max(edge, found[what].mean()), row, xerr=wide, capsize=0, **own, **look | far)
        ax.set(title=TITLES.get(noise, noise), xlabel="test accuracy, %", ylim=(-0.6, len(order) - 0.4))
        ax.grid(axis="y", alpha=0.3)
    axes[0, 0].set_yticks(range(len(order)), [name_of(one) for one in order])
    axes[0, 0].set_ylabel("remedy")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_losses(curves: dict[str, list[dict[str, list[float]]]]) -> Figure:
    """Memory and unseen images along trainings by some losses, several seeds each."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3))
    for ax, key, title in zip(axes, ("memorized", "test"), ("memory", "unseen images")):
        for (name, runs), look in zip(curves.items(), plots.KINDS):
            values = torch.tensor([run[key] for run in runs])
            plots.band(ax, runs[0]["epoch"], values, name_of(name), **plots.line(look))
        label = "wrong labels answered as given" if key == "memorized" else "accuracy"
        ax.set(xlabel="epoch", ylabel=label, title=title, ylim=(0, 1.03))
    axes[0].legend()
    return fig


# ------------------------------------------------------------------------ evidence for the ledger


def elr_ahead(result: Result) -> Float[Tensor, " seeds"]:
    """By how much ELR is ahead of cross-entropy where both are stopped by noisy labels, uniform noise, in points."""
    return ahead(result, "early_learning", "uniform")


def elr_memorized(result: Result) -> Float[Tensor, " seeds"]:
    """The share of wrong labels that ELR has memorized in the end, over that of cross-entropy; uniform noise."""
    return _ratio(result, "early_learning")


def smoothing_memorized(result: Result) -> Float[Tensor, " seeds"]:
    """The same of label smoothing."""
    return _ratio(result, "smoothing")


def _ratio(result: Result, remedy: str) -> Float[Tensor, " seeds"]:
    return column(result, "memorized", remedy, "uniform") / column(result, "memorized", "cross_entropy", "uniform")


def robust_last(result: Result) -> Float[Tensor, " seeds"]:
    """The last epoch with GCE minus the best epoch of cross-entropy, uniform noise, in points."""
    return 100 * (column(result, "last", "generalized", "uniform") - column(result, "best", "cross_entropy", "uniform"))


def coreset_ahead(result: Result) -> Float[Tensor, " seeds"]:
    """By how much CRUST is ahead where both are stopped by noisy labels, uniform noise, in points."""
    return ahead(result, "coreset", "uniform")


def control_lost(result: Result) -> Float[Tensor, " seeds"]:
    """What the tuned remedy that loses most without a wrong label loses there against cross-entropy, in points."""
    others = [one for one in result.levels("remedy") if one != "cross_entropy"]
    return torch.stack([-ahead(result, one, "none") for one in others]).max(dim=0).values


# ------------------------------------------------------------------------ the experiment


def cells(config: League) -> list[Cell]:
    """Every remedy with every noise and seed; the seeds of one beside each other, which share their tuning."""
    return [
        {"remedy": remedy, "noise": noise, "seed": seed}
        for remedy in config.remedies
        for noise in config.noises
        for seed in range(config.seeds)
    ]


def work(config: League) -> float:
    """What a cell costs, its share of the tuning included."""
    return training_work(config) * (1 + 4 * config.tuning_seeds / config.seeds)


TINY = {"train_size": 40, "validation_size": 20, "test_size": 30, "width": 8, "epochs": 4, "batch_size": 16}


FOUR = ("cross_entropy", "early_learning", "co_teaching", "coreset")  # a remedy of each kind


def tiny(machine: Machine) -> Numbers:
    """Curves and cost of a few remedies of all kinds along a small training."""
    config = League.at("quick", **TINY, tuning_seeds=1)
    found = [
        run for name in FOUR for run in runs(config, [{"remedy": name, "noise": "uniform", "seed": 0}], None, machine)
    ]
    return {key: listed([run[key] for run in found]) for key in ("test", "memorized", "passes", "scores")}


def others(machine: Machine) -> Numbers:
    """Losses of all other remedies along a small training, each with the first and the last of its settings."""
    config = League.at("quick", **TINY)
    one = problem(config, "uniform", config.corruption_rate, 0, device=machine.device)
    found = {}
    for name in (name for name in REMEDIES if name not in FOUR):
        both = [settings(name)[0], settings(name)[-1]]
        runs = [curves(one, name, some, config, 0, machine) for some in both]
        found[name] = listed([[run["loss"], run["test"]] for run in runs])
    return found


EXPERIMENT = register(Experiment(
    name="league",
    title="Remedies for wrong labels, compared on one network",
    config=League,
    runs=runs,
    cells=cells,
    sweep={"remedy": "remedies", "noise": "noises", "seed": "seeds"},
    one_by_one=True,
    work=work,
    trials=({"train_size": 256, "epochs": 2}, {"train_size": 256, "epochs": 6}),
    data=data_hashes,
    own=True,
    deep=False,
    draw={"": draw},
    paths={"four remedies": ("float32", STACKED, tiny), "the other remedies": ("float32", STACKED, others)},
))  # fmt: skip
