"""A router in closed form: which task an input belongs to, from all queries that are there, without a training loop.

Ridge regression of the tasks' indicators on a kernel of two parts: a Gaussian one on features of several layers (mean
over tokens, centred, of length one, the cosines averaged over layers) and the cosine of weighted words and pairs of
neighbouring words. The weight of words, the width and the ridge are those of the most queries that are assigned to
their own task when each is left out in turn, which the inverse of the kernel gives without a second fit.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WORDS = (0.0, 0.3, 1.0)  # weight of the words' cosine compared with the features' Gaussian kernel
WIDTHS = (1.0, 2.0)  # exponent of the Gaussian kernel: exp(width * (cosine - 1))
RIDGES = (0.01, 0.03, 0.1, 0.3)
_MOST = 100  # queries of a task among which the three are chosen: the cost of that grows with the cube of their number


@dataclass(frozen=True)
class Queries:
    """Inputs of one task, without labels.

    Attributes:
        texts: the inputs.
        features: (inputs, layers, F) float32, the mean over tokens after each of some layers.
    """

    texts: Sequence[str]
    features: np.ndarray

    def first(self, most: int) -> Queries:
        """At most so many of them."""
        return Queries(self.texts[:most], self.features[:most])


class ClosedForm:
    """Scores of all tasks for an input; they are near one for the input's own task and near zero for others.

    Args:
        queries: of each task, in random order.

    Attributes:
        tasks: the columns of scores.
        words, width, ridge: the settings that were chosen.
        left_out: per cent of those queries that are assigned to their own task when left out.
    """

    def __init__(self, queries: Mapping[str, Queries]) -> None:
        self.tasks = list(queries)
        few = [held.first(_MOST) for held in queries.values()]
        self._take(few)
        targets = self._targets(few)
        own = targets.argmax(1)
        best = (-1.0, 0.0, 0.0, 0.0)
        for words, width in itertools.product(WORDS, WIDTHS):
            values, vectors = np.linalg.eigh(self._kernel(few, words, width, own=True))
            for ridge in RIDGES:
                inverse = (vectors / (values + ridge)) @ vectors.T
                without = targets - (inverse @ targets) / np.diag(inverse)[:, None]
                best = max(best, (100 * float((without.argmax(1) == own).mean()), words, width, ridge))
        self.left_out, self.words, self.width, self.ridge = best
        every = list(queries.values())
        self._take(every)
        kernel = self._kernel(every, self.words, self.width, own=True)
        kernel[np.diag_indices_from(kernel)] += self.ridge
        self._weights = np.linalg.solve(kernel, self._targets(every))

    def scores(self, inputs: Queries) -> np.ndarray:
        """(inputs, tasks) float64."""
        return self._kernel([inputs], self.words, self.width) @ self._weights

    def _targets(self, held: Sequence[Queries]) -> np.ndarray:
        return np.repeat(np.eye(len(held)), [len(one.texts) for one in held], axis=0)

    def _take(self, held: Sequence[Queries]) -> None:
        """Keep what kernels need of these queries."""
        stored = np.concatenate([one.features for one in held])
        self._center = stored.mean(0)
        self._stored = self._unit(stored)
        found = [_counts(text) for one in held for text in one.texts]
        inside = Counter(word for counts in found for word in counts)
        self._rarity = {word: float(np.log((1 + len(found)) / (1 + count)) + 1) for word, count in inside.items()}
        self._strange = float(np.log(1 + len(found)) + 1)  # rarity of a word that no query has
        shared = sorted(
            word for word, count in inside.items() if count > 1
        )  # others lengthen a text, and match nothing
        self._places = {word: place for place, word in enumerate(shared)}
        self._stored_words = self._bags(found)

    def _unit(self, features: np.ndarray) -> np.ndarray:
        away = features - self._center
        return away / np.maximum(np.linalg.norm(away, axis=2, keepdims=True), 1e-12)

    def _bags(self, found: Sequence[Counter[str]]) -> np.ndarray:
        """(texts, shared words) float32: weights of the words of a text, whose length over all its words is one."""
        bags = np.zeros((len(found), len(self._places)), np.float32)
        for row, counts in enumerate(found):
            weights = {word: np.log1p(count) * self._rarity.get(word, self._strange) for word, count in counts.items()}
            length = max(float(np.sqrt(sum(weight**2 for weight in weights.values()))), 1e-12)
            for word in weights.keys() & self._places.keys():
                bags[row, self._places[word]] = weights[word] / length
        return bags

    def _kernel(self, held: Sequence[Queries], words: float, width: float, *, own: bool = False) -> np.ndarray:
        """(inputs, stored) float64; `own`: of the stored queries themselves."""
        unit = self._stored if own else self._unit(np.concatenate([one.features for one in held]))
        layers = unit.shape[1]
        cosine = unit.reshape(len(unit), -1) @ self._stored.reshape(len(self._stored), -1).T / layers
        kernel = np.exp(width * (cosine.astype(np.float64) - 1))
        if words:
            bags = self._stored_words if own else self._bags([_counts(text) for one in held for text in one.texts])
            kernel += words * (bags @ self._stored_words.T)
        return kernel


def _counts(text: str) -> Counter[str]:
    """Words of a text and pairs of neighbours."""
    found = re.findall(r"\w+", text.lower())
    return Counter([*found, *(f"{one} {other}" for one, other in itertools.pairwise(found))])
