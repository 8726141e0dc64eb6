"""Samples that share a subject: the consensus correlation within blocks (Smyth, Michaud & Scott 2005)."""

import numpy as np
from ninefold.errors import InputError
from scipy import stats

from proteus.statistics._linear_model import block_matrix, missing_patterns


def consensus_correlation(values: np.ndarray, design: np.ndarray, block: np.ndarray, *, trim: float = 0.15) -> float:
    """REML correlation of each protein, averaged on Fisher's scale.

    Args:
        values: (P, N) log2 values, NaN missing.
        design: (N, K).
        block: (N,) labels.
        trim: share of proteins trimmed from each end of atanh(rho).
    Returns:
        rho, between -1/(largest block - 1) and 1.
    Raises:
        InputError: if no block has two samples, or no protein has residual degrees of freedom between blocks.
    """
    member = block_matrix(block)
    largest = member.sum(0).max()
    if largest < 2:
        raise InputError("block", got="one sample in every block", expected="blocks of two samples or more")
    observed = ~np.isnan(values)
    first, pattern = missing_patterns(observed)
    rho = np.full(len(values), np.nan)
    low = -1.0 / (largest - 1) + 0.01
    for place, key in enumerate(first):
        rows = np.flatnonzero(pattern == place)
        mask = observed[key]
        if mask.sum() > design.shape[1] + 1:
            rho[rows] = _reml(values[np.ix_(rows, mask)], design[mask], member[mask], low)
    rho = rho[np.isfinite(rho)]
    if rho.size == 0:
        raise InputError("block", got="no protein with residual degrees of freedom in and between blocks")
    return float(np.tanh(stats.trim_mean(np.arctanh(rho), trim)))


def _reml(values: np.ndarray, design: np.ndarray, member: np.ndarray, low: float) -> np.ndarray:
    """REML rho of V = sigma^2 ((1-rho) I + rho ZZ') for each row: independent variances in the eigenbasis.

    The residual space of X turns ZZ' into eigenvalues l_i; then w_i ~ N(0, sigma^2 (1 - rho + rho l_i)), and sigma^2
    has a closed form, so that one bounded search in rho does all rows together.
    """
    left, singular, _ = np.linalg.svd(design, full_matrices=True)
    rank = int((singular > 1e-10 * singular[0]).sum())
    null = left[:, rank:]
    spectrum, rotation = np.linalg.eigh(null.T @ member @ member.T @ null)
    spectrum = np.maximum(spectrum, 0.0)
    if np.ptp(spectrum) < 1e-8:  # nothing tells rho from sigma
        return np.full(len(values), np.nan)
    squares = (values @ null @ rotation) ** 2
    df = null.shape[1]
    low = max(low, -1.0 / max(spectrum.max() - 1.0, 1e-9) + 1e-6) if spectrum.max() > 1 else low

    def deviance(rho: np.ndarray) -> np.ndarray:
        scale = 1 - rho[:, None] + rho[:, None] * spectrum
        return df * np.log(np.maximum((squares / scale).sum(1), 1e-300)) + np.log(scale).sum(1)

    grid = np.linspace(low, 0.99, 41)
    best = np.argmin(np.stack([deviance(np.full(len(values), one)) for one in grid], 1), 1)
    a, b = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        c, d = b - golden * (b - a), a + golden * (b - a)
        left_better = deviance(c) < deviance(d)
        a, b = np.where(left_better, a, c), np.where(left_better, d, b)
    return (a + b) / 2
