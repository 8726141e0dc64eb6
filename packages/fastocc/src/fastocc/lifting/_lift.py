"""Three ways from BEV to voxel features; channels are z-major, so that Z folds into the batch without a copy.

Two forms of what follows the lift. `residual`: a batch norm whose scale and bias belong to one height, and no
activation, since a ReLU on eight features throws away much of what they hold (as MobileNetV2 found of narrow layers).
`literal`: one batch norm for all heights and a ReLU; the lift's own bias alone says how high a voxel
lies.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.lifting._deform import DeformConv


class Lift(nn.Module):
    """(B, C, Y, X) -> (B * Z, Cv, Y, X), batch norm included.

    Args:
        inputs: C. outputs: Cv. levels: Z. backend: of deformable convolutions. form: residual or literal.
    """

    name: ClassVar[str]

    def __init__(
        self, inputs: int, outputs: int, levels: int, backend: str = "decomposed", form: str = "residual"
    ) -> None:
        super().__init__()
        self.outputs, self.levels, self.form = outputs, levels, form
        self.body = self.make(inputs, outputs * levels, backend)
        self.norm = nn.BatchNorm2d(outputs * levels if form == "residual" else outputs)

    def make(self, inputs: int, outputs: int, backend: str) -> nn.Module:
        """The map from (B, inputs, Y, X) to (B, outputs = Z * Cv, Y, X)."""
        raise NotImplementedError

    def forward(self, bev: Tensor) -> Tensor:
        """(B, C, Y, X) -> (B * Z, Cv, Y, X)."""
        made = self.body(bev)
        if self.form == "residual":
            return self._fold(self.norm(made))
        return F.relu(self.norm(self._fold(made)))

    def _fold(self, made: Tensor) -> Tensor:
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
