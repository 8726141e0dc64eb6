"""How well voxels agree with the returns of a LiDAR sweep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastocc.geometry import GridSpec, raycast

THRESHOLDS = (1.0, 2.0, 4.0)  # metres, as in RayIoU


def ray_agreement(
    margin: np.ndarray, shifts: Sequence[float] | np.ndarray, grid: GridSpec, points: np.ndarray, origin: np.ndarray
) -> np.ndarray:
    """Share of a sweep's rays that end near their return, by the score that is added to free space.

    Args:
        margin: (X, Y, Z) by how much the score of the best class is above that of free space.
        shifts: what is added to the latter. grid: of the voxels.
        points: (P, 3) returns; those outside the grid do not count. origin: (3,) of the sensor.
    Returns: (shifts,) means of the shares within 1, 2 and 4 metres; 0 where no return is in the grid.
    """
    inside = grid.index(points)[1]
    ways = points[inside] - origin
    reach = np.linalg.norm(ways, axis=1)
    ways = ways / np.maximum(reach, 1e-9)[:, None]
    found = []
    for shift in shifts:
        hits = raycast((margin <= shift).astype(np.uint8), grid, origin, ways, free=1)
        off = np.abs(np.where(hits.hit, hits.entry, np.inf) + min(grid.voxel) / 2 - reach)
        found.append(np.mean([(off < one).mean() if len(off) else 0.0 for one in THRESHOLDS]))
    return np.array(found)
