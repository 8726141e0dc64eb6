"""The static router: a fixed order of importance, first token, then the most recent."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tokenprune.executor._router import Choice, Router
from tokenprune.executor._stream import Kept, Stream
from tokenprune.routers._schedule import checked_schedule, skip_counts, static_keep

THRESHOLD = 0.5  # of the decode rule: a new token skips the blocks that are sparser


class StaticRouter(Router):
    """Keeps the first token and the most recent ones.

    Args:
        schedule: sparsity of each block.
        decode: "off": new tokens run in all blocks; "threshold": they skip those sparser than a half; "strict": so does
            each token of the prompt, as if it were the last.

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

    exact = True  # `choose` skips as many as it is told, or all that are unprotected

    def __init__(self, schedule: Sequence[float], decode: str = "off") -> None:
        self.schedule, self.decode = checked_schedule(schedule, len(schedule)), decode

    def keep(self, block: int, stream: Stream) -> Choice | tuple[Choice, Choice]:
        """(B, L) kept tokens with their counts, or True for all."""
        if self.decode == "strict":
            return not self.skips_new(block)
        self.look(block, stream)
        skips = skip_counts(stream.lengths, self.schedule[block])
        if not any(skips):
            return True
        chosen = self.choose(block, stream, skips)
        if not self.exact:
            return chosen
        skipped = zip(stream.lengths, skips, stream.free, strict=True)
        counts = [length - min(skip, free) for length, skip, free in skipped]
        return (Kept(chosen[0], counts), Kept(chosen[1], counts)) if isinstance(chosen, tuple) else Kept(chosen, counts)

    def look(self, block: int, stream: Stream) -> None:
        """What is to be read of the tokens before this block, whether any of them is to be skipped there or not."""

    def choose(self, block: int, stream: Stream, skips: list[int]) -> Tensor | tuple[Tensor, Tensor]:  # noqa: ARG002  (learnt routers look at it)
        """Which tokens to keep where some are to be skipped."""
        return static_keep(stream.protected, stream.real, skips)

    def whole_blocks(self, blocks: int) -> int:
        """The blocks before the first that is to skip tokens."""
        return next((block for block, s in enumerate(self.schedule) if s > 0), blocks)

    def skips_new(self, block: int) -> bool:
        """Whether a token that is decoded skips this block."""
        return self.decode != "off" and self.schedule[block] > THRESHOLD
