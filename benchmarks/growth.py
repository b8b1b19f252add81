"""How the cost of the three kinds of experiment grows with their sizes."""

import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import about, alternate, arguments, print_about, print_table, save
from jacobian import ours, problem
from training import ours as train_sweep
from training import sweep

from earlystop.architectures import count_parameters
from earlystop.figures import fig1, fig5
from earlystop.figures.fig5 import Figure5
from earlystop.runs.experiment import peak_memory
from earlystop.runs.machine import here
from earlystop.runs.provenance import source_hash
from earlystop.runs.store import SCHEMA

DEFAULTS = {
    "samples": (125, 250, 500, 1000),
    "widths": (4, 8, 16, 32),
    "figure5-samples": (200, 400, 800, 1600),
    "units": (250, 500, 1000, 2000),
    "runs": (1, 2, 4, 8),
}


def spectrum(n: int, width: int) -> tuple[float, Callable[[], Any]]:
    """Number of parameters of a ResNet-20, and the work: all singular values of its J."""
    model, inputs = problem(n, 20, width)
    return count_parameters(model), lambda: ours(model, inputs)


def descent(n: int, k: int, iterations: int) -> Callable[[], Any]:
    """The work of one seed of Figure 5."""
    config = Figure5.at("paper", samples=n, hidden_units=k, iterations=iterations)
    return lambda: fig5.run(config, 0)


def runs(models: int, data: str, train_size: int) -> Callable[[], Any]:
    """The work of M cells of Figure 1, one epoch, in the precision of the switch."""
    config = sweep(models, data, train_size, 1)
    cells = fig1.EXPERIMENT.all_cells(config)[:models]
    return lambda: train_sweep(config, cells, here().precision)


def exponent(points: Sequence[dict[str, Any]]) -> float:
    """Slope of log seconds over log size by least squares; 0 for a single size."""
    xs, ys = ([math.log(p[key]) for p in points] for key in ("x", "median"))
    return statistics.linear_regression(xs, ys).slope if len(set(xs)) > 1 else 0.0


def series(
    name: str, title: str, x: str, fixed: str, works: dict[int, Callable[[], Any]], repeats: int
) -> dict[str, Any]:
    """Measure one work per size, all sizes by turns."""
    seconds = alternate(works, repeats)
    points = [{"x": size, "median": statistics.median(times), "seconds": times} for size, times in seconds.items()]
    found = {"name": name, "title": title, "x": x, "fixed": fixed, "exponent": exponent(points)}
    lines = [[p["x"], p["seconds"]] for p in points]
    print_table(f"{title} ({fixed}): power {found['exponent']:.2f}", [x, "seconds"], lines)
    return found | {"points": points}


def main() -> None:
    """Five series, and with --save a file in the form of the book's results."""
    parser = arguments(__doc__)
    for name, values in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, nargs="+", default=values)
    parser.add_argument("--iterations", type=int, default=500, help="of Figure 5 (default: 500)")
    parser.add_argument("--train-size", type=int, default=500, help="(default: 500)")
    parser.add_argument("--data", default="mnist", choices=("mnist", "digits"))
    options = parser.parse_args()
    facts, start = about(), time.perf_counter()
    print_about(facts)

    n, k = 400, 1000
    widths = dict(spectrum(min(options.samples), width) for width in options.widths)
    measured = [
        series(
            "spectrum_n", "All singular values of J", "samples, n", "ResNet-20, width 16",
            {m: spectrum(m, 16)[1] for m in options.samples}, options.repeats,
        ),
        series(
            "spectrum_p", "All singular values of J", "parameters, p",
            f"ResNet-20, n = {min(options.samples)}", widths, options.repeats,
        ),
        series(
            "figure5_n", "Gradient descent of Figure 5", "samples, n",
            f"k = {k}, {options.iterations} iterations",
            {m: descent(m, k, options.iterations) for m in options.figure5_samples},
            options.repeats,
        ),
        series(
            "figure5_k", "Gradient descent of Figure 5", "hidden units, k",
            f"n = {n}, {options.iterations} iterations",
            {m: descent(n, m, options.iterations) for m in options.units}, options.repeats,
        ),
        series(
            "training_runs", "Sweep of Figure 1", "networks, M",
            f"{options.train_size} images, one epoch",
            {m: runs(m, options.data, options.train_size) for m in options.runs}, options.repeats,
        ),
    ]  # fmt: skip
    command = " ".join(["python", f"benchmarks/{Path(__file__).name}", *sys.argv[1:]])
    content = {
        "schema": SCHEMA,
        "experiment": "growth",
        **facts,
        "command": command,
        "source hash": source_hash(),
        "seconds": time.perf_counter() - start,
        "peak memory in GB": peak_memory(here().device),
    }
    save(options.save, content | {"series": measured})


if __name__ == "__main__":
    main()
