"""Are people's errors memorized earlier than drawn ones? The same network, the same transition matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor, nn

from earlystop import plots
from earlystop.architectures import resnet, seeded
from earlystop.figures.bench import share
from earlystop.figures.splits import SplitStack, data_hashes, data_set, number
from earlystop.label_noise import corrupt, matched
from earlystop.metrics import interval
from earlystop.runs.experiment import Cell, Experiment, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes
from earlystop.training import OPTIMIZERS, TrainingStep, cross_entropy, evaluate_stack, train_epoch

LABELS = ("human", "matched", "none")
NAMES = {"human": "people's labels", "matched": "dealt out again, same transition matrix", "none": "no wrong labels"}
HALF, EARLY = 0.5, 6  # the share of wrong labels, and the epoch, by which the two are compared: fixed beforehand
STAND_IN = 0.4  # of digits, for which nobody gave labels, this share is made wrong by sample


@dataclass(frozen=True)
class Human(Sized):
    """People's labels against labels with their transition matrix, for the same images, weights and orders."""

    data: str = data_set("digits", "cifar10n")
    train_size: int = number(600, 10_000, 10_000, "training images")
    unseen_size: int = number(200, 2_000, 2_000, "images with labels of the same kind that nobody trains on")
    test_size: int = number(397, 2_000, 2_000, "test images")
    network: str = always("cnn", "network", ours=True, of=("cnn", "resnet"))
    width: int = number(16, 16, 16, "channels of the first layer", ours=True)
    hidden: int = number(256, 512, 512, "units of the convolutional network's hidden layer", ours=True)
    labels: tuple = always(LABELS, "labels", of=LABELS, once=True)
    epochs: int = number(25, 14, 14, "epochs")
    looks: int = number(4, 4, 4, "measurements an epoch in the first epochs", ours=True)
    looked_until: int = number(3, 3, 3, "epochs measured so often, later ones at their end", ours=True)
    batch_size: int = number(32, 64, 64, "batch size", ours=True)
    optimizer: str = always("adam", "optimizer", ours=True, of=OPTIMIZERS)
    step_size: float = sizes(0.003, 0.001, 0.001, "step size of the optimizer", ours=True)
    seeds: int = number(5, 5, 5, "seeds")


def network(config: Human, shape: tuple[int, int, int], seed: int) -> nn.Sequential:
    """The network of a seed: `conv3`, or a ResNet-20."""
    if config.network == "resnet":
        return resnet(20, shape[0], config.width, 10, seed)
    return conv3(shape, config.width, config.hidden, seed)


def conv3(shape: tuple[int, int, int], width: int, hidden: int, seed: int) -> nn.Sequential:
    """Three convolutions, each with half as many pixels and twice the channels as the one before, and two layers."""
    channels, height, across = shape
    with seeded(seed):
        layers: list[nn.Module] = []
        for wide in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels, height, across = wide, height // 2, across // 2
        flat = channels * height * across
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def label_sets(
    true: Int[Tensor, " n"], given: Int[Tensor, " n"] | None, inputs: Tensor, seed: int
) -> dict[str, Tensor]:
    """The labels of the same images of each kind; where nobody gave any, noise by sample stands for people's."""
    if given is None:
        given = corrupt(true.cpu(), STAND_IN, "by sample", inputs=inputs.cpu(), seed=seed).to(true.device)
    return {"human": given, "matched": matched(true.cpu(), given.cpu(), seed).to(true.device), "none": true}


