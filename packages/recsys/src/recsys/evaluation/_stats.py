"""How sure a difference is: paired bootstrap over users, randomisation test, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_CELLS = 4_000_000  # random numbers held at a time


def bootstrap_interval(
    values: np.ndarray, *, draws: int = 2000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of `values` (n,), one of each user, under resampling with replacement.

    For a paired comparison pass the differences; where a user has several values, what `by_group` makes of them.
    """
    generator = np.random.default_rng(seed)
    n = len(values)
    block = max(1, _CELLS // n)
    means = [
        values[generator.integers(0, n, (min(block, draws - start), n))].mean(axis=1)
        for start in range(0, draws, block)
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """One value for each group, float64 (groups,), whose mean is that of `values` and whose spread is the mean's own.

    Values of one user hang together, so that whole users must be resampled. Their number differs from user to user: the
    mean is a ratio of sums, here made linear (delta method): mean + (sum_g - n_g mean) G / n.

    Args:
        values: (n,).
        groups: group of each value, int (n,), any numbers.
    """
    _, code, size = np.unique(groups, return_inverse=True, return_counts=True)
    mean = float(np.mean(values))
    return mean + (np.bincount(code, weights=values) - size * mean) * (len(size) / len(values))


def randomisation_test(differences: np.ndarray, *, draws: int = 5000, seed: int = 0) -> float:
    """Two-sided p that a mean at least this far from 0 arises if each user's sign were chance (Fisher's test).

    Args:
        differences: of two models on the same users, (n,).
    """
    changed = differences[differences != 0].astype(np.float64)
    n = len(changed)
    if n == 0:
        return 1.0
    generator = np.random.default_rng(seed)
    observed, extreme = abs(changed.sum()), 0
    block = max(1, _CELLS // n)
    for start in range(0, draws, block):
        signs = generator.integers(0, 2, (min(block, draws - start), n), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ changed) >= observed * (1 - 1e-12)).sum())
    return (extreme + 1) / (draws + 1)


def holm(p: Sequence[float]) -> np.ndarray:
    """P values corrected for testing several hypotheses (Holm 1979), in the given order, float64 (n,)."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
