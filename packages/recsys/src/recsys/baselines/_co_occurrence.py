"""Co-occurrence: what most users had who had the item that this user had last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.data._dataset import Dataset
from recsys.recommender._base import Recommender
from recsys.recommender._query import Query


@dataclass(kw_only=True, eq=False, repr=False)
class CoOccurrence(Recommender):
    """Users (or sessions) that hold both the item and the last event's item; the last item itself is not listed.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.baselines.CoOccurrence().fit(data)
        >>> model.recommend_one("bob", k=1)  # what was bought with the pot, bob's last purchase
        [('tea', 2.0)]
    """

    fitted: ClassVar[tuple[str, ...]] = ("together_",)
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | {"together_": "csr items items"}
    zero_is_no_evidence: ClassVar[bool] = True
    counts_repeats: ClassVar[bool] = True

    def _fit(self, data: Dataset) -> None:
        X = self.history_.matrix()
        self.together_ = (X.T @ X).tocsr()
        self.together_.setdiag(0)
        self.together_.eliminate_zeros()

    def _score(self, query: Query) -> np.ndarray:
        scores = np.zeros((len(query), len(self.item_ids_)), np.float32)
        some = query.history.counts > 0
        scores[some] = self.together_[query.history.item[query.history.indptr[1:][some] - 1]].toarray()
        return scores

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        return self.together_[codes].toarray()
