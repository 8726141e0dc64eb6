"""LoRA: two thin factors for each weight matrix, cut from the task vector or trained by peft, at a given size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import torch
from ninefold.errors import InputError, require
from torch import Tensor, nn

from tswitch.baselines._base import Method, Packed
from tswitch.switch._tasks import Piece

_FACTOR_BYTES = 4  # float32


@dataclass(frozen=True, kw_only=True)
class Lora(Method):
    """Best rank-r approximation of each matrix of tau_i (SVD); other tensors keep the values of the base.

    Attributes:
        rank: r; `rank_at` gives the rank that fits a number of bytes.
        skip: patterns of matrices without factors: embeddings and output heads.
    """

    name = "lora"
    source = "arXiv 2106.09685"
    limits = "the factors are cut from full fine-tuning; train them with peft for the published method (`config_at`)"
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


def rank_at(nbytes: int, shapes: Iterable[Sequence[int]]) -> int:
    """Largest rank whose float32 factors, over all matrices of these shapes, take at most `nbytes`.

    Raises:
        InputError: if not even rank 1 fits.
    """
    matrices = [(shape[0], torch.Size(shape[1:]).numel()) for shape in shapes if len(shape) >= 2]
    one = _FACTOR_BYTES * sum(rows + columns for rows, columns in matrices)
    if not one or nbytes < one:
        raise InputError("nbytes", got=nbytes, expected=f"at least {one}, the size of rank 1")
    return nbytes // one


def config_at(model: nn.Module, nbytes: int, **options: Any) -> Any:
    """A `peft.LoraConfig` over all linear layers of `model` whose adapter takes at most `nbytes`.

    Args:
        model: the base.
        nbytes: size of the float32 adapter.
        options: of `LoraConfig`; published for T-Switch's comparison: lora_dropout=0.1.
    """
    peft = require("peft", "tswitch", "peft")
    layers = {name: tuple(layer.weight.shape) for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    rank = rank_at(nbytes, layers.values())
    return peft.LoraConfig(
        **{"r": rank, "lora_alpha": rank, "lora_dropout": 0.1, "target_modules": sorted(layers)} | options
    )
