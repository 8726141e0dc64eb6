"""Models of values: what a user would rate an item; lists rank by it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._query import FALLBACK, Query
from recsys.recommender._topk import Lists

_CHUNK = 1 << 20  # pairs predicted at a time


@dataclass(kw_only=True, eq=False, repr=False)
class RatingModel(Recommender):
    """Base of models that predict the value of a pair, of unknown users and items too.

    A model fills in `_learn` and `_rate`, and `_score` or `_factors` for lists. Predictions are clipped to the range of
    the training values. Lists rank by what was not clipped, for at the top of a scale everything would tie, or by what
    sold where nothing is known of the user; their scores are the predictions all the same.
    """

    fitted: ClassVar[tuple[str, ...]] = ("range_",)
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | {"range_": "2"}
    reads_values: ClassVar[bool] = True
    judged_by: ClassVar[str] = "rmse"
    differences_count: ClassVar[bool] = True

    def _learn(self, data: Dataset, value: np.ndarray) -> None:
        """Learn from events; `value` is their rating, float64 (n,)."""
        raise NotImplementedError

    def _rate(self, user: np.ndarray, item: np.ndarray, context: pa.Table) -> np.ndarray:
        """Predicted values (n,) of pairs of codes; -1 for an unknown user or item. `context` has n rows."""
        raise NotImplementedError

    def _fit(self, data: Dataset) -> None:
        if data.value is None:
            raise InputError(type(self).__name__, got="events without values", expected="ratings (--value COLUMN)")
        value = data.value.astype(np.float64)
        self.range_ = np.array([value.min(), value.max()])
        self._learn(data, value)

    def _lists(
        self, query: Query, k: int, filter_seen: bool, allowed: np.ndarray | None, among: Csr | None = None
    ) -> tuple[Lists, np.ndarray]:
        lists, origin = super()._lists(query, k, filter_seen, allowed, among)
        score = np.clip(lists.score, *self.range_).astype(np.float32)
        falls = np.flatnonzero(origin[lists.row] == FALLBACK)
        if len(falls):
            nobody = np.full(len(falls), -1)
            context = pa.table({}) if query.context is None else query.context.take(pa.array(lists.row[falls]))
            score[falls] = np.clip(self._rate(nobody, lists.item[falls], context), *self.range_)
        return dataclasses.replace(lists, score=score), origin

    def _predict(
        self,
        user: np.ndarray,
        item: np.ndarray,
        context: pa.Table,
        block: int,  # noqa: ARG002
    ) -> tuple[np.ndarray, np.ndarray]:
        score = np.empty(len(user), np.float32)
        for start in range(0, len(user), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = context.slice(start, _CHUNK) if context.num_columns else context
            score[part] = np.clip(self._rate(user[part], item[part], rows), *self.range_)
        counts = np.append(self.history_.counts, 0)  # the last: an unknown user
        known = (counts[user] > 0) & (np.append(self.popular_, 0)[item] > 0)
        return score, np.where(known, self.origin_, self._without_events(user, item)).astype(np.int8)

    def _without_events(self, user: np.ndarray, item: np.ndarray | None = None) -> np.ndarray:  # noqa: ARG002
        """Where answers come from, int8 (n,), about users (or items) who had no event; codes, -1 if unknown."""
        return np.full(len(user), FALLBACK, np.int8)


def at(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Values (or rows of values) at codes; 0 at -1."""
    found = values[codes]
    found[codes < 0] = 0
    return found
