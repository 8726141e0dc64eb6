"""Which entries of a matrix are kept, and their dither: whole numbers of the Philox generator, from a seed alone.

numpy guarantees the stream of `Philox.random_raw` across versions and machines. Everything here is exact in whole
numbers, so that a reader draws the places that the writer drew.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

ROWS_AT_A_TIME = 1 << 20  # entries drawn at once
_HALF, _FULL = np.uint64(32), 1 << 32


def draws(seed: int, name: str, rows: int, columns: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """(rows, uint32 for keeping, dither in [-.5, .5) as float32), each (rows, columns), from top to bottom."""
    stream = np.random.Philox(key=np.array([seed & (1 << 64) - 1, zlib.crc32(name.encode())], np.uint64))
    step = max(1, ROWS_AT_A_TIME // max(columns, 1))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        raw = stream.random_raw((stop - start) * columns).reshape(stop - start, columns)
        dither = ((raw & np.uint64(0xFFFFFFFF)) >> np.uint64(8)).astype(np.float32) / np.float32(1 << 24)
        yield slice(start, stop), (raw >> _HALF).astype(np.uint32), dither - np.float32(0.5)


def thresholds(rate: float, levels: int) -> np.ndarray:
    """(levels,) uint64: an entry of level k is kept if its draw is below; min(1, rate 2^-k) of 2^32, exactly."""
    return np.array([min(_FULL, int(np.ldexp(np.float64(rate), 32 - k))) for k in range(levels)], np.uint64)
