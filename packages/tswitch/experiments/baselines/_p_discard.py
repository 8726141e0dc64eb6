"""P-Discard: the pulse activation of T-Switch with values kept, then Task Arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from tswitch.baselines._base import Merger, share
from tswitch.baselines._select import keep_from, part
from tswitch.switch._select import RadixSelect
from tswitch.switch._tasks import Piece, TaskVectors


@dataclass(frozen=True, kw_only=True)
class PDiscard(Merger):
    """Drop the share `alpha` of the positive and of the negative entries of each tensor, smallest first; then add.

    Attributes:
        alpha: share of the non-zero entries to drop.
        scale: lambda of Task Arithmetic.
    """

    name = "p_discard"
    source = "T-Switch, arXiv 2412.00054, section 3.2"
    limits = "keeps full-precision values: an ablation, not a way to store"
    alpha: float = 0.6
    scale: float = 0.3

    def __post_init__(self) -> None:
        share(self.alpha, "alpha", one=False)

    def measure(self, tasks: TaskVectors, name: str, prepared: None) -> list[tuple[float, float]]:
        """Smallest kept magnitude of the positive and of the negative entries, for each task."""
        found = []
        for index in range(len(tasks)):
            select = RadixSelect()
            for delta in tasks.task(index, name):
                select.count(delta.numpy())
            select.seek(part(select.positives, 1 - self.alpha), part(select.negatives, 1 - self.alpha))
            for delta in tasks.task(index, name):
                select.refine(delta.numpy())
            found.append(select.thresholds())
        return found

    def merge_tensor(self, piece: Piece, measured: list[tuple[float, float]]) -> Tensor:
        """Lambda * sum of the active entries."""
        total = torch.zeros_like(piece.base)
        for delta, (positive, negative) in zip(piece.deltas, measured, strict=True):
            for side, smallest in ((delta.clamp(min=0), positive), (delta.clamp(max=0), negative)):
                total += keep_from(side, smallest, out=side)
        return self.scale * total
