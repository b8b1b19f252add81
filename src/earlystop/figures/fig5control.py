"""The control of Figure 5's sweep over K: the same descents on labels of which none is wrong."""

from dataclasses import dataclass

from earlystop.figures.fig5 import SWEEPS, Figure5, paper_cell, runs, tiny
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import STACKED
from earlystop.runs.sizes import always, sizes

KEPT = ("iteration", "error_true", "fresh_error_early", "fresh_error_late")


@dataclass(frozen=True)
class Control(Figure5):
    """Figure 5's sizes without noise, and as many seeds as its sweeps have."""

    corruption_rate: float = always(0.0, "share of labels drawn again, ρ′", most=1)
    seeds: int = sizes(1, 2, 5, "seeds", least=1)


def cells(config: Control) -> list[Cell]:
    """Every number of clusters that Figure 5's sweep has."""
    base = paper_cell(config)
    return [base | {"clusters": K, "seed": seed} for K in SWEEPS["clusters"] for seed in range(config.seeds)]


def summary(run: Run, cell: Cell) -> Run:
    """The errors: without noise there is nothing else to tell apart."""
    return {key: run[key] for key in KEPT}


EXPERIMENT = register(Experiment(
    name="fig5control",
    title="Figure 5's sweep over K without noise",
    own=True,
    config=Control,
    runs=runs,
    cells=cells,
    sweep={"seed": "seeds"},
    together=("hidden_units", "clusters"),
    summary=summary,
    work=lambda config: config.iterations,
    trials=({"iterations": 200}, {"iterations": 400}),
    deep=False,
    paths={"one alone, three clusters": ("float32", STACKED, lambda machine: tiny(1, 3, machine))},
))  # fmt: skip
