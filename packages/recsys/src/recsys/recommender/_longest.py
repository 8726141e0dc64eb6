"""The greatest inner products of each query, exact, from the longest vectors alone where these are enough.

No inner product exceeds the product of both lengths (Cauchy and Schwarz). So once k of the longest items score above
that bound with the next shorter one, no other item belongs on the list (LEMP, Teflioudi et al., SIGMOD 2015). Factor
models give popular items vectors longer by far: of a million items the longest 10,000 held every list.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from recsys.recommender._topk import Filter, Lists, filled, list_dense, packed

_ROWS, _ITEMS = 64, 20_000  # with fewer, lengths cost more than they save
_FEWEST, _MORE = 1024, 8  # items of the first try, and how many times as many the next one has
_PROBE = 64  # rows that say whether a try is worth its while


def top_of_factors(queries: np.ndarray, items: np.ndarray, k: int, rules: Filter | None = None) -> Lists:
    """The k greatest inner products of each query, float32 (rows, d), with all items, float32 (items, d).

    Equal scores are ordered by user and item (`Filter.users`), or else by item index.
    """
    queries, items, rules = np.asarray(queries, np.float32), np.asarray(items, np.float32), rules or Filter()
    rules.check(len(queries), len(items))
    k = min(k, len(items))
    if len(queries) < _ROWS or len(items) < _ITEMS or rules.among is not None:
        return packed(*_list(queries, items, k, rules))
    lengths = np.sqrt(np.einsum("id,id->i", items, items, dtype=np.float64))
    if rules.scale is not None:
        lengths *= rules.scale  # a positive score's factor; a list that ends above 0 has no others
    rows = len(queries)
    found = np.empty((rows, k), np.int32), np.empty((rows, k), np.float32), np.zeros(rows, np.int64)
    left = np.arange(rows)
    for width in _widths(len(items), k):
        if len(left) >= _ROWS:
            left = _list_longest(queries, items, lengths, width, rules, left, found)
    if len(left) == rows:
        return packed(*_list(queries, items, k, rules))
    if len(left):
        _put(found, left, _list(queries[left], items, k, _rows_of(rules, left)))
    return packed(*found)


def _widths(items: int, k: int) -> Iterator[int]:
    width = max(_FEWEST, items // 64, 4 * k)
    while width <= items // 4:
        yield width
        width *= _MORE


def _list_longest(
    queries: np.ndarray, items: np.ndarray, lengths: np.ndarray, width: int, rules: Filter, left: np.ndarray,
    found: tuple[np.ndarray, ...],
) -> np.ndarray:  # fmt: skip
    """List rows from the items that are longest, and return the rows for which these are not enough."""
    by_length = np.argpartition(lengths, len(lengths) - width - 1)
    longest, next_one = np.sort(by_length[-width:]), float(lengths[by_length[-width - 1]])  # by code, as ties go
    vectors = items[longest]

    def enough(rows: np.ndarray) -> np.ndarray:
        places, scores, counts = _list(queries[rows], vectors, found[0].shape[1], _rows_of(rules, rows, longest))
        own = np.sqrt(np.einsum("rd,rd->r", queries[rows], queries[rows], dtype=np.float64))
        bound = own * next_one * (1 + 1e-6 * queries.shape[1])  # float32 may round a product up
        fits = (counts == scores.shape[1]) & (scores[:, -1] > bound)
        if rules.falls_back is not None:
            fits &= ~rules.falls_back[rows]
        _put(found, rows[fits], (longest[places[fits]], scores[fits], counts[fits]))
        return fits

    probe = left[:: max(1, len(left) // _PROBE)]
    fits = enough(probe)
    if fits.mean() < 0.5:
        return np.setdiff1d(left, probe[fits], assume_unique=True)
    others = np.setdiff1d(left, probe, assume_unique=True)
    return np.sort(np.concatenate([probe[~fits], others[~enough(others)]]))


def _list(queries: np.ndarray, items: np.ndarray, k: int, rules: Filter) -> tuple[np.ndarray, ...]:
    right = items.T

    def fill(rows: slice, *out: np.ndarray) -> None:
        list_dense(queries[rows] @ right, *rules.arrays(rows), *out)

    return filled(len(queries), k, fill)


def _put(found: tuple[np.ndarray, ...], rows: np.ndarray, lists: tuple[np.ndarray, ...]) -> None:
    for whole, part in zip(found, lists, strict=True):
        whole[rows] = part


def _rows_of(rules: Filter, rows: np.ndarray, longest: np.ndarray | None = None) -> Filter:
    """What the lists of some rows may hold, and, if `longest` names some items, only of these."""

    def of_items(flags: np.ndarray | None) -> np.ndarray | None:
        return flags if flags is None or longest is None else flags[longest]

    hidden = rules.hidden
    if hidden is not None:
        hidden = sp.csr_matrix((hidden.data, hidden.indices, hidden.indptr), hidden.shape)[rows]
        hidden = hidden if longest is None else hidden[:, longest]
    return Filter(
        hidden=hidden, allowed=of_items(rules.allowed), skips_zeros=rules.skips_zeros, scale=of_items(rules.scale),
        falls_back=None if rules.falls_back is None else rules.falls_back[rows], fallback=of_items(rules.fallback),
        users=None if rules.users is None else rules.users[rows], codes=longest,
    )  # fmt: skip
