"""What the theorems promise: Σ(C) and λ(C), Theorems 2.2, 2.3 and 4.1 as numbers."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earlystop.arguments import counts, finite, numbers, refuse, tensors, whole
from earlystop.data import check_rate
from earlystop.network import ERF, Activation, Weights, check_activation, predict
from earlystop.streams import random_stream


def spectral_norm(matrix: Float[Tensor, "m n"]) -> float:
    """The largest singular value.

    >>> round(earlystop.theory.spectral_norm([[3.0, 0.0], [0.0, 1.0]]), 3)
    3.0
    """
    (matrix,) = tensors(matrix=(matrix, "m n"))
    finite(matrix=matrix)
    return torch.linalg.matrix_norm(matrix, 2).item()


def cluster_covariance(centers: Float[Tensor, "K d"], activation: Activation = ERF) -> Float[Tensor, "K K"]:
    """Σ(C) = (CCᵀ) ⊙ E[φ'(Cg)φ'(Cg)ᵀ] in closed form (Definition 2.1). `ValueError` unless centers are unit vectors.

    >>> earlystop.theory.cluster_covariance(torch.eye(2)).diag().round(decimals=2)
    tensor([0.5700, 0.5700], dtype=torch.float64)
    """
    check_activation(activation)
    (centers,) = tensors(torch.float64, centers=(centers, "K d"))
    refuse({"there are no centers": not len(centers)})
    norms = centers.norm(dim=1)
    worst = norms[(norms - 1).abs().argmax()].item()
    refuse({f"a center has norm {worst:.4g}: the closed form needs unit vectors": not abs(worst - 1) <= 1e-5})
    correlation = (centers @ centers.T).clamp(-1, 1)
    return correlation * activation.kappa(correlation)


def cluster_covariance_monte_carlo(
    centers: Float[Tensor, "K d"], activation: Activation = ERF, *, samples: int, seed: int = 0
) -> tuple[Float[Tensor, "K K"], Float[Tensor, "K K"]]:
    """Σ(C) as an average over `samples` draws of g, with the standard error of each entry.

    >>> mean, error = earlystop.theory.cluster_covariance_monte_carlo(torch.eye(2), samples=1000)
    >>> mean.shape, error.shape
    (torch.Size([2, 2]), torch.Size([2, 2]))
    """
    check_activation(activation)
    counts(least=1, samples=samples)
    centers = next(tensors(torch.float64, centers=(centers, "K d"))).cpu()
    g = torch.randn(samples, centers.shape[1], generator=random_stream(seed, "monte carlo"), dtype=torch.float64)
    slopes = activation.derivative(g @ centers.T)  # (samples, K)
    mean = slopes.T @ slopes / samples
    variance = (slopes**2).T @ slopes**2 / samples - mean**2
    overlap = centers @ centers.T
    return overlap * mean, overlap.abs() * (variance.clamp(min=0) / samples).sqrt()


def smallest_eigenvalue(covariance: Float[Tensor, "K K"]) -> float:
    """λ(C), the smallest eigenvalue of Σ(C).

    >>> round(earlystop.theory.smallest_eigenvalue([[2.0, 1.0], [1.0, 2.0]]), 3)
    1.0
    """
    (covariance,) = tensors(torch.float64, covariance=(covariance, "K K"))
    finite(covariance=covariance)
    return torch.linalg.eigvalsh(covariance)[0].item()


def diversity(centers: Float[Tensor, "K d"], activation: Activation = ERF) -> float:
    """λ(C) of given centers. `ValueError` that says why where it is zero, which the paper excludes.

    >>> round(earlystop.theory.diversity(torch.eye(3)), 2)
    0.57
    """
    (centers,) = tensors(torch.float64, centers=(centers, "K d"))
    lam = smallest_eigenvalue(cluster_covariance(centers, activation))
    (count, dim), most = centers.shape, activation.rank(centers.shape[1])
    why = f"λ(C) is {max(lam, 0.0):.2g}: {activation.name} cannot tell these centers apart"
    refuse({
        f"{why}, two of them coincide": count > 1 and _separation(centers) < 1e-12,
        f"{why}, {count} in R^{dim}: at most {most:g} have independent rows of the Jacobian": count > most,
        why: lam < 1e-12,
    })  # fmt: skip
    return lam


def _separation(centers: Float[Tensor, "K d"]) -> float:
    """ν, the smallest distance between two centers."""
    return torch.pdist(centers).min().item()


def relu_diversity_bound(centers: Float[Tensor, "K d"]) -> float:
    """ν/(100 K²), below which λ(C) of ReLU is not (section 2); ν is the smallest distance between two centers.

    >>> round(earlystop.theory.relu_diversity_bound(torch.eye(2)), 4)
    0.0035
    """
    (centers,) = tensors(torch.float64, centers=(centers, "K d"))
    refuse({f"{len(centers)} center: ν is a distance between two": len(centers) < 2})
    return _separation(centers) / (100 * len(centers) ** 2)


@dataclass(frozen=True)
class TheoremScales:
    """Theorem 2.2 with every unnamed constant and logarithm set to 1: how things grow, not how large they are.

    >>> earlystop.theory.theorem_scales(torch.eye(3), label_separation=2).corruption_rate
    0.25
    """

    center_norm: float  # ‖C‖², squared spectral norm
    smallest_eigenvalue: float  # λ(C)
    iterations: float  # ‖C‖²/λ(C), to which T is proportional
    hidden_units: float  # K²‖C‖⁴/λ(C)⁴, the width asked for
    input_noise: float  # δλ(C)²/K², the largest ε₀
    corruption_rate: float  # δ/8, the largest ρ; this constant is the paper's


def theorem_scales(
    centers: Float[Tensor, "K d"], label_separation: float, activation: Activation = ERF
) -> TheoremScales:
    """How Theorem 2.2 scales for given centers and δ. `ValueError` unless δ > 0 and λ(C) > 0, as it assumes.

    >>> round(earlystop.theory.theorem_scales(torch.eye(3), label_separation=2).iterations, 2)
    1.76
    """
    numbers(label_separation=label_separation)
    (centers,) = tensors(torch.float64, centers=(centers, "K d"))
    refuse({f"label_separation is {label_separation}, should be above 0": not label_separation > 0})
    lam = diversity(centers, activation)
    norm, k = spectral_norm(centers) ** 2, len(centers)
    width, radius = k**2 * norm**2 / lam**4, label_separation * lam**2 / k**2
    return TheoremScales(norm, lam, norm / lam, width, radius, label_separation / 8)


def interpolation_distance_bound(
    weights: Weights, first: Tensor, second: Tensor, label_gap: float, activation: Activation = ERF, *,
    signed: bool = False,
) -> float:  # fmt: skip
    """A lower bound on ‖W - W₀‖ for any W that fits two points of R^d with labels `label_gap` apart.

    The explicit, deterministic form of Theorem 2.3 derived in the book, for inputs in the unit ball:
    (|y₂-y₁| - |f(W₀,x₂)-f(W₀,x₁)|) / (Γ ‖x₂-x₁‖ (1 + ‖W₀‖/√k)), in spectral norm. With `signed` `label_gap` is
    y₂-y₁ with its sign, and the numerator the larger |(y₂-y₁) - (f(W₀,x₂)-f(W₀,x₁))|.
    Raises `ValueError` for coinciding or longer inputs, or an unbounded Γ.

    >>> weights = earlystop.network.initial_weights(100, 2, paired=True)
    >>> earlystop.theory.interpolation_distance_bound(weights, [1.0, 0.0], [0.6, 0.8], label_gap=2) > 0
    True
    """
    check_smooth(activation)
    numbers(label_gap=label_gap)
    weights, first, second = tensors(weights=(weights, "k d"), first=(first, "d"), second=(second, "d"))
    finite(weights=weights, first=first, second=second)
    pair, gap = torch.stack([first, second]), (second - first).norm().item()
    refuse({
        "the two inputs coincide: no network fits two labels there": gap == 0,
        "the bound needs inputs of norm at most 1": not pair.norm(dim=1).max().item() <= 1 + 1e-5,
    })  # fmt: skip
    already = predict(weights, pair, activation).diff().item()
    spread = 1 + spectral_norm(weights) / math.sqrt(len(weights))
    missing = abs(label_gap - already) if signed else max(0.0, abs(label_gap) - abs(already))
    return missing / (activation.smoothness * gap * spread)


def check_smooth(activation: Activation) -> None:
    """Raise `ValueError` for an activation with an unbounded first or second derivative, such as ReLU.

    >>> earlystop.theory.check_smooth(earlystop.network.ERF)
    """
    check_activation(activation)
    message = f"the bound needs |φ'| and |φ''| bounded, which those of {activation.name} are not"
    refuse({message: not math.isfinite(activation.smoothness)})


def jacobian_bound(inputs: Float[Tensor, "n d"], activation: Activation = ERF) -> float:
    """β = Γ‖X‖ ≥ ‖J(W)‖ for every W and unit inputs; ‖J(W) - J(W₀)‖ ≤ β‖W - W₀‖/√k.

    >>> round(earlystop.theory.jacobian_bound(torch.eye(3)), 2)
    1.13
    """
    check_smooth(activation)
    (inputs,) = tensors(torch.float64, inputs=(inputs, "n d"))
    finite(inputs=inputs)
    return activation.smoothness * spectral_norm(inputs)


def nuisance_bound(weights: Weights, input_noise: float, samples: int, activation: Activation = ERF) -> float:
    """ε = Γ ε₀ √n (1 + ‖W‖/√k) ≥ ‖Jᵀu‖ for unit vectors u that sum to zero on every cluster.

    >>> round(earlystop.theory.nuisance_bound(torch.zeros(2, 3), input_noise=0.1, samples=100), 2)
    1.13
    """
    check_smooth(activation)
    (weights,) = tensors(weights=(weights, "k d"))
    numbers(input_noise=input_noise)
    finite(weights=weights)
    refuse({
        f"input_noise is {input_noise}, should be 0 or more": input_noise < 0,
        "weights have no hidden units": not len(weights),
    })  # fmt: skip
    counts(least=0, samples=samples)
    spread = 1 + spectral_norm(weights) / math.sqrt(len(weights))
    return activation.smoothness * input_noise * math.sqrt(samples) * spread


def cluster_means(values: Float[Tensor, "... n"], clusters: Int[Tensor, " n"]) -> Float[Tensor, "... n"]:
    """Replace every value by the mean of its cluster: the projection on the information space.

    >>> earlystop.theory.cluster_means([1.0, 3.0, 5.0], clusters=[0, 0, 1])
    tensor([2., 2., 5.])
    """
    (clusters,) = whole(clusters=(clusters, "n"))
    values, _ = tensors(values=(values, "... n"), clusters=(clusters, "n"))
    onehot = torch.nn.functional.one_hot(clusters).to(values)
    return (values @ onehot / onehot.sum(0).clamp(min=1)) @ onehot.T


def diffuseness(basis: Float[Tensor, "n r"]) -> float:
    """γ, the smallest number with ‖v‖_∞ ≤ √(γ/n) for all unit v in the span (section 4).

    γ is n times the largest leverage score. Raises `ValueError` unless the columns of `basis` are orthonormal.

    >>> earlystop.theory.diffuseness([[1.0], [0.0]])
    2.0
    """
    (basis,) = tensors(basis=(basis, "n r"))
    refuse({"the span of no vectors has no γ": not basis.numel()})
    gap = basis.T @ basis - torch.eye(basis.shape[1]).to(basis)
    refuse({"the columns of basis are not orthonormal": not gap.abs().max().item() <= 1e-4})
    return len(basis) * basis.square().sum(dim=1).max().item()


def conditional_mean_losses(corruption_rate: float, n_classes: int) -> tuple[float, float]:
    """Loss ½‖f - y‖² of a clean and of a flipped sample if f is the mean noisy one-hot label.

    `corruption_rate` ρ with redrawn labels uniform over all `n_classes` K ≥ 2, the true one included: f is 1 - ρ + ρ/K
    at the true class and ρ/K at the others. Raises `ValueError` for another ρ or K.

    >>> earlystop.theory.conditional_mean_losses(0.5, n_classes=2)
    (0.0625, 0.5625)
    """
    check_rate(corruption_rate)
    counts(n_classes=n_classes)
    refuse({f"n_classes is {n_classes}, should be at least 2": n_classes < 2})
    clean = 0.5 * corruption_rate**2 * (n_classes - 1) / n_classes
    return clean, clean + 1 - corruption_rate


def plateau_distance(
    dataset_means: Float[Tensor, " K"], centers: Float[Tensor, "K d"], activation: Activation = ERF
) -> float:
    """‖W - W₀‖_F at which an infinitely wide network outputs the given mean label at each center.

    √(ȳᵀΣ(C)⁻¹ȳ) from f(W₀) = 0: at most √(K/λ(C)), the √K of Theorem 2.2. `ValueError` where λ(C) = 0, or
    unless there is a finite mean for each center.

    >>> round(earlystop.theory.plateau_distance([0.5, -0.5], torch.eye(2)), 2)
    0.94
    """
    asked = {"dataset_means": (dataset_means, "K"), "centers": (centers, "K d")}
    dataset_means, centers = tensors(torch.float64, **asked)
    finite = bool(dataset_means.isfinite().all())
    refuse({"a mean is no finite number: a cluster without samples has none": not finite})
    diversity(centers, activation)  # refuses a singular Σ(C)
    covariance = cluster_covariance(centers, activation)
    return math.sqrt(dataset_means @ torch.linalg.solve(covariance, dataset_means))
