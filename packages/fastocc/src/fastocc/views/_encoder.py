"""The BEV encoder: a small residual network and FPN, as BEVDet and FlashOcc have it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv_bn(inputs, outputs, 3, stride)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        plain = stride == 1 and inputs == outputs
        self.short = (
            nn.Identity()
            if plain
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B, C', Y / stride, X / stride)."""
        return F.relu(self.second(self.first(x)) + self.short(x))


class BevEncoder(nn.Module):
    """(B, C, Y, X) -> (B, C', Y, X): three stages at 1/2, 1/4, 1/8, the last joined with the first, and a skip.

    Args:
        inputs: C. outputs: C'. widths: channels of the stages. depth: blocks a stage.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], depth: int = 1) -> None:
        super().__init__()
        stages, last = [], inputs
        for width in widths:
            stages.append(
                nn.Sequential(BasicBlock(last, width, 2), *(BasicBlock(width, width) for _ in range(depth - 1)))
            )
            last = width
        self.stages = nn.ModuleList(stages)
        self.join = conv_bn(widths[-1] + widths[0], outputs)
        self.out = conv_bn(outputs + inputs, outputs)

    def forward(self, bev: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B, C', Y, X)."""
        maps, x = [], bev
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        up = F.interpolate(maps[-1], size=maps[0].shape[-2:], mode="bilinear", align_corners=False)
        x = self.join(torch.cat([up, maps[0]], 1))
        x = F.interpolate(x, size=bev.shape[-2:], mode="bilinear", align_corners=False)
        return self.out(torch.cat([x, bev], 1))
