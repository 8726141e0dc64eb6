"""FlashOcc's channel-to-height head, and the same behind a deformable convolution."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead
from fastocc.lifting import DeformConv


class ChannelToHeight(OccHead):
    """3 x 3 convolution with ReLU, Linear, Softplus, Linear -> Z K, reshaped: nothing is ever 3D.

    Args:
        in_channels, grid, num_classes, channels: as for each head; `channels` is not used.
        width: channels that the convolution leaves; 0: C. hidden: units of the layer after it; 0: twice `width`.
    """

    name: ClassVar[str] = "c2h"
    source: ClassVar[str] = "FlashOcc, arXiv 2311.12058"

    def __init__(
        self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8, width: int = 0, hidden: int = 0
    ) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        width = width or in_channels
        hidden = hidden or 2 * width
        self.conv = nn.Sequential(self.first(in_channels, width), nn.BatchNorm2d(width), nn.ReLU())
        self.body = nn.Sequential(nn.Linear(width, hidden), nn.Softplus(), nn.Linear(hidden, num_classes * self.levels))

    def first(self, inputs: int, outputs: int) -> nn.Module:
        """The layer that looks at a cell's neighbours."""
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        return self.body(self.conv(bev).permute(0, 3, 2, 1)).unflatten(-1, (self.levels, self.num_classes))


class DeformableC2h(ChannelToHeight):
    """The same with a deformable convolution in place of the plain one: it looks where a cell's evidence lies."""

    name: ClassVar[str] = "dcn-c2h"
    source: ClassVar[str] = "ours, of arXiv 2412.07163's lift and 2311.12058's head"

    def first(self, inputs: int, outputs: int) -> nn.Module:
        """Deformable, 3 x 3."""
        return DeformConv(inputs, outputs)


class FlashOcc(ChannelToHeight):
    """The same with a bias in place of the batch norm: as FlashOcc's checkpoints have it."""

    name: ClassVar[str] = "flashocc"

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.conv = nn.Sequential(nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.ReLU())
