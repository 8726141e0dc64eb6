"""Keys and values that one block holds, whether its rows kept equally many tokens or not: nothing is padded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenprune.executor._ragged import Ragged


class Held:
    """Keys and values of one block.

    Args:
        keys, values: (R, kv_heads, n, head_dim): R rows side by side; or, R = 1, rows of different lengths one after
            another, to which tokens are added at the end, whosever they are.
        ragged: how rows of different lengths lie.

    Attributes:
        index: (B, m) where in that one piece each row's tokens are; None side by side.
        there: (B, m) whether a row has that token.
    """

    def __init__(self, keys: Tensor, values: Tensor, ragged: Ragged | None = None) -> None:
        self.keys, self.values = keys, values
        self.index: Tensor | None = None
        self.there: Tensor | None = None
        if ragged is not None:
            every = torch.arange(keys.shape[2], device=keys.device)
            self.there = ragged.by_row(torch.ones_like(every)) > 0
            self.index = ragged.by_row(every)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return sum(one.numel() * one.element_size() for one in (self.keys, self.values))

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        if self.there is None:
            return [self.keys.shape[2]] * self.keys.shape[0]
        return self.there.sum(1).tolist()

    def extended(self, keys: Tensor, values: Tensor) -> Held:
        """With equally many new tokens of each row, (B, kv_heads, new, head_dim)."""
        if self.index is None or self.there is None:
            return Held(torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2))
        rows, _, new, _ = keys.shape
        flat = [one.transpose(0, 1).flatten(1, 2)[None] for one in (keys, values)]
        longer = Held(torch.cat([self.keys, flat[0]], 2), torch.cat([self.values, flat[1]], 2))
        added = self.keys.shape[2] + torch.arange(rows * new, device=keys.device).view(rows, new)
        longer.index = torch.cat([self.index, added], 1)
        longer.there = torch.cat([self.there, torch.ones_like(added, dtype=torch.bool)], 1)
        return longer

    def rows(self) -> tuple[Tensor, Tensor]:
        """Keys and values side by side, (B, kv_heads, m, head_dim); what `seen` denies is of no meaning."""
        if self.index is None:
            return self.keys, self.values
        flat = self.index.flatten()
        keys, values = (
            one[0].index_select(1, flat).unflatten(1, self.index.shape).transpose(0, 1)
            for one in (self.keys, self.values)
        )
        return keys, values

    def seen(self, new: int) -> Tensor | None:
        """What the last `new` tokens of each row see, (B or 1, 1, new, m): what was before them, and themselves."""
        total = self.keys.shape[2] if self.index is None else self.index.shape[1]
        if self.there is None and new == 1:
            return None
        before = torch.ones(new, total, dtype=torch.bool, device=self.keys.device).tril(total - new)[None, None]
        return before if self.there is None else before & self.there[:, None, None]

    def only(self, chosen: Tensor, counts: Sequence[int]) -> Held:
        """Some of a prompt's tokens.

        Args:
            chosen: (T,) bool over its tokens, row after row.
            counts: how many of each row these are.
        """
        flat = [one if self.index is not None else one.transpose(0, 1).flatten(1, 2)[None]
                for one in (self.keys, self.values)]  # fmt: skip
        index = chosen.to(self.keys.device).nonzero()[:, 0]
        keys, values = (one.index_select(2, index) for one in flat)
        if len(set(counts)) > 1:
            return Held(keys, values, Ragged(counts, keys.device))
        keys, values = (one[0].unflatten(1, (len(counts), counts[0])).transpose(0, 1) for one in (keys, values))
        return Held(keys, values)

    def select(self, rows: Tensor) -> Held:
        """These rows, in this order."""
        rows = rows.to(self.keys.device)
        if self.index is None or self.there is None:
            return Held(self.keys.index_select(0, rows), self.values.index_select(0, rows))
        there = self.there.index_select(0, rows)
        flat = self.index.index_select(0, rows)[there]
        ragged = Ragged(there.sum(1).tolist(), self.keys.device)
        return Held(self.keys.index_select(2, flat), self.values.index_select(2, flat), ragged)
