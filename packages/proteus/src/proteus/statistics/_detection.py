"""What is detected at all: whether weak features are missing more often, and the exact test of counts."""

import math

import numpy as np
from scipy import stats


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
    return rank_correlation(share[some], mean)


def row_mean(values: np.ndarray) -> np.ndarray:
    """Mean of each row's finite values, 0 where it has none."""
    seen = ~np.isnan(values)
    return np.where(seen, values, 0).sum(1) / np.maximum(seen.sum(1), 1)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rho of two (n,) arrays without NaN; NaN if one of them is constant."""
    told = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1]) if told else float("nan")


def detection_p(counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Fisher's exact test of detection, two-sided.

    Args:
        counts: (P, 2) runs of each group in which a feature is seen.
        sizes: (2,) runs of each group.
    Returns: (P,), NaN for features seen always or never, about which the groups say nothing.
    """
    result = np.full(len(counts), np.nan)
    pairs, place = np.unique(counts, axis=0, return_inverse=True)
    first, second = ([math.comb(int(size), k) for k in range(int(size) + 1)] for size in sizes)  # exact, of any length
    for number, (a, b) in enumerate(pairs.astype(int)):
        seen = int(a + b)
        if 0 < seen < sizes.sum():
            least, most = max(0, seen - len(second) + 1), min(seen + 1, len(first))
            ways = [first[k] * second[seen - k] for k in range(least, most)]
            own = first[a] * second[b]
            result[place.ravel() == number] = sum(one for one in ways if one <= own) / sum(ways)
    return result