def looked_at(config: Human) -> list[set[int]]:
    """After which steps of each epoch one looks."""
    steps = -(-config.train_size // config.batch_size)
    fine = {round(steps * look / config.looks) for look in range(1, config.looks + 1)} - {0}
    return [fine if epoch <= config.looked_until else {steps} for epoch in range(1, config.epochs + 1)]


def runs(config: Human, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[dict[str, list[float]]]:
    """What networks answer where a label is wrong, along the training.

    `seen human`, `seen matched`: of the training images whose label of that kind is wrong, the share answered as
    that label says, whatever the network was trained on; `true ...`: the share answered as is true; `unseen ...`: as
    that label says, for images that nobody trains on. `right`: of the images whose own label is right, the share
    answered so. `test`: accuracy by true labels. `loss`: the mean cross-entropy of labels as given, `loss human` and
    `loss matched` that of the wrong ones of either kind.
    """
    machine = replace(machine, precision="float32")
    both = [cell | {"corruption_rate": 0.0} for cell in cells]
    data = SplitStack(config, both, machine, config.unseen_size, config.test_size)
    parts = {part: data.images(part) for part in ("train", "validation", "test")}
    kinds = {part: [
        label_sets(getattr(split, part).labels, getattr(split, part).given, split.inputs(part), seed)
        for split, seed in zip(data.splits, data.seeds)
    ] for part in ("train", "validation")}  # fmt: skip
    given = torch.stack([one[cell["labels"]] for one, cell in zip(kinds["train"], cells)])
    stack = data.stack(partial(network, config, data.image_shape))
    optimizer = data.optimizer(stack)
    training = TrainingStep(stack, parts["train"], given, optimizer, cross_entropy)
    rows: list[list[dict[str, float]]] = [[] for _ in cells]
    steps, count = -(-config.train_size // config.batch_size), 0
    due = {(epoch - 1) * steps + step for epoch, some in enumerate(looked_at(config), 1) for step in some}

    def look() -> None:
        outputs = {part: evaluate_stack(stack, images) for part, images in parts.items()}
        answers = {part: one.argmax(dim=2) for part, one in outputs.items()}
        for run in range(len(cells)):
            row = {"epoch": count / steps}
            for kind in ("human", "matched"):
                for part, word in (("train", "seen"), ("validation", "unseen")):
                    true, labels = kinds[part][run]["none"], kinds[part][run][kind]
                    row[f"{word} {kind}"] = share((answers[part][run] == labels)[labels != true])
                wrong = kinds["train"][run][kind] != kinds["train"][run]["none"]
                losses = cross_entropy(outputs["train"][run], kinds["train"][run][kind])
                row[f"loss {kind}"] = losses[wrong].mean().item()
                row[f"true {kind}"] = share((answers["train"][run] == kinds["train"][run]["none"])[wrong])
            right = given[run] == kinds["train"][run]["none"]
            row["right"] = share((answers["train"][run] == given[run])[right])
            row["loss"] = cross_entropy(outputs["train"][run], given[run]).mean().item()
            row["test"] = share(answers["test"][run] == data.truth("test")[run])
            rows[run].append(row)

    def step(batch: Tensor) -> Tensor:
        nonlocal count
        values, count = training(batch), count + 1
        if count in due:
            look()
        return values

    def state(epoch: int) -> dict[str, Any]:
        return {"networks": stack.state(), "optimizer": optimizer.state_dict(), "rows": rows, "epoch": epoch}

    saved: dict[str, Any] = (checkpoint and checkpoint.load()) or {"epoch": 0}
    if saved["epoch"]:
        stack.load(saved["networks"])
        optimizer.load_state_dict(saved["optimizer"])
        rows, count = saved["rows"], steps * saved["epoch"]
    else:
        look()
    for epoch in machine.progress(range(saved["epoch"] + 1, config.epochs + 1), "epochs"):
        train_epoch(step, given, epoch, config.batch_size, data.seeds)
        if checkpoint:
            checkpoint.save_when_due(partial(state, epoch))
    return [{key: [row[key] for row in run] for key in run[0]} for run in rows]


def curve(result: Result, labels: str, key: str) -> Float[Tensor, "seeds looks"]:
    """A curve of all networks trained on labels of a kind."""
    return torch.stack([torch.tensor(one[key]).double() for one in by_seed(result, labels)])


def by_seed(result: Result, labels: str) -> list[dict[str, Any]]:
    """The cells of a kind of labels, in the order of their seeds."""
    return sorted(result.select(labels=labels), key=lambda cell: cell["seed"])


def epochs(result: Result) -> Float[Tensor, " looks"]:
    """When one looked, in epochs."""
    return torch.tensor(result["cells"][0]["epoch"]).double()


def time_to(times: Float[Tensor, " looks"], values: Float[Tensor, "seeds looks"], level: float) -> Tensor:
    """When each curve first reaches a level, between two looks by a straight line; infinity if it never does."""
    found = []
    for one in values:
        above = (one >= level).nonzero()[:, 0].tolist()
        last = above[0] if above else -1
        if last <= 0:
            found.append(times[0].item() if above else float("inf"))
            continue
        part = (level - one[last - 1]) / (one[last] - one[last - 1])
        found.append((times[last - 1] + part * (times[last] - times[last - 1])).item())
    return torch.tensor(found, dtype=torch.float64)


def at(result: Result, labels: str, key: str, epoch: float = EARLY) -> Float[Tensor, " seeds"]:
    """A curve's value at the last look up to an epoch."""
    return curve(result, labels, key)[:, int((epochs(result) <= epoch + 1e-9).sum()) - 1]


def earlier(result: Result, level: float = HALF) -> Float[Tensor, " seeds"]:
    """By how many epochs people's wrong labels are half memorized earlier than the others, seed by seed."""
    when = {kind: time_to(epochs(result), curve(result, kind, f"seen {kind}"), level) for kind in ("human", "matched")}
    return when["matched"] - when["human"]


def sooner(result: Result, epoch: float = EARLY) -> Float[Tensor, " seeds"]:
    """How much more of people's wrong labels is answered as given after an early epoch than of the others."""
    return at(result, "human", "seen human", epoch) - at(result, "matched", "seen matched", epoch)


def foreseen(result: Result, epoch: float = EARLY) -> Float[Tensor, " seeds"]:
    """The same of a network that saw true labels only: errors that are plausible are made without being taught."""
    return at(result, "none", "seen human", epoch) - at(result, "none", "seen matched", epoch)


def beyond(result: Result, epoch: float = EARLY) -> Float[Tensor, " seeds"]:
    """What is left of `sooner` without what was `foreseen`: the difference of differences."""
    return sooner(result, epoch) - foreseen(result, epoch)


def unseen(result: Result, epoch: float = EARLY) -> Float[Tensor, " seeds"]:
    """The same as `foreseen` by images that nobody trains on: what networks repeat without having seen the label."""
    return at(result, "human", "unseen human", epoch) - at(result, "matched", "unseen matched", epoch)


def by_heart(result: Result, epoch: float = EARLY) -> Float[Tensor, " seeds"]:
    """What is left of `sooner` without what the same networks say of images that they have not seen."""
    return sooner(result, epoch) - unseen(result, epoch)


def decided(values: Float[Tensor, " seeds"]) -> str:
    """Whether the mean is above 0, by its 95 % interval."""
    low, high = interval(values)
    return "yes" if low > 0 else "the other way round" if high < 0 else "undecided"


def table(result: Result) -> tuple[list[str], list[list[str]]]:
    """Header and rows: each difference with its interval, in epochs or in points, and whether it is decided."""
    rows = []
    for name, values, factor, digits in (
        (f"epochs earlier, until {HALF:.0%} are memorized", earlier(result), 1, 2),
        (f"answered as given after {EARLY} epochs, points", sooner(result), 100, 1),
        ("... by a network without wrong labels, points", foreseen(result), 100, 1),
        ("... and what is left without that, points", beyond(result), 100, 1),
        ("... or without what is said of unseen images, points", by_heart(result), 100, 1),
    ):
        low, high = interval(values)
        ends = [f"{factor * one:+.{digits}f}".replace("-", "−") for one in (values.mean().item(), low, high)]
        rows.append([name, ends[0], f"{ends[1]} to {ends[2]}", decided(values)])
    return ["people's labels minus the others", "mean", "95 % interval", "above 0?"], rows


def told(result: Result) -> str:
    """What became of the question, in sentences."""
    more, other, left = (100 * one(result) for one in (sooner, foreseen, beyond))
    words = {"yes": "decided: above 0", "undecided": "**undecided**", "the other way round": "decided: below 0"}
    return (
        f"After {EARLY} epochs **{more.mean():.1f} points** more of people's wrong labels are answered as given than "
        f"of the others; of a network without any wrong label it is {other.mean():.1f} points. "
        f"Without those, {left.mean():.1f} points are left, and whether that is more than chance is "
        f"{words[decided(left)]}. Whether half of them are memorized earlier is {words[decided(earlier(result))]}."
    ).replace("-", "−")


def whose(result: Result) -> str:
    """Whose labels stand for people's: people's own, or a stand-in."""
    if result["config"]["data"] == "cifar10n":
        return "people's labels of CIFAR-10"
    return "a stand-in, digits with noise by sample, and no person's labels"


def draw(result: Result) -> Figure:
    """Wrong labels answered as given and as is true, and test accuracy, by people's labels, the others and none."""
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True)
    for (kind, name), look in zip(NAMES.items(), (*plots.KINDS[:2], plots.CONTROL)):
        look = plots.line(look)
        plots.band(axes[2], epochs(result), curve(result, kind, "test"), name, **look)
        if kind == "none":
            continue
        plots.band(axes[0], epochs(result), curve(result, kind, f"seen {kind}"), name, **look)
        plots.band(axes[1], epochs(result), curve(result, kind, f"true {kind}"), name, **look)
        repeated = curve(result, "none", f"seen {kind}").mean(dim=0)
        axes[0].plot(epochs(result), repeated, color=look["color"], linewidth=1, linestyle=":")
    for ax, title in zip(axes, ("answered as given", "answered as is true", "test accuracy")):
        ax.set(title=title, xlabel="epoch", ylim=(0, 1.03))
    axes[0].set(ylabel="share of wrong labels")
    fig.legend(*axes[2].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def work(config: Human) -> float:
    """Images that pass forward and back, those only looked at counted a third."""
    looks = 1 + sum(map(len, looked_at(config)))
    seen = config.train_size + config.unseen_size + config.test_size
    return config.epochs * config.train_size + looks * seen / 3


def tiny(network: str, machine: Machine) -> Numbers:
    """Losses along a small training, of two kinds of labels."""
    small = {"train_size": 24, "unseen_size": 20, "test_size": 20, "batch_size": 16, "epochs": 2, "looks": 2}
    config = Human.at("quick", data="patterns", network=network, width=4, hidden=8, looked_until=1, **small)
    cells = [{"labels": kind, "seed": seed} for kind, seed in (("human", 0), ("matched", 1))]
    found = runs(config, cells, None, machine)
    return {key: listed([run[key] for run in found]) for key in found[0] if key.startswith("loss")}


EXPERIMENT = register(Experiment(
    name="human",
    title="People's errors and drawn ones, which are memorized first",
    own=True,
    config=Human,
    runs=runs,
    sweep={"seed": "seeds", "labels": "labels"},
    work=work,
    trials=({"train_size": 256, "epochs": 1}, {"train_size": 256, "epochs": 3}),
    data=data_hashes,
    deep=False,
    draw={"": draw},
    paths={kind: ("float32", path, partial(tiny, kind)) for kind, path in (("cnn", STACKED), ("resnet", SIDE_BY_SIDE))},
))  # fmt: skip
