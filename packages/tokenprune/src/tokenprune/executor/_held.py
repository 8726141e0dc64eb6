"""Keys and values that one block holds, whether its rows kept equally many tokens or not."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenprune.executor._ragged import Ragged


class Held:
    """Keys and values of one block.

    A prompt's rows of different lengths lie one after another, not padded. Once tokens follow, rows lie side by side,
    padded on the right of what stood there, so that a new token costs no gathering.

    Args:
        keys, values: (B, kv_heads, n, head_dim): B rows side by side; or (1, kv_heads, T, head_dim): one after another.
        ragged: how rows that lie one after another lie side by side.
        there: (B, n) which columns of rows side by side are tokens; None: all.
    """

    def __init__(
        self, keys: Tensor, values: Tensor, ragged: Ragged | None = None, there: Tensor | None = None
    ) -> None:  # fmt: skip
        self.keys, self.values, self.ragged, self.there = keys, values, ragged, there

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return sum(one.numel() * one.element_size() for one in (self.keys, self.values))

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        if self.ragged is not None:
            return list(self.ragged.counts)
        if self.there is not None:
            return self.there.sum(1).tolist()
        return [self.keys.shape[2]] * self.keys.shape[0]

    def side_by_side(self) -> Held:
        """The same, rows side by side."""
        if self.ragged is None:
            return self
        keys, values = (self.ragged.side_by_side(one) for one in (self.keys, self.values))
        return Held(keys, values, there=self.ragged.there)

    def extended(self, keys: Tensor, values: Tensor) -> Held:
        """With equally many new tokens of each row, (B, kv_heads, new, head_dim)."""
        own = self.side_by_side()
        there = own.there
        if there is not None:
            there = torch.cat([there, there.new_ones(keys.shape[0], keys.shape[2])], 1)
        return Held(torch.cat([own.keys, keys], 2), torch.cat([own.values, values], 2), there=there)

    def seen(self, new: int) -> Tensor | None:
        """What the last `new` tokens of rows side by side see, (B or 1, 1, new, n); None: all of it."""
        if self.there is None and new == 1:
            return None
        total = self.keys.shape[2]
        before = torch.ones(new, total, dtype=torch.bool, device=self.keys.device).tril(total - new)[None, None]
        return before if self.there is None else before & self.there[:, None, None]

    def flat(self) -> tuple[Tensor, Tensor]:
        """Keys and values (T, kv_heads, head_dim) of all tokens, row after row."""
        keys, values = (one.transpose(1, 2).flatten(0, 1) for one in (self.keys, self.values))
        if self.there is None:
            return keys, values
        at = self.there.flatten().nonzero()[:, 0]
        return keys.index_select(0, at), values.index_select(0, at)

    def only(self, chosen: Tensor, counts: Sequence[int]) -> Held:
        """Some of the tokens.

        Args:
            chosen: (T,) bool over its tokens, row after row.
            counts: how many of each row these are.
        """
        index = chosen.to(self.keys.device).nonzero()[:, 0]
        return Held.of_flat(*(one.index_select(0, index) for one in self.flat()), counts)

    @classmethod
    def of_flat(cls, keys: Tensor, values: Tensor, counts: Sequence[int]) -> Held:
        """From tokens (T, kv_heads, head_dim) row after row."""
        if len(set(counts)) > 1:
            ragged = Ragged(counts, keys.device)
            return cls(keys.transpose(0, 1)[None], values.transpose(0, 1)[None], ragged)
        keys, values = (one.unflatten(0, (len(counts), counts[0])).transpose(1, 2) for one in (keys, values))
        return cls(keys, values)

    def select(self, rows: Tensor) -> Held:
        """These rows, in this order."""
        own = self.side_by_side()
        rows = rows.to(own.keys.device)
        there = None if own.there is None else own.there.index_select(0, rows)
        return Held(own.keys.index_select(0, rows), own.values.index_select(0, rows), there=there)
