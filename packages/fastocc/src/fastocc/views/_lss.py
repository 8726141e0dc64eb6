"""`lss`: a distribution over depth for each pixel, its outer product with the features, summed into the grid."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.views._base import CameraInputs, ViewTransform


class LiftSplat(ViewTransform):
    """Lift-splat (Philion and Fidler 2020), z collapsed; cells by floor, where the popular code truncates.

    Args:
        inputs: channels of the image features. outputs: channels of the BEV. grid: its grid. stride: of the features.
        depth: (nearest, farthest, step) of the depth bins, metres.
        keep_z: give (B, C' * Z, Y, X) with z-major channels instead of the sum over z (for 3D heads).
    """

    name: ClassVar[str] = "lss"
    bins: Tensor

    def __init__(
        self, inputs: int, outputs: int, grid: GridSpec, stride: int,
        depth: tuple[float, float, float] = (1.0, 45.0, 0.5), keep_z: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid, self.stride, self.outputs, self.keep_z = grid, stride, outputs, keep_z
        bins = torch.arange(depth[0], depth[1], depth[2]) + depth[2] / 2
        self.register_buffer("bins", bins, persistent=False)
        self.head = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU(),
            nn.Conv2d(inputs, len(bins) + outputs, 1),
        )  # fmt: skip
        self.fixed: Tensor | None = None

    def cells(self, cameras: CameraInputs, size: tuple[int, int]) -> Tensor:
        """(B, N, D, h, w) int64: the grid cell of each pixel and depth, or the number of cells where it is outside."""
        height, width = size
        device = self.bins.device
        v, u = torch.meshgrid(
            (torch.arange(height, device=device) + 0.5) * self.stride,
            (torch.arange(width, device=device) + 0.5) * self.stride,
            indexing="ij",
        )
        pixels = torch.stack([u, v, torch.ones_like(u)], -1)
        to_image = cameras.cam2img if cameras.img_aug is None else cameras.img_aug @ cameras.cam2img
        rays = torch.einsum("bnij,hwj->bnhwi", torch.linalg.inv(to_image), pixels)
        points = rays[:, :, None] * self.bins.view(1, 1, -1, 1, 1, 1)
        pose = cameras.cam2ego if cameras.bev_aug is None else cameras.bev_aug[:, None] @ cameras.cam2ego
        ego = torch.einsum("bnij,bndhwj->bndhwi", pose[..., :3, :3], points) + pose[..., None, None, None, :3, 3]
        lower = torch.tensor(self.grid.lower, device=device)
        index = torch.floor((ego - lower) / torch.tensor(self.grid.voxel, device=device)).long()
        sizes = torch.tensor(self.grid.shape, device=device)
        inside = ((index >= 0) & (index < sizes)).all(-1)
        flat = index[..., 1] * self.grid.shape[0] + index[..., 0]
        if self.keep_z:
            flat = index[..., 2] * self.grid.shape[0] * self.grid.shape[1] + flat
        return torch.where(inside, flat, self._count())

    def _count(self) -> int:
        return self.grid.shape[0] * self.grid.shape[1] * (self.grid.shape[2] if self.keep_z else 1)

    def fix(self, cameras: CameraInputs, cells: tuple[int, int]) -> None:
        """Keep the cells of one calibration for all later calls; exported graphs need it."""
        self.fixed = self.cells(cameras, cells)

    def forward(
        self,
        features: Tensor,
        cameras: CameraInputs,
        previous: Tensor | None = None,  # noqa: ARG002  (of use to temporal views)
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, N, C, h, w) -> (B, C', Y, X), and `depth`: (B, N, D, h, w) logits."""
        batch, count, _, height, width = features.shape
        made = self.head(features.flatten(0, 1)).unflatten(0, (batch, count))
        logits, content = made.split([len(self.bins), self.outputs], dim=2)
        weights = logits.softmax(2)
        cells = self.fixed if self.fixed is not None else self.cells(cameras, (height, width))
        total = self._count() + 1
        rows = (weights.unsqueeze(-1) * content.permute(0, 1, 3, 4, 2).unsqueeze(2)).reshape(-1, self.outputs)
        place = (cells + torch.arange(batch, device=cells.device).view(-1, 1, 1, 1, 1) * total).reshape(-1)
        bev = torch.zeros(batch * total, self.outputs, dtype=rows.dtype, device=rows.device).index_add(0, place, rows)
        bev = bev.view(batch, total, self.outputs)[:, :-1]
        plane = self.grid.shape[1::-1]
        if self.keep_z:
            return bev.view(batch, -1, *plane, self.outputs).permute(0, 1, 4, 2, 3).flatten(1, 2), {"depth": logits}
        return bev.transpose(1, 2).unflatten(2, plane), {"depth": logits}

    def depth_targets(self, depth: Tensor) -> Tensor:
        """(B, N, h, w) metres, 0 where unknown -> int64 bin, 255 where unknown or beyond the bins."""
        step = self.bins[1] - self.bins[0]
        index = torch.floor((depth - self.bins[0] + step / 2) / step).long()
        return torch.where((depth > 0) & (index >= 0) & (index < len(self.bins)), index, 255)
