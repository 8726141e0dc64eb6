"""The one-pass router, for batches: scores of all blocks at once, read after one early block.

After block b0 each token's position, score and rank go through one MLP, which emits a margin for each block: all
gather indices are known up front, rows and blocks need no decision in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from tokenprune.executor._stream import Stream
from tokenprune.routers._dynamic_router import four_factors
from tokenprune.routers._learnt_router import LearntRouter, imitate


class OnePassNet(nn.Module):
    """4 -> hidden -> N: the fourth input is the model's mean sparsity.

    Args:
        blocks: N.
        hidden: width of the middle layer.
        generator: source of the initial weights.
        start: "random", or "static": margins at first rank tokens as the static rule does.

    Examples:
        >>> import torch
        >>> from tokenprune import OnePassNet

        >>> net = OnePassNet(blocks=4, start="static")
        >>> net(torch.rand(1, 10, 4)).shape  # a margin of each of ten tokens in each block
        torch.Size([1, 10, 4])
    """

    def __init__(
        self, blocks: int, hidden: int = 64, generator: torch.Generator | None = None, start: str = "random"
    ) -> None:
        super().__init__()
        self.into: nn.Linear = skip_init(nn.Linear, 4, hidden)  # type: ignore[assignment]  # no draw from torch's generator
        self.out: nn.Linear = skip_init(nn.Linear, hidden, blocks)  # type: ignore[assignment]
        with torch.no_grad():
            for layer in (self.into, self.out):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
        if start == "static":
            imitate(self.into, self.out, compute=range(blocks), rule=start)

    def forward(self, factors: Tensor) -> Tensor:
        """(..., 4) factors -> (..., N) margins."""
        return self.out(torch.relu(self.into(factors)))


class OnePassRouter(LearntRouter):
    """Ranks tokens by the margins that were emitted after block `read` (b0); up to that block by the static rule.

    Examples:
        >>> import torch
        >>> from tokenprune import Executor, Layout, OnePassNet, OnePassRouter, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> router = OnePassRouter([0.0, 0.0, 0.5, 0.5], OnePassNet(4, start="static"), read=1)
        >>> logits, stream = Executor(Layout.of(model), router).logits(ids)
        >>> [attention for attention, mlp in stream.kept]
        [[40], [40], [20], [20]]
    """

    net: OnePassNet

    def __init__(self, schedule: Sequence[float], net: nn.Module, *, read: int = 1, **settings: Any) -> None:
        super().__init__(schedule, net, **settings)
        self.read = read

    def look(self, block: int, stream: Stream) -> None:
        """Margins (B, L, N) for all blocks, once: right after `read`, so that no other row decides when."""
        if block > self.read and stream.scored and "one_pass" not in stream.memory:
            stream.memory["one_pass"] = self.net_output(four_factors(stream, sum(self.schedule) / len(self.schedule)))

    def margin(self, block: int, stream: Stream) -> Tensor | None:
        """(B, L) of this block."""
        self.look(block, stream)
        return stream.memory["one_pass"][..., block] if block > self.read and stream.scored else None
