"""Item kNN on implicit's kernel: cosine, TF-IDF or BM25 weights; cleaned of what the kernel lets through."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from implicit.utils import ParameterWarning

from recsys.data._dataset import Dataset
from recsys.data._history import HALF_LIVES
from recsys.linear._linear import LinearItemModel
from recsys.recommender._learner import bounded
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
    k: int = bounded(100, least=1)
    weighting: str = bounded("cosine", among=tuple(_KERNELS))
    k1: float = bounded(1.2, least=0)
    b: float = bounded(0.75, least=0, most=1)

    def _fit(self, data: Dataset) -> None:
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
