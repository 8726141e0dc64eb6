"""TSV-Compress: of each matrix's changes the first singular vectors, so many that all tasks together take one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Method, Packed
from tswitch.baselines._lora import factors
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class TsvC(Method):
    """Task singular vectors: a share of the singular values of each matrix, factors in half precision; vectors dense.

    Attributes:
        keep: share of the singular values that is kept; 0 is the published 1 / K for K tasks.
    """

    name = "tsv_c"
    source = "Task Singular Vectors, CVPR 2025, arXiv 2412.00081"
    limits = "compression only, without the interference reduction of TSV-M; vectors and biases stay dense"
    whole = True
    keep: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.keep <= 1:
            raise InputError("keep", got=self.keep, expected="a share in [0, 1]")

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """Factors of each task, (m, r) and (r, n) float16; a vector as it is."""
        packed: dict[str, Tensor] = {}
        for i, delta in enumerate(piece.deltas):
            if not delta.any():
                continue
            if len(piece.shape) < 2:
                packed[f"task{i}.delta"] = delta
                continue
            matrix = delta.reshape(piece.shape[0], -1)
            rank = max(int(min(matrix.shape) * (self.keep or 1 / len(piece.deltas)) + 1e-9), 1)
            left, right = factors(matrix, rank)
            packed |= {f"task{i}.left": left.half(), f"task{i}.right": right.half()}
        return packed

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """Their product."""
        if f"task{task}.left" in packed:
            return (packed[f"task{task}.left"].float() @ packed[f"task{task}.right"].float()).reshape(-1)
        return packed[f"task{task}.delta"] if f"task{task}.delta" in packed else torch.zeros(size)
