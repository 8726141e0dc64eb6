"""FlashOcc's channel-to-height head."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from fastocc.geometry import GridSpec
from fastocc.heads import DeformableC2h


class ChannelToHeight(DeformableC2h):
    """3 x 3 convolution with ReLU, Linear C -> 2C, Softplus, Linear -> Z K, reshaped; other widths as in `dcn-c2h`."""

    name: ClassVar[str] = "c2h"
    source: ClassVar[str] = "FlashOcc, arXiv 2311.12058"

    def first(self, inputs: int, outputs: int) -> nn.Module:
        """A plain convolution."""
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


class FlashOcc(ChannelToHeight):
    """The same with a bias instead of the batch norm: as FlashOcc's checkpoints have it."""

    name: ClassVar[str] = "flashocc"

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.conv = nn.Sequential(nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.ReLU())
