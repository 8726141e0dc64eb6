"""What each view transform is given and returns."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from fastocc.geometry import GridSpec


class CameraInputs(NamedTuple):
    """Calibration and augmentation of a batch.

    Attributes:
        cam2img: (B, N, 3, 3). cam2ego: (B, N, 4, 4), into the grid's frame.
        image_size: (height, width) of the images, pixels.
        img_aug: (B, N, 3, 3) or None. bev_aug: (B, 4, 4) or None. lens: (B, N, 13), see `geometry.lens_row`, or None.
    """

    cam2img: Tensor
    cam2ego: Tensor
    image_size: tuple[int, int]
    img_aug: Tensor | None = None
    bev_aug: Tensor | None = None
    lens: Tensor | None = None


class ViewTransform(nn.Module):
    """Image features (B, N, C, h, w) and cameras -> BEV features (B, C', Y, X) and named extra outputs for losses."""

    name: ClassVar[str]
    temporal: ClassVar[bool] = False  # whether `previous` is of use

    def forward(
        self, features: Tensor, cameras: CameraInputs, previous: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Transform; `previous` is the last frame's BEV, aligned to this one."""
        raise NotImplementedError


def sample_heights(grid: GridSpec, heights: int) -> Tensor:
    """(heights, Y, X, 3) points of the grid's pillars, at evenly spaced heights, metres."""
    axes = [
        low + size * (torch.arange(count, dtype=torch.float32) + 0.5)
        for low, size, count in zip(grid.lower, grid.voxel, grid.shape, strict=True)
    ]
    step = (grid.upper[2] - grid.lower[2]) / heights
    z = grid.lower[2] + step * (torch.arange(heights, dtype=torch.float32) + 0.5)
    up, across, along = torch.meshgrid(z, axes[1], axes[0], indexing="ij")
    return torch.stack([along, across, up], -1)
