"""A GNN trained on the target's labels alone."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from mldgg.baselines._trained import DROPOUT, Trained, risk
from mldgg.encoders import GraphTensors, Masks


class TargetGnn(Trained):
    """No step on the sources: the classifier starts at random on the target; without labels it stays there."""

    name = "target-gnn"
    source = "GCN: ICLR 2017, arXiv 1609.02907"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"hops": (6, 0), "tune_rate": (0.01, 0.003)}
    steps = 0
    tune_steps = 100

    def finetuned(self, params: dict[str, Tensor], graph: GraphTensors) -> dict[str, Tensor]:
        """Parameters after Adam on the support, with dropout."""
        leaves = {name: one.requires_grad_() for name, one in params.items()}
        optimizer = torch.optim.Adam(list(leaves.values()), lr=self.options["tune_rate"], weight_decay=5e-3)
        for step in range(self.tune_steps):
            masks = Masks(self.seed * 100_003 + step, DROPOUT)
            loss = risk(torch.func.functional_call(self.model, leaves, (graph, masks)), graph)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return {name: one.detach() for name, one in leaves.items()}
