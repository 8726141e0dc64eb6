"""Model soups: the mean of the fine-tuned models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Merger, per_task
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class Averaging(Merger):
    """theta_0 + mean of tau_i, or their weighted mean.

    Attributes:
        weights: one for all tasks, or one a task.
    """

    name = "averaging"
    source = "Model soups, arXiv 2203.05482"
    limits = "tasks that pull apart cancel"
    weights: float | Sequence[float] = 1.0

    def check(self, count: int) -> None:
        """Also refuse weights that sum to zero: there is no mean by them."""
        super().check(count)
        if abs(math.fsum(per_task(self.weights, count, "weights"))) < 1e-8:
            raise InputError("weights", got="a sum of 0", expected="another sum, which is divided by")

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Sum of w_i tau_i / sum of w_i."""
        weights = torch.tensor(per_task(self.weights, len(piece.deltas), "weights"))
        return weights @ piece.deltas / weights.sum()
