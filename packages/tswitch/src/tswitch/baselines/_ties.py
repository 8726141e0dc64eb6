"""TIES: trim, elect a sign, average those that agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Merger, per_task, share
from tswitch.baselines._select import keep_from, kth_largest, magnitudes, part
from tswitch.switch._tasks import Piece, TaskVectors


@dataclass(frozen=True, kw_only=True)
class Ties(Merger):
    """Keep the largest |tau_i|; elect the sign of their sum; average the entries of that sign.

    Attributes:
        keep: share of entries that is kept, one for all tasks or one a task; entries equal to the smallest kept stay.
        scale: lambda.
        scope: "model" ranks entries over the whole model (the publication), "tensor" over each tensor (mergekit).
        weights: one for all tasks, or one a task.
        normalize: average the agreeing entries (the publication); without it they are summed.
    """

    name = "ties"
    source = "arXiv 2306.01708"
    limits = "where the sum is exactly zero the positive sign is elected, as mergekit does"
    keep: float | Sequence[float] = 0.2
    scale: float = 0.3
    scope: Literal["model", "tensor"] = "model"
    weights: float | Sequence[float] = 1.0
    normalize: bool = True

    def __post_init__(self) -> None:
        share(self.keep, "keep", zero=False)
        if self.scope not in ("model", "tensor"):
            raise InputError("scope", got=self.scope, expected="model or tensor")

    def prepare(self, tasks: TaskVectors) -> list[float] | None:
        """Smallest kept |tau_i| of each task, over the whole model."""
        return self._smallest(tasks, tasks.names, tasks.parameters) if self.scope == "model" else None

    def measure(self, tasks: TaskVectors, name: str, prepared: list[float] | None) -> list[float]:
        """Smallest kept |tau_i| of each task, over the tensor."""
        return self._smallest(tasks, [name], tasks.numel(name)) if prepared is None else prepared

    def _smallest(self, tasks: TaskVectors, names: list[str], size: int) -> list[float]:
        found = []
        for index, keep in enumerate(per_task(self.keep, len(tasks), "keep")):
            rank = max(part(size, keep), 1)
            whole = size == 0 or keep == 1
            found.append(0.0 if whole else kth_largest(magnitudes(tasks, index, names), [rank])[0])
        return found

    def merge_tensor(self, piece: Piece, measured: list[float]) -> Tensor:
        """Lambda * (weighted mean of the kept entries that have the elected sign)."""
        weights = per_task(self.weights, len(piece.deltas), "weights")
        for delta, smallest in zip(piece.deltas, measured, strict=True):
            keep_from(delta, smallest, out=delta)
        return self.scale * elect_and_merge(piece.deltas, weights, normalize=self.normalize)


def elect_and_merge(deltas: Tensor, weights: Sequence[float], *, normalize: bool) -> Tensor:
    """Sum, or weighted mean, of the entries of w_i delta_i whose sign is that of the sum over i.

    Args:
        deltas: (K, n), zeros do not take part.
        weights: K of them; a negative one turns its task's signs.
        normalize: divide by the sum of the weights that took part.
    Returns: (n,).
    """
    # arithmetic instead of masks: several times faster, as signs are random and branches on them guess wrong
    size = deltas.shape[1]
    above, below = torch.zeros(2, size)  # sums of the positive and of the negative entries
    above_share, below_share = torch.zeros(2, size)  # sums of their weights
    side = torch.empty(size)
    for delta, weight in zip(deltas, weights, strict=True):
        weighted = delta * weight if weight != 1 else delta
        above += torch.clamp_min(weighted, 0, out=side)
        if normalize:
            above_share.add_(side.gt_(0), alpha=weight)
        below += torch.clamp_max(weighted, 0, out=side)
        if normalize:
            below_share.add_(side.lt_(0), alpha=weight)
    positive = (above + below).ge_(0)
    negative = 1 - positive
    total = above.mul_(positive).add_(below.mul_(negative))
    if normalize:
        divisor = above_share.mul_(positive).add_(below_share.mul_(negative))
        total /= divisor.add_(divisor.clone().eq_(0))  # 0 / 1 where no entry is left
    return total
