"""Rivals that learn which tokens to keep from their hidden state, under the same frozen model and the same losses.

In place of Gumbel noise they pass gradients straight through, as the method does, and at inference they keep exactly as
many tokens as the target says, so that all arms take the same operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from tokenprune.baselines._base import Baseline
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.executor._stream import Stream
from tokenprune.models._layout import Layout
from tokenprune.routers._learnt_router import LearntRouter
from tokenprune.routers._schedule import kept_count, uniform
from tokenprune.training._train import Teacher, TrainConfig, Training


class _Gates(nn.Module):
    """For each block and each of its choices a net on the normalised hidden state, one margin a token.

    The last layer starts at zero: all margins tie, and of tied tokens the older are skipped, as by the static rule.
    """

    def __init__(self, blocks: int, width: int, hidden: int, choices: int, generator: torch.Generator) -> None:
        super().__init__()
        inner = hidden or width

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator) * shape[-1] ** -0.5)

        self.into = weight(blocks, choices, hidden, width) if hidden else None
        self.out = nn.Parameter(torch.zeros(blocks, choices, inner))
        self.bias = nn.Parameter(torch.zeros(blocks, choices))

    def forward(self, block: int, x: Tensor) -> Tensor:
        """(T, d) -> (T, choices)."""
        x = x * (x.float().pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
        if self.into is None:
            return x @ self.out[block].T + self.bias[block]
        inner = torch.relu(torch.einsum("td,chd->tch", x, self.into[block]))
        return (inner * self.out[block]).sum(-1) + self.bias[block]


class HiddenRouter(LearntRouter):
    """Margins from the hidden state.

    Args:
        schedule: sparsity of each block.
        net: the gates.
        first: blocks before this one go by the static rule.
        flops: operations of a choice on one token.
    """

    net: _Gates

    def __init__(self, schedule: Sequence[float], net: _Gates, *, first: int = 1, flops: int = 0) -> None:
        super().__init__(schedule, net, window=0)
        self.first, self.flops = first, flops

    def margin(self, block: int, stream: Stream) -> Tensor | tuple[Tensor, Tensor] | None:
        """(B, L), or a pair of these."""
        if block < self.first:
            return None
        margins = stream.padded(self.net(block, stream.x))
        return (margins[..., 0], margins[..., 1]) if margins.shape[-1] == 2 else margins[..., 0]


@dataclass
class HiddenState(Baseline):
    """Linear d -> 1 in each block, the tokens of highest margin kept (as in Mixture-of-Depths).

    Attributes:
        train: of the router.
        schedule: of the blocks; uniform if left out.
        teacher: of the calibration data, if another training has one.
        validation: other sequences, which the best step is chosen on.
    """

    name: ClassVar[str] = "hidden-state"
    source: ClassVar[str] = "Raposo et al., arXiv 2404.02258; arXiv 2412.11494 (its ablation)"
    hidden: ClassVar[int] = 0
    choices: ClassVar[int] = 1
    first: ClassVar[int] = 1
    train: TrainConfig = field(default_factory=lambda: TrainConfig(steps=100))
    schedule: Sequence[float] | None = None
    teacher: Teacher | None = None
    validation: Scored | None = None

    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Train the gates."""
        blocks, width = len(layout.blocks), layout.decoder.embed_tokens.weight.shape[1]
        net = _Gates(blocks, width, self.hidden, self.choices, torch.Generator().manual_seed(seed)).to(layout.device)
        schedule = uniform(target, blocks) if self.schedule is None else self.schedule
        flops = 2 * self.choices * (width * (self.hidden or 1) + self.hidden)
        self.layout, self.router = layout, HiddenRouter(schedule, net, first=self.first, flops=flops)
        training = Training(layout, self.router, data, self.train, seed, self.teacher, self.validation)
        while not training.done:
            training.step()

    def apply(self) -> Executor:
        """The model under its gates."""
        return Executor(self.layout, self.router)

    def kept(self, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """Exactly what the target says."""
        counts = [[kept_count(length, s) for length in lengths] for s in self.router.schedule]
        return [(one, one) for one in counts]


class DLLM(HiddenState):
    """A gate of two layers in each block; the first two blocks are never left to it."""

    name, source = "d-llm", "Jiang et al., D-LLM, NeurIPS 2024 (frozen-model form, without its LoRA)"
    hidden, first = 64, 2


class SkipGPT(HiddenState):
    """Attention and MLP decide apart, each by a linear gate."""

    name, source = "skipgpt", "Zhao et al., arXiv 2506.04179 (frozen-model form)"
    choices = 2
