"""Vocabularies as arrays, so that they travel in a model's file with its other arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.data._untyped import pc


def pack(words: Sequence[Any]) -> np.ndarray:
    """Distinct values (text, integers or truth values) as the bytes of a JSON list, uint8."""
    return np.frombuffer(json.dumps(list(words), ensure_ascii=False).encode(), np.uint8).copy()


def unpack(packed: np.ndarray) -> list[Any]:
    """The values of `pack`, in their order."""
    return json.loads(packed.tobytes())


def distinct(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """The values of a column without nulls, in order of first appearance."""
    found = pc.unique(column)
    return found.filter(pc.is_valid(found)).to_pylist()


def codes(column: pa.ChunkedArray | pa.Array, packed: np.ndarray) -> np.ndarray:
    """Place of each value in a packed vocabulary, int64 (n,); -1 for null and for values that are not in it."""
    words = pa.array(unpack(packed))
    if len(words) == 0 or len(column) == 0:
        return np.full(len(column), -1)
    found = pc.fill_null(pc.index_in(column.cast(words.type), value_set=words), -1)
    return np.asarray(
        found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy(), np.int64
    )
