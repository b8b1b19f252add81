"""Random numbers: a stream of its own for every purpose of a seed; and batches of a random order."""

import hashlib

import torch
from jaxtyping import Int
from torch import Tensor

from earlystop.arguments import counts, values


def random_stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for every purpose, so that one seed serves independent draws.

    >>> draw = lambda purpose: torch.rand(1, generator=earlystop.streams.random_stream(0, purpose)).item()
    >>> draw("weights") == draw("weights"), draw("weights") == draw("inputs")
    (True, False)
    """
    counts(seed=seed)
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def batches(order: Int[Tensor, "... n"], batch_size: int) -> list[Int[Tensor, "... b"]]:
    """An order of samples in batches, the last of them shorter; a sample that would be alone joins the one before.

    The statistics of a batch, as batch normalization takes them, need two samples.

    >>> [len(batch) for batch in earlystop.streams.batches(torch.arange(9), 4)]
    [4, 5]
    """
    (order,) = values(order=(order, "... n"))
    counts(least=1, batch_size=batch_size)
    parts = list(order.split(batch_size, dim=-1))
    alone = len(parts) > 1 and parts[-1].shape[-1] == 1 < batch_size
    return [*parts[:-2], torch.cat(parts[-2:], dim=-1)] if alone else parts
