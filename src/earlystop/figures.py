"""Result files: the best one there is, where it comes from, and its pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from earlystop import figure4ab, figure5, plots, theory
from earlystop.experiments import EXPERIMENTS
from earlystop.fingerprint import changed
from earlystop.scale import SCALES
from earlystop.store import StoreError, plain, read_result, write_atomically

FREE = ("seeds", "losses", "heads")  # sizes that the paper does not state
STOPS = {
    "validation": "clean validation labels",
    "noisy_validation": "corrupted validation labels",
    "fixed": "always the same epoch",
}
FIXED_STEPS = 150  # after which the third rule stops


@dataclass(frozen=True)
class Result:
    """A result file: one figure's numbers, with all that they depend on."""

    path: Path
    content: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def select(self, **where: Any) -> list[dict[str, Any]]:
        """The cells with these values. Raises `StoreError` if there is none."""
        found = [c for c in self["cells"] if all(c[key] == value for key, value in where.items())]
        if not found:
            raise StoreError(f"{self.path.name} has no cell with {where}")
        return found

    def numbers(self, key: str, **where: Any) -> Float[Tensor, "cells ..."]:
        """The numbers `key` of all cells with these values, stacked."""
        return torch.tensor([cell[key] for cell in self.select(**where)], dtype=torch.float64)

    def levels(self, key: str) -> list[Any]:
        """The values that `key` takes in the sweep, in order of appearance."""
        return list(dict.fromkeys(cell[key] for cell in self["cells"]))

    def until(self, epoch: int) -> "Result":
        """The same runs up to what was measured last by this epoch: of curves, the rest is cut."""
        cells = []
        for cell in self["cells"]:
            length, kept = len(cell["epoch"]), sum(one <= epoch for one in cell["epoch"])
            curves = {k: v for k, v in cell.items() if isinstance(v, list) and len(v) == length}
            cells.append(cell | {k: v[:kept] for k, v in curves.items()})
        return Result(self.path, self.content | {"cells": cells})

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Sizes that are not the paper's: here, and there."""
        return self._unlike_paper(our_choice=False)

    @property
    def choices(self) -> dict[str, tuple[Any, Any]]:
        """Sizes that the paper leaves open, where they are not those of the scale `paper`."""
        return self._unlike_paper(our_choice=True)

    def _unlike_paper(self, our_choice: bool) -> dict[str, tuple[Any, Any]]:
        kind = EXPERIMENTS[self["experiment"]].config
        paper, here = plain(vars(kind.at("paper"))), kind.completed(self["config"])
        docs = {k: field.metadata["doc"] for k, field in kind.__dataclass_fields__.items()}
        asked = [k for k in paper if k not in FREE and ("our choice" in docs[k]) == our_choice]
        return {k: (here.get(k), paper[k]) for k in asked if here.get(k) != paper[k]}

    @property
    def scale_name(self) -> str:
        """The scale, and whether a size that the paper states was changed."""
        scale, *changes = self["scale"].split()
        changed = any(change.split("=")[0] not in FREE for change in changes)
        return f"{scale} with changed sizes" if changed else scale

    @property
    def stale(self) -> list[str]:
        """What today's code gives otherwise than the code that computed this; empty if nothing."""
        return changed(self["experiment"], self.content)

    def precision(self, run: dict[str, Any]) -> str:
        """What one of its `runs` computed in: only the training of deep networks has a choice."""
        if self["experiment"] == "fig4c":
            return f"trained in {run['precision']}, Jacobian in float32"
        return EXPERIMENTS[self["experiment"]].precision(run["precision"])

    @property
    def command(self) -> str:
        """The command that computes it again."""
        scale, *changes = self["scale"].split()
        kind = EXPERIMENTS[self["experiment"]].config
        later = kind.completed({}).keys() - self["config"].keys()  # sizes that it is older than
        changes += [f"{key}={kind.completed({})[key]}" for key in sorted(later)]
        options = "".join(f" --set {change}" for change in changes)
        kinds = {run["precision"] for run in self["runs"]}
        if len(kinds) == 1 and EXPERIMENTS[self["experiment"]].deep:
            options += f" --precision {kinds.pop()}"  # its default depends on the device
        return f"python -m earlystop run {self['experiment']} --scale {scale}{options}"


