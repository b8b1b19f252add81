"""The dataset model: Definitions 1.1 to 1.3, and the corruption of labels."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earlystop.streams import random_stream

CENTER_TRIES = 2000  # candidates for one center before the whole draw starts again,
CENTER_BATCH = 50  # looked at in batches
CENTER_RESTARTS = 20


@dataclass(frozen=True)
class Dataset:
    """A clusterable dataset, clean (Definition 1.1) or with corrupted labels (Definition 1.2).

    n samples in R^d from K clusters, whose labels take K̄ values.
    """

    inputs: Float[Tensor, "n d"]  # x_i
    labels: Float[Tensor, " n"]  # y_i, as given to the learner
    clean_labels: Float[Tensor, " n"]  # ỹ_i, the ground truth
    clusters: Int[Tensor, " n"]  # cluster of each sample, 0 to K - 1
    centers: Float[Tensor, "K d"]  # c_ℓ, unit norm
    center_labels: Float[Tensor, " K"]  # label of each cluster
    classes: Float[Tensor, " K_bar"]  # α_1 < ... < α_K̄
    input_noise: float  # ε₀, the radius of a cluster
    corrupted: Bool[Tensor, " n"]  # labels that the corruption drew again

    @property
    def flipped(self) -> Bool[Tensor, " n"]:
        """Samples whose given label differs from the ground truth."""
        return self.labels != self.clean_labels

    @property
    def label_separation(self) -> float:
        """δ, the smallest distance between two class labels (Eq. 1)."""
        return (self.classes[1:] - self.classes[:-1]).min().item()

    def to(self, device: torch.device | str) -> "Dataset":
        """The same dataset with every tensor on `device`."""
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)


def class_labels(n_classes: int, label_separation: float | None = None) -> Float[Tensor, " K_bar"]:
    """K̄ labels in [-1, 1], evenly spaced, at least `label_separation` (δ) apart.

    Raises `ValueError` if δ leaves no room: K̄ ≤ 2/δ + 1 (Definition 1.1).
    """
    if n_classes < 2:
        raise ValueError(f"n_classes is {n_classes}, need at least 2 classes to tell apart")
    widest = 2 / (n_classes - 1)
    if label_separation is not None and not 0 < label_separation <= widest:
        raise ValueError(
            f"label_separation is {label_separation}: {n_classes} labels in [-1, 1] can be "
            f"between 0 and {widest:.4g} apart (n_classes ≤ 2/δ + 1)"
        )
    return torch.linspace(-1, 1, n_classes, dtype=torch.float64)


def clusterable_dataset(
    n_samples: int,
    n_clusters: int,
    dim: int,
    *,
    input_noise: float,
    n_classes: int | None = None,
    labels: tuple[float, ...] | None = None,
    label_separation: float | None = None,
    size_range: tuple[float, float] | None = None,
    noise: str = "cap",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """Draw an (ε₀, δ) clusterable dataset that satisfies Definition 1.1 by construction.

    - `n_samples` (n), `n_clusters` (K), `dim` (d ≥ 2), `n_classes` (K̄ ≤ K, default K).
    - `input_noise` (ε₀ ≥ 0): every input is within ε₀ of its center.
    - `labels`: the K̄ class labels in [-1, 1]; default evenly spaced.
    - `label_separation` (δ): the labels must be at least this far apart.
    - `size_range` (c_low, c_up): cluster sizes between c_low·n/K and c_up·n/K;
      default as even as possible.
    - `noise`: "cap" fills the part of the unit sphere within ε₀ of the center, "shell" puts
      every input at exactly ε₀, "offset" adds a vector of length ε₀ and leaves the sphere
      (the recipe of Figure 5, outside Definition 1.1).

    Centers are uniform on the unit sphere, drawn again while two of different classes are
    closer than 2ε₀. Raises `ValueError` for impossible requests, after a bounded number of tries.
    """
    n_classes = (len(labels) if labels else n_clusters) if n_classes is None else n_classes
    _check_request(n_samples, n_clusters, dim, n_classes, input_noise, noise)
    alphas = _labels_as_given(labels, n_classes, label_separation)
    generator = random_stream(seed, "dataset")

    center_classes = torch.arange(n_clusters) * n_classes // n_clusters
    centers = _place_centers(center_classes, dim, 2 * input_noise, generator)
    sizes = _cluster_sizes(n_samples, n_clusters, size_range, generator)
    clusters = torch.repeat_interleave(torch.arange(n_clusters), sizes)
    inputs = _around(centers[clusters], input_noise, noise, generator)
    clean = alphas[center_classes][clusters]
    return Dataset(
        inputs=inputs.to(dtype),
        labels=clean.to(dtype),
        clean_labels=clean.to(dtype),
        clusters=clusters,
        centers=centers.to(dtype),
        center_labels=alphas[center_classes].to(dtype),
        classes=alphas.to(dtype),
        input_noise=input_noise,
        corrupted=torch.zeros(n_samples, dtype=torch.bool),
    )


def check_clusterable(dataset: Dataset, size_range: tuple[float, float] = (0, math.inf)) -> None:
    """Raise `ValueError` naming the first line of Definition 1.1 that `dataset` breaks."""
    data, tolerance = dataset, 1e-5
    norms = data.inputs.norm(dim=1)
    if ((norms - 1).abs() > tolerance).any():
        worst = norms[(norms - 1).abs().argmax()].item()
        raise ValueError(f"an input has norm {worst:.4g}: Definition 1.1 needs unit norm inputs")
    if ((data.centers.norm(dim=1) - 1).abs() > tolerance).any():
        raise ValueError("a cluster center is not a unit vector")
    radius = (data.inputs - data.centers[data.clusters]).norm(dim=1).max().item()
    if radius > data.input_noise + tolerance:
        raise ValueError(f"an input is {radius:.4g} from its center, more than ε₀ = {data.input_noise}")
    if data.classes.abs().max() > 1 or data.label_separation <= 0:
        raise ValueError(f"labels {data.classes.tolist()} should be distinct and lie in [-1, 1]")
    gap = _gap_between_classes(data.centers, data.center_labels)
    if gap < 2 * data.input_noise - tolerance:
        raise ValueError(f"centers of different classes are {gap:.4g} apart, less than 2ε₀")
    share = torch.bincount(data.clusters, minlength=len(data.centers)) * len(data.centers)
    share = share / len(data.inputs)
    if share.min() < size_range[0] or share.max() > size_range[1]:
        raise ValueError(
            f"cluster sizes are between {share.min():.3g} and {share.max():.3g} times n/K, outside {size_range}"
        )


def corrupt_clusters(dataset: Dataset, corruption_rate: float, seed: int = 0) -> Dataset:
    """Give ⌊ρ·n_ℓ⌋ labels of every cluster another class label: Definition 1.2 with equality.

    `corruption_rate` (ρ) is in [0, 1]; the new label is uniform over the other classes.
    """
    _check_rate(corruption_rate)
    generator = random_stream(seed, "corruption")
    labels, corrupted = dataset.clean_labels.cpu().clone(), torch.zeros_like(dataset.corrupted.cpu())
    classes = dataset.classes.cpu()
    for cluster, alpha in enumerate(dataset.center_labels.cpu()):
        members = torch.nonzero(dataset.clusters.cpu() == cluster).flatten()
        count = math.floor(corruption_rate * len(members) + 1e-9)
        chosen = members[torch.randperm(len(members), generator=generator)[:count]]
        others = classes[classes != alpha]
        labels[chosen] = others[torch.randint(len(others), (count,), generator=generator)]
        corrupted[chosen] = True
    device = dataset.inputs.device
    return replace(dataset, labels=labels.to(device), corrupted=corrupted.to(device))


def redraw_labels(
    labels: Tensor, classes: Tensor, corruption_rate: float, seed: int = 0, stream: str = "corruption"
) -> tuple[Tensor, Bool[Tensor, " n"]]:
    """Draw a fraction ρ of labels again, uniformly over all classes, the true one included.

    The protocol of the paper's experiments: of two classes, ρ = 30 % flips about 15 %.
    Returns the new labels and the mask of those drawn again; compare with the old ones for
    the flipped. Another `stream` gives an independent draw of the same seed. Raises `ValueError` if ρ is outside [0, 1] or a label is not in `classes`.
    """
    _check_rate(corruption_rate)
    unknown = labels[~torch.isin(labels, classes)]
    if len(unknown):
        raise ValueError(f"label {unknown[0].item()} is not one of the classes {classes.tolist()}")
    generator = random_stream(seed, stream)
    count = round(corruption_rate * len(labels))
    chosen = torch.randperm(len(labels), generator=generator)[:count].to(labels.device)
    drawn = torch.randint(len(classes), (count,), generator=generator).to(labels.device)
    noisy, corrupted = labels.clone(), torch.zeros_like(labels, dtype=torch.bool)
    noisy[chosen] = classes[drawn]
    corrupted[chosen] = True
    return noisy, corrupted


def corrupt_uniformly(dataset: Dataset, corruption_rate: float, seed: int = 0) -> Dataset:
    """`redraw_labels` on a dataset: a fraction ρ of all labels, whatever their cluster."""
    labels, corrupted = redraw_labels(dataset.clean_labels, dataset.classes, corruption_rate, seed)
    return replace(dataset, labels=labels, corrupted=corrupted)


def ground_truth_label(
    inputs: Float[Tensor, "n d"], centers: Float[Tensor, "K d"], center_labels: Float[Tensor, " K"]
) -> Float[Tensor, " n"]:
    """ỹ(x), the label of the nearest cluster center (Definition 1.3)."""
    return center_labels[torch.cdist(inputs, centers).argmin(dim=1)]


def nearest_label(outputs: Float[Tensor, "..."], classes: Float[Tensor, " K_bar"]) -> Float[Tensor, "..."]:
    """The class label nearest to each output: the classifier of Theorem 2.2 (Eq. 5)."""
    midpoints = (classes[1:] + classes[:-1]) / 2
    return classes[torch.bucketize(outputs, midpoints)]


def around_centers(dataset: Dataset, n_samples: int, seed: int = 0, noise: str = "cap") -> Dataset:
    """Fresh inputs within ε₀ of the same centers, with their ground truth labels.

    What Theorem 2.2 promises to classify beyond the training set. `noise` as in
    `clusterable_dataset`.
    """
    generator = random_stream(seed, "inputs")
    centers = dataset.centers.cpu().double()
    clusters = torch.randint(len(centers), (n_samples,), generator=generator)
    inputs = _around(centers[clusters], dataset.input_noise, noise, generator)
    inputs = inputs.to(dataset.inputs)
    clean = dataset.center_labels[clusters.to(dataset.inputs.device)]
    corrupted = torch.zeros(n_samples, dtype=torch.bool, device=inputs.device)
    return replace(
        dataset,
        inputs=inputs,
        labels=clean,
        clean_labels=clean,
        clusters=clusters.to(inputs.device),
        corrupted=corrupted,
    )


def _check_rate(corruption_rate: float) -> None:
    if not 0 <= corruption_rate <= 1:
        raise ValueError(f"corruption_rate is {corruption_rate}, should be between 0 and 1")


def _check_request(n_samples, n_clusters, dim, n_classes, input_noise, noise) -> None:
    if dim < 2:
        raise ValueError(f"dim is {dim}, should be at least 2")
    if n_clusters < 1 or n_samples < n_clusters:
        raise ValueError(f"n_samples is {n_samples} for n_clusters = {n_clusters}: every cluster needs a sample")
    if n_classes > n_clusters:
        raise ValueError(
            f"n_classes is {n_classes}, more than n_clusters = {n_clusters}: every class needs a cluster (K̄ ≤ K)"
        )
    if not input_noise >= 0:
        raise ValueError(f"input_noise is {input_noise}, should be 0 or more")
    if input_noise > 1:
        raise ValueError(
            f"input_noise is {input_noise}: centers of different classes would have to be "
            f"{2 * input_noise:.4g} apart, but two unit vectors are at most 2 apart"
        )
    if noise not in ("cap", "shell", "offset"):
        raise ValueError(f"noise is {noise!r}, should be 'cap', 'shell' or 'offset'")


def _labels_as_given(labels, n_classes, label_separation) -> Float[Tensor, " K_bar"]:
    if labels is None:
        return class_labels(n_classes, label_separation)
    alphas = torch.tensor(labels, dtype=torch.float64).sort().values
    if len(alphas) != n_classes:
        raise ValueError(f"{len(alphas)} labels for n_classes = {n_classes}")
    if n_classes < 2 or not (alphas.abs() <= 1).all():
        raise ValueError(f"labels {labels} should be two or more numbers in [-1, 1]")
    gap, wanted = (alphas[1:] - alphas[:-1]).min().item(), label_separation
    if gap <= 0:
        raise ValueError(f"labels {labels} should be distinct")
    if wanted is not None and not 0 < wanted <= gap + 1e-12:
        raise ValueError(
            f"label_separation is {wanted}, should be between 0 and {gap:.4g}, "
            f"the smallest gap between the labels {labels}"
        )
    return alphas


def _unit_vectors(count: int, dim: int, generator: torch.Generator) -> Float[Tensor, "count dim"]:
    vectors = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


def _gap_between_classes(centers: Tensor, labels: Tensor) -> float:
    """Smallest distance between two centers of different classes."""
    distances = torch.cdist(centers, centers)
    return distances[labels[:, None] != labels[None, :]].min().item()


def _place_centers(classes, dim, separation, generator) -> Float[Tensor, "K d"]:
    """Random unit centers; those of different `classes` at least `separation` apart."""
    for _ in range(CENTER_RESTARTS):
        centers = torch.empty(0, dim, dtype=torch.float64)
        for label in classes:
            others = centers[classes[: len(centers)] != label]
            for _ in range(CENTER_TRIES // CENTER_BATCH):
                candidates = _unit_vectors(CENTER_BATCH, dim, generator)
                far = (torch.cdist(candidates, others) >= separation).all(dim=1)
                if far.any():
                    centers = torch.cat([centers, candidates[far][:1]])
                    break
            else:
                break
        if len(centers) == len(classes):
            return centers
    raise ValueError(
        f"could not place {len(classes)} cluster centers in {int(classes.max()) + 1} classes at "
        f"least 2ε₀ = {separation:.4g} apart on the unit sphere of R^{dim} "
        f"({CENTER_RESTARTS} × {CENTER_TRIES} tries a center): lower input_noise or n_clusters, "
        "or raise dim"
    )


def _cluster_sizes(n_samples, n_clusters, size_range, generator) -> Int[Tensor, " K"]:
    """Cluster sizes that add up to n, even or random between c_low·n/K and c_up·n/K."""
    even = n_samples // n_clusters
    if size_range is None:
        sizes = torch.full((n_clusters,), even)
        sizes[: n_samples - even * n_clusters] += 1
        return sizes
    low, up = size_range
    smallest = max(1, math.ceil(low * n_samples / n_clusters - 1e-9))
    largest = math.floor(min(up * n_samples / n_clusters, n_samples) + 1e-9)
    if not smallest * n_clusters <= n_samples <= largest * n_clusters:
        raise ValueError(
            f"size_range {size_range} allows clusters of {smallest} to {largest} samples: "
            f"{n_clusters} of them cannot hold n_samples = {n_samples}"
        )
    sizes = torch.full((n_clusters,), smallest)
    for _ in range(n_samples - smallest * n_clusters):
        room = (sizes < largest).double()
        sizes[torch.multinomial(room, 1, generator=generator)] += 1
    return sizes


def _around(centers, radius, noise, generator) -> Float[Tensor, "n d"]:
    """One input near each row of `centers`: on the sphere ("cap", "shell") or off it ("offset")."""
    count, dim = centers.shape
    direction = _unit_vectors(count, dim, generator)
    if noise == "offset":
        return centers + radius * direction
    if noise == "cap":
        radius = radius * torch.rand(count, 1, generator=generator, dtype=torch.float64) ** (1 / (dim - 1))
    direction = direction - (direction * centers).sum(1, keepdim=True) * centers
    direction = direction / direction.norm(dim=1, keepdim=True)
    radius = torch.as_tensor(radius, dtype=torch.float64)  # ‖x - c‖ = radius on the unit sphere
    return (1 - radius**2 / 2) * centers + radius * (1 - radius**2 / 4).sqrt() * direction
