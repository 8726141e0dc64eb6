"""Rivals that choose tokens by the attention of the last queries: FastKV, GemFilter, PyramidInfer.

All three are training-free. Each takes its budget from the target, so that all arms leave out the same share of
operations; what their publications tune, the block of the choice or the slope of the pyramid, is chosen on the
calibration data here, among few values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from tokenprune.baselines._base import Baseline
from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cost import Cost
from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything, Router
from tokenprune.executor._scored import Scored, divergence
from tokenprune.executor._stream import Kept, Stream
from tokenprune.models._layout import Layout
from tokenprune.routers._observation_router import Observation, ObservationRouter, observed_margin
from tokenprune.routers._schedule import HIGHEST, kept_count, lowest_skipped

_ROWS = 8
_E = TypeVar("_E", bound=Executor)


class _WindowRouter(ObservationRouter):
    """Keeps the window's own tokens, and of the others those of highest score."""

    def latest(self, stream: Stream, skips: Sequence[int]) -> list[int]:
        return [min(self.window, length) for length in stream.lengths]


@torch.no_grad()
def _nearest(executors: Sequence[_E], data: Scored) -> _E:
    """The one that is nearest to the dense model on these sequences."""
    dense, sums = Executor(executors[0].layout, Everything()), [0.0] * len(executors)
    for start in range(0, len(data), _ROWS):
        part = data.part(start, start + _ROWS)
        reference = part.run(dense)[0].log_softmax(-1)
        for at, one in enumerate(executors):
            sums[at] += float(divergence(reference, part.run(one)[0]).sum())
    return executors[min(range(len(sums)), key=sums.__getitem__)]


