"""What learnt routers share: margins by token become kept tokens, by rank or by their sign."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokenprune.executor._cost import ROUTER_FLOPS
from tokenprune.executor._stream import Stream
from tokenprune.routers._schedule import lowest_skipped, static_keep
from tokenprune.routers._static_router import StaticRouter

SHARPNESS = 4.0  # margins that a net starts with go from -4 to 4
MORE = 0.03  # it skips so much more than is asked where its own sign decides: its sparsity loss is zero at first, and
# does not push the output layer about before the other losses have said anything


@torch.no_grad()
def imitate(into: nn.Linear, out: nn.Linear, compute: Sequence[int], skip: Sequence[int] = (), *, rule: str) -> None:
    """Set a net so that it starts as a rule without training: its margins are 4 (priority - sparsity - 0.03).

    A token's priority is its position under the static rule, and 1 - rank under the observation router's. One hidden
    unit is the priority, one the sparsity; the output layer looks at no other. Margins that rise with the priority rank
    tokens as the rule does, exactly: rounding may tie two, and of those the older is skipped.

    Args:
        into: 4 -> hidden, of the factors position, score, rank, sparsity.
        out: hidden -> outputs.
        compute, skip: which outputs count for computing a token, and which against it.
        rule: "static" or "observation".
    """
    for layer in (out.weight, out.bias, into.weight[:2], into.bias[:2]):
        layer.zero_()
    share = SHARPNESS / (1 + bool(skip))
    if rule == "observation":
        into.weight[0, 2], into.bias[0] = -1, 1
    else:
        into.weight[0, 0] = 1
    into.weight[1:2, 3] = 1
    for unit, sign in enumerate((1.0, -1.0)[: into.out_features]):
        out.weight[list(compute), unit] = sign * share
        out.weight[list(skip), unit] = -sign * share
    out.bias[list(compute)] = -MORE * share
    out.bias[list(skip)] = MORE * share


class LearntRouter(StaticRouter):
    """Keeps the tokens of highest margin.

    Args:
        schedule: sparsity of each block.
        net: what is trained.
        gate: "topk" keeps exactly as many as the schedule says; "argmax" those of margin >= 0 (ragged).
        window: how many last queries score the keys; 0 for a router that does not look at scores.
        decode: as in `StaticRouter`.
    """

    flops = ROUTER_FLOPS

    def __init__(
        self, schedule: Sequence[float], net: nn.Module, *, gate: str = "topk", window: int = 1, decode: str = "off",
    ) -> None:  # fmt: skip
        super().__init__(schedule, decode)
        self.net, self.gate, self.window = net, gate, window
        self.exact = gate != "argmax"

    def margin(self, block: int, stream: Stream) -> Tensor | tuple[Tensor, Tensor] | None:
        """(B, L) how much to compute each token, or a pair for attention and MLP; None: go by the static rule."""
        raise NotImplementedError

    def net_output(self, factors: Tensor) -> Tensor:
        """The net's answer, where the factors are: a model may be spread over devices, the net is on one."""
        return self.net(factors.to(next(self.net.parameters()).device)).to(factors.device)

    def choose(self, block: int, stream: Stream, skips: list[int]) -> Tensor | tuple[Tensor, Tensor]:
        """(B, L) kept tokens, or a pair for attention and MLP."""
        margin = self.margin(block, stream)
        if margin is None:
            return static_keep(stream.protected, stream.real, skips)
        if isinstance(margin, tuple):
            return self.hard(margin[0], stream, skips), self.hard(margin[1], stream, skips)
        return self.hard(margin, stream, skips)

    def hard(self, margin: Tensor, stream: Stream, skips: list[int]) -> Tensor:
        """(B, L) kept tokens of a margin."""
        if self.gate == "argmax":
            return stream.real & (stream.protected | (margin >= 0))
        return lowest_skipped(margin, stream.protected, stream.real, skips)
