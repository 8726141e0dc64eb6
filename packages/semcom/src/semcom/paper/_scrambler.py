"""Keyed pseudo-random words by counter: any picture's words without those before. Whitening, not encryption."""

from __future__ import annotations

import hashlib

import numpy as np

_GOLDEN, _ODD = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95


def _mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def keyed_words(key: int | str, index: np.ndarray, count: int, choice: np.ndarray | int = 0) -> np.ndarray:
    """Pseudo-random words.

    Args:
        key: whatever both sides know.
        index: (rows,) sequence numbers of pictures.
        count: words a picture.
        choice: which of several alternatives of a picture, (rows,) or a number.
    Returns: (rows, count) uint64.
    """
    digest = hashlib.sha256(f"semcom:{key}".encode()).digest()
    first, second = np.frombuffer(digest[:16], "<u8")
    index = np.asarray(index, dtype=np.uint64)
    with np.errstate(over="ignore"):
        start = _mixed(index * np.uint64(_GOLDEN) + first) + np.asarray(choice, np.uint64) * np.uint64(_ODD)
        steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        return _mixed(_mixed(start ^ second)[:, None] + steps)


def words_to_bits(words: np.ndarray, count: int) -> np.ndarray:
    """The first `count` bits of each row of words: (rows, n) uint64 -> (rows, count) uint8."""
    return np.unpackbits(words.astype("<u8").view(np.uint8), axis=1)[:, :count]
