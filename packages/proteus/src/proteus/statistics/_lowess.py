"""Weighted local linear regression (Cleveland 1979), for trends over thousands of points."""

import numpy as np

_ANCHORS = 200


def lowess(
    x: np.ndarray, y: np.ndarray, *, weights: np.ndarray | None = None, span: float = 0.3, iterations: int = 0
) -> np.ndarray:
    """Smooth y over x.

    Args:
        x, y: (n,) finite.
        weights: (n,) prior weights; a neighbourhood holds `span` of their sum.
        span: share of the data in each neighbourhood.
        iterations: robust reweightings (bisquare on 6 median absolute residuals).
    Returns:
        (n,) fitted values; exact at anchors spread over x (at 1 % of its range; weighted: up to 200), linear between.
    """
    n = len(x)
    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    if weights is None:
        ws = np.ones(n)
        anchors = _spread(xs, 0.01 * (xs[-1] - xs[0]))
        radius = _nearest_radius(xs, anchors, max(min(int(span * n + 1e-7), n), 2))
    else:
        ws = np.asarray(weights, float)[order]
        anchors = _anchors(xs)
        radius = _radius(xs, ws, anchors, span)
    share = np.abs(xs[None, :] - xs[anchors][:, None]) / radius[:, None]
    kernel = np.where(share < 0.999, (1 - np.where(share < 0.001, 0.0, share) ** 3) ** 3, 0.0)
    robust = np.ones(n)
    fitted = ys
    for _ in range(iterations + 1):
        fitted = np.interp(xs, xs[anchors], _local_lines(kernel * (ws * robust), xs, ys, anchors))
        residual = np.abs(ys - fitted)
        scale = 6 * _weighted_median(residual, ws)
        if scale <= 1e-12 * np.abs(ys).max():
            break
        far = residual / scale
        robust = np.where(far < 0.999, (1 - np.where(far < 0.001, 0.0, far) ** 2) ** 2, 0.0)
    result = np.empty(n)
    result[order] = fitted
    return result


def lowess_span(n: int, *, small: int = 50, least: float = 0.3, power: float = 1 / 3) -> float:
    """A span that shrinks with n: 1 up to `small` points, towards `least` for many."""
    return 1.0 if n <= small else least + (1 - least) * (small / n) ** power


def _anchors(xs: np.ndarray) -> np.ndarray:
    """Positions where the fit is exact: all if few, else spread evenly over the range of x, ends included."""
    if len(xs) <= _ANCHORS:
        return np.arange(len(xs))
    delta = (xs[-1] - xs[0]) / _ANCHORS
    gaps = np.sort(np.diff(xs))
    for dropped in range(_ANCHORS - 1):  # wide gaps need no anchors inside: share the rest of the range
        trial = (xs[-1] - xs[0] - gaps[len(gaps) - dropped :].sum()) / (_ANCHORS - dropped)
        delta = min(delta, trial)
    return _spread(xs, delta)


def _spread(xs: np.ndarray, delta: float) -> np.ndarray:
    """First and last point, and between them the last within `delta` of the anchor before."""
    chosen = [0]
    while chosen[-1] < len(xs) - 1:
        following = int(np.searchsorted(xs, xs[chosen[-1]] + delta, side="right")) - 1
        chosen.append(min(max(following, chosen[-1] + 1), len(xs) - 1))
    return np.array(chosen)


def _nearest_radius(xs: np.ndarray, anchors: np.ndarray, k: int) -> np.ndarray:
    """Distance to the k-th nearest point, the anchor itself counted."""
    distance = np.abs(xs[None, :] - xs[anchors][:, None])
    return np.maximum(np.partition(distance, k - 1, axis=1)[:, k - 1], 1e-12)


def _radius(xs: np.ndarray, ws: np.ndarray, anchors: np.ndarray, span: float) -> np.ndarray:
    """Distance within which the nearest points together weigh `span` of the total."""
    distance = np.abs(xs[None, :] - xs[anchors][:, None])
    order = np.argsort(distance, axis=1, kind="stable")
    held = np.cumsum(ws[order], axis=1)
    last = np.minimum((held < span * ws.sum()).sum(1), len(xs) - 1)
    reach = distance[np.arange(len(anchors)), order[np.arange(len(anchors)), last]]
    return np.maximum(reach, 1e-12) * (1 + 1e-9)


def _local_lines(w: np.ndarray, xs: np.ndarray, ys: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    total = np.maximum(w.sum(1), 1e-300)
    centre_x, centre_y = w @ xs / total, w @ ys / total
    dx = xs[None, :] - centre_x[:, None]
    variance = (w * dx**2).sum(1)
    covariance = (w * dx * (ys[None, :] - centre_y[:, None])).sum(1)
    flat = variance <= 1e-12 * total * max(np.ptp(xs) ** 2, 1e-300)
    slope = np.where(flat, 0.0, covariance / np.where(flat, 1.0, variance))
    return centre_y + slope * (xs[anchors] - centre_x)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    running = np.cumsum(weights[order])
    half = running[-1] / 2
    place = int(np.searchsorted(running, half * (1 - 1e-12)))
    following = min(place + 1, len(values) - 1) if running[place] <= half * (1 + 1e-12) else place
    return float(values[order][[place, following]].mean())
