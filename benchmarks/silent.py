"""Does Figure 1 stop short of a perfect fit because units of the last hidden layer fall silent?"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from common import about, print_about, print_table
from jaxtyping import Float, Int
from torch import Tensor, nn

from earlystop.architectures import conv_net
from earlystop.figures import fig1
from earlystop.figures.fig1 import Figure1, load_split
from earlystop.runs.experiment import peak_memory
from earlystop.runs.fingerprint import record
from earlystop.runs.machine import here
from earlystop.runs.provenance import commit
from earlystop.runs.store import SCHEMA, write_json
from earlystop.training import ImageStack, Stack, TrainingStep, adadelta, least_squares, train_epoch

ALWAYS = (0, 1, 2, 3)  # epochs that are measured; later each `EVERY`th and the last
EVERY = 5


@torch.no_grad()
def silence(
    net: nn.Sequential, images: ImageStack, labels: Int[Tensor, " n"], batch_size: int = 500
) -> dict[str, float]:
    """Shares of dead units, of silent images, and of silence among the images not fitted.

    A unit of the last hidden layer is dead if it is zero for every image; an image is silent if
    every unit is zero for it. The output for a silent image is the last bias, whatever the image
    is, and nothing before that bias has a gradient from it.
    """
    net.eval()
    hidden: list[Float[Tensor, "b units"]] = []
    fitted = []
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        last = net[:-1](images.inputs(part)[0])
        hidden.append(last > 0)
        fitted.append(net[-1](last).argmax(dim=1) == labels[part])
    active, fit = torch.cat(hidden), torch.cat(fitted)
    silent = ~active.any(dim=1)
    return {
        "fitted": fit.float().mean().item(),
        "dead units": (~active.any(dim=0)).float().mean().item(),
        "units on": active.sum(dim=1).float().mean().item(),
        "silent images": silent.float().mean().item(),
        "not fitted": (~fit).float().mean().item(),
        "silent and not fitted": (silent & ~fit).float().mean().item(),
    }


def measure(config: Figure1, save: Path | None, content: dict[str, Any]) -> list[dict[str, float]]:
    """Train the run of Figure 1 with the first rate and seed 0, and look at it along the way."""
    rate = config.corruption_rates[0]
    split = load_split(config.data, config.train_size, config.validation_size, rate, 0, 1)
    images, labels = ImageStack.of([split.train], [split.train]), split.noisy[None]
    shape = tuple(split.train.pixels.shape[1:])
    machine = here()
    stack = Stack([conv_net(shape, config.widths, seed=0).to(machine.device)], machine)
    step = TrainingStep(stack, images, labels, adadelta(stack), least_squares)
    rows, start = [], time.perf_counter()
    for epoch in range(config.epochs + 1):
        if epoch:
            train_epoch(step, labels, epoch, config.batch_size, [0])
        if epoch in ALWAYS or epoch % EVERY == 0 or epoch == config.epochs:
            rows.append({"epoch": epoch} | silence(stack.network(0), images, labels[0]))
            print("  ".join(f"{k} {v:.4g}" for k, v in rows[-1].items()), flush=True)
            if save:
                cost = {"seconds": time.perf_counter() - start, "peak memory in GB": peak_memory(machine.device)}
                write_json(save, content | cost | {"rows": rows})
    return rows


def main() -> None:
    """One run at the paper's sizes, or smaller; with --save a file beside the book's results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=45, help="(default: 45)")
    parser.add_argument("--train-size", type=int, default=50_000, help="(default: 50000)")
    parser.add_argument("--data", default="mnist", choices=("mnist", "digits"))
    parser.add_argument("--widths", default="64,128,256", help="(default: the paper's)")
    parser.add_argument("--rate", type=float, default=0.5, help="corruption rate (default: 0.5)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the numbers as JSON")
    options = parser.parse_args()
    config = Figure1.at(
        "paper",
        data=options.data,
        train_size=options.train_size,
        validation_size=min(10_000, options.train_size // 5),
        widths=options.widths,
        corruption_rates=(options.rate,),
        losses=("least_squares",),
        epochs=options.epochs,
        seeds=1,
    )
    facts = about()
    print_about(facts)
    content = {
        "schema": SCHEMA,
        "experiment": "silent",
        **facts,
        "precision": here().precision,
        "config": vars(config),
        "commit": commit(),
        "fingerprint": record(fig1.EXPERIMENT),
        "data": fig1.EXPERIMENT.data(config),
    }
    rows = measure(config, options.save, content)
    print_table("silent images", [*rows[0]], [[*row.values()] for row in rows])


if __name__ == "__main__":
    main()
