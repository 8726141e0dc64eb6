"""SliceGPT: rotate the stream to its principal directions before each half of a block, and drop the smallest."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from tokenprune.baselines._base import Baseline
from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Router
from tokenprune.executor._scored import Scored
from tokenprune.models._layout import Layout


@dataclass(frozen=True)
class _SlicedLayout(Layout):
    """A layout whose stream is narrower: it enters and leaves through rotated matrices."""

    enter: Tensor
    leave: Tensor
    full_width: int

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids -> narrow stream."""
        return super().embed(ids) @ self.enter

    def logits(self, stream: Tensor) -> Tensor:
        """Narrow stream -> logits."""
        return _normed(stream, self.full_width, self.eps) @ self.leave.T

    @property
    def eps(self) -> float:
        """Of the model's norms."""
        return float(getattr(self.decoder.norm, "variance_epsilon", getattr(self.decoder.norm, "eps", 1e-6)))


def _normed(x: Tensor, width: int, eps: float) -> Tensor:
    """Root-mean-square norm over what was a stream of `width`, without weights: they are folded into the matrices."""
    return x * (x.pow(2).sum(-1, keepdim=True) / width + eps).rsqrt()


class _SlicedBlock(nn.Module):
    """One block on narrow streams; each half's way around it carries the change of basis."""

    def __init__(self, attention: Any, mlp: Any, width: int, eps: float) -> None:
        super().__init__()
        self.self_attn, self.mlp, self.width, self.eps = attention, mlp, width, eps

    def forward(self, x: Tensor, **others: Any) -> Tensor:
        out, _ = self.self_attn(hidden_states=_normed(x, self.width, self.eps), **others)
        x = x @ self.self_attn.around + out
        return x @ self.mlp.around + self.mlp(_normed(x, self.width, self.eps))


class SliceGPT(Baseline):
    """Keeps so many directions that a token takes the target's share of operations less.

    The directions are those of the dense model's normalised states on the calibration data.
    """

    name, source = "slicegpt", "Ashkboos et al., arXiv 2401.15024"
    layout: Layout

    @torch.no_grad()
    def fit(self, layout: Layout, data: Scored, target: float, seed: int = 0) -> None:
        """Find the directions, rotate and cut copies of the matrices."""
        executor = Executor(layout)
        width = layout.decoder.embed_tokens.weight.shape[1]
        weights = sum(executor.costs.attention + executor.costs.mlp) / executor.blocks
        left = (1 - target) * weights
        narrow = next((n for n in range(width, 0, -1) if weights * n / width + 2 * n * n <= left), 1)
        self.layout = layout
        if target == 0:
            return
        bases = _bases(executor, data, narrow)
        blocks = []
        for number, block in enumerate(layout.blocks):
            here, middle, after = bases[2 * number : 2 * number + 3]
            attention, mlp = copy.deepcopy(block.self_attn), copy.deepcopy(block.mlp)
            _rotate(attention, "o_proj", block.input_layernorm, here, middle)
            _rotate(mlp, "down_proj", block.post_attention_layernorm, middle, after)
            eps = getattr(block.input_layernorm, "variance_epsilon", getattr(block.input_layernorm, "eps", 1e-6))
            blocks.append(_SlicedBlock(attention, mlp, width, float(eps)))
        head = layout.model.get_output_embeddings().weight * _gain(layout.decoder.norm, width)
        same: dict[str, Any] = {one.name: getattr(layout, one.name) for one in fields(Layout)}
        same["blocks"] = tuple(blocks)
        self.layout = _SlicedLayout(**same, enter=bases[0], leave=head @ bases[-1], full_width=width)

    def apply(self) -> Executor:
        """The narrower model."""
        return Executor(self.layout)

    def kept(self, lengths: Sequence[int]) -> list[tuple[list[int], list[int]]]:
        """All tokens in all blocks."""
        return [(list(lengths), list(lengths))] * len(self.layout.blocks)


def _bases(executor: Executor, data: Scored, narrow: int) -> list[Tensor]:
    """(d, narrow) leading directions before each half of each block, and after the last."""
    stream = data.start(executor)
    states = []
    for block in range(executor.blocks):
        twin = stream.snapshot()
        keep, executor.router = executor.router, _AttentionAlone()
        executor.step(twin, block)
        executor.router = keep
        states += [stream.x, twin.x]
        executor.step(stream, block)
    states.append(stream.x)
    bases = []
    for x in states:
        normed = _normed(x.double(), x.shape[-1], 1e-6)
        values, vectors = torch.linalg.eigh(normed.T @ normed)
        bases.append(vectors[:, values.argsort(descending=True)[:narrow]].to(x.dtype))
    return bases


class _AttentionAlone(Router):
    def keep(self, block: int, stream: Any) -> tuple[bool, bool]:
        return True, False


def _gain(norm: Any, width: int) -> Tensor:
    """(d,) what a norm multiplies by, however it stores that."""
    weight = next(norm.parameters())
    return norm(torch.ones(width, dtype=weight.dtype, device=weight.device))


def _rotate(part: Any, outward: str, norm: Any, before: Tensor, after: Tensor) -> None:
    """Fold the norm and the bases into a half's matrices, in place, and store the way around it."""
    gain = _gain(norm, before.shape[0])
    for name, linear in part.named_children():
        if not isinstance(linear, nn.Linear):
            continue
        if name == outward:
            linear.weight = nn.Parameter(after.T @ linear.weight, requires_grad=False)
            if linear.bias is not None:
                linear.bias = nn.Parameter(after.T @ linear.bias, requires_grad=False)
        else:
            linear.weight = nn.Parameter((linear.weight * gain) @ before, requires_grad=False)
    part.around = nn.Parameter(before.T @ after, requires_grad=False)
