"""`lut`: each voxel looks up its pixel in the first camera that sees it (Fast-BEV)."""

from __future__ import annotations

import warnings
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.geometry import GridSpec
from fastocc.views._base import CameraInputs, ViewTransform, sample_heights
from fastocc.views._projection import project

_KEPT = 8  # tables of the latest calibrations


class LookUp(ViewTransform):
    """A table from voxels to pixels, computed once for a calibration.

    Args:
        inputs: channels of the image features. outputs: channels of the BEV. grid: its grid. stride: of the features.
        heights: points a pillar.
    """

    name: ClassVar[str] = "lut"
    points: Tensor

    def __init__(self, inputs: int, outputs: int, grid: GridSpec, stride: int, heights: int = 8) -> None:
        super().__init__()
        self.grid, self.stride, self.heights = grid, stride, heights
        self.register_buffer("points", sample_heights(grid, heights).reshape(-1, 3), persistent=False)
        self.mix = nn.Sequential(
            nn.Conv2d(inputs * heights, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self._tables: dict[bytes, Tensor] = {}
        self.fixed: Tensor | None = None

    def table(self, cameras: CameraInputs, cells: tuple[int, int]) -> Tensor:
        """(B, N, P) int64: place of each point in its camera's h * w cells, or h * w where it has none."""
        height, width = cells
        pixels, depth = project(
            self.points, cameras.cam2img, cameras.cam2ego, cameras.img_aug, cameras.bev_aug, cameras.lens
        )
        place = torch.floor(pixels / self.stride).long()
        inside = (depth > 0.1) & (place >= 0).all(-1) & (place[..., 0] < width) & (place[..., 1] < height)
        flat = place[..., 1] * width + place[..., 0]
        table = torch.where(inside, flat, height * width)
        taken = inside.cumsum(1) - inside.long()  # later cameras keep what no earlier one sees
        table = torch.where(taken > 0, height * width, table)
        if not inside.any():
            warnings.warn("no voxel falls into any image: the bird's-eye view is zero", stacklevel=3)
        return table

    def fix(self, cameras: CameraInputs, cells: tuple[int, int]) -> None:
        """Keep the table of one calibration for all later calls; exported graphs need it."""
        self.fixed = self.table(cameras, cells)

    def forward(
        self,
        features: Tensor,
        cameras: CameraInputs,
        previous: Tensor | None = None,  # noqa: ARG002  (of use to temporal views)
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, N, C, h, w) -> (B, C', Y, X)."""
        batch, count, channels, height, width = features.shape
        table = self.fixed if self.fixed is not None else self._kept(cameras, (height, width))
        rows = F.pad(features.flatten(3).transpose(2, 3), (0, 0, 0, 1)).reshape(-1, channels)  # a zero row a camera
        start = torch.arange(batch * count, device=rows.device).view(batch, count, 1) * (height * width + 1)
        found = (table < height * width).long().argmax(1, keepdim=True)  # camera 0 and its zero row where none
        picked = F.embedding(table.gather(1, found) + start.expand_as(table).gather(1, found), rows)[:, 0]
        volume = picked.view(batch, self.heights, *self.grid.shape[1::-1], channels)
        return self.mix(volume.permute(0, 1, 4, 2, 3).flatten(1, 2)), {}

    def _kept(self, cameras: CameraInputs, cells: tuple[int, int]) -> Tensor:
        """The table of each frame of the batch, from the latest ones where its calibration is known."""
        tables = []
        for at in range(len(cameras.cam2img)):
            one = CameraInputs(
                cameras.cam2img[at : at + 1],
                cameras.cam2ego[at : at + 1],
                cameras.image_size,
                None if cameras.img_aug is None else cameras.img_aug[at : at + 1],
                None if cameras.bev_aug is None else cameras.bev_aug[at : at + 1],
                None if cameras.lens is None else cameras.lens[at : at + 1],
            )
            parts = [part for part in one if isinstance(part, Tensor)]
            key = b"".join(part.detach().cpu().numpy().tobytes() for part in parts) + repr(cells).encode()
            if key not in self._tables:
                while len(self._tables) >= _KEPT:
                    self._tables.pop(next(iter(self._tables)))
                self._tables[key] = self.table(one, cells)
            tables.append(self._tables[key])
        return torch.cat(tables).to(self.points.device)
