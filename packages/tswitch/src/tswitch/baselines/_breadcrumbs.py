"""Model Breadcrumbs: neither the largest nor the smallest changes, then Task Arithmetic or TIES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Merger, per_task, share
from tswitch.baselines._ties import elect_and_merge
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Breadcrumbs(Merger):
    """Of each tensor's changes the share `drop_largest` of the largest goes, then the smallest, until `keep` are left.

    Attributes:
        keep: share of entries that is kept, one for all tasks or one a task.
        drop_largest: share of the largest entries that goes (gamma); fewer where `keep` would not be reached else.
        then: "task_arithmetic" adds, "ties" elects a sign first.
        scale: lambda.
        weights: one for all tasks, or one a task.
        normalize: divide by the sum of the weights that took part.
    """

    name = "breadcrumbs"
    source = "arXiv 2312.06795"
    limits = "holds each tensor of all tasks in memory at once, to sort it"
    whole = True
    keep: float | Sequence[float] = 0.85
    drop_largest: float = 0.01
    then: Literal["task_arithmetic", "ties"] = "task_arithmetic"
    scale: float = 0.3
    weights: float | Sequence[float] = 1.0
    normalize: bool = False

    def __post_init__(self) -> None:
        share(self.keep, "keep", zero=False)
        share(self.drop_largest, "drop_largest", one=False)
        if self.then not in ("task_arithmetic", "ties"):
            raise InputError("then", got=self.then, expected="task_arithmetic or ties")

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Lambda * merge of what is left."""
        count = len(piece.deltas)
        for delta, keep in zip(piece.deltas, per_task(self.keep, count, "keep"), strict=True):
            keep_middle(delta, keep, self.drop_largest)
        return self.scale * added(piece.deltas, per_task(self.weights, count, "weights"), self.then, self.normalize)


def keep_middle(delta: Tensor, keep: float, drop_largest: float) -> None:
    """Put all entries of (n,) to zero but int(keep n) of them, which come after the int(drop_largest n) largest."""
    if keep >= 1:
        return
    size = delta.numel()
    wanted = int(keep * size)
    first = max(0, size - wanted - int(drop_largest * size))
    order = delta.abs().sort(stable=True).indices
    delta[order[:first]] = 0
    delta[order[first + wanted :]] = 0


def added(deltas: Tensor, weights: Sequence[float], then: str, normalize: bool) -> Tensor:
    """(K, n) -> (n,): weighted sum of task vectors, or of their entries of the elected sign."""
    if then == "ties":
        return elect_and_merge(deltas, weights, normalize=normalize)
    total = torch.tensor(weights) @ deltas
    divisor = sum(weights)
    return total / divisor if normalize and abs(divisor) >= 1e-8 else total
