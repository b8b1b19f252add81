"""Evidence for the paper's mathematics: a function a claim, in float64, with one value for every seed."""

import math
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import pairwise

import torch
from torch import Tensor

from earlystop import data, descent, jacobian, network, theory
from earlystop.network import RELU

DIM = 20


def each(check: Callable[[int], float | Tensor]) -> Callable[[Sequence[int]], Tensor]:
    """A check of one seed, made one of several."""

    @wraps(check)
    def checks(seeds: Sequence[int]) -> Tensor:
        return torch.tensor([float(check(seed)) for seed in seeds], dtype=torch.float64)

    return checks


def clusters(seed: int, *, n: int = 40, K: int = 4, radius: float = 0.05, rho: float = 0.2, classes: int = 2):
    """Corrupted clusters with labels from -1 to 1."""
    clean = data.clusterable_dataset(
        n, K, DIM, n_classes=classes, input_noise=radius, noise="shell", seed=seed, dtype=torch.float64
    )
    return data.corrupt_clusters(clean, rho, seed)


def weights(seed: int, k: int = 500, dim: int = DIM, paired: bool = True) -> Tensor:
    """W₀ in float64."""
    return network.initial_weights(k, dim, seed=seed, paired=paired, dtype=torch.float64)


def centers(seed: int, count: int, dim: int = DIM) -> Tensor:
    """Random unit vectors."""
    drawn = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.norm(dim=1, keepdim=True)


def uniform(seed: int, low: float, high: float) -> float:
    """A number between two others."""
    return torch.empty(1, dtype=torch.float64).uniform_(low, high, generator=torch.Generator().manual_seed(seed)).item()


def pair(seed: int, distance: float) -> Tensor:
    """Two unit vectors at a distance."""
    near = clusters(seed, n=2, K=2, radius=distance, rho=0)
    return torch.stack([near.centers[0], near.inputs[0]])


