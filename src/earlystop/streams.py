"""Random numbers: a stream of its own for every purpose of a seed."""

import hashlib

import torch

from earlystop.arguments import counts


def random_stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for every purpose, so that one seed serves independent draws."""
    counts(seed=seed)
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
