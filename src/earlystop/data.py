"""The dataset model: Definitions 1.1 to 1.3, and the corruption of labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from earlystop.arguments import counts, kinds, numbers, refuse, tensors, values, without_nan
from earlystop.streams import random_stream

CENTER_TRIES = 2000  # candidates for one center before the whole draw starts again,
CENTER_BATCH = 50  # looked at in batches
CENTER_RESTARTS = 20


@dataclass(frozen=True)
class Dataset:
    """n samples in R^d from K clusters with K̄ labels, clean (Definition 1.1) or corrupted (Definition 1.2).

    >>> dataset = earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1)
    >>> dataset.labels
    tensor([-1., -1., -1., -1., -1.,  1.,  1.,  1.,  1.,  1.])
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
        """δ, the smallest distance between two class labels (Eq. 1). `ValueError` for a single class."""
        refuse({"there is one class: δ is the distance between two": len(self.classes) < 2})
        return (self.classes[1:] - self.classes[:-1]).min().item()

    def to(self, device: torch.device | str) -> "Dataset":
        """The same dataset with every tensor on `device`."""
        return replace(self, **{k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)})


def class_labels(n_classes: int, label_separation: float | None = None) -> Float[Tensor, " K_bar"]:
    """K̄ even labels in [-1, 1], at least `label_separation` (δ) apart: `ValueError` unless 2 ≤ K̄ ≤ 2/δ + 1.

    >>> earlystop.data.class_labels(3)
    tensor([-1.,  0.,  1.], dtype=torch.float64)
    """
    counts(n_classes=n_classes)
    refuse({f"n_classes is {n_classes}, need at least 2 classes to tell apart": n_classes < 2})
    widest = f"{n_classes} labels in [-1, 1] can be between 0 and {2 / (n_classes - 1):.4g} apart (n_classes ≤ 2/δ + 1)"
    _check_separation(label_separation, 2 / (n_classes - 1), widest)
    return torch.linspace(-1, 1, n_classes, dtype=torch.float64)


