"""The k best items of each row, compiled: never an item that is filtered, repeated or padding.

Scores come as a table, as inner products of vectors, or as the product of two sparse matrices. All three are listed by
the same few functions, which leave out what is hidden from a row, keep to a row's candidates, and give rows of which
nothing is known the fallback's list.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._order import is_ahead, row_keys
from recsys.data._untyped import Csr, compiled
from recsys.recommender._rows import threads
from recsys.recommender._sound import Pairs, sound

_BLOCK = 256  # rows whose scores are held at a time by one thread
_NO_INDEX, _NO_POINTER = np.empty(0, np.int32), np.empty(0, np.int64)
_NO_FLAG, _NO_SCORE = np.empty(0, np.bool_), np.empty(0, np.float32)


@dataclass(frozen=True)
class Filter:
    """What lists may hold. `check` is done before a compiled function reads it.

    Attributes:
        hidden: rows by items, CSR, stored where an item is never listed for the row.
        allowed: items that may be listed, bool (items,); all if None.
        among: rows by items, CSR: each row's only candidates; all items if None.
        skips_zeros: a score of 0 says nothing, and is not listed.
        scale: factor of each item's positive scores, by which negative ones are divided, float32 (items,); or None.
        falls_back: rows that get the fallback's scores instead of their own, bool (rows,); none if None.
        fallback: scores of those rows, float32 (items,), -inf where nothing is listed.
        users: a number of each row's user, int (rows,), by which equal scores are ordered (`tie_keys`); None: the lower
            index first, as for neighbours of items.
        codes: item of each column, int (items,), where columns are some of the items only; None: its index.
    """

    hidden: Csr | Pairs | None = None
    allowed: np.ndarray | None = None
    among: Csr | None = None
    skips_zeros: bool = False
    scale: np.ndarray | None = None
    falls_back: np.ndarray | None = None
    fallback: np.ndarray | None = None
    users: np.ndarray | None = None
    codes: np.ndarray | None = None

    def check(self, rows: int, items: int) -> None:
        """InputError unless all fits lists of so many rows and items: compiled code trusts what it is given."""
        for matrix, name in ((self.hidden, "hidden"), (self.among, "candidates")):
            if matrix is not None and sound(matrix).shape != (rows, items):
                raise InputError(name, got=f"shape {matrix.shape}", expected=f"({rows}, {items})")
        for flags, name in ((self.allowed, "allowed"), (self.scale, "scale"), (self.fallback, "fallback")):
            if flags is not None and flags.shape != (items,):
                raise InputError(name, got=f"shape {flags.shape}", expected=f"({items},)")
        if self.falls_back is not None and (self.falls_back.shape != (rows,) or self.fallback is None):
            raise InputError("falls_back", got=f"shape {self.falls_back.shape}", expected=f"({rows},) and a fallback")
        if self.users is not None and self.users.shape != (rows,):
            raise InputError("users", got=f"shape {self.users.shape}", expected=f"({rows},)")

    def arrays(self, rows: slice) -> tuple[Any, ...]:
        """What the compiled functions take, for some rows."""
        return (
            *_pointers(self.hidden, rows),
            *_pointers(self.among, rows),
            _NO_FLAG if self.allowed is None else self.allowed,
            self.skips_zeros,
            _NO_SCORE if self.scale is None else self.scale,
            _NO_FLAG if self.falls_back is None else self.falls_back[rows],
            _NO_SCORE if self.fallback is None else np.asarray(self.fallback, np.float32),
            _NO_POINTER if self.users is None else row_keys(self.users[rows]),
            _NO_POINTER if self.codes is None else np.asarray(self.codes, np.int64),
        )


@dataclass(frozen=True)
class Lists:
    """Lists of many rows, one after the other, best first.

    Attributes:
        counts: length of each row's list, int64 (rows,).
        item: item codes, int32 (total,).
        score: float32 (total,).
    """

    counts: np.ndarray
    item: np.ndarray
    score: np.ndarray

    @property
    def row(self) -> np.ndarray:
        """Row of each entry, int64 (total,)."""
        return self._places[0]

    @property
    def rank(self) -> np.ndarray:
        """Rank of each entry in its list from 1, int32 (total,)."""
        return self._places[1]

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return _rows_and_ranks(self.counts, len(self.item))

    def where(self, kept: np.ndarray) -> Lists:
        """The entries where `kept`, bool (total,), holds; ranks close up."""
        counts = np.bincount(self.row[kept], minlength=len(self.counts))
        return Lists(counts, self.item[kept], self.score[kept])

    def matrix(self, items: int) -> Csr:
        """Scores at the listed items, CSR (rows, items) with sorted indices."""
        indptr = np.concatenate([[0], np.cumsum(self.counts)])
        matrix = sp.csr_matrix((self.score, self.item, indptr), shape=(len(self.counts), items))
        matrix.sort_indices()
        return matrix


def top_of_scores(scores: np.ndarray, k: int, rules: Filter | None = None) -> Lists:
    """The k greatest of each row of scores, float32 (rows, items), which are changed; -inf is never listed.

    Equal scores are ordered by user and item (`Filter.users`), or else by item index.
    """
    scores = np.ascontiguousarray(scores, np.float32)
    rules = rules or Filter()
    rules.check(*scores.shape)

    def fill(rows: slice, *out: np.ndarray) -> None:
        list_dense(scores[rows], *rules.arrays(rows), *out)

    return _listed(len(scores), min(k, scores.shape[1]), fill)


def top_of_product(left: Csr | Pairs, right: Csr, k: int, rules: Filter | None = None) -> Lists:
    """The k greatest entries of each row of `left` (rows, n) times `right` (n, items), CSR; zeros are not listed."""
    rules = rules or Filter()
    if sound(left).shape[1] != sound(right).shape[0]:
        raise InputError("product", got=f"{left.shape} times {right.shape}", expected="inner sizes that are equal")
    rules.check(left.shape[0], right.shape[1])
    weights = np.asarray(right.indptr, np.int64), right.indices, np.asarray(right.data, np.float32)
    values = np.asarray(left.data, np.float32)
    pointers = np.asarray(left.indptr, np.int64)

    def fill(rows: slice, *out: np.ndarray) -> None:
        part = pointers[rows.start : rows.stop + 1]
        _list_sparse(part, left.indices, values, *weights, right.shape[1], *rules.arrays(rows), *out)

    return _listed(left.shape[0], min(k, right.shape[1]), fill)


def best_of_rows(matrix: Csr, k: int, *, but_diagonal: bool = False) -> Csr:
    """The k greatest entries of each row that are not 0, CSR; without those on the diagonal if asked for."""
    rows = matrix.shape[0]
    rules = Filter(hidden=sp.identity(rows, format="csr")) if but_diagonal else Filter()
    return top_of_product(sp.identity(rows, format="csr"), matrix, k, rules).matrix(matrix.shape[1])


def _listed(rows: int, k: int, fill: Callable[..., None]) -> Lists:
    return packed(*filled(rows, k, fill))


def filled(rows: int, k: int, fill: Callable[..., None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(items, scores, counts) of all rows from a function that fills them for a block of rows, on all threads."""
    items, scores = np.empty((rows, k), np.int32), np.empty((rows, k), np.float32)
    counts = np.zeros(rows, np.int64)

    def block(start: int) -> None:
        part = slice(start, min(start + _BLOCK, rows))
        fill(part, items[part], scores[part], counts[part])

    starts = range(0, rows, _BLOCK)
    if rows <= _BLOCK:
        fill(slice(0, rows), items, scores, counts)
    elif threads() > 1:
        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(block, starts))
    else:
        for start in starts:
            block(start)
    return items, scores, counts


