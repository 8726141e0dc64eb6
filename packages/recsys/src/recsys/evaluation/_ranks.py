"""Exact ranks of targets among all candidates, in one compiled pass over each row of scores.

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
) -> np.ndarray:
    """Rank, from 1, of each target in its row.

    Args:
        scores: float32 (rows, items); -inf marks what is no candidate. NaN is refused by the caller.
        rows, items: row and item of each target, int (t,).
        users: a number for each row that fixes its tie order, whatever block it is in; int (rows,).
        seed: of the tie order; lists have that of 0.
    Returns: int64 (t,); 0 for a target that is no candidate.
    """
    order = np.lexsort((scores[rows, items], rows))
    row, item = np.asarray(rows)[order], np.asarray(items)[order].astype(np.int64)
    ends = np.searchsorted(row, np.arange(len(scores) + 1))
    found, keys = np.empty(len(row), np.int64), row_keys(users)

    def rank(start: int) -> None:
        _rank_rows(scores, ends, item, keys, seed & 0xFFFFFFFF, start, min(start + _ROWS, len(scores)), found)

    starts = range(0, len(scores), _ROWS)
    if threads() > 1 and len(starts) > 1:
        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(rank, starts))
    else:
        for start in starts:
            rank(start)
    ranks = np.empty(len(row), np.int64)
    ranks[order] = found
    return ranks


@compiled
def _rank_rows(scores, ends, items, keys, seed, first, last, ranks):
    """Targets stand by row, within a row by score: each item raises the count of the targets that it is ahead of."""
    for r in range(first, last):
        start, stop = ends[r], ends[r + 1]
        if start == stop:
            continue
        row, n = scores[r], stop - start
        own = np.empty(n, np.float32)
        for place in range(n):
            own[place] = row[items[start + place]]
            ranks[start + place] = 0
        above = np.zeros(n + 1, np.int64)
        lowest = own[0]
        for item in range(len(row)):
            score = row[item]
            if score < lowest or score == -np.inf:
                continue
            low, high = 0, n
            while low < high:  # targets of a lower score
                middle = (low + high) >> 1
                if own[middle] < score:
                    low = middle + 1
                else:
                    high = middle
            above[low] += 1
            while low < n and own[low] == score:
                target = items[start + low]
                if target != item and is_ahead(keys[r], item, target, seed):
                    ranks[start + low] += 1
                low += 1
        greater = 0
        for place in range(n - 1, -1, -1):
            greater += above[place + 1]
            ranks[start + place] = 0 if own[place] == -np.inf else ranks[start + place] + greater + 1
