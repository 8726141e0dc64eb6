"""Compiled slow-net over many short sequences: the last output, and the gradients of its parameters alone.

The network is one Mamba block of width 1 (see `slow_net`). A block of `LANES` weights goes through at once, so that
each inner loop is over lanes and becomes vector code: LANES is so large that LLVM does not write the short loops out
lane by lane before it looks for vectors, and each weight of the net has a name of its own, since an array may overlap
another. The backward kernel computes the forward's values anew instead of keeping them. exp and log1p are polynomials
(relative error near 1e-7): calls into a mathematics library would not vectorise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int32, njit, types
from numba.extending import intrinsic

from bnn_fsg.fsg._tiny import as_before, flush_tiny

LANES = 128
_LOG2E = np.float32(1.4426950408889634)
_LN2 = np.float32(0.6931471805599453)
_ONE, _HALF, _ZERO = np.float32(1), np.float32(0.5), np.float32(0)


@intrinsic
def _bits_as_float(typing_context: Any, bits: Any) -> Any:  # noqa: ARG001  (numba's form)
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return float32(int32), build


_as_float: Any = _bits_as_float


@njit(inline="always")
def _exp(x: Any) -> Any:
    x = min(max(x, np.float32(-87.0)), np.float32(87.0))
    whole = np.floor(x * _LOG2E + _HALF)
    f = x - whole * _LN2
    p = np.float32(1.9875691500e-4)
    p = p * f + np.float32(1.3981999507e-3)
    p = p * f + np.float32(8.3334519073e-3)
    p = p * f + np.float32(4.1665795894e-2)
    p = p * f + np.float32(1.6666665459e-1)
    p = p * f + np.float32(5.0000001201e-1)
    p = p * f * f + f + _ONE
    return p * _as_float(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))


@njit(inline="always")
def _sigmoid(x: Any) -> Any:
    return _ONE / (_ONE + _exp(-x))


@njit(inline="always")
def _softplus(x: Any) -> Any:
    y = _exp(-abs(x))
    z = y / (np.float32(2) + y)
    s = z * z
    p = np.float32(2 / 13)
    p = p * s + np.float32(2 / 11)
    p = p * s + np.float32(2 / 9)
    p = p * s + np.float32(2 / 7)
    p = p * s + np.float32(2 / 5)
    p = p * s + np.float32(2 / 3)
    p = p * s + np.float32(2)
    return max(x, _ZERO) + p * z


@njit(inline="always")
def _load(history: Any, scale: Any, lead: Any, token: Any, begin: Any, u: Any) -> None:
    """u (T, LANES): the token if `lead` is 1, then the history of the weights from `begin`, oldest first, scaled."""
    steps, count = history.shape
    width = min(LANES, count - begin)
    u[0, :] = token
    for t in range(steps):
        u[t + lead, :] = _ZERO
        for b in range(width):
            u[t + lead, b] = history[t, begin + b] * scale


@njit(fastmath=True, error_model="numpy", nogil=True, cache=True)
def forward(
    history: Any, scale: Any, lead: Any,
    token: Any, w_in: Any, w_conv: Any, b_conv: Any, w_x: Any, w_dt: Any, b_dt: Any, A: Any,
    D: Any, w_out: Any, begin: Any, end: Any, out: Any,
) -> None:  # fmt: skip
    """Last outputs of weights begin..end. history (L, n), w_in (2E,), w_conv (E, K), w_x (1 + 2N, E), A (E, N) < 0."""
    mode = flush_tiny()
    E, N = A.shape
    K = w_conv.shape[1]
    T = history.shape[0] + lead
    u = np.empty((T, LANES), np.float32)
    a = np.empty((T, E, LANES), np.float32)
    h = np.empty((E, N, LANES), np.float32)
    r = np.empty(LANES, np.float32)
    Bm = np.empty((N, LANES), np.float32)
    total = np.empty(LANES, np.float32)
    for at in range(begin, end, LANES):
        _load(history, scale, lead, token, at, u)
        h[:] = _ZERO
        for t in range(T):
            for e in range(E):
                for b in range(LANES):
                    total[b] = b_conv[e]
                for j in range(max(0, K - 1 - t), K):
                    weight = w_conv[e, j] * w_in[e]
                    for b in range(LANES):
                        total[b] += weight * u[t - K + 1 + j, b]
                for b in range(LANES):
                    a[t, e, b] = total[b] * _sigmoid(total[b])
            r[:] = _ZERO
            Bm[:] = _ZERO
            for e in range(E):
                weight = w_x[0, e]
                for b in range(LANES):
                    r[b] += weight * a[t, e, b]
                for n in range(N):
                    weight = w_x[1 + n, e]
                    for b in range(LANES):
                        Bm[n, b] += weight * a[t, e, b]
            for e in range(E):
                for b in range(LANES):
                    total[b] = _softplus(w_dt[e] * r[b] + b_dt[e])
                for n in range(N):
                    for b in range(LANES):
                        h[e, n, b] = _exp(total[b] * A[e, n]) * h[e, n, b] + total[b] * a[t, e, b] * Bm[n, b]
        Bm[:] = _ZERO  # now C
        for n in range(N):
            for e in range(E):
                weight = w_x[1 + N + n, e]
                for b in range(LANES):
                    Bm[n, b] += weight * a[T - 1, e, b]
        total[:] = _ZERO
        for e in range(E):
            for b in range(LANES):
                r[b] = D[e] * a[T - 1, e, b]  # now y
            for n in range(N):
                for b in range(LANES):
                    r[b] += Bm[n, b] * h[e, n, b]
            for b in range(LANES):
                z = w_in[E + e] * u[T - 1, b]
                total[b] += w_out[e] * r[b] * z * _sigmoid(z)
        for b in range(min(LANES, end - at)):
            out[at + b] = total[b]
    as_before(mode)


@njit(inline="always")
def _sum(lanes: Any) -> Any:
    total = _ZERO
    for b in range(LANES):
        total += lanes[b]
    return total


@njit(fastmath=True, error_model="numpy", nogil=True, cache=True)
def backward(
    history: Any, scale: Any, lead: Any,
    token: Any, w_in: Any, w_conv: Any, b_conv: Any, w_x: Any, w_dt: Any, b_dt: Any, A: Any,
    D: Any, w_out: Any, begin: Any, end: Any, v: Any,
    d_token: Any, d_in: Any, d_conv: Any, d_b_conv: Any, d_x: Any, d_dt: Any, d_b_dt: Any, d_A: Any, d_D: Any,
    d_out: Any,
) -> None:  # fmt: skip
    """Add to each d_* (float64) the gradient of sum(v * out) over weights begin..end; v (n,), the rest as `forward`."""
    mode = flush_tiny()
    E, N = A.shape
    K = w_conv.shape[1]
    T = history.shape[0] + lead
    f4 = np.float32
    u = np.empty((T, LANES), f4)
    a, sig, dt = np.empty((T, E, LANES), f4), np.empty((T, E, LANES), f4), np.empty((T, E, LANES), f4)
    r, Bm = np.zeros((T, LANES), f4), np.zeros((T, N, LANES), f4)
    h, decay = np.empty((T, E, N, LANES), f4), np.empty((T, E, N, LANES), f4)
    C, dC, dB = np.empty((N, LANES), f4), np.empty((N, LANES), f4), np.empty((N, LANES), f4)
    dh, da = np.empty((E, N, LANES), f4), np.empty((E, LANES), f4)
    total, part, dr, dv, s = np.empty((5, LANES), f4)
    for at in range(begin, end, LANES):
        _load(history, scale, lead, token, at, u)
        dv[:] = _ZERO
        for b in range(min(LANES, end - at)):
            dv[b] = v[at + b]
        r[:] = _ZERO
        Bm[:] = _ZERO
        for t in range(T):  # the forward pass, kept
            for e in range(E):
                for b in range(LANES):
                    total[b] = b_conv[e]
                for j in range(max(0, K - 1 - t), K):
                    weight = w_conv[e, j] * w_in[e]
                    for b in range(LANES):
                        total[b] += weight * u[t - K + 1 + j, b]
                for b in range(LANES):
                    sig[t, e, b] = _sigmoid(total[b])
                    a[t, e, b] = total[b] * sig[t, e, b]
                weight = w_x[0, e]
                for b in range(LANES):
                    r[t, b] += weight * a[t, e, b]
                for n in range(N):
                    weight = w_x[1 + n, e]
                    for b in range(LANES):
                        Bm[t, n, b] += weight * a[t, e, b]
            for e in range(E):
                for b in range(LANES):
                    dt[t, e, b] = _softplus(w_dt[e] * r[t, b] + b_dt[e])
                for n in range(N):
                    for b in range(LANES):
                        decay[t, e, n, b] = _exp(dt[t, e, b] * A[e, n])
                        h[t, e, n, b] = dt[t, e, b] * a[t, e, b] * Bm[t, n, b]
                    if t > 0:
                        for b in range(LANES):
                            h[t, e, n, b] += decay[t, e, n, b] * h[t - 1, e, n, b]
        C[:] = _ZERO
        dC[:] = _ZERO
        for n in range(N):
            for e in range(E):
                weight = w_x[1 + N + n, e]
                for b in range(LANES):
                    C[n, b] += weight * a[T - 1, e, b]
        for e in range(E):  # out = sum_e w_out y silu(z)
            for b in range(LANES):
                total[b] = D[e] * a[T - 1, e, b]  # y
            for n in range(N):
                for b in range(LANES):
                    total[b] += C[n, b] * h[T - 1, e, n, b]
            for b in range(LANES):
                z = w_in[E + e] * u[T - 1, b]
                g = _sigmoid(z)
                s[b] = dv[b] * total[b] * z * g
                part[b] = dv[b] * w_out[e] * total[b] * g * (_ONE + z * (_ONE - g)) * u[T - 1, b]
                total[b] = dv[b] * w_out[e] * z * g  # dy
            d_out[e] += _sum(s)
            d_in[E + e] += _sum(part)
            for b in range(LANES):
                part[b] = total[b] * a[T - 1, e, b]
                da[e, b] = total[b] * D[e]
            d_D[e] += _sum(part)
            for n in range(N):
                for b in range(LANES):
                    dC[n, b] += total[b] * h[T - 1, e, n, b]
                    dh[e, n, b] = total[b] * C[n, b]
        for n in range(N):
            for e in range(E):
                weight = w_x[1 + N + n, e]
                for b in range(LANES):
                    part[b] = dC[n, b] * a[T - 1, e, b]
                    da[e, b] += dC[n, b] * weight
                d_x[1 + N + n, e] += _sum(part)
        for t in range(T - 1, -1, -1):
            dr[:] = _ZERO
            dB[:] = _ZERO
            for e in range(E):
                total[:] = _ZERO  # d dt
                for n in range(N):
                    for b in range(LANES):
                        up = dh[e, n, b]
                        total[b] += up * a[t, e, b] * Bm[t, n, b]
                        da[e, b] += up * dt[t, e, b] * Bm[t, n, b]
                        dB[n, b] += up * dt[t, e, b] * a[t, e, b]
                    if t > 0:
                        for b in range(LANES):
                            kept = dh[e, n, b] * decay[t, e, n, b]
                            dh[e, n, b] = kept
                            kept *= h[t - 1, e, n, b]
                            total[b] += kept * A[e, n]
                            part[b] = kept * dt[t, e, b]
                        d_A[e, n] += _sum(part)
                for b in range(LANES):
                    total[b] *= _ONE - _exp(-dt[t, e, b])
                    part[b] = total[b] * r[t, b]
                    dr[b] += total[b] * w_dt[e]
                d_b_dt[e] += _sum(total)
                d_dt[e] += _sum(part)
            for e in range(E):
                weight = w_x[0, e]
                for b in range(LANES):
                    part[b] = dr[b] * a[t, e, b]
                    da[e, b] += dr[b] * weight
                d_x[0, e] += _sum(part)
                for n in range(N):
                    weight = w_x[1 + n, e]
                    for b in range(LANES):
                        part[b] = dB[n, b] * a[t, e, b]
                        da[e, b] += dB[n, b] * weight
                    d_x[1 + n, e] += _sum(part)
                for b in range(LANES):
                    total[b] = da[e, b] * (sig[t, e, b] + a[t, e, b] * (_ONE - sig[t, e, b]))  # through SiLU
                    da[e, b] = _ZERO
                d_b_conv[e] += _sum(total)
                for j in range(max(0, K - 1 - t), K):
                    for b in range(LANES):
                        part[b] = total[b] * u[t - K + 1 + j, b]
                    moved = _sum(part)
                    d_conv[e, j] += moved * w_in[e]
                    d_in[e] += moved * w_conv[e, j]
                    if lead == 1 and t - K + 1 + j == 0:
                        d_token[0] += _sum(total) * w_in[e] * w_conv[e, j]
    as_before(mode)
