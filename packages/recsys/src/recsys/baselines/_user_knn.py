"""User kNN: what the users most like this one had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.recommender._learner import bounded
from recsys.recommender._query import MODEL, Query
from recsys.recommender._similar import unit_rows
from recsys.recommender._topk import Filter, top_of_product
from recsys.recommender._weighted import Weighted


@dataclass(kw_only=True, eq=False, repr=False)
class UserKNN(Weighted):
    """Cosine between users' rows, the best k neighbours kept; score: sum of the similarities of those who had the item.

    Args:
        k: neighbours of each user, himself not counted.
        weight, transform, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.baselines.UserKNN(k=2).fit(data)
        >>> [(item, round(score, 2)) for item, score in model.recommend_one("bob", k=1)]
        [('mug', 1.32)]
    """

    fitted: ClassVar[tuple[str, ...]] = ("neighbours_",)
    shapes: ClassVar[dict[str, str]] = Weighted.shapes | {"neighbours_": "csr n items"}
    space: ClassVar[dict[str, Any]] = {"k": (10, 20_000, "log")}
    zero_is_no_evidence: ClassVar[bool] = True
    k: int = bounded(100, least=1)

    def _fit(self, data: Dataset) -> None:
        self.neighbours_ = self._rows(self.history_)
        self._by_item = None

    def _product(self, query: Query) -> tuple[Csr, Csr]:
        himself = None
        if self.origin_ == MODEL:  # a fitted user is not his own neighbour; a folded-in one was never among them
            users = self.neighbours_.shape[0]
            own = np.flatnonzero((query.codes >= 0) & (query.codes < users))
            ones = np.ones(len(own), np.float32)
            himself = sp.csr_matrix((ones, (own, query.codes[own])), shape=(len(query), users))
        if getattr(self, "_by_item", None) is None:
            self._by_item = unit_rows(self.neighbours_).T.tocsr()
        nearest = top_of_product(unit_rows(self._rows(query.history)), self._by_item, self.k, Filter(hidden=himself))
        return nearest.matrix(self.neighbours_.shape[0]), self.neighbours_

    def _item_vectors(self) -> Csr:
        return self.neighbours_.T.tocsr()
