"""Every experiment of the paper by name, and the functions that the chapters call.

Where the variable `EARLYSTOP_RESULTS` names a folder, a chapter's finished runs are kept there,
and unfinished ones are saved: called again, the same run is read, or goes on where it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from earlystop import figure1, figure4ab, figure4c, figure5, start
from earlystop.data import Dataset
from earlystop.descent import Trajectory
from earlystop.figure1 import WIDTHS, Figure1, Figure3, load_split
from earlystop.figure4ab import Figure4ab, LossHistory
from earlystop.figure4c import Figure4c, Spectrum, calibrate, figure4c_data
from earlystop.figure5 import Figure5, figure5_data
from earlystop.images import HUB
from earlystop.network import ERF, Activation
from earlystop.provenance import source_hash
from earlystop.scale import Cell, Sized, Way, device, precision
from earlystop.store import Checkpoint, digest

__all__ = [
    "EXPERIMENTS", "Experiment",
    "Figure1", "Figure3", "Figure4ab", "Figure4c", "Figure5", "Spectrum",
    "calibrate", "figure1_run", "figure3_run", "figure4ab_run", "figure4c_data", "figure4c_run",
    "figure5_data", "figure5_run", "load_split",
]  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """One figure of the paper: its sizes, the cells of its sweep, and how they are computed.

    `together` names the keys that cells must share to be computed as one batch. `work` is what
    a cell costs at a configuration, in any unit: from the times of `trials`, two smaller
    configurations, follows that of the whole. `deep` networks can be trained in bfloat16.
    """

    title: str
    config: type[Sized]
    cells: Callable[[Sized], list[Cell]]
    runs: Callable[..., list[dict]]
    sweep: tuple[str, ...]  # sizes that list the cells: they do not change what a cell is
    together: tuple[str, ...]
    work: Callable[[Sized], float]
    trials: tuple[dict[str, int], dict[str, int]]
    deep: bool = True

    def precision(self, chosen: str) -> str:
        """The precision of its numbers where this one was chosen."""
        return chosen if self.deep else "float32"


def passes(config: Sized) -> tuple[int, int]:
    """Images that one training of a configuration trains on, and those that it evaluates."""
    parts = ("train_size", "validation_size", "test_size")
    times = sum(Way().measured(epoch, config.epochs) for epoch in range(config.epochs + 1))
    return config.epochs * config.train_size, times * sum(getattr(config, p, 0) for p in parts)


def _training_work(config: Sized) -> float:
    """Images that pass forward and back in a training, those only evaluated counted a third."""
    trained, evaluated = passes(config)
    return trained + evaluated / 3


def _spectrum_work(config: Figure4c) -> float:
    """Operations for training, gradients, J Jᵀ and its eigenvectors, before and after."""
    parameters, n = 270_000 * (config.depth / 20) * (config.width / 16) ** 2, config.samples
    gradients = 6 * n * 41e6 * (config.depth / 20) * (config.width / 16) ** 2
    return config.epochs * gradients + 2 * (3 * gradients + n**2 * parameters + 25 * n**3)


POSITIVE = ("train_size", "validation_size", "test_size", "width", "widths", "depth")


def check(config: Sized) -> None:
    """Raise `ValueError` for sizes with which a run would fail, perhaps only at its end."""
    sizes = vars(config)
    for key, size in sizes.items():
        values = size if isinstance(size, tuple) else (size,)
        if key in POSITIVE and min(values) < 1:
            raise ValueError(f"{key} is {size}, should be 1 or more")
        if float("inf") in values:
            raise ValueError(f"{key} is {size}, should be finite")
        if key in ("corruption_rates", "losses", "heads") and len(set(values)) < len(values):
            raise ValueError(f"{key} is {size}: name each only once")
    if len(sizes.get("widths", WIDTHS)) != len(WIDTHS):
        raise ValueError(f"widths is {sizes['widths']}, should be three numbers, as {WIDTHS}")
    if len(set(sizes.get("classes", (0, 1)))) != 2:
        raise ValueError(f"classes is {sizes['classes']}, should be two different ones, as (0, 1)")
    if not set(sizes.get("classes", ())) <= set(range(10)):
        raise ValueError(f"classes is {sizes['classes']}, should be of 0 to 9")
    if isinstance(config, Figure4ab):
        least = min(config.corruption_rates)
        if round(least * config.train_size) < 10:  # of ten drawn again, one keeps its label
            raise ValueError(
                f"corruption_rates has {least:g}: with hardly any wrong labels there is nothing to separate"
            )


SMALL = {"train_size": 512, "validation_size": 10, "test_size": 10}

EXPERIMENTS = {
    "fig1": Experiment(
        "Figure 1: accuracy against corruption, trained long and stopped early",
        Figure1, figure1.figure1_cells, figure1.figure1_runs,
        ("corruption_rates", "losses", "seeds"), ("loss",), _training_work,
        ({**SMALL, "epochs": 1}, {**SMALL, "epochs": 3}),
    ),
    "fig3": Experiment(
        "Figure 3: accuracy and loss against the distance from initialization",
        Figure3, figure1.figure3_cells, figure1.figure3_runs,
        ("corruption_rates", "seeds"), (), _training_work,
        ({"train_size": 512, "epochs": 1}, {"train_size": 512, "epochs": 3}),
    ),
    "fig4ab": Experiment(
        "Figure 4a, b: losses of clean and of flipped samples",
        Figure4ab, figure4ab.figure4ab_cells, figure4ab.figure4ab_runs,
        ("corruption_rates", "seeds"), (), _training_work,
        ({**SMALL, "epochs": 1}, {**SMALL, "epochs": 3}),
    ),
    "fig4c": Experiment(
        "Figure 4c: singular values of the Jacobian",
        Figure4c, figure4c.figure4c_cells, figure4c.figure4c_runs,
        ("heads", "seeds"), ("head", "seed"), _spectrum_work,
        ({"samples": 128, "epochs": 1}, {"samples": 512, "epochs": 1}),
    ),
    "fig5": Experiment(
        "Figure 5: iterates of gradient descent on two clusters, and sweeps over ρ, ε₀, k, K",
        Figure5, figure5.figure5_cells, figure5.figure5_runs,
        ("seeds",), ("hidden_units", "clusters"), lambda config: config.iterations,
        ({"iterations": 200}, {"iterations": 400}), deep=False,
    ),
}  # fmt: skip


def identity(name: str, config: Sized) -> dict[str, Any]:
    """What unfinished work depends on, besides the cell: sizes, all of the source, data, precision."""
    experiment = EXPERIMENTS[name]
    fixed = {k: v for k, v in vars(config).items() if k not in experiment.sweep}
    return {
        "experiment": name,
        "config": fixed,
        "source": source_hash(),
        "data": data_hashes(config),
        "precision": experiment.precision(precision()),
    }


def data_hashes(config: Sized) -> dict[str, str]:
    """Hashes of the pixels and labels that an experiment reads, if they are not made by code."""
    return HUB[config.data][3] if getattr(config, "data", None) in HUB else {}


def kept(name: str, config: Sized, cell: Cell, compute: Callable[[Checkpoint | None], dict]) -> dict:
    """`compute(checkpoint)`, or what it returned before for the same cell, sizes, code and data.

    Finished runs lie in the folder `EARLYSTOP_RESULTS`; without one, nothing is kept. Raises
    `StoreError` where it cannot be written, or holds a damaged file.
    """
    folder = start.results()
    if folder is None:
        return compute(None)
    own = digest([identity(name, config), cell, torch.__version__, device().type])
    checkpoint = Checkpoint(folder / "runs" / f"{name}-{own}", own)
    result = checkpoint.keep("result", lambda: compute(checkpoint))
    checkpoint.drop("training")
    return result


def figure1_run(
    config: Figure1, corruption_rate: float, seed: int = 0, loss: str = "least_squares"
) -> dict[str, list[float]]:
    """One training of Figure 1, `kept`: accuracies along it, as `figure1.figure1_runs` has them."""
    cell = {"loss": loss, "corruption_rate": corruption_rate, "seed": seed}
    return kept("fig1", config, cell, lambda save: figure1.figure1_runs(config, [cell], save)[0])


def figure3_run(config: Figure3, corruption_rate: float, seed: int = 0) -> dict[str, list[float]]:
    """One training of Figure 3, `kept`: distance, accuracy and loss along it."""
    cell = {"corruption_rate": corruption_rate, "seed": seed}
    return kept("fig3", config, cell, lambda save: figure1.figure3_runs(config, [cell], save)[0])


def figure4ab_run(config: Figure4ab, corruption_rate: float, seed: int = 0) -> LossHistory:
    """One training of Figures 4a and 4b, `kept`: every sample's loss along it."""
    cell = {"corruption_rate": corruption_rate, "seed": seed}

    def compute(save: Checkpoint | None) -> dict:
        return vars(figure4ab.figure4ab_histories(config, [cell], save)[0])

    return LossHistory(**kept("fig4ab", config, cell, compute))


def figure4c_run(config: Figure4c, head: str = "single", seed: int = 0) -> dict[str, Any]:
    """The spectra of Figure 4c before and after a training, `kept`."""

    def compute(save: Checkpoint | None) -> dict:
        run = figure4c.figure4c_run(config, head, seed, save)
        return run | {name: vars(run[name]) for name in ("before", "after")}

    run = kept("fig4c", config, {"head": head, "seed": seed}, compute)
    return run | {name: Spectrum(**run[name]) for name in ("before", "after")}


def figure5_run(
    config: Figure5, seed: int, noise: str = "offset", activation: Activation = ERF
) -> tuple[Dataset, Trajectory]:
    """One seed of Figure 5, its descent `kept`: its data, and all iterations on it."""
    cell = {"seed": seed, "noise": noise, "activation": activation.name}

    def compute(save: Checkpoint | None) -> dict:
        return vars(figure5.figure5_run(config, seed, noise, activation)[1])

    run = {k: v.to(device()) for k, v in kept("fig5", config, cell, compute).items()}
    return figure5_data(config, seed, noise), Trajectory(**run)
