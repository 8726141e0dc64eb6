"""View transform and BEV encoder as BEVDet and FlashOcc publish them, so that their checkpoints run here.

`bevdet` differs from `lss` in what only weights trained so can tell: one 1 x 1 convolution for depth and content, bins
that begin at whole steps, pixels spread from 0 to the last one, and cells by truncation, which takes points up to one
cell below the grid into its first cell (with z collapsed: points down to 7.4 m below the road).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.geometry import GridSpec
from fastocc.views._base import CameraInputs
from fastocc.views._lss import LiftSplat


class BevDetLift(LiftSplat):
    """BEVDet's LSSViewTransformer. Arguments as for `LiftSplat`."""

    name: ClassVar[str] = "bevdet"

    def __init__(
        self, inputs: int, outputs: int, grid: GridSpec, stride: int,
        depth: tuple[float, float, float] = (1.0, 45.0, 0.5), keep_z: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(inputs, outputs, grid, stride, depth, keep_z)
        self.bins = torch.arange(depth[0], depth[1], depth[2])
        self.head = nn.Conv2d(inputs, len(self.bins) + outputs, 1)  # type: ignore[assignment]

    def pixels(self, cameras: CameraInputs, size: tuple[int, int]) -> Tensor:
        """(h, w, 3) pixels from the first to the last one of the image, evenly spread."""
        rows, columns = (
            torch.linspace(0, full - 1, count, device=self.bins.device)
            for full, count in zip(cameras.image_size, size, strict=True)
        )
        v, u = torch.meshgrid(rows, columns, indexing="ij")
        return torch.stack([u, v, torch.ones_like(u)], -1)

    def whole(self, ratio: Tensor) -> Tensor:
        """Truncation, as the popular code has it."""
        return ratio.long()


class _Block(nn.Module):
    """Two 3 x 3 convolutions; the first of a stage has a 3 x 3 convolution with bias as its shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, short: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Conv2d(inputs, outputs, 3, stride, 1) if short else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.downsample(x))


class BevDetEncoder(nn.Module):
    """CustomResNet (three stages of two blocks at 1/2, 1/4, 1/8) and FPN_LSS: (B, C, Y, X) -> (B, C', Y, X).

    Args:
        inputs: C. outputs: C'. widths: channels of the stages.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        stages, last = [], inputs
        for width in widths:
            stages.append(nn.Sequential(_Block(last, width, 2, True), _Block(width, width, 1, False)))
            last = width
        self.layers = nn.Sequential(*stages)
        wide = 2 * outputs

        def part(start: int, end: int) -> list[nn.Module]:
            return [nn.Conv2d(start, end, 3, padding=1, bias=False), nn.BatchNorm2d(end), nn.ReLU()]

        self.conv = nn.Sequential(*part(widths[0] + widths[-1], wide), *part(wide, wide))
        self.up2 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), *part(wide, outputs),
            nn.Conv2d(outputs, outputs, 1),
        )  # fmt: skip

    def forward(self, bev: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B, C', Y, X); Y and X are multiples of 8."""
        maps, x = [], bev
        for stage in self.layers:
            x = stage(x)
            maps.append(x)
        up = F.interpolate(maps[-1], size=maps[0].shape[-2:], mode="bilinear", align_corners=True)
        return self.up2(self.conv(torch.cat([maps[0], up], 1)))
