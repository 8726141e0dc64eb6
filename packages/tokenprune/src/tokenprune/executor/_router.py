"""What a router is to the executor, and the one that keeps every token."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tokenprune.executor._stream import Kept, Stream

Choice = Kept | Tensor | bool


class Router:
    """Says which tokens a block keeps. What a subclass leaves as it is here suits a router that reads no scores.

    Attributes:
        window: how many last queries score the keys of a block; 0: the router reads no scores.
        reduction: how the attention of several heads and queries on a key becomes its score: "mean", "max", or
            "weighted", a mean over heads, and over queries with weights 1, 2, ..., the last query's the largest.
        flops: operations that looking at a token takes.
        causal: what is kept of a token does not depend on the tokens after it.
    """

    window: int = 0
    reduction: str = "mean"
    flops: int = 0
    causal: bool = False

    def keep(self, block: int, stream: Stream) -> Choice | tuple[Choice, Choice]:
        """(B, L) kept tokens, better with their counts; True for all, False for none; a pair for attention and MLP."""
        raise NotImplementedError

    def queries(self, block: int) -> int:  # noqa: ARG002  (routers that score some blocks alone look at it)
        """How many last queries score the keys of this block."""
        return self.window

    def lasts(self, block: int) -> bool:  # noqa: ARG002
        """Whether this block's scores are remembered beside each token's latest one (`Stream.best`)."""
        return False

    def skips_new(self, block: int) -> bool:  # noqa: ARG002
        """Whether a decoded token skips this block."""
        return False

    def kept(self, blocks: int, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """For each block, tokens of each row that its attention and its MLP run on; of causal routers."""
        raise NotImplementedError


class Everything(Router):
    """Keeps all tokens: the dense model on this executor."""

    causal = True

    def keep(self, block: int, stream: Stream) -> bool:  # noqa: ARG002  (a router's signature)
        """All of them."""
        return True

    def kept(self, blocks: int, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """All tokens in each block."""
        return [(list(lengths), list(lengths))] * blocks
