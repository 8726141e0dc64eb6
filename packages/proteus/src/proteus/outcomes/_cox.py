"""Cox regression of every protein at once: Newton's method on the partial likelihood with Efron's ties."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.statistics._error_control import benjamini_hochberg

_SINGULAR = 1e12  # condition of the information from which a feature is a combination of the covariates
_BATCH = 4_000_000  # numbers in one working array


@dataclass(frozen=True)
class _Deaths:
    """Deaths in time order: position, first position still at risk, tie group."""

    place: np.ndarray
    start: np.ndarray
    group: np.ndarray
    first: np.ndarray  # place in the list of deaths where each tie group begins


def cox(
    values: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    *,
    covariates: np.ndarray | None = None,
    iterations: int = 30,
) -> pd.DataFrame:
    """One Cox model a protein, adjusted for shared covariates.

    Args:
        values: (P, N), NaN missing: such patients leave that protein's model.
        time: (N,) follow-up, > 0.
        event: (N,) 1 died, 0 censored.
        covariates: (N, C) numbers, complete; constant ones are left out.
        iterations: Newton steps at most.
    Returns:
        One row a protein: log_hr (per unit), error, z, p, q, n, events, ph_p (score test of proportional hazards
        against 1 - KM(t), Grambsch & Therneau 1994), converged. Monotone likelihoods are not converged and have NaN.
    Raises:
        InputError: on bad times, fewer than two events, or covariates of which one is determined by the others.
    """
    time, event = check_survival(time, event)
    order = np.argsort(time, kind="stable")
    time, event = time[order], event[order]
    extra = np.empty((len(time), 0)) if covariates is None else np.asarray(covariates, float)[order]
    if not np.isfinite(extra).all():
        raise InputError("covariates", got="missing values", expected="complete numbers")
    extra = extra[:, np.ptp(extra, axis=0) > 0]  # a constant says nothing, and makes the information singular
    if extra.shape[1] and np.linalg.matrix_rank(extra - extra.mean(0)) < extra.shape[1]:
        raise InputError("covariates", got="columns that others determine", expected="each to say something of its own")
    deaths = _deaths(time, event)
    weight = _km_before(time, event)[deaths.place]
    step = max(1, _BATCH // (len(time) * (1 + extra.shape[1])))
    parts = [
        _fit(np.asarray(values[i : i + step], float)[:, order], extra, event, deaths, weight, iterations)
        for i in range(0, len(values), step)
    ]
    table = pd.concat(parts, ignore_index=True)
    table.insert(4, "q", benjamini_hochberg(table["p"].to_numpy()))
    return table


def check_survival(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow-up and events as float and bool arrays; InputError if they cannot be used."""
    time, event = np.asarray(time, float), np.asarray(event, float)
    if time.shape != event.shape or not np.isfinite(time).all() or (time <= 0).any():
        raise InputError("follow-up time", got="missing, zero or negative values", expected="positive numbers")
    if not np.isin(event, (0, 1)).all():
        raise InputError("event", got=f"values such as {event[~np.isin(event, (0, 1))][0]}", expected="0 or 1")
    if event.sum() < 2:
        raise InputError("survival", got=f"{int(event.sum())} events", expected="at least two")
    return time, event.astype(bool)


def _deaths(time: np.ndarray, event: np.ndarray) -> _Deaths:
    place = np.flatnonzero(event)
    start = np.searchsorted(time, time[place], side="left")
    _, first, group = np.unique(time[place], return_index=True, return_inverse=True)
    return _Deaths(place, start, group.ravel(), first)


