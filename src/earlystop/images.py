"""Image data as one uint8 tensor each: handwritten digits (embedded), MNIST, CIFAR-10, or a set of your own."""

import errno
import hashlib
import io
import pkgutil
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from earlystop.arguments import counts, functions, kinds, refuse, values, whole
from earlystop.runs.progress import nobody_watches, progress
from earlystop.streams import random_stream

SPLITS = ("train", "test")
DIGITS_TEST = 397  # of scikit-learn's 1,797 digits

# Repository on the Hugging Face Hub, file of each split, image column, and the SHA-256 of the
# decoded pixels (n × channels × height × width bytes) followed by the labels (n bytes).
HUB = {
    "mnist": ("ylecun/mnist", {split: f"mnist/{split}-00000-of-00001.parquet" for split in SPLITS}, "image", {
        "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
        "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
    }),
    "cifar10": ("uoft-cs/cifar10", {split: f"plain_text/{split}-00000-of-00001.parquet" for split in SPLITS}, "img", {
        "train": "1e91790dbaf241617ca1f29a9aba08eb9a62df84cc90676b47edd05ad2ab3c94",
        "test": "9a4c74f5c8b6f2c4e13d3a1dfb43a5a8cda8a9da515e99fd620d2013a1a6287a",
    }),
}  # fmt: skip
# What is downloaded; a copy of any other revision will do if it holds the same images.
REVISIONS = {"mnist": "77f3279092a1c1579b2250db8eafed0ad422088c", "cifar10": "0b2714987fa478483af9968de7c934580d0bb9a2"}
TITLES = {
    "digits": "scikit-learn's handwritten digits, 8 × 8 pixels",
    "mnist": "MNIST, 28 × 28 pixels",
    "cifar10": "CIFAR-10, 32 × 32 pixels in color",
    "cifar10n": "CIFAR-10 with people's labels, 32 × 32 pixels in color",
    "patterns": "random patterns, 8 × 8 pixels in color",  # for fingerprints: nothing to learn
}


class DataError(RuntimeError):
    """A data set is missing or damaged; the message says how to get it.

    >>> issubclass(earlystop.images.DataError, RuntimeError)
    True
    """


