"""Baselines without taste: what sells, what sells now, what this user buys again, and chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._time import DAY
from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query


@dataclass(kw_only=True, eq=False, repr=False)
class Popular(Recommender):
    """Distinct users of each item.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> recsys.Popular().fit(data).recommend_one("bob", k=2)
        [('coffee', 3.0), ('filter', 2.0)]
    """

    reads_values: ClassVar[bool] = True  # to leave out those of 0 or less

    def _score(self, query: Query) -> np.ndarray:
        return np.tile(self.popular_, (len(query), 1))


@dataclass(kw_only=True, eq=False, repr=False)
class RecentPopular(Recommender):
    """Events of each item in the last days before the end of training, older ones halved every `half_life` days.

    Args:
        days: how far back events count.
        half_life: days after which an event counts half; None: all count alike.

    Examples:
        >>> import recsys

        >>> users = "ann ann bob bob cy dee dee".split()
        >>> items = "tea mug tea mug tea tea lamp".split()
        >>> days = [f"2026-03-{day:02}" for day in (1, 2, 2, 3, 4, 26, 27)]
        >>> data = recsys.Dataset.from_frame(
        ...     {"user": users, "item": items, "day": days}, user="user", item="item", time="day"
        ... )

        >>> model = recsys.RecentPopular(days=7.0).fit(data)  # the week of 21 to 27 March
        >>> model.recommend_one("bob", k=2, filter_seen=False)
        [('tea', 1.0), ('lamp', 1.0)]
    """

    fitted: ClassVar[tuple[str, ...]] = ("recent_",)
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | {"recent_": "items"}
    reads_values: ClassVar[bool] = True  # to leave out those of 0 or less
    space: ClassVar[dict[str, Any]] = {"days": (2.0, 400.0, "log"), "half_life": [None, 60.0, 30.0, 15.0, 7.0, 3.0]}
    days: float = bounded(31.0, above=0)
    half_life: float | None = bounded(None, above=0)

    def _count(self, pairs: Csr | None = None) -> None:
        super()._count(pairs)
        history, half_life = self.history_, self.half_life
        if history.time is None or self.now_ is None:
            raise InputError("RecentPopular", got="events without times", expected="a time column")
        age = (self.now_ - history.time) / DAY
        counted = (age >= 0) & (age < self.days)
        if history.value is not None:
            counted &= history.value > 0
        weight = np.where(counted, 1.0 if half_life is None else np.exp2(-np.maximum(age, 0) / half_life), 0.0)
        self.recent_ = np.bincount(history.item, weights=weight, minlength=history.n_items).astype(np.float32)

    def _score(self, query: Query) -> np.ndarray:
        return np.tile(self.recent_, (len(query), 1))


@dataclass(kw_only=True, eq=False, repr=False)
class Repeat(Recommender):
    """How often the user had an item, popularity as the tie-break: for tasks in which seen items count.

    Examples:
        >>> import recsys

        >>> weeks = {"user": ["ann"] * 5 + ["bob"], "item": ["milk", "tea", "milk", "bread", "milk", "tea"]}
        >>> data = recsys.Dataset.from_frame(weeks, user="user", item="item")
        >>> model = recsys.baselines.Repeat().fit(data)
        >>> [item for item, score in model.recommend_one("ann", k=3)]
        ['milk', 'tea', 'bread']
    """

    reads_values: ClassVar[bool] = True  # to leave out those of 0 or less
    counts_repeats: ClassVar[bool] = True

    def _score(self, query: Query) -> np.ndarray:
        share = self.popular_ / (self.popular_.max() + 1)  # below 1: it never outweighs one more event
        return (query.history.positive().matrix("count").toarray() + share).astype(np.float32)


@dataclass(kw_only=True, eq=False, repr=False)
class RandomItems(Recommender):
    """Chance: scores drawn anew for each user, the same for the same seed, user and order of items.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> lists = recsys.baselines.RandomItems(seed=0).fit(data).recommend(k=2)
        >>> lists.num_rows, lists.column("rank").to_pylist()[:4]
        (12, [1, 2, 1, 2])
    """

    reads_values: ClassVar[bool] = True  # as it reads nothing
    seed: int = 0

    def _score(self, query: Query) -> np.ndarray:
        rows = [
            np.random.default_rng([self.seed, code + 1]).random(len(self.item_ids_), np.float32) for code in query.codes
        ]
        return np.stack(rows)
