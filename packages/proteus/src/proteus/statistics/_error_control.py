"""Error control: Benjamini-Hochberg, Simes, and both in two levels over families (Benjamini & Bogomolov 2014)."""

from collections.abc import Sequence

import numpy as np
from ninefold.errors import InputError
from scipy import stats


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values of the step-up procedure; NaN stays NaN and does not count.

    Examples:
        >>> import numpy as np
        >>> from proteus import benjamini_hochberg
        >>> benjamini_hochberg(np.array([0.01, 0.02, np.nan, 0.5])).tolist()
        [0.03, 0.03, nan, 0.5]
    """
    p = np.asarray(p, float)
    known = ~np.isnan(p)
    q = np.full(p.shape, np.nan)
    if known.any():
        if p[known].min() < 0 or p[known].max() > 1:
            raise InputError("p-values", got=f"{p[known].min():.3g} to {p[known].max():.3g}", expected="0 to 1")
        q[known] = stats.false_discovery_control(p[known])
    return q


def simes(p: np.ndarray) -> float:
    """One p-value for "no effect in the whole family": min over i of m p_(i) / i (Simes 1986)."""
    ordered = np.sort(np.asarray(p, float)[~np.isnan(p)])
    if ordered.size == 0:
        return 1.0
    return float(min(1.0, (ordered * ordered.size / np.arange(1, ordered.size + 1)).min()))


def control_families(families: Sequence[np.ndarray], *, q: float = 0.05) -> tuple[list[np.ndarray], float]:
    """Run-wide control: Benjamini-Hochberg over the families' Simes p, then inside the R of m that pass, at q R / m.

    Benjamini & Bogomolov 2014: the expected share of false rejections, averaged over the families that pass, is q at
    most. The order of families does not matter.

    Args:
        families: p-values of each family.
        q: bar, over families and inside them.
    Returns:
        For each family a bool array of its rejections (none where it does not pass), and the level inside.

    Examples:
        >>> import numpy as np
        >>> from proteus import control_families
        >>> found, level = control_families([np.array([0.001, 0.9]), np.array([0.6, 0.7])])
        >>> [one.tolist() for one in found], level
        ([[True, False], [False, False]], 0.025)
    """
    if not families:
        return [], 0.0
    passed = benjamini_hochberg(np.array([simes(family) for family in families])) <= q
    level = q * float(passed.mean())
    return [
        (np.nan_to_num(benjamini_hochberg(family), nan=1.0) <= level) & keep
        for family, keep in zip(families, passed, strict=True)
    ], level
