"""ELSA, a low-rank linear autoencoder for large catalogues (Vancura et al., RecSys 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.recommender._query import Query
from recsys.recommender._weighted import Weighted

_BETAS, _EPSILON = (0.9, 0.999), 1e-8


@dataclass(kw_only=True, eq=False, repr=False)
class ELSA(Weighted):
    """Unit rows A; score X (A A' - I); squared loss between the L2-normalised rows of X and of the score (section 3).

    Memory is items x factors, not items x items as for EASE.

    Args:
        factors: columns of A.
        epochs, batch, learning_rate: of Adam.
        weight, transform, dislikes, half_life: see `Weighted`.
        seed: of start and order of users.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.ELSA(factors=4, epochs=100).fit(data)
        >>> [item for item, score in model.recommend_one("bob", k=1)]
        ['mug']
    """

    source: ClassVar[str] = "doi 10.1145/3523227.3551482"
    fitted: ClassVar[tuple[str, ...]] = ("item_factors_",)
    takes_dislikes: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {
        "factors": [64, 128, 256],
        "epochs": [5, 10, 20, 40],
        "learning_rate": (0.003, 0.1, "log"),
    }
    factors: int = 128
    epochs: int = 20
    batch: int = 512
    learning_rate: float = 0.03
    seed: int = 0

    def _fit(self, data: Dataset) -> None:
        if self.factors < 1 or self.epochs < 1 or self.batch < 1 or self.learning_rate <= 0:
            raise InputError("factors, epochs, batch, learning_rate", got=repr(self), expected="positive numbers")
        X = self._rows(self.history_)
        X = X[np.diff(X.indptr) > 0]
        draw = np.random.default_rng(self.seed)
        self.raw_ = draw.standard_normal((data.n_items, self.factors)).astype(np.float32)
        self.first_, self.second_ = np.zeros_like(self.raw_), np.zeros_like(self.raw_)
        steps = -(-X.shape[0] // self.batch)
        for epoch in self._epochs(self.epochs, ("raw_", "first_", "second_")):
            order = np.random.default_rng([self.seed, epoch]).permutation(X.shape[0])
            for step in range(steps):
                rows = X[order[step * self.batch : (step + 1) * self.batch]]
                _, gradient = elsa_loss(self.raw_, rows)
                self._adam(gradient, epoch * steps + step + 1)
        self.item_factors_ = _unit(self.raw_)
        del self.raw_, self.first_, self.second_

    def _adam(self, gradient: np.ndarray, step: int) -> None:
        self.first_ += (1 - _BETAS[0]) * (gradient - self.first_)
        self.second_ += (1 - _BETAS[1]) * (gradient * gradient - self.second_)
        mean, spread = self.first_ / (1 - _BETAS[0] ** step), self.second_ / (1 - _BETAS[1] ** step)
        self.raw_ -= np.float32(self.learning_rate) * mean / (np.sqrt(spread) + np.float32(_EPSILON))

    def _score(self, query: Query) -> np.ndarray:
        rows = self._rows(query.history)
        scores = np.asarray((rows @ self.item_factors_) @ self.item_factors_.T, np.float32)
        places = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices
        scores[places] -= rows.data
        return scores

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        row = self._rows(self.history_.take(np.array([user])))
        share = row.data * (self.item_factors_[row.indices] @ self.item_factors_[item])
        return row.indices, share - row.data * (row.indices == item)


def elsa_loss(V: np.ndarray, X: Csr) -> tuple[float, np.ndarray]:
    """Loss of a batch and its gradient in V.

    Args:
        V: A before its rows are normalised, (items, d).
        X: rows of users, CSR (batch, items), none empty.
    Returns: (mean over users of |norm(X (A A' - I)) - norm(X)|^2, gradient (items, d)).
    """
    lengths = np.linalg.norm(V, axis=1, keepdims=True)
    A = V / lengths
    places = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
    inner = np.asarray(X @ A)
    Y = inner @ A.T
    Y[places] -= X.data
    size = np.maximum(np.linalg.norm(Y, axis=1, keepdims=True), 1e-12)
    unit = Y / size
    target = X.data / np.repeat(np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel()), np.diff(X.indptr))
    unit[places] -= target  # now the difference of the two normalised rows
    loss = float((unit * unit).sum() / X.shape[0])
    slope = 2 * unit / X.shape[0]
    unit[places] += target
    slope = (slope - unit * (slope * unit).sum(axis=1, keepdims=True)) / size
    gradient = np.asarray(X.T @ (slope @ A)) + slope.T @ inner
    return loss, ((gradient - A * (gradient * A).sum(axis=1, keepdims=True)) / lengths).astype(V.dtype)


def _unit(V: np.ndarray) -> np.ndarray:
    return V / np.linalg.norm(V, axis=1, keepdims=True)
