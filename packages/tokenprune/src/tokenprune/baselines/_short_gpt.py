"""ShortGPT: delete the blocks of least influence."""

from __future__ import annotations

from collections.abc import Sequence

from tokenprune.baselines._base import Baseline
from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Router
from tokenprune.executor._scored import Scored
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout
from tokenprune.search._analyze import redundancy


class Removed(Router):
    """Leaves out the attention of some blocks and the MLP of some, for all tokens."""

    def __init__(self, attention: set[int], mlp: set[int]) -> None:
        self.attention, self.mlp = attention, mlp
        self.decodes = attention == mlp  # new tokens run through whole blocks alone

    def keep(self, block: int, stream: Stream) -> bool | tuple[bool, bool]:
        """All tokens or none."""
        pair = (block not in self.attention, block not in self.mlp)
        return pair[0] if pair[0] == pair[1] else pair

    def skips_new(self, block: int) -> bool:
        """New tokens skip what is not there; halves cannot be decoded."""
        return block in self.attention and block in self.mlp

    def kept(self, blocks: int, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """For the cost model."""
        none, full = [0] * len(lengths), list(lengths)
        return [(none if b in self.attention else full, none if b in self.mlp else full) for b in range(blocks)]


class ShortGPT(Baseline):
    """Deletes the blocks of lowest BI_i = 1 - mean_t cos(x_t^i, x_t^{i+1})."""

    name, source = "shortgpt", "Men et al., arXiv 2403.03853"

    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """The nearest number of blocks to the target, lowest influence first."""
        influence = redundancy(layout, data).influence
        lowest = influence.argsort(stable=True)[: round(target * len(layout.blocks))].tolist()
        self.layout, self.router = layout, Removed(set(lowest), set(lowest))

    def apply(self) -> Executor:
        """The model without them."""
        return Executor(self.layout, self.router)

    def kept(self, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """All tokens, or none."""
        return self.router.kept(len(self.layout.blocks), lengths)
