"""Sums over neighbours: the normalised adjacency, features hop by hop, and a walk over scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

Sparse = Any  # sp.csr_array, float32


def normalised(adjacency: Sparse) -> Sparse:
    """(n, n) non-negative weights -> D^-1/2 (A + I) D^-1/2, float32, D the row sums (SGC, GCN)."""
    looped: Any = sp.csr_array(adjacency + sp.eye_array(adjacency.shape[0], format="csr"), dtype=np.float32)
    root = np.asarray(looped.sum(axis=1)).ravel() ** -0.5
    looped.data = (looped.data * np.repeat(root, np.diff(looped.indptr)) * root[looped.indices]).astype(np.float32)
    return looped


def reweighted(adjacency: Sparse, weight: np.ndarray) -> Sparse:
    """The adjacency with (E,) weights in the order of its entries."""
    return sp.csr_array((weight.astype(np.float32), adjacency.indices, adjacency.indptr), shape=adjacency.shape)


def hop_features(z: np.ndarray, step: Sparse, hops: Sequence[int]) -> np.ndarray:
    """(n, d) features -> (n, d * len(hops)): those hops side by side, each with rows of unit length.

    step: (n, n) normalised adjacency.
    """
    made = np.empty((len(z), z.shape[1] * len(hops)), np.float32)
    for hop in range(max(hops) + 1):
        if hop:
            z = step @ z
        if hop in hops:
            at = list(hops).index(hop) * z.shape[1]
            made[:, at : at + z.shape[1]] = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
    return made


def walked(scores: np.ndarray, step: Sparse, restart: float, steps: int = 10) -> np.ndarray:
    """(n, C) scores after steps of personalised PageRank from them: F <- (1 - restart) A F + restart S (APPNP)."""
    made = scores
    for _ in range(steps):
        made = (1 - restart) * (step @ made) + restart * scores
    return made
