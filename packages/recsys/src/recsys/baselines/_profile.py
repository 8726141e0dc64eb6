"""Profile cosine: the mean of the vectors of a user's items against each item's vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recsys.content._cold import KnowsItems, stacked
from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.recommender._query import Query
from recsys.recommender._similar import unit_rows


@dataclass(kw_only=True, eq=False, repr=False)
class ContentProfile(KnowsItems):
    """Cosine of an item's features and the mean of those of the user's items.

    Examples:
        >>> import recsys

        >>> titles = {
        ...     "item": ["b1", "b2", "b3", "b4", "b5"],
        ...     "title": ["green tea", "black tea", "tea for two", "car repair", "engine repair"],
        ... }
        >>> events = {"user": ["ann", "bob", "bob", "cy", "cy"], "item": ["b1", "b1", "b2", "b4", "b4"]}
        >>> data = recsys.Dataset.from_frame(events, user="user", item="item", items=titles)

        >>> model = recsys.baselines.ContentProfile(columns="title").fit(data)
        >>> [item for item, score in model.recommend_one("ann", k=1)]
        ['b2']
    """

    fitted: ClassVar[tuple[str, ...]] = ("features_",)
    shapes: ClassVar[dict[str, str]] = KnowsItems.shapes | {"features_": "csr items f"}
    space: ClassVar[dict[str, Any]] = {"grams": [1, 2]}
    zero_is_no_evidence: ClassVar[bool] = True

    def _fit(self, data: Dataset) -> None:
        self.features_ = unit_rows(self._learn_features(data)).astype(np.float32)

    def _extend(self, features: Csr) -> None:
        self.features_ = stacked(self.features_, unit_rows(features).astype(np.float32))

    def _score(self, query: Query) -> np.ndarray:
        profile = unit_rows(query.history.matrix() @ self.features_)
        return (profile @ self.features_.T).toarray().astype(np.float32)

    def _item_vectors(self) -> Csr:
        return self.features_
