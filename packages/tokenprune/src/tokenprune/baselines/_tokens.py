"""Rivals that leave tokens out without having learnt which: truncation, random keep, SkipDecode."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenprune.baselines._base import Baseline
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout
from tokenprune.routers._schedule import kept_count, lowest_skipped, uniform
from tokenprune.routers._static_router import StaticRouter


class Truncation(Baseline):
    """First token and the most recent ones, the same in all blocks: the prompt cut short at equal operations."""

    name, source = "truncation", "Xiao et al., arXiv 2309.17453 (sink and recent tokens)"
    router: StaticRouter

    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Nothing to learn."""
        self.layout, self.router = layout, StaticRouter(uniform(target, len(layout.blocks)))

    def apply(self) -> Executor:
        """The model on a prompt cut short."""
        return Executor(self.layout, self.router)

    def kept(self, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """The same in each block."""
        counts = [[kept_count(length, s) for length in lengths] for s in self.router.schedule]
        return [(one, one) for one in counts]


class _Random(StaticRouter):
    def __init__(self, schedule: Sequence[float], seed: int) -> None:
        super().__init__(schedule)
        self.seed = seed

    def choose(self, block: int, stream: Stream, skips: list[int]) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1009 + block)  # a row draws the same alone and in a batch
        margin = torch.rand(stream.real.shape[1], generator=generator).to(stream.x.device)
        return lowest_skipped(margin.expand(stream.real.shape), stream.protected, stream.real, skips)


class RandomKeep(Truncation):
    """In each block other tokens, at random."""

    name, source = "random", "arXiv 2412.11494 (its random arm)"

    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Nothing to learn."""
        self.layout, self.router = layout, _Random(uniform(target, len(layout.blocks)), seed)


class SkipDecode(Truncation):
    """Later positions run through fewer middle blocks: the number of blocks falls linearly along the prompt.

    The first and last few blocks (the warm-up) are never skipped; protected tokens run in all blocks, so that the
    logits that are read are the model's.
    """

    name, source = "skipdecode", "Del Corro et al., arXiv 2307.02628"

    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Places what each block skips so that the mean over blocks is the target."""
        blocks = len(layout.blocks)
        room = [0.0 if block < 2 or block == blocks - 1 else (block - 1) / (blocks - 2) for block in range(blocks)]
        low, high = 0.0, 1e4
        for _ in range(60):
            middle = (low + high) / 2
            mean = sum(min(0.95, middle * one) for one in room) / blocks
            low, high = (middle, high) if mean < target else (low, middle)
        self.layout, self.router = layout, _Latest([min(0.95, high * one) for one in room])


class _Latest(StaticRouter):
    def choose(self, block: int, stream: Stream, skips: list[int]) -> Tensor:
        margin = -torch.arange(stream.real.shape[1], dtype=torch.float32, device=stream.x.device)
        return lowest_skipped(margin.expand(stream.real.shape), stream.protected, stream.real, skips)
