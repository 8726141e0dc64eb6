"""Biased matrix factorisation and SVD++ (Koren 2008), by SGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import History, shares
from recsys.data._untyped import Csr, compiled
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query
from recsys.recommender._rating import RatingModel, at
from recsys.recommender._rows import solve_rows

_NOBODY = np.zeros(0)
_STATE = ("user_bias_", "item_bias_", "user_factors_", "item_factors_")


@dataclass(kw_only=True, eq=False, repr=False)
class BiasedMF(RatingModel):
    """r = mu + b_u + b_i + p_u . q_i, least squares with L2.

    Args:
        factors: dimension.
        epochs: passes over the ratings.
        learning_rate: of SGD.
        reg: L2 of each step.
        seed: of the start, normal with deviation 0.1, and of the order.

    Examples:
        >>> import recsys

        >>> stars = {
        ...     "user": ["ann", "ann", "ann", "bob", "bob", "bob", "cy", "cy", "dee", "dee"],
        ...     "item": ["Alien", "Dune", "Emma", "Alien", "Dune", "Emma", "Dune", "Solaris", "Emma", "Dune"],
        ...     "stars": [5.0, 5.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 1.0],
        ... }
        >>> data = recsys.Dataset.from_frame(stars, user="user", item="item", value="stars")

        >>> model = recsys.BiasedMF(factors=2, epochs=400, learning_rate=0.02).fit(data)
        >>> scores = model.predict({"user": ["bob", "bob"], "item": ["Alien", "Emma"]}).column("score")
        >>> [round(one) for one in scores.to_pylist()]  # bob gave 1 and 5 stars
        [1, 5]
    """

    source: ClassVar[str] = "doi 10.1145/1401890.1401944"
    fitted: ClassVar[tuple[str, ...]] = (*RatingModel.fitted, "mean_", *_STATE)
    shapes: ClassVar[dict[str, str]] = RatingModel.shapes | {"mean_": "1", "implicit_factors_": "items d"}
    per_user: ClassVar[tuple[str, ...]] = ("user_bias_", "user_factors_")
    space: ClassVar[dict[str, Any]] = {
        "factors": [20, 50, 100],
        "learning_rate": (0.002, 0.02, "log"),
        "reg": (0.01, 0.2, "log"),
    }
    factors: int = bounded(100, least=1)
    epochs: int = bounded(20, least=1)
    learning_rate: float = bounded(0.005, above=0)
    reg: float = bounded(0.02, above=0)
    seed: int = 0

    def _learn(self, data: Dataset, value: np.ndarray) -> None:
        draw = np.random.default_rng(self.seed)
        self.mean_ = np.array([value.mean()])
        self.user_bias_, self.item_bias_ = np.zeros(data.n_users), np.zeros(data.n_items)
        self.user_factors_ = 0.1 * draw.standard_normal((data.n_users, self.factors))
        self.item_factors_ = 0.1 * draw.standard_normal((data.n_items, self.factors))
        self._prepare(data)
        rest = value - self.mean_
        for epoch in self._epochs(self.epochs, self._state()):
            self._pass(data, rest, np.random.default_rng([self.seed, epoch]).permutation(len(data)))
        self._finish()

    def _state(self) -> tuple[str, ...]:
        return _STATE

    def _prepare(self, data: Dataset) -> None:
        """Start what a derived model adds."""

    def _finish(self) -> None:
        """Make of the last epoch's state what answers need."""

    def _pass(self, data: Dataset, rest: np.ndarray, events: np.ndarray) -> None:
        """One epoch of SGD: b += lr (e - reg b), p += lr (e q - reg p), q += lr (e p - reg q)."""
        state = self.user_bias_, self.item_bias_, self.user_factors_, self.item_factors_
        nothing = np.zeros((0, self.factors))
        sgd_steps(events, data.user, data.item, rest, self.learning_rate, self.reg, *state, nothing, nothing, _NOBODY)

    def _fold(self, history: History) -> dict[str, np.ndarray]:
        """Bias and factors of new users by ridge against the items', the implicit part held fixed."""
        if history.value is None:
            raise InputError("events", got="no values", expected="the value column (ratings) of the fit")
        implicit = self._implicit(history)
        target = history.value - self.mean_ - self.item_bias_[history.item]
        if implicit is not None:
            target -= np.einsum("nd,nd->n", implicit[history.rows()], self.item_factors_[history.item])
        ones = np.ones(len(history.item), np.float32)
        X: Csr = sp.csr_matrix((ones, history.item, history.indptr), shape=(len(history), history.n_items))
        H = np.hstack([np.ones((X.shape[1], 1)), self.item_factors_]).astype(np.float32)  # the bias is one factor more
        nothing, ridge = np.zeros((H.shape[1], H.shape[1]), np.float32), np.maximum(self.reg * history.counts, 1e-3)
        W = solve_rows(X, H, nothing, ridge.astype(np.float32), target=target).astype(np.float64)
        return {"user_bias_": W[:, 0], "user_factors_": W[:, 1:] if implicit is None else W[:, 1:] + implicit}

    def _implicit(self, history: History) -> np.ndarray | None:  # noqa: ARG002
        """What a user's set of items adds to the user's factors, (users, d), or None."""
        return None

    def _rate(self, user: np.ndarray, item: np.ndarray, context: pa.Table) -> np.ndarray:  # noqa: ARG002
        product = np.einsum("nd,nd->n", at(self.user_factors_, user), at(self.item_factors_, item))
        return self.mean_ + at(self.user_bias_, user) + at(self.item_bias_, item) + product

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray]:
        level = (self.mean_ + at(self.user_bias_, query.codes))[:, None]
        users = np.hstack([at(self.user_factors_, query.codes), np.ones_like(level), level])
        items = np.hstack([self.item_factors_, self.item_bias_[:, None], np.ones((len(self.item_bias_), 1))])
        return users.astype(np.float32), items.astype(np.float32)


