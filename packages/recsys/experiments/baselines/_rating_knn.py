"""Item kNN on ratings, a rival: what this user gave to items that are rated like this one (Koren 2010, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.factors._bias import Bias
from recsys.linear._linear import refuse_if_too_large
from recsys.recommender._query import Query


@dataclass(kw_only=True, eq=False, repr=False)
class RatingKNN(Bias):
    """b_ui + sum_j s_ij (r_uj - b_uj) / sum_j s_ij over the k rated items j of greatest positive s_ij.

    s is the correlation of residuals over common users, shrunk by (n_ij - 1) / (n_ij - 1 + shrink).

    Args:
        k: neighbours.
        shrink: common users at which half of a correlation is believed.
        memory: GiB that the fit may take.

    Examples:
        >>> import recsys
        >>> from recsys_experiments.baselines._rating_knn import RatingKNN

        >>> stars = {
        ...     "user": ["ann", "ann", "ann", "bob", "bob", "bob", "cy", "cy", "dee", "dee"],
        ...     "item": ["Alien", "Dune", "Emma", "Alien", "Dune", "Emma", "Dune", "Solaris", "Emma", "Dune"],
        ...     "stars": [5.0, 5.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 1.0],
        ... }
        >>> data = recsys.Dataset.from_frame(stars, user="user", item="item", value="stars")

        >>> model = RatingKNN(k=5, shrink=1.0, damping_item=1.0, damping_user=1.0).fit(data)
        >>> scores = model.predict({"user": ["cy", "cy"], "item": ["Alien", "Emma"]}).column("score").to_pylist()
        >>> [round(one, 1) for one in scores]
        [4.9, 4.4]
    """

    name: ClassVar[str] = "rating-knn"
    source: ClassVar[str] = "doi 10.1145/1644873.1644874"
    fitted: ClassVar[tuple[str, ...]] = (*Bias.fitted, "similarity_")
    shapes: ClassVar[dict[str, str]] = Bias.shapes | {"similarity_": "items items"}
    space: ClassVar[dict[str, Any]] = {"k": (10, 100, "log"), "shrink": (10.0, 300.0, "log")}
    k: int = 40
    shrink: float = 100.0
    memory: float = 10.0

    def _learn(self, data: Dataset, value: np.ndarray) -> None:
        if self.k < 1 or self.shrink < 0:
            raise InputError("k, shrink", got=repr(self), expected="at least 1 neighbour, shrink of 0 or more")
        refuse_if_too_large("RatingKNN", data.n_items, 1.2, self.memory, "BiasedMF or BayesianFM")
        super()._learn(data, value)
        shape = (data.n_users, data.n_items)
        residual = value - self._baseline(data.user, data.item)
        total = sp.csr_matrix((residual, (data.user, data.item)), shape=shape)
        count = sp.csr_matrix((np.ones(len(value)), (data.user, data.item)), shape=shape)
        total.data = total.data / count.data  # pyright: ignore[reportOperatorIssue]  (a pair rated twice: its mean)
        self.similarity_ = shrunk_correlation(total, self.shrink)

    def _rate(self, user: np.ndarray, item: np.ndarray, context: pa.Table) -> np.ndarray:
        rate = self._baseline(user, item)
        able = np.flatnonzero((user >= 0) & (item >= 0))
        if not len(able):
            return rate
        order = able[np.argsort(user[able], kind="stable")]
        distinct, first = np.unique(user[order], return_index=True)
        for one, rows in zip(distinct, np.split(order, first[1:]), strict=True):
            rate[rows] += self._correction(int(one), item[rows])
        return rate

    def _score(self, query: Query) -> np.ndarray:
        items = np.arange(len(self.item_ids_))
        scores = np.empty((len(query), len(items)), np.float32)
        for row, user in enumerate(query.codes):
            pair = np.full(len(items), user)
            scores[row] = self._baseline(pair, items) + (self._correction(int(user), items) if user >= 0 else 0)
        return scores

    def _correction(self, user: int, items: np.ndarray) -> np.ndarray:
        """What the user's neighbours of each item add to its baseline, (n,)."""
        mine = self.history_.take(np.array([user]))
        if not len(mine.item):
            return np.zeros(len(items))
        rest = self._values(mine) - self._baseline(np.full(len(mine.item), user), mine.item)
        near = np.maximum(self.similarity_[np.ix_(items, mine.item)], 0)
        if near.shape[1] > self.k:
            least = np.partition(near, -self.k, axis=1)[:, -self.k]
            near[near < least[:, None]] = 0
        weight = near.sum(axis=1)
        return np.divide(near @ rest, weight, out=np.zeros(len(items)), where=weight > 0)

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        return self.similarity_[codes].copy()


def shrunk_correlation(residual: Csr, shrink: float, block: int = 1024) -> np.ndarray:
    """Correlation of columns over rows where both are stored, times (n - 1) / (n - 1 + shrink); float32 (m, m), diag 0.

    Args:
        residual: deviations from a baseline, CSR (users, items); they are not centred again.
        shrink: as above.
        block: columns at a time.
    """
    size = residual.shape[1]
    present, squared = residual.copy(), residual.multiply(residual).tocsc()
    present.data[:] = 1
    columns, ones = residual.tocsc(), present.tocsc()
    result = np.empty((size, size), np.float32)
    for start in range(0, size, block):
        part = slice(start, min(start + block, size))
        together = (ones[:, part].T @ ones).toarray()
        product = (columns[:, part].T @ columns).toarray()
        own = (squared[:, part].T @ ones).toarray()  # squares of the block's items where the other is rated too
        other = (ones[:, part].T @ squared).toarray()
        scale = np.sqrt(own * other) * (np.maximum(together - 1, 0) + shrink)
        top = product * np.maximum(together - 1, 0)
        result[part] = np.divide(top, scale, out=np.zeros_like(top), where=scale > 0)
    result[np.diag_indices(size)] = 0
    return result
