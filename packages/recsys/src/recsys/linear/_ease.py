"""EASE, the shallow linear autoencoder (Steck, WWW 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import HALF_LIVES
from recsys.data._untyped import lapack
from recsys.linear._linear import LinearItemModel, lower_gram, mirror, refuse_if_too_large
from recsys.recommender._learner import bounded


@dataclass(kw_only=True, eq=False, repr=False)
class EASE(LinearItemModel):
    """B = -P diag(1 / diag P), diag B = 0, with P = (X'X + l2 I)^-1; score X B (equations 7 and 8).

    With `dropout` it is EDLAE of full rank (Steck, NeurIPS 2020): each item's ridge also grows with its users, as if
    so large a share of every user's items were hidden while learning.

    Args:
        l2: ridge; 500 on ML-20M, 1000 on Netflix, 200 on MSD in the paper.
        dropout: share p; p / (1 - p) of the diagonal of X'X joins the ridge. 0: EASE.
        memory: GiB that the fit may take; more is refused before it is allocated.
        weight, transform, dislikes, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.EASE(l2=1.0).fit(data)
        >>> model.recommend(["bob", "eve"], k=1).column("item").to_pylist()
        ['mug', 'filter']

        Which of bob's purchases speak for the mug:

        >>> model.explain("bob", "mug").column("item").to_pylist()
        ['tea', 'pot']
    """

    source: ClassVar[str] = "arXiv 1905.03375"
    takes_dislikes: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {"l2": (10.0, 5000.0, "log"), "half_life": HALF_LIVES}
    l2: float = bounded(500.0, above=0)
    dropout: float = bounded(0.0, least=0, below=1)
    memory: float = 10.0

    def _fit(self, data: Dataset) -> None:
        refuse_if_too_large("EASE", data.n_items, 1.2, self.memory, "SANSA or IALS, which hold no such table")
        G = lower_gram(self._rows(self.history_))
        G[np.diag_indices_from(G)] *= 1 + self.dropout / (1 - self.dropout)
        G[np.diag_indices_from(G)] += self.l2
        self.weights_ = ease_weights(G)


def ease_weights(G: np.ndarray) -> np.ndarray:
    """B of EASE from the lower triangle of G + l2 I, float32 (items, items), Fortran order; G is overwritten.

    Cholesky and the inverse from its factor (potrf, potri): half the work of a general inverse, and in place.
    """
    potrf, potri = (lapack.spotrf, lapack.spotri) if G.dtype == np.float32 else (lapack.dpotrf, lapack.dpotri)
    factor, failed = potrf(G, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise InputError("l2", got="a matrix that is not positive definite", expected="a larger l2")
    P, failed = potri(factor, lower=1, overwrite_c=1)
    if failed:
        raise InputError("l2", got="a singular matrix", expected="a larger l2")
    mirror(P)
    B = P.T  # symmetric: the same matrix in C order, in which rows are scored fast
    B /= -np.diag(P).copy()
    B[np.diag_indices_from(B)] = 0.0
    return B
