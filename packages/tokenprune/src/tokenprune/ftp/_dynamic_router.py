"""The dynamic router: one small MLP for all blocks, looking at four factors of each token.

Factors of a token: its position p/(L-1); its latest attention score, log1p(a L); the rank of that score, rank/(L-1),
0 the highest; and the sparsity s_i asked of the block. Two outputs, skip and compute; their difference is the margin.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn.utils import skip_init

from tokenprune.executor._cost import ROUTER_FLOPS
from tokenprune.executor._stream import Stream
from tokenprune.routers._schedule import lowest_skipped, static_keep
from tokenprune.routers._static_router import StaticRouter

FACTORS = ("position", "score", "rank", "sparsity")
SHARPNESS = 4.0  # margins that a net starts with go from -4 to 4
MORE = 0.03  # its own sign skips so much more than is asked: the sparsity loss is zero at first, and does not push the
# output layer about before the other losses have said anything


class RouterNet(nn.Module):
    """4 -> 64 -> 2 with ReLU: 450 parameters.

    Args:
        hidden: width of the middle layer.
        factors: which of the four it sees; the others stay at zero.
        generator: source of the initial weights.
        start: "random"; or "static": margins at first rank tokens as the static rule does.

    Examples:
        >>> import torch
        >>> from tokenprune.ftp import RouterNet

        >>> net = RouterNet(start="static")
        >>> sum(one.numel() for one in net.parameters())
        450
        >>> factors = torch.tensor([[0.1, 0.0, 0.5, 0.3], [0.9, 0.0, 0.5, 0.3]])  # position, score, rank, sparsity
        >>> margins = net(factors)
        >>> bool(margins[1] > margins[0])  # as in the static rule, the later token is computed first
        True
    """

    def __init__(
        self, hidden: int = 64, factors: Sequence[str] = FACTORS, generator: torch.Generator | None = None,
        start: str = "random",
    ) -> None:  # fmt: skip
        super().__init__()
        self.into: nn.Linear = skip_init(nn.Linear, 4, hidden)  # type: ignore[assignment]  # no draw from torch's generator
        self.out: nn.Linear = skip_init(nn.Linear, hidden, 2)  # type: ignore[assignment]
        self.register_buffer("seen", torch.tensor([float(name in factors) for name in FACTORS]))
        self.seen: Tensor
        with torch.no_grad():
            for layer in (self.into, self.out):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
        if start == "static":
            if "position" not in factors:
                raise InputError("start", got="static, without the position", expected="random: the rule is of that")
            self._imitate()

    @torch.no_grad()
    def _imitate(self) -> None:
        """Start as the static rule: margins are 4 (position - sparsity - 0.03).

        One hidden unit is the position, one the sparsity; the output layer looks at no other. Margins that rise with
        the position rank tokens as the rule does, exactly: rounding may tie two, and of those the older is skipped.
        """
        for layer in (self.out.weight, self.out.bias, self.into.weight[:2], self.into.bias[:2]):
            layer.zero_()
        self.into.weight[0, 0] = 1
        self.into.weight[1:2, 3] = 1
        by_output = torch.tensor([-1.0, 1.0]) * SHARPNESS / 2  # skip, compute
        for unit, sign in enumerate((1.0, -1.0)[: self.into.out_features]):
            self.out.weight[:, unit] = sign * by_output
        self.out.bias.copy_(-MORE * by_output)

    def forward(self, factors: Tensor) -> Tensor:
        """(..., 4) factors -> (...) margin of computing over skipping."""
        skip, compute = self.out(torch.relu(F.linear(factors, self.into.weight * self.seen, self.into.bias))).unbind(-1)
        return compute - skip


def four_factors(stream: Stream, sparsity: float) -> Tensor:
    """(B, L, 4) factors of each token; where a row has ended they mean nothing.

    A token that no block has computed yet has no score: it counts as zero, the lowest rank.
    """
    if "position" not in stream.memory:  # the same in each block
        lengths = torch.tensor(stream.lengths, device=stream.table.device, dtype=torch.float32)[:, None]
        place = torch.arange(stream.table.shape[1], device=stream.table.device)
        stream.memory |= {"lengths": lengths, "position": place / (lengths - 1).clamp(min=1)}
    lengths, position = stream.memory["lengths"], stream.memory["position"]
    score = stream.table.nan_to_num(0.0)
    ranked = score if stream.inside is None else score.masked_fill(~stream.real, -1.0)
    order = ranked.sort(dim=1, descending=True, stable=True).indices
    rank = torch.empty_like(score).scatter_(1, order, position)  # the n-th highest gets n/(L-1)
    return torch.stack([position, torch.log1p(score * lengths), rank, score.new_full(score.shape, sparsity)], -1)


class DynamicRouter(StaticRouter):
    """Keeps the tokens of highest margin; in block 0, and before any scores, those of the static rule.

    Args:
        schedule: sparsity of each block.
        net: what is trained; the same for all blocks.
        window: how many last queries score the keys.

    Examples:
        >>> import torch
        >>> from tokenprune import Executor, Layout, tiny_model
        >>> from tokenprune.ftp import DynamicRouter, RouterNet

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> router = DynamicRouter([0.0, 0.5, 0.5, 0.5], RouterNet(start="static"))
        >>> logits, stream = Executor(Layout.of(model), router).logits(ids)
        >>> stream.kept
        [[40], [20], [20], [20]]
    """

    flops = ROUTER_FLOPS

    def __init__(self, schedule: Sequence[float], net: RouterNet, *, window: int = 1) -> None:
        super().__init__(schedule)
        self.net, self.window = net, window

    def margin(self, block: int, stream: Stream) -> Tensor | None:
        """(B, L) how much to compute each token; None: go by the static rule."""
        if block == 0 or not stream.scored:
            return None
        factors = four_factors(stream, self.schedule[block])  # a model may be spread over devices, the net is on one
        return self.net(factors.to(next(self.net.parameters()).device)).to(factors.device)

    def choose(self, block: int, stream: Stream, skips: list[int]) -> Tensor:
        """(B, L) kept tokens."""
        margin = self.margin(block, stream)
        if margin is None:
            return static_keep(stream.protected, stream.real, skips)
        return lowest_skipped(margin, stream.protected, stream.real, skips)
