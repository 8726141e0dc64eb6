"""Proteins from peptides, with what is not seen in the likelihood: a curve of P(seen | level) for each run.

A run of a smaller load misses more at every level of a protein, so that one curve for the table takes its missing
values for low ones. Here each run has an intercept of its own (as in limpa, Li, Cobbold & Smyth 2025), fitted to which
peptides it sees, given that one run sees them. Runs and peptides of a protein are then fitted as an additive model with
Huber's weights (Sticker et al. 2020) in which a missing value adds log P(not seen | fitted level); its softplus is
majorised by a parabola (Jaakkola & Jordan 2000), so that each round is one weighted least squares and none is worse
than the one before.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

_HUBER, _ROUNDS = 1.345, 30
_SPREAD = 2.0  # log2 sd by which a run may lie off its protein's mean: what a run without any value is held by
_LEAST = 20  # peptides with a missing value from which curves can be fitted
_PRIOR = 4.0  # degrees of freedom of the spread that all proteins share


@dataclass(frozen=True)
class RunCurves:
    """P(seen in run r | level) = expit(intercepts[r] + slope level); slope 0: missing values say nothing."""

    intercepts: np.ndarray
    slope: float


@dataclass(frozen=True)
class Summary:
    """Proteins by runs.

    Attributes:
        levels: (G, N) log2; where no peptide is seen, what the curve and the protein's mean leave.
        errors: (G, N) standard error of the level against the protein's mean over runs.
        seen: (G, N) number of peptides seen.
        curves: what missing values were taken by.
    """

    levels: np.ndarray
    errors: np.ndarray
    seen: np.ndarray
    curves: RunCurves


def summarise_peptides(values: np.ndarray, codes: np.ndarray, *, single_curve: bool = False) -> Summary:
    """Fit each protein's level in each run.

    Args:
        values: (R, N) log2 values of peptides, each seen in one run at least, runs aligned; NaN missing.
        codes: (R,) protein of each, 0 to G - 1.
        single_curve: one curve for all runs, for comparison.
    """
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    of_size = [(order[starts[groups][:, None] + np.arange(size)], groups)
               for size in np.unique(counts[counts > 0]) for groups in [np.flatnonzero(counts == size)]]  # fmt: skip
    fitted = np.empty(values.shape)
    spread = np.empty(len(counts))
    for rows, groups in of_size:  # proteins with as many peptides are fitted together; seen values alone
        runs, peptides, spread[groups], _ = _fit(values[rows], np.ones(rows.shape), None, None)
        fitted[rows] = runs[:, None, :] + peptides[:, :, None]
    curves = fit_run_curves(values, fitted, single=single_curve)
    precision = _peptide_precision(values, fitted, codes)
    for rows, groups in of_size:
        spread[groups] = _fit(values[rows], precision[rows], None, None)[2]
    spread = _shrunk(spread, values, codes)
    levels, errors = np.full((2, len(counts), values.shape[1]), np.nan)
    for rows, groups in of_size:
        levels[groups], _, _, errors[groups] = _fit(values[rows], precision[rows], curves, spread[groups])
    seen = np.zeros(levels.shape, int)
    np.add.at(seen, codes, ~np.isnan(values))
    return Summary(levels, errors, seen, curves)


def fit_run_curves(values: np.ndarray, levels: np.ndarray, *, single: bool = False) -> RunCurves:
    """Most likely curves of what runs see of peptides, given that one run sees each.

    Args:
        values: (R, N), NaN missing.
        levels: (R, N) fitted levels, also of what is not seen.
        single: one intercept for all runs.
    Returns: slope 0 where it does not rise, or too few values are missing to tell.
    """
    n = values.shape[1]
    seen = ~np.isnan(values)
    nothing = RunCurves(np.zeros(n), 0.0)
    if (~seen).any(1).sum() < _LEAST or levels.std() <= 0:
        return nothing
    centre, scale = levels.mean(), levels.std()
    x = (levels - centre) / scale
    free = np.eye(n + 1)
    if single:
        free = np.stack([np.arange(n + 1) < n, np.arange(n + 1) == n], 1).astype(float)
    beta = np.append(np.full(n, special.logit(np.clip(seen.mean(), 0.01, 0.99))), 0.5)
    for _ in range(50):
        line = np.clip(beta[:n] + beta[n] * x, -30, 30)
        share = special.expit(line)
        none = np.exp(-np.logaddexp(0, line).sum(1, keepdims=True))
        off = seen - share / np.maximum(1 - none, 1e-12)
        curvature = np.maximum(share * (1 - share), 1e-9)
        hessian = np.diag(np.append(curvature.sum(0), (curvature * x**2).sum()))
        hessian[:n, n] = hessian[n, :n] = (curvature * x).sum(0)
        gradient = np.append(off.sum(0), (off * x).sum())
        step = free @ np.linalg.solve(free.T @ hessian @ free + 1e-9 * np.eye(free.shape[1]), free.T @ gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    slope = float(beta[n] / scale)
    return RunCurves(beta[:n] - slope * centre, slope) if slope > 0 else nothing


def _peptide_precision(values: np.ndarray, fitted: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(R,) inverse variance of each peptide, relative: ln variance is a line in its level, falling or flat."""
    seen = ~np.isnan(values)
    n = np.bincount(codes, seen.sum(1).astype(float))
    df = n - values.shape[1] - np.bincount(codes) + 1
    used = (df > 0)[codes] & (seen.sum(1) > 1)
    if used.sum() < _LEAST:
        return np.ones(len(values))
    level = np.where(seen, values, 0.0).sum(1) / seen.sum(1)
    squares = np.where(seen, (values - fitted) ** 2, 0.0).sum(1) / seen.sum(1) * (n / np.maximum(df, 1))[codes]
    slope, _ = np.polyfit(level[used], np.log(squares[used] + 1e-6), 1)
    return np.exp(np.clip(-min(slope, 0.0) * (level - level.mean()), -3.0, 3.0))


