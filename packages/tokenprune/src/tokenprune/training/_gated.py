"""The forward of router training: every token is computed, and weighed by its gate.

With hard gates its values are those of the gathered forward; gradients pass straight through the hard choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenprune.executor._attention import Attention
from tokenprune.executor._executor import Executor, move
from tokenprune.executor._stream import Stream
from tokenprune.routers._learnt_router import LearntRouter
from tokenprune.routers._schedule import skip_counts, static_keep
from tokenprune.training._losses import straight_through


@dataclass(frozen=True)
class GatedChoice:
    """What a router chose in one block, each (B, L).

    Attributes:
        margin: how much to compute each token.
        by_sign: gates as the sign of the margin gives them, 1 = compute.
        at_inference: gates as inference has them: with an exact budget, the highest margins.
        guide: the static router's gates.
    """

    margin: Tensor
    by_sign: Tensor
    at_inference: Tensor
    guide: Tensor


def gated_step(executor: Executor, stream: Stream, block: int) -> list[GatedChoice]:
    """Run one block under gates, x <- g Block(x) + (1 - g) x, all rows being of one length.

    Returns: the choices that the router made, one or, for attention and MLP apart, two.
    """
    router = executor.router
    assert isinstance(router, LearntRouter)
    router.look(block, stream)
    skips = skip_counts(stream.lengths, router.schedule[block])
    if not any(skips):
        choices, gate, gate_mlp = [], None, None
    else:
        guide = static_keep(stream.protected, stream.real, skips)
        margin = router.margin(block, stream)
        if margin is None:
            choices, gate = [], guide.to(stream.x.dtype)
            gate_mlp = gate
        else:
            both = margin if isinstance(margin, tuple) else (margin,)
            hard = [_open(one, router.hard(one, stream, skips), stream.protected) for one in both]
            choices = [GatedChoice(one, _open(one, one >= 0, stream.protected), gate, guide)
                       for one, gate in zip(both, hard, strict=True)]  # fmt: skip
            gate, gate_mlp = hard[0], hard[-1]
    apart = len(choices) == 2
    _run(executor, stream, block, gate, executor.attention_part if apart else executor.whole)
    if apart:
        _run(executor, stream, block, gate_mlp, executor.mlp_part)
    return choices


def _open(margin: Tensor, hard: Tensor, protected: Tensor) -> Tensor:
    """The straight-through gate, held open on protected tokens."""
    gate = straight_through(margin, hard | protected)
    return torch.where(protected, torch.ones_like(gate), gate)


def _run(executor: Executor, stream: Stream, block: int, gate: Tensor | None, run: Callable[..., Tensor]) -> None:
    shape = (stream.rows, stream.lengths[0])
    router = executor.router
    about = Attention(
        counts=stream.lengths, gate=gate, window=router.queries(block),
        reduction=router.reduction,
    )  # fmt: skip
    x = stream.x.view(*shape, -1)
    cos, sin = stream.cos.view(*shape, -1), stream.sin.view(*shape, -1)
    out = run(block, x, stream.positions.view(shape), cos, sin, about)
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
