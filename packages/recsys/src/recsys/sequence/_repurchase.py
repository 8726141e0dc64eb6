"""Lists for shops whose customers buy the same things again: what is due, and what is new to the customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._time import DAY
from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query
from recsys.recommender._registry import parse_model
from recsys.sequence._parts import OfParts

_PRIOR = 2.0  # pairs and gaps that a rate or an interval is shrunk by, towards that of all items


@dataclass(kw_only=True, eq=False, repr=False)
class Repurchase(OfParts):
    """Score of an item that the user had: c / (1 + c), where c sums its purchases, each halved every `half_life` days,
    times 2^(-overdue / `lapse`) and the item's rate of repeats. Of another item: `weight` times its share of the range
    of the inner model's scores. Without seen items the order is that of the inner model.

    `overdue` is the time since the user's last purchase of the item, in intervals between this user's purchases of it
    (shrunk to the median interval of all pairs). Without times only the number of purchases counts.

    Args:
        model: recommends items that are new to the user, e.g. "trend(model=puresvd)".
        half_life: days after which a purchase counts half; None: all count alike.
        lapse: intervals without a purchase after which an item counts half; None: intervals do not matter.
        rate: exponent of the item's rate of repeats; 0: it does not matter.
        weight: score of the inner model's best item; an item bought c times has c / (1 + c).

    Examples:
        >>> import recsys

        >>> users = "ann ann ann ann bob bob cy cy".split()
        >>> items = "milk milk milk lamp milk tea tea milk".split()
        >>> days = [f"2026-03-{day:02}" for day in (1, 8, 15, 16, 2, 9, 3, 10)]
        >>> data = recsys.Dataset.from_frame(
        ...     {"user": users, "item": items, "day": days}, user="user", item="item", time="day"
        ... )

        >>> model = recsys.Repurchase(model="popular").fit(data)
        >>> [item for item, score in model.recommend_one("ann", k=3)]
        ['milk', 'lamp', 'tea']
        >>> [item for item, score in model.recommend_one("ann", k=3, filter_seen=False)]
        ['milk', 'lamp', 'tea']
    """

    source: ClassVar[str] = "doi 10.1145/2566486.2568018 (decay of repeats, quality of items)"
    fitted: ClassVar[tuple[str, ...]] = ("rate_", "gap_")
    shapes: ClassVar[dict[str, str]] = OfParts.shapes | {"rate_": "items"}
    counts_repeats: ClassVar[bool] = True
    zero_is_no_evidence: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {
        "half_life": [None, 240.0, 120.0, 60.0],
        "lapse": [None, 8.0, 4.0, 2.0],
        "rate": [0.0, 0.5, 1.0],
        "weight": [0.01, 0.1, 0.3, 0.5],
    }
    model: str = "popular"
    half_life: float | None = bounded(240.0, above=0)
    lapse: float | None = bounded(4.0, above=0)
    rate: float = bounded(0.5, least=0, below=np.inf)
    weight: float = bounded(0.1, least=0, below=np.inf)

    def parts(self, seed: int | None = None) -> list[Recommender]:
        """The inner model, not fitted."""
        return [parse_model(self.model, seed, "model")]

    def _fit(self, data: Dataset) -> None:
        self._fit_parts(data)
        pairs = _Pairs.of(self.history_.positive(), None, self.now_)
        items = len(self.item_ids_)
        again = np.bincount(pairs.item, weights=pairs.times > 1, minlength=items)
        of_all = again.sum() / max(len(pairs.item), 1)
        had = np.bincount(pairs.item, minlength=items)
        self.rate_ = ((again + _PRIOR * of_all) / (had + _PRIOR)).astype(np.float32)
        regular = pairs.times > 2
        gaps = pairs.span[regular] / (pairs.times[regular] - 1)
        self.gap_ = np.array([np.median(gaps) if len(gaps) else 30.0], np.float32)

    def due(self, query: Query) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row, item, score in (0, 1)) of each pair that the users had."""
        pairs = _Pairs.of(query.history.positive(), self.half_life, self.now_)
        count = pairs.weight * self.rate_[pairs.item] ** self.rate if self.rate else pairs.weight
        if self.lapse is not None and query.history.time is not None:
            gap = (pairs.span + _PRIOR * self.gap_[0]) / (pairs.times - 1 + _PRIOR)
            count = count * np.exp2(-pairs.since / np.maximum(gap, 1.0) / self.lapse)
        return pairs.row, pairs.item, np.maximum(count / (1 + count), 1e-9)

    def _score(self, query: Query) -> np.ndarray:
        part = self.parts_[0]
        scores = part._answers(query, part._origins(query))
        named = np.isfinite(scores)
        low = np.where(named, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        span = np.where(named, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf) - low
        share = np.where(named, scores - low, 0) / np.where(np.isfinite(span) & (span > 0), span, 1)
        share = share.astype(np.float32)
        found = np.where(named, np.float32(max(self.weight, 1e-9)) * (share + np.float32(1e-6)), np.float32(0))
        row, item, due = self.due(query)
        found[row, item] = due
        return found


@dataclass(frozen=True)
class _Pairs:
    """Distinct pairs of a history: purchases, days from the first to the last, and since the last."""

    row: np.ndarray
    item: np.ndarray
    times: np.ndarray
    weight: np.ndarray
    span: np.ndarray
    since: np.ndarray

    @classmethod
    def of(cls, history: History, half_life: float | None, now: int | None) -> _Pairs:
        """Args: history: events; half_life: days after which an event weighs half; now: microseconds."""
        row, item = history.rows(), history.item.astype(np.int64)
        order = np.argsort(row * history.n_items + item, kind="stable")  # oldest first within a pair
        row, item = row[order], item[order]
        first = np.flatnonzero(np.append(True, (row[1:] != row[:-1]) | (item[1:] != item[:-1]))[: len(row)])
        times = np.diff(np.append(first, len(row)))
        if history.time is None or not len(row):
            nothing = np.zeros(len(first))
            return cls(row[first], item[first], times, times.astype(np.float64), nothing, nothing)
        when = history.time[order] / DAY
        age = np.maximum((when.max() if now is None else now / DAY) - when, 0)
        decay = np.ones(len(age)) if half_life is None else np.exp2(-age / half_life)
        last = first + times - 1
        return cls(row[first], item[first], times, np.add.reduceat(decay, first), when[last] - when[first], age[last])
