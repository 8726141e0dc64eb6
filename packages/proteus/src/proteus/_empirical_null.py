"""The empirical null: centre and width of the bulk of z-values, where the theoretical N(0, 1) does not hold (Efron 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from ninefold.errors import InputError

_HALF_WIDTH = 2.0
_MOST_CHANGED = 0.3


@dataclass(frozen=True)
class EmpiricalNull:
    """N(centre, width^2) of unchanged features' z; `changed` is the share of z outside two widths beyond chance."""

    centre: float
    width: float
    changed: float

    def apply(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(z under this null, two-sided p)."""
        moved = (z - self.centre) / self.width
        return moved, 2 * stats.norm.sf(np.abs(moved))


def z_of(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """The normal quantile that has the tail probability of t on df degrees of freedom, sign kept."""
    log_p = stats.t.logsf(np.abs(t), df)
    return np.sign(t) * _normal_isf(log_p)


def _normal_isf(log_p: np.ndarray) -> np.ndarray:
    """x with ln P(N > x) = log_p, without underflow: two Newton steps on scipy's start where p is tiny."""
    with np.errstate(over="ignore", divide="ignore"):
        x = stats.norm.isf(np.exp(np.maximum(log_p, -700)))
    tiny = log_p < -600
    x = np.where(tiny, np.sqrt(np.maximum(-2 * log_p - np.log(-4 * np.pi * np.minimum(log_p, -1)), 0)), x)
    for _ in range(2):
        value = stats.norm.logsf(x)
        slope = -np.exp(stats.norm.logpdf(x) - value)
        x = np.where(tiny, x - (value - log_p) / slope, x)
    return x


def empirical_null(z: np.ndarray) -> EmpiricalNull:
    """Maximum likelihood of a normal truncated to |z - median| < 2.

    Raises:
        InputError: fewer than 50 values, or 30 % or more look changed (then nothing says what unchanged is).
    """
    z = z[np.isfinite(z)]
    if z.size < 50:
        raise InputError("empirical null", got=f"{z.size} tests", expected="at least 50")
    middle = float(np.median(z))
    inside = z[np.abs(z - middle) < _HALF_WIDTH]
    low, high = middle - _HALF_WIDTH, middle + _HALF_WIDTH

    def deviance(parameters: np.ndarray) -> float:
        centre, width = parameters[0], np.exp(parameters[1])
        mass = stats.norm.cdf(high, centre, width) - stats.norm.cdf(low, centre, width)
        return -float(stats.norm.logpdf(inside, centre, width).sum() - inside.size * np.log(max(mass, 1e-300)))

    start = np.array([inside.mean(), np.log(max(inside.std(), 1e-3))])
    found = optimize.minimize(deviance, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8})
    centre, width = float(found.x[0]), float(np.exp(found.x[1]))
    expected = stats.norm.cdf(high, centre, width) - stats.norm.cdf(low, centre, width)
    changed = max(0.0, 1 - inside.size / (expected * z.size))
    if changed >= _MOST_CHANGED:
        raise InputError("empirical null", got=f"{changed:.0%} of the features look changed", expected="less than 30 %")
    return EmpiricalNull(centre, width, changed)
