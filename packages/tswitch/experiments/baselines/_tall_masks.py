"""TALL masks: for each task, the entries of the summed task vector that matter to it. Consensus: those several need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tswitch.baselines._base import Merger, Method, Packed, per_task
from tswitch.baselines._select import pack_bits, unpack_bits
from tswitch.switch._tasks import Piece

_SOURCE = "arXiv 2405.07813"


@dataclass(frozen=True, kw_only=True)
class TallMasks(Method):
    """theta_0 + m_i tau_mtl, with tau_mtl = sum of tau_i and m_i = [|tau_i| > lambda |tau_mtl - tau_i|].

    Attributes:
        mask_scale: lambda, one for all tasks or one a task; 0.2 to 0.6, chosen on validation data.
    """

    name = "tall_masks"
    source = _SOURCE
    limits = "32 + K bits a parameter; lambda needs labelled validation data"
    mask_scale: float | Sequence[float] = 0.4

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """tau_mtl dense, and a bit an entry for each task."""
        summed = piece.deltas.sum(0)
        if not piece.deltas.any():
            return {}
        masks = _masks(piece.deltas, self.mask_scale)
        return {"summed": summed, **{f"task{i}.mask": pack_bits(mask) for i, mask in enumerate(masks)}}

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """m_i tau_mtl."""
        return unpack_bits(packed[f"task{task}.mask"], size) * packed["summed"] if packed else torch.zeros(size)


@dataclass(frozen=True, kw_only=True)
class ConsensusTaskArithmetic(Merger):
    """Task Arithmetic over the entries that at least `needed` TALL masks keep.

    Attributes:
        mask_scale: lambda of the masks.
        scale: lambda of Task Arithmetic.
        needed: how many tasks must need an entry.
    """

    name = "consensus_ta"
    source = _SOURCE
    limits = "both lambdas need labelled validation data"
    mask_scale: float | Sequence[float] = 0.4
    scale: float = 0.3
    needed: int = 2

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Lambda * sum of tau_i where enough masks agree."""
        wanted = _masks(piece.deltas, self.mask_scale).sum(0) >= self.needed
        return self.scale * wanted * piece.deltas.sum(0)


def _masks(deltas: Tensor, mask_scale: float | Sequence[float]) -> Tensor:
    """(K, n) bool: m_i."""
    scales = torch.tensor(per_task(mask_scale, len(deltas), "mask_scale"))[:, None]
    return deltas.abs() > scales * (deltas.sum(0) - deltas).abs()
