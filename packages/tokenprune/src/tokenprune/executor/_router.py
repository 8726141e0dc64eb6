"""What a router is to the executor, and the router that keeps every token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    """

    window: int = 0
    reduction: str = "mean"
    flops: int = 0

    def keep(self, block: int, stream: Stream) -> Choice:
        """(B, L) kept tokens, better with their counts; True for all, False for none."""
        raise NotImplementedError

    def of(self, tokens: int) -> Router:  # noqa: ARG002  (routers that choose by length look at it)
        """The router of a prompt whose longest row has so many tokens."""
        return self

    @property
    def remembered(self) -> int:
        """How many last queries of a prompt are remembered, for a longer prompt to be scored by."""
        return self.window

    def windows(self, rows: int, query: Sequence[int] | None = None) -> list[int]:  # noqa: ARG002
        """How many last queries of each row score the keys.

        Args:
            rows: of the prompt.
            query: how many last tokens of each row hold the question and what follows it; None: not known.
        """
        return [self.window] * rows

    def counting(self, stream: Stream) -> list[int]:
        """`windows` of a stream."""
        return self.windows(stream.rows, stream.query)

    def queries(self, block: int) -> int:  # noqa: ARG002  (routers that score some blocks alone look at it)
        """How many last queries score the keys of this block."""
        return self.window

    def ahead(self, block: int) -> Mapping[int, tuple[int, ...]]:  # noqa: ARG002
        """Heads, by later block, that are to look at the states before this one (`Executor.look_ahead`)."""
        return {}

    def lasts(self, block: int) -> bool:  # noqa: ARG002
        """Whether this block's scores are remembered in addition to each token's latest one (`Stream.best`)."""
        return False

    def whole_blocks(self, blocks: int) -> int:  # noqa: ARG002  (routers that have a schedule look at it)
        """How many first blocks keep every token, whatever it is."""
        return 0

    def skips_new(self, block: int) -> bool:  # noqa: ARG002
        """Whether a decoded token skips this block."""
        return False


class Everything(Router):
    """Keeps all tokens: the dense model on this executor.

    Examples:
        >>> import torch
        >>> from tokenprune import Everything, Executor, Layout, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> dense = Executor(Layout.of(model), Everything())
        >>> logits, stream = dense.logits(ids)
        >>> torch.allclose(logits[0, -1], model(ids).logits[0, -1], atol=1e-4)
        True
    """

    def whole_blocks(self, blocks: int) -> int:
        """All of them."""
        return blocks

    def keep(self, block: int, stream: Stream) -> bool:  # noqa: ARG002  (a router's signature)
        """All of them."""
        return True
