"""ShortGPT: delete the blocks of least influence."""

from __future__ import annotations

from collections.abc import Sequence

from tokenprune.baselines._base import Baseline
from tokenprune.baselines._redundancy import redundancy
from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Router
from tokenprune.executor._scored import Scored
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout


class Removed(Router):
    """Leaves out some blocks, for all tokens."""

    def __init__(self, blocks: set[int]) -> None:
        self.removed = blocks

    def keep(self, block: int, stream: Stream) -> bool:
        """All tokens or none."""
        return block not in self.removed

    def skips_new(self, block: int) -> bool:
        """New tokens skip what is not there."""
        return block in self.removed


class ShortGPT(Baseline):
    """Deletes the blocks of lowest BI_i = 1 - mean_t cos(x_t^i, x_t^{i+1})."""

    name, source = "shortgpt", "Men et al., arXiv 2403.03853"

    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """The nearest number of blocks to the target, lowest influence first."""
        influence = redundancy(layout, data).influence
        lowest = influence.argsort(stable=True)[: round(target * len(layout.blocks))].tolist()
        self.layout, self.router = layout, Removed(set(lowest))

    def apply(self) -> Executor:
        """The model without them."""
        return Executor(self.layout, self.router)

    def kept(self, lengths: Sequence[int]) -> list[list[int]]:
        """All tokens, or none."""
        none, full = [0] * len(lengths), list(lengths)
        return [none if b in self.router.removed else full for b in range(len(self.layout.blocks))]
