"""What a model is asked: rows of users with their events and contexts; and where an answer may come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._frame import as_table
from recsys.data._history import History
from recsys.data._untyped import Csr
from recsys.recommender._sound import Pairs

SOURCES = ("model", "fold_in", "features", "fallback")
MODEL, FOLD_IN, FEATURES, FALLBACK = range(len(SOURCES))


@dataclass(frozen=True, eq=False)
class Query:
    """What a model may know of the users it answers, one row each.

    Attributes:
        codes: user codes in the model, int (rows,); -1 for users it never met.
        history: their events.
        context: one row each, or None.
        allowed: the only items that lists may hold, bool (items,), and `among`, those of each row, CSR (rows, items);
            None: all. Models that choose candidates choose among these.
        users: a number of each row's user id (`tie_keys`), int64 (rows,), which orders equal scores; None: by index.
    """

    codes: np.ndarray
    history: History
    context: pa.Table | None = None
    allowed: np.ndarray | None = None
    among: Csr | None = None
    users: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def had(self) -> Pairs:
        """What each row had: `history.clicks` without what scipy's matrices cost where there is a single row."""
        return Pairs.of(self.history)


def context_rows(context: Any, n: int) -> pa.Table | None:
    if context is None:
        return None
    if isinstance(context, dict):
        context = {name: value if isinstance(value, (list, np.ndarray)) else [value] for name, value in context.items()}
    table = as_table(context).combine_chunks()
    if table.num_rows == 1:
        return table.take(pa.array(np.zeros(n, np.int64)))
    if table.num_rows != n:
        raise InputError("context", got=f"{table.num_rows} rows", expected=f"1 row, or {n}: one a user")
    return table


def is_table(candidates: Any) -> bool:
    """Whether candidates are a table of users and items instead of items for all."""
    return isinstance(candidates, (Mapping, pa.Table)) or hasattr(candidates, "columns")


def check_length(k: Any, what: str = "k") -> int:
    """A length as a whole number of at least 1; InputError for anything else, e.g. "3" or 2.5."""
    if type(k) is int and 0 < k < 2**31:
        return k
    if isinstance(k, (float, np.floating)) and float(k).is_integer():
        k = int(k)
    if isinstance(k, (bool, np.bool_)) or not isinstance(k, (int, np.integer)):
        raise InputError(what, got=repr(k), expected="a whole number of at least 1")
    if k < 1:
        raise InputError(what, got=k, expected="at least 1")
    return min(int(k), 2**31 - 1)
