"""The rival that leaves tokens out by where they stand: truncation."""

from __future__ import annotations

from collections.abc import Sequence

from tokenprune.baselines._base import Baseline
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.models._layout import Layout
from tokenprune.routers._schedule import kept_count, uniform
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
