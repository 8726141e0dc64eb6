"""The inner loop of a live switch, compiled by numba (extra `fast`); `_resident` holds its torch twin, bit for bit."""

from __future__ import annotations

import numpy as np
from numba import njit

_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@njit(nogil=True, cache=True, boundscheck=False)
def add_rows(base, codes, table, out):
    """out = base + table[codes], four elements for each code byte.

    base, out: (n,) float32 or float64, may be the same array; codes: (ceil(n / 4),) uint8; table: (256, 4).
    All four sums come before the first store, and indices are unsigned: so the compiler can use one vector for them.
    """
    whole = out.size // 4
    for i in range(whole):
        code = codes[i]
        at = np.uint64(4 * i)
        first = base[at] + table[code, 0]
        second = base[at + _ONE] + table[code, 1]
        third = base[at + _TWO] + table[code, 2]
        fourth = base[at + _THREE] + table[code, 3]
        out[at] = first
        out[at + _ONE] = second
        out[at + _TWO] = third
        out[at + _THREE] = fourth
    for at in range(4 * whole, out.size):
        out[at] = base[at] + table[codes[whole], at - 4 * whole]
