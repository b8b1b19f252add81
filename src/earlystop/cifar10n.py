"""CIFAR-10N: the labels that people gave to CIFAR-10 (Wei et al., ICLR 2022), which are not part of this book."""

import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from earlystop.images import TITLES, DataError, Images, content_hash, load_images

# Names in the file. The book trains on "worst"; the others are there for the hash and for readers' own runs.
SETS = {"worst": "worse_label", "aggregate": "aggre_label", "first": "random_label1"}
WHERE = "EARLYSTOP_CIFAR10N"  # the variable that holds the file's path
HASH = "e1b23fc7705f85ab919689529581f530dd24f516aca442f4be897a0fc61a42a1"
LICENCE = "CC BY-NC 4.0"
SOURCE = "https://github.com/UCSC-REAL/cifar-10-100n"


def load(split: str = "train") -> Images:
    """CIFAR-10 with the worst of three people's labels as `given` (40.21 % wrong); test images have true labels only.

    Raises `DataError` if CIFAR-10 or the labels cannot be had.

    >>> earlystop.cifar10n.SETS["worst"]
    'worse_label'
    """
    images = load_images("cifar10", split)
    if split == "test":
        return images
    return Images(images.pixels, images.labels, TITLES["cifar10n"], labels()["worst"])


@lru_cache
def labels() -> dict[str, Int[Tensor, " 50000"]]:
    """People's labels of the 50,000 training images by the names of `SETS`; `"clean"` are the true ones.

    The file `labels.npz` is read from where the variable EARLYSTOP_CIFAR10N says. It has the arrays clean_label,
    worse_label, aggre_label and random_label1, in CIFAR-10's order. Raises `DataError` if it is not there, or another.

    >>> earlystop.cifar10n.labels.__name__
    'labels'
    """
    path = Path(os.environ.get(WHERE, ""))
    hint = (
        f"people's labels of CIFAR-10 are not part of this book ({LICENCE}): take CIFAR-10_human from {SOURCE}, "
        f"save its arrays with numpy.savez as labels.npz, and set {WHERE} to the path of that file"
    )
    if not path.is_file():
        raise DataError(f"{hint}. Now {WHERE} is {os.environ.get(WHERE)!r}.")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {ours: torch.from_numpy(file[name]).long() for ours, name in
                     {"clean": "clean_label", **SETS}.items()}  # fmt: skip
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read as such a file ({error}): {hint}.") from error
    if content_hash(*(one.to(torch.uint8) for one in found.values())) != HASH:
        raise DataError(f"{path} holds other labels than CIFAR-10N: {hint}.")
    return found
