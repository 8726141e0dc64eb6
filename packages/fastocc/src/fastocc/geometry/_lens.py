"""Lenses: OpenCV's equidistant fisheye, and its distortion by radial and tangential coefficients (Brown-Conrady).

A fisheye maps a ray at angle t from the axis to the radius r = t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8). A distorted
camera moves the point (x, y) at depth 1, with r^2 = x^2 + y^2, to
x' = x g + 2 p1 x y + p2 (r^2 + 2 x^2), y' = y g + p1 (r^2 + 2 y^2) + 2 p2 x y, with
g = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6).

The functions take arrays of numpy or torch alike. A lens is a row of 13: k1..k4 of a fisheye; the widest angle at which
the image radius still rises, radians; k1, k2, p1, p2, k3, k4, k5, k6 of a distortion. A row of zeros is a pinhole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ninefold.errors import InputError

LENS_SIZE = 13
_ROUNDS = 12  # of Newton's method: from r, to float64's precision well inside the widest angle
_WIDEST_PLANE = np.deg2rad(88)  # a distorted plane has no points at 90 degrees
_NARROWEST = np.deg2rad(10)
_COUNTS = (4, 5, 8)  # coefficients: radial and tangential, with k3, rational


def lens_row(fisheye: Sequence[float] | None = None, distortion: Sequence[float] | None = None) -> np.ndarray:
    """(13,) float64 row of a lens; zeros without coefficients, or if all of a distortion are 0.

    Args:
        fisheye: k1..k4 of OpenCV's equidistant model.
        distortion: k1, k2, p1, p2, or with k3 (`plumb_bob`), or with k3..k6 (`rational_polynomial`).
    Raises: InputError for another number of coefficients, for both, for values that are not finite, or if the image
        radius falls before 10 degrees.
    """
    row = np.zeros(LENS_SIZE)
    if fisheye is not None and distortion is not None:
        raise InputError("lens", got="fisheye and distortion", expected="one of them")
    if fisheye is not None:
        row[:4] = _finite(fisheye, "fisheye", (4,), "k1, k2, k3, k4")
        row[4] = _widest(slope(_ANGLES, row) > 0, "fisheye", fisheye)
    elif distortion is not None:
        order = "k1, k2, p1, p2 and, if there are more, k3 or k3, k4, k5, k6"
        values = _finite(distortion, "distortion", _COUNTS, order)
        if values.any():
            row[5 : 5 + len(values)] = values
            square = np.tan(_ANGLES[_ANGLES <= _WIDEST_PLANE]) ** 2
            gain, change = _gain(square, row[5:])
            rises = (gain + 2 * square * change > 0) & (_polynomial(square, row[10:13]) > 0)
            row[4] = min(_widest(rises, "distortion", distortion), _WIDEST_PLANE)
    return row


_ANGLES = np.linspace(0, np.pi, 20_001)


def _finite(coefficients: Sequence[float], what: str, counts: Sequence[int], order: str) -> np.ndarray:
    try:
        values = np.asarray(coefficients, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.ndim != 1 or len(values) not in counts or not np.isfinite(values).all() or np.abs(values).max() > 1e3:
        numbers = " or ".join(map(str, counts))
        raise InputError(what, got=coefficients, expected=f"{numbers} finite numbers {order}")
    return values


def _widest(rises: np.ndarray, what: str, coefficients: Sequence[float]) -> float:
    falls = np.flatnonzero(~rises)
    widest = float(_ANGLES[max(falls[0] - 1, 0)]) if len(falls) else float(_ANGLES[len(rises) - 1])
    if widest < _NARROWEST:
        raise InputError(what, got=list(coefficients), expected="an image radius that rises up to 10 degrees at least")
    return widest


def is_distorted(lens: Any) -> Any:
    """(...) bool: which rows (..., 13) are distortions, not fisheyes or pinholes."""
    return (lens[..., 5:] != 0).any(-1)


def radius(angle: Any, k: Any) -> Any:
    """Image radius at focal length 1 of a ray at `angle` radians from the axis; `k`: (..., 4 or more)."""
    square = angle * angle
    return angle * (1 + square * (k[..., 0] + square * (k[..., 1] + square * (k[..., 2] + square * k[..., 3]))))


def slope(angle: Any, k: Any) -> Any:
    """Derivative of `radius` with respect to the angle."""
    square = angle * angle
    inner = 7 * k[..., 2] + square * 9 * k[..., 3]
    return 1 + square * (3 * k[..., 0] + square * (5 * k[..., 1] + square * inner))


def angle_of(wanted: Any, k: Any) -> Any:
    """The angle whose radius is `wanted` (>= 0), by Newton's method; beyond the widest angle it means nothing."""
    widest = k[..., 4] + 0 * wanted
    angle = widest - (widest - wanted).clip(min=0)  # the radius itself, at most the widest angle
    for _ in range(_ROUNDS):
        step = (radius(angle, k) - wanted) / slope(angle, k).clip(min=0.05)
        angle = widest - (widest - (angle - step).clip(min=0)).clip(min=0)
    return angle


def _polynomial(square: Any, k: Any) -> Any:
    return 1 + square * (k[..., 0] + square * (k[..., 1] + square * k[..., 2]))


