"""Three planes, summed for each voxel (TPVFormer's representation on a shared BEV)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead
from fastocc.views import sample_heights, sample_images


class Tpv(OccHead):
    """The BEV gives the xy plane; image features at the voxel centres, which keep z, averaged along y and x the others.

    A voxel is the sum of its three planes. Nothing is trained on crops, whose averages are those of other rows.
    """

    name: ClassVar[str] = "tpv"
    source: ClassVar[str] = "TPVFormer, arXiv 2302.07817"
    needs_context: ClassVar[bool] = True
    mixes_rows: ClassVar[bool] = True
    points: Tensor

    def __init__(
        self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8, context_channels: int = 32
    ) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.context_channels = context_channels
        width = max(in_channels // 2, channels)
        self.top = nn.Conv2d(in_channels, width, 3, padding=1)
        self.side, self.front = (nn.Conv2d(context_channels, width, 3, padding=1) for _ in range(2))
        self.classify = nn.Sequential(nn.Linear(width, 2 * width), nn.Softplus(), nn.Linear(2 * width, num_classes))
        points = sample_heights(grid, self.levels).permute(2, 1, 0, 3).reshape(-1, 3)
        self.register_buffer("points", points, persistent=False)

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        assert context is not None
        rows, columns = bev.shape[2:]
        volume = sample_images(context.features, self.points, context.cameras).unflatten(2, (columns, rows, -1))
        top = self.top(bev).permute(0, 3, 2, 1)[:, :, :, None]
        side = self.side(volume.mean(3)).permute(0, 2, 3, 1)[:, :, None]
        front = self.front(volume.mean(2)).permute(0, 2, 3, 1)[:, None]
        return self.classify(top + side + front)
