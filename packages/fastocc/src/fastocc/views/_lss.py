"""`lss`: a distribution over depth for each pixel, its outer product with the features, summed into the grid."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.views._base import CameraInputs, ViewTransform
from fastocc.views._pool import PaddedPool, Segments, pool, segments
from fastocc.views._projection import unproject

_KEPT = 4  # sorted cells of the latest calibrations


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
        self.fixed: Segments | None = None
        self.padded: PaddedPool | None = None
        self._sorted: dict[bytes, Segments] = {}

    def pixels(self, cameras: CameraInputs, size: tuple[int, int]) -> Tensor:  # noqa: ARG002
        """(h, w, 3) homogeneous pixel of the middle of each cell of the feature map."""
        height, width = size
        v, u = torch.meshgrid(
            (torch.arange(height, device=self.bins.device) + 0.5) * self.stride,
            (torch.arange(width, device=self.bins.device) + 0.5) * self.stride,
            indexing="ij",
        )
        return torch.stack([u, v, torch.ones_like(u)], -1)

    def whole(self, ratio: Tensor) -> Tensor:
        """Coordinates in cells -> index of the cell: floor."""
        return torch.floor(ratio).long()

    def cells(self, cameras: CameraInputs, size: tuple[int, int]) -> Tensor:
        """(B, N, D, h, w) int64: the grid cell of each pixel and depth, or the number of cells where it is outside."""
        device, pixels = self.bins.device, self.pixels(cameras, size)
        to_image = cameras.cam2img if cameras.img_aug is None else cameras.img_aug @ cameras.cam2img
        rays = unproject(pixels, to_image, cameras.lens)
        points = rays[:, :, None] * self.bins.view(1, 1, -1, 1, 1, 1)
        pose = cameras.cam2ego if cameras.bev_aug is None else cameras.bev_aug[:, None] @ cameras.cam2ego
        ego = torch.einsum("bnij,bndhwj->bndhwi", pose[..., :3, :3], points) + pose[..., None, None, None, :3, 3]
        lower, voxel, shape = self.grid.lower, self.grid.voxel, self.grid.shape
        if not self.keep_z:  # one cell from the lowest to the highest point
            voxel, shape = (*voxel[:2], self.grid.upper[2] - lower[2]), (*shape[:2], 1)
        ego = torch.nan_to_num(ego, nan=-1e6)  # pixels beyond a lens's widest angle: outside the grid
        index = self.whole((ego - torch.tensor(lower, device=device)) / torch.tensor(voxel, device=device))
        sizes = torch.tensor(shape, device=device)
        inside = ((index >= 0) & (index < sizes)).all(-1)
        flat = index[..., 1] * self.grid.shape[0] + index[..., 0]
        if self.keep_z:
            flat = index[..., 2] * self.grid.shape[0] * self.grid.shape[1] + flat
        return torch.where(inside, flat, self._count())

    def _count(self) -> int:
        return self.grid.shape[0] * self.grid.shape[1] * (self.grid.shape[2] if self.keep_z else 1)

    def fix(self, cameras: CameraInputs, cells: tuple[int, int]) -> None:
        """Keep the sorted cells of one calibration for all later calls; exported graphs need it."""
        self.fixed = segments(self.cells(cameras, cells), self._count())
        self.padded = PaddedPool(self.fixed)

    def _segments(self, cameras: CameraInputs, size: tuple[int, int]) -> Segments:
        """Sorted cells, from the latest ones where the calibration is known."""
        parts = [part for part in cameras if isinstance(part, Tensor)]
        key = b"".join(part.detach().cpu().numpy().tobytes() for part in parts) + repr((size, len(parts))).encode()
        if key not in self._sorted:
            while len(self._sorted) >= _KEPT:
                self._sorted.pop(next(iter(self._sorted)))
            self._sorted[key] = segments(self.cells(cameras, size), self._count())
        return Segments(*(one.to(self.bins.device) for one in self._sorted[key]))

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
        rows = content.permute(0, 1, 3, 4, 2).reshape(-1, self.outputs)
        if self.padded is not None and torch.compiler.is_exporting():
            bev = self.padded(rows, logits.softmax(2))
        else:
            found = self.fixed if self.fixed is not None else self._segments(cameras, (height, width))
            bev = pool(rows, logits.softmax(2), found)
        bev, plane = bev.view(batch, self._count(), self.outputs), self.grid.shape[1::-1]
        if self.keep_z:
            return bev.view(batch, -1, *plane, self.outputs).permute(0, 1, 4, 2, 3).flatten(1, 2), {"depth": logits}
        return bev.transpose(1, 2).unflatten(2, plane), {"depth": logits}

    def depth_targets(self, depth: Tensor) -> Tensor:
        """(B, N, h, w) metres, 0 where unknown -> int64 bin, 255 where unknown or beyond the bins."""
        step = self.bins[1] - self.bins[0]
        index = torch.floor((depth - self.bins[0] + step / 2) / step).long()
        return torch.where((depth > 0) & (index >= 0) & (index < len(self.bins)), index, 255)
