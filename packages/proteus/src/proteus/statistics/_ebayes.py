"""Empirical Bayes for variances: a scaled inverse chi-squared prior shared by all proteins (Smyth 2004).

s_g^2 ~ s0^2 F(d_g, d0). Two estimators of (d0, s0^2): moments of ln s_g^2, and, for unequal d_g (missing values), the
likelihood of d0 with s0^2 profiled out. With `trend` s0^2 is a smooth function of abundance; with `robust` outlying
variances neither bend the prior nor are shrunk as far as the others (Phipson et al. 2016).
"""

import functools
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from ninefold.errors import InputError
from scipy import optimize, special, stats

from proteus.statistics._lowess import lowess, lowess_span

Estimator = Literal["auto", "likelihood", "moment"]
ESTIMATORS = get_args(Estimator)
_TAILS = (0.05, 0.1)  # winsorised shares of the robust fit


@dataclass(frozen=True)
class VariancePrior:
    """Prior and posterior variances of P proteins.

    Attributes:
        d0: (P,) prior degrees of freedom (all equal unless robust); may be infinite.
        s0_squared: (P,) prior variance (all equal unless trend).
        posterior: (P,) s~^2 = (d0 s0^2 + d_g s_g^2) / (d0 + d_g).
        df_total: (P,) d0 + d_g, at most the sum of all d_g.
        d0_bulk: the prior degrees of freedom of proteins that are no outliers.
    """

    d0: np.ndarray
    s0_squared: np.ndarray
    posterior: np.ndarray
    df_total: np.ndarray
    d0_bulk: float


def squeeze_variances(
    sigma: np.ndarray,
    df: np.ndarray,
    *,
    covariate: np.ndarray | None = None,
    robust: bool = False,
    prior: Estimator = "auto",
) -> VariancePrior:
    """Fit the prior and shrink.

    Args:
        sigma: (P,) residual standard deviations; NaN or df 0 where unknown (these take the prior variance).
        df: (P,) residual degrees of freedom.
        covariate: (P,) mean log2 abundance for a trended prior, or None.
        robust: protect against outlying variances.
        prior: `likelihood` (the default where df differ), `moment`, or `auto`.
    Raises:
        InputError: if fewer than 2 proteins have residual degrees of freedom, or the covariate has NaN.
    """
    if prior not in ESTIMATORS:
        raise InputError("prior", got=repr(prior), expected="auto, likelihood or moment")
    usable = np.isfinite(sigma) & (df > 1e-9)
    if usable.sum() < 2:
        raise InputError(
            "residual degrees of freedom",
            got=f"{int(usable.sum())} proteins with any",
            expected="at least 2",
            hint="one replicate a group leaves no variance to estimate",
        )
    s2, d = sigma[usable] ** 2, df[usable]
    x = None if covariate is None else covariate[usable]
    if x is not None and not np.isfinite(x).all():
        raise InputError("covariate", got="NaN", expected="a mean abundance for each protein with residuals")
    equal = np.ptp(d) < 1e-9
    if prior == "likelihood" or (prior == "auto" and not equal):
        fitted = _likelihood(s2, d, x, robust)
    elif robust:
        fitted = _robust_moment(s2, d, x)
    else:
        fitted = _moment(s2, d, x)
    d0 = np.full(len(sigma), fitted.bulk)
    d0[usable] = fitted.d0
    s0 = np.full(len(sigma), float(np.exp(np.mean(np.log(fitted.s0)))))
    s0[usable] = fitted.s0
    if covariate is not None and x is not None and not usable.all():
        known = np.isfinite(covariate)
        order = np.argsort(x)
        s0[~usable & known] = np.interp(covariate[~usable & known], x[order], fitted.s0[order])
    own = np.where(usable, df, 0.0)
    squares = np.where(usable, np.nan_to_num(sigma) ** 2, 0.0)
    infinite = np.isinf(d0)
    finite_d0 = np.where(infinite, 1.0, d0)
    posterior = np.where(infinite, s0, (finite_d0 * s0 + own * squares) / np.maximum(finite_d0 + own, 1e-300))
    return VariancePrior(d0, s0, posterior, np.minimum(d0 + own, own.sum()), float(fitted.bulk))


