"""FastKV, a rival that chooses tokens by the attention of the last queries, training-free.

Its budget is the target, so that all arms leave out the same share of operations; the block of the choice, which the
publication tunes, is chosen on the calibration data here, among few values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tokenprune.baselines._base import Baseline
from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything
from tokenprune.executor._scored import Scored, divergence
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout
from tokenprune.routers._observation_router import Observation, ObservationRouter
from tokenprune.routers._schedule import HIGHEST, kept_count

_ROWS = 8


class _WindowRouter(ObservationRouter):
    """Keeps the window's own tokens, and of the others those of highest score."""

    def latest(self, stream: Stream, skips: Sequence[int]) -> list[int]:
        return [min(self.window, length) for length in stream.lengths]


@torch.no_grad()
def _nearest(executors: Sequence[Executor], data: Scored) -> Executor:
    """The one that is nearest to the dense model on these sequences."""
    dense, sums = Executor(executors[0].layout, Everything()), [0.0] * len(executors)
    for start in range(0, len(data), _ROWS):
        part = data.part(start, start + _ROWS)
        reference = part.run(dense)[0].log_softmax(-1)
        for at, one in enumerate(executors):
            sums[at] += float(divergence(reference, part.run(one)[0]).sum())
    return executors[min(range(len(sums)), key=sums.__getitem__)]


class FastKV(Baseline):
    """All tokens up to one block; there a choice, once, and only the chosen ones continue (selective propagation).

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
