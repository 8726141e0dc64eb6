"""Twin-Merging: one shared model, what each task needs beyond it in compressed form, and a router that mixes these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tswitch.baselines._base import Method, Packed, share
from tswitch.baselines._select import kth_largest, pack_bits, part, unpack_bits
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class TwinMerging(Method):
    """theta* + sum of w_i(x) nu_i: theta* by Task Arithmetic, nu_i = theta_i - theta* pruned by magnitude.

    `Fitted.mixture(w)` gives the model for weights w of a router, `task_model(i)` that of a router sure of task i.

    Attributes:
        scale: lambda of Task Arithmetic.
        keep: share of entries that is kept, the largest ones.
    """

    name = "twin_merging"
    source = "arXiv 2406.15479"
    limits = "the router needs labels of the task; each mixture is a model of its own to run"
    whole = True
    scale: float = 0.3
    keep: float = 0.1

    def __post_init__(self) -> None:
        share(self.keep, "keep", zero=False)

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """theta* - theta_0 in the base's place, and each task's nu_i compressed."""
        shared = self.scale * piece.deltas.sum(0)
        packed = {"merged": shared}
        for i, delta in enumerate(piece.deltas):
            own = delta - shared
            rank = max(part(own.numel(), self.keep), 1)
            smallest = kth_largest(lambda own=own: [own.abs()], [rank])[0] if own.numel() else 0.0
            kept = own.abs() >= smallest
            packed |= {f"task{i}.bits": pack_bits(kept), f"task{i}.values": own[kept]}
        return packed

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """theta* - theta_0 + nu_i."""
        own = torch.zeros(size)
        own[unpack_bits(packed[f"task{task}.bits"], size)] = packed[f"task{task}.values"]
        return packed["merged"] + own
