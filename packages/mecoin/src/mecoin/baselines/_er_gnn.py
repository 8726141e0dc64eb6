"""ER-GNN: experience replay with nodes that stand for their class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_graphs import Graph
from torch import Tensor
from torch.nn import functional as F

from mecoin.baselines._gradient import RATES_ALONE, Batch, GradientLearner

SHOT = 5  # stored nodes a class: what the publication's code replays


class ErGnn(GradientLearner):
    """beta L(new) + (1 - beta) L(stored) with beta = stored / (new + stored).

    Stored are `SHOT` nodes of each class, by id: those nearest to the class's mean embedding.
    """

    name = "ER-GNN"
    source = "Zhou and Cao 2021, arXiv 2003.09908"
    grid = tuple({"lr": lr} for lr in RATES_ALONE)
    limits = f"keeps {SHOT} nodes a class, whose neighbourhoods it takes from the session's graph"

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.stored: list[np.ndarray] = []  # ids, by column
        self.stored_bytes = 0
        super()._fit(graph, support, validation)

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Find the stored nodes in this session's graph."""
        columns = np.repeat(np.arange(len(self.stored)), [len(ids) for ids in self.stored])
        self.memory = Batch.of(graph, graph.positions(np.concatenate(self.stored)), columns)

    def loss(self, batch: Batch) -> Tensor:
        """The weighted sum."""
        beta = len(self.memory) / (len(batch) + len(self.memory))
        replayed = F.cross_entropy(self.logits(self.memory), self.memory.target)
        return beta * super().loss(batch) + (1 - beta) * replayed

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """Store nodes of the new classes."""
        for places in support.values():
            kept = places[nearest_to_mean(self.embed(graph)[places].numpy(), SHOT)]
            self.stored.append(graph.ids[kept])
            self.stored_bytes += len(kept) * (4 * graph.width + 8)

    def memory_bytes(self) -> int:
        """Head, and the stored nodes' features as dense rows with a label; their neighbourhoods are not counted."""
        return super().memory_bytes() + self.stored_bytes


def nearest_to_mean(z: np.ndarray, count: int) -> np.ndarray:
    """Rows nearest to the mean of all rows."""
    return np.argsort(np.linalg.norm(z - z.mean(0), axis=1), kind="stable")[:count]
