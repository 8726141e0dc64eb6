"""Voxels from above: the topmost voxel of each column, lighter where it is higher. Ahead is up, left is left."""

from __future__ import annotations

import numpy as np
from ninefold.errors import InputError

from fastocc.pictures._colors import colors


def bird_view(
    semantics: np.ndarray, classes: tuple[str, ...], free: int, *, mask: np.ndarray | None = None, scale: int = 4
) -> np.ndarray:
    """Draw.

    Args:
        semantics: (X, Y, Z) labels, 255 drawn as free. classes: names by label. free: label of empty space.
        mask: (X, Y, Z) bool; columns without a marked voxel are darkened. scale: pixels a voxel.
    Returns: (X * scale, Y * scale, 3) uint8.
    """
    if semantics.ndim != 3:
        raise InputError("semantics", got=f"shape {semantics.shape}", expected="(X, Y, Z)")
    filled = (semantics != free) & (semantics != 255)
    levels = semantics.shape[2]
    top = levels - 1 - filled[:, :, ::-1].argmax(2)
    label = np.take_along_axis(semantics, top[:, :, None], 2)[:, :, 0]
    shade = 0.65 + 0.45 * top / max(levels - 1, 1)
    picture = np.clip(colors(classes)[label] * shade[:, :, None], 0, 255)
    picture[~filled.any(2)] = 245
    if mask is not None:
        picture[~mask.any(2)] *= 0.55
    upright = picture[::-1, ::-1].astype(np.uint8)  # x grows upwards, y to the left
    return np.repeat(np.repeat(upright, scale, 0), scale, 1)
