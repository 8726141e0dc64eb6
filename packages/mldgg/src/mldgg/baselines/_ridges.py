"""Ridge regression on hops of the input: no training, and the strongest rival."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import (
    Graph,
    InputEncoder,
    Kept,
    centred_update,
    hop_features,
    one_hot,
    softmax,
    walked,
    with_constant,
)  # fmt: skip

from mldgg.domains import Method
from mldgg.meta._search import gram, solve

_ROWS, _GRAMS = Kept(12), Kept(12)
_SHARPNESS = 4.5  # of the softmax over scores; it changes no prediction


class CentredRidge(Method):
    """Source weights plus the smallest change that fits the target's labels; hops and both strengths are tuned."""

    name = "centred-ridge"
    source = "ridge around source weights; SGC hops: ICML 2019, arXiv 1902.07153"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hops": ((0, 2, 6), (0, 1, 2, 4, 8), (2,)),
        "strength": (1.0, 0.1, 10.0),
        "change": (10.0, 30.0, 3.0),
    }
    centred: ClassVar[bool] = False

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Solve for W_src over all sources."""
        same_task(self.name, sources)
        self.encoder, self.classes = InputEncoder.fit(sources), sources[0].classes
        made = (
            self.encoder,
            *(part for graph in sources for part in (graph.x, graph.edge_index, graph.weight, graph.y)),
        )
        self.grams = _GRAMS(made, (self.centred, self.options["hops"]), lambda: self._grams(sources))
        self.weights = solve([self.grams], self.options["strength"])
        return self

    def _grams(self, sources: Sequence[Graph]) -> tuple[np.ndarray, np.ndarray]:
        """(d, d) Z'Z and (d, C) Z'Y over all labelled nodes of the sources."""
        square, sums = zip(*(gram(self.rows(graph), graph.y, len(self.classes)) for graph in sources), strict=True)
        return np.sum(square, axis=0), np.sum(sums, axis=0)

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) softmax of the scores after the change."""
        rows, known = self.rows(target), target.y >= 0
        scores = rows @ self.weights
        change = self.options.get("change")
        if known.any() and change is not None:
            residual = one_hot(target.y[known], len(self.classes)) - scores[known]
            update = centred_update(rows[known], residual, change)
            scores = scores + rows @ update
        return softmax(_SHARPNESS * scores)

    def rows(self, graph: Graph) -> np.ndarray:
        """(N, d) hops and a constant, around the graph's own mean if the rival is centred."""
        made, hops = (self.encoder, graph.x, graph.edge_index, graph.weight), self.options["hops"]

        def blocks() -> np.ndarray:
            found = hop_features(self.encoder(graph), graph.normalized, hops, unit=self.encoder.directions)
            return with_constant(found - found.mean(axis=0) if self.centred else found)

        return _ROWS(made, (self.centred, hops), blocks)


class WalkedRidge(CentredRidge):
    """A ridge around each graph's own mean, whose probabilities take a walk over the target's edges.

    What the target's unlabelled nodes bring without joint words and without a guard: their mean and their edges.
    """

    name = "walked-ridge"
    source = "APPNP's steps after a ridge: ICLR 2019, arXiv 1810.05997"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hops": ((0, 1, 2, 4, 8), (0, 2, 6)),
        "strength": (10.0, 1.0),
        "restart": (0.1, 0.5),
        "change": (10.0, 30.0, 100.0),
    }
    centred = True

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) after ten steps of personalised PageRank."""
        moved = walked(super().predict_proba(target), target.normalized, self.options["restart"])
        return moved / moved.sum(axis=1, keepdims=True)


class TargetRidge(Method):
    """Ridge on the target's labels alone; the class shares of the sources where there are none."""

    name = "target-only"
    source = "SGC: ICML 2019, arXiv 1902.07153"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"hops": ((0, 2, 6), (2,)), "strength": (1.0, 0.1, 10.0)}

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Take the input encoder over from the sources, and their class shares."""
        self.encoder = InputEncoder.fit(sources)
        y = np.concatenate([graph.y[graph.y >= 0] for graph in sources])
        self.shares = np.bincount(y, minlength=len(sources[0].classes)) / y.size
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) softmax of the scores."""
        known = target.y >= 0
        if not known.any():
            return np.broadcast_to(self.shares, (len(target), self.shares.size)).astype(np.float32)
        unit = self.encoder.directions
        rows = with_constant(hop_features(self.encoder(target), target.normalized, self.options["hops"], unit=unit))
        targets = one_hot(target.y[known], len(target.classes))
        centre = targets.mean(axis=0)
        update = centred_update(rows[known], targets - centre, self.options["strength"])
        return softmax(_SHARPNESS * (rows @ update + centre))


def same_task(name: str, sources: Sequence[Graph]) -> None:
    """Refuse sources whose features or classes differ."""
    first = sources[0]
    for graph in sources:
        if graph.width != first.width or graph.classes != first.classes:
            got = f"{first.name} and {graph.name} with other features or classes"
            raise InputError("sources", got=got, expected=f"one task: {name} has one model for all graphs")
