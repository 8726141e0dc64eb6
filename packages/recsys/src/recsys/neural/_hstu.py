"""HSTU: pointwise attention with biases of distance and time, gated (Zhai et al. 2024, arXiv 2402.17152)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.neural._attention import Drop
from recsys.neural._transformer import add_marks, embeddings

BUCKETS = 128  # of the logarithm of the seconds between two events
_RATIO = 0.301  # log of the ratio of the bounds of a bucket


def time_buckets(seconds: Tensor) -> Tensor:
    """floor(log(max(1, t_i - t_j)) / .301) of all pairs of steps, at most 127; int64 (rows, steps, steps).

    Args:
        seconds: of each event, int64 (rows, steps), oldest first.
    """
    gap = (seconds[:, :, None] - seconds[:, None, :]).clamp(min=1).double()
    return (gap.log() / _RATIO).long().clamp(max=BUCKETS - 1)


class HSTUBlock(nn.Module):
    """x + W (u * norm(sum_j silu(q_i k_j + position_{i - j} + time_ij) v_j / max_len)); u, v, q, k = silu(P norm(x)).

    No softmax: what a user did often adds up, so that the strength of a taste is not normalised away.
    """

    def __init__(self, width: int, heads: int, max_len: int, *, timed: bool) -> None:
        super().__init__()
        self.heads, self.max_len = heads, max_len
        self.norm, self.mixed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 4 * width), nn.Linear(width, width)
        self.position = nn.Parameter(0.02 * torch.randn(max_len))
        self.time = nn.Parameter(0.02 * torch.randn(BUCKETS)) if timed else None

    def forward(self, x: Tensor, seen: Tensor, buckets: Tensor | None, drop: Drop) -> Tensor:
        """States (rows, steps, d) of states.

        Args:
            x: states, (rows, steps, d).
            seen: 1 where a step sees another, 0 elsewhere, float (rows, 1, steps, steps).
            buckets: see `time_buckets`; None without times.
            drop: dropout.
        """
        rows, steps, width = x.shape
        gate, value, query, key = F.silu(self.project(self.norm(x))).chunk(4, -1)

        def split(one: Tensor) -> Tensor:
            return one.view(rows, steps, self.heads, width // self.heads).transpose(1, 2)

        place = torch.arange(steps, device=x.device)
        bias = self.position[(place[:, None] - place).clamp(min=0)][None, None]
        if self.time is not None and buckets is not None:
            bias = bias + self.time[buckets][:, None]
        share = F.silu(split(query) @ split(key).transpose(2, 3) + bias) / self.max_len * seen
        mixed = (share @ split(value)).transpose(1, 2).reshape(rows, steps, width)
        return x + self.out(drop(gate * self.mixed_norm(mixed)))


class HSTUNet(nn.Module):
    """HSTU blocks over the last items, padded on the left with -1; a step sees itself and what came before it.

    Args:
        items: size of the catalogue.
        marks: codes of each mark (action, time) whose embedding is added to the item's.
        width, blocks, heads, max_len, dropout: d, layers, heads, greatest number of steps, share of units dropped.
        timed: the last input is each event's time in seconds, whose differences bias the attention.
    """

    def __init__(
        self, items: int, marks: Sequence[int], width: int, blocks: int, heads: int, max_len: int, dropout: float,
        *, timed: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.width, self.dropout, self.items, self.timed = width, dropout, items, timed
        self.item = nn.Embedding(items + 1, width, padding_idx=items)
        self.marks = embeddings(marks, width)
        self.blocks = nn.ModuleList(HSTUBlock(width, heads, max_len, timed=timed) for _ in range(blocks))
        self.last = nn.LayerNorm(width)
        for one in self.parameters():
            if one.dim() > 1:
                nn.init.normal_(one, std=0.02)
        with torch.no_grad():
            self.item.weight[items] = 0

    def forward(self, items: Tensor, *marks: Tensor) -> Tensor:
        """Hidden states (rows, steps, d) of codes of items and marks (rows, steps), -1 where padded on the left."""
        real = items >= 0
        buckets = time_buckets(marks[-1]) if self.timed else None
        x = self.item(torch.where(real, items, self.items)) * math.sqrt(self.width)
        x = self._drop(add_marks(x, self.marks, marks[: len(self.marks)])) * real[..., None]
        place = torch.arange(items.shape[1], device=items.device)
        seen = ((place[:, None] >= place) & real[:, None, :])[:, None].to(x.dtype)
        for block in self.blocks:
            x = block(x, seen, buckets, self._drop) * real[..., None]
        return self.last(x)

    def vectors(self) -> Tensor:
        """The items' vectors, (items, d), tied with the input's."""
        return self.item.weight[: self.items]

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)
