"""How the comparisons of claims are counted and written: met, missed, open, of identical arms, retired."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ninefold.report import cell_text
from ninefold_lab import HELD, MISSED, NOT_REPRODUCED, REPRODUCED, Claim, Comparison
from retired import Retired

NOT_RUN, TO_JUDGE = "not run", "to be judged again"
OLDER = "older source"
MOST_ARMS = 60  # in one cell of a table
COLUMNS = ("package", "met", "missed", "open", "identical arms", "retired")


@dataclass(frozen=True)
class Row:
    """A claim beside one of its outcomes, or beside none."""

    claim: Claim
    outcome: Mapping[str, Any] | None = None
    state: str = NOT_RUN
    comparisons: Sequence[Comparison] = ()
    is_older: bool = False
    is_uncommitted: bool = False
    retired: Sequence[tuple[Retired, Comparison]] = ()  # with what came of each

    @property
    def words(self) -> str:
        """How many of its comparisons are met, or why there are none."""
        return str(Counts.of(self.comparisons)) if self.comparisons else self.state


@dataclass(frozen=True)
class Counts:
    """How many comparisons are met, missed and open; `identical` ones are counted apart."""

    met: int = 0
    missed: int = 0
    open: int = 0
    identical: int = 0

    @classmethod
    def of(cls, comparisons: Iterable[Comparison]) -> Counts:
        """Count comparisons."""
        found = [outcome_of(one) for one in comparisons]
        return cls(*(found.count(word) for word in ("met", "missed", "open", "identical arms")))

    def __str__(self) -> str:
        """For example `6 of 9 met, 1 missed, 2 open`."""
        total = self.met + self.missed + self.open
        parts = [f"{self.met} of {total} met"] if total else []
        parts += [f"{number} {word}" for number, word in ((self.missed, "missed"), (self.open, "open")) if number]
        parts += [f"{self.identical} of identical arms"] if self.identical else []
        return ", ".join(parts)


def outcome_of(one: Comparison) -> str:
    """A comparison's verdict in one word; arms with identical scores show nothing, whatever the bar."""
    if one.identical:
        return "identical arms"
    return (
        "met" if one.verdict in (REPRODUCED, HELD) else "missed" if one.verdict in (NOT_REPRODUCED, MISSED) else "open"
    )


def with_spread(mean: float, spread: float) -> str:
    """A mean to the second digit of its standard deviation over seeds."""
    if not math.isfinite(spread) or spread <= 1e-12 * abs(mean):  # seeds differ by rounding
        return cell_text(float(mean))
    digits = max(0, 1 - math.floor(math.log10(spread)))
    return f"{mean:,.{digits}f} ± {spread:,.{digits}f}"


def passed_by(bar: Comparison) -> str:
    """By how much a bar is passed, to the second digit of the interval's width."""
    if not math.isfinite(bar.estimate):
        return f"no seed left ({bar.collapsed} collapsed)"
    width = bar.high - bar.low
    if not math.isfinite(width):
        return f"{bar.estimate:+.3g} ({bar.interval})"
    if width <= 1e-12 * max(1.0, abs(bar.estimate)):  # seeds differ by rounding
        return f"{bar.estimate:+.3g} [every seed]"
    digits = max(0, 1 - math.floor(math.log10(width)))
    collapsed = f", {bar.collapsed} collapsed" if bar.collapsed else ""
    return f"{bar.estimate:+.{digits}f} [{bar.low:+.{digits}f}, {bar.high:+.{digits}f}]{collapsed}"
