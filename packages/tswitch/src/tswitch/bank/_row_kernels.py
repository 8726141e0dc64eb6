"""Sparse signs times dense inputs, compiled by numba (extra `fast`); `_sparse` holds its torch twin."""

from __future__ import annotations

import numpy as np
from numba import njit

WIDTH = 32  # inputs that are summed side by side: four vectors of eight floats


@njit(nogil=True, cache=True)
def add_sparse(starts, columns, x, factors, out):
    """out[r, o] += factors[r] * (sum of x[r] over the plus columns of row o - the same over its minus columns).

    starts: (2 m + 1,) int64; columns[starts[2 o] : starts[2 o + 1]] are plus, up to starts[2 o + 2] minus. columns:
    int32. x: (tiles, n, WIDTH) float32, input r in tile r // WIDTH. factors: (R,) float32. out: (R, m) float32.
    """
    count, height = out.shape
    total = np.empty(WIDTH, np.float32)
    for tile in range(x.shape[0]):
        values = x[tile]
        first = tile * WIDTH
        width = min(WIDTH, count - first)
        for o in range(height):
            begin, middle, end = starts[2 * o], starts[2 * o + 1], starts[2 * o + 2]
            if begin == end:
                continue
            total[:] = np.float32(0)
            for k in range(begin, middle):
                row = values[columns[k]]
                for r in range(WIDTH):
                    total[r] += row[r]
            for k in range(middle, end):
                row = values[columns[k]]
                for r in range(WIDTH):
                    total[r] -= row[r]
            for r in range(width):
                out[first + r, o] += factors[first + r] * total[r]
