"""What all claims of the package share: how a statement is written down, and sizes of a budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ninefold_lab import Budget, Claim, Verdict


def claim(
    name: str, says: str, run: Callable[..., Any], verdict: Verdict, *, source: str = "ours", seeds: int = 10,
    minutes: float = 1,
) -> Claim:  # fmt: skip
    """A claim of this package; `minutes` are one seed's on one core."""
    return Claim(id=f"semcom/{name}", says=says, source=source, run=run, verdict=verdict, quick=Budget(1, 1),
                 full=Budget(seeds, minutes))  # fmt: skip


def sized(budget: Budget, full: int, quick: int) -> int:
    """The number that the form of the budget asks for."""
    return full if budget.form == "full" else quick
