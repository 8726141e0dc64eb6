"""What each user did, in order: the events of rows of users, grouped by user and sorted by time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._time import DAY
from recsys.data._untyped import Csr

WEIGHTS = ("click", "count", "value")  # what of a pair's events can weigh
HALF_LIVES = [None, 240.0, 120.0, 60.0]  # days, that a search tries


@dataclass(frozen=True, eq=False)
class History:
    """Events of `len(self)` users (rows); row r owns events indptr[r] to indptr[r + 1], oldest first.

    Equal times keep the order of the file: the published sequence splits depend on it.

    Attributes:
        indptr: int64 (rows + 1,).
        item: item codes, int32 (events,).
        value: float32 (events,) or None.
        time: int64 microseconds (events,) or None.
        context: table of (events) rows, possibly without columns.
        n_items: size of the catalogue that the codes point into.
    """

    indptr: np.ndarray
    item: np.ndarray
    value: np.ndarray | None
    time: np.ndarray | None
    context: pa.Table
    n_items: int

    @classmethod
    def group(
        cls,
        user: np.ndarray,
        item: np.ndarray,
        value: np.ndarray | None,
        time: np.ndarray | None,
        context: pa.Table,
        n_users: int,
        n_items: int,
    ) -> History:
        """Group events (n,) by user code, oldest first, ties as they stand."""
        indptr = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))]).astype(np.int64)
        return cls(indptr, item, value, time, context, n_items)._with(indptr, by_user_and_time(user, time))

    def _with(self, indptr: np.ndarray, events: np.ndarray | slice) -> History:
        """The events at some positions, in rows with these bounds."""
        value = None if self.value is None else self.value[events]
        time = None if self.time is None else self.time[events]
        return History(indptr, self.item[events], value, time, rows_at(self.context, events), self.n_items)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def counts(self) -> np.ndarray:
        """Events of each row, int64 (rows,)."""
        return np.diff(self.indptr)

    def rows(self) -> np.ndarray:
        """Row of each event, int64 (events,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    def keep(self, kept: np.ndarray) -> History:
        """The same rows with only the events where `kept`, bool (events,), holds."""
        indptr = np.concatenate([[0], np.cumsum(kept)])[self.indptr].astype(np.int64)
        return self._with(indptr, np.flatnonzero(kept))

    def positive(self) -> History:
        """Only the events of a value above 0."""
        return self if self.value is None else self.keep(self.value > 0)

    @cached_property
    def clicks(self) -> Csr:
        """`matrix()`, made once and shared: not to be changed."""
        return self.matrix()

    def take(self, rows: np.ndarray) -> History:
        """The history of some rows; a row of -1 has none."""
        first = int(rows[0]) if len(rows) else -1
        if first >= 0 and (len(rows) == 1 or (np.diff(rows) == 1).all()):  # one after the other: nothing is copied
            indptr = self.indptr[first : first + len(rows) + 1]
            start = indptr[0]
            return self._with(indptr - start, slice(start, indptr[-1]))
        if not len(self):
            return self.ranges(np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64))
        known, rows = rows >= 0, np.maximum(rows, 0)
        starts = self.indptr[rows]
        return self.ranges(starts, np.where(known, self.indptr[rows + 1], starts))

    def ranges(self, starts: np.ndarray, stops: np.ndarray) -> History:
        """Rows made of the events from `starts` up to `stops`, int64 (rows,); they may overlap."""
        counts = stops - starts
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return self._with(indptr, np.repeat(starts - indptr[:-1], counts) + np.arange(indptr[-1]))

    def matrix(self, weight: str = "click", *, half_life: float | None = None, now: int | None = None) -> Csr:
        """Users by items, float32 (rows, n_items), sorted indices; a pair whose weights add up to 0 is not stored.

        Args:
            weight: of a pair: "click" (1 if it occurs), "count" (how often) or "value" (the sum of its values).
            half_life: days after which an event weighs half; a click weighs as the pair's latest event does.
            now: the moment from which ages count; the latest event if None.
        """
        decay = self._decay(half_life, now)
        if weight == "click":
            if decay is not None:
                return self._latest(decay)
            data = np.ones(len(self.item), np.float32)
        elif weight == "count":
            data = np.ones(len(self.item), np.float32) if decay is None else decay
        elif self.value is None:
            raise InputError("weight", got='"value" of events without values', expected="a value column")
        else:
            data = self.value.copy() if decay is None else self.value * decay
        matrix = sp.csr_matrix((data, self.item.copy(), self.indptr.copy()), shape=(len(self), self.n_items))
        matrix.sum_duplicates()
        if weight == "click":
            matrix.data[:] = 1.0
        elif weight == "value":
            matrix.eliminate_zeros()
        return matrix

    def _decay(self, half_life: float | None, now: int | None) -> np.ndarray | None:
        """2^(-age / half_life) of each event, float32 (events,); None if all weigh alike."""
        if half_life is None:
            return None
        if not half_life > 0:
            raise InputError("half_life", got=half_life, expected="a positive number of days, or None")
        if self.time is None:
            raise InputError(
                "half_life", got=f"{half_life} for events without times", expected="a time column, or None"
            )
        now = int(self.time.max(initial=0)) if now is None else now
        return np.exp2(-np.maximum(now - self.time, 0) / DAY / half_life).astype(np.float32)

    def _latest(self, decay: np.ndarray) -> Csr:
        """The weight of each pair's latest event, which is its greatest."""
        matrix = sp.csr_matrix((decay, self.item.copy(), self.indptr.copy()), shape=(len(self), self.n_items))
        matrix.sort_indices()
        first = np.append(True, matrix.indices[1:] != matrix.indices[:-1])[: len(decay)]
        first[self.indptr[:-1][self.counts > 0]] = True
        starts = np.flatnonzero(first)
        data = np.maximum.reduceat(matrix.data, starts) if len(starts) else matrix.data
        indptr = np.concatenate([[0], np.cumsum(first)])[self.indptr]
        return sp.csr_matrix((data, matrix.indices[starts], indptr), shape=matrix.shape)


