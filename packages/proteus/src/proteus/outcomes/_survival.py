"""Survival curves and what is read from them: restricted mean, concordance."""

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from scipy import stats

from proteus.outcomes._cox import check_survival, kaplan_meier


@dataclass(frozen=True)
class Curve:
    """Kaplan-Meier curve: at each distinct time the survival and its Greenwood standard error."""

    time: np.ndarray
    survival: np.ndarray
    error: np.ndarray
    at_risk: np.ndarray


def survival_curve(time: np.ndarray, event: np.ndarray) -> Curve:
    """Kaplan-Meier estimate of (N,) times and events."""
    at_risk, survival, steps, greenwood = kaplan_meier(np.asarray(time, float), np.asarray(event, float))
    error = survival * np.sqrt(np.where(survival > 0, greenwood, 0.0))  # a curve at zero has no estimated spread left
    return Curve(steps, survival, error, at_risk)


def restricted_mean(time: np.ndarray, event: np.ndarray, until: float) -> tuple[float, float]:
    """Area under the survival curve up to `until`, and its standard error."""
    curve = survival_curve(time, event)
    at_risk, survival, steps, _ = kaplan_meier(np.asarray(time, float), np.asarray(event, float))
    edges = np.concatenate([[0.0], curve.time[curve.time < until], [until]])
    height = np.concatenate([[1.0], curve.survival[curve.time < until]])
    area = np.diff(edges) * height
    died = np.round(at_risk * (1 - survival / np.concatenate([[1.0], survival[:-1]]).clip(1e-300)))
    inside = steps < until
    rest = area.sum() - np.cumsum(area)[:-1]  # area right of each step
    n, d = at_risk[inside], died[inside]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where((d > 0) & (n > d), rest**2 * d / (n * (n - d)), 0.0)
    return float(area.sum()), float(np.sqrt(part.sum()))


def restricted_mean_difference(
    time: np.ndarray, event: np.ndarray, group: np.ndarray, until: float | None = None
) -> tuple[float, float, float]:
    """(difference true - false group, standard error, p); `until` defaults to the shorter of the last times."""
    time, event = check_survival(time, event)
    group = np.asarray(group, bool)
    if group.all() or not group.any():
        raise InputError("group", got="one group", expected="two")
    until = float(min(time[group].max(), time[~group].max())) if until is None else until
    (a, sa), (b, sb) = (restricted_mean(time[one], event[one], until) for one in (group, ~group))
    error = float(np.hypot(sa, sb))
    return a - b, error, float(2 * stats.norm.sf(abs(a - b) / error)) if error > 0 else float("nan")


def concordance(values: np.ndarray, time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Harrell's C of each row as a risk score: share of comparable pairs where the higher value dies first.

    Args:
        values: (P, N), NaN missing.
    Returns:
        (P,); tied values count half; NaN without comparable pairs.
    """
    time, event = check_survival(time, event)
    seen = ~np.isnan(values)
    filled = np.where(seen, values, 0.0)
    good, pairs = np.zeros(len(values)), np.zeros(len(values))
    for i in np.flatnonzero(event):
        later = (time > time[i]) | ((time == time[i]) & ~event)
        both = seen[:, later] & seen[:, [i]]
        gap = filled[:, [i]] - filled[:, later]
        good += (both * ((gap > 0) + 0.5 * (gap == 0))).sum(1)
        pairs += both.sum(1)
    return np.where(pairs > 0, good / np.maximum(pairs, 1), np.nan)
