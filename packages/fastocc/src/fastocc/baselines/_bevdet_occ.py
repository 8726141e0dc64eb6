"""BEVDet-Occ's 3D head as it is published, on a view that keeps z."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.baselines._voxel3d import conv3d
from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, short: bool) -> None:
        super().__init__()
        self.first = conv3d(inputs, outputs, stride)
        self.second = conv3d(outputs, outputs)[:2]
        self.short = conv3d(inputs, outputs, stride)[:2] if short else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.short(x))


class BevDetOcc(OccHead):
    """CustomResNet3D ([1, 2, 4] blocks of Cv, 2Cv, 4Cv at strides 1, 2, 2), LSSFPN3D, 3D convolution, MLP to K.

    Its input is (B, Z * Cv, Y, X), z-major, straight from a view transform that keeps z: no BEV encoder lies between.
    """

    name: ClassVar[str] = "bevdet-occ"
    source: ClassVar[str] = "BEVDet-Occ, arXiv 2112.11790"
    needs_height: ClassVar[bool] = True

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        stages, last = [], channels
        for count, width, stride in ((1, channels, 1), (2, 2 * channels, 2), (4, 4 * channels, 2)):
            blocks = [_Block(last, width, stride, True), *(_Block(width, width, 1, False) for _ in range(count - 1))]
            stages.append(nn.Sequential(*blocks))
            last = width
        self.stages = nn.ModuleList(stages)
        self.join = conv3d(7 * channels, channels, kernel=1)
        self.out = nn.Sequential(nn.Conv3d(channels, channels, 3, padding=1), nn.ReLU())
        self.classify = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.Softplus(), nn.Linear(2 * channels, num_classes)
        )

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, Z * Cv, Y, X) -> (B, X, Y, Z, K)."""
        x = bev.unflatten(1, (self.levels, self.channels)).transpose(1, 2)
        size, maps = x.shape[2:], []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        full = [maps[0], *(F.interpolate(one, size=size, mode="trilinear", align_corners=True) for one in maps[1:])]
        return self.classify(self.out(self.join(torch.cat(full, 1))).permute(0, 4, 3, 2, 1))
