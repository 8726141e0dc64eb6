"""PureSVD: truncated singular value decomposition of the plain matrix (Cremonesi et al., RecSys 2010)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError
from scipy.sparse.linalg import svds

from recsys.data._dataset import Dataset
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query
from recsys.recommender._weighted import Weighted


@dataclass(kw_only=True, eq=False, repr=False)
class PureSVD(Weighted):
    """Score X V V' with V the right singular vectors of X.

    Args:
        factors: singular vectors kept; fewer if the data has fewer.
        weight, transform, dislikes, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.baselines.PureSVD(factors=2).fit(data)
        >>> [item for item, score in model.recommend_one("eve", k=1)]
        ['filter']
    """

    source: ClassVar[str] = "doi 10.1145/1864708.1864721"
    fitted: ClassVar[tuple[str, ...]] = ("item_factors_",)
    takes_dislikes: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {"factors": (8, 256, "log")}
    factors: int = bounded(64, least=1)

    def _fit(self, data: Dataset) -> None:
        X = self._rows(self.history_)
        if X.shape[0] < 2:
            raise InputError("users", got=X.shape[0], expected="two or more to decompose")
        size = min(self.factors, min(X.shape) - 1)
        Vt: Any = svds(X, size, v0=np.ones(min(X.shape), np.float32))[2]
        self.item_factors_ = np.ascontiguousarray(Vt.T, np.float32)

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows(query.history)
        return np.asarray(rows @ self.item_factors_), self.item_factors_
