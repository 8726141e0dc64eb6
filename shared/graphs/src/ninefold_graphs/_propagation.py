"""Sums over neighbours: the normalised adjacency, features hop by hop, and a walk over scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import numpy as np
import scipy.sparse as sp
from ninefold.distributed import launched, place

Sparse = Annotated[Any, "sp.csr_array, float32"]
WIDTH = 32  # columns that are summed over neighbours at a time
_SHARED: ContextVar[bool] = ContextVar("shared", default=False)


def normalised(adjacency: Sparse) -> Sparse:
    """(n, n) non-negative weights -> D^-1/2 (A + I) D^-1/2, float32, D the row sums (SGC, GCN).

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, normalised
        >>> normalised(Graph.of(np.eye(2), [[0], [1]]).adjacency).toarray().round(2).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    looped: Any = sp.csr_array(adjacency + sp.eye_array(adjacency.shape[0], format="csr"), dtype=np.float32)
    root = np.asarray(looped.sum(axis=1)).ravel() ** -0.5
    looped.data *= np.repeat(root, np.diff(looped.indptr))
    looped.data *= root[looped.indices]
    return looped


def reweighted(adjacency: Sparse, weight: np.ndarray) -> Sparse:
    """The adjacency with (E,) weights in the order of its entries.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, reweighted
        >>> adjacency = Graph.of(np.eye(2), [[0], [1]]).adjacency
        >>> reweighted(adjacency, np.array([0.2, 0.4])).toarray().round(1).tolist()
        [[0.0, 0.2...], [0.4..., 0.0]]
    """
    return sp.csr_array((weight.astype(np.float32), adjacency.indices, adjacency.indptr), shape=adjacency.shape)


def hop_features(z: np.ndarray, step: Sparse, hops: Sequence[int], *, constant: bool = False) -> np.ndarray:
    """(n, d) features -> (n, d * len(hops)): those hops side by side, each with rows of unit length.

    Within `shared_columns` processes divide the columns.

    Args:
        z: (n, d) features.
        step: (n, n) normalised adjacency.
        hops: numbers of steps, in any order.
        constant: append a column of ones.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, hop_features
        >>> graph = Graph.of(np.eye(3), [[0, 1], [1, 2]])
        >>> hop_features(graph.x, graph.normalized, (0, 1)).shape
        (3, 6)
    """
    width = z.shape[1]
    sums, squares = summed_hops(z, step, hops, np.float32)
    for at, lengths in enumerate(np.sqrt(squares)):
        sums[:, at * width : (at + 1) * width] /= np.maximum(lengths, 1e-9)[:, None]
    return np.concatenate([sums, np.ones((len(sums), 1), np.float32)], axis=1) if constant else sums


def summed_hops(z: Any, step: Sparse, hops: Sequence[int], kind: Any) -> tuple[np.ndarray, np.ndarray]:
    """Sums over neighbours, `WIDTH` columns at a time: (n, d * len(hops)) of a floating kind, and (hops, n) squared
    lengths of each hop's rows."""
    n, width = z.shape
    rank, count = place() if _SHARED.get() and launched() > 1 else (0, 1)
    made = np.zeros((n, width * len(hops)), kind)
    squares = np.zeros((len(hops), n), np.float32)
    for start in range(rank * WIDTH, width, count * WIDTH):
        part = np.ascontiguousarray(z[:, start : start + WIDTH], np.float32)
        for hop in range(max(hops) + 1):
            if hop:
                part = step @ part
            if hop in hops:
                at = list(hops).index(hop)
                made[:, at * width + start : at * width + start + part.shape[1]] = part
                squares[at] += np.einsum("ij,ij->i", part, part)
    if count > 1:
        import torch

        for array in (made, squares):  # each column stands in one process, zeros in the others
            torch.distributed.all_reduce(torch.from_numpy(array))
    return made, squares


@contextmanager
def shared_columns() -> Iterator[tuple[int, int]]:
    """Let the processes that torchrun started divide the columns of hop features; yields (rank, number of processes).

    Every process has the whole graph, makes the same calls inside, and gets the whole result. A process by itself does
    all.

    Examples:
        >>> from ninefold.distributed import joined
        >>> from ninefold_graphs import shared_columns
        >>> with joined(), shared_columns() as (rank, processes):
        ...     print(rank, processes)  # here: adapted = model.adapt(graph)
        0 1
    """
    before = _SHARED.set(True)
    try:
        yield place() if launched() > 1 else (0, 1)
    finally:
        _SHARED.reset(before)


def walked(scores: np.ndarray, step: Sparse, restart: float, steps: int = 10) -> np.ndarray:
    """(n, C) scores after steps of personalised PageRank from them: F <- (1 - restart) A F + restart S (APPNP).

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, walked
        >>> step = Graph.of(np.eye(2), [[0], [1]]).normalized
        >>> walked(np.array([[1.0], [0.0]]), step, restart=0.5, steps=1).round(2).tolist()
        [[0.75], [0.25]]
    """
    made = scores
    for _ in range(steps):
        made = (1 - restart) * (step @ made) + restart * scores
    return made
