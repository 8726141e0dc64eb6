"""Features of a node's neighbourhood, hop by hop, on a graph whose edges may be reweighted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from mldgg.datasets import Graph


def reweighted(graph: Graph, weight: np.ndarray | None) -> Any:
    """(N, N) adjacency with (E,) weights in the order of `edge_index`; ones if there are none."""
    adjacency = graph.adjacency
    if weight is None:
        return adjacency
    return sp.csr_matrix((weight.astype(np.float32), adjacency.indices, adjacency.indptr), shape=adjacency.shape)


def normalised(adjacency: Any) -> Any:
    """D^-1/2 (A + I) D^-1/2, float32."""
    looped = adjacency + sp.eye(adjacency.shape[0], format="csr")
    scale = sp.diags(1 / np.sqrt(np.asarray(looped.sum(axis=1)).ravel()))
    return (scale @ looped @ scale).tocsr().astype(np.float32)


def hop_features(z: np.ndarray, adjacency: Any, hops: Sequence[int]) -> np.ndarray:
    """(N, d) features -> (N, d * len(hops)): those hops side by side, each with rows of unit length."""
    step, blocks = normalised(adjacency), []
    for hop in range(max(hops) + 1):
        if hop:
            z = step @ z
        if hop in hops:
            blocks.append(z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9))
    return np.concatenate(blocks, axis=1).astype(np.float32)
