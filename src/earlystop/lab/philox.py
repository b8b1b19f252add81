"""Random numbers that a browser draws, too: the counterpart of `book/_static/lab/philox.js`, bit for bit.

Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) scrambles a
counter of four words of 32 bits with a key of two. Block b of a stream is the counter (b, purpose, 0, 0) under the key
(seed, 0). A uniform number takes two words, 27 bits of the first and 26 of the second; two uniforms make two normals.
"""

import numpy as np
from jaxtyping import Float64, UInt64

MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
WEYL = (0x9E3779B9, 0xBB67AE85)
HALF, WORD = np.uint64(32), np.uint64(0xFFFFFFFF)


def philox(counter: UInt64[np.ndarray, "blocks 4"], key: tuple[int, int]) -> UInt64[np.ndarray, "blocks 4"]:
    """The four words of each counter under a key: Philox4x32-10."""
    a, b, c, d = counter.astype(np.uint64).T
    for turn in range(10):
        k, l = (np.uint64((one + turn * step) & 0xFFFFFFFF) for one, step in zip(key, WEYL))  # noqa: E741
        first, second = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (second >> HALF) ^ b ^ k, second & WORD, (first >> HALF) ^ d ^ l, first & WORD
    return np.stack([a, b, c, d], axis=1)


class Stream:
    """The numbers of one seed (0 to 2³² - 1) for one purpose, in order."""

    def __init__(self, seed: int, purpose: int):
        self.key, self.purpose, self.used = (seed, 0), purpose, 0

    def words(self, count: int) -> UInt64[np.ndarray, " count"]:
        """The next `count` words of 32 bits."""
        first, last = self.used // 4, -(-(self.used + count) // 4)
        counter = np.zeros((last - first, 4), dtype=np.uint64)
        counter[:, 0], counter[:, 1] = np.arange(first, last), self.purpose
        start, self.used = self.used - 4 * first, self.used + count
        return philox(counter, self.key).ravel()[start : start + count]

    def uniforms(self, count: int) -> Float64[np.ndarray, " count"]:
        """The next `count` numbers in [0, 1), of 53 bits."""
        high, low = self.words(2 * count).reshape(-1, 2).T
        return ((high >> np.uint64(5)) * 2.0**26 + (low >> np.uint64(6))) / 2.0**53

    def below(self, count: int) -> int:
        """An integer from 0 to `count` - 1."""
        return int(self.uniforms(1)[0] * count)

    def normals(self, count: int) -> Float64[np.ndarray, " count"]:
        """The next `count` standard normal numbers by Box and Muller; of an odd count the last partner is dropped."""
        u = self.uniforms(count + count % 2).reshape(-1, 2)
        radius, angle = np.sqrt(-2 * np.log(1 - u[:, 0])), 2 * np.pi * u[:, 1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]
