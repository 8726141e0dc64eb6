"""Compiled slow-net over one long sequence: the layouts `flat` and `chunk`.

Lanes are successive positions: all but the recurrence itself is vector code over them, and the state is kept once a
block, from which the backward kernel computes a block's values anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from bnn_fsg.fsg._scan_kernels import _exp, _sigmoid, _softplus, _sum
from bnn_fsg.fsg._tiny import as_before, flush_tiny

LANES = 128
_ONE, _ZERO = np.float32(1), np.float32(0)


@njit(inline="always")
def _values(
    u: Any, at: Any, w_in: Any, w_conv: Any, b_conv: Any, w_x: Any, w_dt: Any, b_dt: Any, A: Any,
    a: Any, sig: Any, dt: Any, r: Any, Bm: Any, C: Any, decay: Any, h: Any, total: Any,
) -> None:  # fmt: skip
    """What does not depend on the state, at positions at..at + LANES; h gets what each position adds to the state."""
    E, N = A.shape
    K = w_conv.shape[1]
    r[:] = _ZERO
    Bm[:] = _ZERO
    C[:] = _ZERO
    for e in range(E):
        for b in range(LANES):
            total[b] = b_conv[e]
        for j in range(K):
            weight = w_conv[e, j] * w_in[e]
            for b in range(LANES):
                total[b] += weight * u[at + b + j]
        for b in range(LANES):
            sig[e, b] = _sigmoid(total[b])
            a[e, b] = total[b] * sig[e, b]
        weight = w_x[0, e]
        for b in range(LANES):
            r[b] += weight * a[e, b]
        for n in range(N):
            weight = w_x[1 + n, e]
            for b in range(LANES):
                Bm[n, b] += weight * a[e, b]
            weight = w_x[1 + N + n, e]
            for b in range(LANES):
                C[n, b] += weight * a[e, b]
    for e in range(E):
        for b in range(LANES):
            dt[e, b] = _softplus(w_dt[e] * r[b] + b_dt[e])
        for n in range(N):
            for b in range(LANES):
                decay[e, n, b] = _exp(dt[e, b] * A[e, n])
                h[e, n, b] = dt[e, b] * a[e, b] * Bm[n, b]


@njit(fastmath=True, error_model="numpy", nogil=True, cache=True)
def forward(
    u: Any, w_in: Any, w_conv: Any, b_conv: Any, w_x: Any, w_dt: Any, b_dt: Any, A: Any, D: Any, w_out: Any,
    states: Any, out: Any,
) -> None:  # fmt: skip
    """Outputs at all positions.

    u is the sequence behind K - 1 zeros and before zeros up to whole blocks; out (blocks * LANES,); states
    (blocks, E, N) gets the state before each block.
    """
    mode = flush_tiny()
    E, N = A.shape
    K = w_conv.shape[1]
    f4 = np.float32
    a, sig, dt = np.empty((E, LANES), f4), np.empty((E, LANES), f4), np.empty((E, LANES), f4)
    r, total, y = np.empty(LANES, f4), np.empty(LANES, f4), np.empty(LANES, f4)
    Bm, C = np.empty((N, LANES), f4), np.empty((N, LANES), f4)
    decay, h = np.empty((E, N, LANES), f4), np.empty((E, N, LANES), f4)
    state = np.zeros((E, N), f4)
    for block in range(len(states)):
        at = block * LANES
        for e in range(E):  # an assignment of arrays takes three seconds more to compile
            for n in range(N):
                states[block, e, n] = state[e, n]
        _values(u, at, w_in, w_conv, b_conv, w_x, w_dt, b_dt, A, a, sig, dt, r, Bm, C, decay, h, total)
        total[:] = _ZERO
        for e in range(E):
            for b in range(LANES):
                y[b] = D[e] * a[e, b]
            for n in range(N):
                now = state[e, n]
                for b in range(LANES):
                    now = decay[e, n, b] * now + h[e, n, b]
                    h[e, n, b] = now
                state[e, n] = now
                for b in range(LANES):
                    y[b] += C[n, b] * h[e, n, b]
            for b in range(LANES):
                z = w_in[E + e] * u[at + b + K - 1]
                total[b] += w_out[e] * y[b] * z * _sigmoid(z)
        for b in range(LANES):
            out[at + b] = total[b]
    as_before(mode)


@njit(fastmath=True, error_model="numpy", nogil=True, cache=True)
def backward(
    u: Any, w_in: Any, w_conv: Any, b_conv: Any, w_x: Any, w_dt: Any, b_dt: Any, A: Any, D: Any, w_out: Any,
    states: Any, v: Any,
    d_u: Any, d_in: Any, d_conv: Any, d_b_conv: Any, d_x: Any, d_dt: Any, d_b_dt: Any, d_A: Any, d_D: Any, d_out: Any,
) -> None:  # fmt: skip
    """Add to each d_* (float64; d_u like u) the gradient of sum(v * out); v like out, the rest as in `forward`."""
    mode = flush_tiny()
    E, N = A.shape
    K = w_conv.shape[1]
    f4 = np.float32
    a, sig, dt = np.empty((E, LANES), f4), np.empty((E, LANES), f4), np.empty((E, LANES), f4)
    r, total, part, dr, dy, shifted = np.empty((6, LANES), f4)
    Bm, C, dB, dC = np.empty((4, N, LANES), f4)
    decay, h, dh = np.empty((3, E, N, LANES), f4)
    da = np.empty((E, LANES), f4)
    carry = np.zeros((E, N), f4)  # gradient of the state after the block
    for block in range(len(states) - 1, -1, -1):
        at = block * LANES
        _values(u, at, w_in, w_conv, b_conv, w_x, w_dt, b_dt, A, a, sig, dt, r, Bm, C, decay, h, total)
        dC[:] = _ZERO
        dB[:] = _ZERO
        dr[:] = _ZERO
        for e in range(E):
            for b in range(LANES):
                total[b] = D[e] * a[e, b]  # y
            for n in range(N):
                now = states[block, e, n]
                for b in range(LANES):
                    now = decay[e, n, b] * now + h[e, n, b]
                    h[e, n, b] = now
                for b in range(LANES):
                    total[b] += C[n, b] * h[e, n, b]
            for b in range(LANES):
                z = w_in[E + e] * u[at + b + K - 1]
                g = _sigmoid(z)
                dy[b] = v[at + b] * w_out[e] * z * g
                part[b] = v[at + b] * total[b] * z * g
                total[b] = v[at + b] * w_out[e] * total[b] * g * (_ONE + z * (_ONE - g))  # dz
            d_out[e] += _sum(part)
            for b in range(LANES):
                d_u[at + b + K - 1] += total[b] * w_in[E + e]
                part[b] = total[b] * u[at + b + K - 1]
            d_in[E + e] += _sum(part)
            for b in range(LANES):
                part[b] = dy[b] * a[e, b]
                da[e, b] = dy[b] * D[e]
            d_D[e] += _sum(part)
            for n in range(N):
                for b in range(LANES):
                    dC[n, b] += dy[b] * h[e, n, b]
                    dh[e, n, b] = dy[b] * C[n, b]
        for e in range(E):
            total[:] = _ZERO  # d dt
            for n in range(N):
                back = carry[e, n]
                for b in range(LANES - 1, -1, -1):
                    back += dh[e, n, b]
                    dh[e, n, b] = back
                    back *= decay[e, n, b]
                carry[e, n] = back
                shifted[0] = states[block, e, n]
                for b in range(1, LANES):
                    shifted[b] = h[e, n, b - 1]
                for b in range(LANES):
                    up = dh[e, n, b]
                    kept = up * decay[e, n, b] * shifted[b]
                    total[b] += up * a[e, b] * Bm[n, b] + kept * A[e, n]
                    da[e, b] += up * dt[e, b] * Bm[n, b]
                    dB[n, b] += up * dt[e, b] * a[e, b]
                    part[b] = kept * dt[e, b]
                d_A[e, n] += _sum(part)
            for b in range(LANES):
                total[b] *= _ONE - _exp(-dt[e, b])
                part[b] = total[b] * r[b]
                dr[b] += total[b] * w_dt[e]
            d_b_dt[e] += _sum(total)
            d_dt[e] += _sum(part)
        for e in range(E):
            for b in range(LANES):
                part[b] = dr[b] * a[e, b]
                da[e, b] += dr[b] * w_x[0, e]
            d_x[0, e] += _sum(part)
            for n in range(N):
                for b in range(LANES):
                    part[b] = dB[n, b] * a[e, b]
                    da[e, b] += dB[n, b] * w_x[1 + n, e] + dC[n, b] * w_x[1 + N + n, e]
                d_x[1 + n, e] += _sum(part)
                for b in range(LANES):
                    part[b] = dC[n, b] * a[e, b]
                d_x[1 + N + n, e] += _sum(part)
            for b in range(LANES):
                total[b] = da[e, b] * (sig[e, b] + a[e, b] * (_ONE - sig[e, b]))
            d_b_conv[e] += _sum(total)
            for j in range(K):
                for b in range(LANES):
                    part[b] = total[b] * u[at + b + j]
                moved = _sum(part)
                d_conv[e, j] += moved * w_in[e]
                d_in[e] += moved * w_conv[e, j]
                for b in range(LANES):
                    d_u[at + b + j] += total[b] * w_in[e] * w_conv[e, j]
    as_before(mode)
