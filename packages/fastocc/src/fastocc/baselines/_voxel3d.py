"""BEVDet-Occ's 3D head: a residual 3D network and an FPN of trilinear upsampling."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead
from fastocc.views import sample_heights, sample_images


def conv3d(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """3D convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm3d(outputs), nn.ReLU()
    )


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv3d(inputs, outputs, stride)
        self.second = nn.Sequential(nn.Conv3d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm3d(outputs))
        same = inputs == outputs and stride == 1
        self.short = nn.Identity() if same else conv3d(inputs, outputs, stride, 1)[:2]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.short(x))


class Voxel3d(OccHead):
    """Blocks [1, 2, 4] of widths Cv, 2Cv, 4Cv at strides 1, 2, 2, joined at full size; 3D convolution; MLP to K.

    BEVDet-Occ's view transform keeps z. Here each voxel has the image features at its centre, and in addition a linear
    map C -> Cv Z of the BEV, so that the network knows whatever flat heads know.
    """

    name: ClassVar[str] = "voxel3d"
    source: ClassVar[str] = "BEVDet-Occ, arXiv 2112.11790"
    needs_context: ClassVar[bool] = True
    points: Tensor

    def __init__(
        self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8, context_channels: int = 32
    ) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.context_channels = context_channels
        self.image = nn.Conv2d(context_channels, channels, 1)
        self.register_buffer("points", sample_heights(grid, self.levels).reshape(-1, 3), persistent=False)
        self.lift = nn.Conv2d(in_channels, channels * self.levels, 1)
        stages, last = [], channels
        for count, width, stride in ((1, channels, 1), (2, 2 * channels, 2), (4, 4 * channels, 2)):
            blocks = [_Block(last, width, stride), *(_Block(width, width, 1) for _ in range(count - 1))]
            stages.append(nn.Sequential(*blocks))
            last = width
        self.stages = nn.ModuleList(stages)
        self.join = conv3d(7 * channels, channels, kernel=1)
        self.out = conv3d(channels, channels)
        self.classify = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.Softplus(), nn.Linear(2 * channels, num_classes)
        )

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        assert context is not None
        lifted = self.lift(bev).unflatten(1, (self.channels, self.levels))
        features = self.image(context.features.flatten(0, 1)).unflatten(0, context.features.shape[:2])
        x = lifted + sample_images(features, self.points, context.cameras).reshape(lifted.shape)
        size, maps = x.shape[2:], []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        full = [maps[0], *(F.interpolate(one, size=size, mode="trilinear", align_corners=True) for one in maps[1:])]
        return self.classify(self.out(self.join(torch.cat(full, 1))).permute(0, 4, 3, 2, 1))