def _gain(square: Any, c: Any) -> tuple[Any, Any]:
    """Radial factor g at r^2 = `square`, and its derivative with respect to r^2; `c`: (..., 8), OpenCV's order."""
    top = 1 + square * (c[..., 0] + square * (c[..., 1] + square * c[..., 4]))
    rise = c[..., 0] + square * (2 * c[..., 1] + square * 3 * c[..., 4])
    below = _polynomial(square, c[..., 5:])
    fall = c[..., 5] + square * (2 * c[..., 6] + square * 3 * c[..., 7])
    return top / below, (rise - top / below * fall) / below


def distort(x: Any, y: Any, lens: Any) -> tuple[Any, Any]:
    """Points (x, y) at depth 1 as a distorted camera sees them; `lens`: (..., 13)."""
    c = lens[..., 5:]
    square = x * x + y * y
    gain, _ = _gain(square, c)
    cross, p1, p2 = 2 * x * y, c[..., 2], c[..., 3]
    return x * gain + p1 * cross + p2 * (square + 2 * x * x), y * gain + p1 * (square + 2 * y * y) + p2 * cross


def undistort(u: Any, v: Any, lens: Any) -> tuple[Any, Any, Any]:
    """Points at depth 1 that `distort` moves to (u, v), and how far from (u, v) it really moves them.

    Newton's method, kept inside the widest angle. Where the distance is large no such point exists.
    """
    c, tangent = lens[..., 5:], lens[..., 4].clip(max=float(_WIDEST_PLANE))
    farthest = tangent.tan() if hasattr(tangent, "tan") else np.tan(tangent)
    p1, p2 = c[..., 2], c[..., 3]

    def inside(x: Any, y: Any) -> tuple[Any, Any]:
        shrink = farthest / ((x * x + y * y) ** 0.5).clip(min=1e-9)
        shrink = 1 - (1 - shrink).clip(min=0)
        return x * shrink, y * shrink

    x, y = inside(u, v)
    for _ in range(_ROUNDS):
        moved_x, moved_y = distort(x, y, lens)
        gain, change = _gain(x * x + y * y, c)
        a = gain + 2 * x * x * change + 2 * p1 * y + 6 * p2 * x
        b = 2 * x * y * change + 2 * p1 * x + 2 * p2 * y
        d = gain + 2 * y * y * change + 6 * p1 * y + 2 * p2 * x
        scale = (a * d - b * b).clip(min=0.02)
        off_x, off_y = moved_x - u, moved_y - v
        x, y = inside(x - (d * off_x - b * off_y) / scale, y - (a * off_y - b * off_x) / scale)
    moved_x, moved_y = distort(x, y, lens)
    return x, y, ((moved_x - u) ** 2 + (moved_y - v) ** 2) ** 0.5


UNDISTORTED = 1e-3  # largest distance of `undistort` at focal length 1: half a pixel at 500 pixels


def pixel_rays(pixels: np.ndarray, intrinsic: np.ndarray, lens: np.ndarray | None = None) -> np.ndarray:
    """Directions of pixels in camera coordinates.

    Args:
        pixels: (..., 2) columns and rows. intrinsic: (3, 3). lens: (13,) of `lens_row`; None or zeros: a pinhole.
    Returns: (..., 3): z = 1 of a pinhole or distorted camera, unit vectors of a fisheye; NaN beyond the widest angle.
    """
    flat = np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1) @ np.linalg.inv(intrinsic).T
    if lens is None or not lens[4]:
        return flat
    if is_distorted(lens):
        x, y, off = undistort(flat[..., 0], flat[..., 1], lens)
        return np.where((off < UNDISTORTED)[..., None], np.stack([x, y, np.ones_like(x)], -1), np.nan)
    bent = np.linalg.norm(flat[..., :2], axis=-1)
    angle = angle_of(bent, lens)
    around = flat[..., :2] / np.maximum(bent, 1e-12)[..., None]
    rays = np.concatenate([around * np.sin(angle)[..., None], np.cos(angle)[..., None]], -1)
    return np.where((bent <= radius(lens[4], lens))[..., None], rays, np.nan)


def project_points(
    points: np.ndarray, intrinsic: np.ndarray, lens: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (P, 2) and depths (P,) of points (P, 3) in camera coordinates.

    Depth is along the axis; of a fisheye it is the distance. It is negative beyond the widest angle of a lens. Pixels
    of depths <= 0 have no meaning.
    """
    depth = points[:, 2]
    if lens is not None and lens[4]:
        across = np.linalg.norm(points[:, :2], axis=1)
        angle = np.arctan2(across, depth)
        if is_distorted(lens):
            ahead = np.maximum(depth, 1e-6)
            bent = np.column_stack(distort(points[:, 0] / ahead, points[:, 1] / ahead, lens))
            depth = np.where(angle <= lens[4], depth, -np.abs(depth))
        else:
            bent = points[:, :2] * (radius(angle, lens) / np.maximum(across, 1e-12))[:, None]
            distance = np.linalg.norm(points, axis=1)
            depth = np.where(angle <= lens[4], distance, -distance)
        points = np.column_stack([bent, np.ones(len(points))])
    flat = points @ intrinsic.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return flat[:, :2] / flat[:, 2:], depth