def _km_before(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """1 - Kaplan-Meier just before each time."""
    _, curve, steps, _ = kaplan_meier(time, event)
    place = np.searchsorted(steps, time, side="left") - 1
    return 1 - np.where(place >= 0, curve[np.maximum(place, 0)], 1.0)


def kaplan_meier(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(at risk, survival, distinct times, Greenwood sum of d/(n(n-d)) up to each time)."""
    steps, inverse = np.unique(time, return_inverse=True)
    died = np.bincount(inverse.ravel(), weights=np.asarray(event, float), minlength=len(steps))
    left = np.bincount(inverse.ravel(), minlength=len(steps))
    at_risk = len(time) - np.concatenate([[0], np.cumsum(left)[:-1]])
    survival = np.cumprod(1 - died / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(np.where(died > 0, died / (at_risk * (at_risk - died)), 0.0))
    return at_risk, survival, steps, greenwood


def _fit(
    x: np.ndarray, extra: np.ndarray, event: np.ndarray, deaths: _Deaths, weight: np.ndarray, iterations: int
) -> pd.DataFrame:
    seen = ~np.isnan(x)
    n = seen.sum(1)
    centre = np.where(seen, x, 0).sum(1) / np.maximum(n, 1)
    filled = np.where(seen, x - centre[:, None], 0.0)
    scale = np.sqrt((filled**2).sum(1) / np.maximum(n - 1, 1))
    events = (seen & event).sum(1)
    usable = (scale > 0) & (events >= 2)
    filled /= np.where(scale > 0, scale, 1.0)[:, None]
    shared = (extra - extra.mean(0)) / np.where(extra.std(0) > 0, extra.std(0), 1.0)
    columns = [filled, *(np.broadcast_to(one, filled.shape) for one in shared.T)]
    k = len(columns)
    mask = seen.astype(float)
    dead = mask[:, deaths.place]
    share = _tie_share(dead, deaths)
    beta = np.zeros((len(x), k))
    likelihood = np.full(len(x), -np.inf)
    damp = np.zeros((len(x), k))
    converged = np.zeros(len(x), bool)
    information = np.zeros((len(x), k, k))
    last = None
    for _ in range(iterations):
        value, score, info, pieces = _likelihood(beta, columns, mask, dead, share, deaths)
        worse = value < likelihood - 1e-10 * np.abs(likelihood)
        step_now = np.linalg.solve(info + 1e-12 * np.eye(k), score[..., None])[..., 0]
        done = np.abs(value - likelihood) <= 1e-11 * (np.abs(value) + 1)
        converged |= done & ~worse
        information, last = info, pieces
        if (converged | ~usable).all():
            break
        damp = np.where(worse[:, None], -damp / 2, step_now)
        likelihood = np.where(worse, likelihood, value)
        beta = beta + np.where(converged[:, None], 0.0, np.clip(damp, -4, 4))
    converged &= usable & (np.abs(beta[:, 0]) < 15)
    assert last is not None
    variance = np.full(len(x), np.nan)
    if k > 1:  # a singular row has no variance: NaN, as where nothing converged
        converged[converged] = np.linalg.cond(information[converged]) < _SINGULAR
    variance[converged] = np.linalg.inv(information[converged])[:, 0, 0]
    bad = ~converged
    log_hr = np.where(bad, np.nan, beta[:, 0]) / np.where(scale > 0, scale, 1.0)
    error = np.sqrt(variance) / np.where(scale > 0, scale, 1.0)
    z = log_hr / error
    ph = np.full(len(x), np.nan)
    ph[converged] = _proportional(last, weight, dead)[converged]
    return pd.DataFrame(
        {
            "log_hr": log_hr, "error": error, "z": z, "p": 2 * stats.norm.sf(np.abs(z)),
            "n": n, "events": events, "ph_p": ph, "converged": converged,
        }
    )  # fmt: skip


def _tie_share(dead: np.ndarray, deaths: _Deaths) -> np.ndarray:
    """Efron's l/d of each death: its rank among the deaths of its time over their number, (P, deaths)."""
    running = np.cumsum(dead, axis=1)
    before = running[:, deaths.first] - dead[:, deaths.first]
    rank = running - dead - before[:, deaths.group]
    count = np.add.reduceat(dead, deaths.first, axis=1)[:, deaths.group]
    return rank / np.maximum(count, 1)


_Pieces = tuple[list[np.ndarray], list[list[np.ndarray]], list[np.ndarray]]


def _likelihood(
    beta: np.ndarray, columns: list[np.ndarray], mask: np.ndarray, dead: np.ndarray, share: np.ndarray, deaths: _Deaths
) -> tuple[np.ndarray, np.ndarray, np.ndarray, _Pieces]:
    """Log partial likelihood, score, information, and the per-death residuals and variances they are sums of."""
    eta = np.sum([beta[:, [a]] * column for a, column in enumerate(columns)], axis=0)
    risk = np.exp(np.clip(eta, -50, 50)) * mask
    ties = len(deaths.first) < len(deaths.place)

    def at_risk(summand: np.ndarray) -> np.ndarray:
        total = np.cumsum(summand[:, ::-1], axis=1)[:, ::-1][:, deaths.start]
        if ties:
            tied = np.add.reduceat(summand[:, deaths.place] * dead, deaths.first, axis=1)[:, deaths.group]
            total = total - share * tied
        return total

    s0 = np.maximum(at_risk(risk), 1e-300)
    means = [at_risk(risk * column) / s0 for column in columns]
    residuals = [(column[:, deaths.place] - mean) * dead for column, mean in zip(columns, means, strict=True)]
    k = len(columns)
    variances: list[list[np.ndarray]] = [[] for _ in range(k)]
    for a in range(k):
        for b in range(a + 1):
            second = at_risk(risk * columns[a] * columns[b]) / s0
            variances[a].append((second - means[a] * means[b]) * dead)
    value = ((eta[:, deaths.place] - np.log(s0)) * dead).sum(1)
    score = np.stack([one.sum(1) for one in residuals], 1)
    info = np.empty((len(beta), k, k))
    for a in range(k):
        for b in range(a + 1):
            info[:, a, b] = info[:, b, a] = variances[a][b].sum(1)
    return value, score, info, (residuals, variances, means)


def _proportional(pieces: _Pieces, weight: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """p of the score test for a coefficient of x g(t), g = weight, in addition to the fitted coefficients."""
    residuals, variances, _ = pieces
    g = weight - (dead @ weight / np.maximum(dead.sum(1), 1))[:, None]
    score = (residuals[0] * g).sum(1)
    k = len(residuals)
    info = np.empty((len(g), k, k))
    cross = np.empty((len(g), k))
    for a in range(k):
        for b in range(a + 1):
            info[:, a, b] = info[:, b, a] = variances[a][b].sum(1)
        cross[:, a] = (variances[a][0] * g).sum(1)
    own = (variances[0][0] * g**2).sum(1)
    solved = np.linalg.solve(info + 1e-12 * np.eye(k), cross[..., None])[..., 0]
    free = own - (cross * solved).sum(1)
    return stats.chi2.sf(score**2 / np.maximum(free, 1e-300), 1)
