"""Figure 5 at the paper's size: our gradient descent against a plain loop over the gradient."""

import torch
from common import about, alternate, arguments, compared, print_about, print_compared, save

from earlystop.descent import gradient
from earlystop.figures import fig5
from earlystop.figures.fig5 import Figure5
from earlystop.network import initial_weights


def plain_loop(config: Figure5) -> torch.Tensor:
    """W_T of seed 0 by W ← W - η ∇L(W) and nothing else: no curves are kept."""
    data = fig5.load_data(config, 0)
    weights = initial_weights(config.hidden_units, config.dim, seed=0).to(data.inputs)
    for _ in range(config.iterations):
        weights = weights - config.step_size * gradient(weights, data.inputs, data.labels)
    return weights


def measure(config: Figure5, threads: int, repeats: int) -> list[dict]:
    """Both ways with some threads, and how far their last weights are apart."""
    torch.set_num_threads(threads)
    ways = {"ours, all curves kept": lambda: fig5.run(config, 0), "plain loop, none kept": lambda: plain_loop(config)}
    rows = compared(alternate(ways, repeats), next(iter(ways)))
    ours, plain = fig5.run(config, 0)[1].weights, plain_loop(config)
    start = initial_weights(config.hidden_units, config.dim, seed=0).to(ours)
    rows[1]["apart"] = ((ours - plain).norm() / (ours - start).norm()).item()
    return rows


def main() -> None:
    """Both ways with one thread and with two."""
    parser = arguments(__doc__)
    parser.add_argument("--iterations", type=int, default=4500, help="(default: 4500)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    options = parser.parse_args()
    config = Figure5.at("paper", iterations=options.iterations)
    facts = about()
    print_about(facts)
    tables = {}
    for threads in options.threads:
        rows = tables[threads] = measure(config, threads, options.repeats)
        print_compared(
            f"Figure 5, {config.samples} samples, {config.hidden_units} hidden units, "
            f"{config.iterations} iterations, {threads} thread{'s' * (threads > 1)}",
            rows,
            "apart",
        )
    print("\napart: distance of the last weights from ours, relative to the way from W₀")
    save(options.save, {"benchmark": "figure5", **facts, "config": vars(config), "threads": tables})


if __name__ == "__main__":
    main()
