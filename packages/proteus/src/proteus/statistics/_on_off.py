"""Proteins that one group has and the other has not: filled at the detection limit, flagged, tested with the rest."""

from __future__ import annotations

import numpy as np

from proteus.statistics._laws import spearman

_QUANTILE, _SD, _REPLICATES = 0.01, 0.3, 3


def missing_falls_with_intensity(values: np.ndarray) -> float:
    """Spearman correlation of each feature's share of missing values with its mean log2 intensity.

    Values below -0.2 mean that weak features are missing more often: missing is information, not chance.
    NaN if nothing is missing.
    """
    seen = ~np.isnan(values)
    share = 1 - seen.mean(1)
    some = seen.any(1)
    if not (share[some] > 0).any():
        return float("nan")
    mean = np.where(seen, values, 0).sum(1)[some] / seen.sum(1)[some]
    return spearman(share[some], mean)


def on_off(
    values: np.ndarray, first: np.ndarray, second: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Fill features that are complete in one group and have at most one value in the other.

    Args:
        values: (P, N) log2 values.
        first, second: (N,) bool, the groups; each needs three replicates, else nothing is filled.
        generator: draws the fills: normal around each run's 1 % quantile, sd 0.3.
    Returns:
        A copy of `values` with fills, and (P,) +1 on in `first`, -1 on in `second`, 0 untouched.
    """
    filled, flag = values.copy(), np.zeros(len(values), int)
    if min(first.sum(), second.sum()) < _REPLICATES:
        return filled, flag
    floor = np.nanquantile(values, _QUANTILE, axis=0)
    for sign, on, off in ((1, first, second), (-1, second, first)):
        seen_on, seen_off = ~np.isnan(values[:, on]), ~np.isnan(values[:, off])
        rows = seen_on.all(1) & (seen_off.sum(1) <= 1)
        flag[rows] = sign
        block = filled[np.ix_(rows, off)]
        draw = floor[off] + _SD * generator.standard_normal(block.shape)
        filled[np.ix_(rows, off)] = np.where(np.isnan(block), draw, block)
    return filled, flag
