"""LoRA by singular values: two thin factors for each weight matrix, cut from the task vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor
from tswitch.baselines._base import Method, Packed
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Lora(Method):
    """Best rank-r approximation of each matrix of tau_i (SVD); other tensors keep the values of the base.

    Attributes:
        rank: r.
        skip: patterns of matrices without factors: embeddings and output heads.
    """

    name = "lora"
    source = "arXiv 2106.09685"
    limits = "the factors are cut from full fine-tuning; train them with peft for the published method"
    whole = True
    rank: int = 16
    skip: Sequence[str] = ("*embed*", "*lm_head*")

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError("rank", got=self.rank, expected="1 or more")

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """Factors (m, r) and (r, n) of each task."""
        if len(piece.shape) < 2 or not piece.base.numel() or any(fnmatch(piece.name, pattern) for pattern in self.skip):
            return {}
        packed: dict[str, Tensor] = {}
        for i, delta in enumerate(piece.deltas):
            packed[f"task{i}.left"], packed[f"task{i}.right"] = factors(delta.reshape(piece.shape[0], -1), self.rank)
        return packed

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """Their product."""
        return (packed[f"task{task}.left"] @ packed[f"task{task}.right"]).reshape(-1) if packed else torch.zeros(size)


def factors(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(m, n) -> (m, r), (r, n): the closest matrix of that rank, singular values shared out evenly; exact SVD."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]
