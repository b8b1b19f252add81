"""How suspicious each label is, by networks stopped early that have not seen it; and how many labels are wrong.

A network that has trained on a label says little about it: it agrees with it the more, the longer it trains. So the
samples are dealt into folds, and each is judged by a network trained on the other folds. All these networks stop at one
epoch, at which they agree with most of the labels that they have not seen.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from earlystop.arguments import check_shapes, counts, kinds, numbers, refuse, tensors, whole
from earlystop.remedies import Remedy, Task, remedy, train
from earlystop.streams import random_stream

UNEVEN = 0.01  # level of the test of what the interval rests on
AT_ONCE = 2000  # samples that a network answers at once


@dataclass(frozen=True)
class CrossFit:
    """What networks say of n labels that they have not seen, stopped early and after the last epoch.

    `probabilities` and `last` are those of the classes, `agreement` is the share of labels that the networks answer,
    from before the first epoch on; `fitted` is the same of one more network, which has seen all labels, and `model` is
    that one as it was at the stop.

    >>> task = earlystop.remedies.Task(torch.eye(2).repeat(9, 1), [0, 1] * 9, lambda seed: torch.nn.Linear(2, 2))
    >>> found = earlystop.suspects.cross_fit(task)
    >>> found.probabilities.shape, len(found.agreement) == 1 + task.epochs
    (torch.Size([18, 2]), True)
    """

    labels: Int[Tensor, " n"]
    probabilities: Float[Tensor, "n c"]
    last: Float[Tensor, "n c"]
    agreement: list[float]
    fitted: list[float]
    model: nn.Module

    @property
    def epoch(self) -> int:
        """The epoch at which the networks are stopped, from 1: the first of the best agreement."""
        return max(range(1, len(self.agreement)), key=self.agreement.__getitem__)

    @property
    def suspicion(self) -> Float[Tensor, " n"]:
        """How suspicious each label is, from 0 to 1."""
        return suspicion(self.probabilities, self.labels)

    @property
    def share_wrong(self) -> "ShareWrong":
        """How many labels are wrong, as `share_wrong` has it."""
        return share_wrong(self.probabilities, self.labels)


@dataclass(frozen=True)
class ShareWrong:
    """A share of wrong labels, its interval, and the samples by which it was found.

    `steady` is False where Fisher's exact test tells the surer half of these samples from the other half, by how often
    their labels are agreed with, at the level `UNEVEN`: then doubt the interval.

    >>> found = earlystop.suspects.share_wrong([[0.9, 0.1]] * 4, labels=[0, 1, 1, 0])
    >>> found.estimate, found.judged, found.disagreeing, found.steady
    (0.5, 2, 1, True)
    """

    estimate: float
    low: float
    high: float
    judged: int
    disagreeing: int
    steady: bool


def cross_fit(task: Task, folds: int = 5, name: str = "cross_entropy", **settings: Any) -> CrossFit:
    """Judge each label of a task by a network that has trained on the other folds, with a remedy of `REMEDIES`.

    Raises `ValueError` for fewer than 2 folds, more folds than samples, and a task of no epoch or a single class.

    >>> task = earlystop.remedies.Task(torch.eye(2).repeat(9, 1), [0, 1] * 9, lambda seed: torch.nn.Linear(2, 2))
    >>> found = earlystop.suspects.cross_fit(task, folds=3)
    >>> found.suspicion.shape, found.agreement[found.epoch]
    (torch.Size([18]), 1.0)
    """
    kinds(Task, "a Task of earlystop.remedies", task=task)
    counts(least=2, folds=folds)
    kinds(str, "the name of a remedy", name=name)
    refuse({
        f"folds are {folds}, more than the {len(task.labels)} samples": folds > len(task.labels),
        "task has no epochs: without training there is nothing to stop": task.epochs < 1,
        "task has one class only: there is no other that a label could be": task.classes < 2,
    })  # fmt: skip
    fold = fold_of(task.labels, folds, task.seed)
    left = [replace(task, inputs=task.inputs[fold != k], labels=task.labels[fold != k]) for k in range(folds)]
    judges, learner = [remedy(name, part, **settings) for part in left], remedy(name, task, **settings)
    now = torch.empty(len(task.labels), task.classes, device=task.inputs.device)
    agreement, fitted, best, model = [], [], now, learner.model
    for epoch, *_ in zip(*map(train, [*judges, learner])):
        for k, judge in enumerate(judges):
            now[fold == k] = _probabilities(judge, task.inputs[fold == k])
        agreement.append(_share(now.argmax(dim=1) == task.labels))
        fitted.append(_share(_probabilities(learner, task.inputs).argmax(dim=1) == task.labels))
        if epoch == 1 or (epoch > 1 and agreement[-1] > max(agreement[1:-1])):
            best, model = now.clone(), copy.deepcopy(learner.model)
    return CrossFit(task.labels, best, now, agreement, fitted, model.eval())


def fold_of(labels: Int[Tensor, " n"], folds: int, seed: int = 0) -> Int[Tensor, " n"]:
    """The fold of each sample, by chance; each class is dealt out evenly.

    >>> earlystop.suspects.fold_of([0, 0, 1, 1], folds=2).view(2, 2).sort().values
    tensor([[0, 1],
            [0, 1]])
    """
    (labels,) = whole(labels=(labels, "n"))
    counts(least=1, folds=folds)
    counts(seed=seed)
    order = torch.randperm(len(labels), generator=random_stream(seed, "folds")).to(labels.device)
    order = order[labels[order].argsort(stable=True)]
    found = torch.empty_like(labels)
    found[order] = torch.arange(len(labels), device=labels.device) % folds
    return found


def suspicion(probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """1 minus the probability of each given label, as a network says that has not seen it.

    Where every wrong class is as likely as any other, no ranking of the labels finds wrong ones better, if the network
    knows the probabilities of the given labels: the chance that a label is wrong falls where its probability rises.

    >>> earlystop.suspects.suspicion([[0.75, 0.25], [0.5, 0.5]], labels=[1, 0])
    tensor([0.7500, 0.5000])
    """
    found, labels = _judged(probabilities, labels)
    return 1 - found.gather(1, labels[:, None])[:, 0]


def share_wrong(
    probabilities: Float[Tensor, "n c"], labels: Int[Tensor, " n"], surest: float = 0.5, network_error: float = 0.01,
    level: float = 0.95,
) -> ShareWrong:  # fmt: skip
    """An estimate of the share of wrong labels: how many the network disagrees with where it is surest.

    Of the samples of each answer the share `surest` counts, those of the highest probability. The interval is that of
    Clopper and Pearson at a `level`, and `network_error` wider at both ends. It assumes that (1) the network has not
    seen these labels, (2) of these samples it names wrongly at most the share `network_error`, and (3) labels are wrong
    as often among them as among all. The third is false where labels of hard samples are wrong more often, or those of
    some classes.

    >>> sure, labels = torch.tensor([[0.9, 0.1]]).repeat(100, 1), [1] * 10 + [0] * 90
    >>> found = earlystop.suspects.share_wrong(sure, labels, surest=1.0)
    >>> found.estimate, round(found.low, 3), round(found.high, 3)
    (0.1, 0.039, 0.186)
    """
    found, labels = _judged(probabilities, labels)
    numbers(surest=surest, network_error=network_error, level=level)
    refuse({
        f"surest is {surest}, should be above 0 and at most 1": not 0 < surest <= 1,
        f"network_error is {network_error}, should be from 0, and below 1": not 0 <= network_error < 1,
        f"level is {level}, should be between 0 and 1": not 0 < level < 1,
    })  # fmt: skip
    sure, answer = found.max(dim=1)
    halves: list[list[Tensor]] = [[], []]
    for one in answer.unique():
        rows = (answer == one).nonzero()[:, 0]
        rows = rows[sure[rows].argsort(descending=True, stable=True)][: max(1, round(surest * len(rows)))]
        for half, part in zip(halves, (rows[: len(rows) // 2], rows[len(rows) // 2 :])):
            half.append(answer[part] != labels[part])
    sides = [torch.cat(half) for half in halves]
    table = [[int(side.sum()), int((~side).sum())] for side in sides]
    judged, wrong = sum(map(len, sides)), table[0][0] + table[1][0]
    low, high = clopper_pearson(wrong, judged, level)
    from scipy.stats import fisher_exact

    steady = float(fisher_exact(table)[1]) >= UNEVEN  # pyright: ignore
    return ShareWrong(
        wrong / judged, max(0.0, low - network_error), min(1.0, high + network_error), judged, wrong, steady
    )


def clopper_pearson(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a probability, by how often something with it happened.

    >>> low, high = earlystop.suspects.clopper_pearson(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.3085)
    """
    counts(least=0, hits=hits)
    counts(least=1, trials=trials)
    numbers(level=level)
    refuse({
        f"hits are {hits}, more than the {trials} trials": hits > trials,
        f"level is {level}, should be between 0 and 1": not 0 < level < 1,
    })  # fmt: skip
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0


def _judged(probabilities: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Probabilities of n labels, and these. `ValueError` if they are no probabilities, or no such labels."""
    (found,) = tensors(probabilities=(probabilities, "n c"))
    (labels,) = whole(labels=(labels, "n"))
    check_shapes({"probabilities": (found, "n c"), "labels": (labels, "n")})
    sums = found.sum(dim=1)
    refuse({
        "probabilities are none: there is nothing to judge": not found.numel(),
        "probabilities should be from 0 to 1, with 1 as the sum of each row":
            not bool(((sums - 1).abs() < 1e-3).all()) or bool((found < 0).any()),
        f"labels has {int(labels.max()) if len(labels) else 0}, but there are {found.shape[1]} classes":
            bool((labels >= found.shape[1]).any()),
    })  # fmt: skip
    return found, labels


def _probabilities(one: Remedy, inputs: Tensor) -> Tensor:
    """What a remedy's network answers, as probabilities of the classes."""
    return torch.cat([one.outputs(few) for few in inputs.split(AT_ONCE)]).softmax(dim=1)


def _share(hits: Tensor) -> float:
    return hits.double().mean().item()
