"""FastOcc (arXiv 2403.02710): a 2D head on the BEV, and image features interpolated into the voxels as a residual."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead
from fastocc.views import conv_bn, sample_heights, sample_images


class FastOcc2d(OccHead):
    """2D convolutions on the BEV give each voxel's features; the mean of its pixels over cameras is added."""

    name: ClassVar[str] = "fastocc2d"
    source: ClassVar[str] = "FastOcc, arXiv 2403.02710"
    needs_context: ClassVar[bool] = True
    points: Tensor

    def __init__(
        self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8, context_channels: int = 32
    ) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.context_channels = context_channels
        self.body = nn.Sequential(
            conv_bn(in_channels, in_channels), conv_bn(in_channels, in_channels),
            nn.Conv2d(in_channels, channels * self.levels, 1),
        )  # fmt: skip
        self.image = nn.Conv2d(context_channels, channels, 1)
        self.classify = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.Softplus(), nn.Linear(2 * channels, num_classes)
        )
        points = sample_heights(grid, self.levels).permute(2, 1, 0, 3).reshape(-1, 3)
        self.register_buffer("points", points, persistent=False)

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        assert context is not None
        volume = self.body(bev).unflatten(1, (self.levels, self.channels)).permute(0, 4, 3, 1, 2)
        features = self.image(context.features.flatten(0, 1)).unflatten(0, context.features.shape[:2])
        mean = sample_images(features, self.points, context.cameras).transpose(1, 2)
        return self.classify(volume + mean.reshape(volume.shape))
