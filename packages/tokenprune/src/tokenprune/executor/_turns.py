"""A prompt that grows: the dense first blocks are exact, so more tokens can be read there and every later block can
choose anew.

What the first blocks hold of a prompt (keys, values, the states they leave) does not depend on what follows it. Chunks
of a prompt, second turns and further questions on a document therefore give what the whole prompt at once would give,
to rounding; only the later blocks, on the tokens that they keep, are run again.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tokenprune.executor._held import Fixed, Held

if TYPE_CHECKING:
    from tokenprune.executor._stream import Stream

TAKEN_BACK = 128  # so many decoded tokens at most can be taken back: their queries are remembered


@dataclass(frozen=True)
class NewTokens:
    """New tokens (B, q, d) before block 0, and what each block holds, in tensors whose shapes do not change.

    Attributes:
        x: the states. positions: (B, q). cos, sin: (B, q, head_dim).
        held: by block; None: no block of that number runs on them.
        places, beyond: as of `Attention`.
        scored: blocks whose last queries are remembered.
        first: how many first blocks read every token; None: nothing of them is remembered.
    """

    x: Tensor
    positions: Tensor
    cos: Tensor
    sin: Tensor
    held: Sequence[Fixed | None]
    places: Tensor | None
    beyond: bool
    scored: Sequence[int]
    first: int | None


class Read:
    """What the first blocks left of the tokens so far.

    Attributes:
        blocks: how many first blocks there are, those before the first one that skips tokens.
        queries: by block, the last queries of each row (`Attention.queries`); None where its keys are not scored.
    """

    def __init__(self, stream: Stream, queries: list[Tensor | None]) -> None:
        self.blocks, self.queries = len(queries), queries
        self._held = Held.of_flat([stream.x[:, None], stream.positions[:, None, None], None], stream.lengths)
        self._new: list[tuple[Tensor, Tensor]] = []

    @property
    def nbytes(self) -> int:
        """Bytes of states and queries."""
        new = sum(x.numel() * x.element_size() for x, _ in self._new)
        return self._states().nbytes + new + sum(q.numel() * q.element_size() for q in self.queries if q is not None)

    def add(self, x: Tensor, positions: Tensor) -> None:
        """States (B, new, d) of new tokens at these positions (B, new); gathered when they are needed."""
        self._new.append((x, positions))

    def note(self, block: int, queries: Tensor, window: int) -> None:
        """Remember queries (B, heads, new, head_dim) of new tokens, after the `window` last ones and those that may be
        taken back.
        """
        before = self.queries[block]
        before = queries[:, :, :0] if before is None else before
        self.queries[block] = torch.cat([before, queries], 2)[:, :, -(window + TAKEN_BACK) :]

    def take_back(self, count: int) -> None:
        """Forget the last `count` tokens of each row, which have been decoded."""
        self._held = self._states().shortened(count)
        self.queries = [None if one is None else one[:, :, :-count] for one in self.queries]

    def _states(self) -> Held:
        if self._new:
            x, positions = (torch.cat(parts, 1)[:, None] for parts in zip(*self._new, strict=True))
            self._held, self._new = self._held.extended(x, positions[..., None]), []
        return self._held

    def tokens(self) -> tuple[Tensor, Tensor, list[int]]:
        """States (T, d), positions (T,), row after row, and tokens of each row."""
        held = self._states()
        x, positions, _ = held.flat()
        return x[:, 0], positions[:, 0, 0], held.lengths

    def real(self) -> Tensor:
        """(B, L) whether a row has that many tokens."""
        lengths = torch.tensor(self._states().lengths)
        return torch.arange(int(lengths.max()))[None] < lengths[:, None]

    def select(self, rows: Tensor) -> Read:
        """These rows, in this order."""
        made = self.copy()
        made._held = self._states().select(rows)
        made._new = []
        made.queries = [None if one is None else one.index_select(0, rows.to(one.device)) for one in self.queries]
        return made

    def copy(self) -> Read:
        """One that reads on by itself."""
        made = copy.copy(self)
        made.queries, made._new = list(self.queries), list(self._new)
        return made
