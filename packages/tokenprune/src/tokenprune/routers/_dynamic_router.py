"""The dynamic router: one small MLP for all blocks, looking at four factors of each token.

Factors of a token: its position p/(L-1); its latest attention score, log1p(a L); the rank of that score, rank/(L-1), 0
the highest; and the sparsity s_i asked of the block. Two outputs, skip and compute; their difference is the margin.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn

from tokenprune.executor._stream import Stream
from tokenprune.routers._learnt_router import LearntRouter, imitate_static

FACTORS = ("position", "score", "rank", "sparsity")


class RouterNet(nn.Module):
    """4 -> 64 -> 2 with ReLU: 450 parameters.

    Args:
        hidden: width of the middle layer.
        factors: which of the four it sees; the others are held at zero.
        generator: source of the initial weights.
        start: "random", or "static": margins at first rank tokens as the static rule does.
    """

    def __init__(
        self, hidden: int = 64, factors: Sequence[str] = FACTORS, generator: torch.Generator | None = None,
        start: str = "random",
    ) -> None:  # fmt: skip
        super().__init__()
        self.into, self.out = nn.Linear(4, hidden), nn.Linear(hidden, 2)
        self.register_buffer("seen", torch.tensor([float(name in factors) for name in FACTORS]))
        self.seen: Tensor
        with torch.no_grad():
            for layer in (self.into, self.out):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
        if start == "static":
            if "position" not in factors:
                raise InputError("start", got="static, without the position", expected="random: the rule is a position")
            imitate_static(self.into, self.out, compute=[1], skip=[0])

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


class DynamicRouter(LearntRouter):
    """Ranks tokens by the shared net's margin; block 0, and a prompt without scores, by the static rule."""

    net: RouterNet

    def margin(self, block: int, stream: Stream) -> Tensor | None:
        """(B, L) of the four factors."""
        if block == 0 or not stream.scored:
            return None
        return self.net_output(four_factors(stream, self.schedule[block]))
