"""The worst inputs within ε₀ of the cluster centers: what the "every x" of Theorem 2.2 asks about."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from earlystop.arguments import counts, kinds, numbers, refuse, tensors, values
from earlystop.data import Dataset, nearest_label
from earlystop.network import ERF, Activation, Weights, check_activation, output_weights
from earlystop.streams import random_stream

SHRINK = 0.85  # of the step, from one to the next: after 25 it is a sixtieth of the radius


def worst_inputs(
    weights: Weights, dataset: Dataset, activation: Activation = ERF, *, starts: int = 4, steps: int = 25, seed: int = 0
) -> Dataset:
    """Inputs on the sphere within ε₀ of each center where f is as large, and as small, as a search finds it.

    Projected gradient ascent on f and on -f, from `starts` random inputs each for every cluster, all side by side. It
    finds local extremes: a wrong output that it misses may exist. `ValueError` for fewer than one start or step.

    >>> dataset = earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1)
    >>> weights = earlystop.network.initial_weights(100, 3)
    >>> found = earlystop.adversary.worst_inputs(weights, dataset, starts=1, steps=2)
    >>> found.inputs.shape
    torch.Size([4, 3])
    """
    kinds(Dataset, "a Dataset, as clusterable_dataset draws it", dataset=dataset)
    check_activation(activation)
    counts(starts=starts, steps=steps)
    weights, _ = tensors(weights=(weights, "k d"), inputs=(dataset.inputs, "n d"))
    refuse({f"starts is {starts} and steps is {steps}, both should be at least 1": starts < 1 or steps < 1})
    radius, v = dataset.input_noise, output_weights(len(weights), weights)
    sign = torch.tensor([1.0, -1.0]).repeat_interleave(starts * len(dataset.centers)).to(weights)[:, None]
    clusters = torch.arange(len(dataset.centers)).repeat(2 * starts).to(dataset.clusters.device)
    centers = dataset.centers[clusters]
    moved = torch.randn(centers.shape, generator=random_stream(seed, "worst inputs"), dtype=torch.float64)
    x = onto_cap(centers + radius * normalize(moved).to(centers), centers, radius)
    for step in range(steps):
        uphill = sign * ((activation.derivative(x @ weights.T) * v) @ weights)
        along = uphill - (uphill * x).sum(1, keepdim=True) * x  # the sphere
        x = onto_cap(x + radius * SHRINK**step * normalize(along), centers, radius)
    labels, right = dataset.center_labels[clusters], torch.zeros_like(clusters, dtype=torch.bool)
    return replace(dataset, inputs=x, labels=labels, clean_labels=labels, clusters=clusters, corrupted=right)


def onto_cap(x: Float[Tensor, "m d"], centers: Float[Tensor, "m d"], radius: float) -> Float[Tensor, "m d"]:
    """The nearest point to each row of `x` on the unit sphere within `radius` of the same row of `centers`.

    >>> earlystop.adversary.onto_cap([[2.0, 0.0]], centers=[[1.0, 0.0]], radius=0.1)
    tensor([[1., 0.]])
    """
    x, centers = tensors(x=(x, "m d"), centers=(centers, "m d"))
    numbers(radius=radius)
    x = normalize(x)
    aside = normalize(x - (x * centers).sum(1, keepdim=True) * centers)
    edge = (1 - radius**2 / 2) * centers + radius * (1 - radius**2 / 4) ** 0.5 * aside
    return torch.where((x - centers).norm(dim=1, keepdim=True) <= radius, x, edge)


def broken_clusters(outputs: Float[Tensor, " m"], found: Dataset) -> float:
    """The share of clusters with a wrong nearest label, by the outputs for what `worst_inputs` found.

    >>> dataset = earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1)
    >>> weights = earlystop.network.initial_weights(100, 3)
    >>> found = earlystop.adversary.worst_inputs(weights, dataset, starts=1, steps=2)
    >>> earlystop.adversary.broken_clusters(found.clean_labels, found)
    0.0
    """
    kinds(Dataset, "what worst_inputs found", found=found)
    outputs, _ = values(outputs=(outputs, "m"), found=(found.clusters, "m"))
    wrong = nearest_label(outputs, found.classes) != found.clean_labels
    return len(found.clusters[wrong].unique()) / len(found.centers)
