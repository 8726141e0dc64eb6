"""SANSA: EASE for large catalogues, by a sparse approximate inverse in two factors (Spisak et al., RecSys 2023).

The paper factors X'X + l2 I incompletely and then inverts the factor by minimal residuals, with SuiteSparse. Here its
inverse is found at once, by many small dense solves (Kolotilina and Yeremin 1993): of all K with row i on item i and
chosen items before it, the one with the least |I - K L|, X'X + l2 I = L L'. Then (X'X + l2 I)^-1 is about K'K.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from recsys.data._dataset import Dataset
from recsys.data._history import HALF_LIVES
from recsys.data._untyped import Csr
from recsys.linear._linear import refuse_if_too_large
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query
from recsys.recommender._topk import best_of_rows
from recsys.recommender._weighted import Weighted

_CELLS = 1 << 22  # numbers of small dense systems held at a time


@dataclass(kw_only=True, eq=False, repr=False)
class SANSA(Weighted):
    """Score X (I - K'K diag(1 / diag K'K)), K sparse; with as many neighbours as items, all of which meet, it is EASE.

    Items stand in order of popularity; row i of K lives on the `neighbours` items before i that are nearest by cosine,
    of those that some user had together with i.

    Args:
        l2: ridge, as of EASE.
        neighbours: of each item; K holds so many numbers more than items for each.
        weight, transform, dislikes, half_life: see `Weighted`.
        memory: GiB that X'X, which is kept sparse, may take; more is refused before it is allocated.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.SANSA(l2=1.0, neighbours=5).fit(data)
        >>> [item for item, score in model.recommend_one("bob", k=2)]
        ['mug', 'coffee']
    """

    source: ClassVar[str] = "doi 10.1145/3604915.3608827"
    fitted: ClassVar[tuple[str, ...]] = ("factor_", "scale_")
    shapes: ClassVar[dict[str, str]] = Weighted.shapes | {"factor_": "csr items items", "scale_": "items"}
    takes_dislikes: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {
        "l2": (10.0, 5000.0, "log"),
        "neighbours": [50, 100, 200],
        "half_life": HALF_LIVES,
    }
    l2: float = bounded(500.0, above=0)
    neighbours: int = bounded(100, least=0)
    memory: float = 10.0

    def _fit(self, data: Dataset) -> None:
        X = self._rows(self.history_)
        pairs = min(float((np.diff(X.indptr).astype(np.float64) ** 2).sum()), float(data.n_items) ** 2)
        tables = 4 * pairs / data.n_items**2  # X'X holds a value and a place each, and is copied
        instead = "IALS, leave out users with very long histories"
        refuse_if_too_large("SANSA", data.n_items, tables, self.memory, instead)
        order = np.lexsort((np.arange(X.shape[1]), -self.popular_))
        K = inverse_factor(X[:, order], self.l2, self.neighbours)
        back = np.argsort(order)
        self.factor_ = sp.csr_matrix(K[:, back], dtype=np.float32)
        self.scale_ = (1 / np.asarray(self.factor_.multiply(self.factor_).sum(axis=0)).ravel()).astype(np.float32)

    def _score(self, query: Query) -> np.ndarray:
        return self._of_rows(self._rows(query.history))

    def _of_rows(self, rows: Csr) -> np.ndarray:
        """Scores float32 (n, items) of rows over the items, CSR."""
        scores = ((rows @ self.factor_.T) @ self.factor_).toarray()
        scores *= -self.scale_
        scores[np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices] += rows.data
        return np.asarray(scores, np.float32)

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        ones = np.ones(len(codes), np.float32)
        shape = (len(codes), len(self.item_ids_))
        return self._of_rows(sp.csr_matrix((ones, (np.arange(len(codes)), codes)), shape=shape))

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        row = self._rows(self.history_.take(np.array([user])))
        column = self.factor_[:, [item]]
        toward = (self.factor_[:, row.indices].T @ column).toarray().ravel() * self.scale_[item]
        return row.indices, row.data * ((row.indices == item) - toward)


def inverse_factor(X: Csr, l2: float, neighbours: int) -> Csr:
    """K, lower triangular CSR float64 (items, items), with K'K about (X'X + l2 I)^-1.

    Args:
        X: users by items, in the order in which they may refer to each other: each to those before it.
        l2: ridge.
        neighbours: most items that an item refers to.
    """
    size = X.shape[1]
    G = sp.csr_matrix(X.T @ X, dtype=np.float64)
    G.sort_indices()
    length = np.sqrt(np.maximum(G.diagonal(), 1e-12))
    near = [_nearest_before(G, length, start, neighbours) for start in range(0, size, 1024)]
    before: Any = sp.vstack(near, format="csr")
    before.sort_indices()
    rows, columns, values = [np.arange(size)], [np.arange(size)], [np.zeros(size)]
    counts = np.diff(before.indptr)
    order = np.argsort(counts, kind="stable")
    start = 0
    while start < size:
        width = int(counts[order[min(start + 4096, size) - 1]])
        stop = min(start + 4096, start + max(1, _CELLS // (width + 1) ** 2), size)
        items = order[start:stop]
        width = int(counts[items].max())
        real = np.arange(width) < counts[items][:, None]
        places = np.where(real, before.indptr[items][:, None] + np.arange(width), 0)
        others = np.where(real, before.indices[places] if before.nnz else 0, items[:, None])
        solved = _last_columns(G, items, others, real, l2)
        values[0][items] = solved[:, -1]
        rows.append(np.repeat(items, counts[items]))
        columns.append(others[real])
        values.append(solved[:, :-1][real])
        start = stop
    place = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.concatenate(values), place), shape=(size, size))


def _last_columns(G: Csr, items: np.ndarray, others: np.ndarray, real: np.ndarray, l2: float) -> np.ndarray:
    """Of each item: the last column of (G_SS + l2 I)^-1, S its others and itself, over the root of its last entry.

    Args:
        G: X'X.
        items: (n,); others: (n, width), `real` where they count.
        l2: ridge.
    Returns: float64 (n, width + 1); 0 where `real` does not hold.
    """
    members = np.hstack([others, items[:, None]])
    counted = np.hstack([real, np.ones((len(items), 1), bool)])
    n, width = members.shape
    row = np.broadcast_to(members[:, :, None], (n, width, width)).ravel()
    column = np.broadcast_to(members[:, None, :], (n, width, width)).ravel()
    A = np.asarray(G[row, column]).reshape(n, width, width)
    A *= counted[:, :, None] & counted[:, None, :]
    diagonal = np.arange(width)
    A[:, diagonal, diagonal] = np.where(counted, A[:, diagonal, diagonal] + l2, 1.0)
    right = np.zeros((n, width, 1))
    right[:, -1] = 1
    found = np.linalg.solve(A, right)[..., 0]
    return found / np.sqrt(found[:, -1:])


def _nearest_before(G: Csr, length: np.ndarray, start: int, k: int) -> Csr:
    """The k items of greatest cosine among those before each item of a block, CSR (block, items)."""
    part = G[start : start + 1024].tocoo()
    earlier = part.col < part.row + start
    row, column = part.row[earlier], part.col[earlier]
    cosine = part.data[earlier] / length[column]  # of one row all are divided by the same length
    return best_of_rows(sp.csr_matrix((cosine, (row, column)), shape=part.shape), k)
