"""The default head: a deformable convolution, then channels become heights."""

from __future__ import annotations

from typing import ClassVar

from ninefold.errors import InputError
from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads._base import HeadContext, OccHead
from fastocc.lifting import DeformConv


class DeformableC2h(OccHead):
    """Deformable 3 x 3 convolution with ReLU, Linear, Softplus, Linear -> Z K, reshaped: nothing is ever 3D.

    The deformable convolution is that of the Fast Occupancy Network's lift, what follows it FlashOcc's.

    Args:
        in_channels, grid, num_classes, channels: as for each head; `channels` is not used.
        width: channels that the convolution leaves; 0: C. hidden: units of the layer after it; 0: twice `width`.

    Examples:
        >>> import torch
        >>> from fastocc import DeformableC2h, GridSpec

        >>> head = DeformableC2h(in_channels=64, grid=GridSpec.named("micro"), num_classes=18)
        >>> bev = torch.randn(1, 64, 20, 20)  # of any network of your own
        >>> head(bev).shape  # a score of each class for each voxel
        torch.Size([1, 20, 20, 8, 18])
    """

    name: ClassVar[str] = "dcn-c2h"
    source: ClassVar[str] = "ours, of the lift of arXiv 2412.07163 and the head of 2311.12058"

    def __init__(
        self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8, width: int = 0, hidden: int = 0
    ) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        for name, value in (("width", width), ("hidden", hidden)):
            if value < 0:
                raise InputError(name, got=value, expected="channels, or 0 for the head's own")
        width = width or in_channels
        hidden = hidden or 2 * width
        self.conv = nn.Sequential(self.first(in_channels, width), nn.BatchNorm2d(width), nn.ReLU())
        self.body = nn.Sequential(nn.Linear(width, hidden), nn.Softplus(), nn.Linear(hidden, num_classes * self.levels))

    def first(self, inputs: int, outputs: int) -> nn.Module:
        """The layer that looks at a cell's neighbours."""
        return DeformConv(inputs, outputs)

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:  # noqa: ARG002
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        return self.body(self.conv(bev).permute(0, 3, 2, 1)).unflatten(-1, (self.levels, self.num_classes))
