"""The majority vote, as a picture without a script: the votes of clusters, and how many wrong labels they bear."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from earlystop import plots
from earlystop.lab.ballot import allowed, ballots, chances, scale
from earlystop.lab.model import State
from earlystop.lab.state import FIELDS, state

MOST = FIELDS["corruption_rate"]["most"]


def draw(**changes: Any) -> Figure:
    """What the living figure shows of a state: the votes, and the shares of wrong labels that theory and vote allow."""
    now = state("vote", **changes)
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.7))
    _draw_votes(left, now)
    _draw_allowed(right, now)
    once = {name: handle for ax in (left, right) for handle, name in zip(*ax.get_legend_handles_labels())}
    fig.legend(once.values(), once.keys(), loc="outside lower center", ncols=4, fontsize=9)
    return fig


def _draw_votes(ax: Axes, now: State) -> None:
    labels, values = scale(now), scale(now).values
    for own, ballot in enumerate(ballots(now)):
        low, high = (values[own] + sign * min(0.2 + 1, labels.unit * labels.gap(own, sign > 0) / 2) for sign in (-1, 1))
        ax.fill_between([low, high], -own - 0.33, -own + 0.6, color="#e4e4e4", lw=0, label="the vote is won")
        for to, count in enumerate(ballot.counts):
            color, kind = (plots.RIGHT_COLOR, "right") if to == own else (plots.WRONG_COLOR, "wrong")
            tall = 0.55 * count / now["cluster_size"]
            ax.bar(values[to], tall, 0.08, bottom=-own, color=color, label=f"{kind} labels")
        ax.plot([values[own], ballot.mean], [-own - 0.15] * 2, color=plots.NOISY["color"], linewidth=3)
        ax.plot(values[own], -own - 0.15, "s", color=plots.TRUE["color"], label="true label")
        ax.plot(ballot.mean, -own - 0.15, "o", color=plots.NOISY["color"], label="mean given label")
        if ballot.lost:
            ax.text(0.8 if values[own] < 0 else -0.8, -own + 0.2, "lost", ha="center")
    ax.set(title="the vote in each cluster", xlabel="label", xlim=(-1.2, 1.2), yticks=[])
    names = [f"{one:.2g}".replace("-", "−") for one in values]
    ax.set_xticks(values, labels=names, fontsize=9 if len(values) > 5 else None)
    ax.grid(False)


def _draw_allowed(ax: Axes, now: State) -> None:
    found, rates = allowed(now), np.linspace(0, MOST, 121)
    alone, some = chances(now, rates)
    ax.axvspan(0, found.theorem, color="#e4e4e4", lw=0)
    ax.plot(rates, alone, color="black", label="weakest cluster")
    ax.plot(rates, some, "--", color="black", label="any cluster")
    theory: dict[str, Any] = {"facecolor": "none", "edgecolor": "black", "linestyle": ":"}
    vote: dict[str, Any] = {"color": plots.NOISY["color"]}
    theorem = "Theorem 2.2, δ/(8K)" if now["one_cluster"] else "Theorem 2.2, δ/8"
    for up, share, name, look in ((1.9, found.theorem, theorem, theory),
                                  (1.6, found.vote, "the vote itself", vote),
                                  (1.3, found.anywhere, f"Theorem 4.1, γ = {now['classes']}", theory)):  # fmt: skip
        ax.barh(up, share, 0.08, **look)
        ax.text(MOST, up + 0.06, f"{name}: ρ = {share:.3g}", fontsize=9, ha="right", bbox={"color": "white", "pad": 1})
    ax.axvline(now["corruption_rate"], color="black")
    ax.set(title="what a vote bears", xlabel="share of wrong labels, ρ", ylabel="chance that it is lost")
    ax.set(xlim=(0, MOST), ylim=(0, 2.1), yticks=(0, 0.5, 1))
