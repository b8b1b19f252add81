"""A window of iterations in which gradient descent provably makes no error, for given data, weights and step size."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earlystop.arguments import counts, finite, kinds, mask, numbers, refuse, tensors
from earlystop.data import Dataset
from earlystop.jacobian import gram
from earlystop.network import ERF, Activation, Weights, predict
from earlystop.theory import check_smooth, cluster_means, jacobian_bound, nuisance_bound, spectral_norm

ROUNDING = 1e-9  # far more than float64 loses here


def first_stretch(right: Bool[Tensor, " T+1"]) -> tuple[int, int] | None:
    """The first and the last index of the first stretch of True; None if there is none.

    >>> earlystop.window.first_stretch([False, True, True, False])
    (1, 2)
    """
    (right,) = mask(right=(right, "T+1"))
    flags = [*right.tolist(), False]
    first = flags.index(True) if True in flags else -1
    return None if first < 0 else (first, flags.index(False, first) - 1)


@dataclass(frozen=True)
class Path:
    """What is proved of gradient descent after τ = 0 to T iterations.

    >>> dataset = earlystop.data.clusterable_dataset(6, 2, 3, input_noise=0.1, dtype=torch.float64)
    >>> weights = earlystop.network.initial_weights(100, 3, paired=True, dtype=torch.float64)
    >>> earlystop.window.proved_path(weights, dataset, iterations=3).margin
    1.0
    """

    error: Float[Tensor, " T+1"]  # max_i |f(W_τ, x_i) - ỹ_i| is at most this,
    distance: Float[Tensor, " T+1"]  # ‖W_τ - W₀‖_F this,
    bend: Float[Tensor, " T+1"]  # and ‖f(W_τ) - f_lin(τ)‖ this, where f_lin is the linearized network
    margin: float  # δ/2: closer than that, the nearest label is the true one

    @property
    def window(self) -> tuple[int, int] | None:
        """The first and the last iteration of the first stretch that is proved to be free of errors, or None."""
        return first_stretch(self.error < self.margin - ROUNDING)


@dataclass(frozen=True)
class _Start:
    """The constants of the proof, computed from data and W₀ in float64."""

    gram: Float[Tensor, "n n"]  # G = J₀J₀ᵀ
    step: float  # η
    strong: float  # ‖J₀‖, the first singular value
    weak: float  # and the (K+1)-st
    keep_strong: float  # max |1 - ησ²| over the first K singular values
    keep_weak: float  # and over the others
    leverage: tuple[Tensor, Tensor]  # for each sample, the length of its unit vector in either singular space
    tilt: float  # sine of the largest angle between the first K left singular vectors and S₊
    lipschitz: float  # ‖J(W) - J₀‖ ≤ this · ‖W - W₀‖
    nuisance: tuple[float, float, float]  # the same times unit u in S₋ ≤ first + second · ‖W - W₀‖, and ≤ third · it

    def change(self, distance: float) -> tuple[float, float]:
        """Bounds on ‖J(W) - J₀‖, and on ‖(J(W) - J₀)ᵀu‖ for unit u in S₋, at a distance from W₀."""
        everywhere, (fixed, slope, steep) = self.lipschitz * distance, self.nuisance
        return everywhere, min(everywhere, fixed + slope * distance, steep * distance)


def _start(weights: Weights, data: Dataset, step: float | None, activation: Activation) -> _Start:
    inputs, count = data.inputs, len(data.centers)
    matrix, one = gram(weights, inputs, activation), torch.eye(len(inputs)).to(inputs)
    minus = one - cluster_means(one, data.clusters)  # the projection on S₋
    values, vectors = torch.linalg.eigh(matrix)
    values, vectors = values.clamp(min=0).flip(0), vectors.flip(1)
    if step is not None:
        numbers(step_size=step)
    limit, root = 2 / values[0].item(), math.sqrt(len(weights))
    step = limit / 2 if step is None else step
    refuse({f"step_size is {step:.4g}, should be between 0 and 2/‖J₀‖² = {limit:.4g}": not 0 < step <= limit})
    kept, top, rest = (1 - step * values).abs(), vectors[:, :count], vectors[:, count:]
    away = inputs - data.centers[data.clusters]
    stray = activation.smoothness * away.norm().item()  # ‖J(W)ᵀu‖ is at most this times 1 + ‖W‖/√k, for u in S₋
    still = math.sqrt(spectral_norm(minus @ matrix @ minus)) + stray * (1 + spectral_norm(weights) / root)
    turns = 2 * activation.smoothness * away.norm(dim=1) + activation.third * (away @ weights.T).abs().amax(dim=1)
    return _Start(
        matrix, step, values[0].sqrt().item(), values[count].sqrt().item(), kept[:count].max().item(),
        kept[count:].max().item(), (top.norm(dim=1), rest.norm(dim=1)), spectral_norm(minus @ top),
        jacobian_bound(inputs, activation) / root, (still, stray / root, turns.norm().item() / root),
    )  # fmt: skip


def _checked(weights: Weights, data: Dataset, iterations: int, activation: Activation) -> Weights:
    """The weights as a tensor. Raises `ValueError` for what the proof does not cover."""
    check_smooth(activation)
    kinds(Dataset, "a Dataset, as clusterable_dataset draws it", data=data)
    sizes, count = torch.bincount(data.clusters, minlength=len(data.centers)), len(data.inputs)
    counts(least=0, iterations=iterations)
    weights, _ = tensors(weights=(weights, "k d"), inputs=(data.inputs, "n d"))
    finite(weights=weights)
    longest = torch.cat([data.inputs, data.centers]).norm(dim=1).max().item()
    refuse({
        f"cluster {sizes.argmin()} has no samples": not sizes.min() > 0,
        f"{count} samples in {len(sizes)} clusters: one cluster needs two": count <= len(sizes),
        f"δ is {data.label_separation}: without a gap between labels none is nearest": not data.label_separation > 0,
        f"a vector has norm {longest:.4g}, the proof needs unit vectors": not longest <= 1 + ROUNDING,
        "use float64, the proof is computed": {weights.dtype, data.inputs.dtype} != {torch.float64},
    })  # fmt: skip
    return weights


def proved_path(
    weights: Weights, data: Dataset, *, step_size: float | None = None, iterations: int, activation: Activation = ERF
) -> Path:
    """How far gradient descent from W₀ = `weights` can be from the truth, step by step, whatever the width.

    The recursion that the book proves in chapter 6: the linearized network is computed exactly, and what the network
    itself can deviate from it is bounded. `step_size` is η, by default 1/‖J₀‖². Raises `ValueError` for data or an
    activation that the proof does not cover.

    >>> dataset = earlystop.data.clusterable_dataset(6, 2, 3, input_noise=0.1, dtype=torch.float64)
    >>> weights = earlystop.network.initial_weights(100, 3, paired=True, dtype=torch.float64)
    >>> earlystop.window.proved_path(weights, dataset, iterations=3).error.shape
    torch.Size([4])
    """
    weights = _checked(weights, data, iterations, activation)
    s = _start(weights, data, step_size, activation)
    residual = predict(weights, data.inputs, activation) - data.labels  # of the linearized network
    apart, total = data.labels - data.clean_labels, torch.zeros_like(residual)
    strong = weak = extra = distance = (
        0.0  # bounds: the deviation in either singular space, the way, and all of the way
    )
    rows: list[tuple[float, ...]] = []
    while len(rows) <= iterations and not (rows and rows[-1][0] > 1e6):
        error = (residual + apart).abs() + s.leverage[0] * strong + s.leverage[1] * weak
        rows.append((error.max().item(), distance, math.hypot(strong, weak)))
        constant = cluster_means(residual, data.clusters)
        plus = constant.norm().item() + strong + s.tilt * weak
        minus = (residual - constant).norm().item() + weak + s.tilt * strong
        everywhere, nuisance = s.change(distance)
        turned = everywhere * plus + nuisance * minus  # ≥ ‖(J_τ - J₀)ᵀr_τ‖
        off = s.strong * strong + s.weak * weak + turned  # ≥ ‖J_τᵀr_τ - J₀ᵀ(linearized residual)‖
        gradient = _length(s.gram, residual) + off
        total, extra = total + residual, extra + s.step * off
        after = s.step * _length(s.gram, total) + extra
        mean, nuisance = s.change((distance + after) / 2)[0], s.change(max(distance, after))[1]
        shifted = min(mean, s.tilt * mean + nuisance)
        strong = s.keep_strong * strong + s.step * (s.strong * turned + mean * gradient)
        weak = s.keep_weak * weak + s.step * (s.weak * turned + shifted * gradient)
        residual, distance = residual - s.step * (s.gram @ residual), after
    rows += [(math.inf,) * 3] * (iterations + 1 - len(rows))
    return Path(*torch.tensor(rows, dtype=torch.float64).unbind(1), margin=data.label_separation / 2)  # pyright: ignore


def _length(matrix: Float[Tensor, "n n"], r: Float[Tensor, " n"]) -> float:
    """‖J₀ᵀr‖ from J₀J₀ᵀ."""
    return math.sqrt(max(0.0, (r @ (matrix @ r)).item()))


@dataclass(frozen=True)
class ClosedForm:
    """The four terms that bound max_i |f(W_τ, x_i) - ỹ_i| in the closed form, from f(W₀) = 0 with η = 1/β².

    >>> dataset = earlystop.data.clusterable_dataset(6, 2, 3, input_noise=0.1, dtype=torch.float64)
    >>> weights = earlystop.network.initial_weights(100, 3, paired=True, dtype=torch.float64)
    >>> earlystop.window.closed_form(weights, dataset, iterations=3).width
    100
    """

    shift: float  # the noise's mean on a cluster
    unlearned: Float[Tensor, " T+1"]  # √(n/n_min) (1 - α²/β²)^τ, of the truth
    learned: Float[Tensor, " T+1"]  # 2τ ‖y‖ ε/β, of the noise
    bend: Float[Tensor, " T+1"]  # 4τ² ‖y‖² / (β √k), the network against its linearization
    margin: float  # δ/2
    width: int  # k

    @property
    def error(self) -> Float[Tensor, " T+1"]:
        """The bound, whose terms hold as long as the last is at most one."""
        return (self.shift + self.unlearned + self.learned + self.bend).where(self.bend <= 1, math.inf)

    @property
    def width_needed(self) -> float:
        """The width from which on the bound is below δ/2 at some iteration; infinite if it is at none."""
        room = (self.margin - self.shift - self.unlearned - self.learned).clamp(max=1)
        return self.width * (self.bend / room).square().where(room > 0, math.inf).min().item()


def closed_form(weights: Weights, data: Dataset, *, iterations: int, activation: Activation = ERF) -> ClosedForm:
    """The bound that the book proves by hand in chapter 6, for `weights` with f(W₀) = 0 and labels in [-1, 1].

    >>> dataset = earlystop.data.clusterable_dataset(6, 2, 3, input_noise=0.1, dtype=torch.float64)
    >>> weights = earlystop.network.initial_weights(100, 3, paired=True, dtype=torch.float64)
    >>> earlystop.window.closed_form(weights, dataset, iterations=3).error.shape
    torch.Size([4])
    """
    weights = _checked(weights, data, iterations, activation)
    start, y = predict(weights, data.inputs, activation).abs().max().item(), data.labels.norm().item()
    refuse({
        f"f(W₀) is {start:.2g} somewhere, the closed form needs 0 (paired weights)": not start < ROUNDING,
        f"‖y‖ is {y:.2g}, the closed form needs at least 1": not y >= 1,
    })  # fmt: skip
    sizes = torch.bincount(data.clusters).double()
    at_centers = sizes.sqrt()[:, None] * gram(weights, data.centers, activation) * sizes.sqrt()
    beta = max(jacobian_bound(x, activation) for x in (data.inputs, data.centers[data.clusters]))
    alpha2 = torch.linalg.eigvalsh(at_centers)[0].item()
    epsilon = nuisance_bound(weights, data.input_noise, len(data.inputs), activation)
    tau = torch.arange(iterations + 1, dtype=torch.float64)
    shift = cluster_means(data.labels - data.clean_labels, data.clusters).abs().max().item()
    unlearned = math.sqrt(len(data.inputs) / sizes.min().item()) * (1 - alpha2 / beta**2) ** tau
    bend = 4 * (tau * y) ** 2 / (beta * math.sqrt(len(weights)))
    learned = 2 * tau * y * epsilon / beta
    return ClosedForm(shift, unlearned, learned, bend, data.label_separation / 2, len(weights))
