"""What sells now: lists of any model that follow how items sell lately, relative to how many users they have in all."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._ids import IdMap
from recsys.data._time import DAY
from recsys.data._untyped import Csr
from recsys.neural._checkpoint import fit_key
from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded
from recsys.recommender._query import FALLBACK, Query
from recsys.recommender._registry import as_model, stored_class

TRENDS = {"trend": (0.0, 1.2), "damp": (0.0, 1.2), "recent": [4.0, 7.0, 15.0, 30.0]}  # that a search tries
_OF_THE_MODEL = (  # what a wrapper answers as the model inside does
    "user_ids_", "item_ids_", "names_", "history_", "popular_", "now_", "fallback_", "origin_", "key_",
    "knows_cold_items", "knows_cold_users", "zero_is_no_evidence", "chooses_candidates", "counts_repeats",
    "reads_values", "needs", "trains_together", "per_user", "seen_by", "check_extras", "_context_columns",
    "_contexts_in", "_item_vectors", "_user_vectors", "_similarities", "_origins", "_listed", "_featured_items",
    "_reads", "_reads_values", "_refuse_values", "_explain",
)  # fmt: skip


def item_scale(
    history: History, popular: np.ndarray, now: int | None, trend: float, damp: float, recent: float
) -> np.ndarray:
    """recent^trend / users^damp of each item, float32 (items,): of geometric mean 1 over the items with events, 1 for
    others.

    Args:
        history: events with times, unless `trend` is 0.
        popular: users of each item, (items,).
        now: the last moment, microseconds.
        trend, damp, recent: see `Trend`.
    """
    seen = popular > 0
    log = -damp * np.log(np.maximum(popular, 1.0))
    if trend:
        if history.time is None or now is None:
            raise InputError("trend", got="events without times", expected="a time column, or trend=0")
        age = (now - history.time) / DAY
        weight = np.where(age < 0, 0.0, np.exp2(-np.maximum(age, 0) / recent))
        count = np.bincount(history.item, weights=weight, minlength=history.n_items)
        log += trend * np.log(np.maximum(count, 1e-3))  # an item out of sale is held back, but not for ever
    return np.where(seen, np.exp(log - log[seen].mean()), 1.0).astype(np.float32)


class _Inner:
    """An attribute that is the inner model's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, wrapper: Any, kind: Any = None) -> Any:
        return getattr(Recommender if wrapper is None else wrapper.inner, self.name)

    def __set__(self, wrapper: Any, value: Any) -> None:
        setattr(wrapper.inner, self.name, value)


