"""Random numbers: a stream of its own for every purpose of a seed."""

import hashlib

import torch

from earlystop.arguments import counts


def random_stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for every purpose, so that one seed serves independent draws.

    >>> draw = lambda purpose: torch.rand(1, generator=earlystop.streams.random_stream(0, purpose)).item()
    >>> draw("weights") == draw("weights"), draw("weights") == draw("inputs")
    (True, False)
    """
    counts(seed=seed)
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
