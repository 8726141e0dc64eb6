"""Many small least-squares problems at once: one for each row of a sparse matrix, against shared factors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from recsys.data._untyped import Csr

_CELLS = 1 << 19  # padded factors held at a time by each thread: about what its cache holds
_CLOSE = 1e-6  # error of a row by conjugate gradients, relative to its length: no more than a direct solve's in float32
_SMALL = 24  # factors below which a direct solve is the faster


def solve_rows(
    X: Csr,
    H: np.ndarray,
    shared: np.ndarray,
    ridge: np.ndarray,
    *,
    target: np.ndarray | None = None,
    pull: np.ndarray | None = None,
) -> np.ndarray:
    """For each row u: (sum_i x_ui h_i h_i' + shared + ridge_u I) w_u = sum_i t_ui h_i + pull_u.

    Conjugate gradients, preconditioned by `shared` and ridge, run to float32's precision: most rows are there after
    about ten steps, which cost less than making the matrix. Rows that are not, and small systems, are solved directly.

    Args:
        X: weights x, CSR (rows, items).
        H: factors, float32 (items, d).
        shared: part of every matrix, (d, d).
        ridge: of each row, (rows,).
        target: t at the stored places of X; X's own data if None.
        pull: added to the right-hand sides, (rows, d), or None.
    Returns: w, float32 (rows, d).
    """
    t = X.data if target is None else target
    d = H.shape[1]
    W = np.empty((X.shape[0], d), np.float32)
    if not np.isfinite(shared).all():
        W[:] = np.nan  # no solver takes it; the fit stops at the end of the epoch and names it
        return W
    diagonal = np.arange(d)
    eigenvalues, basis = np.linalg.eigh(np.asarray(shared, np.float64))
    turned = np.empty_like(H)
    for start in range(0, len(H), _CELLS):  # in pieces, for they are made in float64
        turned[start : start + _CELLS] = H[start : start + _CELLS] @ basis
    basis = basis.astype(np.float32)
    # D below must be well away from singular in float32
    sound = float(ridge.min(initial=np.inf)) > 1e-4 * float(np.abs(eigenvalues).max())
    in_steps = d >= _SMALL and sound and float(X.data.min(initial=0)) >= 0

    def solve_in_steps(rows: np.ndarray, places: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """In the basis of `shared` a row's matrix is D + h' X h, D diagonal, so I + g' X g in coordinates scaled by the
        root of D. Returns where the steps were not enough."""
        root = (1 / np.sqrt(eigenvalues + ridge[rows, None])).astype(np.float32)
        g = turned[columns]
        g *= root[:, None, :]
        right = (_at(t, places)[:, None, :] @ g)[:, 0]
        if pull is not None:
            right += (pull[rows] @ basis) * root
        v, close = _conjugate_gradients(g, _at(X.data, places), right)
        W[rows] = (v * root) @ basis.T
        return ~close

    def solve(rows: np.ndarray) -> None:
        places, columns = _padded(X, rows)
        if in_steps:
            left = solve_in_steps(rows, places, columns)
            if not left.any():
                return
            rows, places, columns = rows[left], places[left], columns[left]
        h = H[columns]
        A = (h * _at(X.data, places)[..., None]).transpose(0, 2, 1) @ h
        A += shared
        A[:, diagonal, diagonal] += ridge[rows, None]
        right = (_at(t, places)[:, None, :] @ h)[:, 0]
        if pull is not None:
            right += pull[rows]
        W[rows] = np.linalg.solve(A, right[..., None])[..., 0]

    # BLAS at one thread each: in problems this small its own only wait
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads()) as pool:
        list(pool.map(solve, _batches(X, H.shape[1])))
    return W


def _conjugate_gradients(g: np.ndarray, x: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(v, which are close) of (I + g' X g) v = b for each row, X diagonal and not negative, without making a matrix.

    No eigenvalue is below 1, so the error of v is at most the residual: a row is done when that is small next to v.
    """
    v, residual, step = np.zeros_like(b), b.copy(), b
    square = np.vecdot(residual, residual)
    close = square == 0
    tiny = np.float32(1e-30)  # rows that are done go on with the others, and must not divide 0 by 0
    for _ in range(max(16, b.shape[1] // 4)):  # more would cost more than a direct solve
        if close.all():
            break
        pushed = step + ((x * (g @ step[..., None])[..., 0])[:, None, :] @ g)[:, 0]
        length = (square / np.maximum(np.vecdot(step, pushed), tiny))[:, None]
        v += length * step
        residual -= length * pushed
        last, square = square, np.vecdot(residual, residual)
        close = square <= _CLOSE**2 * np.vecdot(v, v)
        step = residual + (square / np.maximum(last, tiny))[:, None] * step
    return v, close


def threads() -> int:
    """Threads to use: NUMBA's or OpenMP's setting if there is one (the house's --threads), else all cores."""
    setting = os.environ.get("NUMBA_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(setting), cores) if setting else cores


def _batches(X: Csr, d: int) -> Iterator[np.ndarray]:
    """Rows in groups of like length, so that little is padded and the cells of a group are bounded."""
    counts = np.diff(X.indptr)
    order = np.argsort(counts, kind="stable")
    sorted_counts = counts[order]
    start = 0
    while start < len(order):
        shortest = int(sorted_counts[start])
        # as the array's own type: for a Python number numpy would copy all counts to int64, in every batch
        alike = int(np.searchsorted(sorted_counts, counts.dtype.type(shortest + shortest // 10 + 1), side="right"))
        longest = int(sorted_counts[alike - 1])
        stop = min(alike, start + max(1, _CELLS // (d * max(d, longest, 1))))
        yield order[start:stop]
        start = stop


def _padded(X: Csr, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places in X's arrays, columns) of some rows, int (rows, longest); -1 and column 0, which weighs 0: padding."""
    starts = X.indptr[rows]
    counts = X.indptr[rows + 1] - starts
    steps = np.arange(max(int(counts.max()), 1))
    real = steps[None, :] < counts[:, None]
    places = np.where(real, starts[:, None] + steps[None, :], -1)
    return places, np.where(real, X.indices[places] if X.nnz else 0, 0)


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values at places, float32; 0 at -1."""
    if not len(values):
        return np.zeros(places.shape, np.float32)
    return np.where(places >= 0, values[places], np.float32(0)).astype(np.float32, copy=False)
