"""Signs times few rows, compiled by numba (extra `fast`): what a step of `generate` under several tasks needs."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True)
def add_signs(codes, x, out):
    """out[o] += sum over i of S[o, i] x[i], by the non-zero signs alone.

    codes: (ceil(m n / 4),) uint8, the signs (m, n) row by row, n a multiple of 4. x: (n, rows) float32. out: (m, rows)
    float32.
    """
    quads = x.shape[0] // 4
    rows = x.shape[1]
    for o in range(out.shape[0]):
        total = out[o]
        for quad in range(quads):
            byte = codes[o * quads + quad]
            if byte == 0:
                continue
            for k in range(4):
                two = (byte >> (2 * k)) & 3
                if two == 1:
                    part = x[4 * quad + k]
                    for r in range(rows):
                        total[r] += part[r]
                elif two == 2:
                    part = x[4 * quad + k]
                    for r in range(rows):
                        total[r] -= part[r]
