"""Grades: A passes the error control over the whole run and the sensitivity refits; B its own family; C describes.

Each objective is a family with a Simes p; families pass LORD++ in the order they were opened; inside a passed family
Benjamini-Hochberg holds at q x passed / all families (Benjamini & Bogomolov 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proteus.record._objects import Finding, Grade
from proteus.statistics._error_control import benjamini_hochberg, lord_plus_plus, simes

ALPHA = 0.05


@dataclass(frozen=True)
class Family:
    """The p-values of one objective.

    Attributes:
        objective: its id.
        rows: (m,) `<artifact>#<row>`, as ids of findings are.
        p: (m,), NaN where not tested.
    """

    objective: str
    rows: np.ndarray
    p: np.ndarray


@dataclass(frozen=True)
class Verdict:
    """A family after the run-wide control: its size, Simes p, whether it passed, the level inside, what is rejected."""

    objective: str
    size: int
    simes: float
    passed: bool
    level: float
    rejected: frozenset[str]


def judge(families: list[Family], *, alpha: float = ALPHA) -> list[Verdict]:
    """Run-wide control over families in the order given."""
    values = [simes(one.p) for one in families]
    passed = lord_plus_plus(values, alpha=alpha) if values else np.zeros(0, bool)
    level = alpha * float(passed.sum()) / max(len(families), 1)
    verdicts = []
    for one, value, keep in zip(families, values, passed, strict=True):
        q = np.nan_to_num(benjamini_hochberg(one.p), nan=1.0)
        rejected = frozenset(map(str, one.rows[q <= level])) if keep else frozenset()
        size = int(np.isfinite(one.p).sum())
        verdicts.append(Verdict(one.objective, size, value, bool(keep), level if keep else 0.0, rejected))
    return verdicts


def grade(finding: Finding, rejected: frozenset[str], families: frozenset[str], *, alpha: float = ALPHA) -> Grade:
    """Grade of one finding.

    Args:
        finding: with its family's q.
        rejected: ids of rows that the run-wide control rejects.
        families: objectives that have a family; findings of others describe.
    """
    if finding.descriptive or finding.q is None or finding.q > alpha or finding.objective not in families:
        return "C"
    return "A" if finding.id in rejected and finding.stable is True else "B"
