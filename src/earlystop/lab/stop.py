"""Stop here, as a picture without a script: the errors of a network while it is trained, and when to stop it."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from earlystop import plots
from earlystop.lab.model import predicted_window, run
from earlystop.lab.state import state


def draw(**changes: Any) -> Figure:
    """What the living figure shows of a state: errors by both kinds of labels, its control, the predicted window."""
    now = state("stop", **changes)
    noisy, clean = run(now), run(now | {"corruption_rate": 0.0, "changed": []})
    kept = plots.some(now["iterations"] + 1)
    fig, ax = plt.subplots(figsize=(7, 3.2))
    if window := predicted_window(now):
        ax.axvspan(*window, color="#e4e4e4", label="predicted with true labels")
    for errors, name, look in ((noisy.by_given, "judged by given labels", plots.NOISY),
                               (noisy.by_true, "judged by true labels", plots.TRUE),
                               (clean.by_true, "the same without wrong labels", plots.CONTROL)):  # fmt: skip
        ax.plot(kept, 100 * errors[kept], label=name, **plots.line(look))
    ax.axvline(now["stop"], color="black")
    ax.set(xlabel="iteration", ylabel="wrong answers, %", ylim=(-1, 60))
    ax.set_xscale("symlog", linthresh=1)
    ticks = [0, *(10**power for power in range(5) if 10**power <= now["iterations"])]
    ax.set_xticks(ticks, labels=[f"{one:,}" for one in ticks])
    ax.set_xlim(0, now["iterations"])
    ax.minorticks_off()
    ax.legend()
    return fig


def answers(**changes: Any) -> dict[str, int]:
    """What the sentence under the figure counts at the stop: samples, wrong labels, those put right, and errors."""
    now = state("stop", **changes)
    outcome = run(now, min(now["stop"], now["iterations"]))
    right, wrong = outcome.answers[-1] == outcome.data.clean_labels, outcome.data.flipped
    return {"samples": len(wrong), "wrong": int(wrong.sum()), "right": int(right[wrong].sum()),
            "errors": int((~right).sum())}  # fmt: skip
