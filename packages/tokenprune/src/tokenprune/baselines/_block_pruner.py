"""BlockPruner: leave out attention and MLP halves one by one, each time the one whose loss costs least perplexity."""

from __future__ import annotations

import torch

from tokenprune._executor import Executor
from tokenprune._layout import Layout
from tokenprune._scored import Scored, nll
from tokenprune._stream import Stream
from tokenprune.baselines._short_gpt import Removed, ShortGPT


class BlockPruner(ShortGPT):
    """Greedy search over halves of blocks until the target share of their operations is gone."""

    name, source = "blockpruner", "Zhong et al., arXiv 2406.10594"

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
        total, gone = sum(worth.values()), set()
        while True:
            left = total * target - sum(worth[one] for one in gone)
            fitting = [one for one in halves if one not in gone and worth[one] <= left * 1.5]
            if left <= 0 or not fitting:
                break
            states = self._states(executor, data, gone)
            losses = [self._loss(executor, data, states[one[1]], gone | {one}, one[1]) for one in fitting]
            best = fitting[losses.index(min(losses))]
            if worth[best] - left > left:  # the target is nearer without it
                break
            gone.add(best)
        self.layout, self.router = layout, _removed(gone)

    def _states(self, executor: Executor, data: Scored, gone: set[tuple[str, int]]) -> list[Stream]:
        executor.router = _removed(gone)
        stream, states = data.start(executor), []
        for block in range(executor.blocks):
            states.append(stream.snapshot())
            executor.step(stream, block)
        return states

    def _loss(self, executor: Executor, data: Scored, state: Stream, gone: set[tuple[str, int]], block: int) -> float:
        executor.router = _removed(gone)
        stream = state.snapshot()
        for at in range(block, executor.blocks):
            executor.step(stream, at)
        return float(nll(data.logits(executor, stream), data.targets).mean())


def _removed(gone: set[tuple[str, int]]) -> Removed:
    return Removed({b for half, b in gone if half == "attention"}, {b for half, b in gone if half == "mlp"})
