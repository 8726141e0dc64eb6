"""BitDelta: one bit and one scale for each weight matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch

import torch
from torch import Tensor
from tswitch.baselines._base import Method, Packed
from tswitch.baselines._select import pack_bits, unpack_bits
from tswitch.switch._tasks import Piece, TaskVectors


@dataclass(frozen=True, kw_only=True)
class BitDelta(Method):
    """sign(tau) * mean|tau| for each weight matrix; everything else dense.

    Attributes:
        dense: patterns of matrices that stay dense too: embeddings and output heads, as published.
        every: one bit for every entry of every tensor, vectors and embeddings included: the comparison at equal scope.
    """

    name = "bitdelta"
    source = "arXiv 2402.10193"
    limits = "without the distillation of the scales; an exact zero counts as positive, as in the authors' code"
    dense: Sequence[str] = ("*embed*", "*lm_head*")
    every: bool = field(default=False, repr=False)  # unseen in repr, by which tuned settings are kept

    def measure(self, tasks: TaskVectors, name: str, prepared: None) -> list[float] | None:
        """mean|tau_i| of each task, or None where the tensor stays dense."""
        stays = len(tasks.base.info(name).shape) < 2 or any(fnmatch(name, pattern) for pattern in self.dense)
        if stays and not self.every:
            return None
        size = max(tasks.numel(name), 1)
        return [
            sum(d.abs().sum(dtype=torch.float64).item() for d in tasks.task(i, name)) / size for i in range(len(tasks))
        ]

    def pack(self, piece: Piece, measured: list[float] | None) -> Packed:
        """A bit an entry and a scale, or the dense task vector; nothing for a task vector of zeros."""
        packed: dict[str, Tensor] = {}
        for i, delta in enumerate(piece.deltas):
            if not delta.any():
                continue
            if measured is None:
                packed[f"task{i}.delta"] = delta
            else:
                packed |= {f"task{i}.bits": pack_bits(delta >= 0), f"task{i}.scale": torch.tensor(measured[i])}
        return packed

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """Plus or minus the scale."""
        if f"task{task}.bits" in packed:
            return (unpack_bits(packed[f"task{task}.bits"], size).float() * 2 - 1) * packed[f"task{task}.scale"]
        return packed[f"task{task}.delta"] if f"task{task}.delta" in packed else torch.zeros(size)
