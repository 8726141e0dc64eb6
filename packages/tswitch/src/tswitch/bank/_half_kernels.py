"""A switch added to bfloat16 and float16 tensors, compiled by numba (extra `fast`): `_resident` holds the torch twin.

numba knows neither type, so their bits are widened to float32, summed there, and rounded to nearest even once, as torch
does. Results and counts are those of the twin, bit for bit; only the payload of a NaN is not kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit

WIDE = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)  # value of each pattern of float16
_BLOCK = 1024


@njit(nogil=True, cache=True)
def _add_rows(wide, active, codes, rows, first, count):
    """wide[:count] += what the codes from element `first`, a multiple of 4, stand for; active: which of it is not 0."""
    for i in range(count // 4):
        row = rows[codes[first // 4 + i]]
        for k in range(4):
            wide[4 * i + k] += row[k]
            active[4 * i + k] = row[k] != 0
    for i in range(count // 4 * 4, count):
        value = rows[codes[(first + i) // 4], i % 4]
        wide[i] += value
        active[i] = value != 0


@njit(nogil=True, cache=True)
def _same(one, two):
    """Whether two patterns of 16 bits are equal numbers: of zeros, the sign does not count."""
    return one == two or ((one | two) & np.uint16(0x7FFF)) == 0


@njit(nogil=True, cache=True)
def add_bfloat16(base, codes, rows, out):
    """out = base + what the codes stand for; base, out (n,) uint16, codes (ceil(n / 4),) uint8, rows (256, 4) float32.

    Returns: how many entries something was added to, and how many of them stayed what they were.
    """
    wide, active = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.bool_)
    bits = wide.view(np.uint32)
    additions, lost = 0, 0
    for first in range(0, base.size, _BLOCK):
        count = min(_BLOCK, base.size - first)
        for i in range(count):
            bits[i] = np.uint32(base[first + i]) << np.uint32(16)
        _add_rows(wide, active, codes, rows, first, count)
        for i in range(count):
            value = bits[i]
            rounded = (value + np.uint32(0x7FFF) + ((value >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
            new = np.uint16(0x7FC0) if wide[i] != wide[i] else np.uint16(rounded)
            additions += active[i]
            lost += active[i] and _same(new, base[first + i])
            out[first + i] = new
    return additions, lost


@njit(nogil=True, cache=True)
def add_float16(base, codes, rows, out, values):
    """The same for float16; values: `WIDE`."""
    wide, active, small = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.bool_), np.empty(_BLOCK, np.float32)
    bits, small_bits = wide.view(np.uint32), small.view(np.uint32)
    additions, lost = 0, 0
    for first in range(0, base.size, _BLOCK):
        count = min(_BLOCK, base.size - first)
        for i in range(count):
            wide[i] = values[base[first + i]]
        _add_rows(wide, active, codes, rows, first, count)
        for i in range(count):  # below 2^-14 float16 has steps of 2^-24, which are float32's from 0.5 on
            small[i] = abs(wide[i]) + np.float32(0.5)
        for i in range(count):
            size = bits[i] & np.uint32(0x7FFFFFFF)
            if size >= np.uint32(0x47800000):  # 65,536 and more: infinity, or no number
                new = np.uint32(0x7E00) if size > np.uint32(0x7F800000) else np.uint32(0x7C00)
            elif size < np.uint32(0x38800000):
                new = small_bits[i] - np.uint32(0x3F000000)
            else:
                odd = (size >> np.uint32(13)) & np.uint32(1)
                new = (size - np.uint32(0x38000000) + np.uint32(0xFFF) + odd) >> np.uint32(13)
            new = np.uint16(new | ((bits[i] >> np.uint32(16)) & np.uint32(0x8000)))
            additions += active[i]
            lost += active[i] and _same(new, base[first + i])
            out[first + i] = new
    return additions, lost
