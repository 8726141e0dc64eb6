"""FlashOcc's channel-to-height head."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead


class ChannelToHeight(OccHead):
    """3 x 3 convolution with ReLU, Linear C -> 2C, Softplus, Linear -> Z K, reshaped: nothing is ever 3D."""

    name: ClassVar[str] = "c2h"
    source: ClassVar[str] = "FlashOcc, arXiv 2311.12058"

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False), nn.BatchNorm2d(in_channels), nn.ReLU()
        )
        self.body = nn.Sequential(
            nn.Linear(in_channels, 2 * in_channels),
            nn.Softplus(),
            nn.Linear(2 * in_channels, num_classes * self.levels),
        )

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        return self.body(self.conv(bev).permute(0, 3, 2, 1)).unflatten(-1, (self.levels, self.num_classes))


class FlashOcc(ChannelToHeight):
    """The same with a bias in place of the batch norm: as FlashOcc's checkpoints have it."""

    name: ClassVar[str] = "flashocc"

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.conv = nn.Sequential(nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.ReLU())
