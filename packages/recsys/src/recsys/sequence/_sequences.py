"""Users' last events as left-padded arrays, and marks of events (action, time) as codes next to the items."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from ninefold.errors import InputError

from recsys.data._history import History, unseen_items

TIMES = {"gap": 32, "week": 168}  # how an event's time is told -> codes
_HOUR = 3_600_000_000  # microseconds


def time_codes(history: History, kind: str) -> np.ndarray:
    """When each event was, as a code, int64 (events,).

    Args:
        history: events with times.
        kind: "gap": 0 for a user's first event, else 1 + log2(1 + seconds since the one before), rounded down and at
            most 31; "week": the hour of the week, from Thursday 0 h UTC on, as time since 1970 counts.
    """
    if history.time is None:
        raise InputError("time", got="events without times", expected="a time column")
    if kind == "week":
        return history.time // _HOUR % 168
    seconds = np.diff(history.time, prepend=0) / 1_000_000
    code = 1 + np.floor(np.log2(1 + np.maximum(seconds, 0))).astype(np.int64)
    code[history.indptr[:-1][history.counts > 0]] = 0
    return np.minimum(code, TIMES["gap"] - 1)


class Sequences:
    """The last `max_len` steps of the users with `shortest` events or more.

    Args:
        history: events of users.
        marks: codes of each event in addition to its item, int (events,) each, -1 for none.
        max_len, shortest: as above.
    """

    def __init__(self, history: History, marks: Sequence[np.ndarray], max_len: int, shortest: int = 2) -> None:
        self.history, self.max_len = history, max_len
        self.values = [history.item, *marks]
        self.rows = np.flatnonzero(history.counts >= shortest)
        self.counts = history.counts[self.rows]
        self.held = np.zeros(len(self.rows), bool)  # rows whose last step training never sees

    def hold_out(self, draw: np.random.Generator) -> np.ndarray:
        """Hold out the last step of a tenth of the rows of three events or more (256 rows to 4,096); which, int."""
        able = np.flatnonzero(self.counts > 2)
        able = draw.permutation(able)[: min(max(256, len(able) // 10), 4096)]
        self.held[able] = True
        return np.sort(able)

    @cached_property
    def had(self) -> np.ndarray:
        """user * items + item of all pairs, sorted."""
        return np.unique(self.history.rows() * self.history.n_items + self.history.item)

    def __len__(self) -> int:
        return len(self.rows)

    def _at(self, rows: np.ndarray, skip: np.ndarray | int, length: int, values: np.ndarray) -> np.ndarray:
        """Values of the `length` events that end `skip` before the last, int64 (rows, length), -1 before the first."""
        ends = self.history.indptr[self.rows[rows] + 1] - skip
        places = ends[:, None] - length + np.arange(length)
        real = places >= self.history.indptr[self.rows[rows]][:, None]
        return np.where(real, values[np.maximum(places, 0)], -1).astype(np.int64)

    def inputs(self, rows: np.ndarray) -> list[np.ndarray]:
        """Items, then each mark, of all events of rows up to `max_len`; int64 (rows, steps) each."""
        length = min(int(self.counts[rows].max()), self.max_len)
        return [self._at(rows, 0, length, one) for one in self.values]

    def padded(self, rows: np.ndarray, *, held: bool) -> tuple[list[np.ndarray], np.ndarray]:
        """(inputs, targets): the target of a step is the next item, -1 where there is none.

        The last step of the rows that are held out is never among them, but alone if `held` asks for it.
        """
        skip = self.held[rows].astype(np.int64) * (not held)
        length = max(min(int((self.counts[rows] - 1 - skip).max()), self.max_len), 1)
        inputs = [self._at(rows, 1 + skip, length, one) for one in self.values]
        target = np.where(inputs[0] >= 0, self._at(rows, skip, length, self.history.item), -1)
        if held:
            target[:, :-1] = -1
        return inputs, target

    def batches(self, size: int, draw: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        """(rows of each batch in chance order, their steps): pools of 32 batches are drawn, and sorted by length."""
        order, pool = draw.permutation(len(self)), 32 * size
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        order = np.concatenate([one[np.argsort(self.counts[one], kind="stable")] for one in pools])
        batches = [np.sort(order[start : start + size]) for start in range(0, len(order), size)]
        steps = np.minimum(self.counts - 1 - self.held, self.max_len)
        chance = draw.permutation(len(batches))
        return [batches[one] for one in chance], np.array([steps[batches[one]].sum() for one in chance], np.float64)

    def negatives(self, rows: np.ndarray, target: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """An item that the row's user never had, for each target, int64 like target (rows, steps)."""
        user = np.broadcast_to(self.rows[rows][:, None], target.shape)
        return unseen_items(user, self.had, self.history.n_items, draw)
