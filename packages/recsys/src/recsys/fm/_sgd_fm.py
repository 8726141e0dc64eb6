"""Factorisation machine by minibatch gradients: for values, labels, or rankings, on rows of user, item and context."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from scipy.special import expit

from recsys.data._dataset import Dataset
from recsys.data._history import unseen_items
from recsys.data._untyped import Csr
from recsys.fm._fm import FactorizationMachine, as_part, of_sets
from recsys.recommender._learner import bounded

_STATE = ("w0_", "w_", "v_", "w0_sum_", "w_sum_", "v_sum_")


@dataclass(kw_only=True, eq=False, repr=False)
class FM(FactorizationMachine):
    """One estimate of w0, w and v by Adagrad.

    Args:
        head: "squared" for values, "logit" for labels 0 and 1, "bpr" for events alone: each should score above an item
            drawn from those its user never had, -log sigmoid(y_event - y_drawn) (Rendle et al. 2009).
        epochs: passes over the events.
        batch: events a step.
        learning_rate: of Adagrad.
        reg: L2 on the factors and weights of users and items, per occurrence; `context_reg`: on those of fields and
            of columns of tables.

    Examples:
        >>> import recsys

        >>> lunch = {
        ...     "user": ["ann", "ann", "bob", "bob", "cy", "cy"] * 4,
        ...     "item": ["soup", "salad", "soup", "salad", "soup", "salad"] * 4,
        ...     "weather": ["cold", "cold", "warm", "warm", "cold", "cold"] * 4,
        ...     "taken": [1, 0, 0, 1, 1, 0] * 4,
        ... }
        >>> data = recsys.Dataset.from_frame(lunch, user="user", item="item", value="taken", context=["weather"])
        >>> model = recsys.FM(head="logit", factors=2, epochs=60).fit(data)
        >>> model.recommend(["bob"], k=1, context={"weather": "cold"}, filter_seen=False).column("item").to_pylist()
        ['soup']
        >>> model.recommend(["bob"], k=1, context={"weather": "warm"}, filter_seen=False).column("item").to_pylist()
        ['salad']
    """

    source: ClassVar[str] = "doi 10.1109/ICDM.2010.127"
    space: ClassVar[dict[str, Any]] = {
        "factors": [4, 8, 16, 32],
        "learning_rate": (0.02, 0.3, "log"),
        "reg": (1e-4, 0.1, "log"),
        "context_reg": (1e-5, 0.03, "log"),
    }
    head: str = bounded("squared", among=("squared", "logit", "bpr"))
    epochs: int = bounded(30, least=1)
    batch: int = bounded(512, least=1)
    learning_rate: float = bounded(0.1, above=0)
    reg: float = bounded(0.01, least=0)
    context_reg: float = bounded(0.001, least=0)

    def _fit(self, data: Dataset) -> None:
        if self.head != "bpr":
            super()._fit(data)
            return
        self.range_ = np.array([-1e30, 1e30])  # scores, of no scale
        self._learn(data, np.ones(len(data)))

    def _learn(self, data: Dataset, value: np.ndarray) -> None:
        if self.head == "logit" and not np.isin(value, (0, 1)).all():
            raise InputError("values", got="others than 0 and 1", expected="labels 0 and 1 for the logit head")
        fields, encoded = self._start(data)
        of_users, of_items = self._attributes(data)
        own: list[Any] = [sp.identity(data.n_users, format="csr"), sp.identity(data.n_items, format="csr")]
        features = [one.values for one in (*of_users, *of_items)]
        sizes = [data.n_users, data.n_items, *(field.size for field in fields), *(one.shape[1] for one in features)]
        offset = np.cumsum([0, *sizes])
        after = offset[2 + len(fields) :]  # where each attribute's columns start
        users = _placed([(0, own[0]), *zip(after, features[: len(of_users)], strict=False)], offset[-1])
        items = [(offset[1], own[1]), *zip(after[len(of_users) :], features[len(of_users) :], strict=False)]
        design = users, _placed(items, offset[-1]), _context_design(encoded, offset[2:], len(data), offset[-1])
        penalty = np.repeat([self.reg, self.reg, *[self.context_reg] * (len(fields) + len(features))], sizes)
        draw = np.random.default_rng(self.seed)
        self.w0_ = np.array([value.mean() if self.head == "squared" else 0.0])
        self.w_, self.v_ = np.zeros(offset[-1]), 0.1 * draw.standard_normal((offset[-1], self.factors))
        self.w0_sum_, self.w_sum_, self.v_sum_ = (np.full_like(one, 1e-8) for one in (self.w0_, self.w_, self.v_))
        had = np.unique(data.user.astype(np.int64) * data.n_items + data.item)
        for epoch in self._epochs(self.epochs, _STATE):
            draw = np.random.default_rng([self.seed, epoch])
            order = draw.permutation(len(data))
            for start in range(0, len(data), self.batch):
                rows = order[start : start + self.batch]
                query = design[0][data.user[rows]] + design[2][rows]
                X = query + design[1][data.item[rows]]
                if self.head == "bpr":
                    drawn = unseen_items(data.user[rows].astype(np.int64), had, data.n_items, draw)
                    X = sp.vstack([X, query + design[1][drawn]], "csr")
                self._step(X, value[rows], penalty)
        theta = np.concatenate([self.w_[:, None], self.v_], axis=1).astype(np.float32)[:, None, :]
        for start, codes, size in ((0, data.user, data.n_users), (data.n_users, data.item, data.n_items)):
            theta[start + np.flatnonzero(np.bincount(codes, minlength=size) == 0)] = 0  # of no event: as drawn at first
        part = [as_part(theta[low:high], None) for low, high in itertools.pairwise(offset[:3])]
        for place, one in enumerate(features):
            part[place >= len(of_users)] += of_sets(one, theta[after[place] : after[place + 1]])
        self.user_part_, self.item_part_ = (one.astype(np.float32) for one in part)
        self.base_, self.context_part_ = self.w0_.copy(), theta[offset[2] : after[0]]
        for name in _STATE:
            delattr(self, name)

    def _step(self, X: Csr, target: np.ndarray, penalty: np.ndarray) -> None:
        """One gradient step on a batch X, CSR (rows, all columns), on the columns that occur in it."""
        columns, place = np.unique(X.indices, return_inverse=True)
        X = sp.csr_matrix((X.data, place.ravel(), X.indptr), shape=(X.shape[0], len(columns)))
        X2: Csr = sp.csr_matrix((X.data**2, X.indices, X.indptr), shape=X.shape)
        w, v = self.w_[columns], self.v_[columns]
        q = X @ v
        score = self.w0_ + X @ w + 0.5 * ((q * q).sum(axis=1) - (X2 @ (v * v)).sum(axis=1))
        slope = self._slope(score, target)
        count = X2.getnnz(axis=0) * penalty[columns]
        slope_w = X.T @ slope + count * w
        slope_v = X.T @ (slope[:, None] * q) - (X2.T @ slope)[:, None] * v + count[:, None] * v
        whole = slice(None)
        _adagrad(self.w0_, self.w0_sum_, whole, np.array([slope.sum()]), self.learning_rate)
        _adagrad(self.w_, self.w_sum_, columns, slope_w, self.learning_rate)
        _adagrad(self.v_, self.v_sum_, columns, slope_v, self.learning_rate)

    def _slope(self, score: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Derivative of the loss by the score of each row, (n,)."""
        if self.head == "squared":
            return score - target
        if self.head == "logit":
            return expit(score) - target
        half = len(score) // 2  # events above, drawn items below
        slope = expit(score[half:] - score[:half])
        return np.concatenate([-slope, slope])

    def _link(self, score: np.ndarray) -> np.ndarray:
        return expit(score) if self.head == "logit" else score


def _placed(parts: Iterable[tuple[int, Csr]], width: int) -> Csr:
    """Matrices over the same rows side by side, each from its column on, CSR (rows, width)."""
    moved: list[Any] = []
    for start, one in parts:
        coo: Any = one.tocoo()
        moved.append(sp.csr_matrix((coo.data, (coo.row, coo.col + start)), shape=(one.shape[0], width)))
    return sum(moved[1:], moved[0])


def _context_design(
    encoded: Sequence[tuple[np.ndarray, np.ndarray | None]], starts: np.ndarray, n: int, width: int
) -> Csr:
    """Values of the fields in each event, CSR (n, width); see `Field.encode`."""
    rows, columns, data = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    for (index, x), start in zip(encoded, starts, strict=False):
        has = np.flatnonzero(index >= 0)
        rows.append(has)
        columns.append(start + index[has])
        data.append(np.ones(len(has)) if x is None else x[has])
    place = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.concatenate(data), place), shape=(n, width))


def _adagrad(theta: np.ndarray, total: np.ndarray, at: Any, slope: np.ndarray, rate: float) -> None:
    total[at] += slope * slope
    theta[at] -= rate * slope / np.sqrt(total[at])
