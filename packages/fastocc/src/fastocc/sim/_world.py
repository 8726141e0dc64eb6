"""The fine voxel world of a scene and the shapes that are painted into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from fastocc.geometry import GridSpec, in_parallel

CLASSES = (
    "others", "barrier", "bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "traffic_cone",
    "trailer", "truck", "driveable_surface", "other_flat", "sidewalk", "terrain", "manmade", "vegetation",
)  # fmt: skip
FREE = 17
OTHERS, BARRIER, BICYCLE, BUS, CAR, CONSTRUCTION, MOTORCYCLE, PEDESTRIAN, CONE, TRAILER, TRUCK = range(11)
DRIVEABLE, OTHER_FLAT, SIDEWALK, TERRAIN, MANMADE, VEGETATION = range(11, 17)
_THIN = np.zeros(18, np.int64)  # classes that win a tie of fine cells
_THIN[[OTHERS, BARRIER, BICYCLE, MOTORCYCLE, PEDESTRIAN, CONE]] = 2
_THIN[[CAR, BUS, TRUCK, TRAILER, CONSTRUCTION, MANMADE, VEGETATION]] = 1


@dataclass(frozen=True)
class Shape:
    """A superquadric |x/a|^p + |y/b|^p + |z/c|^q <= 1 (p = q = inf: a box; 2: an ellipsoid).

    Attributes:
        center: metres. size: full edge lengths, metres. yaw: degrees.
        power: (p, q), exponents in the plane and upwards.
    """

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float = 0.0
    power: tuple[float, float] = (np.inf, np.inf)


class World:
    """Class and instance of each fine cell around the scene's middle.

    Attributes:
        grid: 600 x 600 x 60 cells of 0.2 m (other sizes for tests).
        classes: uint8, [x, y, z], 17 = free.
        instances: uint16, 0 where no single object stands.
    """

    def __init__(self, half: float = 60.0, cell: float = 0.2, below: float = 1.0, above: float = 11.0) -> None:
        count, levels = round(2 * half / cell), round((below + above) / cell)
        self.grid = GridSpec((-half, -half, -below), (cell, cell, cell), (count, count, levels))
        self.classes = np.full(self.grid.shape, FREE, np.uint8)
        self.instances = np.zeros(self.grid.shape, np.uint16)

    def copy(self) -> World:
        """An independent copy."""
        other = object.__new__(World)
        other.grid, other.classes, other.instances = self.grid, self.classes.copy(), self.instances.copy()
        return other

    def paint(self, shape: Shape, label: int, instance: int = 0, *, over: bool = True) -> None:
        """Fill the cells whose centre lies in `shape`; without `over`, just those that are free.

        A shape thinner than a cell still fills the cells that hold its middle plane.
        """
        grid, cell = self.grid, self.grid.voxel[0]
        size = np.maximum(shape.size, cell * 1.001)
        reach = np.array([np.hypot(size[0], size[1]) / 2] * 2 + [size[2] / 2])
        low = np.floor((np.array(shape.center) - reach - grid.lower) / cell).astype(int)
        high = np.ceil((np.array(shape.center) + reach - grid.lower) / cell).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, grid.shape)
        if (low >= high).any():
            return
        x, y, z = (grid.lower[a] + cell * (np.arange(low[a], high[a]) + 0.5) - shape.center[a] for a in range(3))
        turn = np.deg2rad(shape.yaw)
        along = np.abs(x[:, None] * np.cos(turn) + y[None] * np.sin(turn)) / (size[0] / 2)
        across = np.abs(y[None] * np.cos(turn) - x[:, None] * np.sin(turn)) / (size[1] / 2)
        up = np.abs(z) / (size[2] / 2)
        p, q = shape.power
        flat = np.maximum(along, across) if np.isinf(p) else (along**p + across**p) ** (1 / p)
        if np.isinf(q):
            mask = (flat <= 1)[:, :, None] & (up <= 1)[None, None]
        else:
            mask = flat[:, :, None] ** q + (up**q)[None, None] <= 1
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        if not over:
            mask &= self.classes[window] == FREE
        self.classes[window][mask] = label
        self.instances[window][mask] = instance

    def labels(self, pose: np.ndarray, grid: GridSpec) -> tuple[np.ndarray, np.ndarray]:
        """Labels of a vehicle's voxels: occupied if any sample in them is; the commonest class, thin ones first.

        A voxel is sampled once for each fine cell: 2 x 2 x 2 times at 0.4 m.

        Args:
            pose: (4, 4) ego to world. grid: the label grid in the ego frame.
        Returns: (X, Y, Z) uint8 classes and uint16 instances.
        """
        classes, instances = np.full(grid.shape, FREE, np.uint8), np.zeros(grid.shape, np.uint16)
        lower, voxel = np.array(grid.lower), np.array(grid.voxel)
        turn = np.ascontiguousarray(pose[:3, :3], dtype=np.float64)
        shift = np.ascontiguousarray(pose[:3, 3] - np.array(self.grid.lower), dtype=np.float64)

        steps = np.maximum(np.ceil(voxel / self.grid.voxel[0] - 1e-6), 1).astype(np.int64)

        def part(begin: int, end: int) -> None:
            _sample(
                self.classes, self.instances, self.grid.voxel[0], turn, shift, lower, voxel, steps, begin, end, _THIN,
                classes, instances,
            )  # fmt: skip

        in_parallel(lambda a, b: part(a // 2048, b // 2048), grid.shape[0] * 2048)
        return classes, instances


@njit(cache=True, nogil=True)
def _sample(
    world, ids, cell, turn, shift, lower, voxel, steps, begin, end, thin, classes, instances
):  # pragma: no cover
    samples = steps[0] * steps[1] * steps[2]
    counts, found = np.zeros(18, np.int64), np.zeros(samples, np.int64)
    for i in range(begin, end):
        for j in range(classes.shape[1]):
            for k in range(classes.shape[2]):
                counts[:] = 0
                total = 0
                for s in range(samples):
                    px = lower[0] + voxel[0] * (i + (s % steps[0] + 0.5) / steps[0])
                    py = lower[1] + voxel[1] * (j + (s // steps[0] % steps[1] + 0.5) / steps[1])
                    pz = lower[2] + voxel[2] * (k + (s // (steps[0] * steps[1]) + 0.5) / steps[2])
                    x = int(np.floor((turn[0, 0] * px + turn[0, 1] * py + turn[0, 2] * pz + shift[0]) / cell))
                    y = int(np.floor((turn[1, 0] * px + turn[1, 1] * py + turn[1, 2] * pz + shift[1]) / cell))
                    z = int(np.floor((turn[2, 0] * px + turn[2, 1] * py + turn[2, 2] * pz + shift[2]) / cell))
                    found[s] = -1
                    if 0 <= x < world.shape[0] and 0 <= y < world.shape[1] and 0 <= z < world.shape[2]:
                        label = world[x, y, z]
                        if label < 17:
                            counts[label] += 1
                            total += 1
                            found[s] = (x * world.shape[1] + y) * world.shape[2] + z
                if total == 0:
                    continue
                best = -1
                for label in range(17):
                    if counts[label] > 0 and (
                        best < 0 or counts[label] * 4 + thin[label] > counts[best] * 4 + thin[best]
                    ):
                        best = label
                classes[i, j, k] = best
                for s in range(samples):
                    if found[s] >= 0:
                        at = found[s]
                        z = at % world.shape[2]
                        y = (at // world.shape[2]) % world.shape[1]
                        x = at // (world.shape[1] * world.shape[2])
                        if world[x, y, z] == best and ids[x, y, z] > 0:
                            instances[i, j, k] = ids[x, y, z]
                            break
