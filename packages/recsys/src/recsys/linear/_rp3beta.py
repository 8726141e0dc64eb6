"""RP3beta, a three-step random walk with a popularity penalty (Paudel et al., TiiS 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.linear._linear import LinearItemModel
from recsys.recommender._learner import bounded
from recsys.recommender._topk import Filter, top_of_product


@dataclass(kw_only=True, eq=False, repr=False)
class RP3beta(LinearItemModel):
    """W = (D_i^-1 X')^alpha (D_u^-1 X)^alpha, column j divided by popularity_j^beta, its best k entries kept.

    Args:
        alpha: exponent of the step probabilities.
        beta: how much popular items are held back; 0 gives P3alpha.
        k: neighbours kept of each candidate: the items that speak for it.
        normalise: divide the rows that are left by their sums, so that each item of a user has as much to say.
        weight, transform, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.RP3beta(alpha=1.0, beta=0.5).fit(data)
        >>> [(item, round(score, 2)) for item, score in model.recommend_one("bob", k=3)]
        [('mug', 0.83)]
    """

    source: ClassVar[str] = "doi 10.1145/2955101"
    space: ClassVar[dict[str, Any]] = {
        "alpha": (0.3, 1.7), "beta": (0.0, 1.0), "k": (20, 800, "log"), "normalise": [True, False],
    }  # fmt: skip
    zero_is_no_evidence: ClassVar[bool] = True
    alpha: float = bounded(0.6, above=0)
    beta: float = 0.3
    k: int = bounded(100, least=1)
    normalise: bool = True

    def _fit(self, data: Dataset) -> None:  # noqa: ARG002
        X = self._rows(self.history_)
        to_item = _stochastic(X, self.alpha)
        to_user = _stochastic(X.T.tocsr(), self.alpha)
        held = 1.0 / np.maximum(np.asarray((X > 0).sum(axis=0)).ravel(), 1) ** self.beta
        itself = sp.identity(X.shape[1], format="csr")
        toward = top_of_product(to_item.T.tocsr(), to_user.T.tocsr(), self.k, Filter(hidden=itself))  # row: candidate
        weights = sp.csr_matrix(sp.diags(held) @ toward.matrix(X.shape[1])).T.tocsr()
        if self.normalise:
            total = np.asarray(weights.sum(axis=1)).ravel()
            weights = sp.csr_matrix(sp.diags(1 / np.where(total > 0, total, 1)) @ weights)
        self.weights_ = sp.csr_matrix(weights, dtype=np.float32)


def _stochastic(X: Csr, alpha: float) -> Csr:
    """Rows divided by their sums, entries to the power alpha."""
    total = np.asarray(X.sum(axis=1)).ravel()
    scaled = X.multiply(1.0 / np.maximum(total, np.finfo(np.float32).tiny)[:, None]).tocsr().astype(np.float32)
    scaled.data **= alpha
    return scaled
