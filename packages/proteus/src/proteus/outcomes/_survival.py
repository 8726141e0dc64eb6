"""Survival curves and what is read from them: log-rank, restricted mean, concordance, corrected cut points."""

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from proteus.outcomes._cox import check_survival, kaplan_meier
from proteus.statistics._laws import chi2_sf, normal_density, normal_sf


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


def log_rank(time: np.ndarray, event: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Chi-squared on groups - 1 degrees of freedom, and its p."""
    time, event = check_survival(time, event)
    labels, codes = np.unique(np.asarray(group), return_inverse=True)
    if len(labels) < 2:
        raise InputError("group", got="one group", expected="two or more")
    onehot = np.eye(len(labels))[codes.ravel()]
    observed = np.zeros(len(labels))
    expected = np.zeros(len(labels))
    covariance = np.zeros((len(labels),) * 2)
    for at in np.unique(time[event]):
        risk = onehot[time >= at].sum(0)
        n, died = risk.sum(), onehot[(time == at) & event].sum(0)
        d = died.sum()
        share = risk / n
        observed += died
        expected += d * share
        if n > 1:
            covariance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
    gap = (observed - expected)[:-1]
    statistic = float(gap @ np.linalg.pinv(covariance[:-1, :-1]) @ gap)
    return statistic, float(chi2_sf(statistic, len(labels) - 1))


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
    return a - b, error, float(2 * normal_sf(abs(a - b) / error)) if error > 0 else float("nan")


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


def best_cut(
    score: np.ndarray, time: np.ndarray, event: np.ndarray, *, least: float = 0.1
) -> tuple[float, float, float]:
    """The cut with the largest log-rank statistic, and its p corrected for the search (Lausen & Schumacher 1992).

    Args:
        score: (N,) finite.
        least: share of patients on each side at least.
    Returns:
        (cut: high is above it, standardised statistic, corrected p).
    """
    time, event = check_survival(time, event)
    score = np.asarray(score, float)
    order = np.argsort(score, kind="stable")
    scores = _log_rank_scores(time, event)[order]
    n = len(score)
    total, square = scores.sum(), ((scores - scores.mean()) ** 2).sum()
    sizes = np.arange(1, n)
    allowed = (np.diff(score[order]) > 0) & (sizes >= least * n) & (sizes <= (1 - least) * n)
    if not allowed.any():
        raise InputError("score", got="no cut with enough patients on both sides", expected="more distinct values")
    below = np.cumsum(scores)[:-1]
    statistic = (below - sizes * total / n) / np.sqrt(sizes * (n - sizes) / n / (n - 1) * square)
    best = int(np.argmax(np.where(allowed, np.abs(statistic), -1)))
    b = abs(float(statistic[best]))
    density = normal_density(b)
    # the maximum of the standardised Brownian bridge over [least, 1 - least] (Miller & Siegmund 1982)
    p = 4 * density / b + density * (b - 1 / b) * np.log(((1 - least) / least) ** 2) if b > 1 else 1.0
    cut = float((score[order][best] + score[order][best + 1]) / 2)
    return cut, b, float(min(1.0, max(p, 2 * normal_sf(b))))


def _log_rank_scores(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Event minus Nelson-Aalen hazard at each patient's time."""
    steps, inverse = np.unique(time, return_inverse=True)
    died = np.bincount(inverse.ravel(), weights=event.astype(float), minlength=len(steps))
    left = np.bincount(inverse.ravel(), minlength=len(steps))
    at_risk = len(time) - np.concatenate([[0], np.cumsum(left)[:-1]])
    return event - np.cumsum(died / at_risk)[inverse.ravel()]
