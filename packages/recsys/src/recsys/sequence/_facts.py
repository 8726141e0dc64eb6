"""What a shop's log says of items and customers at a moment: sales, trend, age, price; how far the two are apart."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._frame import numbers
from recsys.data._history import History
from recsys.data._time import DAY

HALF_LIVES = (4.0, 15.0, 60.0)  # days, of an item's recent sales
FACTS = 9  # of an item, before its numbers


def number_columns(history: History, data: Dataset, names: str | None) -> np.ndarray:
    """Numbers of each item, float (items, names): means over its events of context columns, or what the item table has;
    the mean of all where there is none.

    Args:
        history: events, whose context is read.
        data: whose item table is read; its items are those of the history.
        names: of columns, comma-separated, or None.
    """
    found = []
    for name in [] if names is None else names.split(","):
        if name in history.context.column_names:
            value = numbers(history.context.column(name), name)
            count = np.bincount(history.item, minlength=history.n_items)
            total = np.bincount(history.item, value, history.n_items)
            column = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        elif data.items is not None and name in data.items.column_names:
            raw = data.items.column(name)
            if not (pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type)):
                raise InputError(f"column {name!r}", got=str(raw.type), expected="numbers")
            column = raw.to_numpy(zero_copy_only=False).astype(np.float64)
        else:
            have = [*history.context.column_names, *([] if data.items is None else data.items.column_names)]
            raise InputError("numbers", got=repr(name), expected=f"columns of numbers among {have}")
        known = np.isfinite(column)
        found.append(np.where(known, column, column[known].mean() if known.any() else 0.0))
    return np.stack(found, axis=1) if found else np.zeros((history.n_items, 0))


def item_facts(history: History, now: int, more: np.ndarray) -> np.ndarray:
    """Float32 (items, facts), from events before `now` (microseconds) alone.

    In this order: log of users; log of recent events by three half-lives; the shorter ones against the longest, which
    is the trend; days since the first and the last event; log of events a user; then `more`, float (items,
    width), e.g. the price.
    """
    n, item = history.n_items, history.item
    age = np.maximum(now - _times(history), 0) / DAY
    clicks = history.positive().matrix()
    users = np.bincount(clicks.indices, minlength=n)
    recent = [np.log(np.bincount(item, np.exp2(-age / days), n) + 1e-3) for days in HALF_LIVES]
    first, last = np.zeros(n), np.full(n, age.max(initial=0.0))
    np.maximum.at(first, item, age)
    np.minimum.at(last, item, age)
    often = np.log(np.maximum(np.bincount(item, minlength=n), 1) / np.maximum(users, 1))
    columns = [np.log1p(users), *recent, recent[0] - recent[2], recent[1] - recent[2], first, last, often, *more.T]
    return np.stack(columns, axis=1).astype(np.float32)


def user_facts(history: History, now: int) -> np.ndarray:
    """Float32 (rows, 4): log of events and of items, days since the last and the first event."""
    age = np.maximum(now - _times(history), 0) / DAY
    counts, empty = history.counts, history.counts == 0
    first, last = (np.append(age, 0.0)[np.where(empty, len(age), place)] for place in
                   (history.indptr[:-1], history.indptr[1:] - 1))  # fmt: skip
    items = np.diff(history.clicks.indptr)
    return np.stack([np.log1p(counts), np.log1p(items), last, first], axis=1).astype(np.float32)


def pair_facts(row: np.ndarray, item: np.ndarray, history: History, facts: np.ndarray, now: int) -> np.ndarray:
    """Of each candidate, float32 (n, width): its item's facts, how far these are from the mean of what its user had,
    and the user's own.

    Args:
        row, item: of each candidate, (n,).
        history: of the users, by row.
        facts: `item_facts`.
        now: the moment, microseconds.
    """
    had = history.clicks
    mean = (had @ facts) / np.maximum(np.diff(had.indptr), 1)[:, None]
    columns = facts[item], facts[item] - mean[row], user_facts(history, now)[row]
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _times(history: History) -> np.ndarray:
    return np.zeros(len(history.item), np.int64) if history.time is None else history.time
