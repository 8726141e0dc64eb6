"""Rays through a volume of labels on the CPU: Amanatides and Woo's traversal, compiled, on several threads."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from ninefold.errors import InputError
from numba import njit

from fastocc.geometry._grid import GridSpec


class RayHits(NamedTuple):
    """What each ray met; all arrays are (rays,).

    Attributes:
        hit: whether it met an occupied voxel.
        cell: flat index (x * Y + y) * Z + z of that voxel; of the last voxel inside the grid for a miss; -1 if the ray
            never enters the grid.
        entry: metres from the origin to where the ray enters that voxel. leave: to where it leaves it.
        axis: 0, 1, 2 for the face through which it entered, -1 if it started inside.
    """

    hit: np.ndarray
    cell: np.ndarray
    entry: np.ndarray
    leave: np.ndarray
    axis: np.ndarray


@njit(cache=True, nogil=True)
def cast_rays(
    volume, free, origins, rays, far, hit, cell, entry, leave, axes, seen, mark
):  # pragma: no cover  (compiled)
    """`raycast` in voxel coordinates, for compiled callers: fills the arrays after `far`; `mark` also fills `seen`."""
    nx, ny, nz = volume.shape
    for ray in range(origins.shape[0]):
        t0, t1 = 0.0, far[ray]
        inside = True
        for a in range(3):
            o, d, n = origins[ray, a], rays[ray, a], volume.shape[a]
            if abs(d) < 1e-12:
                inside = inside and 0 <= o < n
            else:
                low, high = -o / d, (n - o) / d
                if low > high:
                    low, high = high, low
                t0, t1 = max(t0, low), min(t1, high)
        hit[ray], cell[ray], entry[ray], leave[ray], axes[ray] = False, -1, 0.0, 0.0, -1
        if not inside or t0 > t1:
            continue
        start = t0 + 1e-9
        ox, oy, oz = origins[ray, 0], origins[ray, 1], origins[ray, 2]
        dx, dy, dz = rays[ray, 0], rays[ray, 1], rays[ray, 2]
        x = min(max(int(np.floor(ox + dx * start)), 0), nx - 1)
        y = min(max(int(np.floor(oy + dy * start)), 0), ny - 1)
        z = min(max(int(np.floor(oz + dz * start)), 0), nz - 1)
        sx, sy, sz = (1 if dx > 0 else -1), (1 if dy > 0 else -1), (1 if dz > 0 else -1)
        gx = abs(1.0 / dx) if abs(dx) > 1e-12 else np.inf
        gy = abs(1.0 / dy) if abs(dy) > 1e-12 else np.inf
        gz = abs(1.0 / dz) if abs(dz) > 1e-12 else np.inf
        tx = (x + (dx > 0) - ox) / dx if gx < np.inf else np.inf
        ty = (y + (dy > 0) - oy) / dy if gy < np.inf else np.inf
        tz = (z + (dz > 0) - oz) / dz if gz < np.inf else np.inf
        t, axis = t0, -1
        while True:
            nearest = min(tx, ty, tz)
            if mark:
                seen[x, y, z] = True
            if volume[x, y, z] != free:
                hit[ray] = True
                break
            if nearest >= t1:
                break
            px, py, pz = x, y, z
            if tx <= ty and tx <= tz:
                x += sx
                tx += gx
                axis = 0
            elif ty <= tz:
                y += sy
                ty += gy
                axis = 1
            else:
                z += sz
                tz += gz
                axis = 2
            if x < 0 or y < 0 or z < 0 or x >= nx or y >= ny or z >= nz:
                x, y, z = px, py, pz
                break
            t = nearest
        cell[ray], entry[ray], leave[ray], axes[ray] = (x * ny + y) * nz + z, t, nearest, axis


def raycast(
    volume: np.ndarray,
    grid: GridSpec,
    origins: np.ndarray,
    directions: np.ndarray,
    *,
    free: int,
    far: float | np.ndarray = np.inf,
    threads: int | None = None,
) -> RayHits:
    """Follow rays to the first voxel that is not free.

    Args:
        volume: (X, Y, Z) uint8 labels over `grid`. free: the label of empty space.
        origins: (R, 3) or (3,) metres. directions: (R, 3), unit length (distances are in its units).
        far: metres after which a ray ends, a number or (R,).
        threads: number of threads; by default what NUMBA_NUM_THREADS or the machine allows.
    Raises: InputError if the shapes do not fit.

    Examples:
        >>> import numpy as np
        >>> from fastocc import GridSpec, raycast

        >>> grid = GridSpec(lower=(0.0, 0.0, 0.0), voxel=(1.0, 1.0, 1.0), shape=(10, 3, 3))
        >>> volume = np.full(grid.shape, 17, np.uint8)
        >>> volume[6, 1, 1] = 4  # a wall at x = 6
        >>> ahead_and_back = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
        >>> hits = raycast(volume, grid, np.array([0.5, 1.5, 1.5]), ahead_and_back, free=17)
        >>> hits.hit.tolist(), float(hits.entry[0])  # metres to the wall
        ([True, False], 5.5)
    """
    hits, _ = _run(volume, grid, origins, directions, free, far, threads, mark=False)
    return hits


def mark_seen(
    volume: np.ndarray,
    grid: GridSpec,
    origins: np.ndarray,
    directions: np.ndarray,
    *,
    free: int,
    far: float | np.ndarray = np.inf,
) -> np.ndarray:
    """(X, Y, Z) bool: the voxels that rays pass, the first occupied one included. Arguments as for `raycast`."""
    _, seen = _run(volume, grid, origins, directions, free, far, None, mark=True)
    return seen


def _run(volume, grid, origins, directions, free, far, threads, *, mark):
    if volume.shape != grid.shape:
        raise InputError("volume", got=f"shape {volume.shape}", expected=f"{grid.shape} = [x, y, z]")
    directions = np.atleast_2d(np.asarray(directions, dtype=np.float64))
    origins = np.broadcast_to(np.asarray(origins, dtype=np.float64), directions.shape)
    if directions.shape[1:] != (3,):
        raise InputError("directions", got=f"shape {directions.shape}", expected="(rays, 3)")
    count = len(directions)
    start = np.ascontiguousarray((origins - np.array(grid.lower)) / np.array(grid.voxel))
    rays = np.ascontiguousarray(directions / np.array(grid.voxel))
    limits = np.ascontiguousarray(np.broadcast_to(np.asarray(far, dtype=np.float64), (count,)))
    hits = RayHits(
        np.empty(count, np.bool_),
        np.empty(count, np.int64),
        np.empty(count, np.float64),
        np.empty(count, np.float64),
        np.empty(count, np.int8),
    )
    seen = np.zeros(grid.shape if mark else (1, 1, 1), np.bool_)
    volume = np.ascontiguousarray(volume, dtype=np.uint8)

    def part(begin: int, end: int) -> None:
        window = slice(begin, end)
        given = (start[window], rays[window], limits[window])
        found = (hits.hit[window], hits.cell[window], hits.entry[window], hits.leave[window], hits.axis[window])
        cast_rays(volume, free, *given, *found, seen, mark)

    in_parallel(part, count, threads)
    return hits, seen


def thread_count() -> int:
    """Threads to work with: NUMBA_NUM_THREADS, or the processors that this process may use."""
    return int(os.environ.get("NUMBA_NUM_THREADS", 0)) or len(os.sched_getaffinity(0))


def in_parallel(part: Callable[[int, int], None], count: int, threads: int | None = None) -> None:
    """Call part(begin, end) over 0..count in even blocks, on threads (the compiled code lets go of Python's lock)."""
    edges = np.linspace(0, count, min(threads or thread_count(), max(1, count // 2048)) + 1).astype(int)
    blocks = list(itertools.pairwise(edges))
    if len(blocks) == 1:
        part(0, count)
        return
    with ThreadPoolExecutor(len(blocks)) as pool:
        for done in [pool.submit(part, int(begin), int(end)) for begin, end in blocks]:
            done.result()
