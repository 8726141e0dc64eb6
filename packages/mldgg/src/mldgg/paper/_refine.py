"""Refinement: structure from embeddings, embeddings from structure, until the structure stands still."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

TOLERANCE = 8.5e-5  # of the squared relative change of B
_BLOCK = 8192  # rows


def refine(
    first: Tensor, learn: Callable[[Tensor], Tensor], encode: Callable[[Tensor, Tensor], Tensor], rounds: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Run the loop until |B_t - B_(t-1)|^2 / |B_t|^2 is at most 8.5e-5.

    Args:
        first: (N, d) embedding that the first structure is taken from.
        learn: embedding -> B.
        encode: (B_t, B_0) -> r_t.
        rounds: T, refinements after the first structure.
    Returns: structures B_0, B_1, ... (N, P), and embeddings r_0, r_1, ... (N, d), the last being the result.
    """
    start = learn(first)
    structures, embeddings = [start], [encode(start, start)]
    for number in range(rounds):
        now, before = learn(embeddings[-1]), structures[-1]
        structures.append(now)
        embeddings.append(encode(now, start))
        if number + 1 < rounds and _change(now.detach(), before.detach()) <= TOLERANCE:
            break
    return structures, embeddings


def _change(now: Tensor, before: Tensor) -> float:
    """|now - before|^2 / |now|^2, row by row in blocks: no third matrix of that size."""
    moved, size = 0.0, 1e-12
    for one, other in zip(now.split(_BLOCK), before.split(_BLOCK), strict=True):
        moved += float((one - other).square().sum())
        size += float(one.square().sum())
    return moved / size
