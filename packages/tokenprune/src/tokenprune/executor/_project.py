"""Keys and values of skipped tokens, for `skipped_kv="project"`: what a block skips can still be attended to there.

Such a token gives a key and a value, and no query: its state stays as it is. They are had from the block's own
attention, run with a query of one head and without its last projection, so that a family's norms, biases and rotary
positions apply. Off by default: it pays after dense early blocks alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from tokenprune.executor._attention import Attention, ours
from tokenprune.models._layout import Layout


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
    assert about.present is not None
    return about.present.keys, about.present.values


@dataclass
class Others:
    """What skipped tokens give, and where all tokens stand.

    Attributes:
        keys, values: of the skipped tokens, (R, kv_heads, m, head_dim).
        kept, skipped: (R, n), (R, m) where each token stands in (B, L), read row after row.
        lengths: tokens of each row, kept or not.
    """

    keys: Tensor
    values: Tensor
    kept: Tensor
    skipped: Tensor
    lengths: Sequence[int]

    @property
    def places(self) -> Tensor:
        """(R, n) the column of each kept token in its row."""
        return self.kept % max(self.lengths)

    def among(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Kept tokens' keys and values, (R, kv_heads, n, head_dim) -> everyone's, (B, kv_heads, L, head_dim)."""
        return self._laid(keys, self.keys), self._laid(values, self.values)

    def _laid(self, kept: Tensor, skipped: Tensor) -> Tensor:
        rows, longest = len(self.lengths), max(self.lengths)
        laid = kept.new_zeros(rows * longest, kept.shape[1], kept.shape[3])
        for slots, part in ((self.kept, kept), (self.skipped, skipped)):
            rows_of_part = part.transpose(1, 2).flatten(0, 1).to(kept.device)
            laid = laid.index_copy(0, slots.flatten().to(kept.device), rows_of_part)
        return laid.view(rows, longest, *laid.shape[1:]).transpose(1, 2)
