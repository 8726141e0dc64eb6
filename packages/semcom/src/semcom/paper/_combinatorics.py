"""Exact ranking of constant-weight masks in the combinatorial number system, on Python's integers.

A mask keeps positions c_n > ... > c_1 and has the rank sum_i C(c_i, i). Walked from the highest position down with i
kept and d masked positions left, position i + d - 1 is kept exactly if the rank is at least C(i + d - 1, i), which is
entry [i][d - 1] of the table; so the table needs no entry that no mask can meet.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np


@functools.lru_cache(maxsize=8)
def pascal_table(kept: int, masked: int) -> tuple[tuple[int, ...], ...]:
    """C(i + d, i) at [i][d], for i to `kept` and d to `masked`."""
    return tuple(tuple(math.comb(i + d, i) for d in range(masked + 1)) for i in range(kept + 1))


def unrank(value: int, table: Sequence[Sequence[int]]) -> bytearray:
    """The mask of a rank below C(N, n): N bytes, 1 where a patch is masked."""
    i, d = len(table) - 1, len(table[0]) - 1
    mask, row = bytearray(i + d), table[i]
    for place in range(i + d - 1, -1, -1):
        if d and value < row[d - 1]:
            d -= 1
            mask[place] = 1
            continue
        if d:
            value -= row[d - 1]
        i -= 1
        row = table[i]
    return mask


def rank(kept: Sequence[int], table: Sequence[Sequence[int]]) -> int:
    """The rank of the mask that keeps these positions, ascending."""
    return sum(table[i][place - i] for i, place in enumerate(kept, 1) if place >= i)


def bits_to_integers(bits: np.ndarray) -> list[int]:
    """Rows of bits (rows, n), most significant first, as integers."""
    packed = np.packbits(np.pad(bits, ((0, 0), (-bits.shape[1] % 8, 0))), axis=1)
    return [int.from_bytes(row.tobytes(), "big") for row in packed]


def integers_to_bits(values: Sequence[int], count: int) -> np.ndarray:
    """Integers below 2^count as rows of bits (rows, count), most significant first."""
    size = -(-count // 8)
    data = np.frombuffer(b"".join(value.to_bytes(size, "big") for value in values), np.uint8)
    return np.unpackbits(data.reshape(len(values), size), axis=1)[:, 8 * size - count :]
