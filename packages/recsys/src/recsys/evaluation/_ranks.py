"""Exact ranks of targets among all candidates: one sorted row serves all targets of a user.

Equal scores are ordered by a hash, as in lists, so a constant scorer ranks by chance.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recsys.data._order import is_ahead, row_keys
from recsys.data._untyped import compiled
from recsys.recommender._rows import threads

_ROWS = 16  # rows that one thread ranks at a time


def rank_targets(
    scores: np.ndarray, rows: np.ndarray, items: np.ndarray, users: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rank, from 1, of each target in its row, and how many candidates each row has.

    Args:
        scores: float32 (rows, items); -inf marks what is no candidate. NaN is refused by the caller.
        rows, items: row and item of each target, int (t,).
        users: a number for each row that fixes its tie order, whatever block it is in; int (rows,).
        seed: of the tie order; lists have that of 0.
    Returns: int64 (t,), 0 for a target that is no candidate; int64 (rows,).
    """
    order = np.lexsort((scores[rows, items], rows))
    row, item = np.asarray(rows)[order], np.asarray(items)[order].astype(np.int64)
    ends = np.searchsorted(row, np.arange(len(scores) + 1))
    found, candidates = np.empty(len(row), np.int64), np.empty(len(scores), np.int64)
    keys = row_keys(users)

    def rank(start: int) -> None:
        stop = min(start + _ROWS, len(scores))
        ordered = np.sort(scores[start:stop], axis=1)
        _rank_rows(scores, ordered, ends, item, keys, seed & 0xFFFFFFFF, start, stop, found, candidates)

    starts = range(0, len(scores), _ROWS)
    if threads() > 1 and len(starts) > 1:
        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(rank, starts))
    else:
        for start in starts:
            rank(start)
    ranks = np.empty(len(row), np.int64)
    ranks[order] = found
    return ranks, candidates


@compiled
def _rank_rows(scores, ordered, ends, items, keys, seed, first, last, ranks, candidates):
    """Ranks from sorted rows; targets stand by row, within a row by score. Only equal scores need another pass."""
    for r in range(first, last):
        row, sorted_row = scores[r], ordered[r - first]
        n = len(row)
        candidates[r] = n - np.searchsorted(sorted_row, np.float32(-np.inf), side="right")
        start = ends[r]
        while start < ends[r + 1]:
            score = row[items[start]]
            stop = start + 1
            while stop < ends[r + 1] and row[items[stop]] == score:
                stop += 1
            above = n - np.searchsorted(sorted_row, score, side="right")
            for place in range(start, stop):
                ranks[place] = 0 if score == -np.inf else above + 1
            if score != -np.inf and n - above - np.searchsorted(sorted_row, score) > 1:
                for item in range(n):
                    if row[item] == score:
                        for place in range(start, stop):
                            if items[place] != item and is_ahead(keys[r], item, items[place], seed):
                                ranks[place] += 1
            start = stop
