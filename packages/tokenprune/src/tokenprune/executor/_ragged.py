"""Rows that keep different numbers of tokens, one after another, through one call of attention.

Rows are padded on the right, so that a real query stands before all padding, and plain causal attention keeps it from
seeing any: no mask, and a row's result is that of the row alone. Half precision on a GPU with flash-attn (extra `gpu`)
pads nothing: its kernel takes rows one after another as they are.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Ragged:
    """Where tokens of rows that lie one after another stand, once the rows lie side by side.

    Args:
        counts: tokens of each row.
        device: of the tensors.

    Attributes:
        longest: columns of the padded rows.
        slots: (T,) where each token stands in rows * longest.
    """

    def __init__(self, counts: Sequence[int], device: torch.device) -> None:
        self.counts, self.longest = list(counts), max(counts)
        places = [torch.arange(count) + row * self.longest for row, count in enumerate(counts)]
        self.slots = torch.cat(places).to(device)

    def side_by_side(self, flat: Tensor) -> Tensor:
        """(1, heads, T, head_dim) -> (B, heads, longest, head_dim), zero where a row has ended."""
        _, heads, _, width = flat.shape
        padded = flat.new_zeros(len(self.counts) * self.longest, heads, width)
        padded = padded.index_copy(0, self.slots, flat[0].transpose(0, 1))
        return padded.view(len(self.counts), self.longest, heads, width).transpose(1, 2)

    def one_after_another(self, padded: Tensor) -> Tensor:
        """(B, heads, longest, head_dim) -> (1, heads, T, head_dim)."""
        _, heads, _, width = padded.shape
        flat = padded.transpose(1, 2).reshape(-1, heads, width)
        return flat.index_select(0, self.slots).transpose(0, 1)[None]

    @property
    def there(self) -> Tensor:
        """(B, longest) whether a row has that many tokens."""
        place = torch.arange(self.longest, device=self.slots.device)
        return place < torch.tensor(self.counts, device=self.slots.device)[:, None]


def last_columns(counts: Sequence[int], window: int, device: torch.device) -> Tensor:
    """(B, window) columns of each row's last tokens, ascending; negative where a row has fewer."""
    ends = torch.tensor(counts, device=device)[:, None]
    return ends - window + torch.arange(window, device=device)


def packed(query: Tensor) -> bool:
    """Whether flash-attn can take rows one after another: half precision on a GPU, and it is installed."""
    half = query.dtype in (torch.float16, torch.bfloat16)
    return query.is_cuda and half and importlib.util.find_spec("flash_attn") is not None


def packed_attention(query: Tensor, key: Tensor, value: Tensor, counts: Sequence[int], scaling: float | None) -> Tensor:
    """Causal attention within each row: (1, heads, T, head_dim), keys (1, kv_heads, T, head_dim) -> as the query."""
    from flash_attn import flash_attn_varlen_func  # pyright: ignore[reportMissingImports]

    ends = torch.tensor([0, *counts]).cumsum(0).to(torch.int32).to(query.device)
    sizes: dict[str, Any] = {f"{name}_{side}": what for side in ("q", "k")
                             for name, what in (("cu_seqlens", ends), ("max_seqlen", max(counts)))}  # fmt: skip
    rows = [one[0].transpose(0, 1) for one in (query, key, value)]
    out = flash_attn_varlen_func(*rows, **sizes, softmax_scale=scaling, causal=True)
    return out.transpose(0, 1)[None]
