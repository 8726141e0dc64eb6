"""Hop features of a graph too large for them: half precision, some columns at a time; and kept values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ninefold_graphs._propagation import Sparse, summed_hops

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
    """Hops side by side, each with rows of unit length, around a centre, and a last column of ones: (N, d + 1).

    Takes the place of an array where there is no room for one: `rows @ weights`, `rows[nodes]`, `rows.mean()`. Rows of
    graphs of more than 200,000 nodes are in half precision: an entry is right to a thousandth of itself.

    Attributes:
        sums: (N, d) features after each hop, before they get unit length.
        lengths: (hops, N) of each hop's rows.
        centre: (d,) that is taken off.

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

    @classmethod
    def of(cls, z: Any, step: Sparse, hops: Sequence[int]) -> HopRows:
        """Of (N, d) features, an array or anything with its shape that gives columns as `z[:, a:b]`.

        Args:
            z: features.
            step: (N, N) normalised adjacency.
            hops: numbers of steps.
        """
        kind = np.float16 if z.shape[0] > LARGE else np.float32
        sums, squares = summed_hops(z, step, hops, kind)
        return cls(sums, np.maximum(np.sqrt(squares), 1e-9), np.zeros(sums.shape[1], np.float32))

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
            part[:, hop * width : (hop + 1) * width] /= lengths[nodes][:, None]
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