@dataclass(frozen=True)
class _Prior:
    d0: np.ndarray
    s0: np.ndarray
    bulk: float


def trigamma_inverse(x: float) -> float:
    """y with psi'(y) = x, by Newton's method on 1/psi' (Smyth 2004, appendix)."""
    if x > 1e7:
        return float(1 / np.sqrt(x))
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        value = special.polygamma(1, y)
        step = value * (1 - value / x) / special.polygamma(2, y)
        y += step
        if -step / y < 1e-12:
            break
    return float(y)


def _floor(s2: np.ndarray) -> np.ndarray:
    """Zero variances cannot enter a logarithm: at least 1e-5 of the median."""
    middle = float(np.median(s2))
    if middle == 0:
        raise InputError("residual variances", got="zero for half of the proteins or more", expected="measured spread")
    return np.maximum(s2, 1e-5 * middle)


def _bias(d: np.ndarray | float) -> np.ndarray:
    """E ln(chi2_d / d) = psi(d/2) - ln(d/2)."""
    half = np.asarray(d, float) / 2
    return special.digamma(half) - np.log(half)


def natural_spline(x: np.ndarray, df: int) -> np.ndarray:
    """(n, df) basis, constant included, of natural cubic splines with knots at quantiles (ends at the range)."""
    df = min(df, len(np.unique(x)))
    scaled = (x - x.min()) / max(np.ptp(x), 1e-300)
    if df == 1:
        return np.ones((len(x), 1))
    knots = np.quantile(scaled, np.linspace(0, 1, df))
    knots[0], knots[-1] = 0.0, 1.0

    def cubic(k: int) -> np.ndarray:
        last = knots[-1]
        return (np.maximum(scaled - knots[k], 0) ** 3 - np.maximum(scaled - last, 0) ** 3) / (last - knots[k])

    columns = [np.ones_like(scaled), scaled] + [cubic(k) - cubic(df - 2) for k in range(df - 2)]
    basis, _ = np.linalg.qr(np.stack(columns, 1))
    return basis


def _spline_df(n: int) -> int:
    return 1 + (n >= 3) + (n >= 6) + (n >= 30)


def _moment(s2: np.ndarray, d: np.ndarray, x: np.ndarray | None) -> _Prior:
    """Moments of e = ln s^2 - psi(d/2) + ln(d/2): psi'(d0/2) = var(e) - mean psi'(d/2)."""
    n = len(s2)
    e = np.log(_floor(s2)) - _bias(d)
    if x is None:
        mean = np.full(n, e.mean())
        variance = e.var(ddof=1)
    else:
        basis = natural_spline(x, _spline_df(n))
        mean = basis @ (basis.T @ e)
        variance = ((e - mean) ** 2).sum() / (n - basis.shape[1])
    excess = variance - special.polygamma(1, d / 2).mean()
    if excess > 0:
        d0 = 2 * trigamma_inverse(float(excess))
        s0 = np.exp(mean + _bias(d0))
    else:
        d0 = np.inf
        s0 = np.exp(mean) if x is not None else np.full(n, s2.mean())  # the pooled variance is its likelihood estimate
    return _Prior(np.full(n, d0), s0, d0)


