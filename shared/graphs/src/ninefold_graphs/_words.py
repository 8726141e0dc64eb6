"""Input columns: words become 128 singular directions of IDF-weighted unit rows, other columns are standardised.

Rows of word counts get unit length, because their length says how long a text is. Rows of measurements keep theirs: at
unit length two nodes at the same side of the mean look alike, however far from it they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from ninefold_graphs._graph import Graph
from ninefold_graphs._rows import LARGE, Kept

_FITTED, _ENCODED = Kept(8), Kept(24)
_DENSE = 0.5  # a column with more non-zero entries than this, or with a negative one, is a measurement and not a word


@dataclass(frozen=True)
class InputEncoder:
    """A linear map that was fitted to source graphs and is applied to any graph with the same columns.

    Attributes:
        words: (D,) bool, columns that are counts of words.
        idf: (D,) weights of the words; 0 where no source has the word.
        basis: (D, k) directions for the words; the identity's columns if there are few words.
        mean, scale: (D,) of the other columns.

    Examples:
        >>> import numpy as np
        >>> import scipy.sparse as sp
        >>> from ninefold_graphs import Graph, InputEncoder
        >>> words = sp.random_array((30, 12), density=0.3, rng=np.random.default_rng(0), format="csr")
        >>> graph = Graph.of(words, np.zeros((2, 0), int))
        >>> InputEncoder.fit([graph], width=4)(graph).shape
        (30, 4)
    """

    words: np.ndarray
    idf: np.ndarray
    basis: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, graphs: Sequence[Graph], width: int = 128, seed: int = 0) -> InputEncoder:
        """Fit to the features of graphs with equal columns, their labels unseen; the last fits are kept."""
        objects = tuple(graph.x for graph in graphs)
        return _FITTED(objects, (width, seed), lambda: cls._fit(graphs, width, seed))

    @classmethod
    def _fit(cls, graphs: Sequence[Graph], width: int, seed: int) -> InputEncoder:
        x: Any = sp.vstack([sp.csr_matrix(graph.x) for graph in graphs], "csr")
        nonzero: Any = x != 0
        count = np.asarray(nonzero.sum(axis=0)).ravel()
        lowest = np.asarray(x.min(axis=0).todense()).ravel()
        words = (lowest >= 0) & (count <= _DENSE * x.shape[0])
        idf = np.log((1 + x.shape[0]) / (1 + count)).astype(np.float32) * words * (count > 0)
        mean = np.asarray(x.mean(axis=0)).ravel()
        square = np.asarray(x.multiply(x).mean(axis=0)).ravel()
        scale = np.sqrt(np.maximum(square - mean**2, 1e-12))
        scale = np.where(scale > 1e-5, scale, 1.0)
        basis = np.zeros((x.shape[1], 0), np.float32)
        if words.any():
            rows = unit_words(x, idf)
            basis = directions(rows, min(width, int((idf > 0).sum())), seed)
        return cls(words, idf, basis, mean.astype(np.float32), scale.astype(np.float32))

    @property
    def directions(self) -> int:
        """Number of leading output columns that come from words; the others are measurements."""
        return self.basis.shape[1]

    def __call__(self, graph: Graph) -> np.ndarray:
        """(N, k) float32: the words' directions, then the other columns."""
        if graph.width != self.words.size:
            got, expected = f"{graph.width} columns", f"{self.words.size}, as in the sources"
            raise InputError("x", got=got, expected=expected, where=f"graph {graph.name!r}")
        return _ENCODED((self, graph.x), None, lambda: self._encode(sp.csr_matrix(graph.x)))

    def by_columns(self, graph: Graph) -> Any:
        """What calling gives, for a large graph as columns that are made when they are read: `z[:, a:b]`."""
        return _Columns(self, sp.csr_matrix(graph.x)) if len(graph) > LARGE and self.words.all() else self(graph)

    def _encode(self, x: Any) -> np.ndarray:
        parts = [np.asarray(unit_words(x, self.idf) @ self.basis, np.float32)] if self.basis.shape[1] else []
        parts += [self._measured(x)] if not self.words.all() else []
        return np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32)

    def _measured(self, x: Any) -> np.ndarray:
        """(N, D - words) standardised measurements, scaled so that a row has unit length in the mean, as words have."""
        others = np.flatnonzero(~self.words)
        columns = np.asarray(x[:, others].todense(), np.float32)
        return np.asarray((columns - self.mean[others]) / (self.scale[others] * len(others) ** 0.5), np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs."""
        return dict(vars(self))

    @classmethod
    def load(cls, arrays: dict[str, Any]) -> InputEncoder:
        """The encoder that gave `arrays`."""
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


class _Columns:
    """(N, k) directions of words, none of them made before it is read."""

    def __init__(self, encoder: InputEncoder, x: Any) -> None:
        self._rows, self._basis = unit_words(x, encoder.idf), encoder.basis
        self.shape = x.shape[0], encoder.basis.shape[1]

    def __getitem__(self, at: tuple[slice, slice]) -> np.ndarray:
        rows, columns = at
        return np.asarray(self._rows[rows] @ np.ascontiguousarray(self._basis[:, columns]), np.float32)


def unit_words(x: Any, idf: np.ndarray) -> Any:
    """Rows of present words, IDF-weighted, at unit length; empty rows stay empty.

    Examples:
        >>> import numpy as np
        >>> import scipy.sparse as sp
        >>> from ninefold_graphs._words import unit_words
        >>> unit_words(sp.csr_array([[3.0, 0.0], [5.0, 5.0]]), np.array([1.0, 1.0], np.float32)).toarray().tolist()
        [[1.0, 0.0], [0.707..., 0.707...]]
    """
    rows = x.copy()
    rows.data = (rows.data != 0).astype(np.float32) * idf[rows.indices]
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return (sp.diags(1 / np.maximum(length, 1e-9)) @ rows).tocsr().astype(np.float32)


def directions(rows: Any, width: int, seed: int) -> np.ndarray:
    """(d, width) leading right singular vectors of (n, d) rows.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs._words import directions
        >>> rows = np.diag([9.0, 1.0, 0.1])  # the first column has most of the variance
        >>> np.abs(directions(rows, 1, seed=0)).round(2).ravel().tolist()
        [1.0, 0.0, 0.0]
    """
    from sklearn.utils.extmath import randomized_svd

    options: dict[str, Any] = {"n_iter": 4, "random_state": seed}
    basis: Any = randomized_svd(rows, width, **options)[2]
    return np.ascontiguousarray(basis.T, np.float32)
