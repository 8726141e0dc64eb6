"""Baselines without taste: what sells, what sells now, what this user buys again, and chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._time import DAY
from recsys.recommender._base import Recommender
from recsys.recommender._query import Query


@dataclass(kw_only=True, eq=False, repr=False)
class Popular(Recommender):
    """Distinct users of each item."""

    name: ClassVar[str] = "popular"

    def _fit(self, data: Dataset) -> None:
        pass  # the base counts users of each item: it falls back on them

    def _score(self, query: Query) -> np.ndarray:
        return np.tile(self.popular_, (len(query), 1))


@dataclass(kw_only=True, eq=False, repr=False)
class RecentPopular(Recommender):
    """Events of each item in the last days before the end of training, older ones halved every `half_life` days.

    Args:
        days: how far back events count.
        half_life: days after which an event counts half; None: all count alike.
    """

    name: ClassVar[str] = "recent-popular"
    fitted: ClassVar[tuple[str, ...]] = ("recent_",)
    days: float = 31.0
    half_life: float | None = None

    def _fit(self, data: Dataset) -> None:
        if data.time is None:
            raise InputError("RecentPopular", got="events without times", expected="a time column")
        if self.days <= 0:
            raise InputError("days", got=self.days, expected="a positive number of days")
        age = (data.time.max() - data.time) / DAY
        weight = np.where(age < self.days, 1.0 if self.half_life is None else np.exp2(-age / self.half_life), 0.0)
        self.recent_ = np.bincount(data.item, weights=weight, minlength=data.n_items).astype(np.float32)

    def _score(self, query: Query) -> np.ndarray:
        return np.tile(self.recent_, (len(query), 1))


@dataclass(kw_only=True, eq=False, repr=False)
class Repeat(Recommender):
    """How often the user had an item, popularity as the tie-break: for tasks in which seen items count."""

    name: ClassVar[str] = "repeat"
    counts_repeats: ClassVar[bool] = True

    def _fit(self, data: Dataset) -> None:
        pass

    def _score(self, query: Query) -> np.ndarray:
        share = self.popular_ / (self.popular_.max() + 1)  # below 1: it never outweighs one more event
        return (query.history.matrix(counts=True).toarray() + share).astype(np.float32)


@dataclass(kw_only=True, eq=False, repr=False)
class RandomItems(Recommender):
    """Chance: scores drawn anew for each user, the same for the same seed, user and order of items."""

    name: ClassVar[str] = "random"
    seed: int = 0

    def _fit(self, data: Dataset) -> None:
        pass

    def _score(self, query: Query) -> np.ndarray:
        rows = [
            np.random.default_rng([self.seed, code + 1]).random(len(self.item_ids_), np.float32) for code in query.codes
        ]
        return np.stack(rows)
