"""The inner loop of a live switch, compiled by numba (extra `fast`); `_resident` holds its torch twin, bit for bit."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True, boundscheck=False)
def add_rows(base, codes, table, out):
    """out = base + table[codes], four elements for each code byte.

    base, out: (n,) float32 or float64, may be the same array; codes: (ceil(n / 4),) uint8; table: (256, 4).
    """
    whole = out.size // 4
    for i in range(whole):
        code = codes[i]
        at = 4 * i
        out[at] = base[at] + table[code, 0]
        out[at + 1] = base[at + 1] + table[code, 1]
        out[at + 2] = base[at + 2] + table[code, 2]
        out[at + 3] = base[at + 3] + table[code, 3]
    for at in range(4 * whole, out.size):
        out[at] = base[at] + table[codes[whole], at - 4 * whole]