def clusterable_dataset(
    n_samples: int,
    n_clusters: int,
    dim: int,
    *,
    input_noise: float,
    n_classes: int | None = None,
    labels: Sequence[float] | Float[Tensor, " K_bar"] | None = None,
    label_separation: float | None = None,
    size_range: tuple[float, float] | None = None,
    noise: str = "cap",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Dataset:
    """Draw an (ε₀, δ) clusterable dataset that satisfies Definition 1.1 by construction.

    `n_samples` (n), `n_clusters` (K), `dim` (d ≥ 2), `n_classes` (K̄ ≤ K, default K). Inputs lie within `input_noise`
    (0 ≤ ε₀ ≤ 1) of their center: `noise` "cap" fills that part of the unit sphere, "shell" puts all at exactly ε₀,
    "offset" adds a vector of length ε₀ and leaves the sphere (Figure 5, outside Definition 1.1). The K̄ class `labels`
    in [-1, 1], default evenly spaced, are at least `label_separation` (δ) apart. Cluster sizes are as even as
    possible, or between c_low·n/K and c_up·n/K for a `size_range` (c_low, c_up). Centers are uniform on the sphere, two
    of different classes at least 2ε₀ apart. Raises `ValueError` for what is impossible, or not found in many tries.

    >>> earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1).inputs.shape
    torch.Size([10, 3])
    """
    counts(n_samples=n_samples, n_clusters=n_clusters, dim=dim)
    if labels is not None:
        labels = tuple(next(tensors(torch.float64, labels=(labels, "K̄"))).tolist())
    n_classes = (len(labels) if labels else n_clusters) if n_classes is None else n_classes
    _check_request(n_samples, n_clusters, dim, n_classes, input_noise, noise, dtype)
    alphas = _labels_as_given(labels, n_classes, label_separation)
    generator = random_stream(seed, "dataset")
    center_classes = torch.arange(n_clusters) * n_classes // n_clusters
    centers = _place_centers(center_classes, dim, 2 * input_noise, generator)
    sizes = _cluster_sizes(n_samples, n_clusters, size_range, generator)
    clusters = torch.repeat_interleave(torch.arange(n_clusters), sizes)
    inputs = _around(centers[clusters], input_noise, noise, generator).to(dtype)
    alphas, centers, corrupted = alphas.to(dtype), centers.to(dtype), torch.zeros(n_samples, dtype=torch.bool)
    center_labels = alphas[center_classes]
    clean = center_labels[clusters]
    return Dataset(inputs, clean.clone(), clean, clusters, centers, center_labels, alphas, input_noise, corrupted)


def check_clusterable(dataset: Dataset, size_range: tuple[float, float] = (0, math.inf)) -> None:
    """Raise `ValueError` naming the first line of Definition 1.1 that `dataset` breaks.

    >>> earlystop.data.check_clusterable(earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1))
    """
    _check_dataset(dataset)
    _check_range(size_range)
    data, tolerance = dataset, 1e-5
    norms = data.inputs.norm(dim=1)
    worst = norms[(norms - 1).abs().argmax()].item()
    center_error = (data.centers.norm(dim=1) - 1).abs().max().item()
    radius = (data.inputs - data.centers[data.clusters]).norm(dim=1).max().item()
    same_class = data.center_labels[:, None] == data.center_labels
    gap = torch.cdist(data.centers, data.centers).masked_fill(same_class, math.inf).min().item()
    sizes = torch.bincount(data.clusters, minlength=len(data.centers))
    share = sizes * len(sizes) / len(data.inputs)
    low, up = share.min().item(), share.max().item()
    refuse({
        f"an input has norm {worst:.4g}: Definition 1.1 needs unit norm inputs": not abs(worst - 1) <= tolerance,
        "a cluster center is not a unit vector": not center_error <= tolerance,
        f"an input is {radius:.4g} from its center, more than ε₀ = {data.input_noise}":
            not radius <= data.input_noise + tolerance,
        f"labels {data.classes.tolist()} should be distinct and lie in [-1, 1]":
            not data.classes.abs().max().item() <= 1 or data.label_separation <= 0,
        f"centers of different classes are {gap:.4g} apart, less than 2ε₀": gap < 2 * data.input_noise - tolerance,
        f"cluster sizes are between {low:.3g} and {up:.3g} times n/K, outside {size_range}":
            low < size_range[0] or up > size_range[1],
        "a cluster has no sample: Definition 1.1 needs c_low·n/K > 0 of them": low == 0,
    })  # fmt: skip


def corrupt_clusters(dataset: Dataset, corruption_rate: float, seed: int = 0) -> Dataset:
    """Give ⌊ρ·n_ℓ⌋ labels of every cluster another, uniform over the other classes: Definition 1.2 with equality.

    Raises `ValueError` if `corruption_rate` (ρ) is outside [0, 1], or there is no other class.

    >>> dataset = earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1)
    >>> earlystop.data.corrupt_clusters(dataset, 0.4).flipped.sum()
    tensor(4)
    """
    _check_dataset(dataset)
    check_rate(corruption_rate)
    refuse({"there is one class: a label has no other one to become": len(dataset.classes) < 2})
    generator, data = random_stream(seed, "corruption"), dataset.to("cpu")
    labels, corrupted = data.clean_labels.clone(), torch.zeros_like(data.corrupted)
    for cluster, alpha in enumerate(data.center_labels):
        members = torch.nonzero(data.clusters == cluster).flatten()
        count = math.floor(corruption_rate * len(members) + 1e-9)
        chosen = members[torch.randperm(len(members), generator=generator)[:count]]
        others = data.classes[data.classes != alpha]
        labels[chosen] = others[torch.randint(len(others), (count,), generator=generator)]
        corrupted[chosen] = True
    device = dataset.inputs.device
    return replace(dataset, labels=labels.to(device), corrupted=corrupted.to(device))


def redraw_labels(
    labels: Tensor, classes: Tensor, corruption_rate: float, seed: int = 0, stream: str = "corruption"
) -> tuple[Tensor, Bool[Tensor, " n"]]:
    """Draw a fraction ρ of labels again, uniformly over all classes, the true one included.

    The protocol of the paper's experiments: of two classes, ρ = 30 % flips about 15 %. Returns the new labels and the
    mask of those drawn again; compare with the old ones for the flipped. Another `stream` gives an independent draw of
    the same seed. Raises `ValueError` if ρ is outside [0, 1] or a label is not in `classes`.

    >>> noisy, drawn = earlystop.data.redraw_labels([0] * 10, [0, 1], 0.3)
    >>> drawn.sum()
    tensor(3)
    """
    check_rate(corruption_rate)
    labels, classes = values(labels=(labels, "n"), classes=(classes, "K"))
    unknown = labels[~torch.isin(labels, classes)][:1].tolist()
    refuse({f"label {one} is not one of the classes {classes.tolist()}": True for one in unknown})
    generator, count = random_stream(seed, stream), round(corruption_rate * len(labels))
    chosen = torch.randperm(len(labels), generator=generator)[:count].to(labels.device)
    drawn = torch.randint(len(classes), (count,), generator=generator).to(labels.device)
    classes = classes.to(torch.promote_types(labels.dtype, classes.dtype))
    noisy, corrupted = labels.to(classes.dtype, copy=True), torch.zeros_like(labels, dtype=torch.bool)
    noisy[chosen], corrupted[chosen] = classes[drawn], True
    return noisy, corrupted


def corrupt_uniformly(dataset: Dataset, corruption_rate: float, seed: int = 0) -> Dataset:
    """`redraw_labels` on a dataset: a fraction ρ of all labels, whatever their cluster.

    >>> dataset = earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1)
    >>> earlystop.data.corrupt_uniformly(dataset, 0.3).corrupted.sum()
    tensor(3)
    """
    _check_dataset(dataset)
    labels, corrupted = redraw_labels(dataset.clean_labels, dataset.classes, corruption_rate, seed)
    return replace(dataset, labels=labels, corrupted=corrupted)


def ground_truth_label(
    inputs: Float[Tensor, "n d"], centers: Float[Tensor, "K d"], center_labels: Float[Tensor, " K"]
) -> Float[Tensor, " n"]:
    """ỹ(x), the label of the nearest cluster center (Definition 1.3).

    >>> earlystop.data.ground_truth_label([[0.9, 0.1], [0.2, 0.7]], torch.eye(2), [-1, 1])
    tensor([-1,  1])
    """
    inputs, centers = tensors(inputs=(inputs, "n d"), centers=(centers, "K d"))
    center_labels, _ = values(center_labels=(center_labels, "K"), centers=(centers, "K d"))
    without_nan(inputs=inputs, centers=centers)
    refuse({"centers are none: no cluster is the nearest": not len(centers)})
    return center_labels[torch.cdist(inputs, centers).argmin(dim=1)]


def nearest_label(outputs: Float[Tensor, "..."], classes: Float[Tensor, " K_bar"]) -> Float[Tensor, "..."]:
    """The class label nearest to each output: the classifier of Theorem 2.2 (Eq. 5).

    >>> earlystop.data.nearest_label([-0.8, 0.1, 0.6], [-1, 0, 1])
    tensor([-1,  0,  1])
    """
    (outputs,), (classes,) = tensors(outputs=(outputs, "*")), values(classes=(classes, "K"))
    refuse({f"classes are {classes.tolist()}, should go up": not len(classes) or bool((classes.diff() <= 0).any())})
    without_nan(outputs=outputs, classes=classes)
    midpoints = (classes[1:] + classes[:-1]) / 2
    return classes[torch.bucketize(outputs, midpoints.to(outputs))]


def around_centers(dataset: Dataset, n_samples: int, seed: int = 0, noise: str = "cap") -> Dataset:
    """Fresh inputs (`noise` as before) within ε₀ of the same centers, with true labels: the promise of Theorem 2.2.

    >>> dataset = earlystop.data.clusterable_dataset(10, 2, 3, input_noise=0.1)
    >>> earlystop.data.around_centers(dataset, 4).inputs.shape
    torch.Size([4, 3])
    """
    _check_dataset(dataset)
    counts(least=0, n_samples=n_samples)
    _check_noise(noise)
    generator, data = random_stream(seed, "inputs"), dataset.to("cpu")
    clusters = torch.randint(len(data.centers), (n_samples,), generator=generator)
    inputs = _around(data.centers.double()[clusters], data.input_noise, noise, generator).to(data.inputs)
    clean, corrupted = data.center_labels[clusters], torch.zeros(n_samples, dtype=torch.bool)
    fresh = replace(data, inputs=inputs, labels=clean, clean_labels=clean, clusters=clusters, corrupted=corrupted)
    return fresh.to(dataset.inputs.device)


def check_rate(corruption_rate: float) -> None:
    """Raise `ValueError` unless ρ is in [0, 1].

    >>> earlystop.data.check_rate(0.3)
    """
    numbers(corruption_rate=corruption_rate)
    refuse({f"corruption_rate is {corruption_rate}, should be between 0 and 1": not 0 <= corruption_rate <= 1})


def _check_dataset(dataset: Dataset) -> None:
    kinds(Dataset, "a Dataset, as clusterable_dataset draws it", dataset=dataset)


def _check_range(size_range: tuple[float, float]) -> None:
    next(tensors(size_range=(size_range, "2")))


def _check_noise(noise: str) -> None:
    refuse({f"noise is {noise!r}, should be 'cap', 'shell' or 'offset'": noise not in ("cap", "shell", "offset")})


def _check_request(n_samples, n_clusters, dim, n_classes, input_noise, noise, dtype) -> None:
    counts(n_classes=n_classes)
    numbers(input_noise=input_noise)
    _check_noise(noise)
    kinds(torch.dtype, "torch.float32 or torch.float64", dtype=dtype)
    refuse({
        f"dim is {dim}, should be at least 2": dim < 2,
        f"n_samples is {n_samples} for n_clusters = {n_clusters}: every cluster needs a sample":
            n_clusters < 1 or n_samples < n_clusters,
        f"n_classes is {n_classes}, more than n_clusters = {n_clusters}: every class needs a cluster (K̄ ≤ K)":
            n_classes > n_clusters,
        f"input_noise is {input_noise}, should be 0 or more": not input_noise >= 0,
        f"input_noise is {input_noise}: centers of different classes would have to be "
        f"{2 * input_noise:.4g} apart, but two unit vectors are at most 2 apart": input_noise > 1,
    })  # fmt: skip


def _labels_as_given(labels, n_classes, label_separation) -> Float[Tensor, " K_bar"]:
    if labels is None:
        return class_labels(n_classes, label_separation)
    alphas = torch.tensor(labels, dtype=torch.float64).sort().values
    gap = (alphas[1:] - alphas[:-1]).min().item() if len(alphas) > 1 else 0.0
    refuse({
        f"{len(alphas)} labels for n_classes = {n_classes}": len(alphas) != n_classes,
        f"labels {labels} should be two or more numbers in [-1, 1]": n_classes < 2 or not (alphas.abs() <= 1).all(),
        f"labels {labels} should be distinct": gap <= 0,
    })  # fmt: skip
    _check_separation(label_separation, gap + 1e-12, f"the smallest gap between the labels {labels} is {gap:.4g}")
    return alphas


def _check_separation(wanted: float | None, widest: float, why: str) -> None:
    if wanted is not None:
        numbers(label_separation=wanted)
    refuse({f"label_separation is {wanted}: {why}": wanted is not None and not 0 < wanted <= widest})


def _unit_vectors(count: int, dim: int, generator: torch.Generator) -> Float[Tensor, "count dim"]:
    vectors = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


def _place_centers(classes, dim, separation, generator) -> Float[Tensor, "K d"]:
    """Random unit centers; those of different `classes` at least `separation` apart."""
    for _ in range(CENTER_RESTARTS):
        centers = torch.empty(0, dim, dtype=torch.float64)
        while len(centers) < len(classes):
            found = _center_beside(centers[classes[: len(centers)] != classes[len(centers)]], separation, generator)
            if not len(found):
                break
            centers = torch.cat([centers, found])
        else:
            return centers
    raise ValueError(
        f"could not place {len(classes)} cluster centers in {int(classes.max()) + 1} classes at least 2ε₀ = "
        f"{separation:.4g} apart on the unit sphere of R^{dim} ({CENTER_RESTARTS} × {CENTER_TRIES} tries a center): "
        "lower input_noise or n_clusters, or raise dim"
    )


def _center_beside(others: Float[Tensor, "m d"], separation: float, generator) -> Float[Tensor, "found d"]:
    """A random unit vector at least `separation` from all `others`, or none after many tries."""
    for _ in range(CENTER_TRIES // CENTER_BATCH):
        candidates = _unit_vectors(CENTER_BATCH, others.shape[1], generator)
        far = (torch.cdist(candidates, others) >= separation).all(dim=1)
        if far.any():
            return candidates[far][:1]
    return others[:0]


def _cluster_sizes(n_samples, n_clusters, size_range, generator) -> Int[Tensor, " K"]:
    """Cluster sizes that add up to n, even or random between c_low·n/K and c_up·n/K."""
    if size_range is None:
        return n_samples // n_clusters + (torch.arange(n_clusters) < n_samples % n_clusters).long()
    _check_range(size_range)
    low, up = size_range
    smallest = max(1, math.ceil(low * n_samples / n_clusters - 1e-9))
    largest = math.floor(min(up * n_samples / n_clusters, n_samples) + 1e-9)
    message = (
        f"size_range {size_range} allows clusters of {smallest} to {largest} samples: "
        f"{n_clusters} of them cannot hold n_samples = {n_samples}"
    )
    refuse({message: not smallest * n_clusters <= n_samples <= largest * n_clusters})
    sizes = torch.full((n_clusters,), smallest)
    for _ in range(n_samples - smallest * n_clusters):
        sizes[torch.multinomial((sizes < largest).double(), 1, generator=generator)] += 1
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
