"""Sparse signs times dense inputs, compiled by numba (extra `fast`); `_sparse` holds its torch twin."""

from __future__ import annotations

import numpy as np
from numba import njit

WIDTH = 128  # inputs that are summed side by side: they and a layer's features stay in the second-level cache
_ROWS = 16  # outputs that are written side by side


@njit(nogil=True, cache=True)
def add_signs(starts, columns, x, factors, out):
    """out[r, o] += factors[r] * (sum of x[c, r] over the plus columns c of row o - the same over its minus columns).

    starts: (2 m + 1,) int64; columns[starts[2 o] : starts[2 o + 1]] are plus, up to starts[2 o + 2] minus. columns:
    int32. x: (n, R) float32. factors: (R,) float32. out: (R, m) float32. The inner loops become vectors.
    """
    count, height = out.shape
    totals = np.empty((_ROWS, count), np.float32)
    for first in range(0, height, _ROWS):
        last = min(first + _ROWS, height)
        for o in range(first, last):
            begin, middle, end = starts[2 * o], starts[2 * o + 1], starts[2 * o + 2]
            total = totals[o - first]
            for r in range(count):
                total[r] = np.float32(0)
            for k in range(begin, middle):
                row = x[np.uint32(columns[k])]
                for r in range(count):
                    total[r] += row[r]
            for k in range(middle, end):
                row = x[np.uint32(columns[k])]
                for r in range(count):
                    total[r] -= row[r]
        for r in range(count):
            for o in range(last - first):
                out[r, first + o] += factors[r] * totals[o, r]