def packed(items: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> Lists:
    """Lists of (rows, k) places, of which each row has filled its first `counts`."""
    k = items.shape[1]
    if np.count_nonzero(counts == k) == len(counts):
        return Lists(counts, items.reshape(-1), scores.reshape(-1))
    real = np.arange(k) < counts[:, None]
    return Lists(counts, items[real], scores[real])


def _pointers(matrix: Csr | Pairs | None, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    if matrix is None:
        return _NO_POINTER, _NO_INDEX
    return np.asarray(matrix.indptr[rows.start : rows.stop + 1], np.int64), np.asarray(matrix.indices, np.int32)


# --- compiled ---


@compiled
def _rows_and_ranks(counts, total):
    row, rank, at = np.empty(total, np.int64), np.empty(total, np.int32), 0
    for r in range(len(counts)):
        for place in range(min(counts[r], total - at)):
            row[at], rank[at] = r, place + 1
            at += 1
    return row, rank


@compiled
def _is_worse(score, item, other_score, other_item, key, codes):
    """Whether an entry is listed after another; `key` is that of `row_keys`, or -1: the lower index first."""
    if score != other_score:
        return score < other_score
    if key < 0:
        return item > other_item
    if len(codes) > 0:
        return is_ahead(key, codes[other_item], codes[item], 0)
    return is_ahead(key, other_item, item, 0)


@compiled
def _sift_down(scores, items, size, score, item, key, codes):
    """Put an entry at the root of a heap whose root is the worst, and let it sink to its place."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _is_worse(scores[child + 1], items[child + 1], scores[child], items[child], key, codes):
            child += 1
        if not _is_worse(scores[child], items[child], score, item, key, codes):
            break
        scores[at], items[at] = scores[child], items[child]
        at = child
    scores[at], items[at] = score, item


@compiled
def _pick(row, candidates, takes_all, allowed, skips_zeros, key, codes, items, scores):
    """Write the best entries of a row, best first, and return how many; `row` is -inf where nothing may be listed."""
    k, size = len(items), 0
    bound = np.float32(-np.inf)  # what an entry must exceed once the list is full
    for place in range(len(row) if takes_all else len(candidates)):
        item = place if takes_all else candidates[place]
        score = row[item]
        if score < bound or score == -np.inf or score != score:
            continue
        if (skips_zeros and score == 0) or (len(allowed) > 0 and not allowed[item]):
            continue
        if size < k:
            at = size
            size += 1
            while at > 0:
                parent = (at - 1) >> 1
                if not _is_worse(score, item, scores[parent], items[parent], key, codes):
                    break
                scores[at], items[at] = scores[parent], items[parent]
                at = parent
            scores[at], items[at] = score, item
            if size == k:
                bound = scores[0]
        elif _is_worse(scores[0], items[0], score, item, key, codes):
            _sift_down(scores, items, size, score, item, key, codes)
            bound = scores[0]
    for end in range(size - 1, 0, -1):
        score, item = scores[end], items[end]
        scores[end], items[end] = scores[0], items[0]
        _sift_down(scores, items, end, score, item, key, codes)
    return size


@compiled
def _scale_row(row, scale):
    for item in range(len(row)):
        row[item] = row[item] * scale[item] if row[item] > 0 else row[item] / scale[item]


@compiled
def _set_hidden(row, hidden_at, hidden, r, value):
    if len(hidden_at) > 0:
        for place in range(hidden_at[r], hidden_at[r + 1]):
            row[hidden[place]] = value


@compiled
def list_dense(
    table,
    hidden_at,
    hidden,
    among_at,
    among,
    allowed,
    skips_zeros,
    scale,
    falls_back,
    fallback,
    keys,
    codes,
    items,
    scores,
    counts,
):
    for r in range(len(table)):
        key = keys[r] if len(keys) > 0 else -1
        falls = len(falls_back) > 0 and falls_back[r]
        row = fallback.copy() if falls else table[r]
        if len(scale) > 0 and not falls:
            _scale_row(row, scale)
        _set_hidden(row, hidden_at, hidden, r, -np.inf)
        own = among[among_at[r] : among_at[r + 1]] if len(among_at) > 0 else among
        counts[r] = _pick(
            row, own, len(among_at) == 0, allowed, skips_zeros and not falls, key, codes, items[r], scores[r]
        )


@compiled
def _list_sparse(
    left_at, left, left_value, right_at, right, right_value, size,
    hidden_at, hidden, among_at, among, allowed, skips_zeros, scale, falls_back, fallback, keys,  # noqa: ARG001
    codes, items, scores, counts,
):  # fmt: skip
    total, is_touched = np.zeros(size, np.float32), np.zeros(size, np.bool_)
    touched = np.empty(size, np.int32)
    for r in range(len(counts)):
        key = keys[r] if len(keys) > 0 else -1
        own = among[among_at[r] : among_at[r + 1]] if len(among_at) > 0 else among
        if len(falls_back) > 0 and falls_back[r]:
            row = fallback.copy()
            _set_hidden(row, hidden_at, hidden, r, -np.inf)
            counts[r] = _pick(row, own, len(among_at) == 0, allowed, False, key, codes, items[r], scores[r])
            continue
        many = 0
        for place in range(left_at[r], left_at[r + 1]):
            many += right_at[left[place] + 1] - right_at[left[place]]
        if many >= size:  # most items have a score: which have one need not be known
            for place in range(left_at[r], left_at[r + 1]):
                value, through = left_value[place], left[place]
                for at in range(right_at[through], right_at[through + 1]):
                    total[right[at]] += value * right_value[at]
            if len(scale) > 0:
                _scale_row(total, scale)
            _set_hidden(total, hidden_at, hidden, r, -np.inf)
            counts[r] = _pick(total, own, len(among_at) == 0, allowed, True, key, codes, items[r], scores[r])
            total[:] = 0
            continue
        many = 0
        for place in range(left_at[r], left_at[r + 1]):
            value, through = left_value[place], left[place]
            for at in range(right_at[through], right_at[through + 1]):
                item = right[at]
                if not is_touched[item]:
                    is_touched[item] = True
                    touched[many] = item
                    many += 1
                total[item] += value * right_value[at]
        if len(scale) > 0:
            for place in range(many):
                item = touched[place]
                total[item] = total[item] * scale[item] if total[item] > 0 else total[item] / scale[item]
        _set_hidden(total, hidden_at, hidden, r, -np.inf)
        candidates = own if len(among_at) > 0 else touched[:many]
        counts[r] = _pick(total, candidates, False, allowed, True, key, codes, items[r], scores[r])
        for place in range(many):
            total[touched[place]] = 0
            is_touched[touched[place]] = False
        _set_hidden(total, hidden_at, hidden, r, 0.0)
