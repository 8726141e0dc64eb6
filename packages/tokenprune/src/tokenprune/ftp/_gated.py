"""The forward of router training: every token is computed, and weighed by its gate.

With hard gates its values are those of the gathered forward; gradients pass straight through the hard choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenprune.executor._attention import Attention
from tokenprune.executor._executor import Executor
from tokenprune.executor._stream import Stream, move
from tokenprune.ftp._dynamic_router import DynamicRouter
from tokenprune.ftp._losses import straight_through
from tokenprune.routers._schedule import lowest_skipped, skip_counts, static_keep


@dataclass(frozen=True)
class GatedChoice:
    """What a router chose in one block, each (B, L).

    Attributes:
        margin: how much to compute each token.
        by_sign: gates as the sign of the margin gives them, 1 = compute.
        guide: the static router's gates.
    """

    margin: Tensor
    by_sign: Tensor
    guide: Tensor


def gated_step(executor: Executor, stream: Stream, block: int) -> GatedChoice | None:
    """Run one block under gates, x <- g Block(x) + (1 - g) x, all rows being of one length.

    Returns: what the router chose; None where it had no choice.
    """
    router = executor.router
    assert isinstance(router, DynamicRouter)
    skips = skip_counts(stream.lengths, router.schedule[block])
    if not any(skips):
        _run(executor, stream, block, None)
        return None
    guide, margin = static_keep(stream.protected, stream.real, skips), router.margin(block, stream)
    if margin is None:
        _run(executor, stream, block, guide.to(stream.x.dtype))
        return None
    hard = lowest_skipped(margin, stream.protected, stream.real, skips)
    _run(executor, stream, block, _open(margin, hard, stream.protected))
    return GatedChoice(margin, _open(margin, margin >= 0, stream.protected), guide)


def _open(margin: Tensor, hard: Tensor, protected: Tensor) -> Tensor:
    """The straight-through gate, held open on protected tokens."""
    gate = straight_through(margin, hard | protected)
    return torch.where(protected, torch.ones_like(gate), gate)


def _run(executor: Executor, stream: Stream, block: int, gate: Tensor | None) -> None:
    shape = (stream.rows, stream.lengths[0])
    router = executor.router
    about = Attention(counts=stream.lengths, gate=gate, window=router.queries(block), reduction=router.reduction)
    x = stream.x.view(*shape, -1)
    cos, sin = stream.cos.view(*shape, -1), stream.sin.view(*shape, -1)
    out = executor.whole(block, x, stream.positions.view(shape), cos, sin, about)
    if out.device != x.device:  # a model spread over devices: the stream follows the blocks
        move(stream, out.device)
        x, gate = x.to(out.device), gate if gate is None else gate.to(out.device)
    mixed = out if gate is None else torch.where(gate.detach()[..., None] > 0, out, x)
    if gate is not None and gate.requires_grad:
        mixed = mixed + (gate - gate.detach())[..., None].to(out.dtype) * (out - x)
    stream.x = mixed.flatten(0, 1)
    if about.scores is not None:
        scores = about.scores if gate is None else about.scores.masked_fill(gate.detach() <= 0, float("nan"))
        stream.note_scores(scores, lasting=router.lasts(block))
