"""Image data as one uint8 tensor each: handwritten digits (embedded), MNIST and CIFAR-10."""

import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from earlystop.page import progress
from earlystop.scale import random_stream

DIGITS_TEST = 397  # of scikit-learn's 1,797 digits

# Repository on the Hugging Face Hub, file of each split, image column, and the SHA-256 of the
# decoded pixels (n × channels × height × width bytes) followed by the labels (n bytes).
HUB = {
    "mnist": (
        "ylecun/mnist",
        {
            "train": "mnist/train-00000-of-00001.parquet",
            "test": "mnist/test-00000-of-00001.parquet",
        },
        "image",
        {
            "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
            "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
        },
    ),
    "cifar10": (
        "uoft-cs/cifar10",
        {
            "train": "plain_text/train-00000-of-00001.parquet",
            "test": "plain_text/test-00000-of-00001.parquet",
        },
        "img",
        {
            "train": "1e91790dbaf241617ca1f29a9aba08eb9a62df84cc90676b47edd05ad2ab3c94",
            "test": "9a4c74f5c8b6f2c4e13d3a1dfb43a5a8cda8a9da515e99fd620d2013a1a6287a",
        },
    ),
}
TITLES = {
    "digits": "scikit-learn's handwritten digits, 8 × 8 pixels",
    "mnist": "MNIST, 28 × 28 pixels",
    "cifar10": "CIFAR-10, 32 × 32 pixels in color",
    "patterns": "random patterns, 8 × 8 pixels in color",  # for fingerprints: nothing to learn
}


class DataError(RuntimeError):
    """A data set is missing or damaged; the message says how to get it."""


