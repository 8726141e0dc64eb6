"""Rivals that put fewer blocks in the place of several: LLM-Streamline and LaCo. They work on copies of the blocks."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokenprune.baselines._base import Baseline
from tokenprune.executor._attention import Attention
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout


class _Fewer(Baseline):
    layout: Layout

    def apply(self) -> Executor:
        """The model of fewer blocks."""
        return Executor(self.layout)

    def kept(self, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """All tokens in all blocks that are left."""
        return [(list(lengths), list(lengths))] * len(self.layout.blocks)


def _states(layout: Layout, data: Scored) -> list[Tensor]:
    """The stream before each block, and after the last."""
    executor = Executor(layout)
    stream = data.start(executor)
    states = [stream.x]
    for block in range(executor.blocks):
        executor.step(stream, block)
        states.append(stream.x)
    return states


class Streamline(_Fewer):
    """The contiguous blocks whose input and output are most alike are replaced by one block, trained to give the same.

    The new block starts as a copy of the first it replaces, and learns by mean squared error.
    """

    name, source = "llm-streamline", "Chen et al., arXiv 2403.19135"
    steps, lr = 60, 3e-4

    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Choose the blocks, then train."""
        count = len(layout.blocks)
        gone = min(round(target * count) + 1, count)  # one comes back
        if gone <= 1:
            self.layout = layout
            return
        with torch.no_grad():
            states = _states(layout, data)
            alike = [F.cosine_similarity(states[i], states[i + gone], dim=-1).mean() for i in range(count - gone + 1)]
            start = int(torch.stack(alike).argmax())
        block = copy.deepcopy(layout.blocks[start]).requires_grad_(True)
        left, right = layout.blocks[:start], layout.blocks[start + gone :]
        self.layout = dataclasses.replace(layout, blocks=(*left, block, *right))
        self._train(data, start, states[start], states[start + gone], block, seed)
        block.requires_grad_(False)

    def _train(self, data: Scored, start: int, before: Tensor, after: Tensor, block: nn.Module, seed: int) -> None:
        executor = Executor(self.layout)
        optimizer = torch.optim.AdamW(block.parameters(), lr=self.lr, weight_decay=0.0)
        stream, ends = data.start(executor), torch.tensor([0] + [len(one) - 1 for one in data.sequences]).cumsum(0)
        generator = torch.Generator().manual_seed(seed)
        for step in range(self.steps):
            row = int(torch.randint(len(data), (1,), generator=generator))
            part = slice(int(ends[row]), int(ends[row + 1]))
            out = _block(executor, start, before, stream, part)
            loss = F.mse_loss(out, after[part]) / after[part].var()
            for group in optimizer.param_groups:
                group["lr"] = self.lr * min(1.0, 2 * (1 - step / self.steps))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(block.parameters(), 1.0)
            optimizer.step()


def _block(executor: Executor, block: int, x: Tensor, stream: Stream, part: slice) -> Tensor:
    count = part.stop - part.start
    x, positions = x[part][None], stream.positions[part][None]
    cos, sin = stream.cos[part][None], stream.sin[part][None]
    return executor.whole(block, x, positions, cos, sin, Attention(counts=[count]))[0]


class LaCo(_Fewer):
    """Folds runs of blocks into their first, theta_l + sum_k (theta_{l+k} - theta_l), if the final state stays close.

    From the top down, `fold` blocks at a time, so long as the mean cosine of the final states to the original ones
    stays above tau; tau is lowered until the target number of blocks is gone.
    """

    name, source = "laco", "Yang et al., arXiv 2402.11187"
    fold = 3

    @torch.no_grad()
    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Fold until enough blocks are gone."""
        wanted, final = round(target * len(layout.blocks)), _states(layout, data)[-1]
        current, gone, tau = layout, 0, 0.95
        place = len(layout.blocks) - 2
        while gone < wanted:
            if place < 1:
                tau, place = tau - 0.1, len(current.blocks) - 2
            more = min(self.fold, wanted - gone, len(current.blocks) - 1 - place)
            merged = _folded(current, place, more)
            if more >= 1 and float(F.cosine_similarity(_states(merged, data)[-1], final, dim=-1).mean()) > tau:
                current, gone = merged, gone + more
                place = min(place - 1, len(current.blocks) - 2)
            else:
                place -= 1
        self.layout = current


def _folded(layout: Layout, at: int, more: int) -> Layout:
    """Blocks at + 1 .. at + more folded into block `at`."""
    block = copy.deepcopy(layout.blocks[at])
    others = [dict(one.named_parameters()) for one in layout.blocks[at + 1 : at + 1 + more]]
    for name, weight in block.named_parameters():
        own = weight.detach().clone()
        for other in others:
            weight += other[name] - own
    return dataclasses.replace(layout, blocks=(*layout.blocks[:at], block, *layout.blocks[at + 1 + more :]))
