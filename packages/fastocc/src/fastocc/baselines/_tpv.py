"""Three planes, summed for each voxel (TPVFormer's representation on a shared BEV)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead


class Tpv(OccHead):
    """The BEV gives the xy plane, means along y and x the xz and yz planes; a voxel is the sum of its three."""

    name: ClassVar[str] = "tpv"
    source: ClassVar[str] = "TPVFormer, arXiv 2302.07817"

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.width = max(in_channels // 2, channels)
        self.top = nn.Conv2d(in_channels, self.width, 3, padding=1)
        self.side = nn.Conv1d(in_channels, self.width * self.levels, 3, padding=1)
        self.front = nn.Conv1d(in_channels, self.width * self.levels, 3, padding=1)
        self.classify = nn.Sequential(
            nn.Linear(self.width, 2 * self.width), nn.Softplus(), nn.Linear(2 * self.width, num_classes)
        )

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        split = (self.levels, self.width)
        top = self.top(bev).permute(0, 3, 2, 1)[:, :, :, None]
        side = self.side(bev.mean(2)).transpose(1, 2).unflatten(-1, split)[:, :, None]
        front = self.front(bev.mean(3)).transpose(1, 2).unflatten(-1, split)[:, None]
        return self.classify(top + side + front)
