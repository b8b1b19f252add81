"""The sweep of Figure 1: our workers against one plain PyTorch loop after another."""

import math
import os
from dataclasses import replace
from typing import Any

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "0")  # the plain loop below has torch as it comes

import joblib
import torch
from common import about, alternate, arguments, compared, operations, print_about, print_compared, print_table, save
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from earlystop import training
from earlystop.architectures import conv_net
from earlystop.figures.fig1 import EXPERIMENT, Figure1
from earlystop.figures.splits import TENTHS, SplitStack, load_split, passes
from earlystop.runs.experiment import Cell, compute
from earlystop.runs.machine import Machine, here, threads
from earlystop.runs.sweep import MEMORY, side_by_side

PRECISIONS = ("float32", "bfloat16")
torch.ones(1)  # torch looks at the variable above now: what `ours` sets is for its workers alone


def sweep(models: int, data: str, train_size: int, epochs: int, **changes: Any) -> Figure1:
    """Figure 1 as in the paper, with fewer images and at least `models` cells with one loss.

    Validation and test set have a fifth of the training images each, the paper's share.
    """
    return Figure1.at(
        "paper",
        data=data,
        train_size=train_size,
        validation_size=train_size // 5,
        test_size=train_size // 5,
        epochs=epochs,
        losses=("least_squares",),
        corruption_rates=TENTHS[: min(models, len(TENTHS))],
        seeds=math.ceil(models / len(TENTHS)),
        **changes,
    )


def group(config: Figure1, cells: list[Cell], machine: Machine) -> list[dict]:
    """The runs of some cells as a worker of a sweep computes them, without checkpoints."""
    return [one["run"] for one in compute(EXPERIMENT, config, cells, machine)]


def ours(config: Figure1, cells: list[Cell], chosen: str) -> list[dict]:
    """All cells: side by side on CPU cores with one thread each, one batch on a GPU."""
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # what the package sets, for workers that start now
    jobs, size = side_by_side(EXPERIMENT, config, here(), None, None, MEMORY)
    groups = EXPERIMENT.groups(cells, size)
    machine = replace(here(precision=chosen), threads=threads(jobs))
    work = [joblib.delayed(group)(config, g, machine) for g in groups]
    done = joblib.Parallel(min(jobs, len(groups)))(work)
    return [one for group_runs in done for one in group_runs]