def folder(start: Path | None = None) -> Path:
    """`book/results` of the book around the current folder, or the copy in the installed package.

    Raises `StoreError` if there is neither.
    """
    here = (start or Path.cwd()).resolve()
    for place in (here, *here.parents):
        if (place / "book" / "results").is_dir():
            return place / "book" / "results"
    if (installed := Path(__file__).with_name("results")).is_dir():
        return installed
    raise StoreError(f"no folder book/results in {here} or above: open this in a copy of the book")


def load(name: str, where: Path | None = None, **levels: Any) -> Result:
    """The best result of an experiment: the largest scale, then the fewest changed sizes.

    Only those count whose sweep has these `levels`, as in `losses="cross_entropy"`. Raises
    `StoreError` if there is none.
    """
    results = [Result(path, read_result(path)) for path in sorted((where or folder()).glob(f"{name}-*.json*"))]
    results = [r for r in results if all(v in r["config"][k] for k, v in levels.items())]
    if not results:
        sizes = "".join(f" --set {key}={value}" for key, value in levels.items())
        raise StoreError(
            f"no result of {name} yet: python -m earlystop run {name} --scale paper{sizes} --out book/results"
        )
    return max(results, key=_rank)


def _rank(result: Result) -> tuple:
    scale, *changes = result["scale"].split()
    return SCALES.index(scale), -len(result.differences), -len(changes), result["finished"]


def credit(result: Result) -> str:
    """Scale, sizes, device, seeds, cost, versions and the command, as Markdown for a page."""
    runs, cells = result["runs"], result["cells"]
    seeds = len({cell["seed"] for cell in cells})
    devices = sorted({f"{r['device']}, {result.precision(r)}" for r in runs})
    memory = max(r["peak memory in GB"] for r in runs)
    versions = sorted({r["versions"]["torch"] for r in runs})
    texts = ["**These are the paper's sizes.**"]
    fields = EXPERIMENTS[result["experiment"]].config.__dataclass_fields__

    def told(sizes: dict[str, tuple[Any, Any]]) -> str:
        return "; ".join(
            f"{fields[key].metadata['doc']}: {plain_words(here)} instead of {plain_words(there)}"
            for key, (here, there) in sizes.items()
        )

    if changed := told(result.differences):
        texts = [f"**These are not the paper's sizes.** {changed[0].upper()}{changed[1:]}."]
    if chosen := told(result.choices):
        texts.append(f"What the paper leaves open is not as in our scale `paper`: {chosen}.")
    scale = result["scale"].split()[0]
    missing = []
    for key in (key for key in FREE if key in fields):
        here, there = result["config"][key], plain(fields[key].metadata["scales"][scale])
        if key == "seeds":
            missing += [counted(there, "seed")] * (here < there)
        else:
            missing += [plain_words(one) for one in there if one not in here]
    if missing:
        texts.append(f"The whole scale `{scale}` has more: {', '.join(missing)}.")
    if result.stale:
        texts.append(f"**Its code gives other numbers now** ({'; '.join(result.stale)}).")
    texts.append(
        f"Scale {result.scale_name}, {counted(seeds, 'seed')}, "
        f"{counted(len(cells), 'run')} on {'; '.join(devices)}: "
        f"{sum(r['seconds'] for r in runs) / 60:,.1f} minutes, all processes added up, at most {memory:.1f} GB, "
        f"torch {', '.join(versions)}, finished {result['finished']}. "
        "The same again (in a copy of the book, `python` is `.venv/bin/python`):"
    )
    return " ".join(texts) + f"\n\n```text\n{result.command}\n```"


def counted(number: int, word: str) -> str:
    """A number with its noun."""
    return f"{number:,} {word}{'s' if number != 1 else ''}"


