"""The empirical null: centre and width of the bulk of z-values, where N(0, 1) does not hold (Efron 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from scipy import optimize, stats

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
    size, df = np.abs(t), np.broadcast_to(np.asarray(df, float), np.shape(t))
    p = stats.t.sf(size, df)
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.sqrt(np.where(np.isinf(df), size**2, (df - 0.5) * np.log1p(size**2 / df)))  # Wallace 1959
        near = stats.norm.isf(p)
    return np.sign(t) * np.where(p > 1e-290, near, far)


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
    if expected < 1e-3:
        raise InputError("empirical null", got="a normal that lies beside the bulk of z", expected="one inside it")
    changed = max(0.0, 1 - inside.size / (float(expected) * z.size))
    if changed >= _MOST_CHANGED:
        raise InputError("empirical null", got=f"{changed:.0%} of the features look changed", expected="less than 30 %")
    return EmpiricalNull(centre, width, changed)