@dataclass(kw_only=True, eq=False, repr=False)
class SVDpp(BiasedMF):
    """r = mu + b_u + b_i + q_i . (p_u + |I_u|^-1/2 sum of y_j over the user's items j); `user_factors_` holds the sum.

    A rating moves its user's sum of y at once; what it means for other users reaches them `exchanges` times an epoch.

    Args:
        exchanges: how often in an epoch the sums are made anew from y.

    Examples:
        >>> import recsys

        >>> stars = {
        ...     "user": ["ann", "ann", "ann", "bob", "bob", "bob", "cy", "cy", "dee", "dee"],
        ...     "item": ["Alien", "Dune", "Emma", "Alien", "Dune", "Emma", "Dune", "Solaris", "Emma", "Dune"],
        ...     "stars": [5.0, 5.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 1.0],
        ... }
        >>> data = recsys.Dataset.from_frame(stars, user="user", item="item", value="stars")

        >>> model = recsys.SVDpp(factors=2, epochs=400, learning_rate=0.02).fit(data)
        >>> scores = model.predict({"user": ["bob", "bob"], "item": ["Alien", "Emma"]}).column("score")
        >>> [round(one) for one in scores.to_pylist()]  # bob gave 1 and 5 stars
        [1, 5]
    """

    fitted: ClassVar[tuple[str, ...]] = (*BiasedMF.fitted, "implicit_factors_")
    factors: int = bounded(20, least=1)
    learning_rate: float = bounded(0.007, above=0)
    exchanges: int = bounded(20, least=1)

    def _prepare(self, data: Dataset) -> None:
        draw = np.random.default_rng([self.seed, 1])
        self.implicit_factors_ = 0.1 * draw.standard_normal((data.n_items, self.factors))
        self.own_ = self.user_factors_
        self._sets = _sets(self.history_)

    def _finish(self) -> None:
        self.user_factors_ = self.own_ + self._sets @ self.implicit_factors_

    def _state(self) -> tuple[str, ...]:
        return ("user_bias_", "item_bias_", "own_", "item_factors_", "implicit_factors_")

    def _pass(self, data: Dataset, rest: np.ndarray, events: np.ndarray) -> None:
        """One epoch: as MF, and y_j += lr (e |I_u|^-1/2 q_i - reg y_j) for each j of the user's set."""
        keep = 1 - self.learning_rate * self.reg
        state = self.user_bias_, self.item_bias_, self.own_, self.item_factors_
        for part in np.array_split(events, self.exchanges):
            sums = self._sets @ self.implicit_factors_
            pulled, touched = np.zeros_like(sums), np.zeros(data.n_users)
            rates = self.learning_rate, self.reg
            sgd_steps(part, data.user, data.item, rest, *rates, *state, sums, pulled, touched)
            present = self._sets.copy()
            present.data[:] = 1
            decay = keep ** (present.T @ touched)
            self.implicit_factors_ = decay[:, None] * self.implicit_factors_ + self._sets.T @ pulled

    def _implicit(self, history: History) -> np.ndarray:
        return _sets(history) @ self.implicit_factors_


@compiled
def sgd_steps(events, user, item, rest, rate, reg, bias_u, bias_i, P, Q, sums, pulled, touched):
    """Steps of SGD, one rating after the other, in place: b += rate (e - reg b), p += rate (e q - reg p), q likewise.

    Args:
        events: positions of ratings in their order.
        user, item: codes of all ratings.
        rest: ratings less their mean.
        rate, reg: of a step.
        bias_u, bias_i, P, Q: what is learned.
        sums: what a user's set of items adds to its factors, (users, d), or no rows; each of its |I_u| items moves by
            |I_u|^-1/2, times |I_u|^-1/2.
        pulled, touched: where the steps of the sums and their number are added up by user.
    """
    keep = 1 - rate * reg
    width, implicit = P.shape[1], len(sums) > 0
    for event in events:
        u, i = user[event], item[event]
        p, q = P[u], Q[i]
        product = 0.0
        for d in range(width):
            product += (p[d] + (sums[u, d] if implicit else 0.0)) * q[d]
        error = rate * (rest[event] - bias_u[u] - bias_i[i] - product)
        bias_u[u], bias_i[i] = keep * bias_u[u] + error, keep * bias_i[i] + error
        for d in range(width):
            own, other = p[d], q[d]
            p[d] = keep * own + error * other
            if implicit:
                q[d] = keep * other + error * (own + sums[u, d])
                sums[u, d] = keep * sums[u, d] + error * other
                pulled[u, d] += error * other
            else:
                q[d] = keep * other + error * own
        if implicit:
            touched[u] += 1


def _sets(history: History) -> Csr:
    """|I_u|^-1/2 at each item of a user, float64 CSR (users, items)."""
    return shares(history.rows(), history.item, len(history), history.n_items)
