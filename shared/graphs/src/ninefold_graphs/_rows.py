"""Sums over neighbours: the normalised adjacency, features hop by hop, a walk over scores; and hop features of a graph
too large for them, in half precision, made and used some columns or rows at a time; kept values.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

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


def hop_features(
    z: np.ndarray, step: Sparse, hops: Sequence[int], *, unit: int | None = None, constant: bool = False
) -> np.ndarray:
    """(n, d) features -> (n, d * len(hops)): those hops side by side, each with rows of unit length.

    Within `shared_columns` processes divide the columns.

    Args:
        z: (n, d) features.
        step: (n, n) normalised adjacency.
        hops: numbers of steps, in any order.
        unit: number of leading columns whose rows get unit length, the others stay as they are; all columns by default.
        constant: append a column of ones.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, hop_features
        >>> graph = Graph.of(np.eye(3), [[0, 1], [1, 2]])
        >>> hop_features(graph.x, graph.normalized, (0, 1)).shape
        (3, 6)
    """
    width = z.shape[1]
    counted = width if unit is None else unit
    sums, squares = summed_hops(z, step, hops, np.float32, counted)
    for at, lengths in enumerate(np.sqrt(squares)):
        sums[:, at * width : at * width + counted] /= np.maximum(lengths, 1e-9)[:, None]
    return np.concatenate([sums, np.ones((len(sums), 1), np.float32)], axis=1) if constant else sums


def summed_hops(z: Any, step: Sparse, hops: Sequence[int], kind: Any, unit: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over neighbours, `WIDTH` columns at a time: (n, d * len(hops)) of a floating kind, and (hops, n) squared
    lengths of each hop's rows over the first `unit` columns."""
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
                counted = part[:, : max(unit - start, 0)]
                squares[at] += np.einsum("ij,ij->i", counted, counted)
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


T = TypeVar("T")


class Kept:
    """The last `size` results. The objects of a key are kept, so that no identity is given to another object.

    Examples:
        >>> from ninefold_graphs import Kept
        >>> kept, made = Kept(2), []
        >>> for _ in range(2):
        ...     kept((made,), "sum", lambda: made.append(1))
        >>> made
        [1]
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[Hashable, tuple[tuple[Any, ...], Any]] = OrderedDict()

    def __call__(self, objects: tuple[Any, ...], values: Hashable, make: Callable[[], T]) -> T:
        """The result for these very objects and equal values, made now if it is not kept."""
        key = (tuple(map(id, objects)), values)
        if key not in self._held:
            self._held[key] = (objects, make())
        self._held.move_to_end(key)
        while len(self._held) > self._size:
            self._held.popitem(last=False)
        return self._held[key][1]


LARGE = 200_000  # nodes, above which rows are kept in half precision
_CHUNK = 16_384  # rows in single precision at a time


@dataclass(frozen=True)
class HopRows:
    """Hops side by side, words with rows of unit length, around a centre, and a last column of ones: (N, d + 1).

    Takes the place of an array where there is no room for one: `rows @ weights`, `rows[nodes]`, `rows.mean()`. Rows of
    graphs of more than 200,000 nodes are in half precision where all columns are words: an entry is right to a
    thousandth of itself.

    Attributes:
        sums: (N, d) features after each hop, before they get unit length.
        lengths: (hops, N) of each hop's rows over the first `unit` columns.
        centre: (d,) that is taken off.
        unit: leading columns of each hop that are divided by the lengths.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, HopRows
        >>> graph = Graph.of(np.eye(3), [[0, 1], [1, 2]])
        >>> rows = HopRows.of(graph.x, graph.normalized, (0, 1))
        >>> rows.shape, (rows @ np.ones((7, 2))).shape, rows[:2].shape
        ((3, 7), (3, 2), (2, 7))
    """

    sums: np.ndarray
    lengths: np.ndarray
    centre: np.ndarray
    unit: int

    @classmethod
    def of(cls, z: Any, step: Sparse, hops: Sequence[int], unit: int | None = None) -> HopRows:
        """Of (N, d) features, an array or anything with its shape that gives columns as `z[:, a:b]`.

        Args:
            z: features.
            step: (N, N) normalised adjacency.
            hops: numbers of steps.
            unit: leading columns whose rows get unit length; all by default.
        """
        counted: int = z.shape[1] if unit is None else unit
        kind = np.float16 if z.shape[0] > LARGE and counted == z.shape[1] else np.float32
        sums, squares = summed_hops(z, step, hops, kind, counted)
        return cls(sums, np.maximum(np.sqrt(squares), 1e-9), np.zeros(sums.shape[1], np.float32), counted)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, d + 1)."""
        return len(self.sums), self.sums.shape[1] + 1

    def __len__(self) -> int:
        return len(self.sums)

    def __getitem__(self, nodes: Any) -> np.ndarray:
        """(m, d + 1) float32 rows of some nodes: a slice, positions or a mask."""
        part = self.sums[nodes].astype(np.float32)
        width = part.shape[1] // len(self.lengths)
        for hop, lengths in enumerate(self.lengths):
            part[:, hop * width : hop * width + self.unit] /= lengths[nodes][:, None]
        part -= self.centre
        return np.concatenate([part, np.ones((len(part), 1), np.float32)], axis=1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def __matmul__(self, weights: np.ndarray) -> np.ndarray:
        """(N, C) products with (d + 1, C) weights."""
        parts = [self[at : at + _CHUNK] @ weights for at in range(0, len(self), _CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, weights.shape[1]), np.float32)

    def mean(self) -> np.ndarray:
        """(d,) mean of the rows without the constant."""
        total = np.zeros(self.sums.shape[1])
        for at in range(0, len(self), _CHUNK):
            total += self[at : at + _CHUNK][:, :-1].sum(axis=0, dtype=np.float64)
        return (total / max(len(self), 1)).astype(np.float32)

    def around(self, shift: np.ndarray) -> HopRows:
        """The same rows less a (d,) shift."""
        return replace(self, centre=self.centre + shift)
