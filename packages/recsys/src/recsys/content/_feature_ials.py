"""iALS that knows features: an item's or user's vector is drawn to a linear map of its features, not to zero."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from scipy.linalg import cho_factor, cho_solve

from recsys.content._cold import KnowsItems, stacked
from recsys.content._features import Features
from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._untyped import Csr
from recsys.factors._ials import IALS
from recsys.linear._linear import refuse_if_too_large
from recsys.recommender._learner import bounded
from recsys.recommender._query import FALLBACK, FEATURES, Query
from recsys.recommender._rows import solve_rows
from recsys.recommender._weighted import weights_and_targets


@dataclass(kw_only=True, eq=False, repr=False)
class FeatureIALS(KnowsItems, IALS):
    """iALS with penalties lam_u |w_u - A f_u|^2 and lam_i |h_i - B g_i|^2 + feature_reg (|A|^2 + |B|^2).

    A and B are solved by ridge between the sweeps. An item or user without events gets the solve with an empty history:
    (a0 W'W + lam_i I) h = lam_i B g. With `feature_reg` growing it becomes iALS.

    Args:
        feature_reg: ridge of the maps.
        factors: of iALS. More than it would need for known items: what a new item gets is seen only through these.
        columns, grams, encoder: of the item table, see `KnowsItems`; the user table, if there is one, is used whole.
        reg, a0, nu, epochs, weight, transform, dislikes, half_life, seed: of iALS.

    Examples:
        >>> import recsys

        >>> titles = {
        ...     "item": ["b1", "b2", "b3", "b4", "b5"],
        ...     "title": ["green tea", "black tea", "tea for two", "car repair", "engine repair"],
        ... }
        >>> events = {"user": ["ann", "bob", "bob", "cy", "cy"], "item": ["b1", "b1", "b2", "b4", "b4"]}
        >>> data = recsys.Dataset.from_frame(events, user="user", item="item", items=titles)

        >>> model = recsys.FeatureIALS(columns="title", factors=4, epochs=4).fit(data)
        >>> model.recommend(["ann"], k=1, candidates=["b3", "b5"]).select(["item", "source"]).to_pylist()
        [{'item': 'b3', 'source': 'features'}]
    """

    source: ClassVar[str] = "arXiv 2110.14037; Agarwal and Chen 2009"
    fitted: ClassVar[tuple[str, ...]] = (
        "user_factors_", "item_factors_", "item_map_", "features_", "user_map_", "user_features_",
    )  # fmt: skip
    shapes: ClassVar[dict[str, str]] = IALS.shapes | {
        "item_map_": "f d", "user_map_": "g d", "features_": "csr items f", "user_features_": "csr users g",
    }  # fmt: skip
    vocabularies: ClassVar[tuple[str, ...]] = ("encoder_", "user_encoder_")
    knows_cold_users: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {
        **IALS.space,
        "factors": [64, 128, 256],
        "feature_reg": (0.01, 100.0, "log"),
        "grams": [1, 2],
    }
    feature_reg: float = bounded(1.0, above=0)
    factors: int = bounded(256, least=1)
    grams: int = bounded(2, least=1)

    def _fit(self, data: Dataset) -> None:
        self.features_ = self._learn_features(data)
        users = Features((), 1) if data.users is None else Features.learn(data.users, None, what="users")
        self.user_encoder_ = users.packed()
        self.user_features_ = self._features_of(data)
        X = self._rows(self.history_)
        columns = X.T.tocsr()
        self._start(X)
        self.item_map_ = np.zeros((self.features_.shape[1], self.factors), np.float32)
        self.user_map_ = np.zeros((self.user_features_.shape[1], self.factors), np.float32)
        of_users = _Ridge(self.user_features_, self._ridge(X), self.feature_reg)
        of_items = _Ridge(self.features_, self._ridge(columns), self.feature_reg)
        for _ in self._epochs(self.epochs, ("user_factors_", "item_factors_", "user_map_", "item_map_")):
            self.user_factors_ = self._drawn(X, self.item_factors_, self.user_features_ @ self.user_map_)
            self.user_map_ = of_users.solve(self.user_factors_)
            self.item_factors_ = self._drawn(columns, self.user_factors_, self.features_ @ self.item_map_)
            self.item_map_ = of_items.solve(self.item_factors_)
        self._warn_if_nothing(X)

    def _drawn(self, X: Csr, H: np.ndarray, towards: np.ndarray) -> np.ndarray:
        ridge = self._ridge(X)
        X, target = weights_and_targets(X)
        pull = (ridge[:, None] * towards).astype(np.float32)
        return solve_rows(X, H, self.a0 * (H.T @ H), ridge, target=target, pull=pull)

    # --- users and items without events ---

    def _features_of(self, data: Dataset) -> Csr:
        """Features of the users of a data set, (users, width); zeros where nothing is known."""
        encoder = Features.unpacked(self.user_encoder_)
        width = encoder.width
        if width == 0 or data.users is None:
            return sp.csr_matrix((data.n_users, width), dtype=np.float32)
        return encoder.matrix(data.users)

    def _fold(self, history: History) -> dict[str, np.ndarray]:
        features = self.user_features_
        if features.shape[0] != len(history):  # other users than those of the events: nothing is known of them
            features = sp.csr_matrix((len(history), features.shape[1]), dtype=np.float32)
        return {"user_factors_": self._drawn(self._rows(history), self.item_factors_, features @ self.user_map_)}

    def fold_in(self, events: Dataset) -> Self:
        """As for every model; users of its user table who have no event there are answered by their features."""
        self._need_fit()
        ready = copy.copy(self)
        ready.user_features_ = self._features_of(events)
        return super(FeatureIALS, ready).fold_in(events)

    def answering(self, history: History) -> Self:
        """As for every model; of these users no features are known."""
        ready = copy.copy(self)
        ready.user_features_ = sp.csr_matrix((len(history), self.user_features_.shape[1]), dtype=np.float32)
        return super(FeatureIALS, ready).answering(history)

    def partial_fit(self, events: Dataset, *, items: bool = False) -> Self:
        """As for every model; new users bring their features from the events' user table. New items join by
        `add_items`, not here: `items` is refused."""
        self._need_fit()
        if items:
            raise InputError("items", got="True", expected="add_items(frame) for new items, and fit for what is known")
        new = np.flatnonzero(self.user_ids_.codes(events.user_ids.values) < 0)
        ready = copy.copy(self)  # events that are refused leave the model as it was
        ready.user_features_ = stacked(self.user_features_, self._features_of(events)[new])
        self.__dict__.update(vars(super(FeatureIALS, ready).partial_fit(events)))
        return self

    def _extend(self, features: Csr) -> None:
        empty = sp.csr_matrix((features.shape[0], len(self.user_ids_)), dtype=np.float32)
        vectors = self._drawn(empty, self.user_factors_, features @ self.item_map_)
        self.item_factors_ = np.vstack([self.item_factors_, vectors])
        self.features_ = stacked(self.features_, features)

    def _origins(self, query: Query) -> np.ndarray:
        origin = super()._origins(query)
        described = np.append(np.diff(self.user_features_.indptr) > 0, False)[query.codes]  # the last: an unknown user
        return np.where((origin == FEATURES) & ~described, FALLBACK, origin).astype(np.int8)

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        if self.user_features_.shape[1]:
            raise InputError(
                "FeatureIALS.explain", got="users with features", expected="a model of items' features alone"
            )
        return super()._explain(user, item)


class _Ridge:
    """argmin over M of sum_r lam_r |w_r - M' f_r|^2 + reg |M|^2 for many W: factored once, over the smaller side."""

    def __init__(self, F: Csr, lam: np.ndarray, reg: float) -> None:
        rows, width = F.get_shape()
        self.F, self.lam, self.dual = F, lam[:, None], rows < width
        size = min(rows, width)
        refuse_if_too_large("FeatureIALS' ridge", size, 2, 8.0, "fewer columns or grams=1")
        if self.dual:
            A = (F @ F.T).toarray().astype(np.float64)
            A[np.arange(size), np.arange(size)] += reg / lam
        else:
            A = (F.T @ sp.diags(lam) @ F).toarray().astype(np.float64)
            A[np.arange(size), np.arange(size)] += reg
        self.factor = cho_factor(A, overwrite_a=True) if size else None

    def solve(self, W: np.ndarray) -> np.ndarray:
        """M, float32 (width, d), for W (rows, d)."""
        if self.factor is None:
            return np.zeros((self.F.shape[1], W.shape[1]), np.float32)
        if self.dual:
            return np.asarray(self.F.T @ cho_solve(self.factor, W), np.float32)
        return cho_solve(self.factor, self.F.T @ (self.lam * W)).astype(np.float32)
