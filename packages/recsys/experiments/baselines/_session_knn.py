"""V-SKNN, a rival: what the sessions nearest to this one held (Ludewig and Jannach 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._query import MODEL, Query

_CELLS = 1 << 23
_NEVER = 1 << 30  # steps back to an item that the session does not hold

# weight of the i-th of n items of the session, i from 1; and of a neighbour whose latest shared item is i steps back
_OF_PLACE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "same": lambda i, n: np.ones(np.broadcast(i, n).shape),
    "div": lambda i, n: i / n,
    "linear": lambda i, n: np.maximum(1 - 0.1 * (n - i), 0),
    "log": lambda i, n: 1 / np.log10(n - i + 1.7),
    "quadratic": lambda i, n: (i / n) ** 2,
}
_OF_STEP: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "same": lambda i: np.ones(i.shape),
    "div": lambda i: 1 / i,
    "linear": lambda i: np.where(i <= 100, 1 - 0.1 * i, 0.0),
    "log": lambda i: 1 / np.log10(i + 1.7),
    "quadratic": lambda i: 1 / i**2,
}


@dataclass(kw_only=True, eq=False, repr=False)
class VSKNN(Recommender):
    """Sessions (users) that share an item, weighted by how late in this session their shared items stand.

    Args:
        k: neighbours of a session.
        sample: the most recent sessions sharing an item, among which they are sought.
        weighting: of a session's items by index: "same", "div", "linear", "log" or "quadratic".
        decay: of a neighbour by how many steps back its latest shared item is; the same names.
        remind: list items of the session itself, too.
        idf: how much the score of rare items is raised: score (1 + idf log(sessions / sessions with the item)).

    Examples:
        >>> import recsys
        >>> from recsys_experiments.baselines._session_knn import VSKNN

        >>> visits = {
        ...     "user": ["v1", "v1", "v2", "v2", "v3", "v3", "v4"],
        ...     "item": ["Luigi", "Bistro", "Luigi", "Bistro", "Luigi", "Snack", "Luigi"],
        ...     "action": ["nicer", "end", "nicer", "end", "cheaper", "end", "cheaper"],
        ... }
        >>> data = recsys.Dataset.from_frame(visits, user="user", item="item", context=["action"])

        >>> model = VSKNN(k=2, remind=False).fit(data)
        >>> [item for item, score in model.recommend_one("v4", k=2)]
        ['Bistro', 'Snack']
    """

    name: ClassVar[str] = "v-sknn"
    source: ClassVar[str] = "arXiv 1803.09587"
    fitted: ClassVar[tuple[str, ...]] = ("sessions_", "order_")
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | {"sessions_": "csr s items", "order_": "below:s s"}
    space: ClassVar[dict[str, Any]] = {
        "k": [50, 100, 200, 500],
        "sample": [500, 1000, 2500, 5000],
        "weighting": ["same", "div", "linear", "log", "quadratic"],
        "decay": ["same", "div", "log", "quadratic"],
        "idf": [0.0, 1.0, 5.0],
        "remind": [True, False],
    }
    zero_is_no_evidence: ClassVar[bool] = True
    counts_repeats: ClassVar[bool] = True
    k: int = 100
    sample: int = 1000
    weighting: str = "div"
    decay: str = "div"
    idf: float = 0.0
    remind: bool = True

    def _fit(self, data: Dataset) -> None:
        if not 1 <= self.k <= self.sample:
            raise InputError("k, sample", got=repr(self), expected="at least 1, and k of the sample")
        for name, table in (("weighting", _OF_PLACE), ("decay", _OF_STEP)):
            if getattr(self, name) not in table:
                raise InputError(name, got=repr(getattr(self, name)), expected=f"one of {sorted(table)}")
        history = self.history_
        last = np.full(len(history), -1) if history.time is None else history.time[history.indptr[1:] - 1]
        order = np.argsort(last, kind="stable")  # later columns are later sessions
        self.order_ = np.empty(len(order), np.int32)
        self.order_[order] = np.arange(len(order), dtype=np.int32)
        self.sessions_ = history.matrix()[order].tocsr()

    def _score(self, query: Query) -> np.ndarray:
        scores = np.zeros((len(query), len(self.item_ids_)), np.float32)
        block = max(1, _CELLS // max(self.sessions_.shape[0], len(self.item_ids_)))
        for start in range(0, len(query), block):
            part = np.arange(start, min(start + block, len(query)))
            scores[part] = self._block(query.history.take(part), query.codes[part])
        if not self.remind:
            scores[query.history.rows(), query.history.item] = 0
        if self.idf:
            counts = np.maximum(np.asarray(self.sessions_.sum(axis=0)).ravel(), 1)
            scores *= (1 + self.idf * np.log(self.sessions_.shape[0] / counts)).astype(np.float32)
        return scores

    def _item_vectors(self) -> Csr:
        return self.sessions_.T.tocsr()

    def _block(self, history: History, codes: np.ndarray) -> np.ndarray:
        steps = _steps_back(history)
        row, session, likeness = self._neighbours(history, steps, codes)
        sizes = np.diff(self.sessions_.indptr)[session]
        starts = np.cumsum(sizes) - sizes
        entry = np.repeat(self.sessions_.indptr[session] - starts, sizes) + np.arange(sizes.sum())
        item, owner = self.sessions_.indices[entry], np.repeat(row, sizes)
        scores = np.zeros((len(history), history.n_items), np.float64)
        if len(row):
            nearest = np.minimum.reduceat(steps[owner, item], starts)
            weight = likeness * _OF_STEP[self.decay](nearest.astype(np.float64))
            np.add.at(scores.reshape(-1), owner * history.n_items + item, np.repeat(weight, sizes))
        return scores

    def _neighbours(
        self, history: History, steps: np.ndarray, codes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row, session, likeness) of the neighbours of each row, rows together."""
        row, item = np.nonzero(steps < _NEVER)
        place = history.counts[row] - steps[row, item] + 1.0
        weight = _OF_PLACE[self.weighting](place, history.counts[row].astype(np.float64))
        held = np.bincount(row, minlength=len(history))
        weights = sp.csr_matrix((weight / held[row], (row, item)), shape=steps.shape)
        alike = (weights @ self.sessions_.T).tocsr()
        rows = np.repeat(np.arange(len(history)), np.diff(alike.indptr))
        session, likeness = alike.indices, alike.data
        if self.origin_ == MODEL:  # a session of the fit is not its own neighbour
            among = (codes >= 0) & (codes < len(self.order_))
            own = np.where(among, self.order_[np.where(among, codes, 0)], -1)
            other = session != own[rows]
            rows, session, likeness = rows[other], session[other], likeness[other]
        kept = _first(rows, np.lexsort((-session, rows)), self.sample)
        rows, session, likeness = rows[kept], session[kept], likeness[kept]
        rough = -np.round(likeness, 9)  # equal sums of other orders stay equal
        kept = _first(rows, np.lexsort((-session, rough, rows)), self.k)
        return rows[kept], session[kept], likeness[kept]


def _first(rows: np.ndarray, order: np.ndarray, k: int) -> np.ndarray:
    """The first k places of each row in an order that sorts by row."""
    ordered = rows[order]
    return order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < k]


def _steps_back(history: History) -> np.ndarray:
    """How many steps back each item stands in each row, 1 for the last event, int64 (rows, items)."""
    steps = np.full((len(history), history.n_items), _NEVER, np.int64)
    back = np.repeat(history.indptr[1:], history.counts) - np.arange(len(history.item))
    np.minimum.at(steps, (history.rows(), history.item), back)
    return steps
