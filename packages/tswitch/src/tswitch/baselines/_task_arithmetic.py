"""Task Arithmetic: add the task vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tswitch.baselines._base import Merger, per_task
from tswitch.switch._tasks import Piece


@dataclass(frozen=True, kw_only=True)
class TaskArithmetic(Merger):
    """theta_0 + lambda * sum of w_i tau_i.

    Attributes:
        scale: lambda.
        weights: w, one for all tasks, or one a task.
        normalize: divide by the sum of the weights.
    """

    name = "task_arithmetic"
    source = "arXiv 2212.04089"
    limits = "the best lambda falls as K grows"
    scale: float = 0.3
    weights: float | Sequence[float] = 1.0
    normalize: bool = False

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Lambda * sum of w_i tau_i."""
        weights = torch.tensor(per_task(self.weights, len(piece.deltas), "weights"))
        total = weights @ piece.deltas
        return total * (
            self.scale / float(weights.sum()) if self.normalize and weights.sum().abs() >= 1e-8 else self.scale
        )
