"""How a contrast's test takes missing values: in the likelihood; as refits of it, left out, or at a floor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from ninefold.errors import InputError
from scipy import stats

from proteus.statistics._censored import NO_CURVE, SeenCurve, censored_test, fit_seen_curve
from proteus.statistics._detection import detection_p
from proteus.statistics._linear_model import LinearFit, fit_linear_model
from proteus.statistics._moderated_t import ModeratedT

Kind = Literal["modelled", "seen", "floor"]
_SAMPLES, _VALUES = 3, 2  # a feature that one group lacks: samples of each group, values in the other, at least


@dataclass(frozen=True, kw_only=True)
class MissingModel:
    """What a missing value says.

    Attributes:
        kind: `modelled`: that the level may be low, by the table's curve of P(seen | level); `seen`: nothing; `floor`:
            nothing, but for a feature that one group lacks, which is taken to be at the floor there.
        slope: share of the curve's slope that is believed.
        curve_of: samples the curve is fitted to: both groups (and all others), or one of the two.
        floor: quantile of each run that is its floor, for `floor`.
    """

    kind: Kind = "modelled"
    slope: float = 1.0
    curve_of: Literal["all", "first", "second"] = "all"
    floor: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError("missing", got=repr(self.kind), expected=f"one of: {', '.join(get_args(Kind))}")
        if not 0 <= self.slope <= 1:
            raise InputError("slope", got=self.slope, expected="a share from 0 to 1")
        if not 0 < self.floor < 1:
            raise InputError("floor", got=self.floor, expected="a quantile between 0 and 1")


@dataclass(frozen=True)
class Groups:
    """The samples of a contrast's two levels, (N,) bool each, and what of each feature is seen there."""

    first: np.ndarray
    second: np.ndarray
    seen: np.ndarray  # (P, 2) counts
    size: np.ndarray  # (2,)

    @classmethod
    def of(cls, values: np.ndarray, first: np.ndarray, second: np.ndarray) -> Groups:
        """Count what is seen in (P, N) values."""
        seen = ~np.isnan(values)
        return cls(first, second, np.stack([seen[:, first].sum(1), seen[:, second].sum(1)], 1),
                   np.array([first.sum(), second.sum()]))  # fmt: skip

    @property
    def only(self) -> np.ndarray:
        """(P,) 1 where only the first group has the feature, -1 the second, else 0."""
        lacks = self.seen == 0
        return (lacks[:, 1] & ~lacks[:, 0]).astype(int) - (lacks[:, 0] & ~lacks[:, 1])

    @property
    def testable(self) -> np.ndarray:
        """(P,) seen in both; or twice in one of two groups of three samples or more."""
        return (self.seen > 0).all(1) | ((self.seen.max(1) >= _VALUES) & (self.size.min() >= _SAMPLES))

    def erratic(self, curve: SeenCurve, level: np.ndarray) -> np.ndarray:
        """(P,) shift of the curve for a feature of one group that is seen there less often than the curve has it.

        Where both groups have values, their spread tells (see `censored_test`); here nothing else would: what is missed
        in half of the runs of one group may well be missed in all of the other's.
        """
        count, size = self.seen.max(1), self.size[self.seen.argmax(1)]
        own = np.log((count + 0.5) / (size - count + 0.5))
        lower = np.minimum(own - (curve.intercept + curve.slope * level), 0.0)
        return np.where((self.only != 0) & (count < size), lower, 0.0)

    @property
    def exact_p(self) -> np.ndarray:
        """(P,) Fisher's exact test of the counts."""
        return detection_p(self.seen, self.size)


def curve_of(values: np.ndarray, design: np.ndarray, groups: Groups | None, model: MissingModel) -> SeenCurve:
    """The table's curve as the model takes it; `NO_CURVE` where missing values say nothing."""
    if model.kind != "modelled":
        return NO_CURVE
    within = None
    if model.curve_of != "all":
        if groups is None:
            raise InputError("curve_of", got=model.curve_of, expected="all, for a contrast that is no pair of levels")
        within = groups.first if model.curve_of == "first" else groups.second
    return fit_seen_curve(values, design, within).flatter(model.slope)


def with_missing(
    plain: ModeratedT,
    fit: LinearFit,
    vector: np.ndarray,
    values: np.ndarray,
    groups: Groups | None,
    model: MissingModel,
    curve: SeenCurve,
    *,
    shares: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> tuple[ModeratedT, np.ndarray]:
    """A moderated test with what missing values say, and (P,) how many of a feature's enter it.

    A feature that one group lacks has p, and t for its side, and neither effect nor error: there is no measured change.

    Args:
        plain: of the seen values.
        values: (P, N) that `fit` is of.
        shares: (N,) what a missing value counts for; None: 1.
        weights: of the samples, for the floor's fit.
    """
    missing = np.isnan(values)
    only = np.zeros(len(values), int) if groups is None else groups.only
    test = np.isfinite(plain.effect)  # else the seen values have no such contrast: of levels in different blocks, say
    if groups is not None:
        test = groups.testable & (test | (only != 0))
    effect, error, t, p = (one.copy() for one in (plain.effect, plain.error, plain.t, plain.p))
    for one in (effect, error, t, p):
        one[~test | (only != 0)] = np.nan
    entering = np.zeros(len(values), int)
    lfc = plain.lfc
    if model.kind == "floor" and (test & (only != 0)).any():
        rows = np.flatnonzero(test & (only != 0))
        t[rows], p[rows] = _at_floor(plain, vector, values, rows, fit, model.floor, weights)
        entering[rows] = missing[rows].sum(1)
    elif curve.slope > 0:
        concerned = missing if groups is None else missing & (groups.first | groups.second)
        rows = np.flatnonzero(test & concerned.any(1))
        shift = None if groups is None else groups.erratic(curve, fit.mean)[rows]
        found = censored_test(
            fit, vector, plain.prior.posterior, curve, rows, lfc=lfc, weights=shares, shift=shift
        )  # fmt: skip
        df = plain.df[rows]
        effect[rows], error[rows] = found.effect, found.error
        t[rows] = found.sign * np.maximum(found.above, 0.0)
        p[rows] = np.minimum(stats.t.sf(found.above, df) + stats.t.sf(found.beyond, df), 1.0)
        entering[rows] = concerned[rows].sum(1)
        effect[only != 0], error[only != 0] = np.nan, np.nan
    return replace(plain, effect=effect, error=error, t=t, p=p), entering


def _at_floor(
    plain: ModeratedT, vector: np.ndarray, values: np.ndarray, rows: np.ndarray, fit: LinearFit, quantile: float,
    weights: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(t, p) of rows whose missing values are at each run's floor; the variance is that of the seen values."""
    floor = np.nanquantile(values, quantile, axis=0)
    filled = np.where(np.isnan(values[rows]), floor, values[rows])
    if weights is not None and weights.ndim == 2:
        weights = weights[rows]
    effect, deviation = (one[:, 0] for one in fit_linear_model(filled, fit.design, weights=weights).contrast(vector))
    error, df = deviation * np.sqrt(plain.prior.posterior[rows]), plain.df[rows]
    above = (np.abs(effect) - plain.lfc) / error
    p = stats.t.sf(above, df) + stats.t.sf((np.abs(effect) + plain.lfc) / error, df)
    return np.sign(effect) * np.maximum(above, 0.0), np.minimum(p, 1.0)
