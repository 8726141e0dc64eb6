"""iALS with frequency-scaled regularisation (Rendle et al., RecSys 2022), and iALS++ (Rendle et al. 2021).

Both minimise, over n users and m items, with y = w_u . h_i and S the observed pairs,

    sum_S (y - 1)^2 + a0 sum_all y^2 + reg [sum_u (|I_u| + a0 m)^nu |w_u|^2 + sum_i (|U_i| + a0 n)^nu |h_i|^2].

This is not what `implicit` calls ALS; see `recsys.baselines.ImplicitALS`.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp

from recsys.data._dataset import Dataset, need_dataset
from recsys.data._history import HALF_LIVES, History
from recsys.data._time import latest
from recsys.data._untyped import Csr
from recsys.recommender._learner import bounded
from recsys.recommender._rows import solve_rows
from recsys.recommender._weighted import Weighted, weights_and_targets

_PIECE = 1 << 16  # rows drawn at a time
_NOTHING = 1e-3  # a score that is none


@dataclass(kw_only=True, eq=False, repr=False)
class IALS(Weighted):
    """Alternating exact solves of each user's and item's row (equation 5 of the paper).

    Args:
        factors: dimension d.
        reg: lambda.
        a0: weight of all pairs, unobserved ones included. The penalty grows with a0 times the items: at a million of
            them 0.1 leaves nothing to learn (a warning says so), 0.0005 does.
        nu: exponent of the frequencies in the penalty; 1 in the paper, 0 is plain ridge.
        epochs: passes over users and items.
        weight, transform, dislikes, half_life: see `Weighted`. A weight c stands for
            c (y - 1)^2 instead of (y - 1)^2, and for c y^2 where it is that of a dislike.
        seed: of the start, normal with deviation 0.1 / sqrt(d).

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.IALS(factors=4, reg=0.1, epochs=10).fit(data)
        >>> [item for item, score in model.recommend_one("bob", k=1)]
        ['mug']

        A customer who came after the fit gets factors from one solve:

        >>> more = recsys.Dataset.from_frame({"user": ["gus"], "item": ["coffee"]}, user="user", item="item")
        >>> model.fold_in(more).recommend(["gus"], k=1).select(["item", "source"]).to_pylist()
        [{'item': 'mill', 'source': 'fold_in'}]
    """

    source: ClassVar[str] = "arXiv 2110.14037"
    fitted: ClassVar[tuple[str, ...]] = ("user_factors_", "item_factors_")
    per_user: ClassVar[tuple[str, ...]] = ("user_factors_",)
    takes_dislikes: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {
        "factors": [32, 64, 128],
        "reg": (0.0003, 0.01, "log"),
        "a0": (0.03, 3.0, "log"),
        "half_life": HALF_LIVES,
    }
    factors: int = bounded(128, least=1)
    reg: float = bounded(0.003, above=0)
    a0: float = bounded(0.1, least=0)
    nu: float = 1.0
    epochs: int = bounded(16, least=1)
    seed: int = 0

    def _fit(self, data: Dataset) -> None:  # noqa: ARG002
        X = self._rows(self.history_)
        columns = X.T.tocsr()
        self._start(X)
        for _ in self._epochs(self.epochs, ("user_factors_", "item_factors_")):
            self.user_factors_ = self.user_factors_[:0]  # what it was is not read: room for what it will be
            self.user_factors_ = self._solve(X, self.item_factors_)
            self.item_factors_ = self._solve(columns, self.user_factors_)
        self._warn_if_nothing(X)

    def _warn_if_nothing(self, X: Csr) -> None:
        """A penalty that outweighs the events leaves factors of about 0, whose lists are noise or popularity."""
        some = X[:_PIECE]
        user = np.repeat(np.arange(some.shape[0]), np.diff(some.indptr))[:_PIECE]
        item, weight = some.indices[:_PIECE], some.data[:_PIECE]
        scores = np.vecdot(self.user_factors_[user], self.item_factors_[item])[weight > 0]
        if scores.max(initial=-np.inf) < _NOTHING and len(scores):
            warnings.warn(
                f"{type(self).__name__} learned nothing: no event has a score of {_NOTHING} or more, 1 is wanted. "
                f"A user's penalty is reg times (events + a0 times items): with {X.shape[1]:,} items lower a0 or reg",
                UserWarning,
                stacklevel=4,
            )

    def _start(self, X: Csr) -> None:
        """Draw the first factors."""
        draw, scale = np.random.default_rng(self.seed), 0.1 / np.sqrt(self.factors)
        drawn = [np.empty((rows, self.factors), np.float32) for rows in X.get_shape()]
        for factors in drawn:  # in pieces, for the generator makes float64
            for start in range(0, len(factors), _PIECE):
                piece = factors[start : start + _PIECE]
                piece[:] = draw.standard_normal(piece.shape) * scale
        self.user_factors_, self.item_factors_ = drawn

    def _solve(self, X: Csr, H: np.ndarray) -> np.ndarray:
        """The rows' factors, float32 (rows, d), given those of the other side."""
        X, target = weights_and_targets(X)
        return solve_rows(X, H, self.a0 * (H.T @ H), self._ridge(X), target=target)

    def _ridge(self, X: Csr) -> np.ndarray:
        counts = np.diff(X.indptr).astype(np.float64)
        return (self.reg * (counts + self.a0 * X.shape[1]) ** self.nu).astype(np.float32)

    def _fold(self, history: History) -> dict[str, np.ndarray]:
        return {"user_factors_": self._solve(self._rows(history), self.item_factors_)}

    def partial_fit(self, events: Dataset, *, items: bool = False) -> Self:
        """See `Recommender.partial_fit`.

        Args:
            events: later ones.
            items: items learn, too, and new ones join: users and items of the events are solved anew, each from all of
                its events; all others stay as they are. It takes some hundredths of the time of `fit`.
        """
        if not items:
            return super().partial_fit(events)
        self._need_fit()
        need_dataset(events, "events")
        ready = copy.copy(self)  # events that are refused leave the model as it was
        ready._grow(events)
        history, users, touched = ready._merged(events)
        before = ready.user_factors_
        ready.user_ids_, ready.history_ = users, history
        ready.now_ = None if history.time is None else latest(history.time)
        X, added = ready._rows(history), np.unique(ready.item_ids_.codes(events.item_ids.values)[events.item])
        ready._count(X if self.transform != "bm25" else None)
        columns = sp.csr_matrix(X[:, added].T)
        ready.user_factors_ = np.zeros((len(users), self.factors), np.float32)
        ready.user_factors_[: len(before)] = before
        ready.item_factors_ = ready.item_factors_.copy()
        ready.item_factors_[added] = ready._solve(columns, ready.user_factors_)
        ready.user_factors_[touched] = ready._solve(X[touched], ready.item_factors_)
        ready._check_finite(("user_factors_", "item_factors_"), "after partial_fit")
        self.__dict__.update(vars(ready))
        return self

    def _grow(self, events: Dataset) -> None:
        """Room for the items of the events that are new."""
        self._refuse_values(events)
        both = self.item_ids_.extended(events.warm().item_ids.values)
        new = np.zeros(len(both) - len(self.item_ids_), np.float32)
        self.item_ids_, self.history_ = both, dataclasses.replace(self.history_, n_items=len(both))
        self.item_factors_ = np.vstack([self.item_factors_, np.zeros((len(new), self.factors), np.float32)])
        if self.transform == "bm25":
            self.bm25_ = np.concatenate([self.bm25_[:-1], new + self.bm25_[:-1].max(), self.bm25_[-1:]])

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        """y_ui = sum_j x_uj h_i' A^-1 h_j with A of the user's row solve (Hu et al. 2008, section 5)."""
        row = self._rows(self.history_.take(np.array([user])))
        H = self.item_factors_.astype(np.float64)
        h = H[row.indices]
        A = (h * np.abs(row.data)[:, None]).T @ h + self.a0 * (H.T @ H) + np.eye(len(H[0])) * self._ridge(row)
        return row.indices, np.maximum(row.data, 0) * (h @ np.linalg.solve(A, H[item]))