def rows_at(values: Any, rows: np.ndarray | slice) -> Any:
    """An array's or a table's rows at some positions; None and a table without columns as they are."""
    if isinstance(values, pa.Table):
        if not values.num_columns:
            return values
        return values.take(pa.array(rows)) if isinstance(rows, np.ndarray) else values[rows]
    return None if values is None else values[rows]


def unseen_items(user: np.ndarray, had: np.ndarray, items: int, draw: np.random.Generator) -> np.ndarray:
    """An item for each user code (an array of any shape) that the user never had, as far as 20 draws find one.

    Args:
        user: codes of users, int64.
        had: user * items + item of all pairs, sorted.
        items: size of the catalogue.
        draw: generator.
    """
    item = draw.integers(0, items, user.shape)
    for _ in range(20):
        keys = user * items + item
        again = had[np.minimum(np.searchsorted(had, keys), len(had) - 1)] == keys
        if not again.any():
            break
        item[again] = draw.integers(0, items, int(again.sum()))
    return item


def shares(row: np.ndarray, column: np.ndarray, rows: int, columns: int) -> Csr:
    """|set|^-1/2 at each member of a row's set, float64 CSR (rows, columns)."""
    sets = sp.csr_matrix((np.ones(len(row)), (row, column)), shape=(rows, columns))
    sets.sum_duplicates()
    counts = np.diff(sets.indptr)
    sets.data = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    return sets


def by_user_and_time(user: np.ndarray, time: np.ndarray | None) -> np.ndarray:
    """Positions that sort events by user, then time, then place in the file; int64 (n,)."""
    order = np.argsort(user, kind="stable")
    if time is None:
        return order
    who, when = user[order], time[order]
    if ((when[1:] >= when[:-1]) | (who[1:] != who[:-1])).all():  # a log, or later events after those of a history
        return order
    return np.lexsort((time, user))
