"""Label propagation: the target's labels spread over its edges, features unused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from ninefold_graphs import Graph, one_hot, walked

from mldgg.domains import Method


class LabelPropagation(Method):
    """F <- damp S F + (1 - damp) Y for 50 steps; the sources' class shares where no label arrives."""

    name = "label-propagation"
    source = "Zhou et al., NeurIPS 2003"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"damp": (0.9, 0.99, 0.5)}

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Keep the sources' class shares."""
        y = np.concatenate([graph.y[graph.y >= 0] for graph in sources])
        self.shares = (np.bincount(y, minlength=len(sources[0].classes)) / y.size).astype(np.float32)
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) shares of the labels that arrive."""
        known, step = target.y >= 0, target.normalized
        start = np.zeros((len(target), self.shares.size), np.float32)
        start[known] = one_hot(target.y[known], self.shares.size)
        spread = walked(start, step, 1 - self.options["damp"], 50) + 1e-9 * self.shares
        return spread / spread.sum(axis=1, keepdims=True)
