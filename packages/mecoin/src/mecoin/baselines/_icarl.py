"""iCaRL: herded exemplars, distillation by sigmoid, nearest mean of exemplars."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor
from torch.nn import functional as F

from mecoin.baselines._gradient import SHOT, Batch, by_class
from mecoin.baselines._replay import ReplayLearner
from mecoin.memory._smu import unit


class ICarl(ReplayLearner):
    """Binary cross entropy: new columns against the labels, old columns against the old model's sigmoids."""

    name = "iCaRL"
    source = "Rebuffi et al. 2017, arXiv 1611.07725"
    grid = tuple({"lr": lr, "steps": steps} for lr in (1e-4, 1e-3) for steps in (20, 100))

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Note the old model's answers on the support and the exemplars."""
        super().begin(graph, support)
        with torch.no_grad():
            batches = (Batch.of(graph, *by_class(support, 0)), self.memory)
            self.answers = [self.logits(one).sigmoid() for one in batches]

    def loss(self, batch: Batch) -> Tensor:
        """Over the support and all exemplars; summed over columns, mean over nodes."""
        total = torch.zeros(())
        for one, before in zip((batch, self.memory), self.answers, strict=True):
            logits = self.logits(one)
            target = F.one_hot(one.target, logits.shape[1]).float()
            target[:, : before.shape[1]] = before
            total = total + F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return total / (len(batch) + len(self.memory))

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """Herd exemplars; then means of all exemplars by the new encoder."""
        super().finish(graph, support, first)
        z = unit(self.embed(graph).numpy())
        self.means = unit(np.stack([z[graph.positions(ids)].mean(0) for ids in self.stored]))

    def choose(self, graph: Graph, places: np.ndarray, support: Mapping[int, np.ndarray]) -> np.ndarray:
        """By herding."""
        return places[herded(unit(self.embed(graph)[places].numpy()), SHOT)]

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        return unit(self.embed(graph)[places].numpy()) @ self.means.T

    def memory_bytes(self) -> int:
        """As every replay method, and the means."""
        return super().memory_bytes() + self.means.nbytes


def herded(z: np.ndarray, count: int) -> np.ndarray:
    """Rows in the order in which each brings the mean of those taken nearest to the mean of all."""
    mean, total, taken = z.mean(0), np.zeros(z.shape[1]), []
    for number in range(1, min(count, len(z)) + 1):
        distance = np.linalg.norm(mean - (total + z) / number, axis=1)
        distance[taken] = np.inf
        taken.append(int(distance.argmin()))
        total += z[taken[-1]]
    return np.array(taken)
