"""A router in closed form: which task an input belongs to, from all queries that are there, without a training loop.

Ridge regression of the tasks' indicators on a kernel of two parts: a Gaussian one on features of several layers (mean
over tokens, centred, of length one, the cosines averaged over layers) and the cosine of weighted words and pairs of
neighbouring words. The weight of words, the width and the ridge are those of the most queries that are assigned to
their own task when each is left out in turn, which the inverse of the kernel gives without a second fit. What is
common to all queries, their mean and the rarity of each word, stays as it is meanwhile.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tswitch.routing._words import Words

WORDS = (0.0, 0.3, 1.0)  # weight of the words' cosine compared with the features' Gaussian kernel
WIDTHS = (1.0, 2.0)  # exponent of the Gaussian kernel: exp(width * (cosine - 1))
RIDGES = (0.01, 0.03, 0.1, 0.3)
FEW = 1200  # queries of all tasks among which the three are chosen: its cost grows with the cube of their number
MOST = 4800  # queries of all tasks that are used: the kernel of so many takes 184 MB
_BLOCK = 256  # texts at a time in products of words


@dataclass(frozen=True)
class Queries:
    """Inputs of one task, without labels.

    Attributes:
        features: (inputs, layers, F) float32, of each input after each of some layers.
        words: of the inputs, where these are texts.
    """

    features: np.ndarray
    words: Words | None = None

    def take(self, rows: np.ndarray) -> Queries:
        """Some of them."""
        return Queries(self.features[rows], None if self.words is None else self.words.take(rows))

    def first(self, most: int) -> Queries:
        """At most so many of them."""
        return self.take(np.arange(len(self.features))[:most])


class ClosedForm:
    """Scores of all tasks for an input; they are near one for the input's own task and near zero for others.

    Args:
        queries: of each task, in random order; of more than `MOST` the first ones of each task are used. Words count
            where all tasks have them.

    Attributes:
        tasks: the columns of scores.
        words, width, ridge: the settings that were chosen.
        left_out: per cent of the first `FEW` queries, shared among the tasks, that are assigned to their own task when
            left out.
    """

    def __init__(self, queries: Mapping[str, Queries]) -> None:
        self.tasks = list(queries)
        few = shared(queries, FEW)
        self._take(few)
        targets = self._targets(few)
        own = targets.argmax(1)
        best = (-1.0, 0.0, 0.0, 0.0)
        for words, width in itertools.product(WORDS if self._stored_words is not None else (0.0,), WIDTHS):
            values, vectors = np.linalg.eigh(self._kernel(few, words, width, own=True))
            for ridge in RIDGES:
                inverse = (vectors / (values + ridge)) @ vectors.T
                without = targets - (inverse @ targets) / np.diag(inverse)[:, None]
                best = max(best, (100 * float((without.argmax(1) == own).mean()), words, width, ridge))
        self.left_out, self.words, self.width, self.ridge = best
        every = shared(queries, MOST)
        self._take(every)
        kernel = self._kernel(every, self.words, self.width, own=True)
        kernel[np.diag_indices_from(kernel)] += self.ridge
        self._weights = np.linalg.solve(kernel, self._targets(every))

    def scores(self, inputs: Queries) -> np.ndarray:
        """(inputs, tasks) float64. Inputs must have words where the weight of words is not zero."""
        return self._kernel([inputs], self.words, self.width) @ self._weights

    def _targets(self, held: Sequence[Queries]) -> np.ndarray:
        return np.repeat(np.eye(len(held)), [len(one.features) for one in held], axis=0)

    def _take(self, held: Sequence[Queries]) -> None:
        """Keep what kernels need of these queries."""
        stored = np.concatenate([one.features for one in held])
        self._center = stored.mean(0)
        self._stored = self._unit(stored)
        found = [one.words for one in held if one.words is not None]
        self._stored_words: Tensor | None = None
        if len(found) == len(held):
            words = Words.join(found)
            self._known, inside = np.unique(words.ids, return_counts=True)
            self._rarity = np.log((1 + len(words)) / (1 + inside)) + 1
            self._strange = float(np.log(1 + len(words)) + 1)  # rarity of a word that no query has
            self._shared = inside > 1  # a word of one query alone lengthens its text, and is not matched
            self._stored_words = self._bags(words)

    def _unit(self, features: np.ndarray) -> np.ndarray:
        away = features - self._center
        return away / np.maximum(np.linalg.norm(away, axis=2, keepdims=True), 1e-12)

    def _bags(self, words: Words) -> Tensor:
        """(texts, known words) sparse float32: weights of the words of a text, whose length over all is one."""
        rows, count = words.rows, len(self._known)
        places = np.minimum(np.searchsorted(self._known, words.ids), max(count - 1, 0))
        known = self._known[places] == words.ids if count else np.zeros(len(rows), bool)
        weights = np.log1p(words.counts) * self._strange
        weights[known] = np.log1p(words.counts[known]) * self._rarity[places[known]]
        lengths = np.maximum(np.sqrt(np.bincount(rows, weights**2, len(words))), 1e-12)
        kept = np.flatnonzero(known)
        kept = kept[self._shared[places[kept]]]
        where = torch.from_numpy(np.stack([rows[kept], places[kept]]))
        values = torch.from_numpy((weights[kept] / lengths[rows[kept]]).astype(np.float32))
        return torch.sparse_coo_tensor(where, values, (len(words), count), check_invariants=True).coalesce()

    def _kernel(self, held: Sequence[Queries], words: float, width: float, *, own: bool = False) -> np.ndarray:
        """(inputs, stored) float64; `own`: of the stored queries themselves."""
        unit = self._stored if own else self._unit(np.concatenate([one.features for one in held]))
        layers = unit.shape[1]
        cosine = unit.reshape(len(unit), -1) @ self._stored.reshape(len(self._stored), -1).T / layers
        kernel = np.exp(width * (cosine.astype(np.float64) - 1))
        if words and self._stored_words is not None:
            found = Words.join([one.words for one in held if one.words is not None])
            bags = self._stored_words if own else self._bags(found)
            for start in range(0, len(kernel), _BLOCK):
                block = bags.index_select(0, torch.arange(start, min(start + _BLOCK, len(kernel)))).to_dense()
                kernel[start : start + _BLOCK] += words * torch.sparse.mm(self._stored_words, block.T).T.numpy()
        return kernel


def shared(queries: Mapping[str, Queries], most: int) -> list[Queries]:
    """The first queries of each task, as many of each as there are, so that all together are at most `most`."""
    return [held.first(share(queries, most)) for held in queries.values()]


def share(queries: Mapping[str, Queries], most: int) -> int:
    """The largest number of queries of a task with which all tasks together keep at most `most`; at least one."""
    left, sizes = most, sorted(len(held.features) for held in queries.values())
    for place, size in enumerate(sizes):
        if size * (len(sizes) - place) > left:
            return max(left // (len(sizes) - place), 1)
        left -= size
    return sizes[-1]
