"""Exact ranking of constant-weight masks in the combinatorial number system, on 32-bit limbs, compiled.

A mask keeps positions c_n > ... > c_1 and has the rank sum_i C(c_i, i). Walked from the highest position down with i
kept and d masked positions left, position i + d - 1 is kept exactly if the rank is at least C(i + d - 1, i), which is
entry [i, d - 1] of the table; so the table needs no entry that no mask can meet.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import njit

LIMB = 32


@functools.lru_cache(maxsize=8)
def pascal_table(kept: int, masked: int) -> np.ndarray:
    """C(i + d, i) for i to `kept` and d to `masked`, little-endian limbs: (kept + 1, masked + 1, limbs) uint32."""
    size = limbs_of(kept + masked, kept)
    table = np.zeros((kept + 1, masked + 1, size), np.uint32)
    fill_pascal(table)
    return table


def limbs_of(total: int, kept: int) -> int:
    """Limbs that hold C(total, kept)."""
    return -(-math.comb(total, kept).bit_length() // LIMB)


@njit(cache=True)
def fill_pascal(table):
    """Fill the table by C(i + d, i) = C(i + d - 1, i - 1) + C(i + d - 1, i)."""
    rows, columns = table.shape[:2]
    for i in range(rows):
        for d in range(columns):
            if i == 0 or d == 0:
                table[i, d, 0] = 1
                continue
            table[i, d] = table[i - 1, d]
            add(table[i, d], table[i, d - 1])


@njit(cache=True)
def unrank(values, offsets, table, masks):
    """Masks of the ranks (values + offsets) modulo C(N, n).

    Args:
        values, offsets: (rows, limbs) uint32, little-endian limbs, each below C(N, n); values are overwritten.
        table: of `pascal_table`.
        masks: (rows, N) bool, filled: True is masked.
    """
    rows = len(values)
    kept, masked = table.shape[0] - 1, table.shape[1] - 1
    for row in range(rows):
        value = values[row]
        carry = add(value, offsets[row])
        if carry or not less(value, table[kept, masked]):
            subtract(value, table[kept, masked])
        i, d = kept, masked
        while i + d > 0:
            place = i + d - 1
            if i > 0 and (d == 0 or not less(value, table[i, d - 1])):
                if d > 0:
                    subtract(value, table[i, d - 1])
                masks[row, place] = False
                i -= 1
            else:
                masks[row, place] = True
                d -= 1


@njit(cache=True)
def rank(masks, offsets, table, values):
    """(rank - offset) modulo C(N, n) of masks of the right weight into `values` (rows, limbs) uint32; see `unrank`."""
    rows = len(values)
    kept, masked = table.shape[0] - 1, table.shape[1] - 1
    for row in range(rows):
        value = values[row]
        value[:] = 0
        i, d = kept, masked
        for place in range(kept + masked - 1, -1, -1):
            if masks[row, place]:
                d -= 1
                continue
            if d > 0:
                add(value, table[i, d - 1])
            i -= 1
        if less(value, offsets[row]):
            add(value, table[kept, masked])
        subtract(value, offsets[row])


@njit(cache=True, inline="always")
def less(a, b):
    """Whether a < b."""
    for limb in range(len(a) - 1, -1, -1):
        if a[limb] != b[limb]:
            return a[limb] < b[limb]
    return False


@njit(cache=True, inline="always")
def add(a, b):
    """a += b modulo 2 ** bits; returns what is carried beyond."""
    carry = np.uint64(0)
    for limb in range(len(a)):
        total = np.uint64(a[limb]) + np.uint64(b[limb]) + carry
        a[limb] = np.uint32(total & np.uint64(0xFFFFFFFF))
        carry = total >> np.uint64(32)
    return carry


@njit(cache=True, inline="always")
def subtract(a, b):
    """a -= b modulo 2 ** bits."""
    borrow = np.uint64(0)
    for limb in range(len(a)):
        total = np.uint64(a[limb]) + np.uint64(0x100000000) - np.uint64(b[limb]) - borrow
        a[limb] = np.uint32(total & np.uint64(0xFFFFFFFF))
        borrow = np.uint64(1) - (total >> np.uint64(32))


def bits_to_limbs(bits: np.ndarray, limbs: int) -> np.ndarray:
    """(rows, n) bits, most significant first -> (rows, limbs) uint32, least significant first."""
    padded = np.pad(bits, ((0, 0), (limbs * LIMB - bits.shape[1], 0)))
    big = np.packbits(padded, axis=1).view(">u4")
    return np.ascontiguousarray(big[:, ::-1]).astype(np.uint32)


def limbs_to_bits(values: np.ndarray) -> np.ndarray:
    """(rows, limbs) uint32 -> (rows, 32 * limbs) bits, most significant first."""
    big = np.ascontiguousarray(values[:, ::-1]).astype(">u4")
    return np.unpackbits(big.view(np.uint8), axis=1)


def fraction_of(total: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """floor(total * f / 2^32): (limbs,) uint32 and (rows,) uint32 -> (rows, limbs) uint32."""
    result = np.zeros((len(fractions), len(total)), np.uint32)
    carry = np.zeros(len(fractions), np.uint64)
    for limb, value in enumerate(total):
        product = np.uint64(value) * fractions.astype(np.uint64) + carry
        if limb:
            result[:, limb - 1] = product & np.uint64(0xFFFFFFFF)
        carry = product >> np.uint64(32)
    result[:, -1] = carry
    return result
