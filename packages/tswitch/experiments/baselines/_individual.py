"""The two ends: every fine-tuned model kept whole, and the base alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tswitch.baselines._base import Merger, Method, Packed
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Individual(Method):
    """Each fine-tuned model as it is: the accuracy to reach, and the storage to save."""

    name = "individual"
    source = "fine-tuned models, unmerged"
    limits = "stores K whole models"

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """All K task vectors, float32."""
        return {f"task{i}.delta": delta for i, delta in enumerate(piece.deltas)}

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """The task vector."""
        return packed[f"task{task}.delta"]


@dataclass(frozen=True, kw_only=True)
class Pretrained(Merger):
    """The base for every task: the accuracy to start from."""

    name = "base"
    source = "the base model, not fine-tuned"
    limits = "knows none of the tasks"

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Adds nothing."""
        return torch.zeros_like(piece.base)
