"""Keys and values of skipped tokens, for `skipped_kv="project"`: what a block skips can still be attended to there.

Such a token gives a key and a value, and no query: its state stays as it is. They are had from the block's own
attention, run with a query of one head and without its last projection, so that a family's norms, biases and rotary
positions apply. Off by default: it pays after dense early blocks alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tokenprune._attention import Attention, ours
from tokenprune._layout import Layout

Pieces = list[tuple[Tensor, Tensor, Tensor]]


class _Narrow(nn.Module):
    """In the place of a query's projection: one head of zeros, which nothing reads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(*x.shape[:-1], self.width)


def keys_and_values(
    layout: Layout, block: int, x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor]:
    """What tokens would give a block's attention, were it to run on them.

    Args:
        layout: the model's parts.
        block: which.
        x: (R, n, d) the tokens' states before the block.
        positions: (R, n) rotary positions.
        cos, sin: (R, n, head_dim) of these.
    Returns: keys (rotated) and values, each (R, kv_heads, n, head_dim).
    """
    parts = layout.blocks[block]
    twin: Any = copy.copy(parts.self_attn)  # shares every weight
    twin.__dict__.pop("forward", None)  # accelerate's, which belongs to the original
    twin._modules = {**twin._modules, "o_proj": nn.Identity()}
    if "q_proj" in twin._modules:
        twin._modules["q_proj"] = _Narrow(layout.head_dim)
    about = Attention(counts=[], keys_only=True)
    with ours(layout.config):
        twin(hidden_states=parts.input_layernorm(x), attention_mask=None, position_ids=positions,
             position_embeddings=(cos, sin), tokenprune=about)  # fmt: skip
    return about.present[0]


def beside(
    pair: tuple[Tensor, Tensor], kept: Tensor, skipped: Tensor, counts: Sequence[int], others: Sequence[int]
) -> Pieces:
    """Cut what skipped tokens give into the groups of rows that attention runs on.

    Args:
        pair: keys and values of the skipped tokens, (R, kv_heads, m, head_dim); R is 1 if the rows lie one after
            another.
        kept, skipped: flat indices, ascending, of the kept and of the skipped tokens.
        counts, others: how many each row keeps, and skips.
    Returns: for each group keys, values, and which key a kept token sees: (R, 1, n, n + m), the kept keys first.
    """
    keys, values = pair
    if keys.shape[0] == len(counts):
        rows = len(counts)
        return [(keys, values, _seen(kept.view(rows, -1), skipped.view(rows, -1)))]
    pieces = zip(kept.split(list(counts)), skipped.split(list(others)), strict=True)
    masks = [_seen(one[None], other[None]) for one, other in pieces]
    cut = zip(keys.split(list(others), 2), values.split(list(others), 2), masks, counts, strict=True)
    return [(k, v, mask) for k, v, mask, count in cut if count]


def _seen(kept: Tensor, skipped: Tensor) -> Tensor:
    """A kept token sees itself and what stands before it: (R, n), (R, m) -> (R, 1, n, n + m)."""
    places = torch.cat([kept, skipped], 1)
    return (places[:, None] <= kept[:, :, None])[:, None]