def _fit(
    cube: np.ndarray, precision: np.ndarray, curves: RunCurves | None, spread: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """(G, p, N) peptides by runs -> runs (G, N), peptides (G, p), spread (G,) of peptides, errors (G, N) of runs.

    Without curves missing values are left out, and the scale of Huber's weights is that of the residuals.
    """
    seen = ~np.isnan(cube)
    known = np.where(seen, precision[:, :, None], 0.0)
    y, weight = np.where(seen, cube, 0.0), known
    scale = np.ones(len(cube)) if spread is None else spread
    ridge = np.zeros(len(cube)) if spread is None else (spread / _SPREAD) ** 2
    curves = None if curves is None or curves.slope == 0 else curves
    runs, peptides = weighted_additive(y, weight, ridge)
    for _ in range(_ROUNDS):
        levels = runs[:, None, :] + peptides[:, :, None]
        size = np.abs(y - levels) * np.sqrt(known)
        if spread is None:
            scale = np.maximum(_seen_median(size, seen) / 0.6745, 1e-6)
        wide = scale[:, None, None]
        weight = known * np.minimum(1.0, _HUBER * wide / np.maximum(size, 1e-12))
        target = y
        if curves is not None:
            line = np.abs(curves.intercepts + curves.slope * levels)
            bend = np.tanh(line / 2) / (4 * np.maximum(line, 1e-6))
            weight = np.where(seen, weight, 2 * bend * (curves.slope * wide) ** 2)
            target = np.where(seen, y, (-1 / (4 * bend) - curves.intercepts) / curves.slope)
        before = runs
        runs, peptides = weighted_additive(target, weight, ridge)
        if np.abs(runs - before).max() < 1e-4:
            break
    levels = runs[:, None, :] + peptides[:, :, None]
    residual = np.minimum(np.abs(y - levels) * np.sqrt(known), 2.5 * scale[:, None, None])
    df = seen.sum((1, 2)) - seen.any(1).sum(1) - seen.shape[1] + 1
    found = np.where(df > 0, np.sqrt((residual**2).sum((1, 2)) / np.maximum(df, 1)), np.nan)
    if curves is not None:  # the curvature itself, for errors
        share = special.expit(curves.intercepts + curves.slope * levels)
        weight = np.where(seen, weight, share * (1 - share) * (curves.slope * scale[:, None, None]) ** 2)
    variance = np.linalg.pinv(_reduced(weight, ridge), rcond=1e-9, hermitian=True).diagonal(axis1=1, axis2=2)
    return runs, peptides, found, scale[:, None] * np.sqrt(np.maximum(variance, 0.0))


def _seen_median(size: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(G,) median over what is seen of a protein."""
    return np.nanmedian(np.where(seen, size, np.nan).reshape(len(size), -1), axis=1)


def _shrunk(spread: np.ndarray, values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(G,) spread of each protein's peptides, drawn to the median of all by its degrees of freedom."""
    df = np.maximum(np.bincount(codes, (~np.isnan(values)).sum(1) - 1.0) - values.shape[1] + 1, 0.0)
    known = np.isfinite(spread) & (df > 0)
    common = float(np.median(spread[known])) if known.any() else 0.3
    own = np.where(known, spread, common)
    return np.maximum(np.sqrt((df * own**2 + _PRIOR * common**2) / (df + _PRIOR)), 1e-3)


def weighted_additive(y: np.ndarray, weight: np.ndarray, ridge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run and peptide effects of each protein by weighted least squares; peptide effects add to zero.

    Args:
        y, weight: (G, p, N); each peptide has some weight.
        ridge: (G,) penalty on the squared distance of run effects from their mean.
    Returns: (G, N) and (G, p).
    """
    of_peptide = np.maximum(weight.sum(2), 1e-12)
    mean = (weight * y).sum(2) / of_peptide
    right = (weight * (y - mean[:, :, None])).sum(1)
    runs = (np.linalg.pinv(_reduced(weight, ridge), rcond=1e-9, hermitian=True) @ right[..., None])[..., 0]
    peptides = mean - (weight * runs[:, None, :]).sum(2) / of_peptide
    level = peptides.mean(1, keepdims=True)
    return runs + level, peptides - level


def _reduced(weight: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """(G, N, N) normal equations of run effects, peptide effects eliminated."""
    n = weight.shape[2]
    share = weight / np.maximum(weight.sum(2), 1e-12)[:, :, None]
    own = np.einsum("gn,nm->gnm", weight.sum(1), np.eye(n))
    return own - np.einsum("gpn,gpm->gnm", share, weight) + ridge[:, None, None] * (np.eye(n) - 1 / n)
