"""PCB-Merging: weigh each entry by its size within its task and by how the other tasks agree with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tswitch.baselines._base import Merger, share
from tswitch.baselines._select import kth_largest, magnitudes, part
from tswitch.switch._tasks import Piece, TaskVectors

_CLAMPED = 1e-4  # share of the smallest and of the largest |tau| that is clamped


@dataclass(frozen=True)
class _Range:
    """Of each task, (K, 1): clamped range of |tau|, and range of scores that counts."""

    low: Tensor
    high: Tensor
    least: Tensor
    most: Tensor


@dataclass(frozen=True, kw_only=True)
class Pcb(Merger):
    """lambda * sum of s_i tau_i / sum of s_i.

    s_i = exp(K minmax(|tau_i|)^2) * tanh(tau_i sum_j tau_j), where |tau_i| is clamped at its 0.01 % quantiles; only the
    top share of s_i counts, scaled to 0..1. All ranges are over the whole model.

    Attributes:
        keep: the top share of s.
        scale: lambda.
    """

    name = "pcb"
    source = "PCB-Merging, arXiv 2410.02396"
    limits = "six passes over the models; 2 MB a task for the exact quantiles"
    keep: float = 0.1
    scale: float = 1.2

    def __post_init__(self) -> None:
        share(self.keep, "keep", zero=False)

    def prepare(self, tasks: TaskVectors) -> _Range:
        """Quantiles over the whole model."""
        size = tasks.parameters
        ranks = [size - part(size, _CLAMPED), size - max(part(size, 1 - _CLAMPED) - 1, 0)]
        bounds = [kth_largest(magnitudes(tasks, i, tasks.names), ranks) for i in range(len(tasks))]
        low, high = torch.tensor(bounds).T[:, :, None]
        least, most = [], []
        for i in range(len(tasks)):

            def scores(task: int = i) -> Iterator[Tensor]:
                for name in tasks.names:
                    for piece in tasks.chunks(name):
                        yield _scores(piece.deltas, low, high, task)

            bottom, top = kth_largest(scores, [size - part(size, 1 - self.keep), 1])
            least.append(bottom)
            most.append(top)
        return _Range(low, high, torch.tensor(least)[:, None], torch.tensor(most)[:, None])

    def merge_tensor(self, piece: Piece, measured: _Range) -> Tensor:
        """Lambda * weighted mean."""
        scores = torch.stack([_scores(piece.deltas, measured.low, measured.high, i) for i in range(len(piece.deltas))])
        span = (measured.most - measured.least).clamp(min=torch.finfo(torch.float32).tiny)
        weights = (scores.clamp(min=measured.least) - measured.least) / span
        return self.scale * (weights * piece.deltas).sum(0) / weights.sum(0).clamp(min=1e-12)


def _scores(deltas: Tensor, low: Tensor, high: Tensor, task: int) -> Tensor:
    """s of one task, (n,)."""
    own, bottom, top = deltas[task], low[task], high[task]
    span = (top - bottom).clamp(min=torch.finfo(torch.float32).tiny)
    within = ((own.abs().clamp(bottom, top) - bottom) / span) ** 2
    return torch.exp(len(deltas) * within) * torch.tanh(own * deltas.sum(0))
