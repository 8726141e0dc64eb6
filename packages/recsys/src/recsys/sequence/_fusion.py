"""Several models' lists as one: a weighted sum of their ranks or scores, weights from validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query
from recsys.recommender._registry import split_outside
from recsys.sequence._parts import OfParts

_SMOOTH = 60.0  # of reciprocal ranks (Cormack et al. 2009)


@dataclass(kw_only=True, eq=False, repr=False)
class Fusion(OfParts):
    """Score of an item: sum over models of weight / (60 + its rank), or of weight times its share of the score's range.

    Args:
        models: with settings, e.g. "trend(model=ease(l2=300))+item-knn"; all must know the same items.
        weights: one for each, e.g. "1+0.5" (or "1,0.5", which a text of settings cannot hold).
        by: "rank" or "score".
        depth: ranks that count, and as many more as the user had items.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.Fusion(models="ease(l2=1)+item-knn", weights="1+0.5", by="rank").fit(data)
        >>> [(item, round(score, 3)) for item, score in model.recommend_one("bob", k=1)]
        [('mug', 0.024)]
    """

    source: ClassVar[str] = "doi 10.1145/1571941.1572114"
    zero_is_no_evidence: ClassVar[bool] = True
    models: str = "ease+item-knn"
    weights: str = "1+1"
    by: str = bounded("rank", among=("rank", "score"))
    depth: int = bounded(200, least=1)

    def _weights(self) -> list[float]:
        try:
            found = [float(one) for one in self.weights.replace(",", "+").split("+")]
        except ValueError:
            found = []
        if len(found) != len(split_outside(self.models, "+")) or not min(found, default=-1) >= 0 or not max(found) > 0:
            raise InputError("weights", got=repr(self.weights), expected="a number of 0 or more for each model")
        return found

    def _fit(self, data: Dataset) -> None:
        self._weights()
        self._fit_parts(data)

    def _score(self, query: Query) -> np.ndarray:
        total = np.zeros((len(query), len(self.item_ids_)), np.float32)
        reach = self.depth + np.diff(query.had.indptr)  # else what a user had would leave little room for the rest
        for part, weight in zip(self.parts_, self._weights(), strict=True):
            if weight and self.by == "rank":
                lists, _ = part._lists(query, int(reach.max(initial=1)), False, query.allowed, query.among)
                lists = lists.where(lists.rank <= reach[lists.row])
                total[lists.row, lists.item] += np.float32(weight) / (_SMOOTH + lists.rank)
            elif weight:
                scores = part._answers(query, part._origins(query))
                named = np.isfinite(scores)
                low = np.where(named, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
                span = np.where(named, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf) - low
                share = np.where(named, scores - low, 0) / np.where(np.isfinite(span) & (span > 0), span, 1)
                total += np.float32(weight) * np.where(named, share + np.float32(1e-6), 0).astype(np.float32)
        return total


def text_of(model: Recommender) -> str:
    """A model as `parse_model` reads it, e.g. "trend(model=ease(l2=300.0),trend=0.8)"."""
    defaults = type(model)().get_params(deep=False)
    settings = []
    for name, value in model.get_params(deep=False).items():
        if isinstance(value, Recommender):
            settings.append(f"{name}={text_of(value)}")
        elif value != defaults[name]:
            settings.append(f"{name}={str(value).lower() if isinstance(value, (bool, type(None))) else value}")
    return f"{model.name}({','.join(settings)})"
