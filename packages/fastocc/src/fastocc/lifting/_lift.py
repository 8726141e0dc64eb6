"""Three ways from BEV to voxel features; channels are z-major, so that Z folds into the batch without a copy.

The batch norm after the lift has a scale and a bias for each height, and no activation follows, since a ReLU on eight
features throws away much of what they hold (as MobileNetV2 found of narrow layers).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fastocc.lifting._deform import DeformConv


class Lift(nn.Module):
    """(B, C, Y, X) -> (B * Z, Cv, Y, X), batch norm included.

    Args:
        inputs: C. outputs: Cv. levels: Z. backend: of deformable convolutions.
    """

    name: ClassVar[str]

    def __init__(self, inputs: int, outputs: int, levels: int, backend: str = "decomposed") -> None:
        super().__init__()
        self.outputs, self.levels = outputs, levels
        self.body = self.make(inputs, outputs * levels, backend)
        self.norm = nn.BatchNorm2d(outputs * levels)

    def make(self, inputs: int, outputs: int, backend: str) -> nn.Module:
        """The map from (B, inputs, Y, X) to (B, outputs = Z * Cv, Y, X)."""
        raise NotImplementedError

    def forward(self, bev: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B * Z, Cv, Y, X)."""
        made = self.norm(self.body(bev))
        return made.reshape(-1, self.outputs, *made.shape[-2:])


class DcnLift(Lift):
    """One deformable convolution C -> Z * Cv: the publication's sentence read literally."""

    name: ClassVar[str] = "dcn"

    def make(self, inputs: int, outputs: int, backend: str) -> nn.Module:
        return DeformConv(inputs, outputs, backend)


class ConvLift(Lift):
    """A plain 3 x 3 convolution: what deformation adds is the difference."""

    name: ClassVar[str] = "conv"

    def make(self, inputs: int, outputs: int, backend: str) -> nn.Module:  # noqa: ARG002
        return nn.Conv2d(inputs, outputs, 3, padding=1)


class LinearLift(Lift):
    """A linear map of each cell, as BEVNet lifts."""

    name: ClassVar[str] = "linear"

    def make(self, inputs: int, outputs: int, backend: str) -> nn.Module:  # noqa: ARG002
        return nn.Conv2d(inputs, outputs, 1)


LIFTS = {lift.name: lift for lift in (DcnLift, ConvLift, LinearLift)}
