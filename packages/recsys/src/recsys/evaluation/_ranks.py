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
    ranks = np.empty(len(rows), np.int64)
    step = max(1, _CHUNK // max(1, scores.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        ranks[part] = _ranks(scores, rows[part], items[part], users, seed)
    return ranks


def _ranks(scores: np.ndarray, rows: np.ndarray, items: np.ndarray, users: np.ndarray, seed: int) -> np.ndarray:
    beside, own = scores[rows], scores[rows, items]
    ranks = np.count_nonzero(beside > own[:, None], axis=1) + 1
    same = (beside == own[:, None]) & np.isfinite(own)[:, None]
    tied = np.flatnonzero(np.count_nonzero(same, axis=1) > 1)
    if len(tied):  # hashes are needed for these alone: with most models there is none
        target, item = np.nonzero(same[tied])
        line = np.asarray(users)[rows[tied]]
        ahead = _hash(line[target], item, seed) > _hash(line, items[tied], seed)[target]
        ranks[tied] += np.bincount(target, weights=ahead, minlength=len(tied)).astype(np.int64)
    ranks[np.isneginf(own)] = 0
    return ranks


def _hash(users: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
    """uint32 (n,) by user and item: of equal scores the one with the greater hash is ahead."""
    columns = _mix(np.asarray(items).astype(np.uint32) + np.uint32((seed * 0x9E3779B1) & 0xFFFFFFFF))
    return _mix(columns ^ _mix(np.asarray(users).astype(np.uint32) ^ np.uint32(0x85EBCA6B)))


def _mix(value: np.ndarray) -> np.ndarray:
    """A bijection of uint32 that scatters neighbours (the finaliser of MurmurHash3)."""
    value = value ^ (value >> np.uint32(16))
    value = value * np.uint32(0x85EBCA6B)
    value ^= value >> np.uint32(13)
    value *= np.uint32(0xC2B2AE35)
    value ^= value >> np.uint32(16)
    return value