def plain_words(value: Any) -> str:
    """A size as a reader would write it."""
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(plain_words, value)) + ")"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")


# ------------------------------------------------------------------------------- pictures


def stop_at(cell: dict[str, Any], rule: str, config: dict[str, Any]) -> int:
    """Index of the measurement at which a rule of `STOPS` stops a run of Figure 1."""
    epochs = cell["epoch"]
    later = range(1, len(epochs)) or range(1)  # without training, the start is all there is
    if rule != "fixed":
        return max(later, key=cell[rule].__getitem__)
    per_epoch = config["train_size"] / config["batch_size"]
    wanted = max(1, round(FIXED_STEPS / per_epoch))
    return min(later, key=lambda i: abs(epochs[i] - wanted))


def stop_rules(result: Result) -> dict[str, str]:
    """The rules of `STOPS` in words; the fixed one with its epoch in this result."""
    cell = result["cells"][0]
    epoch = cell["epoch"][stop_at(cell, "fixed", result["config"])]
    return STOPS | {"fixed": f"always epoch {epoch}"}


def draw_figure1(result: Result) -> Figure:
    """Accuracy against corruption after the last epoch and stopped early; a row for each loss."""
    losses, rates = result.levels("loss"), sorted(result.levels("corruption_rate"))
    fig, axes = plt.subplots(len(losses), 3, figsize=(9, 3.4 * len(losses)), squeeze=False, sharey=True)
    percent = [100 * rate for rate in rates]

    def values(loss: str, key: str, rule: str | None) -> Float[Tensor, "seeds rates"]:
        rows = [
            [c[key][-1 if rule is None else stop_at(c, rule, result["config"])]
             for c in result.select(loss=loss, corruption_rate=rate)]
            for rate in rates
        ]  # fmt: skip
        return torch.tensor(rows).T

    kinds = (
        ("noisy", "training, given labels", plots.NOISY),
        ("true", "training, true labels", plots.TRUE),
        ("test", "test", plots.TEST),
    )
    rules = (*stop_rules(result).items(), (None, "last epoch"))
    dashes = (
        plots.TEST,
        {"color": "#E69F00", "linestyle": "--", "marker": "D"},
        {"color": "#56B4E9", "linestyle": ":", "marker": "v"},
        {"color": "#666666", "linestyle": "-", "marker": "x"},
    )
    for row, loss in zip(axes, losses):
        name = f"\n{loss.replace('_', ' ')}" if len(losses) > 1 else ""
        panels = ((f"a: after epoch {result['config']['epochs']}", None),
                  ("b: stopped early by\nclean validation labels", "validation"))  # fmt: skip
        for ax, (title, rule) in zip(row, panels):
            for key, label, style in kinds:
                hollow = {"markerfacecolor": "none"} if key == "test" else {}  # it may hide another
                plots.band(ax, percent, values(loss, key, rule), label, markersize=5, **style, **hollow)
            ax.plot(percent, [1 - 0.9 * r for r in rates], label="1 − 0.9ρ", **plots.REFERENCE)
            ax.set(title=title + name)
        for (rule, label), style in zip(rules, dashes):
            plots.band(row[2], percent, values(loss, "test", rule), label, markersize=4, **style)
        row[2].set(title=f"c: test accuracy, stopped by{name}")
        row[2].legend(fontsize=9, loc="lower left")
        row[0].set(ylabel="accuracy")
    for ax in axes.flat:
        ax.set(xlabel="labels corrupted, ρ (%)", ylim=(0, 1.05))
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def draw_figure3(result: Result) -> Figure:
    """Accuracy and loss on the given labels against the distance, in both readings of it."""
    fig, axes = plt.subplots(2, 2, figsize=(7, 5.6), sharey="row")
    rates = sorted(result.levels("corruption_rate"))
    for i, rate in enumerate(rates):
        color = plots.level_color(i, len(rates))
        for number, cell in enumerate(result.select(corruption_rate=rate)):
            look = {"color": color, "lw": 1, "alpha": 0.5}
            if number == 0:  # with markers, so that neighbors can be told apart
                every = max(1, len(cell["epoch"]) // 12)
                look = {"color": color, "lw": 1.4, "label": f"{rate:.0%}", "ms": 4,
                        "marker": "os^vDP"[i % 6], "markevery": every}  # fmt: skip
            for column, distance in enumerate(("distance", "distance_per_layer")):
                for row, key in enumerate(("accuracy", "loss")):
                    axes[row, column].plot(cell[distance], cell[key], **look)
    axes[0, 0].set(ylabel="accuracy, given labels")
    axes[1, 0].set(ylabel="mean loss, given labels", yscale="log")
    axes[1, 0].set(xlabel="distance, all weights together")
    axes[1, 1].set(xlabel="distance, mean over tensors")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), title="corruption", loc="outside right center")
    return fig


