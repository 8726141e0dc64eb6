"""Singular vectors in mixed precision, after Delta-CoMe: the first in many bits, later ones in few, the rest gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Method, Packed
from tswitch.baselines._select import pack_bits, unpack_bits
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class MixedBits(Method):
    """tau = sum of u_r v_r^T; each u_r and v_r is rounded to the bits of its group, with one scale a vector.

    Attributes:
        groups: (number of singular values, bits) from the largest on.
    """

    name = "mixed_bits"
    source = "Delta-CoMe, NeurIPS 2024, arXiv 2406.08903"
    limits = "rounds to nearest, where the publication calibrates with GPTQ on data; vectors and biases stay dense"
    whole = True
    groups: Sequence[tuple[int, int]] = ((2, 8), (30, 3), (32, 2))

    def __post_init__(self) -> None:
        if not self.groups or any(count < 1 or not 2 <= bits <= 8 for count, bits in self.groups):
            raise InputError("groups", got=self.groups, expected="pairs of a number from 1 and bits from 2 to 8")

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """Codes of each group's vectors as planes of bits, and their scales; a vector of the model as it is."""
        packed: dict[str, Tensor] = {}
        for i, delta in enumerate(piece.deltas):
            if not delta.any():
                continue
            if len(piece.shape) < 2:
                packed[f"task{i}.delta"] = delta
                continue
            matrix = delta.reshape(piece.shape[0], -1)
            left, values, right = torch.linalg.svd(matrix, full_matrices=False)
            root = values.sqrt()
            sides = {"left": (left * root).T, "right": root[:, None] * right}
            for side, vectors in sides.items():
                at = 0
                for group, (count, bits) in enumerate(self.groups):
                    chosen = vectors[at : at + count]
                    at += count
                    if len(chosen):
                        codes, scales = quantise(chosen, bits)
                        planes = torch.stack([(codes >> bit) & 1 for bit in range(bits)]).bool()
                        key = f"task{i}.{side}{group}"
                        packed |= {f"{key}.bits": pack_bits(planes), f"{key}.scales": scales.half()}
            packed[f"task{i}.width"] = torch.tensor(matrix.shape, dtype=torch.int32)
        return packed

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """The sum of the rounded vectors' products."""
        if f"task{task}.width" not in packed:
            return packed[f"task{task}.delta"] if f"task{task}.delta" in packed else torch.zeros(size)
        height, width = packed[f"task{task}.width"].tolist()
        total = torch.zeros(height, width)
        for group, (_, bits) in enumerate(self.groups):
            sides = []
            for side, length in (("left", height), ("right", width)):
                key = f"task{task}.{side}{group}"
                if f"{key}.bits" not in packed:
                    break
                planes = unpack_bits(packed[f"{key}.bits"], length).to(torch.int32)
                codes = sum(planes[bit] << bit for bit in range(bits))
                sides.append(dequantise(codes, packed[f"{key}.scales"].float(), bits))  # pyright: ignore[reportArgumentType]
            if len(sides) == 2:
                total += sides[0].T @ sides[1]
        return total.reshape(-1)


def quantise(vectors: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """(r, n) -> codes (r, n) int32 in [0, 2^bits), and the scale (r,) of each row: steps on either side of zero."""
    steps = 2 ** (bits - 1) - 1
    scales = vectors.abs().amax(1) / steps
    codes = (vectors / scales.clamp(min=1e-30)[:, None]).round().clamp(-steps, steps)
    return codes.to(torch.int32) + steps, scales


def dequantise(codes: Tensor, scales: Tensor, bits: int) -> Tensor:
    """Inverse of `quantise`, but for the rounding."""
    return (codes - (2 ** (bits - 1) - 1)) * scales[:, None]
