"""Stored nodes: what GEM and ER-GNN keep of old classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_graphs import Graph

from mecoin.baselines._gradient import SHOT, Batch, GradientLearner


class ReplayLearner(GradientLearner):
    """Keeps `SHOT` nodes of each class, by id; a subclass may choose which."""

    limits = f"keeps {SHOT} nodes a class, whose neighbourhoods it takes from the session's graph"

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.stored: list[np.ndarray] = []  # ids, by column
        self.sessions: list[range] = []  # columns of each session
        self.stored_bytes = 0
        super()._fit(graph, support, validation)

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Find the stored nodes in this session's graph."""
        self.memory = self.batch(graph, range(len(self.stored)))

    def batch(self, graph: Graph, columns: range) -> Batch:
        """The stored nodes of some columns."""
        places = graph.positions(np.concatenate([self.stored[column] for column in columns]))
        return Batch.of(graph, places, np.repeat(list(columns), [len(self.stored[column]) for column in columns]))

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """Store nodes of the new classes."""
        self.sessions.append(range(first, first + len(support)))
        for places in support.values():
            kept = self.choose(graph, places, support)
            self.stored.append(graph.ids[kept])
            self.stored_bytes += dense_bytes(len(kept), graph.width)

    def choose(self, graph: Graph, places: np.ndarray, support: Mapping[int, np.ndarray]) -> np.ndarray:
        """`SHOT` of the places of a class, by lot."""
        return places if len(places) <= SHOT else self.rng.choice(places, SHOT, replace=False)

    def memory_bytes(self) -> int:
        """Head, and the stored nodes' features as dense rows; their neighbourhoods are not counted."""
        return super().memory_bytes() + self.stored_bytes


def dense_bytes(nodes: int, width: int) -> int:
    """Bytes of feature rows kept dense, with a label each."""
    return nodes * (4 * width + 8)


def sparse_bytes(graph: Graph, places: np.ndarray) -> int:
    """Bytes of the same rows kept sparse: value, column (4 bytes each), row pointer and label."""
    rows = graph.x[places]
    return 8 * (rows.nnz if not isinstance(rows, np.ndarray) else int(np.count_nonzero(rows))) + 16 * len(places)
