"""The order of equal scores: by a hash of user id and item, the same in lists, in a service and in an evaluation.

A fixed order, e.g. by item index, would show one item first to everybody, and would let a model without any taste score
better or worse than chance.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pyarrow as pa

from recsys.data._untyped import compiled

_GOLDEN, _MIX, _MIX_2 = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35


def tie_keys(ids: Any) -> np.ndarray:
    """A number for each user id, int64 (n,) below 2^32, from the id alone: the same whatever else a model knows.

    Args:
        ids: an Arrow array or a list of integers or texts.
    """
    listed = ids.to_pylist() if isinstance(ids, pa.Array) else ids
    return np.fromiter((zlib.crc32(str(one).encode("utf-8", "replace")) for one in listed), np.int64, len(listed))


def row_keys(users: np.ndarray) -> np.ndarray:
    """What `is_ahead` takes for rows of users' numbers, int64 (rows,)."""
    return _mixed(np.asarray(users).astype(np.uint32) ^ np.uint32(_MIX)).astype(np.int64)


def _mixed(value: np.ndarray) -> np.ndarray:
    """A bijection of uint32 that scatters neighbours (the finaliser of MurmurHash3)."""
    value = value ^ (value >> np.uint32(16))
    value = value * np.uint32(_MIX)
    value ^= value >> np.uint32(13)
    value *= np.uint32(_MIX_2)
    value ^= value >> np.uint32(16)
    return value


@compiled
def _mixed_one(value):
    value = np.uint32(value ^ np.uint32(value >> 16))
    value = np.uint32(np.uint64(value) * np.uint64(_MIX))
    value = np.uint32(value ^ np.uint32(value >> 13))
    value = np.uint32(np.uint64(value) * np.uint64(_MIX_2))
    return np.uint32(value ^ np.uint32(value >> 16))


@compiled
def _hashed(key, item, seed):
    column = _mixed_one(np.uint32(np.uint64(item) + np.uint64(seed) * np.uint64(_GOLDEN)))
    return _mixed_one(np.uint32(column ^ np.uint32(key)))


@compiled
def is_ahead(key, item, other, seed):
    """Whether, of two items of equal score, the first one is listed first for the row of a key."""
    return _hashed(key, item, seed) > _hashed(key, other, seed)
