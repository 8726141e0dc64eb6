"""The 95 % confidence interval of a mean gain over random seeds and, where there are any, test items.

The model is gain[seed, item] = mean + seed effect + item effect + rest, all random and independent. The items are the
same for every seed (crossed), or each seed draws its own (nested: the item effect is zero, and is estimated as such).
The spread of the seeds' means, of the items' means and of the rest estimate the variance of the overall mean, as
A + B - E. The quantile for such a sum lies half way between two classical answers: Satterthwaite's, which covers too
seldom at 3 seeds, and Cochran and Cox's, which covers too often. The side of the longer tail is lengthened by Johnson's
term for skewness. `shared/tests/test_interval.py` simulates how often the interval covers the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# Fisher's series in 1 / freedom; its last two terms make it exact at 1 and 2 degrees of freedom
_T_SERIES = (1.959964, 2.372271, 2.822499, 2.55585, 1.589534, 0.648402, 0.757686)
_Estimate = tuple[np.ndarray, np.ndarray]  # a variance and its degrees of freedom


def t_quantile(freedom: np.ndarray | float) -> np.ndarray:
    """The 97.5 % quantile of Student's t with `freedom` >= 1 degrees of freedom, whole or not, to 0.1 %.

    Examples:
        >>> from ninefold.interval import t_quantile

        >>> round(float(t_quantile(9)), 3)
        2.262
    """
    return np.polynomial.polynomial.polyval(1 / np.asarray(freedom, dtype=np.float64), _T_SERIES)


def mean_interval(groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean gain and its 95 % interval.

    Args:
        groups: for each group of items the gains, shape (..., seeds, items); the groups' means are averaged. All have
            the same seeds, and the same leading axes: independent data sets.
    Returns:
        (estimate, low, high), each of the leading shape; infinite bounds where one seed and one item are all there is.

    Examples:
        >>> import numpy as np
        >>> from ninefold.interval import mean_interval

        >>> gains = np.array([[0.8, 1.1, 0.9], [1.2, 0.7, 1.0], [0.9, 1.3, 1.1]])  # seeds by items
        >>> mean, low, high = mean_interval([gains])
        >>> round(float(mean), 2), round(float(low), 2), round(float(high), 2)
        (1.0, 0.92, 1.11)
    """
    count, seeds = len(groups), groups[0].shape[-2]
    by_seed = np.mean([group.mean(axis=-1) for group in groups], axis=0)
    estimate = by_seed.mean(axis=-1)
    with_items = [group / count for group in groups if group.shape[-1] > 1]
    by_item = [group.mean(axis=-2) for group in with_items]
    items = _pooled([(_variance_of_mean(means), means.shape[-1] - 1) for means in by_item], estimate)
    third = sum((_third_moment_of_mean(means) for means in by_item), np.zeros_like(estimate))
    if seeds > 1:
        seed_variance = _variance_of_mean(by_seed)
        rest = _pooled([_rest(group) for group in with_items], estimate)
        variance, quantile = _combined((seed_variance, np.full_like(estimate, seeds - 1)), items, rest)
        third, scale = third + _third_moment_of_mean(by_seed), seed_variance + items[0]
    elif by_item:
        variance, quantile, scale = items[0], t_quantile(items[1]), items[0]
    else:
        return estimate, np.full_like(estimate, -np.inf), np.full_like(estimate, np.inf)
    spread = np.sqrt(variance)
    skewness = _ratio(third, scale**1.5) * (scale > 0)
    longer = 1 + np.abs(skewness) * (2 * quantile**2 + 1) / (6 * quantile)
    low = estimate - quantile * spread * np.where(skewness < 0, longer, 1.0)
    return estimate, low, estimate + quantile * spread * np.where(skewness > 0, longer, 1.0)


def _variance_of_mean(values: np.ndarray) -> np.ndarray:
    return values.var(axis=-1, ddof=1) / values.shape[-1]


def _third_moment_of_mean(values: np.ndarray) -> np.ndarray:
    count = values.shape[-1]
    return ((values - values.mean(axis=-1, keepdims=True)) ** 3).sum(axis=-1) / ((count - 1) * count**2)


def _rest(group: np.ndarray) -> tuple[np.ndarray, int]:
    """(variance of the mean from what neither seed nor item explains, degrees of freedom)."""
    rest = group - group.mean(axis=-1, keepdims=True) - group.mean(axis=-2, keepdims=True)
    rest += group.mean(axis=(-1, -2), keepdims=True)
    seeds, items = group.shape[-2:]
    freedom = (seeds - 1) * (items - 1)
    return (rest**2).sum(axis=(-1, -2)) / (freedom * seeds * items), freedom


def _pooled(estimates: Iterable[tuple[np.ndarray, int]], like: np.ndarray) -> _Estimate:
    """The sum of the groups' variances, with Satterthwaite's degrees of freedom (1 where there is nothing to sum)."""
    variance, square = np.zeros_like(like), np.zeros_like(like)
    for one, freedom in estimates:
        variance = variance + one
        square = square + one**2 / freedom
    return variance, np.maximum(_ratio(variance**2, square), 1.0)


def _combined(seeds: _Estimate, items: _Estimate, rest: _Estimate) -> _Estimate:
    """(variance of the overall mean, quantile): seeds + items - rest, which noise may not pull below either."""
    (a, fa), (b, fb), (e, fe) = seeds, items, rest
    variance = np.maximum(a + b - e, np.minimum(a, b))
    freedom = np.maximum(_ratio(variance**2, a**2 / fa + b**2 / fb + e**2 / fe), np.minimum(fa, fb))
    wa, wb, we = a * t_quantile(fa), b * t_quantile(fb), e * t_quantile(fe)
    weighted = _ratio(np.maximum(wa + wb - we, np.minimum(wa, wb)), variance)
    return variance, (t_quantile(np.maximum(freedom, 1.0)) + np.maximum(weighted, 1.96)) / 2


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.ones_like(above), where=below > 0)
