"""Weights of samples from how far they scatter over all proteins (array weights: Ritchie et al. 2006), by group."""

import numpy as np
from scipy import stats

from proteus.statistics._linear_model import fit_linear_model

_ROUNDS = 4
_FEWEST = 3  # samples of a group whose spread is measured
_LEAST = 50  # proteins that all samples have, or weights are not measured


def spread_weights(values: np.ndarray, design: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(N,) inverse variances of samples, one value for each group, geometric mean 1; all 1 where they are not measured.

    A group's variance is the mean over proteins and its samples of squared residuals, each divided by the protein's
    variance and by what the design leaves of a sample (1 - leverage); weights and fits are repeated in turn.

    Args:
        values: (P, N) log2 values, NaN missing; proteins without a gap are used.
        design: (N, K).
        groups: (N,) labels.
    """
    whole = values[~np.isnan(values).any(axis=1)]
    labels, code, size = np.unique(groups, return_inverse=True, return_counts=True)
    weight = np.ones(len(labels))
    solid = size >= _FEWEST
    if len(whole) < _LEAST or solid.sum() < 2 or len(design) - design.shape[1] < 2:
        return np.ones(len(code))
    for _ in range(_ROUNDS):
        each = weight[code]
        fit = fit_linear_model(whole, design, weights=each)
        root = design * np.sqrt(each)[:, None]
        leverage = np.clip(np.einsum("ij,ij->i", root @ np.linalg.pinv(root.T @ root), root), 0, 1)
        left = np.where(1 - leverage > 1e-6, 1 - leverage, np.nan)
        variance = np.maximum(fit.sigma**2, 1e-12)[:, None]
        ratio = np.nanmedian(fit.residuals**2 * each / variance, axis=0) / left / _median_of_one(fit.df_residual[0])
        for group in np.flatnonzero(solid):
            found = np.nanmean(ratio[code == group])
            if np.isfinite(found) and found > 0:
                weight[group] /= found
        weight[solid] /= np.exp(np.log(weight[solid]).mean())
    weight[~solid] = 1.0
    each = weight[code]
    return each / np.exp(np.log(each).mean())


def spread_ratio(values: np.ndarray, design: np.ndarray, groups: np.ndarray) -> float:
    """How many times wider the widest group scatters than the narrowest, in standard deviations; 1 if not measured."""
    weights = spread_weights(values, design, groups)
    return float(np.sqrt(weights.max() / weights.min()))


def _median_of_one(df: float) -> float:
    """Median of a squared residual over its row's variance, for Gaussian residuals with so many degrees of freedom.

    The share of one residual in the sum of squares of a row is Beta(1/2, (df - 1)/2).
    """
    return float(df * stats.beta.median(0.5, (df - 1) / 2))