def _likelihood(
    s2: np.ndarray, d: np.ndarray, x: np.ndarray | None, robust: bool, weights: np.ndarray | None = None
) -> _Prior:
    """ln s0^2 = weighted mean (or smooth) of e + ln-bias of d0; d0 in [2, 9998] by likelihood, d0 = 2u/(1-u)."""
    s2 = _floor(s2)
    prior_weights = np.ones(len(s2)) if weights is None else weights
    e = np.log(s2) - _bias(d)
    w = prior_weights / special.polygamma(1, d / 2)
    if x is None:
        mean = np.full(len(s2), (w * e).sum() / w.sum())
    else:
        mean = lowess(x, e, weights=w, span=lowess_span(len(s2), small=500))

    def deviance(u: float) -> float:
        d0 = 2 * u / (1 - u)
        s0 = np.exp(mean + _bias(d0))
        value = stats.f.logpdf(s2 / s0, d, d0) - np.log(s0)
        return -2 * float((prior_weights * value).sum())

    # the tolerance of Brent's method in R's optimize, so that the two agree beyond it
    found = optimize.minimize_scalar(
        deviance, bounds=(0.5, 0.9998), method="bounded", options={"xatol": np.finfo(float).eps ** 0.25}
    )
    u = float(found.x)  # pyright: ignore[reportAttributeAccessIssue]
    d0 = 2 * u / (1 - u)
    fitted = _Prior(np.full(len(s2), d0), np.exp(mean + _bias(d0)), d0)
    return _without_outliers(fitted, s2, d, x) if robust else fitted


def _without_outliers(fitted: _Prior, s2: np.ndarray, d: np.ndarray, x: np.ndarray | None) -> _Prior:
    """Refit with the false discovery rate of being an outlier as weight, then lower the d0 of outliers."""
    ratio = s2 / fitted.s0
    log_tail = _log_sf_f(ratio, d, fitted.bulk)
    upper = np.exp(log_tail)
    rate = stats.false_discovery_control(np.minimum(2 * np.minimum(upper, 1 - upper), 1))
    rate = np.where(rate > 0.3, 1.0, rate)
    if (rate == 1).all():
        return fitted
    refitted = _likelihood(s2, d, x, robust=False, weights=rate)
    return replace(refitted, d0=_outlier_df(_kept(log_tail, ratio), refitted.bulk, ratio, d, log_tail))


def _robust_moment(s2: np.ndarray, d: np.ndarray, x: np.ndarray | None) -> _Prior:
    """Winsorised moments of ln s^2 matched with those of ln F(d, d0) (Phipson et al. 2016, section 3)."""
    n = len(s2)
    plain = _moment(s2, d, x)
    s2 = _floor(s2)
    if np.ptp(d) > 1e-9:  # unequal d: each variance is carried to the largest d at its own quantile
        s2 = _to_equal_df(s2, d, plain)
    most = float(d.max())
    z = np.log(s2)
    trend = np.full(n, stats.trim_mean(z, _TAILS[1])) if x is None else lowess(x, z, span=0.4, iterations=3)
    residual = z - trend
    low, high = np.quantile(residual, [_TAILS[0], 1 - _TAILS[1]])
    clipped = np.clip(residual, low, high)
    mean, variance = clipped.mean(), clipped.var(ddof=1)

    def excess(u: float) -> float:
        _, expected = _winsorised_log_f(most, u / (1 - u) if u < 1 else np.inf)
        return float(np.log(variance / expected))

    start = plain.bulk / (1 + plain.bulk) if np.isfinite(plain.bulk) else 1.0
    if variance == 0 or excess(1.0) <= 0:
        d0 = np.inf
    elif start >= 1 or excess(start) >= 0:
        d0 = plain.bulk
    else:
        u = float(optimize.brentq(excess, start, 1.0, xtol=1e-8, rtol=1e-12))  # pyright: ignore[reportArgumentType]
        d0 = u / (1 - u)
    expected_mean, _ = _winsorised_log_f(most, d0)
    s0 = np.exp(trend + mean - expected_mean)
    return _shrink_outliers(_Prior(np.full(n, d0), s0, d0), s2, np.full(n, most))


def _to_equal_df(s2: np.ndarray, d: np.ndarray, plain: _Prior) -> np.ndarray:
    most = d.max()
    ratio = s2 / plain.s0
    upper = ratio > 1
    d0 = plain.bulk
    logs = np.where(upper, _log_sf_f(ratio, d, d0), _log_cdf_f(ratio, d, d0))
    tail = np.exp(logs)
    if np.isinf(d0):
        inner = np.where(upper, special.chdtri(most, tail), 2 * special.gammaincinv(most / 2, tail)) / most
    else:  # the upper quantile as the reciprocal of a lower one: 1 - tail would be 1 far out
        inner = np.where(upper, 1 / special.fdtri(d0, most, tail), special.fdtri(most, d0, tail))
    return np.where(np.isfinite(inner), np.maximum(inner, 1e-300), ratio) * plain.s0