@dataclass(kw_only=True, eq=False, repr=False)
class Trend(Recommender):
    """Another model's lists, in which what sells now moves up: each score times recent^trend / users^damp of its item.

    A score below 0 is divided instead. Where scores are logits or ratings, whose differences count (sequence networks,
    factorisation machines, rating models), the logarithm is added. Explanations and likenesses are the model's.
    `predict` returns the scores by which lists rank: of a rating model no ratings.

    Args:
        model: a model, not fitted; or its name with settings, e.g. "ease(l2=300,half_life=240)".
        trend: exponent of an item's recent events; 0: they do not matter. Needs times.
        damp: exponent of an item's users, which the score of what always sold is held back by; 0: not at all.
        recent: days after which an event counts half among the recent ones.

    Examples:
        >>> import recsys

        >>> users = "ann ann bob bob cy dee dee".split()
        >>> items = "tea mug tea mug tea tea lamp".split()
        >>> days = [f"2026-03-{day:02}" for day in (1, 2, 2, 3, 4, 26, 27)]
        >>> data = recsys.Dataset.from_frame(
        ...     {"user": users, "item": items, "day": days}, user="user", item="item", time="day"
        ... )

        >>> plain = recsys.EASE(l2=1.0).fit(data)
        >>> rising = recsys.Trend(model=recsys.EASE(l2=1.0), trend=2.0, recent=3.0).fit(data)
        >>> [item for item, score in plain.recommend_one("cy", k=2)]
        ['mug', 'lamp']
        >>> [item for item, score in rising.recommend_one("cy", k=2)]
        ['lamp', 'mug']
    """

    fitted: ClassVar[tuple[str, ...]] = ("item_scale_",)
    model: Any = "ease"
    trend: float = bounded(0.5, least=0, below=np.inf)
    damp: float = bounded(0.5, least=0, below=np.inf)
    recent: float = bounded(7.0, above=0)

    def __post_init__(self) -> None:
        if isinstance(self.model, Mapping) and (kind := stored_class(str(self.model.get("class")))) is not None:
            self.model = kind(**self.model["params"])  # as a file holds it
        self.model = as_model(self.model)

    # --- parameters: those of the model inside are model__NAME ---

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """See `Recommender.get_params`; with `deep` also the inner model's, as "model__l2"."""
        own = super().get_params()
        return own | {f"model__{name}": one for name, one in self.model.get_params().items()} if deep else own

    def set_params(self, **params: Any) -> Self:
        """See `Recommender.set_params`; "model__l2" is the inner model's l2."""
        inner = {name: one for name, one in params.items() if name.startswith("model__")}
        super().set_params(**{name: one for name, one in params.items() if name not in inner})
        self.__post_init__()
        self.model.set_params(**{name.removeprefix("model__"): one for name, one in inner.items()})
        return self

    def clone(self) -> Self:
        """See `Recommender.clone`."""
        return type(self)(**super().get_params() | {"model": self.model.clone()})

    @property
    def space(self) -> dict[str, Any]:
        """What a search tries: the inner model's space, then the trend's."""
        inner = {name: one for name, one in getattr(self.model, "space", {}).items() if name not in TRENDS}
        return {f"model__{name}": one for name, one in inner.items()} | TRENDS

    # --- learning ---

    @property
    def inner(self) -> Recommender:
        """The fitted model, or that of the parameters before `fit`."""
        return self.__dict__["parts_"][0] if "parts_" in self.__dict__ else self.model

    def parts(self) -> list[Recommender]:
        """The models inside, not fitted: a file holds what they learned."""
        return [self.model.clone()]

    def fit(self, data: Dataset, *, checkpoint: str | Path | None = None) -> Self:
        """See `Recommender.fit`."""
        if self.trend and data.time is None:
            raise InputError("trend", got="events without times", expected="a time column, or trend=0")
        self.check_params()
        self.parts_ = [self.model.clone().fit(data, checkpoint=checkpoint)]
        self._follow()
        self._check_finite(self.fitted, "after fit")
        self.key_ = fit_key(repr(self), self.seen_by(data))
        return self

    def _history_of(self, events: Dataset) -> tuple[History, IdMap]:
        self._need_fit()
        return self.inner._history_of(events)

    def _folded(self, history: History, users: IdMap) -> Self:
        copied = copy.copy(self)  # the trend is that of the fit
        copied.parts_ = [self.inner._folded(history, users)]
        return copied

    def partial_fit(self, events: Dataset, *, items: bool = False) -> Self:
        """See `Recommender.partial_fit`; the trend follows the events. `items`: see `IALS.partial_fit`."""
        self._need_fit()
        inner: Any = self.inner
        if items and not hasattr(inner, "_grow"):
            raise InputError("items", got=repr(inner), expected="IALS, whose items learn in partial_fit")
        inner.partial_fit(events, items=True) if items else inner.partial_fit(events)
        self._follow()
        return self

    def add_items(self, items: Any) -> Self:
        """See `add_items` of the inner model, if it has one; a new item has no trend."""
        self._need_fit()
        inner: Any = self.inner
        if not hasattr(inner, "add_items"):
            raise InputError("Trend.add_items", got=repr(inner), expected="a model of item features")
        inner.add_items(items)
        new = len(self.item_ids_) - len(self.item_scale_)
        self.item_scale_ = np.append(self.item_scale_, np.ones(new, np.float32))
        return self

    def _follow(self) -> None:
        settings = self.trend, self.damp, self.recent
        self.item_scale_ = item_scale(self.history_, self.popular_, self.now_, *settings)

    # --- answers ---

    def _scale(self) -> np.ndarray | None:
        return None if self.inner.differences_count else self.item_scale_

    def _product(self, query: Query) -> tuple[Csr, Csr] | None:
        return None if self.inner.differences_count else self.inner._product(query)

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray] | None:
        found = self.inner._factors(query)
        if found is None or not self.inner.differences_count:
            return found
        ones, log = np.ones((len(query), 1), np.float32), np.log(self.item_scale_)[:, None]
        return np.hstack([found[0], ones]), np.hstack([found[1], log])

    def _score(self, query: Query) -> np.ndarray:
        scores = self.inner._score(query)
        return scores + np.log(self.item_scale_) if self.inner.differences_count else scores

    def _predict(self, user: np.ndarray, item: np.ndarray, context: Any, block: int) -> tuple[np.ndarray, np.ndarray]:
        if self.inner.differences_count and not self._context_columns():  # a rating model's own are clipped
            return super()._predict(user, item, context, block)
        score, origin = self.inner._predict(user, item, context, block)
        scale = np.where((item >= 0) & (origin != FALLBACK), self.item_scale_[item], np.float32(1))
        if self.inner.differences_count:
            return score + np.log(scale), origin
        return np.where(score > 0, score * scale, score / scale), origin


for _name in _OF_THE_MODEL:
    setattr(Trend, _name, _Inner(_name))
