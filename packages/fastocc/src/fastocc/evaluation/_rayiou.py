"""RayIoU (SparseOcc, arXiv 2312.17118) on the CPU: what a LiDAR at each origin would measure in labels and prediction.

As the published code does: 39 pitches x 360 azimuths = 14,040 rays an origin (its comment says 15,840); the depth of a
ray is where it leaves the first occupied voxel; a ray that meets none keeps the last voxel inside the grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from ninefold.errors import InputError

from fastocc.geometry import GridSpec, raycast

THRESHOLDS = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class RayScore:
    """What `RayIoU.compute` returns; shares, NaN where no ray counted.

    Attributes:
        rayiou: mean over classes and thresholds. at: by threshold in metres. per_class: mean over thresholds.
        rays: number of rays that counted.
    """

    rayiou: float
    at: dict[float, float]
    per_class: dict[str, float]
    rays: int


@cache
def query_rays() -> np.ndarray:
    """(14040, 3) unit directions, pitch by pitch from the lowest."""
    pitches = [-(math.pi / 2 - math.atan(k)) for k in range(1, 11)]
    while pitches[-1] < 0.21:
        pitches.append(2 * pitches[-1] - pitches[-2])
    turns = np.deg2rad(np.arange(360))
    pitch = np.array(pitches)[:, None]
    parts = [np.cos(pitch) * np.cos(turns), np.cos(pitch) * np.sin(turns), np.sin(pitch) * np.ones_like(turns)]
    return np.stack(parts, -1).reshape(-1, 3)


def select_origins(positions: np.ndarray, grid: GridSpec, most: int = 8) -> np.ndarray:
    """Choose at most `most` evenly spaced (n, 3) LiDAR positions inside the grid.

    Positions lie a metre or more from the sides of the grid, as in the published code. If none does, as on
    SemanticKITTI where the sensor is on the edge, all positions inside the grid are candidates.

    Raises: InputError if no position is inside the grid: no ray could be cast.
    """
    low, high = np.array(grid.lower), np.array(grid.upper)
    inside = ((positions >= low) & (positions < high)).all(1)
    margin = np.array([1.0, 1.0, 0.0])
    near = positions[inside & ((positions > low + margin) & (positions < high - margin)).all(1)]
    near = near if len(near) else positions[inside]
    if not len(near):
        first = "none" if not len(positions) else positions[0].round(2).tolist()
        raise InputError(
            "LiDAR positions for RayIoU", got=first, expected=f"inside the grid, {grid.lower} to {grid.upper} m",
            hint="check lidar2ego and the ego poses: metres, and the frame of the labels",
        )  # fmt: skip
    if len(near) <= most:
        return near
    return near[np.round(np.linspace(0, len(near) - 1, most)).astype(int)]


def occupied_origins(origins: np.ndarray, labels: np.ndarray, grid: GridSpec, free: int) -> np.ndarray:
    """(n,) bool: which origins (n, 3) lie in an occupied voxel of labels (X, Y, Z); 255 counts as free."""
    index, inside = grid.index(origins)
    occupied = np.zeros(len(origins), bool)
    found = labels[tuple(index[inside].T)]
    occupied[inside] = (found != free) & (found != 255)
    return occupied


class RayIoU:
    """Streaming RayIoU.

    Args:
        grid: the voxels' grid. classes: names by label, free included. free: its label.

    Examples:
        >>> import numpy as np
        >>> from fastocc import CameraRig, FastOccConfig, GridSpec, RayIoU, Scene

        >>> rig, grid = CameraRig.nominal(32, 64), GridSpec.named("micro")
        >>> frame = Scene(seed=7).frame(0, rig, grid)

        >>> labels = FastOccConfig.preset("micro").labels
        >>> metric = RayIoU(grid, labels.classes, labels.free)
        >>> metric.add(frame.semantics, frame.semantics, origins=np.array([[0.0, 0.0, 1.8]]))
        >>> metric.compute().rayiou
        1.0
    """

    def __init__(self, grid: GridSpec, classes: Sequence[str], free: int) -> None:
        self.grid, self.classes, self.free = grid, list(classes), free
        count = len(self.classes)
        self.truth, self.guess = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.hits = np.zeros((len(THRESHOLDS), count), np.int64)

    def add(self, predicted: np.ndarray, labels: np.ndarray, origins: np.ndarray) -> None:
        """Count one frame.

        Args:
            predicted, labels: (X, Y, Z) labels; 255 counts as free.
            origins: (n, 3) positions in the grid's frame, e.g. from `select_origins`.
        Raises: InputError if an origin is outside the grid, or if all origins are inside occupied voxels: each ray
            would end where it starts, and predictions that are metres off would score like exact ones.
        """
        if origins.ndim != 2 or origins.shape[1] != 3:
            raise InputError("origins", got=f"shape {origins.shape}", expected="(origins, 3)")
        outside = ~self.grid.index(origins)[1]
        if outside.any():
            got = origins[int(outside.argmax())].round(2).tolist()
            raise InputError("origins", got=got, expected="positions inside the grid; see `select_origins`")
        if len(origins) and occupied_origins(origins, labels, self.grid, self.free).all():
            got = f"{origins[0].round(2).tolist()}, inside an occupied voxel"
            raise InputError("origins", got=got, expected="LiDAR positions in free space", hint="check lidar2ego")
        directions = query_rays()
        starts = np.repeat(origins, len(directions), axis=0)
        rays = np.tile(directions, (len(origins), 1))
        volumes = [np.where(one == 255, self.free, one).astype(np.uint8) for one in (labels, predicted)]
        true, got = (raycast(one, self.grid, starts, rays, free=self.free) for one in volumes)
        counted = true.hit
        label = volumes[0].reshape(-1)[true.cell[counted]]
        guess = volumes[1].reshape(-1)[got.cell[counted]]
        error = np.abs(true.leave[counted] - got.leave[counted])
        count = len(self.classes)
        self.truth += np.bincount(label, minlength=count)
        self.guess += np.bincount(guess, minlength=count)
        same = label == guess
        for at, threshold in enumerate(THRESHOLDS):
            self.hits[at] += np.bincount(label[same & (error < threshold)], minlength=count)

    def compute(self) -> RayScore:
        """Scores of all frames so far."""
        union = self.truth + self.guess - self.hits
        shares = np.divide(self.hits, union, out=np.full(self.hits.shape, np.nan), where=union > 0)
        others = [at for at in range(len(self.classes)) if at != self.free]
        shares = shares[:, others]
        known = ~np.isnan(shares[0])
        at = [float(row[known].mean()) if known.any() else float("nan") for row in shares]
        mean = float(np.mean(at))
        return RayScore(
            mean,
            dict(zip(THRESHOLDS, at, strict=True)),
            {self.classes[index]: float(shares[:, place].mean()) for place, index in enumerate(others)},
            int(self.truth.sum()),
        )
