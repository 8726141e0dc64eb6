"""The KV cache of a pruned model: each block holds the tokens it kept, so lengths differ by block and by row.

transformers asks a cache how long it is in order to place new tokens; `get_seq_length` answers with tokens *seen*.
After a prompt nothing is padded (`_held.py`): the bytes are exactly those of the kept tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from tokenprune.executor._held import Held
from tokenprune.executor._turns import TAKEN_BACK, Read


class PrunedCache(Cache):
    """Keys and values of kept tokens, by block.

    Attributes:
        held: what each block holds; None: not yet run.
        seen: columns of input seen so far, padding included.
        tokens: (B,) tokens of each row so far.
        next_position: (B,) position of each row's next token; None before the prompt.
        read: what the dense first blocks left of all tokens, for later blocks to choose anew; None: they cannot.
        reader: the executor that read the prompt; new tokens go through it whatever is attached by then.
        added: tokens decoded since the blocks last chose: those that `crop` can take back.

    Examples:
        >>> import torch
        >>> from tokenprune import Executor, Layout, PrunedCache, StaticRouter, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> executor = Executor(Layout.of(model), StaticRouter([0.0, 0.0, 0.5, 0.5]))
        >>> cache = PrunedCache(executor.blocks)
        >>> with torch.no_grad():
        ...     stream = executor.prefill(executor.start(ids), cache)
        >>> [cache.lengths(block) for block in range(4)], cache.get_seq_length()
        ([[40], [40], [20], [20]], 40)
        >>> cache.nbytes
        30720
    """

    def __init__(self, blocks: int) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.held: list[Held | None] = [None] * blocks
        self.seen, self.tokens = 0, torch.zeros(0, dtype=torch.long)
        self.next_position: Tensor | None = None
        self.read: Read | None = None
        self.reader: Any = None
        self.added = 0

    def fork(self) -> PrunedCache:
        """A twin that continues by itself; no key is copied."""
        twin = PrunedCache(len(self.held))
        twin.held, twin.seen = list(self.held), self.seen
        twin.tokens, twin.next_position = self.tokens, self.next_position
        twin.reader, twin.added = self.reader, self.added
        twin.read = None if self.read is None else self.read.copy()
        return twin

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002  (transformers' name; all blocks have seen all)
        """Columns of input seen, whatever a block kept of them."""
        return self.seen

    @property
    def is_linear(self) -> list[bool]:
        """Of each block, whether it holds a recurrent state in the place of keys: none does.

        transformers asks, from 5.24 on: without a block that holds keys, `generate` would run tokens again that a cache
        has seen.
        """
        return [False] * len(self.held)

    def __len__(self) -> int:
        return len(self.held)

    @property
    def batch_size(self) -> int:
        """Rows."""
        return -1 if self.next_position is None else len(self.next_position)

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values."""
        return sum(one.nbytes for one in self.held if one is not None)

    def lengths(self, block: int) -> list[int]:
        """Cached tokens of each row in one block."""
        held = self.held[block]
        return [] if held is None else held.lengths

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Row r becomes what row beam_idx[r] was (beam search)."""
        self.batch_select_indices(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each row `repeats` times."""
        self.batch_select_indices(torch.arange(self.batch_size).repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in this order."""
        if self.next_position is None:
            return
        self.held = [None if one is None else one.select(indices) for one in self.held]
        self.read = None if self.read is None else self.read.select(indices)
        self.tokens = self.tokens[indices.to(self.tokens.device)]
        self.next_position = self.next_position[indices.to(self.next_position.device)]

    def crop(self, tokens_to_remove: int) -> None:
        """Take back the last decoded tokens, as assisted decoding does with those that it rejects.

        Args:
            tokens_to_remove: zero or negative, as transformers gives it: -3 takes back three tokens.
        Raises:
            InputError: for tokens of the prompt: which tokens a block kept depended on them.
        """
        count = -int(tokens_to_remove)
        if count < 0:
            raise InputError("crop", got=tokens_to_remove, expected="zero or a negative number of tokens to take back")
        most = self.added if self.read is None else min(self.added, TAKEN_BACK)
        if count > most:
            expected = f"at most {most}, the last of those decoded since the prompt"
            raise InputError("crop", got=f"{count} tokens to take back", expected=expected,
                             hint="which of a prompt's tokens a block kept depended on all of them")  # fmt: skip
        if count == 0 or self.next_position is None:
            return
        self.held = [None if one is None else one.shortened(count) for one in self.held]
        if self.read is not None:
            self.read.take_back(count)
        self.seen, self.added = self.seen - count, self.added - count
        self.tokens, self.next_position = self.tokens - count, self.next_position - count

    def note_prompt(self, width: int, lengths: Sequence[int], positions: Tensor) -> None:
        """A prompt of rows of these lengths has been seen; positions (T,) of its tokens, row by row."""
        self.seen, self.tokens = width, torch.tensor(lengths)
        self.next_position = positions[torch.tensor(lengths, device=positions.device).cumsum(0) - 1] + 1

    def note_new(self, positions: Tensor) -> None:
        """New tokens at positions (B, q) have been seen."""
        self.seen, self.tokens = self.seen + positions.shape[1], self.tokens + positions.shape[1]
        self.next_position = positions[:, -1] + 1

    def activate_past_recording(self) -> None:
        """Nothing to do: `crop` needs no record (transformers calls this before assisted decoding)."""

    def update(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG002  (transformers' own)
        """Refused: only the executor fills this cache."""
        raise InputError(
            "this cache", got="a forward of the model without its pruner", expected="the pruner to be attached",
            hint="it was made by a pruned model and has another length in each block",
        )  # fmt: skip
