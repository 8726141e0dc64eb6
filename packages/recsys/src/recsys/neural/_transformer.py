"""The network of SASRec, and the losses of sequences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Drop = Callable[[Tensor], Tensor]


class SASRecNet(nn.Module):
    """Self-attention over the last items (Kang and McAuley 2018), padded on the left with -1.

    Args:
        items: size of the catalogue.
        marks: codes of each mark (action, time) whose embedding is added to the item's.
        width, blocks, heads, max_len, dropout: d, layers, heads, positions, share of units dropped.
    """

    def __init__(
        self, items: int, marks: Sequence[int], width: int, blocks: int, heads: int, max_len: int, dropout: float
    ) -> None:  # fmt: skip
        super().__init__()
        self.width, self.heads, self.max_len, self.dropout = width, heads, max_len, dropout
        self.item = nn.Embedding(items + 1, width, padding_idx=items)
        self.position = nn.Embedding(max_len, width)
        self.marks = nn.ModuleList(nn.Embedding(size + 1, width, padding_idx=size) for size in marks)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.last = nn.LayerNorm(width, eps=1e-8)
        for one in self.parameters():
            if one.dim() > 1:
                nn.init.xavier_normal_(one)
        with torch.no_grad():
            self.item.weight[items] = 0

    def forward(self, items: Tensor, *marks: Tensor) -> Tensor:
        """Hidden states (rows, steps, d) of codes of items and marks (rows, steps), -1 where padded on the left."""
        real = items >= 0
        code = torch.where(real, items, self.item.num_embeddings - 1)
        x = self.item(code) * math.sqrt(self.width)
        x = x + self.position.weight[self.max_len - items.shape[1] :]
        for embedding, mark in zip(self.marks, marks, strict=True):
            assert isinstance(embedding, nn.Embedding)
            x = x + embedding(torch.where(mark >= 0, mark, embedding.num_embeddings - 1))
        x = self._drop(x) * real[..., None]
        steps = torch.arange(items.shape[1], device=items.device)
        allowed = (steps[:, None] >= steps) & real[:, None, :] | (steps[:, None] == steps)
        for block in self.blocks:
            x = block(x, allowed[:, None], self.heads, self._drop) * real[..., None]
        return self.last(x)

    def vectors(self) -> Tensor:
        """The items' vectors, (items, d), tied with the input's."""
        return self.item.weight[:-1]

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class _Block(nn.Module):
    """LayerNorm on the query alone; the residual adds the normed query; then a ReLU layer of the same width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm, self.norm = nn.LayerNorm(width, eps=1e-8), nn.LayerNorm(width, eps=1e-8)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, allowed: Tensor, heads: int, drop: Drop) -> Tensor:
        normed = self.query_norm(x)
        mixed = attend(self.query(normed), self.key(x), self.value(x), allowed, heads, drop)
        x = self.norm(normed + self.out(mixed))
        return x + drop(self.second(drop(self.first(x)).relu()))


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, heads: int, drop: Drop) -> Tensor:
    """softmax(q k' / sqrt(d / heads)) v in each head (Vaswani et al. 2017, equation 1).

    Args:
        query, key, value: (rows, steps, d), projected.
        allowed: whether a step sees another, bool (rows, 1, steps, steps).
        heads: that divide d.
        drop: dropout on the shares.
    Returns: (rows, steps, d), heads side by side, not yet projected.
    """
    rows, steps, width = query.shape

    def split(one: Tensor) -> Tensor:
        return one.view(rows, steps, heads, width // heads).transpose(1, 2)

    scores = split(query) @ split(key).transpose(2, 3) / math.sqrt(width // heads)
    share = drop(scores.masked_fill(~allowed, -math.inf).softmax(-1))
    return (share @ split(value)).transpose(1, 2).reshape(rows, steps, width)


def softmax_loss(hidden: Tensor, target: Tensor, vectors: Tensor) -> Tensor:
    """Mean cross-entropy over all items.

    Args:
        hidden: states, (rows, steps, d).
        target: item wanted at each step, (rows, steps), -1 where there is none.
        vectors: of the items, (items, d).
    """
    real = target >= 0
    return F.cross_entropy(hidden[real] @ vectors.T, target[real])


def sampled_loss(hidden: Tensor, target: Tensor, vectors: Tensor, negatives: Tensor) -> Tensor:
    """Cross-entropy of each target against negatives shared by the steps of its sequence.

    Args:
        hidden, target, vectors: as for `softmax_loss`.
        negatives: item codes of each sequence, (rows, count); those equal to a step's target are left out there.
    """
    real = target >= 0
    own = (hidden * vectors[target.clamp(min=0)]).sum(-1, keepdim=True)
    others = hidden @ vectors[negatives].transpose(1, 2)
    others = others.masked_fill(negatives[:, None] == target[..., None], -torch.inf)
    return (torch.cat([own, others], -1).logsumexp(-1) - own[..., 0])[real].mean()


def binary_loss(hidden: Tensor, target: Tensor, vectors: Tensor, negative: Tensor) -> Tensor:
    """The original loss: -log sigmoid(target) - log(1 - sigmoid(one negative)), mean over steps."""
    real = target >= 0
    own = (hidden * vectors[target.clamp(min=0)]).sum(-1)[real]
    other = (hidden * vectors[negative.clamp(min=0)]).sum(-1)[real]
    return (F.softplus(-own) + F.softplus(other)).mean()
