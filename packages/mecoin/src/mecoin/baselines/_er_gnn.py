"""ER-GNN: experience replay with nodes that stand for their class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor
from torch.nn import functional as F

from mecoin.baselines._gradient import RATES, Batch, GradientLearner

SHOT = 5  # stored nodes a class: what the publication's code replays
RADIUS = 0.5  # coverage: neighbours within this share of the mean distance to other classes' nodes


class ErGnn(GradientLearner):
    """beta L(new) + (1 - beta) L(stored) with beta = stored / (new + stored).

    Stored are `SHOT` nodes of each class, by id.

    Attributes:
        coverage: 0 stores the nodes nearest to the class's mean embedding, 1 those that cover most (fewest nodes of
            other classes near).
    """

    name = "ER-GNN"
    source = "Zhou and Cao 2021, arXiv 2003.09908"
    grid = tuple({"lr": lr, "coverage": c} for lr in RATES for c in (0, 1))
    limits = f"keeps {SHOT} nodes a class, whose neighbourhoods it takes from the session's graph"
    coverage: int = 0

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
            kept = self.choose(graph, places, support)
            self.stored.append(graph.ids[kept])
            self.stored_bytes += len(kept) * (4 * graph.width + 8)

    def memory_bytes(self) -> int:
        """Head, and the stored nodes' features as dense rows with a label; their neighbourhoods are not counted."""
        return super().memory_bytes() + self.stored_bytes

    def choose(self, graph: Graph, places: np.ndarray, support: Mapping[int, np.ndarray]) -> np.ndarray:
        """By the mean of the features, or by coverage."""
        z = self.embed(graph)
        if not self.coverage:
            return places[nearest_to_mean(z[places].numpy(), SHOT)]
        others = np.concatenate([one for one in support.values() if one is not places] or [places[:0]])
        return places[covering(z[places].numpy(), z[others].numpy(), SHOT)]


def nearest_to_mean(z: np.ndarray, count: int) -> np.ndarray:
    """Rows nearest to the mean of all rows."""
    return np.argsort(np.linalg.norm(z - z.mean(0), axis=1), kind="stable")[:count]


def covering(z: np.ndarray, others: np.ndarray, count: int) -> np.ndarray:
    """Rows with the fewest rows of `others` within a radius, a share of the mean distance between the two sets."""
    if not len(others):
        return np.arange(min(count, len(z)))
    distance = torch.cdist(torch.from_numpy(z), torch.from_numpy(others)).numpy()
    near = (distance < RADIUS * distance.mean()).sum(axis=1)
    return np.argsort(near, kind="stable")[:count]
