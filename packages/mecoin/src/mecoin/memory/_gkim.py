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


def memory_slope(old: Tensor, share: Tensor, fresh: Tensor) -> Tensor:
    """Gradient by the head's logits of KL(P_old || g), mean over samples matched to old prototypes: (n, C).

    It teaches the head; the frozen rows get none.

    Args:
        old: (n, C) probabilities of the matched rows; share: (n, C) of the head.
        fresh: (n, 1) bool, samples matched to new prototypes, which have no part in it.
    """
    return (share - old).masked_fill_(fresh, 0) / (~fresh).sum().clamp(min=1)


def update_slope(share: Tensor, rows: Tensor, match: Tensor) -> Tensor:
    """Gradient by the new rows' logits of KL(g || P_new), mean over samples matched to new prototypes: (P, C).

    It teaches the rows; the head gets none. With one-hot targets as `share` it is that of cross-entropy.

    Args:
        share: (n, C) probabilities of the head; rows: (P, C) logits.
        match: (n, P) one-hot matched new prototype; zeros for samples matched to old ones.
    """
    count = match.sum(0)
    return (count[:, None] * rows.softmax(1) - match.T @ share) / count.sum().clamp(min=1)
