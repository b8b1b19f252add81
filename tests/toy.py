"""An experiment of one's own: a line is fitted to labels of which some are flipped.

`python -m earlystop run toy.py --seeds 3` computes, stores and draws it.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch

from earlystop import plots
from earlystop.runs.experiment import Experiment, register
from earlystop.runs.fingerprint import STACKED, listed
from earlystop.runs.sizes import Sized, sizes


@dataclass(frozen=True)
class Toy(Sized):
    """A value at each of the scales quick, colab and paper, and what it means."""

    samples: int = sizes(50, 200, 1000, "samples, n", least=2)
    steps: int = sizes(30, 30, 100, "steps of gradient descent", least=1)
    corruption_rates: tuple = sizes((0.0, 0.3), (0.0, 0.3), (0.0, 0.2, 0.4), "labels flipped", most=1, once=True)
    seeds: int = sizes(1, 3, 10, "seeds", least=1)


def runs(config, cells, checkpoint, machine):
    """The mean squared error by the true labels after each step, of several cells side by side."""
    x = torch.linspace(-1, 1, config.samples)
    chance = [torch.rand(len(x), generator=torch.Generator().manual_seed(cell["seed"])) for cell in cells]
    flipped = torch.stack([p < cell["corruption_rate"] for p, cell in zip(chance, cells)])
    labels = torch.where(flipped, -x.sign(), x.sign())
    state = (checkpoint and checkpoint.load()) or {"slopes": torch.zeros(len(cells), 1), "errors": []}
    for _ in machine.progress(range(len(state["errors"]), config.steps), "steps"):
        state["slopes"] -= ((state["slopes"] * x - labels) * x).mean(dim=1, keepdim=True)
        state["errors"].append((state["slopes"] * x - x.sign()).square().mean(dim=1))
        if checkpoint:  # once in a while, so that an ended run goes on here
            checkpoint.save_when_due(lambda: state)
    return [{"error": curve} for curve in torch.stack(state["errors"], dim=1)]


def draw(result):
    """The error along the steps, a band of all seeds for each corruption rate."""
    figure, ax = plt.subplots()
    for rate in result.levels("corruption_rate"):
        errors = result.numbers("error", corruption_rate=rate)
        plots.band(ax, range(1, errors.shape[1] + 1), errors, f"{rate:.0%} flipped")
    ax.set(xlabel="step", ylabel="error by the true labels")
    ax.legend()
    return figure


def tiny(machine):
    """A small run: as long as it gives these numbers, results of earlier code stand."""
    cells = [{"corruption_rate": 0.3, "seed": seed} for seed in (0, 1)]
    return {"error": listed([run["error"] for run in runs(Toy.at("quick", steps=3), cells, None, machine)])}


EXPERIMENT = register(Experiment(
    name="toy",
    title="A toy: a line fitted to flipped labels",
    config=Toy,
    runs=runs,
    sweep={"corruption_rate": "corruption_rates", "seed": "seeds"},  # keys of a cell, and the sizes that list them
    work=lambda config: config.steps,  # what a cell costs, in any unit,
    trials=({"steps": 5}, {"steps": 15}),  # and two small runs by which it is estimated
    draw={"": draw},
    deep=False,
    paths={"two runs": ("float32", STACKED, tiny)},
))  # fmt: skip
