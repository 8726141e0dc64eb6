"""The dynamic router: one small MLP for all blocks, looking at four factors of each token.

Factors of a token, as published: its position p/(L-1); its latest attention score, log1p(a L); the rank of that score,
rank/(L-1), 0 the highest; and the sparsity s_i asked of the block. Two outputs, skip and compute; their difference is
the margin. With `observation` settings score and rank are those of the observation window (`_observation_router.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn.utils import skip_init

from tokenprune.executor._stream import Stream
from tokenprune.routers._learnt_router import LearntRouter, imitate
from tokenprune.routers._observation_router import Observation, forget_kept, note_kept, observed_factors, settled
from tokenprune.routers._schedule import skip_counts

FACTORS = ("position", "score", "rank", "sparsity")


class RouterNet(nn.Module):
    """4 -> 64 -> 2 with ReLU: 450 parameters.

    Args:
        hidden: width of the middle layer.
        factors: which of the four it sees; the others stay at zero.
        generator: source of the initial weights.
        start: "random"; or "static", "observation": margins at first rank tokens as that rule does.

    Examples:
        >>> import torch
        >>> from tokenprune import RouterNet

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
        if start != "random":
            needed = {"static": "position", "observation": "rank"}[start]
            if needed not in factors:
                raise InputError(
                    "start", got=f"{start}, without the {needed}", expected="random: the rule is of that factor"
                )
            imitate(self.into, self.out, compute=[1], skip=[0], rule=start)

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
    """Ranks tokens by the shared net's margin; block 0, and a prompt without scores, by the static rule.

    Args:
        schedule: sparsity of each block.
        net: what is trained.
        observation: take score and rank from an observation window; left out, as published, from the last queries.
        settings: as in `LearntRouter`.

    Examples:
        >>> import torch
        >>> from tokenprune import DynamicRouter, Executor, Layout, RouterNet, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> router = DynamicRouter([0.0, 0.5, 0.5, 0.5], RouterNet(start="static"))
        >>> logits, stream = Executor(Layout.of(model), router).logits(ids)
        >>> [attention for attention, mlp in stream.kept]
        [[40], [20], [20], [20]]
    """

    net: RouterNet

    def __init__(
        self, schedule: Sequence[float], net: RouterNet, *, observation: Observation | None = None, **settings: Any
    ) -> None:
        super().__init__(schedule, net, **settings)
        self.observation = None if observation is None else settled(observation, self.schedule)
        if observation is not None:
            self.window, self.reduction = observation.window, observation.reduction

    def lasts(self, block: int) -> bool:
        """As of the observation router."""
        return self.observation is not None and self.observation.lasting and self.schedule[block] == 0

    def look(self, block: int, stream: Stream) -> None:
        """A block that skips nothing gives every token its place again."""
        if self.observation is not None and self.schedule[block] == 0:
            forget_kept(stream)

    def margin(self, block: int, stream: Stream) -> Tensor | None:
        """(B, L) of the four factors."""
        if block == 0 or not stream.scored:
            return None
        sparsity = self.schedule[block]
        if self.observation is None:
            return self.net_output(four_factors(stream, sparsity))
        skips = skip_counts(stream.lengths, sparsity)
        return self.net_output(observed_factors(stream, sparsity, skips, self.observation))

    def hard(self, margin: Tensor, stream: Stream, skips: list[int]) -> Tensor:
        """(B, L) kept tokens of a margin."""
        kept = super().hard(margin, stream, skips)
        if self.observation is not None:
            note_kept(stream, kept, self.observation)
        return kept
