"""Competitive and self-contained set tests that respect the correlation between proteins.

CAMERA (Wu & Smyth 2012): do the set's proteins change more than the others? The inter-protein correlation comes from
the residuals. FRY (the limit of ROAST, Wu et al. 2010, with infinitely many rotations): do they
change at all?
"""

import numpy as np
import pandas as pd
from scipy import stats

from proteus.knowledge._sets import IndexedSets
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import LinearFit
from proteus.statistics._moderated_t import ModeratedT, z_of


def camera(indexed: IndexedSets, tested: ModeratedT, fit: LinearFit) -> pd.DataFrame:
    """Competitive test of each set.

    Args:
        indexed: S sets over P proteins.
        tested: moderated t with fold bar 0.
        fit: whose residuals give each set's correlation.
    Returns:
        One row a set: size, direction, correlation, t, p, q.
    """
    z = np.where(indexed.universe, z_of(tested.t, tested.df), np.nan)
    universe = np.isfinite(z)
    z0 = np.where(universe, z, 0.0)
    member, m = indexed.member, indexed.sizes
    total = int(universe.sum())
    rho = np.maximum(_set_correlation(indexed, fit), 0.0)
    df = float(min(np.median(fit.df_residual[universe]), total - 2))
    mean_in, mean = member @ z0 / m, z0.sum() / total
    variance = float(((z0 - mean)[universe] ** 2).sum() / (total - 1))
    difference = total / (total - m) * (mean_in - mean)
    pooled = ((total - 1) * variance - difference**2 * m * (total - m) / total) / (total - 2)
    inflation = 1 + (m - 1) * rho
    t = difference / np.sqrt(pooled * (inflation / m + 1 / (total - m)))
    p = 2 * stats.t.sf(np.abs(t), df)
    return set_table(indexed, t, p, correlation=rho)


def _set_correlation(indexed: IndexedSets, fit: LinearFit) -> np.ndarray:
    """rho of each set: residual vectors have unit length, so m |mean|^2 = 1 + (m - 1) rho."""
    length = np.linalg.norm(fit.residuals, axis=1, keepdims=True)
    unit = np.divide(fit.residuals, length, out=np.zeros_like(fit.residuals), where=length > 0)
    m = indexed.sizes
    mean = indexed.member @ unit / m[:, None]
    inflation = m * (mean**2).sum(1)
    return (inflation - 1) / np.maximum(m - 1, 1)


def fry(indexed: IndexedSets, tested: ModeratedT, fit: LinearFit) -> pd.DataFrame:
    """Self-contained directional test: mean of moderated t against the length of the mean standardised residual."""
    known = np.isfinite(tested.t) & indexed.universe & (fit.df_residual > 0)
    df = float(np.median(fit.df_residual[known]))
    t0 = np.where(known, tested.t, 0.0)
    # a protein seen in fewer samples has shorter residuals: all are brought to the length they would have with df
    spread = np.sqrt(tested.prior.posterior * np.maximum(fit.df_residual, 1) / df)
    scaled = np.where(known[:, None], fit.residuals / spread[:, None], 0.0)
    m = indexed.sizes
    mean = indexed.member @ scaled / m[:, None]
    t = (indexed.member @ t0 / m) / np.sqrt(np.maximum((mean**2).sum(1) / df, 1e-300))
    return set_table(indexed, t, 2 * stats.t.sf(np.abs(t), df))


def set_table(indexed: IndexedSets, t: np.ndarray, p: np.ndarray, **more: np.ndarray) -> pd.DataFrame:
    """One row a set: size, direction, what the test adds, t, p, and q over all sets."""
    columns = {"size": indexed.sizes.astype(int), "direction": np.where(t > 0, "up", "down"), **more}
    table = pd.DataFrame({**columns, "t": t, "p": p}, index=pd.Index(indexed.names, name="set"))
    table["q"] = benjamini_hochberg(p)
    return table
