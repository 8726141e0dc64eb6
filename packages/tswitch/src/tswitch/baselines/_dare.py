"""DARE: drop entries at random and rescale the rest, then Task Arithmetic or TIES."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Merger, per_task, share
from tswitch.baselines._ties import elect_and_merge
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Dare(Merger):
    """Each entry is dropped with probability p, the others are divided by 1 - p; then merged.

    Attributes:
        drop: p, one for all tasks or one a task.
        then: "task_arithmetic" adds; "ties" elects a sign and averages (no second trim: few entries are left).
        scale: lambda.
        rescale: divide by 1 - p; without it this is the random drop of T-Switch's ablation.
        seed: entries that are dropped depend on it, on the tensor's name and on the task, not on how the tensor is cut.
        weights: one for all tasks, or one a task.
        normalize: "ties" averages the agreeing entries; without it they are summed, as mergekit's dare_ties does.
    """

    name = "dare"
    source = "arXiv 2311.03099"
    limits = "random: results vary with the seed"
    drop: float | Sequence[float] = 0.9
    then: Literal["task_arithmetic", "ties"] = "task_arithmetic"
    scale: float = 0.3
    rescale: bool = True
    seed: int = 0
    weights: float | Sequence[float] = 1.0
    normalize: bool = field(default=True, repr=False)  # unseen in repr, by which tuned settings are kept

    def __post_init__(self) -> None:
        share(self.drop, "drop", one=False)
        if self.then not in ("task_arithmetic", "ties"):
            raise InputError("then", got=self.then, expected="task_arithmetic or ties")

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Lambda * merge of the dropped and rescaled task vectors."""
        count = len(piece.deltas)
        weights = per_task(self.weights, count, "weights")
        for index, (delta, drop) in enumerate(zip(piece.deltas, per_task(self.drop, count, "drop"), strict=True)):
            drawn = torch.from_numpy(uniform(self.seed, piece.name, index, piece.begin, delta.numel()))
            delta.mul_(drawn.ge_(drop))
            if self.rescale:
                delta.div_(1 - drop)
        if self.then == "ties":
            return self.scale * elect_and_merge(piece.deltas, weights, normalize=self.normalize)
        return self.scale * (torch.tensor(weights) @ piece.deltas)


def uniform(seed: int, name: str, task: int, begin: int, count: int) -> np.ndarray:
    """(count,) float32 in [0, 1): the numbers from position `begin` of this tensor's and task's own stream."""
    assert begin % 8 == 0  # one step of the counter gives eight numbers
    key = (seed % 2**32) << 32 | zlib.crc32(f"{task}/{name}".encode())
    return np.random.Generator(np.random.Philox(key=key, counter=begin // 8)).random(count, np.float32)