class _Scheduled(Baseline):
    """A rival that is an observation router with settings and schedules of its own."""

    settings: ClassVar[Observation]

    def schedules(self, target: float, blocks: int) -> list[tuple[float, ...]]:
        """What is tried."""
        raise NotImplementedError

    @torch.no_grad()
    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Choose a schedule."""
        tried = [Executor(layout, _WindowRouter(one, self.settings)) for one in
                 self.schedules(target, len(layout.blocks))]  # fmt: skip
        self.executor = _nearest(tried, data) if len(tried) > 1 else tried[0]

    def apply(self) -> Executor:
        """The model under the chosen schedule."""
        return self.executor

    def kept(self, lengths: Sequence[int]) -> list[list[int]]:
        """What the schedule says."""
        router = self.executor.router
        assert isinstance(router, ObservationRouter)
        return [[kept_count(length, s) for length in lengths] for s in router.schedule]


class FastKV(_Scheduled):
    """All tokens up to one block; there a choice, once, and only what was chosen goes on (token-selective propagation).

    Scores are the mean attention of the last eight queries, smoothed over seven neighbours.
    """

    name, source = "fastkv", "Jo et al., arXiv 2502.01068"
    settings = Observation(window=8, reduction="mean", neighbours=7, pooling="mean", lasting=False)

    def schedules(self, target: float, blocks: int) -> list[tuple[float, ...]]:
        """The choice after a fifth, a third, or half of the blocks, as far as the rest can hold the target."""
        made = []
        for share in (0.2, 1 / 3, 0.5):
            dense = min(round(share * blocks), int(blocks * (1 - target / HIGHEST) + 1e-9))
            made.append((0.0,) * dense + (target * blocks / (blocks - dense),) * (blocks - dense))
        return list(dict.fromkeys(made))


class PyramidInfer(_Scheduled):
    """Each block keeps a part of what the one before kept; later queries of the window count more.

    The share of kept tokens falls by the same factor from block to block.
    """

    name, source = "pyramidinfer", "Yang et al., arXiv 2405.12532"
    settings = Observation(window=24, reduction="weighted", neighbours=1, lasting=False)

    def schedules(self, target: float, blocks: int) -> list[tuple[float, ...]]:
        """The fall begins after the first block, after a fifth, or after a third of the blocks."""
        made = []
        for first in (1, round(0.2 * blocks), round(blocks / 3)):
            dense = max(1, min(first, int(blocks * (1 - target / HIGHEST) + 1e-9)))
            low, high = 0.0, 1.0
            for _ in range(60):
                middle = (low + high) / 2
                skipped = sum(min(HIGHEST, 1 - middle**step) for step in range(1, blocks - dense + 1)) / blocks
                low, high = (middle, high) if skipped > target else (low, middle)
            made.append((0.0,) * dense + tuple(min(HIGHEST, 1 - high**step) for step in range(1, blocks - dense + 1)))
        return list(dict.fromkeys(made))


class _Chosen(Router):
    """Keeps one set of tokens in every block."""

    def __init__(self, mask: Tensor, counts: list[int]) -> None:
        self.choice = Kept(mask, counts)

    def keep(self, block: int, stream: Stream) -> Kept:
        return self.choice


class _Scoring(Router):
    """Keeps everything, and scores the keys of one block by the last query."""

    window = 1

    def __init__(self, block: int) -> None:
        self.block = block

    def keep(self, block: int, stream: Stream) -> bool:
        return True

    def queries(self, block: int) -> int:
        return self.window if block == self.block else 0


class GemFilterExecutor(Executor):
    """Reads the prompt with the first blocks, chooses tokens by the last of these, and runs the model on them alone.

    Args:
        layout: the model.
        first: blocks that read the whole prompt.
        share: of tokens chosen.
    """

    def __init__(self, layout: Layout, first: int, share: float) -> None:
        super().__init__(layout, Everything() if share >= 1 else _Scoring(first - 1))
        self.first, self.share = first, share

    def prefill(self, stream: Stream, cache: PrunedCache | None = None) -> Stream:
        """Both passes; the chosen tokens are numbered anew."""
        if self.share >= 1:
            return super().prefill(stream, cache)
        whole = stream.snapshot()
        self.router = _Scoring(self.first - 1)
        for block in range(self.first):
            self.step(whole, block)
        skips = [length - max(2, round(self.share * length)) for length in stream.lengths]
        margin = observed_margin(whole, [1] * stream.rows, Observation(neighbours=5, pooling="mean"))
        mask = lowest_skipped(margin, stream.protected, stream.real, skips)
        counts = [
            length - min(skip, free) for length, skip, free in zip(stream.lengths, skips, stream.free, strict=True)
        ]
        order = stream.flat((mask.cumsum(1) - 1).clamp(min=0))
        cos, sin = self.layout.angles(stream.x, order)
        stream.positions, stream.cos, stream.sin = order, cos[0], sin[0]
        self.router = _Chosen(mask, counts)
        return super().prefill(stream, cache)

    def cost(self, stream: Stream, logits: int = 0) -> Cost:
        """Of both passes."""
        second = self.costs.of_kept(stream.kept, logits=logits)
        if self.share >= 1:
            return second
        lengths = list(stream.lengths)
        scored = [int(block == self.first - 1) for block in range(self.first)]
        first = self.costs.of_kept([lengths] * self.first, scored=scored)
        return Cost(first.flops + second.flops, second.kv_bytes, first.routing_flops)


@dataclass
class GemFilter(Baseline):
    """The first blocks read the prompt and choose, then the whole model runs on the chosen tokens alone.

    Scores are the attention of the last query, smoothed over five neighbours.
    """

    name: ClassVar[str] = "gemfilter"
    source: ClassVar[str] = "Shi et al., arXiv 2409.17422"

    @torch.no_grad()
    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Choose how many blocks read the prompt: a tenth, a fifth or a third, of what the target leaves room for."""
        blocks, tried = len(layout.blocks), {}
        for part in (0.1, 0.2, 1 / 3):
            first = max(1, round(part * blocks))
            share = 1.0 if target == 0 else 1 - target - first / blocks
            if share > 0.05:
                tried[first, share] = GemFilterExecutor(layout, first, share)
        if not tried:  # the target leaves no room for a first pass
            tried[1, 0.05] = GemFilterExecutor(layout, 1, 0.05)
        arms: list[GemFilterExecutor] = list(tried.values())
        self.executor = _nearest(arms, data) if len(arms) > 1 else arms[0]

    def apply(self) -> Executor:
        """The two passes."""
        return self.executor

    def kept(self, lengths: Sequence[int]) -> list[list[int]]:
        """What the second pass runs on; the first takes all tokens through the first blocks."""
        chosen = [min(length, max(2, round(self.executor.share * length))) for length in lengths]
        return [chosen] * self.executor.blocks

    def cost(self, lengths: Sequence[int]) -> Cost:
        """Of both passes."""
        second = super().cost(lengths)
        if self.executor.share >= 1:
            return second
        first = self.executor.costs.of_kept([lengths] * self.executor.first)
        return Cost(first.flops + second.flops, second.kv_bytes)
