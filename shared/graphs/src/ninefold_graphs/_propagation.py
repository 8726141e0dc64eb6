"""Sums over neighbours: the normalised adjacency, features hop by hop, and a walk over scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

Sparse = Any  # sp.csr_array, float32
WIDTH = 32  # columns that are summed over neighbours at a time


def normalised(adjacency: Sparse) -> Sparse:
    """(n, n) non-negative weights -> D^-1/2 (A + I) D^-1/2, float32, D the row sums (SGC, GCN)."""
    looped: Any = sp.csr_array(adjacency + sp.eye_array(adjacency.shape[0], format="csr"), dtype=np.float32)
    root = np.asarray(looped.sum(axis=1)).ravel() ** -0.5
    looped.data = (looped.data * np.repeat(root, np.diff(looped.indptr)) * root[looped.indices]).astype(np.float32)
    return looped


def reweighted(adjacency: Sparse, weight: np.ndarray) -> Sparse:
    """The adjacency with (E,) weights in the order of its entries."""
    return sp.csr_array((weight.astype(np.float32), adjacency.indices, adjacency.indptr), shape=adjacency.shape)


def hop_features(z: np.ndarray, step: Sparse, hops: Sequence[int], *, constant: bool = False) -> np.ndarray:
    """(n, d) features -> (n, d * len(hops)): those hops side by side, each with rows of unit length.

    Beside the result it holds `WIDTH` columns of two hops at a time.

    Args:
        z: (n, d) features.
        step: (n, n) normalised adjacency.
        hops: numbers of steps, in any order.
        constant: append a column of ones.
    """
    width = z.shape[1]
    made = np.ones((len(z), width * len(hops) + constant), np.float32)
    squares = np.zeros((len(hops), len(z)), np.float32)
    for start in range(0, width, WIDTH):
        part = np.ascontiguousarray(z[:, start : start + WIDTH], np.float32)
        for hop in range(max(hops) + 1):
            if hop:
                part = step @ part
            if hop in hops:
                at = list(hops).index(hop)
                made[:, at * width + start : at * width + start + part.shape[1]] = part
                squares[at] += np.einsum("ij,ij->i", part, part)
    for at, lengths in enumerate(np.sqrt(squares)):
        made[:, at * width : (at + 1) * width] /= np.maximum(lengths, 1e-9)[:, None]
    return made


def walked(scores: np.ndarray, step: Sparse, restart: float, steps: int = 10) -> np.ndarray:
    """(n, C) scores after steps of personalised PageRank from them: F <- (1 - restart) A F + restart S (APPNP)."""
    made = scores
    for _ in range(steps):
        made = (1 - restart) * (step @ made) + restart * scores
    return made
