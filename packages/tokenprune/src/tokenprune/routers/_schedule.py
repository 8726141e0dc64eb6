"""Schedules: one sparsity for each block, and how many tokens of a row that skips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

HIGHEST = 0.95


def checked_target(value: float) -> float:
    """A model sparsity in [0, 0.95]; InputError else."""
    if not (_is_number(value) and 0 <= value <= HIGHEST):
        raise InputError("target_sparsity", got=repr(value), expected=f"a share of tokens in [0, {HIGHEST}]")
    return float(value)


def checked_schedule(schedule: Sequence[float], blocks: int) -> tuple[float, ...]:
    """A schedule for so many blocks, each in [0, 1); InputError names what is wrong and in which block."""
    if isinstance(schedule, str) or len(schedule) != blocks:
        got = repr(schedule) if isinstance(schedule, str) else f"{len(schedule)} entries"
        raise InputError("schedule", got=got, expected=f"one for each of the {blocks} blocks")
    for block, value in enumerate(schedule):
        if not (_is_number(value) and 0 <= value < 1):
            raise InputError("schedule", where=f"block {block}", got=repr(value), expected="a share in [0, 1)")
    return tuple(float(one) for one in schedule)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def uniform(target: float, blocks: int) -> tuple[float, ...]:
    """The same sparsity in each block."""
    return (checked_target(target),) * blocks


DENSE, LAST, STEEPER = 0.25, 1 / 6, 7 / 3  # of `dense_first`: at a target of .3 the last blocks skip .7


SPARSE, SOON = 0.45, 0.1  # above this target so few blocks are dense, and the others skip alike
LONG, LONG_TO = 3000, 2 / 3  # but `DENSE` of them for prompts of more tokens, up to this target


def dense_first(target: float, blocks: int, *, long: bool = False) -> tuple[float, ...]:
    """A schedule for routers that choose by attention: the first quarter dense, then even, the last sixth sparser.

    At a target of 0.3 and 30 blocks: eight dense, seventeen of .324, five of .7. Above `SPARSE` the first tenth is
    dense and all others skip alike: what is left for them is too little where a quarter reads all. Heads that find what
    stands 4,000 tokens back are in later blocks: up to `LONG_TO` the first quarter is dense for prompts of that length.
    Dense blocks become fewer where the others cannot hold the target.

    Args:
        target: mean sparsity.
        blocks: how many.
        long: for prompts of more than `LONG` tokens.
    """
    target = checked_target(target)
    if target > SPARSE:
        share = DENSE if long and target <= LONG_TO else SOON
        dense = min(max(1, round(share * blocks)), int(blocks * (1 - target / HIGHEST) + 1e-9))
        return (0.0,) * dense + (target * blocks / (blocks - dense),) * (blocks - dense)
    dense, last = round(DENSE * blocks), min(round(LAST * blocks), max(0, blocks - 2))
    high = min(HIGHEST, STEEPER * target)
    while dense and (target * blocks - last * high) / (blocks - dense - last) > high:
        dense -= 1
    middle = (target * blocks - last * high) / (blocks - dense - last)
    return tuple([0.0] * dense + [middle] * (blocks - dense - last) + [high] * last)


def kept_count(length: int, sparsity: float) -> int:
    """k = max(2, L - floor(s L + 1e-9)), at most L."""
    return min(length, max(2, length - math.floor(sparsity * length + 1e-9)))


def skip_counts(lengths: Sequence[int], sparsity: float) -> list[int]:
    """How many tokens of each row a block of this sparsity skips."""
    return [length - kept_count(length, sparsity) for length in lengths]


def static_keep(protected: Tensor, real: Tensor, skips: Sequence[int]) -> Tensor:
    """The static router's rule: first token, then most recent first; so the oldest unprotected tokens go.

    Args:
        protected, real: (B, L).
        skips: how many tokens of each row to skip; fewer if no more are unprotected.
    Returns: (B, L) kept tokens.
    """
    free = real & ~protected
    skip = torch.tensor(skips, device=real.device)[:, None]
    return real & ~(free & (free.cumsum(1) <= skip))


def lowest_skipped(margin: Tensor, protected: Tensor, real: Tensor, skips: Sequence[int]) -> Tensor:
    """Skip the unprotected tokens of lowest margin, older ones first where margins tie: the exact budget.

    Args:
        margin: (B, L) how much a router wants to compute a token.
        protected, real, skips: as in `static_keep`.
    Returns: (B, L) kept tokens.
    """
    free = real & ~protected
    order = margin.masked_fill(~free, float("inf")).sort(dim=1, stable=True).indices
    place = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    return real & ~(free & (place < torch.tensor(skips, device=real.device)[:, None]))


def project(genes: np.ndarray, target: float, *, step: float = 0.05, highest: float = HIGHEST) -> np.ndarray:
    """The nearest schedule on the grid whose mean is the target, exactly (one block may leave the grid for it).

    Units of `step` are taken from or given to the blocks that rounding moved furthest the other way: of equal ones
    taken from the first, given to the last; what remains below one unit goes to the last with space left. A token that
    an early block lacks and a later one has again costs more than its absence.

    Args:
        genes: (N,) wished sparsities.
        target: mean to meet.
        step: grid.
        highest: most any block may have.
    Returns: (N,) sparsities in [0, highest].
    Raises:
        InputError: if the target is above `highest`.
    """
    if target > highest + 1e-9:
        raise InputError(
            "target_sparsity", got=target, expected=f"at most {highest:.3g}, what the protected tokens leave"
        )
    count = len(genes)
    top = int(highest / step + 1e-9)
    wish = np.clip(np.nan_to_num(genes), 0, highest) / step
    units = np.clip(np.round(wish), 0, top).astype(int)
    total = target * count / step
    whole = min(int(total + 1e-6), top * count)
    while units.sum() != whole:
        sign = 1 if units.sum() < whole else -1
        room = units < top if sign > 0 else units > 0
        gap = np.where(room, sign * (wish - units), -np.inf)
        units[int(gap.argmax()) if sign < 0 else count - 1 - int(gap[::-1].argmax())] += sign
    result = units * step
    rest = target * count - result.sum()
    for block in reversed(range(count)):
        if rest <= 1e-12:
            break
        more = min(rest, highest - result[block])
        result[block] += more
        rest -= more
    return result