def _log_sf_f(x: np.ndarray, d: np.ndarray, d0: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(stats.chi2.sf(x * d, d) if np.isinf(d0) else stats.f.sf(x, d, d0))


def _log_cdf_f(x: np.ndarray, d: np.ndarray, d0: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(special.chdtr(d, x * d) if np.isinf(d0) else special.fdtr(d, d0, x))


def _log_density(f: np.ndarray, d: float, d0: float) -> np.ndarray:
    if np.isinf(d0):
        return special.xlogy(d / 2 - 1, f) + d / 2 * (np.log(d / 2) - f) - special.gammaln(d / 2)
    return stats.f.logpdf(f, d, d0)


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """(128,) nodes and weights of Gauss-Legendre quadrature on [-1, 1]; numpy takes milliseconds to find them."""
    return np.polynomial.legendre.leggauss(128)


def _winsorised_log_f(d: float, d0: float) -> tuple[float, float]:
    """Mean and variance of ln F(d, d0), winsorised at the tails; by Gauss-Legendre quadrature in F/(1+F)."""
    shares = np.array([_TAILS[0], 1 - _TAILS[1]])
    q = 2 * special.gammaincinv(d / 2, shares) / d if np.isinf(d0) else special.fdtri(d, d0, shares)
    u = q / (1 + q)
    nodes, weights = _quadrature()
    nodes = u.mean() + nodes * np.diff(u)[0] / 2
    weights = weights * np.diff(u)[0] / 2
    f = nodes / (1 - nodes)
    density = np.exp(_log_density(f, d, d0)) / (1 - nodes) ** 2
    z, zq = np.log(f), np.log(q)
    tails = np.array(_TAILS)
    mean = (weights * density * z).sum() + (zq * tails).sum()
    variance = (weights * density * (z - mean) ** 2).sum() + ((zq - mean) ** 2 * tails).sum()
    return float(mean), float(variance)


def _shrink_outliers(fitted: _Prior, s2: np.ndarray, d: np.ndarray) -> _Prior:
    """Gene-wise d0: P(no outlier) d0 + P(outlier) d0', where d0' makes the largest variance a median one."""
    d0 = fitted.bulk
    ratio = s2 / fitted.s0
    log_tail = _log_sf_f(ratio, d, d0)
    keep = _kept(log_tail, ratio)
    if (keep >= 1).all():
        return fitted
    bulk = d0 if np.isfinite(d0) else float(d.sum())
    return replace(fitted, d0=_outlier_df(keep, bulk, ratio, d, log_tail))


def _kept(log_tail: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Probability of being no outlier: theoretical over empirical tail probability, at most 1."""
    n = len(ratio)
    return np.exp(np.minimum(log_tail - np.log((n - stats.rankdata(ratio) + 0.5) / n), 0))


def _outlier_df(keep: np.ndarray, bulk: float, ratio: np.ndarray, d: np.ndarray, log_tail: np.ndarray) -> np.ndarray:
    """keep d0 + (1 - keep) d0', where d0' makes the largest variance a median one; monotone in the tail probability."""
    worst = int(np.argmin(log_tail))
    if np.isneginf(log_tail[worst]):
        outlier = 0.0
    else:
        first = np.log(0.5) / log_tail[worst] * bulk
        again = float(np.log(stats.f.sf(ratio[worst], d[worst], first)))
        outlier = np.log(0.5) / again * first
    own = keep * bulk + (1 - keep) * outlier
    order = np.argsort(log_tail, kind="stable")
    ordered = own[order]
    running = np.cumsum(ordered) / np.arange(1, len(own) + 1)
    least = int(np.argmin(running))
    ordered[: least + 1] = running[least]
    own[order] = np.maximum.accumulate(ordered)
    return own
