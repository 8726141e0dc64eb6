"""Rivals that leave tokens out without having learnt which: truncation, random keep."""

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

    def kept(self, lengths: Sequence[int]) -> list[list[int]]:
        """The same in each block."""
        return [[kept_count(length, s) for length in lengths] for s in self.router.schedule]


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