@dataclass(frozen=True)
class Images:
    """n images with their true classes, 0 to 9, and the noisy labels that they came with, if they did.

    `ValueError` unless pixels are uint8 and there is a class for each image.

    >>> len(earlystop.images.Images(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), labels=[3, 5]))
    2
    """

    pixels: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, " n"]
    title: str = "images of your own"
    given: Int[Tensor, " n"] | None = None  # labels as given, where a data set has noise of its own

    def __post_init__(self) -> None:
        given = {"labels": self.labels} | ({} if self.given is None else {"given": self.given})
        shapes = {"pixels": (self.pixels, "n channels height width")} | {k: (v, "n") for k, v in given.items()}
        pixels, *_ = values(**shapes)
        fit = pixels.dtype == torch.uint8
        refuse({f"pixels are {pixels.dtype}, should be torch.uint8, as bytes from 0 to 255": not fit})
        numbers = whole(**{name: shapes[name] for name in given})
        for name, value in {"pixels": pixels, **dict(zip(given, numbers))}.items():
            object.__setattr__(self, name, value)  # of a list or an array

    def inputs(self, mean: float | None = None, std: float | None = None) -> Float[Tensor, "n c h w"]:
        """Pixels as numbers, shifted and scaled to mean 0 and deviation 1 over the data set."""
        shades = self.pixels.float() / 255
        mean = shades.mean().item() if mean is None else mean
        std = shades.std().item() if std is None else std
        return (shades - mean) / std

    def subset(self, indices: Int[Tensor, " m"] | slice) -> "Images":
        """The images at `indices`."""
        return self._each(lambda values: values[indices])

    def to(self, device: torch.device | str) -> "Images":
        """The same images on `device`."""
        return self._each(lambda values: values.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Images":
        return replace(self, **{k: change(v) for k, v in vars(self).items() if isinstance(v, Tensor)})

    def __len__(self) -> int:
        return len(self.labels)


def load_images(name: str, split: str = "train") -> Images:
    """Load `"digits"`, `"mnist"`, `"cifar10"`, `"cifar10n"`, `"patterns"` or a set of your own, `"train"` or `"test"`.

    The digits are part of scikit-learn, the patterns are drawn from a seed, MNIST and CIFAR-10 come through
    `huggingface_hub`, its cache honoured, and are verified after decoding; people's labels of it, `cifar10n`, are
    read from a file (`earlystop.cifar10n`). A set of your own is a function of the
    split that returns `Images`: `"mydata:load"` stands for `load` in mydata.py. Raises `ValueError` for an unknown
    name or split and for images unlike the book's, `DataError` if the data cannot be had or is damaged.

    >>> earlystop.images.load_images("digits").pixels.shape
    torch.Size([1400, 1, 8, 8])
    """
    load = loader(name)
    refuse({f"split is {split!r}, should be 'train' or 'test'": split not in SPLITS})
    return _checked(name, load, split) if ":" in name else load(split)


def sample_split(images: Images, *sizes: int, seed: int = 0, stream: str = "split") -> tuple[Images, ...]:
    """Disjoint random subsets of the given sizes, another draw by another `stream`.

    Raises `ValueError` if there are too few images.

    >>> [len(part) for part in earlystop.images.sample_split(earlystop.images.load_images("digits"), 100, 50)]
    [100, 50]
    """
    kinds(Images, "Images, as load_images gives", images=images)
    for size in sizes:
        counts(least=0, sizes=size)
    asked = sum(sizes)
    refuse({f"{asked:,} images asked for, but {images.title} has {len(images):,}": asked > len(images)})
    order = torch.randperm(len(images), generator=random_stream(seed, stream))
    return tuple(images.subset(part) for part in order[:asked].split(list(sizes)))


def content_hash(pixels: UInt8[Tensor, "..."], *labels: Tensor) -> str:
    """SHA-256 of pixels and labels, as listed in `HUB`; of labels as given too, where there are some.

    >>> earlystop.images.content_hash(torch.zeros(1, dtype=torch.uint8))[:8]
    '6e340b9c'
    """
    (pixels,) = values(pixels=(pixels, "*"))
    digest = hashlib.sha256(pixels.contiguous().numpy().tobytes())
    for part in labels:
        (part,) = whole(labels=(part, "*"))
        digest.update(part.to(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _digits(split: str) -> Images:
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    pixels = torch.from_numpy(np.round(values * 255 / 16).astype(np.uint8)).reshape(-1, 1, 8, 8)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    part = order[:DIGITS_TEST] if split == "test" else order[DIGITS_TEST:]
    return Images(pixels[part], torch.from_numpy(labels)[part], TITLES["digits"])


def _patterns(split: str) -> Images:
    """Random pixels of 500 images of ten classes."""
    draw = random_stream({"train": 5, "test": 4}[split], "patterns")
    pixels = torch.randint(256, (500, 3, 8, 8), generator=draw, dtype=torch.uint8)
    return Images(pixels, torch.arange(500) % 10, TITLES["patterns"])


def _cifar10n(split: str) -> Images:
    from earlystop.cifar10n import load

    return load(split)


def loader(name: str) -> Callable[[str], Images]:
    """The function of the split that a name stands for.

    >>> len(earlystop.images.loader("digits")("test"))
    397
    """
    kinds(str, "a name, such as 'digits'; tensors of your own are for earlystop.own", name=name)
    if name in TITLES:
        made = {"digits": _digits, "patterns": _patterns, "cifar10n": _cifar10n}
        return made.get(name) or partial(_from_hub, name)
    reason = ""
    try:
        if ":" in name:
            found = pkgutil.resolve_name(name)
            functions(it=found)
            return found
    except (ImportError, AttributeError, ValueError) as error:
        reason = f" ({error})"
    known = ", ".join(TITLES)
    raise ValueError(f"data set {name!r} is unknown{reason}, use one of {known}, or module:function of your own")


def _checked(name: str, load: Callable[[str], Images], split: str) -> Images:
    """Images from outside. Raises `ValueError` that names their function if they are unlike the book's."""
    try:
        images = load(split)
        refuse({f"it returned {type(images).__name__}, should return Images": not isinstance(images, Images)})
        for key in ("labels", "given"):
            labels = getattr(images, key)
            most = 0 if labels is None or not len(labels) else labels.max().item()
            refuse({f"{key} has {most}, should be whole numbers from 0 to 9": most > 9})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return images


# ------------------------------------------------------------------------ from the Hub


@lru_cache(maxsize=4)  # decoding takes seconds
def _from_hub(name: str, split: str) -> Images:
    """A split, verified: from the first copy in the Hugging Face cache that is whole, else downloaded."""
    repository, files, column, hashes = HUB[name]
    other, gone = None, ""
    for copy in [*_copies(name, files[split]), None]:
        source = copy or _download(name, files[split], other)  # or the pinned copy, if there is one
        arrays = _decoded(source, column)
        if arrays and content_hash(*arrays) == hashes[split]:
            return Images(arrays[0], arrays[1].long(), TITLES[name])
        other, gone = (source, "") if arrays else (other, _discard(source))
    message = f"{other} does not hold the expected {split} images, or not in their order"
    hint = "It is not downloaded again unless you delete it"
    if gone:
        message, hint = f"the file from {repository} cannot be read, so it was {gone}", "Run again to download it again"
    raise DataError(f"{TITLES[name]}: {message}. {hint}.")


def _copies(name: str, file: str) -> list[Path]:
    """Every copy of a file in the Hugging Face cache, whatever its revision; the pinned one first."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"datasets--{HUB[name][0].replace('/', '--')}"
    return sorted(folder.glob(f"snapshots/*/{file}"), key=lambda path: (REVISIONS[name] not in path.parts, path))


def _decoded(source: Path, column: str) -> tuple[Tensor, Tensor] | None:
    """(n, c, h, w) bytes and n labels of a parquet file of PNG images; None if it is damaged in any way."""
    import pyarrow.parquet
    from PIL import Image

    try:
        rows = pyarrow.parquet.read_table(source)
        files = [io.BytesIO(row["bytes"]) for row in rows[column].to_pylist()]
        pictures = [np.asarray(Image.open(file, formats=["PNG"])) for file in progress(files, "decoding")]
        stack = torch.from_numpy(np.stack(pictures))
        pixels = stack[:, None] if stack.ndim == 3 else stack.permute(0, 3, 1, 2).contiguous()
        return pixels, torch.tensor(rows["label"].to_pylist(), dtype=torch.uint8)
    except (ImportError, MemoryError):  # no fault of the file
        raise
    except Exception:
        return None


def _discard(source: Path) -> str:
    """Delete a damaged download, the blob behind its link included, so that it is not read again."""
    try:
        blob = source.resolve()
        source.unlink()
        blob.unlink(missing_ok=True)
        return "deleted"
    except OSError:
        return f"left out (it could not be deleted: {source})"


def _download(name: str, file: str, other: Path | None) -> Path:
    """Download the pinned revision of a file. Raises `DataError`; it names a copy that is no use."""
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.utils import disable_progress_bars, logging

    repository = HUB[name][0]
    if nobody_watches():
        disable_progress_bars()
    try:  # without the Hub's remarks, such as that no token is set: a build takes stderr for a fault
        with warnings.catch_warnings(action="ignore"), ExitStack() as then:
            then.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity_error()
            _reach(hf_hub_url(repository, file, repo_type="dataset", revision=REVISIONS[name]))
            return Path(hf_hub_download(repository, file, repo_type="dataset", revision=REVISIONS[name]))
    except Exception as error:  # the Hub's own errors depend on its version and the network
        copy = f" (the copy {other} holds other images)" if other else ""
        raise DataError(
            f"{TITLES[name]} is not in the Hugging Face cache{copy}, and {_reason(error, name, file)}; or set "
            f"HF_HUB_CACHE to a cache that holds {repository}. EARLYSTOP_SCALE=quick works without it."
        ) from error


def _reach(url: str) -> None:
    """Ask for a file's size, and once more: without a network a download would try for half a minute."""
    from huggingface_hub import constants, get_hf_file_metadata

    for last in () if constants.HF_HUB_OFFLINE else (False, True):
        try:
            get_hf_file_metadata(url, timeout=10)
            return
        except Exception as error:
            if _status(error):  # it was reached; a download tells what is wrong
                return
            if last:
                raise
        time.sleep(1)


def _reason(error: BaseException, name: str, file: str) -> str:
    """Why a download failed and what to do: not reached, refused, not there, not to be written."""
    from huggingface_hub import constants

    hub, status = constants.ENDPOINT, _status(error)
    if status in (401, 403):
        hint = "look for a token that is no longer valid (HF_TOKEN, or hf auth login) or a network that needs one"
        return f"{hub} refused it ({status}): {hint}"
    if status in (404, 410):
        return f"{hub} does not have {file} of {HUB[name][0]} at revision {REVISIONS[name]} ({status})"
    if status:
        return f"{hub} answered with error {status}: try again later"
    if getattr(error, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC):
        return f"it cannot be written there: {error}"
    why = f"{hub} could not be reached ({type(error).__name__}). With a network"
    if constants.HF_HUB_OFFLINE:
        why = "HF_HUB_OFFLINE forbids to download it. Without it"
    return f"{why}, run once: python -c \"from earlystop.images import load_images; load_images('{name}')\""


def _status(error: BaseException | None) -> int | None:
    """The Hub's answer to a request, wrapped in any number of errors; None if there was none."""
    while error:
        if status := getattr(getattr(error, "response", None), "status_code", None):
            return status
        error = error.__cause__ or error.__context__
    return None
