"""Mixup of hidden nodes at the last layer, within and across sources."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from mldgg.baselines._trained import SPACE, Trained
from mldgg.encoders import Masks


class Mixup(Trained):
    """Hidden nodes h = c h_i + (1 - c) h_j with labels mixed alike, c ~ Beta(alpha, alpha)."""

    name = "mixup"
    source = "WWW 2021 (Mixup for node and graph classification); ICLR 2018, arXiv 1710.09412"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "alpha": (1.0, 0.2)}

    def loss(self, masks: Masks) -> Tensor:
        """Cross-entropy of mixed nodes."""
        rows, labels = [], []
        for graph in self.graphs:
            known = graph.y >= 0
            rows.append(self.model.embed(graph, masks)[known])
            labels.append(graph.y[known])
        z, y = torch.cat(rows), torch.cat(labels)
        other = torch.randperm(y.numel())
        alpha = torch.tensor(float(self.options["alpha"]))
        share = torch.distributions.Beta(alpha, alpha).sample((y.numel(), 1))
        chances = torch.log_softmax(self.model.head(share * z + (1 - share) * z[other]), dim=1)
        own, others = (chances.gather(1, one[:, None])[:, 0] for one in (y, y[other]))
        return -(share[:, 0] * own + (1 - share[:, 0]) * others).mean()
