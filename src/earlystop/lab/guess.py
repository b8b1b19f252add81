"""Guess when to stop: what the living figures of chapters 4 and 5 need of stored results, and pictures of the same."""

from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from earlystop import plots
from earlystop.figures import fig1, fig4ab
from earlystop.lab.state import state
from earlystop.runs.results import Result
from earlystop.runs.store import StoreError

UNIT = 10_000  # an accuracy is given in so many parts
SHOWN = ("noisy", "noisy_validation", "true", "test")  # accuracies along a training
# What stopped the runs whose histograms are stored, and the key there.
MOMENTS = {"by validation labels": "best", "at agreement 1 − 0.9ρ′": "agreement", "at the end": "last"}
CHECKED = ("noisy_validation", "validation, given labels", plots.line(plots.NOISY) | {"linewidth": 1})
MARK = {"linestyle": "", "marker": "o", "markersize": 9, "markerfacecolor": "none", "color": "#000000"}


def curves(result: Result) -> dict[str, Any]:
    """Accuracies along each run of Figure 1, and where every rule stops it."""
    cells, config = result["cells"], result["config"]
    runs = [
        {"drawn_again": cell["corruption_rate"], "run": cell["seed"] + 1, "right": 1 - 0.9 * cell["corruption_rate"],
         "stops": stops(cell, config), **{key: [round(UNIT * one) for one in cell[key]] for key in SHOWN}}
        for cell in cells
    ]  # fmt: skip
    return {"unit": UNIT, "epochs": cells[0]["epoch"], "rules": rules(cells[0], config), "runs": runs}


def rules(cell: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    """Who stops a run beside the reader, in words: the rules of the book, who knows the test, and nobody."""
    return fig1.stop_rules(cell, config) | {
        "agreement": "agreement 1 − 0.9ρ′",
        "best": "best, in hindsight",
        "end": "nobody, to the end",
    }


def stops(cell: dict[str, Any], config: dict[str, Any]) -> dict[str, int]:
    """The measurement at which each of `rules` stops a run of Figure 1."""
    places = range(len(cell["epoch"]))
    return {rule: fig1.stop_at(cell, rule, config) for rule in fig1.STOPS} | {
        "agreement": fig4ab.agreement(cell["noisy"], cell["corruption_rate"]),
        "best": max(places, key=cell["test"].__getitem__),
        "end": places[-1],
    }


def losses(result: Result) -> dict[str, Any]:
    """Numbers of images by their loss, for each run of Figures 4a and 4b at each stop."""
    top, bins = fig4ab.TOP_LOSS[fig4ab.loss_of(result)], len(result["cells"][0]["clean_best"])
    runs = [
        {"drawn_again": cell["corruption_rate"], "run": cell["seed"] + 1, "stops": histograms(cell, result["config"]),
         "expected": fig4ab.expected(fig4ab.loss_of(result), cell["corruption_rate"])}
        for cell in result["cells"]
    ]  # fmt: skip
    return {"edges": [round(top * i / bins, 6) for i in range(bins + 1)], "runs": runs}


def histograms(cell: dict[str, Any], config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The stops of a run of Figures 4a and 4b, in images instead of shares of their group."""
    n, wrong = config["train_size"], wrong_labels(cell, config)
    count = lambda key, size: [round(size * one) for one in cell[key]]
    return {
        words: {"epoch": cell[f"stop_{key}"],
                "right": count(f"clean_{key}", n - wrong), "wrong": count(f"flipped_{key}", wrong)}
        for words, key in MOMENTS.items()
    }  # fmt: skip


def wrong_labels(cell: dict[str, Any], config: dict[str, Any]) -> int:
    """How many given labels of a run are wrong: the only number near 0.9ρ′n whose stored shares are of whole images.

    `StoreError` if there is none.
    """
    n, rate = config["train_size"], cell["corruption_rate"]
    pairs = [[cell[f"{kind}_{key}"] for key in MOMENTS.values()] for kind in ("clean", "flipped")]
    likely, spread = round(0.9 * rate * n), 6 * (0.09 * rate * n) ** 0.5
    wrong = torch.arange(max(1, int(likely - spread)), min(n, int(likely + spread) + 2))
    sizes = torch.stack([n - wrong, wrong], dim=1)[:, :, None, None]
    images = sizes * torch.tensor(pairs, dtype=torch.float64)
    missed = (images - images.round()).abs().flatten(1).amax(1)
    if missed.min() > 1e-6 * n:  # six digits are stored
        raise StoreError(f"the histograms at rate {rate}, seed {cell['seed']} are not of {n} whole images")
    return int(wrong[missed.argmin()])


def suspects(histogram: dict[str, Any], first: int) -> tuple[int, float, float]:
    """How many losses are in a bin from `first` on, the precision, and the recall of calling their labels wrong."""
    right, wrong = (sum(histogram[kind][first:]) for kind in ("right", "wrong"))
    return right + wrong, wrong / max(1, right + wrong), wrong / sum(histogram["wrong"])


def chosen(result: Result, settings: dict[str, Any]) -> dict[str, Any]:
    """The run of a state."""
    (cell,) = result.select(corruption_rate=settings["drawn_again"], seed=settings["run"] - 1)
    return cell


def draw(result: Result, **changes: Any) -> Figure:
    """A run of Figure 1: accuracies against the epoch, where the rules stop, and the control without wrong labels."""
    settings = state("guess", **changes)
    cell, control = chosen(result, settings), chosen(result, settings | {"drawn_again": 0.0})
    epochs, places = cell["epoch"], sorted(set(stops(cell, result["config"]).values()))
    fig, ax = plt.subplots(figsize=(6, 3.8))
    for key, label, style in (*plots.CURVES[:1], CHECKED, *plots.CURVES[1:]):
        ax.plot(epochs, cell[key], label=label, **{"markersize": 4, "markevery": 4} | style)  # pyright: ignore
    ax.plot(epochs, control["test"], label="test, without wrong labels", **plots.CONTROL)  # pyright: ignore
    ax.axhline(1 - 0.9 * cell["corruption_rate"], label="share of right labels", **plots.REFERENCE)
    ax.plot([epochs[i] for i in places], [cell["test"][i] for i in places], label="a rule stops here", **MARK)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    ax.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1.03), xlim=(0, None))
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def draw_losses(result: Result, **changes: Any) -> Figure:
    """A run of Figures 4a and 4b: precision against recall at each stop, if suspects are the losses above a bin."""
    cell = chosen(result, state("guess", **changes))
    fig, ax = plt.subplots(figsize=(6, 3.4))
    for (words, one), style in zip(histograms(cell, result["config"]).items(), plots.KINDS):
        every = [suspects(one, first) for first in range(len(one["right"]))]
        recall, precision = zip(*[(found, wrong) for count, wrong, found in every if count])
        label, look = f"stopped {words}, epoch {one['epoch']}", {"markersize": 4, "linestyle": "-"}
        ax.plot(recall, precision, label=label, **style | look)  # pyright: ignore
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    ax.legend(loc="lower left")
    return fig
