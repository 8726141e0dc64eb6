"""The sanity floor: each voxel's commonest label in the training set, whatever the cameras show."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead


class Prior(OccHead):
    """Log-frequencies of the training labels at each voxel; nothing is learned from images."""

    name: ClassVar[str] = "prior"
    source: ClassVar[str] = "ours: the control"
    counts: Tensor

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.register_buffer("counts", torch.zeros(*grid.shape, num_classes))

    def observe(self, labels: Tensor, mask: Tensor | None = None) -> None:
        """Count one frame: (X, Y, Z) labels, 255 ignored, where `mask` marks."""
        valid = labels < self.num_classes
        if mask is not None:
            valid &= mask.bool()
        shares = torch.nn.functional.one_hot(torch.where(valid, labels, 0).long(), self.num_classes)
        self.counts += shares * valid[..., None]

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K), the same for each frame; the commonest of all where no label was seen."""
        overall = self.counts.sum((0, 1, 2))
        share = overall / overall.sum().clamp(min=1)
        return torch.log(self.counts + 1e-3 * (1 + share)).expand(len(bev), -1, -1, -1, -1)
