"""DELLA: entries are dropped at random, the larger the less likely; then Task Arithmetic or TIES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Merger, per_task, share
from tswitch.baselines._breadcrumbs import added
from tswitch.baselines._dare import uniform
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Della(Merger):
    """Within each row of a matrix, the probability to keep an entry rises with its rank from keep - e to keep + e.

    Attributes:
        keep: mean probability to keep an entry, one for all tasks or one a task.
        spread: e, how far the smallest and the largest entry's probabilities are from `keep`.
        then: "ties" elects a sign and averages, "task_arithmetic" adds.
        scale: lambda.
        rescale: make what is left as large, in the sum of magnitudes, as the tensor was.
        seed: entries that are dropped depend on it, on the tensor's name and on the task.
        weights: one for all tasks, or one a task.
        normalize: divide by the sum of the weights that took part.
    """

    name = "della"
    source = "arXiv 2406.11617"
    limits = "random: results vary with the seed"
    whole = True
    keep: float | Sequence[float] = 0.5
    spread: float = 0.15
    then: Literal["task_arithmetic", "ties"] = "ties"
    scale: float = 0.3
    rescale: bool = True
    seed: int = 0
    weights: float | Sequence[float] = 1.0
    normalize: bool = True

    def __post_init__(self) -> None:
        share(self.keep, "keep", zero=False)
        share(self.spread, "spread")
        for keep in [self.keep] if isinstance(self.keep, int | float) else self.keep:
            if keep < 1 and not (keep - self.spread > 0 and keep + self.spread < 1):
                raise InputError(
                    "spread", got=self.spread, expected=f"less than {min(keep, 1 - keep):g}: keep is {keep:g}"
                )
        if self.then not in ("task_arithmetic", "ties"):
            raise InputError("then", got=self.then, expected="task_arithmetic or ties")

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Lambda * merge of what is left."""
        count = len(piece.deltas)
        for index, (delta, keep) in enumerate(zip(piece.deltas, per_task(self.keep, count, "keep"), strict=True)):
            if keep < 1 and delta.numel():
                drawn = torch.from_numpy(uniform(self.seed, piece.name, index, 0, delta.numel()))
                before = delta.abs().sum()
                delta.mul_(drawn < probabilities(delta.view(_rows(piece.shape), -1), keep, self.spread).view(-1))
                after = delta.abs().sum()
                if self.rescale and before > 0 and after > 0:
                    delta.mul_(before / after)
        return self.scale * added(piece.deltas, per_task(self.weights, count, "weights"), self.then, self.normalize)


def probabilities(matrix: Tensor, keep: float, spread: float) -> Tensor:
    """(rows, n) -> the probability to keep each entry: linear in its rank by magnitude within its row."""
    ranks = matrix.abs().argsort(dim=1, stable=True).argsort(dim=1).to(torch.float32)
    return keep - spread + 2 * spread * ranks / max(matrix.shape[1] - 1, 1)


def _rows(shape: Sequence[int]) -> int:
    return shape[0] if len(shape) > 1 else 1
