"""What sells now: scores scaled by how items do of late, beside how many users they have in all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from recsys.data._time import DAY
from recsys.recommender._base import Recommender

TRENDS = {"trend": (0.0, 1.2), "damp": (0.0, 1.2), "recent": [4.0, 7.0, 15.0, 30.0]}  # that a search tries


@dataclass(kw_only=True, eq=False, repr=False)
class Trending(Recommender):
    """Base of models whose scores can follow a trend: each item's is multiplied by recent^trend / users^damp.

    A score below 0 is divided instead, so that what sells now moves up whatever its sign.

    Args:
        trend: exponent of an item's recent events; 0: they do not matter. Needs times.
        damp: exponent of an item's users, which the score of what always sold is held back by; 0: not at all.
        recent: days after which an event counts half among the recent ones.
    """

    trend: float = 0.0
    damp: float = 0.0
    recent: float = 7.0

    def _scale(self) -> np.ndarray | None:
        return self.item_scale_ if (self.trend or self.damp) and hasattr(self, "item_scale_") else None

    def _begin(self) -> None:
        super()._begin()
        scale = self._item_scale()
        self.__dict__.pop("item_scale_", None)
        if self.trend or self.damp:
            self.item_scale_ = scale

    def _item_scale(self) -> np.ndarray:
        """The factor of each item, float32 (items,), of geometric mean 1 over the items with events, 1 for others."""
        if not (0 <= self.trend < np.inf and 0 <= self.damp < np.inf and self.recent > 0):
            got = (self.trend, self.damp, self.recent)
            raise InputError("trend, damp, recent", got=got, expected="exponents of 0 or more, a number of days")
        seen = self.popular_ > 0
        log = -self.damp * np.log(np.maximum(self.popular_, 1.0))
        if self.trend:
            history = self.history_
            if history.time is None or self.now_ is None:
                raise InputError("trend", got="events without times", expected="a time column, or trend=0")
            age = (self.now_ - history.time) / DAY
            weight = np.where(age < 0, 0.0, np.exp2(-np.maximum(age, 0) / self.recent))
            count = np.bincount(history.item, weights=weight, minlength=history.n_items)
            log += self.trend * np.log(np.maximum(count, 1e-3))  # an item out of sale is held back, but not for ever
        return np.where(seen, np.exp(log - log[seen].mean()), 1.0).astype(np.float32)