@dataclass(frozen=True)
class Images:
    """n images with their true classes, 0 to 9."""

    pixels: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, " n"]
    title: str

    def inputs(self, mean: float | None = None, std: float | None = None) -> Float[Tensor, "n c h w"]:
        """Pixels as numbers, shifted and scaled to mean 0 and deviation 1 over the data set."""
        values = self.pixels.float() / 255
        mean = values.mean().item() if mean is None else mean
        std = values.std().item() if std is None else std
        return (values - mean) / std

    def subset(self, indices: Int[Tensor, " m"] | slice) -> "Images":
        """The images at `indices`."""
        return Images(self.pixels[indices], self.labels[indices], self.title)

    def to(self, device: torch.device | str) -> "Images":
        """The same images on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device), self.title)

    def __len__(self) -> int:
        return len(self.labels)


def load_images(name: str, split: str = "train") -> Images:
    """Load `"digits"`, `"mnist"`, `"cifar10"` or `"patterns"`, split `"train"` or `"test"`.

    The digits are part of scikit-learn, the patterns are drawn from a seed. The others come through `huggingface_hub`, its cache
    honoured, and are verified after decoding. Raises `ValueError` for an unknown name or split,
    `DataError` if the data cannot be had or is damaged.
    """
    if name not in TITLES:
        raise ValueError(f"data set {name!r} is unknown, use one of {', '.join(TITLES)}")
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}, should be 'train' or 'test'")
    made = {"digits": _digits, "patterns": _patterns}.get(name)
    pixels, labels = made(split) if made else _from_hub(name, split)
    return Images(pixels, labels.long(), TITLES[name])


def sample_split(
    images: Images, *sizes: int, seed: int = 0, stream: str = "split"
) -> tuple[Images, ...]:
    """Disjoint random subsets of the given sizes, another draw by another `stream`. Raises `ValueError` if there are too few images."""
    if sum(sizes) > len(images):
        raise ValueError(f"{sum(sizes):,} images asked for, but {images.title} has {len(images):,}")
    order = torch.randperm(len(images), generator=random_stream(seed, stream))
    return tuple(images.subset(part) for part in order[: sum(sizes)].split(list(sizes)))


def content_hash(pixels: UInt8[Tensor, "..."], labels: Tensor) -> str:
    """SHA-256 of pixels and labels, as listed in `HUB`."""
    digest = hashlib.sha256(pixels.contiguous().numpy().tobytes())
    digest.update(labels.to(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _digits(split: str) -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.from_numpy(np.round(digits.images * 255 / 16).astype(np.uint8))[:, None]
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    part = order[:DIGITS_TEST] if split == "test" else order[DIGITS_TEST:]
    return pixels[part], torch.from_numpy(digits.target)[part]


def _patterns(split: str) -> tuple[Tensor, Tensor]:
    """Random pixels of 500 images of ten classes."""
    draw = random_stream({"train": 5, "test": 4}[split], "patterns")
    pixels = torch.randint(256, (500, 3, 8, 8), generator=draw, dtype=torch.uint8)
    return pixels, torch.arange(500) % 10


def _from_hub(name: str, split: str) -> tuple[Tensor, Tensor]:
    """The decoded split, from our own cache if it is there and whole, else from the Hub."""
    repository, files, column, hashes = HUB[name]
    decoded = _cache_folder() / f"{name}-{split}-{hashes[split][:16]}.npz"
    if decoded.exists():
        try:
            with np.load(decoded) as arrays:
                pixels, labels = (torch.from_numpy(arrays[key]) for key in ("pixels", "labels"))
            if content_hash(pixels, labels) == hashes[split]:
                return pixels, labels
        except Exception:  # a damaged file may fail in any way; it is made again below
            pass
    source = _download(name, repository, files[split])
    try:
        pixels, labels = _decode(source, column)
        intact = content_hash(pixels, labels) == hashes[split]
    except (ImportError, MemoryError):  # no fault of the file
        raise
    except Exception:  # a damaged file may fail in any way
        intact = False
    if not intact:
        kept = _discard(source)
        raise DataError(
            f"{TITLES[name]}: the file from {repository} does not hold the expected {split} "
            f"images, so it was {kept}. Run again to download it again."
        )
    _write_atomically(decoded, pixels, labels)
    return pixels, labels


def _cache_folder() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "earlystop"
    return Path(os.environ.get("EARLYSTOP_CACHE", default))


def _download(name: str, repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, file, repo_type="dataset"))
    except Exception as error:  # the Hub's own errors depend on its version and the network
        raise DataError(
            f"{TITLES[name]} is not in the Hugging Face cache and could not be downloaded "
            f"({type(error).__name__}). With a network, run once: "
            f"python -c \"from earlystop.images import load_images; load_images('{name}')\"; "
            "or set HF_HUB_CACHE to a cache that holds "
            f"{repository}. EARLYSTOP_SCALE=quick works without it."
        ) from error


def _decode(source: Path, column: str) -> tuple[Tensor, Tensor]:
    """Decode a parquet file of PNG images into (n, c, h, w) bytes and n labels."""
    import pyarrow.parquet
    from PIL import Image

    rows = pyarrow.parquet.read_table(source)
    pictures = [
        np.asarray(Image.open(io.BytesIO(row["bytes"])))
        for row in progress(rows[column].to_pylist(), "decoding")
    ]
    stack = torch.from_numpy(np.stack(pictures))
    pixels = stack[:, None] if stack.ndim == 3 else stack.permute(0, 3, 1, 2).contiguous()
    return pixels, torch.tensor(rows["label"].to_pylist(), dtype=torch.uint8)


def _discard(source: Path) -> str:
    """Delete a damaged download, the blob behind its link included."""
    try:
        blob = source.resolve()
        source.unlink()
        blob.unlink(missing_ok=True)
        return "deleted"
    except OSError:
        return f"left out (it could not be deleted: {source})"


def _write_atomically(path: Path, pixels: Tensor, labels: Tensor) -> None:
    """Write the decoded images so that no half-written file is ever read; failing is no harm."""
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            part = Path(file.name)
            np.savez(file, pixels=pixels.numpy(), labels=labels.numpy())
        os.replace(part, path)
    except OSError:
        if part:
            part.unlink(missing_ok=True)
