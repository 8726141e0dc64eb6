"""The static router: a fixed order of importance, first token, then the most recent."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tokenprune.executor._router import Choice, Router
from tokenprune.executor._stream import Kept, Stream
from tokenprune.routers._schedule import checked_schedule, skip_counts, static_keep


class StaticRouter(Router):
    """Keeps the first token and the most recent ones.

    Args:
        schedule: sparsity of each block.

    Examples:
        >>> import torch
        >>> from tokenprune import Executor, Layout, StaticRouter, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> executor = Executor(Layout.of(model), StaticRouter([0.0, 0.0, 0.0, 0.75]))
        >>> with torch.no_grad():
        ...     stream = executor.prefill(executor.start(ids, record=True))
        >>> stream.masks[3][0].nonzero().flatten().tolist()  # the first token and the latest ones
        [0, 31, 32, 33, 34, 35, 36, 37, 38, 39]
    """

    def __init__(self, schedule: Sequence[float]) -> None:
        self.schedule = checked_schedule(schedule, len(schedule))

    def keep(self, block: int, stream: Stream) -> Choice:
        """(B, L) kept tokens with their counts, or True for all."""
        self.look(block, stream)
        skips = skip_counts(stream.lengths, self.schedule[block])
        if not any(skips):
            return True
        skipped = zip(stream.lengths, skips, stream.free, strict=True)
        counts = [length - min(skip, free) for length, skip, free in skipped]
        return Kept(self.choose(block, stream, skips), counts)

    def look(self, block: int, stream: Stream) -> None:
        """What is to be read of the tokens before this block, whether any of them is to be skipped there or not."""

    def choose(self, block: int, stream: Stream, skips: list[int]) -> Tensor:  # noqa: ARG002  (others look at it)
        """(B, L) tokens to keep where so many of each row are to be skipped, or all that are unprotected."""
        return static_keep(stream.protected, stream.real, skips)

    def whole_blocks(self, blocks: int) -> int:
        """The blocks before the first that is to skip tokens."""
        return next((block for block, s in enumerate(self.schedule) if s > 0), blocks)
