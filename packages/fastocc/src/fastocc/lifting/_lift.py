"""Four ways from BEV to voxel features; channels are z-major, so that Z folds into the batch without a copy.

Two forms of what follows the lift. `residual`: a batch norm whose scale and bias belong to one height, and no
activation, since a ReLU on eight features throws away much of what they hold (as MobileNetV2 found of narrow layers).
`literal`: one batch norm for all heights and a ReLU; the lift's own bias alone says how high a voxel
lies.
"""

from __future__ import annotations

from typing import ClassVar

import torch
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


class _PerHeight(nn.Module):
    """V_z(p) = sum over k of m_{z,k} W_{z,k} F(p + p_k + D_{z,k}): an offset field of its own for each height."""

    def __init__(self, inputs: int, outputs: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.weight = nn.Parameter(torch.empty(levels, outputs // levels, inputs * 9))
        self.bias = nn.Parameter(torch.zeros(levels, outputs // levels, 1))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.field = nn.Conv2d(inputs, 27 * levels, 3, padding=1)
        nn.init.zeros_(self.field.weight)
        nn.init.zeros_(self.field.bias)  # type: ignore[arg-type]

    def offsets(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 18 * Z, Y, X) offsets in cells, and (B, 9 * Z, Y, X) modulation."""
        offset, mask = self.field(x).split([18 * self.levels, 9 * self.levels], 1)
        return offset, mask.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        narrow, wide = x.dtype, torch.promote_types(x.dtype, torch.float32)  # as in DeformConv
        x, offset, mask = (one.to(wide) for one in (x, *self.offsets(x)))
        offset = offset.view(batch, self.levels, 9, 2, height, width)
        steps = torch.arange(-1, 2, device=x.device, dtype=x.dtype)
        rows = torch.arange(height, device=x.device, dtype=x.dtype)[:, None] + steps.repeat_interleave(3).view(9, 1, 1)
        columns = torch.arange(width, device=x.device, dtype=x.dtype) + steps.repeat(3).view(9, 1, 1)
        v = (rows + offset[:, :, :, 0]) * 2 / max(height - 1, 1) - 1
        u = (columns + offset[:, :, :, 1]) * 2 / max(width - 1, 1) - 1
        place = torch.stack([u, v], -1).view(batch, -1, width, 2)
        taken = F.grid_sample(x, place, align_corners=True).view(batch, channels, self.levels, 9, height * width)
        taken = taken * mask.view(batch, 1, self.levels, 9, -1)
        rows_of = taken.permute(0, 2, 1, 3, 4).reshape(batch, self.levels, channels * 9, -1)
        made = self.weight.to(wide) @ rows_of + self.bias.to(wide)
        return made.view(batch, -1, height, width).to(narrow)


class DcnZLift(Lift):
    """Deformation with its own offsets at each height (our reading of what height needs)."""

    name: ClassVar[str] = "dcn_z"

    def make(self, inputs: int, outputs: int, backend: str) -> nn.Module:  # noqa: ARG002
        return _PerHeight(inputs, outputs, self.levels)


LIFTS = {lift.name: lift for lift in (DcnLift, DcnZLift, ConvLift, LinearLift)}
