"""Pruned, rounded and rescaled changes, after UltraDelta: what is left gets the trace norm of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor
from tswitch.baselines._base import Method, Packed, share
from tswitch.baselines._dare import uniform
from tswitch.baselines._select import pack_bits, unpack_bits
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Rescaled(Method):
    """Entries are dropped at random within each step of a uniform quantiser, so that its distribution stays.

    Stored: the mask's seed, that is nothing; the codes of the entries that are left; a scale and a factor a tensor.

    Attributes:
        drop: share of the entries that is dropped.
        bits: of each entry that is left.
        seed: of the masks.
    """

    name = "rescaled"
    source = "UltraDelta, arXiv 2505.13563"
    limits = "one share to drop for all tensors, where the publication sets it by their variance"
    whole = True
    drop: float = 0.9
    bits: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        share(self.drop, "drop", one=False)
        if not 2 <= self.bits <= 8:
            raise InputError("bits", got=self.bits, expected="2 to 8")

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """Codes of the entries that are left, as planes of bits, with the quantiser's step and the factor."""
        packed: dict[str, Tensor] = {}
        for i, delta in enumerate(piece.deltas):
            if not delta.any():
                continue
            there = self._mask(piece.name, i, delta.numel())
            codes, scale = quantise(delta[None], self.bits)
            left = torch.zeros_like(delta)
            left[there] = dequantise(codes, scale, self.bits)[0][there]
            factor = _size(delta, piece.shape) / max(_size(left, piece.shape), 1e-30)
            planes = torch.stack([(codes[0][there] >> bit) & 1 for bit in range(self.bits)]).bool()
            packed |= {
                f"task{i}.bits": pack_bits(planes),
                f"task{i}.scale": torch.tensor([float(scale), factor]),
                f"task{i}.name": torch.from_numpy(np.frombuffer(piece.name.encode(), np.uint8).copy()),
            }
        return packed

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """Factor times the rounded entries, at the places of the mask."""
        out = torch.zeros(size)
        if f"task{task}.bits" not in packed:
            return out
        name = bytes(packed[f"task{task}.name"].numpy()).decode()
        there = self._mask(name, task, size)
        planes = unpack_bits(packed[f"task{task}.bits"], int(there.sum())).to(torch.int32)
        codes = torch.stack([planes[bit] << bit for bit in range(self.bits)]).sum(0)
        scale, factor = packed[f"task{task}.scale"].tolist()
        out[there] = factor * dequantise(codes[None].to(torch.int32), torch.tensor([scale]), self.bits)[0]
        return out

    def _mask(self, name: str, task: int, size: int) -> Tensor:
        return torch.from_numpy(uniform(self.seed, name, task, 0, size)) >= self.drop


def _size(delta: Tensor, shape: tuple[int, ...]) -> float:
    """Trace norm of a matrix; of a vector its length."""
    if len(shape) < 2:
        return float(delta.norm())
    matrix = delta.reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return math.fsum(torch.linalg.eigvalsh(small.double()).clamp(min=0).sqrt().tolist())


def quantise(vectors: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """(r, n) -> codes (r, n) int32 in [0, 2^bits), and the scale (r,) of each row: steps on either side of zero."""
    steps = 2 ** (bits - 1) - 1
    scales = vectors.abs().amax(1) / steps
    codes = (vectors / scales.clamp(min=1e-30)[:, None]).round().clamp(-steps, steps)
    return codes.to(torch.int32) + steps, scales


def dequantise(codes: Tensor, scales: Tensor, bits: int) -> Tensor:
    """Inverse of `quantise`, but for the rounding."""
    return (codes - (2 ** (bits - 1) - 1)) * scales[:, None]
