"""Damped means: what a rating owes to its user and its item alone (Koren 2010, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query
from recsys.recommender._rating import RatingModel, at


@dataclass(kw_only=True, eq=False, repr=False)
class Bias(RatingModel):
    """b_ui = mu + b_u + b_i, which a rating model must beat: b_i = sum(r - mu) / (damping_item + |U_i|), b_u likewise.

    Args:
        damping_item, damping_user: how many ratings of no deviation are added to each.

    Examples:
        >>> import recsys

        >>> stars = {
        ...     "user": ["ann", "ann", "ann", "bob", "bob", "bob", "cy", "cy", "dee", "dee"],
        ...     "item": ["Alien", "Dune", "Emma", "Alien", "Dune", "Emma", "Dune", "Solaris", "Emma", "Dune"],
        ...     "stars": [5.0, 5.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 1.0],
        ... }
        >>> data = recsys.Dataset.from_frame(stars, user="user", item="item", value="stars")

        >>> model = recsys.Bias(damping_item=1.0, damping_user=1.0).fit(data)
        >>> scores = model.predict({"user": ["cy", "bob"], "item": ["Alien", "Solaris"]}).column("score")
        >>> [round(one, 2) for one in scores.to_pylist()]
        [3.98, 3.73]
    """

    source: ClassVar[str] = "doi 10.1145/1644873.1644874"
    fitted: ClassVar[tuple[str, ...]] = (*RatingModel.fitted, "mean_", "item_bias_", "user_bias_")
    shapes: ClassVar[dict[str, str]] = RatingModel.shapes | {"mean_": "1"}
    per_user: ClassVar[tuple[str, ...]] = ("user_bias_",)
    space: ClassVar[dict[str, Any]] = {"damping_item": (1.0, 50.0, "log"), "damping_user": (1.0, 50.0, "log")}
    damping_item: float = bounded(10.0, least=0)
    damping_user: float = bounded(15.0, least=0)

    def _learn(self, data: Dataset, value: np.ndarray) -> None:
        self.mean_ = np.array([value.mean()])
        total = np.bincount(data.item, value - self.mean_, data.n_items)
        self.item_bias_ = total / np.maximum(self.damping_item + np.bincount(data.item, minlength=data.n_items), 1e-9)
        self.user_bias_ = self._user_bias(self.history_)

    def _user_bias(self, history: History) -> np.ndarray:
        rest = self._values(history) - self.mean_ - self.item_bias_[history.item]
        total = np.bincount(history.rows(), rest, len(history))
        return total / np.maximum(self.damping_user + history.counts, 1e-9)

    def _fold(self, history: History) -> dict[str, np.ndarray]:
        return {"user_bias_": self._user_bias(history)}

    def _values(self, history: History) -> np.ndarray:
        if history.value is None:
            raise InputError("events", got="no values", expected="the value column (ratings) of the fit")
        return history.value.astype(np.float64)

    def _baseline(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """b_ui of pairs of codes, float64 (n,); an unknown side adds nothing."""
        return self.mean_ + at(self.user_bias_, user) + at(self.item_bias_, item)

    def _rate(self, user: np.ndarray, item: np.ndarray, context: pa.Table) -> np.ndarray:  # noqa: ARG002
        return self._baseline(user, item)

    def _score(self, query: Query) -> np.ndarray:
        level = self.mean_ + at(self.user_bias_, query.codes)
        return (level[:, None] + self.item_bias_).astype(np.float32)
