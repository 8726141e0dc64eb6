"""The perspective segmentation branch: it teaches the image features what they show, and is gone at inference."""

from __future__ import annotations

from torch import Tensor, nn


class SegmentationBranch(nn.Module):
    """Image features (B, N, C, h, w) -> class scores (B, N, K, h, w) at their stride.

    Args:
        channels: C. classes: K, without free.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, classes, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, N, C, h, w) -> (B, N, K, h, w)."""
        return self.body(features.flatten(0, 1)).unflatten(0, features.shape[:2])
