"""The empirical null: centre and width of the bulk of z-values, where N(0, 1) does not hold (Efron 2004)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from proteus.statistics._laws import normal_mass, normal_quantile, normal_sf, t_sf

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
        return moved, 2 * normal_sf(np.abs(moved))


def z_of(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """The normal quantile that has the tail probability of t on df degrees of freedom, sign kept."""
    size, df = np.abs(t), np.broadcast_to(np.asarray(df, float), np.shape(t))
    p = t_sf(size, df)
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.sqrt(np.where(np.isinf(df), size**2, (df - 0.5) * np.log1p(size**2 / df)))  # Wallace 1959
        near = -normal_quantile(p)
    return np.sign(t) * np.where(p > 1e-290, near, far)


def empirical_null(z: np.ndarray) -> EmpiricalNull:
    """Maximum likelihood of a normal truncated to |z - median| < 2.

    Raises:
        InputError: fewer than 50 values, or 30 % or more look changed (then nothing says what unchanged is).
    """
    from scipy import optimize

    z = z[np.isfinite(z)]
    if z.size < 50:
        raise InputError("empirical null", got=f"{z.size} tests", expected="at least 50")
    middle = float(np.median(z))
    inside = z[np.abs(z - middle) < _HALF_WIDTH]
    low, high = middle - _HALF_WIDTH, middle + _HALF_WIDTH
    mean, spread = float(inside.mean()), float(inside.std())

    def deviance(parameters: np.ndarray) -> float:
        centre, width = parameters[0], np.exp(parameters[1])
        mass = normal_mass(low, high, centre, width)
        square = (spread**2 + (mean - centre) ** 2) / width**2  # mean of ((z - centre) / width)^2
        return float(inside.size * (square / 2 + np.log(width) + np.log(max(mass, 1e-300))))

    start = np.array([mean, np.log(max(spread, 1e-3))])
    found = optimize.minimize(deviance, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8})
    centre, width = float(found.x[0]), float(np.exp(found.x[1]))
    expected = normal_mass(low, high, centre, width)
    if expected < 1e-3:
        raise InputError("empirical null", got="a normal that lies beside the bulk of z", expected="one inside it")
    changed = max(0.0, 1 - inside.size / (expected * z.size))
    if changed >= _MOST_CHANGED:
        raise InputError("empirical null", got=f"{changed:.0%} of the features look changed", expected="less than 30 %")
    return EmpiricalNull(centre, width, changed)
