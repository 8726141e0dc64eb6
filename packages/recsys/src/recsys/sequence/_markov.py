"""Markov chains over a user's last events, with back-off to shorter ones and to popularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._words import codes, distinct
from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query


@dataclass(kw_only=True, eq=False, repr=False)
class Markov(Recommender):
    """P(next item | last events): p_s(j) = (n(s, j) + smoothing p_shorter(j)) / (n(s) + smoothing).

    The states s, from long to short: the last `order` (item, action) pairs, ..., the last pair, the last item; then
    the share of each item in all steps. Without an action, states are items alone.

    Args:
        order: events of the longest state.
        action: context column that says what the user did at an item, e.g. "action"; None: not used.
        smoothing: pseudo-count with which a shorter state speaks.

    Examples:
        >>> import recsys

        >>> visits = {
        ...     "user": ["v1", "v1", "v2", "v2", "v3", "v3", "v4"],
        ...     "item": ["Luigi", "Bistro", "Luigi", "Bistro", "Luigi", "Snack", "Luigi"],
        ...     "action": ["nicer", "end", "nicer", "end", "cheaper", "end", "cheaper"],
        ... }
        >>> data = recsys.Dataset.from_frame(visits, user="user", item="item", context=["action"])

        >>> model = recsys.Markov(order=1, action="action", smoothing=1.0).fit(data)
        >>> model.recommend(["v4"], k=1).column("item").to_pylist()
        ['Snack']
        >>> model.set_params(action=None).fit(data).recommend(["v4"], k=1).column("item").to_pylist()
        ['Bistro']
    """

    source: ClassVar[str] = "Shani et al. 2005; Dirichlet smoothing"
    fitted: ClassVar[tuple[str, ...]] = ("states_", "counts_", "share_")
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | {
        "states_": "int n",
        "counts_": "csr n items",
        "share_": "items",
    }
    vocabularies: ClassVar[tuple[str, ...]] = ("actions_",)
    space: ClassVar[dict[str, Any]] = {"order": [1, 2, 3], "smoothing": (0.1, 100.0, "log")}
    counts_repeats: ClassVar[bool] = True
    order: int = bounded(1, least=1)
    action: str | None = None
    smoothing: float = bounded(2.0, above=0)

    def _fit(self, data: Dataset) -> None:
        history, items = self.history_, data.n_items
        if self.action is not None and self.action not in history.context.column_names:
            raise InputError(
                "action", got=repr(self.action), expected=f"of {history.context.column_names}, the context"
            )
        self.actions_ = distinct(history.context[self.action]) if self.action else []
        base = items * (len(self.actions_) + 1)
        if base**self.order > 2**61:
            raise InputError(f"order={self.order}", got=f"{base:,} items with actions", expected="a smaller order")
        follows = np.arange(len(history.item)) > history.indptr[history.rows()]
        target = np.flatnonzero(follows)
        before = history.ranges(np.maximum(history.indptr[history.rows()[target]], target - self.order), target)
        keys = self._states(before)
        rows = np.concatenate([key[key >= 0] for key in keys])
        columns = np.concatenate([history.item[target][key >= 0] for key in keys])
        self.states_, place = np.unique(rows, return_inverse=True)
        self.counts_ = sp.csr_matrix(
            (np.ones(len(rows), np.float32), (place, columns)), shape=(len(self.states_), items)
        )
        total = np.bincount(history.item[target], minlength=items) + 1 / items
        self.share_ = (total / total.sum()).astype(np.float32)

    def _reads(self) -> list[str]:
        return [] if self.action is None else [self.action]

    def _states(self, history: History) -> list[np.ndarray]:
        """Keys of the states of each row from short to long, int64 (rows,) each; -1 where the row is too short."""
        items, base = history.n_items, history.n_items * (len(self.actions_) + 1)
        token = history.item.astype(np.int64)
        if self.action:
            token += items * (codes(history.context[self.action], self.actions_) + 1)
        last, counts = history.indptr[1:] - 1, history.counts
        keys, offset, key = [], 0, np.zeros(len(history), np.int64)
        if self.action:
            keys.append(np.where(counts >= 1, history.item[np.maximum(last, 0)] if len(token) else -1, -1))
            offset = items
        for back in range(self.order):
            long = counts > back
            at = token[np.where(long, last - back, 0)] if len(token) else 0
            key = key * base + at
            keys.append(np.where(long, offset + key, -1))
            offset += base ** (back + 1)
        return keys

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        """Share of each item among what came next; an item's own key is its code."""
        scores = np.tile(self.share_, (len(codes), 1))
        return self._backed_off(scores, codes.astype(np.int64))

    def _score(self, query: Query) -> np.ndarray:
        scores = np.tile(self.share_, (len(query), 1))
        for key in self._states(query.history):
            scores = self._backed_off(scores, key)
        return scores

    def _backed_off(self, scores: np.ndarray, key: np.ndarray) -> np.ndarray:
        """Shares by the counts after a state, smoothed towards those after the shorter one (`scores`, changed)."""
        place = np.minimum(np.searchsorted(self.states_, key), len(self.states_) - 1)
        known = np.flatnonzero(self.states_[place] == key) if len(self.states_) else np.empty(0, np.int64)
        counts = self.counts_[place[known]]
        total = np.asarray(counts.sum(axis=1))
        scores[known] = (counts.toarray() + self.smoothing * scores[known]) / (total + self.smoothing)
        return scores
