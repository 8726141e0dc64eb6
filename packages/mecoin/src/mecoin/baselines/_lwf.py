"""LwF: learning without forgetting, by the old model's answers on the new nodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor
from torch.nn import functional as F

from mecoin.baselines._gradient import RATES, Batch, GradientLearner, by_class


class Lwf(GradientLearner):
    """Cross entropy + strength * distillation of the old columns at temperature T, on the session's support."""

    name = "LwF"
    source = "Li and Hoiem 2016, arXiv 1606.09282"
    grid = tuple({"lr": lr, "strength": s} for lr in RATES for s in (1.0, 10.0))
    strength: float = 1.0
    temperature: float = 2.0

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Note the old model's answers on the support."""
        with torch.no_grad():
            self.answers = self.logits(Batch.of(graph, *by_class(support, 0)))

    def loss(self, batch: Batch) -> Tensor:
        """CE + strength * T^2 KL(old / T || new / T) over the old columns."""
        logits = self.logits(batch)
        kept = distillation(self.answers, logits[:, : self.answers.shape[1]], self.temperature)
        return F.cross_entropy(logits, batch.target) + self.strength * kept


def distillation(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), mean over rows (Hinton et al. 2015)."""
    target, given = F.log_softmax(teacher / temperature, 1), F.log_softmax(student / temperature, 1)
    return temperature**2 * F.kl_div(given, target, reduction="batchmean", log_target=True)