def draw_figure4ab(result: Result) -> Figure:
    """Losses of true and flipped labels, stopped early, and how well they part along training."""
    rates = sorted(rate for rate in result.levels("corruption_rate") if rate > 0)
    fig, axes = plt.subplots(2, len(rates), figsize=(7, 5.6), squeeze=False, sharey="row", sharex="row")
    for (top, bottom), rate in zip(axes.T, rates):
        plots.share_bars(
            top,
            result.numbers("clean_best", corruption_rate=rate).mean(0),
            result.numbers("flipped_best", corruption_rate=rate).mean(0),
            figure4ab.TOP_LOSS,
        )
        for predicted in theory.conditional_mean_losses(rate, 10):
            top.axvline(predicted, **plots.REFERENCE)
        top.lines[-1].set_label("expected")
        top.set(title=f"{rate:.0%} corrupted, stopped early", xlabel="loss of a sample")
        epochs = result.numbers("epoch", corruption_rate=rate)[0]
        for key, label, style in (
            ("auroc", "AUROC", plots.OTHER), ("overlap", "overlap", {"color": "#777777"}),
            ("noisy", "training, given labels", plots.NOISY),
            ("true", "training, true labels", plots.TRUE), ("test", "test", plots.TEST),
        ):  # fmt: skip
            values = result.numbers(key, corruption_rate=rate)
            plots.band(bottom, epochs, values, label, **plots.line(style))
        bottom.set(xlabel="epoch", ylim=(0, 1.03))
    axes[0, 0].set(ylabel="share of its group")
    axes[1, 0].set(ylabel="share, or AUROC")
    legends = zip(*(ax.get_legend_handles_labels() for ax in axes[:, 0]))
    fig.legend(*map(sum, legends, ([], [])), loc="outside lower center", ncols=3)
    return fig


def draw_figure4c(result: Result) -> Figure:
    """Singular values relative to the largest, before and after training, for each head."""
    heads = result.levels("head")
    fig, axes = plt.subplots(len(heads), 2, figsize=(7, 3.3 * len(heads)), squeeze=False)
    styles = (("before", plots.level_color(0, 2), "--"), ("after", plots.level_color(1, 3), "-"))
    for (left, right), head in zip(axes, heads):
        for name, color, dash in styles:
            for number, values in enumerate(result.numbers(f"singular_values_{name}", head=head)):
                relative = values / values[0]
                label = f"{name} training" if number == 0 else None
                left.hist(relative.numpy(), bins=40, range=(0, 1), histtype="step", linestyle=dash,
                          linewidth=1.6, edgecolor=color, label=label)  # fmt: skip
                right.plot(range(1, len(relative) + 1), relative, dash, color=color, label=label)
        left.axvline(0.1, **plots.REFERENCE)
        right.axhline(0.1, **plots.REFERENCE)
        kind = {"single": "a single output", "difference": "difference of two outputs"}[head]
        left.set(yscale="log", xlabel="singular value / largest", ylabel="count", title=kind)
        right.set(xscale="log", yscale="log", xlabel="index", ylabel="singular value / largest",
                  ylim=(1e-4, 1.3))  # fmt: skip
        left.legend()
    return fig


