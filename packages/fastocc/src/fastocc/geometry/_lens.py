"""Fisheye lenses: OpenCV's equidistant model, r = t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8) for a ray at angle t.

The functions take arrays of numpy or torch alike. A lens is a row k1, k2, k3, k4 and the widest angle at which r still
rises, radians; a row of zeros is a pinhole camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ninefold.errors import InputError

_ROUNDS = 12  # of Newton's method: from r, to float64's precision well inside the widest angle


def lens_row(coefficients: Sequence[float]) -> np.ndarray:
    """(5,) float64: k1..k4, and the widest angle at which the image radius still rises, at most pi.

    Raises: InputError unless four finite numbers are given, or if the radius falls before 10 degrees.
    """
    values = np.asarray(coefficients, dtype=np.float64)
    if values.shape != (4,) or not np.isfinite(values).all() or np.abs(values).max() > 1e3:
        raise InputError("fisheye", got=list(coefficients), expected="four finite numbers k1, k2, k3, k4")
    angles = np.linspace(0, np.pi, 20_001)
    falls = np.flatnonzero(slope(angles, values) <= 0)
    widest = float(angles[falls[0] - 1]) if len(falls) else np.pi
    if widest < np.deg2rad(10):
        raise InputError("fisheye", got=values.tolist(), expected="a radius that rises up to 10 degrees at least")
    return np.array([*values, widest])


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


def pixel_rays(pixels: np.ndarray, intrinsic: np.ndarray, lens: np.ndarray | None = None) -> np.ndarray:
    """Directions of pixels in camera coordinates.

    Args:
        pixels: (..., 2) columns and rows. intrinsic: (3, 3). lens: (5,) of `lens_row`; None or zeros: a pinhole.
    Returns: (..., 3): of a pinhole with z = 1; of a fisheye unit vectors, NaN beyond the widest angle.
    """
    flat = np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1) @ np.linalg.inv(intrinsic).T
    if lens is None or not lens[4]:
        return flat
    bent = np.linalg.norm(flat[..., :2], axis=-1)
    angle = angle_of(bent, lens)
    around = flat[..., :2] / np.maximum(bent, 1e-12)[..., None]
    rays = np.concatenate([around * np.sin(angle)[..., None], np.cos(angle)[..., None]], -1)
    return np.where((bent <= radius(lens[4], lens))[..., None], rays, np.nan)


def project_points(
    points: np.ndarray, intrinsic: np.ndarray, lens: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (P, 2) and depths (P,) of points (P, 3) in camera coordinates.

    Depth is along the axis; of a fisheye it is the distance, negative beyond the widest angle. Pixels of depths <= 0
    mean nothing.
    """
    depth = points[:, 2]
    if lens is not None and lens[4]:
        across = np.linalg.norm(points[:, :2], axis=1)
        angle = np.arctan2(across, depth)
        distance = np.linalg.norm(points, axis=1)
        bent = points[:, :2] * (radius(angle, lens) / np.maximum(across, 1e-12))[:, None]
        points = np.column_stack([bent, np.ones(len(points))])
        depth = np.where(angle <= lens[4], distance, -distance)
    flat = points @ intrinsic.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return flat[:, :2] / flat[:, 2:], depth
