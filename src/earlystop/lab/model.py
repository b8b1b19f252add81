"""What the engine of the living figures (`book/_static/lab/engine.js`) computes, by the book's own functions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.arguments import counts, kinds, refuse
from earlystop.data import Dataset, class_labels, nearest_label
from earlystop.descent import Trajectory, gradient_descent, largest_stable_step
from earlystop.jacobian import gram
from earlystop.lab.philox import Stream
from earlystop.metrics import error_rate
from earlystop.network import ACTIVATIONS, Activation, predict
from earlystop.window import first_stretch

CENTERS, DIRECTIONS, RADII, WRONG, WEIGHTS = range(1, 6)  # purposes of random numbers
TRIES, RESTARTS = 200, 20
BY_NAME = {one.name: one for one in ACTIVATIONS}
State = dict[str, Any]


def dataset(state: State) -> Dataset:
    """The clusterable data of a state with its wrong labels (Definition 1.2), in float64. `ValueError` if none fit.

    >>> earlystop.lab.dataset(earlystop.lab.state("stop", samples=20)).inputs.shape[0]
    20
    """
    kinds(dict, "the settings of a figure, as lab.state('stop') gives", state=state)
    if "points" in state:
        return _own_points(state)
    n, count, dim, classes = (state[name] for name in ("samples", "clusters", "dim", "classes"))
    beyond = [one for one in state["changed"] if one >= n]
    refuse({f"{classes} classes in {count} clusters: every class needs one": classes > count,
            f"{n} samples in {count} clusters: every one needs one": n < count,
            f"sample {min(beyond, default=0)} is changed, but there are {n}, counted from 0": bool(beyond),
            })  # fmt: skip
    class_of = torch.arange(count) * classes // count
    centers = _axes(count, dim) if state["axes"] else _random_centers(state, class_of)
    sizes = n // count + (torch.arange(count) < n % count).long()
    clusters = torch.repeat_interleave(torch.arange(count), sizes)
    labels, truth = class_labels(classes), class_of[clusters]
    given = _given(state, clusters, truth)
    inputs = _around(state, centers, clusters)
    return Dataset(inputs, labels[given], labels[truth], clusters, centers, labels[class_of], labels,
                   state["input_noise"], given != truth)  # fmt: skip


def _own_points(state: State) -> Dataset:
    """Inputs that a state gives itself, with classes for labels: each is a cluster of its own."""
    inputs, classes = torch.tensor(state["points"], dtype=torch.float64), class_labels(state["classes"])
    labels, count = classes[torch.tensor(state["given"])], len(inputs)
    nobody = torch.zeros(count, dtype=torch.bool)
    return Dataset(inputs, labels, labels, torch.arange(count), inputs, labels, classes, 0.0, nobody)


def _axes(count: int, dim: int) -> Tensor:
    refuse({f"{dim} axes have {2 * dim} ends, fewer than {count} clusters": count > 2 * dim})
    ends = torch.eye(dim, dtype=torch.float64)
    return torch.stack([ends, -ends], dim=1).flatten(0, 1)[:count]


def _random_centers(state: State, class_of: Tensor) -> Tensor:
    stream, count, dim = Stream(state["seed"], CENTERS), state["clusters"], state["dim"]
    for _ in range(RESTARTS):
        centers, tries = np.empty((0, dim)), 0
        while len(centers) < count and tries < TRIES:
            one = stream.normals(dim)
            one /= np.sqrt((one**2).sum())
            others = centers[(class_of[: len(centers)] != class_of[len(centers)]).numpy()]
            fits = (np.sqrt(((others - one) ** 2).sum(1)) >= 2 * state["input_noise"]).all()
            centers, tries = (np.vstack([centers, one]), 0) if fits else (centers, tries + 1)
        if len(centers) == count:
            return torch.from_numpy(centers)
    raise ValueError(
        f"{count} clusters of radius {state['input_noise']:g} do not fit in {dim} dimensions: "
        "fewer, smaller, or more dimensions"
    )


def _around(state: State, centers: Tensor, clusters: Tensor) -> Tensor:
    n, dim, radius = len(clusters), state["dim"], state["input_noise"]
    direction = torch.from_numpy(Stream(state["seed"], DIRECTIONS).normals(n * dim)).view(n, dim)
    if not state["shell"]:
        radius = radius * torch.from_numpy(Stream(state["seed"], RADII).uniforms(n))[:, None] ** (1 / (dim - 1))
    radius, near = torch.as_tensor(radius, dtype=torch.float64), centers[clusters]
    tangent = direction - (direction * near).sum(1, keepdim=True) * near
    tangent = tangent / tangent.norm(dim=1, keepdim=True)
    return (1 - radius**2 / 2) * near + radius * (1 - radius**2 / 4).sqrt() * tangent


def _given(state: State, clusters: Tensor, truth: Tensor) -> Tensor:
    """The class of each given label."""
    given, stream, classes = truth.clone(), Stream(state["seed"], WRONG), state["classes"]
    chosen = _wrong_samples(state, clusters, stream)
    for i in chosen:
        given[i] = (truth[i] + 1 + stream.below(classes - 1)) % classes
    for i in state["changed"]:
        given[i] = (truth[i] + 1) % classes if given[i] == truth[i] else truth[i]
    return given


def _wrong_samples(state: State, clusters: Tensor, stream: Stream) -> list[int]:
    groups = [torch.nonzero(clusters == one).flatten().tolist() for one in range(state["clusters"])]
    share = lambda count: int(state["corruption_rate"] * count + 1e-9)
    chosen = []
    for group in groups[:1] if state["one_cluster"] else groups:
        count = min(len(group), share(len(clusters))) if state["one_cluster"] else share(len(group))
        for i in range(count):
            other = i + stream.below(len(group) - i)
            group[i], group[other] = group[other], group[i]
        chosen += group[:count]
    return chosen


def initial_weights(state: State) -> Tensor:
    """W₀ with standard normal entries, in float64; `paired` repeats the first half, so that f(W₀) = 0."""
    k, dim = state["hidden_units"], state["dim"]
    refuse({f"hidden_units is {k}, should be even: half of the output weights are negative": k % 2 == 1})
    rows = k // 2 if state["paired"] else k
    drawn = torch.from_numpy(Stream(state["seed"], WEIGHTS).normals(rows * dim)).view(rows, dim)
    return torch.cat([drawn, drawn]) if state["paired"] else drawn


@dataclass(frozen=True)
class Outcome:
    """A run of a living figure, in Python."""

    data: Dataset
    weights: Tensor  # W₀
    step: float  # η
    path: Trajectory

    @property
    def answers(self) -> Float[Tensor, "T+1 n"]:
        """The class label nearest to each output, after each iteration."""
        return nearest_label(self.path.outputs, self.data.classes)

    @property
    def by_given(self) -> Float[Tensor, " T+1"]:
        """Share of samples whose answer is not the given label."""
        return (self.answers != self.data.labels).double().mean(-1)

    @property
    def by_true(self) -> Float[Tensor, " T+1"]:
        """Share of samples whose answer is not the true label."""
        return (self.answers != self.data.clean_labels).double().mean(-1)

    @property
    def loss(self) -> Tensor:
        """½ Σ (f - y)² after each iteration."""
        return 0.5 * (self.path.outputs - self.data.labels).square().sum(-1)

    @property
    def window(self) -> tuple[int, int] | None:
        """The first stretch of iterations without an error by the true labels, or None."""
        return first_stretch(self.by_true == 0)


def run(state: State, iterations: int | None = None) -> Outcome:
    """The data of a state, and gradient descent on them. `ValueError` for a state that cannot be.

    With `within` in a state it ends where every given label is fitted so well, if there is such an iteration.

    >>> earlystop.lab.run(earlystop.lab.state("stop"), iterations=5).by_true.shape
    torch.Size([6])
    """
    if iterations is not None:
        counts(least=0, iterations=iterations)
    data, weights, phi = dataset(state), initial_weights(state), BY_NAME[state["activation"]]
    step = state["pace"] * largest_stable_step(weights, data.inputs, phi)
    go = partial(gradient_descent, weights, data.inputs, data.labels, step_size=step, activation=phi,
                 progress=lambda items, words: items)  # fmt: skip
    path = _until_fitted(go, data, state, state["iterations"] if iterations is None else iterations)
    return Outcome(data, weights, step, path)


def _until_fitted(go: Callable[..., Trajectory], data: Dataset, state: State, most: int) -> Trajectory:
    """At most so many iterations; twice as many again and again, so that a short path costs little."""
    if "within" not in state:
        return go(iterations=most)
    tried = min(1000, most)
    while True:
        path = go(iterations=tried)
        fits = ((path.outputs - data.labels).abs() <= state["within"]).all(-1)
        if fits.any():
            return go(iterations=int(fits.long().argmax()))
        if tried == most:
            return path
        tried = min(2 * tried, most)


def linearized_outputs(state: State, times: Tensor) -> tuple[Dataset, Tensor]:
    """Outputs of the linearized network after some iterations, in closed form: (times, n)."""
    data, weights, phi = dataset(state), initial_weights(state), BY_NAME[state["activation"]]
    squares, vectors = torch.linalg.eigh(gram(weights, data.inputs, phi))
    residual = (predict(weights, data.inputs, phi) - data.labels) @ vectors
    left = residual * (1 - 2 * state["pace"] * squares / squares[-1]) ** torch.as_tensor(times)[:, None]
    return data, data.labels + left @ vectors.T


def predicted_window(state: State) -> tuple[int, int] | None:
    """The first stretch of iterations at which the linearized network has every true label, up to `iterations`."""
    data, outputs = linearized_outputs(state, torch.arange(state["iterations"] + 1))
    return first_stretch(error_rate(outputs, data.clean_labels, data.classes) == 0)


def activation_of(state: State) -> Activation:
    """φ by its name in a state."""
    return BY_NAME[state["activation"]]