def draw_figure5(result: Result) -> Figure:
    """Errors and distance along gradient descent, and the losses at the two iterations."""
    config = result["config"]
    base = {key: config[key] for key in figure5.SWEEPS} | {"noise": "offset"}
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.4))
    iterations = result.numbers("iteration", **base)[0] + 1
    for key, label, style in (
        ("error_given", "given labels", plots.NOISY), ("error_true", "true labels", plots.TRUE)
    ):  # fmt: skip
        plots.band(axes[0], iterations, result.numbers(key, **base), label, **plots.line(style))
    flipped = result.numbers("flipped", **base).mean().item()
    axes[0].axhline(flipped, label="share of flipped labels", **plots.REFERENCE)
    axes[0].set(xscale="log", xlabel="iteration + 1", ylabel="training error", ylim=(0, None))
    axes[0].legend()
    for ax, name, key in zip(axes[1:], ("early", "late"), ("early", "iterations")):
        groups = [result.numbers(f"{group}_{name}", **base) for group in ("clean", "flipped")]
        plots.share_bars(ax, *(group.mean(0) for group in groups), figure5.TOP_LOSS)
        ax.set(title=f"iteration {config[key]:,}", xlabel="loss of a sample")
    axes[2].sharey(axes[1])
    axes[1].set(ylabel="share of its group")
    axes[1].legend()
    return fig


def draw_figure5_sweeps(result: Result) -> Figure:
    """Error against the truth at the two iterations, while one size of the setting changes."""
    config = result["config"]
    base = {key: config[key] for key in figure5.SWEEPS} | {"noise": "offset"}
    names = {
        "corruption_rate": "corruption rate, ρ", "hidden_units": "hidden units, k",
        "input_noise": "radius, ε₀", "clusters": "clusters and classes, K",
    }  # fmt: skip
    early = min(config["early"], config["iterations"])
    fig, axes = plt.subplots(2, 2, figsize=(7, 5.6), sharey=True)
    for ax, (key, values) in zip(axes.flat, figure5.SWEEPS.items()):
        x = sorted({*values, base[key]})
        for iteration, label, style in (
            (early, "stopped early", plots.TRUE),
            (config["iterations"], "last iteration", plots.OTHER),
        ):
            at = result["cells"][0]["iteration"].index(iteration)
            runs = [result.numbers("error_true", **base | {key: value})[:, at] for value in x]
            ax.plot(x, [r.mean() for r in runs], label=label, markersize=5, **style)
            low, high = [r.min() for r in runs], [r.max() for r in runs]
            ax.fill_between(x, low, high, color=style["color"], alpha=0.2, lw=0)
        ax.set(xlabel=names[key])
        if key == "hidden_units":
            ax.set(xscale="log")
    axes[0, 0].set(ylim=(0, None))
    for ax in axes[:, 0]:
        ax.set(ylabel="error against the truth")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


DRAW: dict[str, dict[str, Callable[[Result], Figure]]] = {
    "fig1": {"": draw_figure1},
    "fig3": {"": draw_figure3},
    "fig4ab": {"": draw_figure4ab},
    "fig4c": {"": draw_figure4c},
    "fig5": {"": draw_figure5, "-sweeps": draw_figure5_sweeps},
}


def save(path: Path) -> list[Path]:
    """Draw a result file beside itself, as SVG; returns the pictures' paths."""
    result = Result(path, read_result(path))
    stem, pictures = path.name.split(".json")[0], []
    with plt.style.context(Path(__file__).with_name("book.mplstyle")):
        for suffix, draw in DRAW[result["experiment"]].items():
            pictures.append(path.with_name(f"{stem}{suffix}.svg"))
            try:
                fig = draw(result)
            except KeyError as error:
                raise StoreError(
                    f"{path} lacks numbers that its picture needs ({error}): delete it and its parts"
                ) from error
            write_atomically(pictures[-1], lambda file, fig=fig: fig.savefig(file, format="svg"))
            plt.close(fig)
    return pictures
