"""The per-voxel MLP Cv -> 2 Cv -> K with Softplus, and the order of axes of the labels."""

from __future__ import annotations

import math

from torch import Tensor, nn


class VoxelMlp(nn.Module):
    """Class scores of each voxel.

    Args:
        channels: Cv. classes: K. sparse: start with each probability at 1 % (for sigmoid outputs with focal loss).
    """

    def __init__(self, channels: int, classes: int, *, sparse: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 2 * channels, 1)
        self.last = nn.Conv2d(2 * channels, classes, 1)
        self.activation = nn.Softplus()
        if sparse:
            nn.init.constant_(self.last.bias, -math.log(99))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B * Z, Cv, Y, X) -> (B * Z, K, Y, X)."""
        return self.last(self.activation(self.first(x)))


def to_volume(folded: Tensor, levels: int) -> Tensor:
    """(B * Z, K, Y, X) -> (B, X, Y, Z, K), the order of the label arrays."""
    return folded.unflatten(0, (-1, levels)).permute(0, 4, 3, 1, 2)
