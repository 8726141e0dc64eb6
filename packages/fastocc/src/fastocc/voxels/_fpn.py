"""Voxel FPNs over three levels. `partial`: only x and y are halved, and one convolution alone looks along z.

The pyramid's sum is added to what it was made from, without a last ReLU.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.voxels._fold import DeepConv


def _norm(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class NoFpn(nn.Module):
    """Voxel features as they are.

    Args:
        channels: Cv. levels: Z.
    """

    name: ClassVar[str] = "none"

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.channels, self.levels = channels, levels

    def forward(self, x: Tensor) -> Tensor:
        """(B * Z, Cv, Y, X), unchanged."""
        return x


class PartialFpn(NoFpn):
    """L0 Cv, L1 2Cv, L2 4Cv; down by 1 x 3 x 3 of stride (1, 2, 2); one 3 x 3 x 3 at L2; sums; 1 x 3 x 3 out."""

    name: ClassVar[str] = "partial"

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__(channels, levels)
        wide, widest = 2 * channels, 4 * channels
        self.down1 = _norm(self.conv(channels, wide, 2), wide)
        self.down2 = _norm(self.conv(wide, widest, 2), widest)
        self.deep = _norm(DeepConv(widest, widest, levels), widest)
        self.lateral = nn.ModuleList([nn.Conv2d(count, channels, 1) for count in (channels, wide, widest)])
        self.out = _norm(self.conv(channels, channels, 1), channels)[:2]

    def conv(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        """The convolution that is used everywhere but at `deep`."""
        return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B * Z, Cv, Y, X) -> the same shape."""
        middle = self.down1(x)
        top = self.lateral[2](self.deep(self.down2(middle)))
        middle = self.lateral[1](middle).add_(F.interpolate(top, size=middle.shape[-2:], mode="nearest"))
        whole = self.lateral[0](x).add_(F.interpolate(middle, size=x.shape[-2:], mode="nearest"))
        return self.out(whole).add_(x)


class FullFpn(PartialFpn):
    """3 x 3 x 3 everywhere, Z kept: what the partial one saves is the difference."""

    name: ClassVar[str] = "full"

    def conv(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        return DeepConv(inputs, outputs, self.levels, stride)


FPNS = {fpn.name: fpn for fpn in (PartialFpn, FullFpn, NoFpn)}