def plain(config: Figure1, cell: Cell) -> dict[str, list[float]]:
    """What one would write: the same network, optimizer, batch size and number of evaluations.

    One model alone, float32, default threads, batches from a `DataLoader`.
    """
    split = load_split(
        config.data, config.train_size, config.validation_size, cell["corruption_rate"], cell["seed"], config.test_size
    )
    inputs = {part: split.inputs(part).cpu() for part in ("train", "validation", "test")}
    image_shape = tuple(inputs["train"].shape[1:])
    model = conv_net(image_shape, config.widths, seed=cell["seed"]).to(here().device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    dataset = TensorDataset(inputs["train"], split.noisy.cpu())
    loader = DataLoader(dataset, batch_size=config.batch_size, shuffle=True)
    history: dict[str, list[float]] = {"noisy": [], "validation": [], "test": []}
    for epoch in range(config.epochs + 1):
        if epoch:
            model.train()
            for images, labels in loader:
                images, labels = images.to(here().device), labels.to(here().device)
                optimizer.zero_grad()
                errors = model(images) - F.one_hot(labels, 10)
                loss = 0.5 * errors.square().sum(dim=1).mean()
                loss.backward()
                optimizer.step()
        if Machine().measured(epoch, config.epochs):
            history["noisy"].append(plain_accuracy(model, inputs["train"], split.noisy))
            for part in ("validation", "test"):
                truth = getattr(split, part).labels
                history[part].append(plain_accuracy(model, inputs[part], truth))
    return history


@torch.no_grad()
def plain_accuracy(model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of correct labels, in batches of 1,000."""
    model.eval()
    right = 0
    for images, wanted in DataLoader(TensorDataset(inputs, labels.cpu()), batch_size=1000):
        found = model(images.to(here().device)).argmax(dim=1)
        right += (found == wanted.to(here().device)).sum().item()
    return right / len(inputs)


def compare(config: Figure1, cells: list[Cell], repeats: int) -> list[dict]:
    """Ours in both precisions against the plain loop; each with its mean final test accuracy."""
    found: dict[str, list[dict]] = {}
    ways = {f"ours, {p}": lambda p=p: found.update({p: ours(config, cells, p)}) for p in PRECISIONS}
    ways["plain loop, float32"] = lambda: found.update(plain=[plain(config, c) for c in cells])
    rows = compared(alternate(ways, repeats), "ours, float32")
    for row, runs in zip(rows, found.values()):
        row["test accuracy"] = sum(run["test"][-1] for run in runs) / len(runs)
    for row in rows[:2]:  # how many times as long the plain loop takes
        row["plain / this"] = [p / t for p, t in zip(rows[2]["seconds"], row["seconds"])]
    return rows


def matrix_rate(side: int, repeats: int) -> float:
    """Operations a second of a large matrix product in bfloat16, the best of some."""
    a, b = (torch.randn(side, side, device=here().device, dtype=torch.bfloat16) for _ in range(2))
    seconds = alternate({"product": lambda: a @ b}, repeats)["product"]
    return 2 * side**3 / min(seconds)


def rates(config: Figure1, cells: list[Cell], chosen: str, peak: float, repeats: int) -> dict:
    """Seconds of training and of evaluation in one batch of all cells, and what follows from them.

    `hours` is all of Figure 1 at the paper's size with one loss: 33 cells, 200 epochs, 50,000
    images, and its evaluations. Backward counts twice the operations of forward. `share` is
    that of the rate of a large product in bfloat16, whatever the precision.
    """
    data = SplitStack(config, cells, here(precision=chosen), config.validation_size, config.test_size)
    shape, widths = data.image_shape, config.widths
    stack, images, labels = (
        data.stack(lambda seed: conv_net(shape, widths, seed=seed)),
        data.images("train"),
        data.given(),
    )
    if labels.is_cuda:
        stack.fuse(config.batch_size, stack.machine.evaluated)
    step = training.TrainingStep(stack, images, labels, training.adadelta(stack), training.least_squares)
    seeds = [cell["seed"] for cell in cells]
    seconds = alternate(
        {
            "training": lambda: training.train_epoch(step, labels, 1, config.batch_size, seeds),
            "evaluation": lambda: training.evaluate_stack(stack, images),
        },
        repeats,
    )  # fmt: skip
    seen = len(cells) * config.train_size
    train, test = (sorted(seconds[k])[len(seconds[k]) // 2] / seen for k in seconds)
    paper = Figure1.at("paper", losses=("least_squares",))
    trained, evaluated = passes(paper)
    total = len(EXPERIMENT.all_cells(paper)) * (trained * train + evaluated * test)
    forward = operations(conv_net(shape, widths), *shape)
    return {
        "precision": chosen,
        "seconds of a step": train * len(cells) * config.batch_size,
        "training TFLOP/s": 3 * forward / train / 1e12,
        "convolutions in": convolution_type(here(precision=chosen)),
        "share": 3 * forward / train / peak,
        "evaluation TFLOP/s": forward / test / 1e12,
        "all of Figure 1, hours": total / 3600,
    }


def convolution_type(machine: Machine) -> str:
    """What a stack's convolutions compute in: not everywhere does autocast reach into `vmap`."""
    with machine.autocast():
        x, weight = (torch.ones(2, 1, 1, 3, 3, device=here().device) for _ in range(2))
        return str(grouped_convolution(x, weight).dtype).removeprefix("torch.")


def grouped_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """M convolutions as `vmap` does them: x is (M, b, c, h, w), weight (M, o, c, 3, 3)."""
    return torch.func.vmap(F.conv2d)(x, weight)


def single_convolutions(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The same one after another, channels last, as a GPU does them here."""
    return torch.stack([F.conv2d(training.channels_last(a), b) for a, b in zip(x, weight)])


def unfolded_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The same as M matrix products of all patches with all filters."""
    patches = x.unfold(3, 3, 1).unfold(4, 3, 1).permute(0, 1, 3, 4, 2, 5, 6)
    m, b, h, w = patches.shape[:4]
    product = patches.reshape(m, b * h * w, -1) @ weight.flatten(2).mT
    return product.view(m, b, h, w, -1).movedim(-1, 2)


def convolutions(config: Figure1, models: int, chosen: str, repeats: int) -> dict[str, list[dict]]:
    """Three ways for the network's two convolutions, forward and backward, one step of a batch."""
    channels = (1, *config.widths[:2])
    tables = {}
    for layer, side in enumerate((28, 26)):
        shape = models, config.batch_size, channels[layer], side, side
        x = torch.randn(shape, device=here().device, dtype=getattr(torch, chosen))
        weight = torch.randn(models, channels[layer + 1], channels[layer], 3, 3, device=here().device)
        x.requires_grad_(layer > 0)  # nobody asks for the gradient of the images
        weight.requires_grad_()

        def step(convolution, x=x, weight=weight) -> torch.Tensor:
            x.grad = weight.grad = None
            convolution(x, weight.to(x.dtype)).float().square().mean().backward()
            return weight.grad

        ways = {
            "network by network": lambda step=step: step(single_convolutions),
            "grouped, as vmap does": lambda step=step: step(grouped_convolution),
            "unfold and products": lambda step=step: step(unfolded_convolution),
        }
        rows = compared(alternate(ways, repeats), next(iter(ways)))
        one, *others = (way().clone() for way in ways.values())
        for row, other in zip(rows[1:], others):
            row["difference"] = ((one - other).norm() / one.norm()).item()
        tables[f"convolution {layer + 1}, {chosen}"] = rows
    return tables


def main() -> None:
    """The comparison; with --rates (the default on a GPU) rates and single convolutions too."""
    parser = arguments(__doc__)
    on_gpu = here().device == "cuda"
    parser.add_argument("--models", type=int, default=33 if on_gpu else 4)
    parser.add_argument("--train-size", type=int, default=5000 if on_gpu else 500)
    parser.add_argument("--epochs", type=int, default=2 if on_gpu else 1)
    parser.add_argument("--data", default="mnist", choices=("mnist", "digits"))
    parser.add_argument("--widths", default="64,128,256", help="(default: the paper's)")
    parser.add_argument("--batch-size", type=int, default=128, help="(default: 128)")
    parser.add_argument("--rates", action="store_true", default=on_gpu,
                        help="also rates, and single convolutions")  # fmt: skip
    parser.add_argument("--matrix", type=int, default=8192 if on_gpu else 1024,
                        help="side of the product that gives the peak rate")  # fmt: skip
    options = parser.parse_args()
    config = sweep(
        options.models, options.data, options.train_size, options.epochs,
        widths=options.widths, batch_size=options.batch_size,
    )  # fmt: skip
    cells = EXPERIMENT.all_cells(config)[: options.models]
    facts = about("joblib")
    print_about(facts)
    content = {"benchmark": "training", **facts, "config": vars(config), "models": len(cells)}

    jobs, size = side_by_side(EXPERIMENT, config, here(), None, None, MEMORY)
    how = f"{jobs} at a time" if size == 1 else "all in one batch"
    rows = content["comparison"] = compare(config, cells, options.repeats)
    print_compared(
        f"{len(cells)} models, {config.train_size} images, {config.epochs} epochs; ours {how}, "
        f"plain with {facts['threads of torch']} threads",
        rows,
        "plain / this",
        "test accuracy",
    )
    if options.rates:
        peak = matrix_rate(options.matrix, options.repeats)
        content["matrix product TFLOP/s"] = peak / 1e12
        print(f"\nmatrix product of side {options.matrix} in bfloat16: {peak / 1e12:.3g} TFLOP/s")
        content["rates"] = [rates(config, cells, p, peak, options.repeats) for p in PRECISIONS]
        lines = [[*row.values()] for row in content["rates"]]
        print_table("training in one batch", [*content["rates"][0]], lines)
        content["convolutions"] = {}
        for chosen in PRECISIONS:
            content["convolutions"] |= convolutions(config, len(cells), chosen, options.repeats)
        for title, table in content["convolutions"].items():
            print_compared(title, table, "difference")
    save(options.save, content)


if __name__ == "__main__":
    main()
