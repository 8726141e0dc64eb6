"""The per-voxel MLP Cv -> 2 Cv -> K with Softplus, and the order of axes of the labels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class VoxelMlp(nn.Module):
    """Class scores of each voxel.

    Args:
        channels: Cv. classes: K. sparse: start with each probability at 1 % (for sigmoid outputs with focal loss).
        heights: Z for a last layer of its own at each height; 1 for the same one everywhere.
    """

    def __init__(self, channels: int, classes: int, *, sparse: bool = False, heights: int = 1) -> None:
        super().__init__()
        self.heights = heights
        self.first = nn.Conv2d(channels, 2 * channels, 1)
        self.last = nn.Conv2d(2 * channels * heights, classes * heights, 1, groups=heights)
        self.activation = nn.Softplus()
        if sparse:
            nn.init.constant_(self.last.bias, -math.log(99))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B * Z, Cv, Y, X) -> (B * Z, K, Y, X)."""
        levels = x.unflatten(0, (-1, self.heights)).unbind(1)  # one after the other: their features stay in the cache
        weights, biases = (getattr(self.last, name).chunk(self.heights) for name in ("weight", "bias"))
        made = [
            F.conv2d(self.activation(self.first(some)), weight, bias)
            for some, weight, bias in zip(levels, weights, biases, strict=True)
        ]
        return torch.stack(made, 1).flatten(0, 1)


def to_columns(folded: Tensor, levels: int) -> Tensor:
    """(B * Z, K, X, Y) -> (B, X, Y, Z, K), the order of the label arrays: one axis moves, which runtimes copy fast."""
    classes, *size = folded.shape[1:]
    return folded.reshape(-1, levels * classes, *size).permute(0, 2, 3, 1).unflatten(-1, (levels, classes))
