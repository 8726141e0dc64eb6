"""BEVNet, OccNet's own baseline: a linear lift, then a linear network for each voxel."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead


class BevNet(OccHead):
    """Linear C -> (C / 2) Z, twice Linear-LayerNorm-ReLU, Linear -> K. OccNet has C = 256 and 128 per voxel."""

    name: ClassVar[str] = "bevnet"
    source: ClassVar[str] = "OccNet, arXiv 2306.02851"

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        width = max(in_channels // 2, channels)
        self.width = width
        self.lift = nn.Linear(in_channels, width * self.levels)
        layers = [nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU()]
        layers += [nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        lifted = self.lift(bev.permute(0, 3, 2, 1)).unflatten(-1, (self.levels, self.width))
        return self.body(lifted)
