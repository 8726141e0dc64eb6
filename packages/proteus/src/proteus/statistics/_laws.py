"""Tails, quantiles and ranks, from `scipy.special`: to import `scipy.stats` takes longer than many a verb.

Each function is the formula that `scipy.stats` has for it, without the checks; out of range is NaN.
"""

from typing import Any

import numpy as np
from scipy import special

_ROOT = float(np.sqrt(2 * np.pi))


def normal_sf(x: Any) -> Any:
    """P(Z > x)."""
    return special.ndtr(-np.asarray(x, float))


def normal_quantile(p: Any) -> Any:
    """The z with P(Z <= z) = p."""
    return special.ndtri(p)


def normal_density(x: Any, scale: float = 1.0) -> Any:
    """Density of N(0, scale^2)."""
    return np.exp(-((np.asarray(x, float) / scale) ** 2) / 2) / (_ROOT * scale)


def normal_mass(low: float, high: float, centre: float, scale: float) -> float:
    """P(low < centre + scale Z < high)."""
    return float(special.ndtr((high - centre) / scale) - special.ndtr((low - centre) / scale))


def t_sf(x: Any, df: Any) -> Any:
    """P(T > x), T on df degrees of freedom."""
    return special.stdtr(df, -np.asarray(x, float))


def t_quantile(p: Any, df: Any) -> Any:
    """The t with P(T <= t) = p."""
    return special.stdtrit(df, p)


def chi2_sf(x: Any, df: Any) -> Any:
    """P(X > x), X chi-squared."""
    return special.chdtrc(df, np.maximum(x, 0.0))


def f_sf(x: Any, df: Any, df_below: Any) -> Any:
    """P(F > x), F on df and df_below degrees of freedom."""
    return special.fdtrc(df, df_below, x)


def f_log_density(x: np.ndarray, df: Any, df_below: Any) -> np.ndarray:
    """Logarithm of the density of F."""
    n, m = np.asarray(df, float), np.asarray(df_below, float)
    head = m / 2 * np.log(m) + n / 2 * np.log(n) + special.xlogy(n / 2 - 1, x)
    return head - ((n + m) / 2 * np.log(m + n * x) + special.betaln(n / 2, m / 2))


def adjusted(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg's q of p-values without NaN."""
    order = np.argsort(p)
    q = np.empty(len(p))
    q[order] = np.minimum.accumulate((p[order] * (len(p) / np.arange(1, len(p) + 1)))[::-1])[::-1]
    return np.clip(q, 0.0, 1.0)


def ranks(x: Any) -> np.ndarray:
    """Ranks from 1 on, ties at their mean; no NaN."""
    _, place, count = np.unique(np.asarray(x), return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation; NaN if one is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def pearson(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(correlation, two-sided p of normal data without any); NaN if one is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    x, y = x - x.mean(), y - y.mean()
    r = float(np.clip(x / np.linalg.norm(x) @ (y / np.linalg.norm(y)), -1, 1))
    half = len(x) / 2 - 1
    return r, 1.0 if half == 0 else float(2 * special.betaincc(half, half, (1 + abs(r)) / 2))


def trimmed_mean(x: np.ndarray, share: float) -> float:
    """Mean without `share` of the values at each end."""
    low = int(share * len(x))
    high = len(x) - low
    return float(np.partition(x, (low, high - 1))[low:high].mean())
