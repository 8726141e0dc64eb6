"""SLERP: one fine-tuned model and its base, met on the great circle between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Merger, share
from tswitch.switch._tasks import Piece

_PARALLEL = 0.9995  # cosine beyond which the circle is a line


@dataclass(frozen=True, kw_only=True)
class Slerp(Merger):
    """(sin((1 - t) w) theta_0 + sin(t w) theta_1) / sin w for each tensor, w the angle between the two as vectors.

    Attributes:
        t: 0 is the base, 1 the fine-tuned model.
    """

    name = "slerp"
    source = "Shoemake, SIGGRAPH 1985"
    limits = "one fine-tuned model beside the base; tensors that are parallel are mixed linearly"
    whole = True
    t: float = 0.5

    def __post_init__(self) -> None:
        share(self.t, "t")

    def check(self, count: int) -> None:
        """Also refuse more than one model."""
        super().check(count)
        if count != 1:
            raise InputError("models", got=count, expected="one beside the base, for slerp")

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """The point at t, minus the base."""
        base, other = piece.base.double(), piece.base.double() + piece.deltas[0].double()
        norms = [float(torch.linalg.vector_norm(vector)) or 1.0 for vector in (base, other)]
        cosine = float(((base / norms[0]) @ (other / norms[1])).clamp(-1, 1))
        near, far = 1 - self.t, self.t
        if abs(cosine) <= _PARALLEL:
            angle = math.acos(cosine)
            near, far = math.sin(near * angle) / math.sin(angle), math.sin(far * angle) / math.sin(angle)
        return ((near - 1) * base + far * other).float()
