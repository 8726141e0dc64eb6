"""Vocabularies: the distinct values of a column, and the place of each value among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.data._untyped import pc


def distinct(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """The values of a column without nulls, in order of first appearance."""
    found = pc.unique(column)
    return found.filter(pc.is_valid(found)).to_pylist()


def codes(column: pa.ChunkedArray | pa.Array, words: Sequence[Any]) -> np.ndarray:
    """Place of each value in a vocabulary, int64 (n,); -1 for null and for values that are not in it."""
    if len(words) == 0 or len(column) == 0:
        return np.full(len(column), -1)
    values = pa.array(words)
    found = pc.fill_null(pc.index_in(column.cast(values.type), value_set=values), -1)
    return np.asarray(found, np.int64)
