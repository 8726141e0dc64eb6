"""SLIM, sparse linear item weights (Ning and Karypis, ICDM 2011), by compiled coordinate descent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.progress import progress

from recsys.data._dataset import Dataset
from recsys.data._untyped import compiled
from recsys.linear._linear import LinearItemModel, gram, refuse_if_too_large
from recsys.recommender._learner import bounded
from recsys.recommender._rows import threads

_BLOCK = 64  # items that one thread takes at a time


@dataclass(kw_only=True, eq=False, repr=False)
class SLIM(LinearItemModel):
    """Per item j: min 1/2 |x_j - X w|^2 + l2/2 |w|^2 + l1 |w|_1 with w >= 0, w_j = 0 (equation 3).

    Args:
        l1, l2: penalties.
        sweeps: most passes over all coordinates.
        tolerance: stop once no weight moves by more.
        memory: GiB that the fit may take.
        weight, transform, dislikes, half_life: see `Weighted`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.SLIM(l1=0.1, l2=1.0).fit(data)
        >>> [(item, round(score, 2)) for item, score in model.recommend_one("bob", k=3)]
        [('mug', 0.47)]
    """

    source: ClassVar[str] = "doi 10.1109/ICDM.2011.134"
    space: ClassVar[dict[str, Any]] = {"l1": (0.1, 50.0, "log"), "l2": (1.0, 500.0, "log")}
    zero_is_no_evidence: ClassVar[bool] = True
    takes_dislikes: ClassVar[bool] = True
    l1: float = bounded(1.0, least=0)
    l2: float = bounded(50.0, above=0)
    sweeps: int = 50
    tolerance: float = 1e-4
    memory: float = 10.0

    def _fit(self, data: Dataset) -> None:
        refuse_if_too_large("SLIM", data.n_items, 1.2, self.memory, "SANSA or ItemKNN")
        X = self._rows(self.history_)
        G, signed, size = gram(X), bool((X.data < 0).any()), X.shape[1]
        parts: list[Any] = []
        with progress(-(-size // _BLOCK), "SLIM items") as bar, ThreadPoolExecutor(threads()) as pool:

            def fill(start: int) -> Any:
                stop = min(start + _BLOCK, size)
                return slim_rows(G, signed, start, stop, self.l1, self.l2, self.sweeps, self.tolerance)

            for indptr, indices, values in pool.map(fill, range(0, size, _BLOCK)):
                parts.append(sp.csr_matrix((values, indices, indptr), shape=(len(indptr) - 1, size)))
                bar.advance()
        self.weights_ = sp.vstack(parts, format="csr").T.tocsr()  # row: from, column: to


@compiled
def slim_rows(G, signed, start, stop, l1, l2, sweeps, tolerance):
    """Weights towards the items from `start` up to `stop`, by coordinate descent of each alone.

    Without negative entries an item k that is met with j no more than l1 times can have no weight towards j: what the
    others explain only lowers its slope. So each item's search is among the few that pass.

    Args:
        G: X'X, float32 (items, items), Fortran order.
        signed: whether X has entries below 0.
        start, stop: items.
        l1, l2: penalties.
        sweeps, tolerance: most passes over the coordinates, and the change of a weight at which they end.
    Returns: (indptr, indices, values) of CSR rows, one for each of the items.
    """
    size = len(G)
    indptr = np.zeros(stop - start + 1, np.int64)
    indices, values = [np.int32(0) for _ in range(0)], [np.float32(0) for _ in range(0)]
    chosen, slope, weight = np.empty(size, np.int32), np.empty(size, np.float32), np.empty(size, np.float32)
    for j in range(start, stop):
        many = 0
        for k in range(size):
            if k != j and (signed or G[k, j] > l1):
                chosen[many], slope[many], weight[many] = k, G[k, j], 0.0  # slope: what is left to explain
                many += 1
        for _ in range(sweeps):
            moved = np.float32(0)
            for place in range(many):
                k = chosen[place]
                own = G[k, k]
                new = (slope[place] + own * weight[place] - l1) / (own + l2)
                new = np.float32(max(new, 0.0))
                change = new - weight[place]
                if change != 0:
                    weight[place] = new
                    column = G[:, k]
                    for other in range(many):
                        slope[other] -= column[chosen[other]] * change
                    moved = max(moved, abs(change))
            if moved <= tolerance:
                break
        for place in range(many):
            if weight[place] > 0:
                indices.append(chosen[place])
                values.append(weight[place])
        indptr[j - start + 1] = len(indices)
    return indptr, np.array(indices), np.array(values)
