"""Models whose score is the user's row times a table of item-to-item weights: score = x_u W."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._untyped import Csr
from recsys.recommender._query import Query
from recsys.recommender._rows import threads
from recsys.recommender._weighted import Weighted


@dataclass(kw_only=True, eq=False, repr=False)
class LinearItemModel(Weighted):
    """Base of EASE, SLIM, RP3beta and item kNN: `weights_` (items, items), dense or CSR, row: from, column: to."""

    fitted: ClassVar[tuple[str, ...]] = ("weights_",)

    def __post_init__(self) -> None:
        self.weights_: Any

    def _product(self, query: Query) -> tuple[Csr, Csr] | None:
        if not (sp.issparse(self.weights_) and self.zero_is_no_evidence):
            return None
        return query.had if self._is_plain() else self._rows(query.history), self.weights_

    def _score(self, query: Query) -> np.ndarray:
        scores = self._rows(query.history) @ self.weights_
        return scores.toarray() if sp.issparse(scores) else np.asarray(scores, np.float32)

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        rows = self.weights_[codes]
        return rows.toarray() if sp.issparse(rows) else np.array(rows)

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:
        row = self._rows(self.history_.take(np.array([user])))
        column: Any = self.weights_[row.indices][:, [item]]
        column = column.toarray() if sp.issparse(column) else column
        return row.indices, row.data * column.ravel()


def gram(X: Csr) -> np.ndarray:
    """X'X, dense float32 (items, items), Fortran order."""
    G = lower_gram(X)
    mirror(G)
    return G


def lower_gram(X: Csr, block: int = 512) -> np.ndarray:
    """As `gram`, of which only the lower triangle is set: what a Cholesky factorisation reads.

    It is made in blocks of columns, each below its diagonal alone, by several threads; no copy is as large as G.
    """
    columns, rows = X.tocsc(), X.T.tocsr()
    size = columns.shape[1]
    G = np.empty((size, size), np.float32, order="F")

    def fill(start: int) -> None:
        part = slice(start, min(start + block, size))
        G[start:, part] = (rows[start:] @ columns[:, part]).toarray()

    with ThreadPoolExecutor(threads()) as pool:
        for _ in pool.map(fill, range(0, size, block)):
            pass
    return G


def mirror(P: np.ndarray, block: int = 1024) -> None:
    """Copy the lower triangle over the upper one, in place."""
    size = len(P)
    for start in range(0, size, block):
        part = slice(start, min(start + block, size))
        corner = np.tril(P[part, part])
        P[part, part] = corner + np.tril(corner, -1).T
        P[part, part.stop :] = P[part.stop :, part].T


def refuse_if_too_large(model: str, items: int, copies: float, memory: float, instead: str) -> None:
    """InputError, before anything is allocated, if `copies` dense float32 item-by-item tables exceed the memory.

    Args:
        model: who asks.
        items: size of the catalogue.
        copies: tables held at once.
        memory: GiB allowed; less if the machine has less to give.
        instead: models that would fit.
    """
    need = copies * items * items * 4 / 2**30
    free = available_gib()
    if need > min(memory, free):
        raise InputError(
            f"{model} on {items:,} items",
            got=f"a need of {need:.1f} GiB",
            expected=f"at most {min(memory, free):.1f} GiB (memory={memory:g}, free {free:.1f})",
            hint=f"use {instead}, or leave rare items out",
        )


def available_gib() -> float:
    """Memory that the machine can give, as far as it says so."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 2**20
    except OSError:
        pass
    return float("inf")  # not Linux: only the limit given counts
