"""GF-CF: a low-pass filter of the graph of items in closed form (Shen et al., CIKM 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from scipy.sparse.linalg import svds

from recsys.data._dataset import Dataset
from recsys.linear._linear import LinearItemModel, gram, refuse_if_too_large


@dataclass(kw_only=True, eq=False, repr=False)
class GFCF(LinearItemModel):
    """score = x_u (R'R + alpha D_i^-1/2 V V' D_i^1/2), R = D_u^-1/2 X D_i^-1/2, V its first right singular vectors.

    Args:
        factors: vectors of the ideal low-pass filter; fewer if the data has fewer.
        alpha: its weight beside the linear filter.
        memory: GiB allowed for the item-by-item table.
        weight, transform, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.GFCF(factors=2).fit(data)
        >>> [item for item, score in model.recommend_one("eve", k=1)]
        ['filter']
    """

    source: ClassVar[str] = "arXiv 2108.07567"
    space: ClassVar[dict[str, Any]] = {"factors": [32, 64, 128, 256], "alpha": (0.01, 3.0, "log")}
    factors: int = 256
    alpha: float = 0.3
    memory: float = 12.0

    def _fit(self, data: Dataset) -> None:
        if self.factors < 1 or self.alpha < 0:
            raise InputError("factors, alpha", got=repr(self), expected="a positive number, a weight of 0 or more")
        refuse_if_too_large("GFCF", data.n_items, 2, self.memory, "LightGCN or ELSA")
        X = self._rows(self.history_)
        if X.shape[0] < 2:
            raise InputError("users", got=X.shape[0], expected="two or more to decompose")
        of_user, of_item = (np.maximum(np.asarray(X.sum(axis=axis)).ravel(), 1e-12) for axis in (1, 0))
        R = sp.csr_matrix(sp.diags(of_user**-0.5) @ X @ sp.diags(of_item**-0.5), dtype=np.float32)
        size = min(self.factors, min(R.get_shape()) - 1)
        start = np.random.default_rng(0).standard_normal(min(R.get_shape()))
        Vt: Any = svds(R.astype(np.float64), size, v0=start)[2]
        V = Vt.T
        low = (V * of_item[:, None] ** -0.5) @ (V * of_item[:, None] ** 0.5).T
        self.weights_ = np.ascontiguousarray(gram(R) + np.float32(self.alpha) * low.astype(np.float32))
