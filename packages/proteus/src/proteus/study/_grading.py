"""Grades: A passes the error control over the whole run and the sensitivity refits; B its own family; C describes.

Each objective is a family with a Simes p; families pass Benjamini-Hochberg over these; inside a passed family it holds
at q x passed / all families (Benjamini & Bogomolov 2014).
"""

from dataclasses import dataclass

import numpy as np

from proteus.record._objects import Finding, Grade
from proteus.statistics._error_control import control_families, simes

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
    """Run-wide control over all families."""
    found, level = control_families([one.p for one in families], q=alpha)
    verdicts = []
    for one, hit in zip(families, found, strict=True):
        passed, size = bool(hit.any()), int(np.isfinite(one.p).sum())
        rejected = frozenset(map(str, one.rows[hit]))
        verdicts.append(Verdict(one.objective, size, simes(one.p), passed, level if passed else 0.0, rejected))
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
