"""GKIM: knowledge passes between a class head and the memory's rows, in two directions that must not be mixed up."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Head(nn.Module):
    """Class head g on (detached) node features: dropout .5, m -> 64 -> C."""

    def __init__(self, width: int, classes: int, hidden: int = 64) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, hidden), nn.Linear(hidden, classes)

    def forward(self, z: Tensor) -> Tensor:
        """z (n, m) -> logits (n, C)."""
        return self.last(F.relu(self.first(F.dropout(z, 0.5, self.training))))

    def grown(self, extra: int) -> Head:
        """A head with `extra` more classes behind; the old weights keep every bit."""
        grown = Head(self.first.in_features, self.last.out_features + extra, self.first.out_features)
        with torch.no_grad():
            grown.first.load_state_dict(self.first.state_dict())
            grown.last.weight[: self.last.out_features] = self.last.weight
            grown.last.bias[: self.last.out_features] = self.last.bias
        return grown


def memory_loss(old: Tensor, logits: Tensor) -> Tensor:
    """KL(P_old || g), mean over samples matched to old prototypes: the frozen rows teach the head.

    old: (n, C) probabilities of the matched rows; logits: (n, C) of the head. 0 without samples.
    """
    return F.kl_div(logits.log_softmax(1), old.detach(), reduction="sum") / max(len(old), 1)


def update_loss(logits: Tensor, rows: Tensor) -> Tensor:
    """KL(g || P_new), mean over samples matched to new prototypes: the head, detached, teaches the new rows.

    logits: (n, C) of the head; rows: (n, C) logits of the matched new rows. 0 without samples.
    """
    return F.kl_div(rows.log_softmax(1), logits.detach().softmax(1), reduction="sum") / max(len(rows), 1)
