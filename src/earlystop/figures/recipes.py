"""Figure 1 by other recipes for the training, which the paper leaves open: does one fit the noise better?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import plots
from earlystop.figures import fig1
from earlystop.figures.splits import (
    TENTHS,
    TINY_SIZES,
    WIDTHS,
    data_hashes,
    data_set,
    number,
    rates,
    tiny_cells,
    training_work,
)  # fmt: skip
from earlystop.runs.experiment import Cell, Experiment, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import dead, last_layers

RECIPES: dict[str, dict[str, Any]] = {  # what each changes in Figure 1's sizes
    "torch": {},
    "keras": {"adadelta_rho": 0.95, "adadelta_eps": 1e-7, "initialization": "glorot"},
    "sgd": {"optimizer": "sgd"},
}
NAMES = {"torch": "Adadelta, PyTorch's defaults", "keras": "Adadelta, Keras's example", "sgd": "plain SGD"}
EVERY_EPOCH_UNTIL = 20  # of these runs; what is measured costs as much as the training
LOOKED_AT = 300  # training images by which units are called dead


@dataclass(frozen=True)
class Recipes(Sized):
    """Figure 1's experiment with several recipes for its training."""

    data: str = data_set("digits", "mnist")
    train_size: int = number(500, 10_000, 50_000, "training images")
    validation_size: int = number(200, 2_000, 10_000, "validation images")
    test_size: int = number(300, 5_000, 10_000, "test images")
    widths: tuple = sizes((32, 64, 128), WIDTHS, WIDTHS, "widths of the layers", least=1, length=3)
    recipes: tuple = always(tuple(RECIPES), "recipes", ours=True, of=RECIPES, once=True)
    sgd_step: float = always(0.1, "step size of plain SGD", ours=True)
    corruption_rates: tuple = rates((0.0, 0.5), (0.0, 0.5), TENTHS)
    epochs: int = sizes(20, 30, 200, "epochs")
    batch_size: int = number(64, 128, 128, "batch size", ours=True)
    seeds: int = number(1, 1, 3, "seeds")


def cells(config: Recipes) -> list[Cell]:
    """Every seed with corrupted labels; the control without, ρ = 0, for the first seed alone."""
    return [
        {"recipe": recipe, "corruption_rate": rate, "seed": seed}
        for seed in range(config.seeds)
        for rate in config.corruption_rates
        for recipe in config.recipes
        if rate > 0 or seed == 0
    ]


def figure1(config: Recipes, recipe: str) -> fig1.Figure1:
    """The sizes of Figure 1 by which a recipe is tried."""
    own = {key: value for key, value in vars(config).items() if key not in ("recipes", "sgd_step")}
    step = {"step_size": config.sgd_step} if recipe == "sgd" else {}
    return fig1.Figure1.at("paper", **own, losses=("least_squares",), **RECIPES[recipe], **step)


def runs(config: Recipes, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, list[float]]]:
    """The curves of Figure 1 of several cells of one recipe, and the share of the last hidden units that are `dead`."""
    machine = replace(machine, every_epoch_until=min(EVERY_EPOCH_UNTIL, machine.every_epoch_until))
    cells = [cell | {"loss": "least_squares"} for cell in cells]
    also = lambda stack, images: {"dead": dead(last_layers(stack, images, LOOKED_AT)[0])}
    return fig1.runs(figure1(config, cells[0]["recipe"]), cells, checkpoint, machine, also)


def fitted(result: Result, recipe: str, rate: float = 0.5, key: str = "noisy") -> Float[Tensor, " seeds"]:
    """A curve's last value in all seeds: by default the share of the given labels that are fitted in the end."""
    return result.numbers(key, recipe=recipe, corruption_rate=rate)[:, -1]


def early(result: Result, recipe: str, rate: float = 0.5, key: str = "true") -> Float[Tensor, " seeds"]:
    """An accuracy of all seeds where clean validation labels stop them, as in Figure 1b."""
    cells = result.select(recipe=recipe, corruption_rate=rate)
    return torch.tensor([cell[key][fig1.stop_at(cell, "validation", result["config"])] for cell in cells]).double()


def behind(result: Result, recipe: str, rate: float = 0.5) -> Float[Tensor, " seeds"]:
    """By how much a recipe fits less of the given labels in the end than PyTorch's defaults do, seed by seed."""
    return fitted(result, "torch", rate) - fitted(result, recipe, rate)


def gained(result: Result, recipe: str, rate: float = 0.5) -> Float[Tensor, " seeds"]:
    """Accuracy by the true labels that stopping early gains with a recipe, seed by seed."""
    return early(result, recipe, rate) - fitted(result, recipe, rate, "true")


fitted_by_keras = partial(fitted, recipe="keras")
fitted_by_sgd = partial(fitted, recipe="sgd")
gained_by_sgd = partial(gained, recipe="sgd")


def draw(result: Result) -> Figure:
    """Accuracy by the given and the true labels, and dead units, along the training by each recipe."""
    fig, axes = plt.subplots(2, 2, figsize=(7, 5.4), sharex=True)
    panels = (("noisy", "accuracy, given labels"), ("true", "accuracy, true labels"), ("dead", "share of dead units"))
    levels = sorted(result.levels("corruption_rate"))
    for ax, (key, title) in zip(axes.flat, panels):
        for recipe, style in zip(result.levels("recipe"), plots.KINDS):
            for rate in levels:
                look = style | ({"linestyle": "-", "markersize": 4} if rate else {"linestyle": ":", "marker": ""})
                label = f"{NAMES[recipe]}{'' if rate else ', control'}"
                epochs = result.select(recipe=recipe, corruption_rate=rate)[0]["epoch"]
                plots.band(ax, epochs, result.numbers(key, recipe=recipe, corruption_rate=rate), label, **look)
        ax.set(title=title, ylim=(0, 1.03))
    for ax in (axes[0, 1], axes[1, 0]):
        ax.set(xlabel="epoch")
        ax.tick_params(labelbottom=True)
    axes[1, 1].remove()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="center", bbox_to_anchor=(0.77, 0.24))
    return fig


def tiny(recipe: str, count: int, machine: Machine) -> Numbers:
    """Mean losses on some parts of the data along a small training, and dead units."""
    config = Recipes.at("quick", validation_size=20, test_size=30, widths=(8, 8, 16), **TINY_SIZES)
    found = runs(config, tiny_cells(count, recipe=recipe), None, machine)
    return {key: listed([run[key] for run in found]) for key in ("noisy_loss", "true_loss", "test_loss", "dead")}


EXPERIMENT = register(Experiment(
    name="recipes",
    title="Figure 1 by other recipes for its training",
    config=Recipes,
    runs=runs,
    cells=cells,
    sweep={"seed": "seeds", "corruption_rate": "corruption_rates", "recipe": "recipes"},
    together=("seed", "recipe"),
    work=training_work,
    trials=({"train_size": 256, "epochs": 1}, {"train_size": 256, "epochs": 3}),
    data=data_hashes,
    draw={"": draw},
    paths={
        **{recipe: ("float32", STACKED, partial(tiny, recipe, 2)) for recipe in RECIPES},
        "keras, side by side": ("float32", SIDE_BY_SIDE, partial(tiny, "keras", 2)),
    },
))  # fmt: skip
