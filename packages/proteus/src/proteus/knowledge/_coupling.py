"""Do two features move together within groups? The correlation of what a design leaves of them."""

import numpy as np
import pandas as pd
from scipy import stats

from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import LinearFit

_COMPONENTS = 5


def coupling(fit: LinearFit, pairs: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """Correlation of residuals of pairs of features over the samples that both are seen in.

    What all features share is no link: the design is taken out, and so are the C leading components of what it leaves
    (an unnamed batch, the quality of a run) that are larger than those of rows permuted one by one. The test is that of
    a partial correlation, on n - K - C - 1 degrees of freedom.

    Args:
        fit: of P features.
        pairs: (L, 2) rows of it.
        seed: of the permutation.
    Returns: one row a pair: effect (correlation), ci_low, ci_high (Fisher's z), p, q, n; NaN with under three degrees.
    """
    a, b = pairs.reshape(-1, 2).T
    both = fit.observed[a] & fit.observed[b]
    shared = shared_components(fit, seed)
    left = fit.residuals - fit.residuals @ shared @ shared.T
    x, y = (np.where(both, left[one], 0.0) for one in (a, b))
    n = both.sum(1)
    df = n - fit.design.shape[1] - shared.shape[1] - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip((x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1)), -1, 1)
        r = np.where(df >= 3, r, np.nan)
        p = 2 * stats.t.sf(np.abs(r) * np.sqrt(df / np.maximum(1 - r**2, 1e-300)), np.maximum(df, 1))
        reach = 1.96 / np.sqrt(np.maximum(df - 1, 1))
        low, high = np.tanh(np.arctanh(r) - reach), np.tanh(np.arctanh(r) + reach)
    return pd.DataFrame({"effect": r, "ci_low": low, "ci_high": high, "p": p, "q": benjamini_hochberg(p), "n": n})


def shared_components(fit: LinearFit, seed: int) -> np.ndarray:
    """(N, C) leading components of residuals of features that all samples have, larger than those of permuted rows."""
    residuals = fit.residuals[fit.observed.all(1) & (fit.sigma > 0)]
    n, k = fit.design.shape
    most = min(_COMPONENTS, (n - k) // 4)
    if len(residuals) < 2 * n or most < 1:
        return np.zeros((n, 0))
    standard = residuals / np.linalg.norm(residuals, axis=1, keepdims=True)
    _, size, right = np.linalg.svd(standard, full_matrices=False)
    null = np.linalg.svd(np.random.default_rng(seed).permuted(standard, axis=1), compute_uv=False)
    return right[:most][size[:most] > 1.05 * null[0]].T
