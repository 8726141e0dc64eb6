"""Keys and values that one block holds, whether its rows kept equally many tokens or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tokenprune.executor._ragged import Ragged

_ROOM = 64  # tokens that a grown cache has room for beyond its own


class _Room:
    """Keys and values with room for more tokens, and how many there are of the latest that grew into it."""

    def __init__(self, keys: Tensor, values: Tensor, more: int) -> None:
        self.both, self.used = [F.pad(one, (0, 0, 0, more)) for one in (keys, values)], keys.shape[2]


class Held:
    """Keys and values of one block.

    A prompt's rows of different lengths lie one after another, not padded. Once tokens follow, rows lie side by side,
    padded on the right of what stood there, so that a new token costs no gathering, and with room for more, so that it
    costs no copy of those before it.

    Args:
        keys, values: (B, kv_heads, n, head_dim): B rows side by side; or (1, kv_heads, T, head_dim): one after another.
        ragged: how rows that lie one after another lie side by side.
        there: (B, n) which columns of rows side by side are tokens; None: all.
        places: which token of its row each is, (B, 1, n, 1) or (1, 1, T, 1), where some block sees a sliding window.
    """

    def __init__(
        self, keys: Tensor, values: Tensor, ragged: Ragged | None = None, there: Tensor | None = None,
        places: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.keys, self.values, self.ragged, self.there, self.places = keys, values, ragged, there, places
        self._room: _Room | None = None

    def _each(self, change: Callable[[Tensor], Tensor]) -> list[Tensor | None]:
        """Keys, values and places, each changed alike."""
        return [None if one is None else change(one) for one in (self.keys, self.values, self.places)]

    @classmethod
    def _of(cls, parts: Sequence[Any], ragged: Ragged | None = None, there: Tensor | None = None) -> Held:
        keys, values, places = parts
        return cls(keys, values, ragged, there, places)

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
        ragged = self.ragged
        return self if ragged is None else Held._of(self._each(ragged.side_by_side), there=ragged.there)

    def extended(self, keys: Tensor, values: Tensor, places: Tensor | None = None) -> Held:
        """With equally many new tokens of each row, (B, kv_heads, new, head_dim)."""
        own = self.side_by_side()
        there = own.there
        if there is not None:
            there = torch.cat([there, there.new_ones(keys.shape[0], keys.shape[2])], 1)
        if own.places is not None and places is not None:
            places = torch.cat([own.places, places], 2)
        if torch.is_grad_enabled():
            return Held(torch.cat([own.keys, keys], 2), torch.cat([own.values, values], 2), there=there, places=places)
        first, last = own.keys.shape[2], own.keys.shape[2] + keys.shape[2]
        room = own._with_room(keys.shape[2])
        for whole, new in zip(room.both, (keys, values), strict=True):
            whole[:, :, first:last] = new
        room.used = last
        made = Held(room.both[0][:, :, :last], room.both[1][:, :, :last], there=there, places=places)
        made._room = room
        return made

    def _with_room(self, new: int) -> _Room:
        """The tensors that these keys and values are the first columns of, with room for so many new tokens."""
        first, room = self.keys.shape[2], self._room
        if room is None or room.used != first or room.both[0].shape[2] < first + new:  # a fork grew into it, or full
            room = self._room = _Room(self.keys, self.values, new + _ROOM)
        return room

    def fixed(self, new: int) -> Fixed:
        """The same in tensors of one shape while tokens are added, with room for so many new ones."""
        own = self.side_by_side()
        return Fixed(own, own._with_room(new), new)

    def shortened(self, count: int) -> Held:
        """Without the last `count` tokens of each row; rows lie side by side."""
        own = self.side_by_side()
        last = own.keys.shape[2] - count
        there = None if own.there is None else own.there[:, :last]
        places = None if own.places is None else own.places[:, :, :last]
        return Held(own.keys[:, :, :last], own.values[:, :, :last], there=there, places=places)

    def seen(self, new: int, window: int | None = None) -> Tensor | None:
        """What the last `new` tokens of rows side by side see, (B or 1, 1, new, n); None: all of it.

        Args:
            new: how many.
            window: they see tokens of their row that are less than so many before their own.
        """
        if new == 1 and window is None:
            return None if self.there is None else self.there[:, None, None]
        total = self.keys.shape[2]
        seen = torch.ones(new, total, dtype=torch.bool, device=self.keys.device).tril(total - new)[None, None]
        seen = seen if self.there is None else seen & self.there[:, None, None]
        if window is not None and self.places is not None:
            places = self.places[:, 0, :, 0]
            seen = seen & (places[:, None, None] > places[:, None, -new:, None] - window)
        return seen

    def flat(self) -> list[Any]:
        """Keys and values (T, kv_heads, head_dim), places (T, 1, 1) of all tokens, row after row."""

        def lined(one: Tensor) -> Tensor:
            one = one.transpose(1, 2).flatten(0, 1)
            return one if self.there is None else one.index_select(0, self.there.flatten().nonzero()[:, 0])

        return self._each(lined)

    def only(self, chosen: Tensor, counts: Sequence[int]) -> Held:
        """Some of the tokens.

        Args:
            chosen: (T,) bool over its tokens, row after row.
            counts: how many of each row these are.
        """
        index = chosen.to(self.keys.device).nonzero()[:, 0]
        return Held.of_flat([None if one is None else one.index_select(0, index) for one in self.flat()], counts)

    @classmethod
    def of_flat(cls, parts: Sequence[Tensor | None], counts: Sequence[int]) -> Held:
        """From keys, values and places (T, kv_heads, head_dim) row after row."""
        if len(set(counts)) > 1:
            device = next(one.device for one in parts if one is not None)
            return cls._of(
                [None if one is None else one.transpose(0, 1)[None] for one in parts], Ragged(counts, device)
            )
        size = (len(counts), counts[0])
        return cls._of([None if one is None else one.unflatten(0, size).transpose(1, 2) for one in parts])

    def select(self, rows: Tensor) -> Held:
        """These rows, in this order."""
        own = self.side_by_side()
        rows = rows.to(own.keys.device)
        there = None if own.there is None else own.there.index_select(0, rows)
        return Held._of(own._each(lambda one: one.index_select(0, rows)), there=there)


class Fixed:
    """What one block holds, in tensors whose shapes stay the same as tokens are added.

    `torch.compile` traces a block over it once: which columns are tokens is in tensors, not in shapes.

    Attributes:
        keys, values: (B, kv_heads, columns, head_dim), of which the first columns are tokens.
        start: () how many these are.
        there: (B, columns) which of the columns are tokens; None: all up to a query's own.
        places: (B, 1, columns, 1) as `Held.places`.
    """

    def __init__(self, held: Held, room: _Room, new: int) -> None:
        first = held.keys.shape[2]
        self._held, self._room, self._last = held, room, first + new
        self.keys, self.values = room.both
        self.start = torch.tensor(first, device=self.keys.device)
        more = self.keys.shape[2] - first
        self.there = None if held.there is None else F.pad(held.there, (0, more), value=True)
        self.places = None
        if held.places is not None:  # made anew: a tensor of other strides is another graph
            self.places = held.places.new_zeros(self.keys.shape[0], 1, self.keys.shape[2], 1)
            self.places[:, :, :first] = held.places
        for one, width in ((self.keys, 2), (self.values, 2), (self.there, 1), (self.places, 2)):
            if one is not None:
                torch._dynamo.maybe_mark_dynamic(one, width)

    def extended(self, keys: Tensor, values: Tensor, places: Tensor | None = None) -> Fixed:
        """With equally many new tokens of each row, (B, kv_heads, new, head_dim), written in place."""
        at = self.start + torch.arange(keys.shape[2], device=keys.device)
        self.keys.index_copy_(2, at, keys)
        self.values.index_copy_(2, at, values)
        if self.places is not None and places is not None:
            self.places = self.places.index_copy(2, at, places.expand(self.places.shape[0], -1, -1, -1))
        return self

    def seen(self, new: int, window: int | None = None) -> Tensor:
        """What the last `new` tokens see, (B or 1, 1, new, columns); `window` as of `Held.seen`."""
        own = self.start + torch.arange(new, device=self.keys.device)[:, None]
        column = torch.arange(self.keys.shape[2], device=self.keys.device)
        seen = (column <= own)[None, None]
        seen = seen if self.there is None else seen & self.there[:, None, None]
        if window is not None and self.places is not None:
            places = self.places[:, 0, :, 0]
            seen = seen & (places[:, None, None] > places[:, own[:, 0]][:, None, :, None] - window)
        return seen

    def held(self) -> Held:
        """What the block holds now, once the new tokens are in."""
        before, last = self._held, self._last
        self._room.used = last
        there = None if self.there is None else self.there[:, :last]
        places = None if before.places is None or self.places is None else self.places[:, :, :last]
        made = Held(self.keys[:, :, :last], self.values[:, :, :last], there=there, places=places)
        made._room = self._room
        return made
