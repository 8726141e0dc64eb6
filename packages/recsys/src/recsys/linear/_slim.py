"""SLIM, sparse linear item weights (Ning and Karypis, ICDM 2011), by coordinate descent for all items at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold.progress import progress

from recsys.data._dataset import Dataset
from recsys.linear._linear import LinearItemModel, gram, refuse_if_too_large

_BLOCK = 64  # coordinates updated between two products with the whole of X'X


@dataclass(kw_only=True, eq=False, repr=False)
class SLIM(LinearItemModel):
    """Per item j: min 1/2 |x_j - X w|^2 + l2/2 |w|^2 + l1 |w|_1 with w >= 0, w_j = 0 (equation 3).

    Args:
        l1, l2: penalties.
        sweeps: most passes over all coordinates.
        tolerance: stop once no weight moves by more.
        memory: GiB that the fit may take.
    """

    name: ClassVar[str] = "slim"
    source: ClassVar[str] = "doi 10.1109/ICDM.2011.134"
    space: ClassVar[dict[str, Any]] = {"l1": (0.1, 50.0, "log"), "l2": (1.0, 500.0, "log")}
    zero_is_no_evidence: ClassVar[bool] = True
    l1: float = 1.0
    l2: float = 50.0
    sweeps: int = 50
    tolerance: float = 1e-4
    memory: float = 10.0

    def _fit(self, data: Dataset) -> None:
        if self.l1 < 0 or self.l2 <= 0:
            raise InputError("l1, l2", got=(self.l1, self.l2), expected="l1 at least 0, l2 above 0")
        refuse_if_too_large("SLIM", data.n_items, 2.2, self.memory, "ELSA or ItemKNN")
        G = gram(self._rows(self.history_))
        W = np.zeros(G.shape, np.float32)
        with progress(self.sweeps, "SLIM sweeps") as bar:
            for _ in range(self.sweeps):
                moved = slim_sweep(G, W, self.l1, self.l2)
                bar.advance()
                if moved <= self.tolerance:
                    break
        self.weights_ = sp.csr_matrix(W)


def slim_sweep(G: np.ndarray, W: np.ndarray, l1: float, l2: float) -> float:
    """One pass of coordinate descent over the rows of W, in place, for all columns (items) at once.

    Args:
        G: X'X, (items, items).
        W: weights, row: from, column: to; non-negative, zero diagonal.
    Returns: the largest change of a weight.
    """
    moved = 0.0
    for start in range(0, len(G), _BLOCK):
        part = np.arange(start, min(start + _BLOCK, len(G)))
        fitted = G[part] @ W  # what the weights so far explain of each pair of items
        inner = G[np.ix_(part, part)]
        for place, k in enumerate(part):
            target = (G[k] - fitted[place] + inner[place, place] * W[k] - l1) / (inner[place, place] + l2)
            new = np.maximum(target, 0, dtype=np.float32)
            new[k] = 0.0
            change = new - W[k]
            fitted += inner[:, place, None] * change
            W[k] = new
            moved = max(moved, float(np.abs(change).max()))
    return moved
