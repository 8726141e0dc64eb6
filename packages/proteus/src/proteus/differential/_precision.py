"""Weights of values that the peptide model made, from how well each is known."""

import numpy as np

from proteus.data._data import ProteomicsData
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._lowess import lowess

_SPAN = 0.5


def weighted_levels(
    data: ProteomicsData, design: np.ndarray, pair: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values to test, their weights, and residual spreads without weights.

    The spread of residuals follows the errors of the values (vooma: Law 2013; Li, Cobbold & Smyth 2025): its smooth
    trend over proteins, at a value's own error, is the value's standard deviation, and weights are inverse variances.

    Args:
        data: table with `precision`.
        design: (N, K).
        pair: samples of the two groups compared; None: no such pair.
    Returns:
        (P, N) log2 levels, of runs without a peptide too where each group has one elsewhere, else NaN; (P, N) weights;
        (P,) residual standard deviations.
    """
    assert data.precision is not None
    values, errors = data.values, data.precision.errors
    seen = ~np.isnan(values)
    held = seen.all(axis=1)
    if pair is not None:
        held = seen[:, pair[0]].any(axis=1) & seen[:, pair[1]].any(axis=1)
    mean = np.where(seen, values, 0.0).sum(1, keepdims=True) / np.maximum(seen.sum(1, keepdims=True), 1)
    levels = np.where(seen, values, np.where(held.reshape(-1, 1), mean + data.precision.unseen, np.nan))
    fit = fit_linear_model(levels, design)
    used = np.isfinite(fit.sigma) & (fit.df_residual > 0) & held
    if used.sum() < 10:
        return levels, np.ones(levels.shape), fit.sigma
    size = np.log(errors[used].mean(1))
    order = np.argsort(size, kind="stable")
    smooth = lowess(size[order], np.sqrt(fit.sigma[used][order]), span=_SPAN, iterations=3)
    rising = np.maximum(np.maximum.accumulate(smooth), 1e-3)
    weights = np.interp(np.log(errors), size[order], rising) ** -4.0
    return levels, weights, fit.sigma
