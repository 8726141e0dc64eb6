"""SCE: select what varies most among the models, calculate weights from it, erase minority signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tswitch.baselines._base import Merger, share
from tswitch.baselines._select import part
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Sce(Merger):
    """Of each tensor the entries of the largest variance over tasks; weights are the tasks' mean squares there.

    Attributes:
        select: share of the entries that vary which is kept.
    """

    name = "sce"
    source = "FuseChat, arXiv 2408.07990"
    limits = "of one model nothing varies: with `select` below 1 it gives the base"
    whole = True
    select: float = 1.0

    def __post_init__(self) -> None:
        share(self.select, "select")

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Mean of the selected entries that have the sign of their sum, weighted by task."""
        deltas = piece.deltas
        if self.select < 1:
            deltas = deltas * _most_varied(deltas, self.select)
        squares = deltas.square().mean(1) if deltas.shape[1] else torch.zeros(len(deltas))
        whole = float(squares.sum())
        weights = squares / whole if whole >= 1e-6 else torch.full((len(deltas),), 1 / len(deltas))
        majority = torch.where(deltas.sum(0) >= 0, 1.0, -1.0)
        shares = weights[:, None] * (deltas.sign() == majority)
        return (deltas * shares).sum(0) / shares.sum(0).clamp(min=1e-6)


def _most_varied(deltas: Tensor, select: float) -> Tensor:
    """(K, n) -> (n,) 1 at the entries of the largest variance, `select` of those that vary at all."""
    variance = deltas.var(0, unbiased=False)
    chosen = torch.zeros_like(variance)
    chosen[variance.topk(part(int(torch.count_nonzero(variance)), select)).indices] = 1
    return chosen
