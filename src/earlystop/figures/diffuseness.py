"""Theorem 4.1 on networks that were trained on wrong labels: the top spaces of the Jacobian, and what lies in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop import spaces
from earlystop.figures import pictures, stages
from earlystop.figures.splits import WIDTHS, data_hashes, data_set, number, rates
from earlystop.figures.stages import IMAGE_NETWORKS, TIMES
from earlystop.metrics import in_words
from earlystop.runs.experiment import Cell, Experiment, Run, register
from earlystop.runs.fingerprint import SIDE_BY_SIDE, STACKED, Numbers, listed
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.sizes import Sized, always, sizes

RANKS = (1, 2, 4, 10, 20, 50, 100)  # dimensions of the top spaces
VALUES = 60  # singular values that are kept, relative to the largest
NAMES = {"cnn": "convolutional network", "clusters": "four clusters", "resnet": "ResNet"}


@dataclass(frozen=True)
class Diffuseness(Sized):
    """Networks trained on wrong labels, and the Jacobian of one output of theirs."""

    networks: tuple = sizes(("cnn", "clusters"), ("cnn", "clusters", "resnet"), ("cnn", "clusters", "resnet"),
                            "networks", of=("clusters", *IMAGE_NETWORKS), once=True)  # fmt: skip
    cnn_data: str = data_set("digits", "mnist")
    resnet_data: str = data_set("digits", "cifar10")
    samples: int = sizes(300, 600, 10_000, "images, n", least=RANKS[-1])
    validation_size: int = number(200, 400, 2000, "validation images")
    widths: tuple = sizes((8, 16, 32), (16, 32, 64), WIDTHS, "widths of the network of Figure 1", least=1, length=3)
    depth: int = sizes(8, 20, 20, "depth of the ResNet", least=8)
    width: int = number(8, 8, 16, "width of its first stage")
    epochs: int = sizes(20, 30, 100, "epochs", ours=True)
    batch_size: int = number(32, 32, 128, "batch size", ours=True)
    output: int = always(0, "class that is told from the others", ours=True, of=range(10))
    points: int = sizes(200, 200, 400, "samples of the clusterable model", ours=True, least=RANKS[-1])
    input_noise: float = always(0.2, "radius of its clusters, ε₀", ours=True)
    iterations: int = sizes(1000, 2000, 4500, "iterations on it", ours=True, least=1)
    corruption_rates: tuple = rates((0.0, 0.3), (0.0, 0.1, 0.3), (0.0, 0.1, 0.3, 0.5))
    control_rate: float = always(0.3, "rate of the flips that the control only looks at", ours=True, most=1)
    seeds: int = number(1, 3, 3, "seeds")


def runs(config: Diffuseness, cells: Sequence[Cell], checkpoint: Any, machine: Machine) -> list[Run]:
    """Of a single cell, before training, stopped early and in the end: what lies in the top spaces of J, and their γ.

    Truth, clean residual and noise e are those of one output; in the control, which is trained on true labels, e is
    of flips that are only looked at. Early is where the loss on clean validation samples is least.
    """
    (cell,) = cells
    build = stages.clusters if cell["network"] == "clusters" else stages.images
    truth, noise, groups, views = build(config, cell, machine)
    found: Run = {"rho": (noise != 0).double().mean(), "constant": spaces.constant_share(noise, groups)}
    for name, numbers, outputs, gram in views:
        values, vectors, gamma = spaces.leverage(gram, RANKS)
        shares = {"truth": truth, "clean": outputs - truth, "noise": noise}
        numbers |= {key: spaces.energy_within(one, vectors, RANKS) for key, one in shares.items()}
        numbers |= {"gamma": gamma, "seen": spaces.seen(noise, vectors, RANKS), "far": (outputs - truth).abs().max()}
        numbers |= {"values": values[:VALUES] / values[0], "wrong": ((outputs - truth).abs() >= 0.5).double().mean()}
        found |= {f"{key}_{name}": torch.as_tensor(value).cpu() for key, value in numbers.items()}
    return [found]


def measured(result: Result, key: str, rank: int | None = None, **where: Any) -> Float[Tensor, " seeds"]:
    """A number of every seed, of a top space of a dimension if it has one for each, in order of the seeds."""
    found = result.numbers(key, **where)
    return found if rank is None else found[:, RANKS.index(rank)]


def classes(name: str) -> int:
    """The dimension that the theorem has in mind: of the clusters, or as many as there are classes."""
    return 4 if name == "clusters" else 10


def over_networks(result: Result, key: str, rate: float | None = None) -> Float[Tensor, "networks seeds"]:
    """A number of the top space of `classes` dimensions, of each network, at the highest corruption rate or another."""
    rate = max(result.levels("corruption_rate")) if rate is None else rate
    names = result.levels("network")
    return torch.stack([measured(result, key, classes(n), network=n, corruption_rate=rate) for n in names])


def noise_outside(result: Result) -> Float[Tensor, " seeds"]:
    """Share of the noise outside the top space of the network stopped early, least over the networks."""
    return 1 - over_networks(result, "noise_early").amax(0)


def clean_inside(result: Result) -> Float[Tensor, " seeds"]:
    """Share of the clean residual that the top space holds before training, least over the networks."""
    return over_networks(result, "clean_start").amin(0)


def contrast(result: Result) -> Float[Tensor, " seeds"]:
    """How many times the share of the truth in the top space is that of the noise, stopped early; least."""
    return (over_networks(result, "truth_early") / over_networks(result, "noise_early")).amin(0)


def gamma_by_rank(result: Result) -> Float[Tensor, " seeds"]:
    """γ over the dimension, which it is at least, stopped early, largest over the networks."""
    ranks = torch.tensor([[classes(n)] for n in result.levels("network")])
    return (over_networks(result, "gamma_early") / ranks).amax(0)


def bounds(result: Result, rate: float) -> Float[Tensor, "networks seeds"]:
    """γρ of the top space of each network, stopped early."""
    rho = [measured(result, "rho", network=name, corruption_rate=rate) for name in result.levels("network")]
    return over_networks(result, "gamma_early", rate) * torch.stack(rho)


def overview(result: Result) -> list[list]:
    """Of each network stopped early, at the highest rate: r, γ, γρ, the shares of truth and noise, constant noise."""
    rate, rows = max(result.levels("corruption_rate")), []
    for name, bound in zip(result.levels("network"), bounds(result, rate)):
        of = partial(measured, result, network=name, corruption_rate=rate)
        gamma, *shares = (of(f"{key}_early", classes(name)) for key in ("gamma", "truth", "noise"))
        shares.append(of("constant"))
        rows.append([NAMES[name], classes(name), in_words(gamma, ".0f"), in_words(bound, ".1f"),
                     *(in_words(share, ".0%") for share in shares)])  # fmt: skip
    return rows


def condition(result: Result) -> Float[Tensor, " seeds"]:
    """γρ over δ/2, stopped early, least over the networks: below 1 Theorem 4.1 promises the true labels."""
    return 2 * bounds(result, max(result.levels("corruption_rate"))).amin(0)


def condition_low(result: Result) -> Float[Tensor, " seeds"]:
    """The same at the lowest corruption rate above 0."""
    return 2 * bounds(result, min(rate for rate in result.levels("corruption_rate") if rate > 0)).amin(0)


def bound_used(result: Result) -> Float[Tensor, " seeds"]:
    """‖Π e‖_∞ over γρ in the top space, stopped early, largest over the networks; never above 1."""
    return (over_networks(result, "seen_early") / bounds(result, max(result.levels("corruption_rate")))).amax(0)


def alignment_learned(result: Result) -> Float[Tensor, " seeds"]:
    """Which part of the truth in the top space of image networks came by training on true labels, least of them."""
    kept = [i for i, name in enumerate(result.levels("network")) if name in IMAGE_NETWORKS]
    start, end = (over_networks(result, f"truth_{time}", 0.0)[kept] for time in ("start", "end"))
    return (1 - start / end).amin(0)


def hashes(config: Diffuseness) -> dict[str, str]:
    """Hashes of all image data that is read."""
    names = sorted({getattr(config, f"{one}_data") for one in config.networks if one in IMAGE_NETWORKS})
    found = {name: data_hashes(SimpleNamespace(data=name)) for name in names}
    return {f"{name}, {part}": one for name, parts in found.items() for part, one in parts.items()}


def work(config: Diffuseness) -> float:
    """Operations of the dearest part, the convolutional network: training, gradients, and J Jᵀ three times."""
    a, b, c = config.widths
    parameters, forward = 640 / 64 * a + 9 * a * b + 144 * b * c, 5200 * a * b + 144 * b * c
    return config.samples * (6 * forward * (config.epochs + 12) + 3 * config.samples * parameters)


def tiny(name: str, machine: Machine) -> Numbers:
    """The largest singular values of a small network, and what lies in its first directions."""
    config = Diffuseness.at("quick", cnn_data="patterns", resnet_data="patterns", samples=100, validation_size=20,
                            widths=(4, 4, 8), width=4, epochs=1, points=100, iterations=30)  # fmt: skip
    (found,) = runs(config, [{"network": name, "corruption_rate": 0.5, "seed": 1}], None, machine)
    counts = {"values": 5, "truth": 2, "noise": 2, "gamma": 2, "far": None}
    numbers = {
        f"{key} {time}": listed(found[f"{key}_{time}"])[:count] for time in TIMES for key, count in counts.items()
    }
    return numbers | {key: listed(found[key]) for key in ("rho", "constant")}


draw_shares = partial(pictures.shares_inside, ranks=RANKS, names=NAMES)
draw_gamma = partial(pictures.gamma_of_spaces, ranks=RANKS, names=NAMES)
EXPERIMENT = register(Experiment(
    name="diffuseness",
    title="Theorem 4.1 on networks trained on wrong labels",
    config=Diffuseness,
    runs=runs,
    sweep={"network": "networks", "corruption_rate": "corruption_rates", "seed": "seeds"},
    one_by_one=True,
    work=work,
    trials=({"samples": 128, "epochs": 1}, {"samples": 512, "epochs": 1}),
    data=hashes,
    words="trained in {}, Jacobian in float32",
    memory=12.0,
    float64=True,
    draw={"": draw_shares, "-gamma": draw_gamma},
    paths={name: ("float32", machine, partial(tiny, name))
           for name, machine in (("clusters", STACKED), ("cnn", STACKED), ("resnet", SIDE_BY_SIDE))},
))  # fmt: skip
