"""How much a pair of a user and an item weighs: clicks, counts or values, transformed, and held back by age."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import WEIGHTS, History
from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded

_K1, _B = 100.0, 0.8  # of BM25: implicit's defaults for weights


@dataclass(kw_only=True, eq=False, repr=False)
class Weighted(Recommender):
    """Base of models that learn from a matrix of users by items, whose entries may be confidence weights.

    Args:
        weight: of a pair: "click" (1 if it occurs), "count" (how often) or "value" (the sum of its values).
        transform: of the weights: "log" (log(1 + x)), "bm25" (as implicit's `bm25_weight`), or None.
        dislikes: values below 0 are dislikes: negative entries of the matrix, or pairs of preference 0 and so much
            confidence (ALS); else they are refused.
        half_life: days after which an event weighs half, in learning and in answers; None: all weigh alike.
    """

    takes_dislikes: ClassVar[bool] = False
    weight: str = bounded("click", among=WEIGHTS)
    transform: str | None = bounded(None, among=("log", "bm25"))
    dislikes: bool = False
    half_life: float | None = bounded(None, above=0)

    def _reads_values(self) -> bool:
        return self.weight == "value"

    def _refuse_values(self, data: Dataset) -> None:
        if self.dislikes and (not self.takes_dislikes or self.weight != "value"):
            expected = "weight='value'" if self.takes_dislikes else "False: it cannot learn from dislikes"
            raise InputError(f"dislikes of {type(self).__name__}", got=True, expected=expected)
        super()._refuse_values(data)
        if self.weight != "value":
            return
        if data.value is None:
            raise InputError("weight", got='"value" for events without values', expected="a value column")
        below = int((data.value < 0).sum())
        if below and not self.dislikes:
            hint = "dislikes=True where the model can learn from them" if self.takes_dislikes else None
            raise InputError(
                f"values of {type(self).__name__}", got=f"below 0 in {below} events",
                expected="weights of 0 or more: data.positive() leaves out what was given back", hint=hint,
            )  # fmt: skip

    def _begin(self) -> None:
        """What BM25 needs: log(users / (1 + users with the item)), and the mean sum of a row."""
        super()._begin()
        if self.transform == "bm25":
            X = self._plain_rows(self.history_)
            counts = np.bincount(X.indices, minlength=X.shape[1])
            rarity = np.maximum(np.log(max(X.shape[0], 1)) - np.log1p(counts), 0.0)
            self.bm25_ = np.append(rarity, np.abs(X.data).sum() / max(X.shape[0], 1)).astype(np.float32)

    def _is_plain(self) -> bool:
        """Whether each pair that occurs weighs 1."""
        return self.weight == "click" and self.half_life is None and self.transform is None

    def _plain_rows(self, history: History) -> Csr:
        return history.matrix(self.weight, half_life=self.half_life, now=self.now_)

    def _rows(self, history: History) -> Csr:
        """Weights of pairs, CSR float32 (users, items), possibly shared: not to be changed. Below 0: dislikes."""
        if self._is_plain() and history is not self.history_:
            return history.clicks
        X = self._plain_rows(history)
        if self.transform == "log":
            X.data = np.sign(X.data) * np.log1p(np.abs(X.data))
        elif self.transform == "bm25":
            size = np.abs(X.data)
            length = np.bincount(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), size, X.shape[0])
            norm = np.repeat(1 - _B + _B * length / self.bm25_[-1], np.diff(X.indptr))
            X.data = (X.data * (_K1 + 1) / (_K1 * norm + size) * self.bm25_[X.indices]).astype(np.float32)
            X.eliminate_zeros()  # of items that everybody had
        return X


def weights_and_targets(X: Csr) -> tuple[Csr, np.ndarray | None]:
    """(confidence of each pair, CSR; the same times preference, 0 for a dislike, or None if there are none)."""
    if not (X.data < 0).any():
        return X, None
    size = X.copy()
    size.data = np.abs(X.data)
    return size, np.maximum(X.data, 0)
