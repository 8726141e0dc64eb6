"""implicit's ALS behind our interface, so that what its lists let through never reaches a user.

Known faults of implicit 0.7.3, each with a test here: seen items come back at -3.4e38 when too few others remain, item
0 is repeated when more are asked for than there are, a user without events gets arbitrary items at score 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from recsys.data._dataset import Dataset
from recsys.data._history import HALF_LIVES, History
from recsys.recommender._learner import bounded
from recsys.recommender._rows import solve_rows, threads
from recsys.recommender._weighted import Weighted, weights_and_targets


@dataclass(kw_only=True, eq=False, repr=False)
class ImplicitALS(Weighted):
    """implicit's ALS (Hu et al. 2008): target 1 with confidence alpha on events, 1 elsewhere; plain ridge.

    Beware: on binary data alpha = 1 weighs seen and unseen alike.

    Args:
        factors, reg, alpha, epochs: its factors, regularization, alpha, iterations.
        cg: conjugate gradients instead of exact solves.
        weight, transform, dislikes, half_life: see `Weighted`.
        seed: of the start.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.baselines.ImplicitALS(factors=4, reg=0.1).fit(data)
        >>> [item for item, score in model.recommend_one("bob", k=1)]
        ['mug']
    """

    source: ClassVar[str] = "implicit"
    fitted: ClassVar[tuple[str, ...]] = ("user_factors_", "item_factors_")
    per_user: ClassVar[tuple[str, ...]] = ("user_factors_",)
    takes_dislikes: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {
        "factors": [64, 128, 256],
        "reg": (0.1, 300.0, "log"),
        "alpha": (1.5, 50.0, "log"),
        "half_life": HALF_LIVES,
    }
    factors: int = bounded(128, least=1)
    reg: float = bounded(1.0, least=0)
    alpha: float = bounded(10.0, above=0)
    epochs: int = bounded(16, least=1)
    cg: bool = True
    seed: int = 0

    def _fit(self, data: Dataset) -> None:
        with threadpool_limits(1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=self.factors, regularization=self.reg, alpha=self.alpha, iterations=self.epochs,
                use_cg=self.cg, random_state=self.seed, num_threads=threads(),
            )  # fmt: skip
            model.fit(self._rows(self.history_), show_progress=False)
        self.user_factors_, self.item_factors_ = np.asarray(model.user_factors), np.asarray(model.item_factors)

    def _fold(self, history: History) -> dict[str, np.ndarray]:
        X, target = weights_and_targets(self._rows(history))
        target = self.alpha * (X.data if target is None else target)
        X = X.copy()
        X.data = self.alpha * X.data - 1
        H = self.item_factors_
        ridge = np.full(X.shape[0], self.reg, np.float32)
        return {"user_factors_": solve_rows(X, H, H.T @ H, ridge, target=target)}

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        """y_ui = sum_j c_uj h_i' A^-1 h_j, A = H'H + sum_j (c_uj - 1) h_j h_j' + reg I (Hu et al. 2008, section 5)."""
        row = self._rows(self.history_.take(np.array([user])))
        H = self.item_factors_.astype(np.float64)
        h, confidence = H[row.indices], self.alpha * np.abs(row.data)
        A = H.T @ H + (h * (confidence - 1)[:, None]).T @ h + self.reg * np.eye(len(H[0]))
        return row.indices, confidence * (row.data > 0) * (h @ np.linalg.solve(A, H[item]))
