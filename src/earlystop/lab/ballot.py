"""Majority votes: the mean given label of each cluster, how many wrong labels it bears, and the chance that it is lost.

There is a cluster for each class. Class labels are whole multiples of a unit, so that sums of labels are exact. A vote
is lost as soon as its mean is no longer nearer to the true label than to another one. `book/_static/lab/ballot.js` does
the same in a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, floor, inf, prod

import numpy as np

from earlystop.data import refuse
from earlystop.lab.model import State
from earlystop.lab.philox import Stream
from earlystop.lab.state import FIELDS

VOTES = 6  # purpose of random numbers
ANY, NEXT, WORST = FIELDS["wrong_to"]["choices"]


@dataclass(frozen=True)
class Scale:
    """The labels of a state's classes: -1 + `unit` · `at`."""

    at: list[int]
    unit: float

    @property
    def values(self) -> list[float]:
        """The class labels."""
        return [-1 + self.unit * one for one in self.at]

    @property
    def separation(self) -> float:
        """δ, the smallest distance of two labels."""
        return self.unit * min(high - low for low, high in zip(self.at, self.at[1:]))

    def gap(self, own: int, up: bool) -> float:
        """From a class to its neighbor above or below, in units; infinite beyond the ends."""
        other = own + (1 if up else -1)
        return abs(self.at[other] - self.at[own]) if 0 <= other < len(self.at) else inf

    def lost(self, own: int, shift: int, size: int) -> bool:
        """Whether labels of a cluster that lie `shift` units beside the true one, all together, lose its vote."""
        return 2 * abs(shift) >= size * self.gap(own, shift > 0)


def scale(state: State) -> Scale:
    """The class labels of a state, even or set by hand. `ValueError` if their number is wrong."""
    places, classes = state["label_places"], state["classes"]
    wrong = f"there are {len(places)} label_places for {classes} classes, should be one each, or none for even labels"
    refuse({wrong: len(places) not in (0, classes)})
    own = [(one + 100) // 5 for one in places]
    return Scale(own, 0.05) if own else Scale(list(range(classes)), 2 / (classes - 1))


def targets(labels: Scale, kind: str, own: int) -> list[int]:
    """The classes that a wrong label of a cluster may say, each as likely."""
    last = len(labels.at) - 1
    if kind == ANY:
        return [(own + one) % (last + 1) for one in range(1, last + 1)]
    if kind == NEXT:
        return [own + 1 if own < last else own - 1]
    up, down = (
        labels.gap(own, one) / max(1, abs(labels.at[end] - labels.at[own])) for one, end in ((True, last), (False, 0))
    )
    return [last if up <= down else 0]


def limits(state: State) -> list[float]:
    """The share of wrong labels at which the expected mean of each cluster is halfway to another label."""
    labels, kind, found = scale(state), state["wrong_to"], []
    for own, at in enumerate(labels.at):
        to = targets(labels, kind, own)
        shift = sum(labels.at[one] - at for one in to)
        found.append(len(to) * labels.gap(own, shift > 0) / (2 * abs(shift)) if shift else inf)
    return found


@dataclass(frozen=True)
class Allowed:
    """Shares ρ of all labels that may be wrong."""

    theorem: float  # δ/8 in each cluster, Theorem 2.2
    vote: float  # until the mean given label of some cluster is expected to be halfway to another one
    anywhere: float  # δ/2 = γρ · (the largest change of a label), Theorem 4.1
    weakest: int  # the cluster that is lost first


def allowed(state: State) -> Allowed:
    """What theory and the vote itself allow."""
    labels, found, count = scale(state), limits(state), state["classes"]
    share = count if state["one_cluster"] else 1  # of a cluster in that of all labels
    at, kind, delta = labels.at, state["wrong_to"], labels.separation
    change = labels.unit * max(abs(at[to] - at[own]) for own in range(count) for to in targets(labels, kind, own))
    least = min(found)
    return Allowed(delta / 8 / share, least / share, delta / (2 * count * change), found.index(least))


@dataclass(frozen=True)
class Ballot:
    """The given labels of a cluster: how many say each class, their mean, and whether the vote is lost."""

    counts: list[int]
    mean: float
    lost: bool


def wrong_in(state: State, own: int, weakest: int) -> int:
    """Wrong labels in a cluster: ⌊ρ n_ℓ⌋ in each, or ⌊ρ n⌋ in the weakest."""
    size, rate = state["cluster_size"], state["corruption_rate"]
    if not state["one_cluster"]:
        return floor(rate * size + 1e-9)
    return min(size, floor(rate * size * state["classes"] + 1e-9)) if own == weakest else 0


def ballots(state: State) -> list[Ballot]:
    """The votes of all clusters; what a wrong label says is drawn from the state's seed."""
    labels, size, stream = scale(state), state["cluster_size"], Stream(state["seed"], VOTES)
    weakest, found = allowed(state).weakest, []
    for own, at in enumerate(labels.at):
        to = targets(labels, state["wrong_to"], own)
        drawn = [to[stream.below(len(to))] for _ in range(size)][: wrong_in(state, own, weakest)]
        counts = [drawn.count(one) for one in range(len(labels.at))]
        counts[own] = size - len(drawn)
        shift = sum(labels.at[one] - at for one in drawn)
        found.append(Ballot(counts, labels.values[own] + labels.unit * shift / size, labels.lost(own, shift, size)))
    return found


def lost_among(state: State, own: int) -> np.ndarray:
    """The probability that a cluster's vote is lost if just m of its labels are wrong, for m from 0 to its size."""
    labels, size = scale(state), state["cluster_size"]
    steps = [labels.at[to] - labels.at[own] for to in targets(labels, state["wrong_to"], own)]
    low, one = min(0, *steps), np.zeros(max(0, *steps) - min(0, *steps) + 1)
    np.add.at(one, np.array(steps) - low, 1 / len(steps))
    sums, found = np.ones(1), []  # the distribution of the shift, from m · low on
    for wrong in range(size + 1):
        shifts = range(wrong * low, wrong * low + len(sums))
        found.append(sum(share for shift, share in zip(shifts, sums) if share and labels.lost(own, shift, size)))
        sums = np.convolve(sums, one)
    return np.array(found)


def chances(state: State, rates: Sequence[float]) -> tuple[list[float], list[float]]:
    """The probability that the weakest cluster, and that any cluster, is lost if each label is wrong by chance.

    A label is wrong with the probability ρ, whatever the others are; if all wrong ones are in one cluster, with as much
    as gives that share of all labels.
    """
    count, size, weakest = state["classes"], state["cluster_size"], allowed(state).weakest
    among = {own: lost_among(state, own) for own in (range(count) if not state["one_cluster"] else [weakest])}
    alone, some = [], []
    for rate in rates:
        p = min(1, rate * count) if state["one_cluster"] else rate
        weights = np.array([comb(size, m) * p**m * (1 - p) ** (size - m) for m in range(size + 1)])
        lost = {own: float(weights @ one) for own, one in among.items()}
        alone.append(lost[weakest])
        some.append(1 - prod(1 - one for one in lost.values()))
    return alone, some
