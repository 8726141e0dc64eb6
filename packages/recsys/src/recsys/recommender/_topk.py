"""The k best items of each row, exactly: never an item that is filtered, repeated or padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from implicit.cpu.topk import topk as factor_topk

from recsys.data._untyped import Csr

_MASKED = np.float32(-3e38)  # what implicit's kernel gives filtered items lies below


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
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def rank(self) -> np.ndarray:
        """Rank of each entry in its list from 1, int32 (total,)."""
        starts = np.cumsum(self.counts) - self.counts
        return (np.arange(len(self.item)) - np.repeat(starts, self.counts) + 1).astype(np.int32)


def top_of_scores(scores: np.ndarray, k: int) -> Lists:
    """The k greatest of each row of scores, float32 (rows, items); -inf is never listed. Ties: lower code first."""
    k = min(k, scores.shape[1])
    if k == scores.shape[1]:
        best = np.broadcast_to(np.arange(k), scores.shape)
    else:
        best = np.sort(np.argpartition(scores, -k, axis=1)[:, -k:], axis=1)
        least = np.take_along_axis(scores, best, axis=1).min(axis=1)
        tied = np.flatnonzero(((scores >= least[:, None]).sum(axis=1) > k) & ~np.isneginf(least))
        best[tied] = np.sort(np.argsort(-scores[tied], axis=1, kind="stable")[:, :k], axis=1)
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return _cleaned(np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1))


def top_of_factors(queries: np.ndarray, items: np.ndarray, k: int, hidden: Csr | None, threads: int = 0) -> Lists:
    """The k greatest inner products of each query with all items, by implicit's kernel, then cleaned.

    Args:
        queries: float32 (rows, d).
        items: float32 (n, d).
        k: length of the lists; n bounds it (the kernel would repeat item 0).
        hidden: rows by items, nonzero where an item must not be listed (the kernel would list them at -3.4e38).
    """
    found, scores = factor_topk(
        np.ascontiguousarray(items, np.float32),
        np.ascontiguousarray(queries, np.float32),
        min(k, len(items)),
        filter_query_items=hidden,
        num_threads=threads,
    )
    return _cleaned(found, scores)


def _cleaned(items: np.ndarray, scores: np.ndarray) -> Lists:
    real = scores > _MASKED
    return Lists(real.sum(axis=1), items[real].astype(np.int32, copy=False), scores[real])
