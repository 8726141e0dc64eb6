"""Exact ranks of targets among all candidates. Ties are broken by a hash, so a constant scorer ranks by chance."""

from __future__ import annotations

import numpy as np

_CHUNK = 1 << 24  # compared keys at a time


def rank_targets(
    scores: np.ndarray, rows: np.ndarray, items: np.ndarray, users: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Rank, from 1, of each target in its row.

    Args:
        scores: float32 (rows, items); -inf marks what is no candidate. NaN is refused by the caller.
        rows, items: row and item of each target, int (t,).
        users: a number for each row that fixes its tie order, whatever block it is in; int (rows,).
        seed: of the tie order.
    Returns: int64 (t,); 0 for a target that is no candidate.
    """
    keys = _keys(scores, users, seed)
    own = keys[rows, items]
    ranks = np.empty(len(rows), np.int64)
    step = max(1, _CHUNK // max(1, keys.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        ranks[part] = (keys[rows[part]] > own[part, None]).sum(axis=1) + 1
    ranks[np.isneginf(scores[rows, items])] = 0
    return ranks


def _keys(scores: np.ndarray, users: np.ndarray, seed: int) -> np.ndarray:
    """uint64 keys that sort as (score, hash of user and item): the float's bits above, the hash below."""
    bits = (np.ascontiguousarray(scores, np.float32) + np.float32(0)).view(np.uint32)  # + 0 turns -0 into 0
    ordered = np.where(bits >> 31 == 0, bits | np.uint32(1 << 31), ~bits)
    columns = _mix(np.arange(scores.shape[1], dtype=np.uint32) + np.uint32((seed * 0x9E3779B1) & 0xFFFFFFFF))
    lines = _mix(np.asarray(users).astype(np.uint32) ^ np.uint32(0x85EBCA6B))
    return (ordered.astype(np.uint64) << np.uint64(32)) | _mix(columns[None, :] ^ lines[:, None])


def _mix(value: np.ndarray) -> np.ndarray:
    """A bijection of uint32 that scatters neighbours (the finaliser of MurmurHash3)."""
    value = value ^ (value >> np.uint32(16))
    value = value * np.uint32(0x85EBCA6B)
    value ^= value >> np.uint32(13)
    value *= np.uint32(0xC2B2AE35)
    value ^= value >> np.uint32(16)
    return value
