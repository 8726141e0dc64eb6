"""User kNN: what the users most like this one had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._query import MODEL, Query


@dataclass(kw_only=True, eq=False, repr=False)
class UserKNN(Recommender):
    """Cosine between users' rows, the best k neighbours kept; score: sum of the similarities of those who had the item.

    Args:
        k: neighbours of each user, himself not counted.
    """

    name: ClassVar[str] = "user-knn"
    fitted: ClassVar[tuple[str, ...]] = ("neighbours_",)
    space: ClassVar[dict[str, Any]] = {"k": (10, 20_000, "log")}
    zero_is_no_evidence: ClassVar[bool] = True
    k: int = 100

    def _fit(self, data: Dataset) -> None:
        if self.k < 1:
            raise InputError("k", got=self.k, expected="at least 1 neighbour")
        self.neighbours_ = self.history_.matrix()

    def _score(self, query: Query) -> np.ndarray:
        alike = (_unit_rows(query.history.matrix()) @ _unit_rows(self.neighbours_).T).tocsr()
        if self.origin_ == MODEL:  # a fitted user is not his own neighbour; a folded-in one was never among them
            own = (query.codes >= 0) & (query.codes < self.neighbours_.shape[0])
            himself = sp.csr_matrix(
                (np.ones(own.sum(), np.float32), (np.flatnonzero(own), query.codes[own])), shape=alike.shape
            )
            alike = (alike - alike.multiply(himself)).tocsr()
        return (_best(alike, self.k) @ self.neighbours_).toarray().astype(np.float32)

    def _item_vectors(self) -> Csr:
        return self.neighbours_.T.tocsr()


def _unit_rows(X: Csr) -> Csr:
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    return sp.diags(np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0), dtype=np.float32) @ X


def _best(matrix: Csr, k: int) -> Csr:
    """The k greatest entries of each row; ties: lower column first."""
    matrix.eliminate_zeros()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    kept = order[np.arange(len(rows)) - matrix.indptr[rows] < k]
    return sp.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)
