"""Content kNN: items like those the user had, by text, tags, numbers or an encoder's vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.content._cold import KnowsItems, stacked
from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.linear._linear import LinearItemModel
from recsys.recommender._learner import bounded
from recsys.recommender._similar import cosines, unit_rows
from recsys.recommender._topk import Filter, top_of_scores

_CELLS = 1 << 23


@dataclass(kw_only=True, eq=False, repr=False)
class ContentKNN(KnowsItems, LinearItemModel):
    """Each item's k nearest items with events, by cosine c; score = sum of c / (sum c + shrink) over the user's.

    Args:
        k: neighbours of an item.
        shrink: added to the sum of all its neighbours' cosines: an item with none near can score little.
        columns, grams, encoder: of the features, see `KnowsItems`.
        weight, transform, dislikes, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> titles = {
        ...     "item": ["b1", "b2", "b3", "b4", "b5"],
        ...     "title": ["green tea", "black tea", "tea for two", "car repair", "engine repair"],
        ... }
        >>> events = {"user": ["ann", "bob", "bob", "cy", "cy"], "item": ["b1", "b1", "b2", "b4", "b4"]}
        >>> data = recsys.Dataset.from_frame(events, user="user", item="item", items=titles)

        >>> model = recsys.ContentKNN(columns="title").fit(data)
        >>> model.add_items({"item": ["b9"], "title": ["green tea and black tea"]}).item_ids_.values.to_pylist()[-1]
        'b9'
        >>> model.recommend(["ann"], k=1, candidates=["b9", "b4"]).select(["item", "source"]).to_pylist()
        [{'item': 'b9', 'source': 'features'}]
    """

    source: ClassVar[str] = "ours; Lops et al. 2011"
    fitted: ClassVar[tuple[str, ...]] = ("weights_", "features_")
    space: ClassVar[dict[str, Any]] = {"k": (3, 100, "log"), "shrink": (0.1, 10.0, "log"), "grams": [1, 2]}
    zero_is_no_evidence: ClassVar[bool] = True
    k: int = bounded(10, least=1)
    shrink: float = bounded(1.0, least=0)
    grams: int = bounded(2, least=1)

    def _fit(self, data: Dataset) -> None:
        self.features_ = unit_rows(self._learn_features(data)).astype(np.float32)
        if not self.features_.nnz:
            got = "no word of two letters or more, and no number that differs"
            raise InputError("the table of items", got=got, expected="features to compare items by")
        self.weights_ = self._weights(0)

    def _weights(self, first: int) -> Csr:
        """Weights (items, items - first) towards the items from `first` on."""
        features = self.features_
        near = np.flatnonzero(self.popular_ > 0)
        sources, items = features[near].T.tocsc(), features.shape[0]
        block = max(1, _CELLS // len(near))
        parts = []
        for start in range(first, items, block):
            targets = np.arange(start, min(start + block, items))
            alike = (features[targets] @ sources).toarray()
            alike[targets[:, None] == near[None, :]] = 0
            parts.append(top_of_scores(alike, self.k, Filter(skips_zeros=True)).matrix(len(near)))
        best: Any = sp.vstack(parts, format="csr")
        total = np.asarray(best.sum(axis=1)).ravel() + self.shrink
        scale = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
        coo: Any = sp.coo_matrix(sp.diags(scale) @ best)
        shape = (items, items - first)
        return sp.csr_matrix((coo.data.astype(np.float32), (near[coo.col], coo.row)), shape=shape)

    def _extend(self, features: Csr) -> None:
        known = self.features_.shape[0]
        self.features_ = stacked(self.features_, unit_rows(features).astype(np.float32))
        old = self.weights_.copy()
        old.resize((self.features_.shape[0], known))
        self.weights_ = sp.csr_matrix(sp.hstack([old, self._weights(known)], format="csr"))

    def _item_vectors(self) -> Csr:
        return self.features_

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        return cosines(self.features_, codes)
