"""The moderated t-test, TREAT and the moderated F-test over a linear fit."""

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from scipy import stats

from proteus.statistics._ebayes import Estimator, VariancePrior, squeeze_variances
from proteus.statistics._linear_model import LinearFit


@dataclass(frozen=True)
class ModeratedT:
    """Tests of one contrast for P proteins; NaN where the contrast is not estimable.

    Attributes:
        effect: (P,) log2 fold change.
        error: (P,) moderated standard error, s~ times the unscaled deviation.
        t: (P,) moderated statistic; with a fold bar, that of TREAT.
        p: (P,) two-sided p-value.
        df: (P,) total degrees of freedom.
        lfc: the fold bar (log2).
        prior: the variance prior.
    """

    effect: np.ndarray
    error: np.ndarray
    t: np.ndarray
    p: np.ndarray
    df: np.ndarray
    lfc: float
    prior: VariancePrior

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Confidence limits of the effect, (P,) each."""
        half = stats.t.ppf(0.5 + level / 2, self.df) * self.error
        return self.effect - half, self.effect + half


def fit_prior(fit: LinearFit, *, trend: bool = False, robust: bool = False, prior: Estimator = "auto") -> VariancePrior:
    """The variance prior of a linear fit; with `trend`, as a smooth function of mean abundance."""
    return squeeze_variances(
        fit.sigma, fit.df_residual, covariate=fit.mean if trend else None, robust=robust, prior=prior
    )


def moderated_t(fit: LinearFit, contrast: np.ndarray, prior: VariancePrior, *, lfc: float = 0.0) -> ModeratedT:
    """t~ = effect / (s~ sqrt(v)) (Smyth 2004); with `lfc` > 0 TREAT's test of |effect| > lfc (McCarthy & Smyth 2009).

    Args:
        fit: of P proteins.
        contrast: (K,) coefficient vector.
        prior: of the same proteins.
        lfc: log2 fold bar, >= 0.
    """
    if lfc < 0:
        raise InputError("lfc", got=lfc, expected="a log2 fold bar >= 0")
    effect, deviation = (one[:, 0] for one in fit.contrast(contrast))
    error = deviation * np.sqrt(prior.posterior)
    with np.errstate(invalid="ignore", divide="ignore"):
        above = (np.abs(effect) - lfc) / error
        t = np.sign(effect) * np.maximum(above, 0.0)
        p = stats.t.sf(above, prior.df_total)
        p = p + stats.t.sf((np.abs(effect) + lfc) / error, prior.df_total) if lfc > 0 else 2 * p
    return ModeratedT(effect, error, t, p, prior.df_total, lfc, prior)


def moderated_f(fit: LinearFit, contrasts: np.ndarray, prior: VariancePrior) -> tuple[np.ndarray, np.ndarray, int]:
    """F over the named contrasts alone, never the intercept.

    Args:
        contrasts: (K, C) coefficient vectors; dependent ones count once.
    Returns:
        (P,) F, (P,) p, and the rank of the contrasts (numerator degrees of freedom).
    """
    columns = np.asarray(contrasts, float).reshape(fit.design.shape[1], -1)
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    rank = int((singular > 1e-10 * singular[0]).sum())
    estimate, covariance = fit.contrast_covariance(left[:, :rank])
    known = np.isfinite(covariance).all(axis=(1, 2))
    f = np.full(len(estimate), np.nan)
    solved = np.linalg.solve(covariance[known], estimate[known][..., None])[..., 0]
    f[known] = (estimate[known] * solved).sum(1) / rank / prior.posterior[known]
    return f, stats.f.sf(f, rank, prior.df_total), rank


def z_of(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """The normal quantile that has the tail probability of t on df degrees of freedom, sign kept."""
    size, df = np.abs(t), np.broadcast_to(np.asarray(df, float), np.shape(t))
    p = stats.t.sf(size, df)
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.sqrt(np.where(np.isinf(df), size**2, (df - 0.5) * np.log1p(size**2 / df)))  # Wallace 1959
        near = -stats.norm.ppf(p)
    return np.sign(t) * np.where(p > 1e-290, near, far)
