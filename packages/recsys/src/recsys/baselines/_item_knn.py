"""Item kNN on implicit's kernel: cosine, TF-IDF or BM25 weights; cleaned of what the kernel lets through."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from implicit.utils import ParameterWarning
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import HALF_LIVES
from recsys.linear._linear import LinearItemModel
from recsys.recommender._rows import threads

_KERNELS = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}


@dataclass(kw_only=True, eq=False, repr=False)
class ItemKNN(LinearItemModel):
    """s_ij = G_ij / sqrt(G_ii G_jj); score of a candidate j: the sum of s_ij over the user's items i among j's best k.

    Args:
        k: neighbours of each candidate, itself not counted.
        weighting: of the matrix before the cosine: "cosine" (none), "tfidf" or "bm25".
        k1, b: of BM25: how soon repeats saturate, how much long histories are held back.
        weight, transform, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.ItemKNN(k=10).fit(data)
        >>> [(item, round(score, 2)) for item, score in model.recommend_one("bob", k=2)]
        [('mug', 1.32)]

        >>> model.similar_items(["tea"], k=2).column("similar").to_pylist()
        ['pot', 'mug']
    """

    source: ClassVar[str] = "implicit"
    space: ClassVar[dict[str, Any]] = {
        "k": (10, 500, "log"),
        "weighting": ["cosine", "tfidf", "bm25"],
        "k1": (0.5, 50.0, "log"),
        "b": (0.05, 0.95),
        "half_life": HALF_LIVES,
    }
    zero_is_no_evidence: ClassVar[bool] = True
    k: int = 100
    weighting: str = "cosine"
    k1: float = 1.2
    b: float = 0.75

    def _fit(self, data: Dataset) -> None:
        if self.weighting not in _KERNELS:
            raise InputError("weighting", got=repr(self.weighting), expected=f"one of {sorted(_KERNELS)}")
        if self.k < 1 or self.k1 < 0 or not 0 <= self.b <= 1:
            raise InputError("k, k1, b", got=repr(self), expected="at least 1 neighbour, k1 of 0 or more, b in 0..1")
        X = self._rows(self.history_)
        settings: dict[str, Any] = {"K": min(self.k + 1, X.shape[1]), "num_threads": threads()}  # an item is its own
        if self.weighting == "bm25":
            settings |= {"K1": self.k1, "B": self.b}
        kernel = _KERNELS[self.weighting](**settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ParameterWarning)  # its own weighting hands it a COO matrix
            kernel.fit(X, show_progress=False)
        weights = kernel.similarity.astype("float32").T.tocsr()  # a row of the kernel's holds its item's neighbours
        weights.setdiag(0)
        weights.eliminate_zeros()
        self.weights_ = weights
