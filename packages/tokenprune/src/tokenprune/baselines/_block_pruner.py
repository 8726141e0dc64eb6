"""BlockPruner: leave out attention and MLP halves one by one, each time the one whose loss costs least perplexity."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from tokenprune.baselines._short_gpt import Removed, ShortGPT
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored, nll
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout

Half = tuple[str, int]  # "attention" or "mlp", of which block


class BlockPruner(ShortGPT):
    """Greedy search over halves of blocks until the target share of their operations is gone.

    Args:
        gone: go on from here; what an earlier search to a lower target left out, in its order.
        candidates: after the first round try so many halves alone, those that cost least in it; all if left out.

    Attributes:
        gone: once fitted, the halves left out, in the order of the search.
    """

    name, source = "blockpruner", "Zhong et al., arXiv 2406.10594"

    def __init__(self, gone: Sequence[Half] = (), candidates: int | None = None) -> None:
        self.gone, self.candidates = list(gone), candidates

    @torch.no_grad()
    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Each round tries every half that is left, from the states before its block."""
        executor = Executor(layout)
        costs, length = executor.costs, max(len(one) for one in data.sequences) - 1
        halves = [(half, block) for block in range(executor.blocks) for half in ("attention", "mlp")]
        worth = {
            (half, block): (costs.attention_flops if half == "attention" else costs.mlp_flops)(block, length)
            for half, block in halves
        }
        total, tried = sum(worth.values()), halves
        while True:
            left = total * target - sum(worth[one] for one in self.gone)
            fitting = [one for one in tried if one not in self.gone and worth[one] <= left * 1.5]
            if left <= 0 or not fitting:
                break
            states = self._states(executor, data, self.gone)
            losses = [self._loss(executor, data, states[one[1]], [*self.gone, one], one[1]) for one in fitting]
            order = sorted(range(len(fitting)), key=losses.__getitem__)
            if tried is halves and self.candidates is not None:
                tried = [fitting[at] for at in order[: self.candidates]]
            best = fitting[order[0]]
            if worth[best] - left > left:  # the target is nearer without it
                break
            self.gone.append(best)
        self.layout, self.router = layout, _removed(self.gone)

    def _states(self, executor: Executor, data: Scored, gone: Collection[Half]) -> list[Stream]:
        executor.router = _removed(gone)
        stream, states = data.start(executor), []
        for block in range(executor.blocks):
            states.append(stream.snapshot())
            executor.step(stream, block)
        return states

    def _loss(self, executor: Executor, data: Scored, state: Stream, gone: Collection[Half], block: int) -> float:
        executor.router = _removed(gone)
        stream = state.snapshot()
        for at in range(block, executor.blocks):
            executor.step(stream, at)
        return float(nll(data.logits(executor, stream), data.targets).mean())


def _removed(gone: Collection[Half]) -> Removed:
    return Removed({b for half, b in gone if half == "attention"}, {b for half, b in gone if half == "mlp"})
