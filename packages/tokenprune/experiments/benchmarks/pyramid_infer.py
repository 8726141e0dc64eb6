"""PyramidInfer, a rival that keeps less from block to block, under the package's executor."""

from __future__ import annotations

from tokenprune.baselines import FastKV
from tokenprune.routers._observation_router import Observation
from tokenprune.routers._schedule import HIGHEST


class PyramidInfer(FastKV):
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