def interpolated(start: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Weights near the start that fit all labels, by Gauss and Newton."""
    for _ in range(30):
        rows = jacobian.jacobian(start, x)
        start = start + (rows.T @ torch.linalg.solve(rows @ rows.T, y - network.predict(start, x))).view_as(start)
    return start


def drift(start: Tensor, samples: data.Dataset, iterations: int) -> Tensor:
    """Outputs of gradient descent at half the largest stable step, without a bar."""
    step = descent.largest_stable_step(start, samples.inputs) / 2
    sizes = {"step_size": step, "iterations": iterations, "progress": lambda steps, _: steps}
    return descent.gradient_descent(start, samples.inputs, samples.labels, **sizes).outputs


# ------------------------------------------------------------------------ section 1.3


@each
def definition_1_1(seed):
    """The largest excess over a line of Definition 1.1: norms, radius, labels, distance of classes."""
    one = clusters(seed, K=6, classes=3, radius=uniform(seed, 0.01, 0.2))
    gaps = torch.cdist(one.centers, one.centers)[one.center_labels[:, None] != one.center_labels]
    radius = (one.inputs - one.centers[one.clusters]).norm(dim=1).max().item()
    norms = torch.cat([one.inputs, one.centers]).norm(dim=1)
    return max((norms - 1).abs().max().item(), radius - one.input_noise, one.classes.abs().max().item() - 1,
               2 * one.input_noise - gaps.min().item())  # fmt: skip


@each
def equation_1(seed):
    """δ less the smallest distance of two labels of a dataset for which δ was asked."""
    labels = sorted(uniform(10 * seed + j, -1, 1) for j in range(3))
    gap = min(b - a for a, b in pairwise(labels))
    asked = {"labels": tuple(labels), "label_separation": gap, "dtype": torch.float64}
    given = data.clusterable_dataset(6, 3, DIM, input_noise=0.1, seed=seed, **asked).labels
    return gap - min(abs(a - b) for a in given.tolist() for b in given.tolist() if a != b)


@each
def figure_2(seed):
    """How far the dataset of Figure 2 is from its K = 6, K̄ = 3, n = 30, five a cluster, and δ = 0.9."""
    one = data.clusterable_dataset(
        30, 6, DIM, n_classes=3, labels=(-1, 0.1, 1), input_noise=0.1, seed=seed, dtype=torch.float64
    )
    data.check_clusterable(one)
    sizes = torch.bincount(one.clusters).double()
    off = (sizes - 5).abs().max().item(), len(sizes) - 6, len(one.classes) - 3, one.label_separation - 0.9
    return max(map(abs, off))


@each
def number_of_classes(seed):
    """K̄ - (2/δ + 1) for K̄ random labels in [-1, 1]."""
    count = 2 + seed % 9
    labels = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
    return count - 2 / labels.sort().values.diff().min().item() - 1


@each
def definition_1_2(seed):
    """The largest share of wrong labels in a cluster, less ρ."""
    rho = uniform(seed, 0, 0.5)
    one = clusters(seed, n=90, K=6, classes=3, rho=rho)
    return max(one.flipped[one.clusters == c].double().mean().item() for c in range(6)) - rho


@each
def definition_1_3(seed):
    """The share of samples whose nearest center has another label than their own."""
    one = clusters(seed, K=6, classes=3, radius=0.2)
    return (data.ground_truth_label(one.inputs, one.centers, one.center_labels) != one.clean_labels).double().mean()


# ------------------------------------------------------------------------ section 2


@each
def equation_2(seed):
    """f(W, x) against a sum over the hidden units."""
    W, x = weights(seed, 30, paired=False), centers(seed, 5)
    by_hand = sum((1 if j < 15 else -1) * torch.erf(x @ w) for j, w in enumerate(W)) / math.sqrt(30)
    return (network.predict(W, x) - by_hand).abs().max()


@each
def equation_3(seed):
    """The loss against a sum over the samples, one by one."""
    W, one = weights(seed, 30, paired=False), clusters(seed)
    pairs = zip(one.inputs, one.labels)
    by_hand = sum((y.item() - network.predict(W, x[None]).item()) ** 2 for x, y in pairs) / 2
    return abs(descent.loss(W, one.inputs, one.labels).item() - by_hand)


@each
def equation_5(seed):
    """The share of outputs whose predicted label is not the one at the smallest |f - α|."""
    classes = torch.tensor(sorted(uniform(10 * seed + j, -1, 1) for j in range(4)), dtype=torch.float64)
    outputs = centers(seed, 500, 3)[:, 0].contiguous()
    nearest = classes[(outputs[:, None] - classes).abs().argmin(dim=1)]
    return (data.nearest_label(outputs, classes) != nearest).double().mean()


@each
def equation_4(seed):
    """One step of gradient descent against the derivative of Eq. 3 by automatic differentiation."""
    W, one = weights(seed, 30, paired=False), clusters(seed)
    slope = torch.func.grad(lambda w: 0.5 * (one.labels - network.predict(w, one.inputs)).square().sum())(W)
    sizes = {"step_size": 0.01, "iterations": 1, "progress": lambda steps, _: steps}
    return (descent.gradient_descent(W, one.inputs, one.labels, **sizes).weights - (W - 0.01 * slope)).abs().max()


@each
def definition_2_1(seed):
    """Σ(C) in closed form against a mean over draws, in standard errors of it; the largest of all activations."""
    C, phi = centers(seed, 5), network.ACTIVATIONS[seed % len(network.ACTIVATIONS)]
    drawn, error = theory.cluster_covariance_monte_carlo(C, phi, samples=50_000, seed=seed)
    return ((theory.cluster_covariance(C, phi) - drawn).abs() / error.clamp(min=1e-9)).max()


@each
def lambda_of_equal_centers(seed):
    """λ(C) if two centers are equal."""
    return abs(theory.smallest_eigenvalue(theory.cluster_covariance(centers(seed, 4)[[0, 1, 2, 3, 0]])))


@each
def lambda_of_random_centers(seed):
    """λ(C) of 80 random centers in 80 dimensions over that of 20 in 20."""
    return theory.diversity(centers(seed, 80, 80)) / theory.diversity(centers(seed, 20, 20))


@each
def lambda_of_relu(seed):
    """λ(C) of ReLU over the paper's bound ν/(100 K²)."""
    C = centers(seed, 2 + seed % 30, 3 + seed % 10)
    return theory.diversity(C, RELU) / theory.relu_diversity_bound(C)


@each
def learning_time_of_close_centers(seed):
    """The power of ‖C‖²/λ(C) with which the time to learn two labels grows as two centers meet."""
    clocks, times = [], []
    for distance in (0.8, 0.4, 0.2):
        x, y, W = pair(seed, distance), torch.tensor([-1.0, 1.0], dtype=torch.float64), weights(seed, 400)
        step, tau = descent.largest_stable_step(W, x) / 2, 0
        while (network.predict(W, x) - y).abs().max() > 0.5:
            W, tau = W - step * descent.gradient(W, x, y), tau + 1
        times.append(math.log(tau))
        clocks.append(math.log(theory.spectral_norm(x) ** 2 / theory.diversity(x)))
    return (times[-1] - times[0]) / (clocks[-1] - clocks[0])
