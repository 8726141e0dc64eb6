"""Voxel features with Z folded into the batch, (B * Z, C, Y, X): its statistics are those over (B, Z, Y, X)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fold(volume: Tensor) -> Tensor:
    """(B, C, Z, Y, X) -> (B * Z, C, Y, X)."""
    return volume.transpose(1, 2).flatten(0, 1)


def unfold(folded: Tensor, levels: int) -> Tensor:
    """(B * Z, C, Y, X) -> (B, C, Z, Y, X)."""
    return folded.unflatten(0, (-1, levels)).transpose(1, 2)


class DeepConv(nn.Module):
    """A 3 x 3 x 3 convolution on folded features: (B * Z, C, Y, X) -> (B * Z, C', Y', X').

    Args:
        inputs: C. outputs: C'. levels: Z. stride: in y and x.
    """

    def __init__(self, inputs: int, outputs: int, levels: int, stride: int = 1) -> None:
        super().__init__()
        self.levels, self.stride = levels, stride
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B * Z, C, Y, X) -> (B * Z, C', Y', X')."""
        # one 2D convolution makes what each level gives to the one above it, to itself and to the one below it
        made = F.conv2d(x, self.weight.permute(2, 0, 1, 3, 4).flatten(0, 1), stride=self.stride, padding=1)
        up, own, down = made.unflatten(0, (-1, self.levels)).chunk(3, 2)
        below, above = (0, 0) * 3 + (1, 0), (0, 0) * 3 + (0, 1)
        return (own + F.pad(up[:, :-1], below) + F.pad(down[:, 1:], above)).flatten(0, 1)
