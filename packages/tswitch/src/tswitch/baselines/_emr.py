"""EMR-Merging: elect one task vector for all, then a mask and a rescaler for each task."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tswitch.baselines._base import Method, Packed
from tswitch.baselines._select import pack_bits, unpack_bits
from tswitch.switch._tasks import Piece, TaskVectors


@dataclass(frozen=True, kw_only=True)
class Emr(Method):
    """theta_0 + r_i M_i tau_uni.

    gamma = sign(sum tau_i), tau_uni = gamma * max |tau_i| over those that agree with gamma, M_i = [tau_i gamma > 0],
    r_i = sum over tensors of mean|tau_i| / sum over tensors of mean|M_i tau_uni|.
    """

    name = "emr"
    source = "arXiv 2405.17461"
    limits = "32 + K bits a parameter"

    def prepare(self, tasks: TaskVectors) -> Tensor:
        """r, (K,)."""
        own, masked = torch.zeros(2, len(tasks), dtype=torch.float64)
        for name in tasks.names:
            size = max(tasks.numel(name), 1)
            for piece in tasks.chunks(name):
                unified = _unify(piece.deltas)
                own += piece.deltas.abs().sum(1, dtype=torch.float64) / size
                masked += ((piece.deltas * unified).gt_(0) * unified.abs()).sum(1, dtype=torch.float64) / size
        return (own / masked.masked_fill(masked == 0, 1)).float()

    def pack(self, piece: Piece, measured: Tensor) -> Packed:
        """tau_uni dense, a bit an entry for each task, and the rescalers."""
        unified = _unify(piece.deltas)
        if not unified.any():
            return {}
        masks = {f"task{i}.mask": pack_bits(delta * unified > 0) for i, delta in enumerate(piece.deltas)}
        return {"unified": unified, "rescale": measured, **masks}

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """r_i M_i tau_uni."""
        if not packed:
            return torch.zeros(size)
        return packed["rescale"][task] * unpack_bits(packed[f"task{task}.mask"], size) * packed["unified"]


def _unify(deltas: Tensor) -> Tensor:
    """tau_uni, (n,): the sign of the sum, with the largest magnitude of that sign."""
    sign = deltas.sum(0).sign()
    return sign * (deltas * sign).clamp(min=0).amax(0)
