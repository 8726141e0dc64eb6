"""What sweeps leave open: ground between the beams, and things that moved where nobody drew boxes."""

from __future__ import annotations

import numpy as np

from fastocc.geometry import GridSpec, mark_seen

_NEAR, _WIDE = (4, 2), (12, 4)  # cells: half width and step of the windows that say what is low
_LOW = 30  # per cent: the lowest voxel of a column is ground where it is among the lowest around it
_STEP = 1  # levels that it may be above the lowest of the wide window: higher ones are walls and trees
_MOST = 4  # of six neighbours: a voxel between so many filled ones is filled
_MARGIN = 1.5  # voxels before its point in which a ray contradicts nothing


def ground_levels(filled: np.ndarray, farthest: int) -> tuple[np.ndarray, np.ndarray]:
    """The level of the ground in each column.

    A column's lowest voxel is ground where it is as low as the lowest third near it, and not far above that of a wide
    window. Other columns take the lowest ground next to them, step by step.

    Args:
        filled: (X, Y, Z) bool. farthest: steps, cells.
    Returns: (X, Y) int64 level, -1 where none is near; and (X, Y) int64 flat index of the column that it comes from.
    """
    high = filled.shape[2]
    low = np.where(filled.any(2), filled.argmax(2), high).astype(np.int64)
    is_ground = (low < high) & (low <= _usual(low, high, _NEAR)) & (low <= _usual(low, high, _WIDE) + _STEP)
    level = np.where(is_ground, low, high)
    origin = np.arange(level.size).reshape(level.shape)
    for _ in range(farthest):
        open_ = level == high
        if not open_.any():
            break
        levels, origins = (_shifted(one, range(-1, 2), fill) for one, fill in ((level, high), (origin, 0)))
        best = levels.argmin(0)[None]
        level = np.where(open_, np.take_along_axis(levels, best, 0)[0], level)
        origin = np.where(open_, np.take_along_axis(origins, best, 0)[0], origin)
    return np.where(level == high, -1, level), origin


def _usual(low: np.ndarray, high: int, window: tuple[int, int]) -> np.ndarray:
    """(X, Y) the level below which the lowest third of the columns around lie; -1 where none holds anything."""
    half, step = window
    around = _shifted(np.where(low < high, low, np.nan).astype(float), range(-half, half + 1, step), np.nan)
    ordered, count = np.sort(around, axis=0), (~np.isnan(around)).sum(0)  # NaN last
    place = np.minimum((count * _LOW) // 100, np.maximum(count - 1, 0))
    return np.nan_to_num(np.take_along_axis(ordered, place[None], 0)[0], nan=-1)


def close_gaps(semantics: np.ndarray, free: int) -> np.ndarray:
    """(X, Y, Z) labels in which empty voxels with at least four filled ones of their six neighbours are filled too.

    Args:
        semantics: labels. free: of empty space. A new voxel takes the commonest label next to it.
    """
    padded = np.pad(semantics, 1, constant_values=free)
    x, y, z = semantics.shape
    sides = np.stack([
        padded[1 + a : 1 + a + x, 1 + b : 1 + b + y, 1 + c : 1 + c + z]
        for a, b, c in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
    ])  # fmt: skip
    place = np.nonzero((semantics == free) & ((sides != free).sum(0) >= _MOST))
    beside = sides[(slice(None), *place)]
    votes = (beside[:, None] == beside[None]).sum(1) * (beside != free)
    made = semantics.copy()
    made[place] = np.take_along_axis(beside, votes.argmax(0)[None], 0)[0]
    return made


def fill_ground(semantics: np.ndarray, free: int, farthest: float, voxel: float) -> np.ndarray:
    """(X, Y, Z) labels with ground in columns where it was not hit, of the class of the ground next to them.

    Args:
        semantics: labels. free: of empty space. farthest: metres that ground reaches from where it was hit.
        voxel: edge of a voxel, metres.
    """
    filled = semantics != free
    level, origin = ground_levels(filled, round(farthest / voxel))
    made = semantics.copy()
    x, y = np.nonzero(level >= 0)
    z, start = level[x, y], np.unravel_index(origin[x, y], level.shape)
    beside = filled[x, y, np.maximum(z - 1, 0)] | filled[x, y, np.minimum(z + 1, filled.shape[2] - 1)]
    new = ~filled[x, y, z] & ~beside
    made[x[new], y[new], z[new]] = semantics[start[0][new], start[1][new], z[new]]
    return made


def contradicted(
    points: list[np.ndarray], sensors: list[np.ndarray], grid: GridSpec, reference: int
) -> list[np.ndarray]:  # fmt: skip
    """Points that moved: another sweep looked through their voxel, and hit nothing in it or next to it.

    Args:
        points: of each sweep, (P, 3) in the grid's frame. sensors: (3,) of each. reference: its own points stay.
    Returns: (P,) bool for each sweep.
    """
    empty, margin = np.zeros(grid.shape, np.uint8), _MARGIN * grid.voxel[0]
    through: list[np.ndarray] = []
    for mine, sensor in zip(points, sensors, strict=True):
        rays = mine - sensor
        reach = np.linalg.norm(rays, axis=1)
        far = reach > margin + 1e-6
        seen = mark_seen(
            empty, grid, np.broadcast_to(sensor, rays[far].shape), rays[far] / reach[far, None], free=0,
            far=reach[far] - margin,
        )  # fmt: skip
        index, inside = grid.index(mine)
        hit = np.zeros(grid.shape, bool)
        hit[tuple(index[inside].T)] = True
        for axis in range(3):
            hit = np.maximum.reduce([hit, np.roll(hit, 1, axis), np.roll(hit, -1, axis)])
        through.append(seen & ~hit)
    moved = []
    for at, mine in enumerate(points):
        index, inside = grid.index(mine)
        gone = np.zeros(len(mine), bool)
        if at != reference:
            others = np.logical_or.reduce([one for place, one in enumerate(through) if place != at])
            gone[inside] = others[tuple(index[inside].T)]
        moved.append(gone)
    return moved


def _shifted(array: np.ndarray, steps: range, fill: float) -> np.ndarray:
    """(n, X, Y) copies, moved by each pair of steps; the middle one is the array itself."""
    far = max(abs(one) for one in steps)
    padded = np.pad(array, far, constant_values=fill)
    x, y = array.shape
    return np.stack([padded[far + a : far + a + x, far + b : far + b + y] for a in steps for b in steps])
