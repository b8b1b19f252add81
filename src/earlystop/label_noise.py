"""Ways in which labels are wrong. Here a rate is the share that is wrong, not the share drawn again."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earlystop.arguments import counts, finite, numbers, refuse, tensors, whole
from earlystop.streams import random_stream

KINDS = {
    "uniform": "another class, each as likely",
    "pair": "the next class",
    "by class": "the next class, and only where the class is even",
    "by sample": "a class that depends on the sample",
}
SPREAD = 0.1  # of the rates of single samples, where noise goes by sample


def corrupt(
    labels: Int[Tensor, " n"], corruption_rate: float, kind: str = "uniform", *, classes: int = 10, seed: int = 0,
    inputs: Float[Tensor, "n ..."] | None = None, stream: str = "wrong labels",
) -> Int[Tensor, " n"]:  # fmt: skip
    """Labels of which a share ρ is wrong, in one of four ways.

    `"uniform"`: round(ρn) labels become any other class; `"pair"`: the next class, as after 9 comes 0; `"by class"`:
    the same number, all from the even classes, so that these are wrong twice as often if half of the labels are even;
    `"by sample"`: every sample has a rate of its own near ρ, and a wrong class that a random linear function of its
    `inputs` prefers, so ρ is reached on average only. Another `stream` gives an independent draw of the same seed.
    Raises `ValueError` for an unknown kind, ρ outside [0, 1], labels outside 0 to `classes` - 1, and more wrong labels
    than the even classes have.

    >>> earlystop.label_noise.corrupt([0, 1, 2, 0], 0.5, "pair", classes=3).ne(torch.tensor([0, 1, 2, 0])).sum()
    tensor(2)
    """
    labels = _classes_of(labels, classes, "labels")
    numbers(corruption_rate=corruption_rate)
    refuse({
        f"kind is {kind!r}, should be of {', '.join(KINDS)}": kind not in KINDS,
        f"corruption_rate is {corruption_rate}, should be between 0 and 1": not 0 <= corruption_rate <= 1,
    })  # fmt: skip
    draw = random_stream(seed, f"{stream}, {kind}")
    if kind == "by sample":
        refuse({"inputs are missing: noise by sample depends on them": inputs is None})
        return _by_sample(labels, corruption_rate, classes, inputs, seed, draw)
    order = torch.randperm(len(labels), generator=draw)
    if kind == "by class":
        order = order[labels[order] % 2 == 0]
    count = round(corruption_rate * len(labels))
    refuse({f"{count:,} labels should be wrong, but the even classes have {len(order):,}": count > len(order)})
    shift = torch.randint(1, classes, (count,), generator=draw) if kind == "uniform" else 1
    noisy = labels.clone()
    noisy[order[:count]] = (labels[order[:count]] + shift) % classes
    return noisy


def _by_sample(labels, corruption_rate, classes, inputs, seed, draw) -> Int[Tensor, " n"]:
    """Every sample with a rate of its own, and the wrong class that its true class's random function prefers."""
    (inputs,) = tensors(inputs=(inputs, "*"))
    finite(inputs=inputs)
    told = f"inputs has shape {tuple(inputs.shape)}, should have {len(labels)} rows, as labels"
    refuse({told: inputs.shape[:1] != labels.shape})
    flat = inputs.flatten(1).double()
    centered = (flat - flat.mean(dim=0)) / flat.std().clamp(min=1e-12)
    weights = torch.randn(classes, flat.shape[1], classes, generator=random_stream(seed, "tastes"), dtype=torch.float64)
    scores = torch.empty(len(labels), classes, dtype=torch.float64)
    for one in labels.unique():
        scores[labels == one] = centered[labels == one] @ weights[one]
    rates = (corruption_rate + SPREAD * torch.randn(len(labels), generator=draw)).clamp(0, 1) * (corruption_rate > 0)
    others = scores.scatter(1, labels[:, None], float("-inf")).softmax(dim=1)
    target = torch.multinomial(others, 1, generator=draw)[:, 0]
    return torch.where(torch.rand(len(labels), generator=draw) < rates, target, labels)


def transition(labels: Int[Tensor, " n"], given: Int[Tensor, " n"], classes: int = 10) -> Float[Tensor, "c c"]:
    """Row i: how the labels of class i are given, as shares of the c classes. A class without samples keeps its own.

    Raises `ValueError` for labels outside 0 to `classes` - 1, and for two lists that are not equally long.

    >>> earlystop.label_noise.transition([0, 0, 1, 1], [0, 1, 1, 1], classes=2)
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """
    labels, given = whole(labels=(labels, "n"), given=(given, "n"))
    labels, given = _classes_of(labels, classes, "labels"), _classes_of(given, classes, "given")
    pairs = torch.bincount(labels * classes + given, minlength=classes**2).view(classes, classes).float()
    empty = pairs.sum(dim=1) == 0
    return (pairs + torch.diag(empty.float())) / (pairs.sum(dim=1, keepdim=True) + empty[:, None])


def matched(labels: Int[Tensor, " n"], given: Int[Tensor, " n"], seed: int = 0) -> Int[Tensor, " n"]:
    """The same wrong labels on other samples: those given to a class are dealt out again within it, at random.

    So the transition matrix stays what it is, exactly, and which sample is wrong has nothing to do with the sample.
    Raises `ValueError` for labels that are no whole numbers from 0 on, and for two lists that are not equally long.

    >>> labels, given = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 1])
    >>> earlystop.label_noise.matched(labels, given).sort().values
    tensor([0, 1, 1, 2])
    """
    labels, given = whole(labels=(labels, "n"), given=(given, "n"))
    draw, dealt = random_stream(seed, "matched labels"), given.clone()
    for one in labels.unique():
        rows = (labels == one).nonzero()[:, 0]
        dealt[rows] = given[rows[torch.randperm(len(rows), generator=draw)]]
    return dealt


def _classes_of(labels: Int[Tensor, " n"], classes: int, name: str) -> Int[Tensor, " n"]:
    counts(least=2, classes=classes)
    (labels,) = whole(**{name: (labels, "n")})
    most = labels.max().item() if len(labels) else 0
    refuse({f"{name} has {most}, should be classes from 0 to {classes - 1}": most >= classes})
    return labels
