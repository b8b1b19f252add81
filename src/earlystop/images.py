"""Image data as one uint8 tensor each: handwritten digits (embedded), MNIST and CIFAR-10."""

import errno
import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from earlystop.runs.progress import nobody_watches, progress
from earlystop.streams import random_stream

DIGITS_TEST = 397  # of scikit-learn's 1,797 digits

# Repository on the Hugging Face Hub, file of each split, image column, and the SHA-256 of the
# decoded pixels (n × channels × height × width bytes) followed by the labels (n bytes).
HUB = {
    "mnist": (
        "ylecun/mnist",
        {"train": "mnist/train-00000-of-00001.parquet", "test": "mnist/test-00000-of-00001.parquet"},
        "image",
        {
            "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
            "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
        },
    ),
    "cifar10": (
        "uoft-cs/cifar10",
        {"train": "plain_text/train-00000-of-00001.parquet", "test": "plain_text/test-00000-of-00001.parquet"},
        "img",
        {
            "train": "1e91790dbaf241617ca1f29a9aba08eb9a62df84cc90676b47edd05ad2ab3c94",
            "test": "9a4c74f5c8b6f2c4e13d3a1dfb43a5a8cda8a9da515e99fd620d2013a1a6287a",
        },
    ),
}
# What is downloaded; a copy of any other revision will do if it holds the same images.
REVISIONS = {"mnist": "77f3279092a1c1579b2250db8eafed0ad422088c", "cifar10": "0b2714987fa478483af9968de7c934580d0bb9a2"}
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


def sample_split(images: Images, *sizes: int, seed: int = 0, stream: str = "split") -> tuple[Images, ...]:
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
    other = None
    for source in _copies(repository, files[split]):
        arrays = _decoded(source, column)
        if arrays is None:
            _discard(source)
        elif content_hash(*arrays) == hashes[split]:
            return _kept(decoded, *arrays)
        else:
            other = source
    source = _download(name, repository, files[split], other)  # or the pinned copy, if there is one
    arrays = _decoded(source, column)
    if arrays is None:
        raise DataError(
            f"{TITLES[name]}: the file from {repository} cannot be read, so it was "
            f"{_discard(source)}. Run again to download it again."
        )
    if content_hash(*arrays) == hashes[split]:
        return _kept(decoded, *arrays)
    raise DataError(
        f"{TITLES[name]}: {source} does not hold the expected {split} images, or not in their "
        "order. It is not downloaded again unless you delete it."
    )


def _copies(repository: str, file: str) -> list[Path]:
    """Every copy of a file in the Hugging Face cache, whatever its revision."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"datasets--{repository.replace('/', '--')}"
    return sorted(folder.glob(f"snapshots/*/{file}"))


def _decoded(source: Path, column: str) -> tuple[Tensor, Tensor] | None:
    """Pixels and labels in a file; None if it is damaged, which may show in any way."""
    try:
        return _decode(source, column)
    except (ImportError, MemoryError):  # no fault of the file
        raise
    except Exception:
        return None


def _kept(path: Path, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The decoded images, after they were kept for the next time."""
    _write_atomically(path, pixels, labels)
    return pixels, labels


def _cache_folder() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "earlystop"
    return Path(os.environ.get("EARLYSTOP_CACHE", default))


def _download(name: str, repository: str, file: str, other: Path | None = None) -> Path:
    """Download the pinned revision of a file. Raises `DataError`; it names a copy that is no use."""
    from huggingface_hub import hf_hub_download

    try:
        with _hushed():
            return Path(hf_hub_download(repository, file, repo_type="dataset", revision=REVISIONS[name]))
    except Exception as error:  # the Hub's own errors depend on its version and the network
        copy = f" (the copy {other} holds other images)" if other else ""
        raise DataError(
            f"{TITLES[name]} is not in the Hugging Face cache{copy}, and "
            f"{_reason(error, name, file)}; or set HF_HUB_CACHE to a cache that holds "
            f"{repository}. EARLYSTOP_SCALE=quick works without it."
        ) from error


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the Hub's remarks, such as that no token is set: a build takes stderr for a fault."""
    from huggingface_hub.utils import disable_progress_bars, logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if nobody_watches():
                disable_progress_bars()
            yield
    finally:
        logging.set_verbosity(before)


def _reason(error: BaseException, name: str, file: str) -> str:
    """Why a download failed and what to do: not reached, refused, not there, not to be written."""
    from huggingface_hub import constants

    hub, repository, revision = constants.ENDPOINT, HUB[name][0], REVISIONS[name]
    first, status = error, None
    while error and status is None:  # the cause is often wrapped
        status = getattr(getattr(error, "response", None), "status_code", None)
        error = error.__cause__ or error.__context__
    if status in (401, 403):
        return (
            f"{hub} refused it ({status}): look for a token that is no longer valid (HF_TOKEN, or "
            "hf auth login) or a network that needs one"
        )
    if status in (404, 410):
        return f"{hub} does not have {file} of {repository} at revision {revision} ({status})"
    if status:
        return f"{hub} answered with error {status}: try again later"
    if getattr(first, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
        return f"it cannot be written there: {first}"
    if constants.HF_HUB_OFFLINE:
        why = "HF_HUB_OFFLINE forbids to download it. Without it"
    else:
        why = f"{hub} could not be reached ({type(first).__name__}). With a network"
    return f"{why}, run once: python -c \"from earlystop.images import load_images; load_images('{name}')\""


def _decode(source: Path, column: str) -> tuple[Tensor, Tensor]:
    """Decode a parquet file of PNG images into (n, c, h, w) bytes and n labels."""
    import pyarrow.parquet
    from PIL import Image

    rows = pyarrow.parquet.read_table(source)
    pictures = [
        np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in progress(rows[column].to_pylist(), "decoding")
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
