"""The voxel grid: which box of space it covers, and how points and voxels correspond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from ninefold.errors import InputError

Array = TypeVar("Array")


@dataclass(frozen=True)
class GridSpec:
    """A box of space cut into voxels; arrays over it are indexed [x, y, z].

    Attributes:
        lower: (x, y, z) of the corner with the smallest coordinates, metres.
        voxel: edge lengths (x, y, z), metres.
        shape: number of voxels (X, Y, Z).

    Examples:
        >>> from fastocc import GridSpec

        >>> grid = GridSpec.named("occ3d")
        >>> grid.shape, grid.voxel, grid.upper
        ((200, 200, 16), (0.4, 0.4, 0.4), (40.0, 40.0, 5.4))
        >>> GridSpec(lower=(-8.0, -8.0, -1.0), voxel=(0.4, 0.4, 0.4), shape=(40, 40, 16)).size
        25600
    """

    lower: tuple[float, float, float]
    voxel: tuple[float, float, float]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if not all(np.isfinite([*self.lower, *self.voxel])) or min(self.voxel) <= 0:
            raise InputError("grid", got=f"lower {self.lower}, voxel {self.voxel}", expected="finite, voxel > 0")
        if min(self.shape) < 1:
            raise InputError("grid shape", got=self.shape, expected="at least one voxel on each axis")

    @property
    def upper(self) -> tuple[float, float, float]:
        """(x, y, z) of the opposite corner, metres."""
        x, y, z = (low + size * count for low, size, count in zip(self.lower, self.voxel, self.shape, strict=True))
        return x, y, z

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def centers(self) -> np.ndarray:
        """(X, Y, Z, 3) float32 coordinates of the voxel centres, metres."""
        axes = [
            low + size * (np.arange(count) + 0.5)
            for low, size, count in zip(self.lower, self.voxel, self.shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)

    def index(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Voxels that hold points.

        Args:
            points: (..., 3) coordinates, metres.
        Returns: (..., 3) int64 indices, by floor (truncation would pull points at -1..0 into voxel 0), and (...) bool,
            whether the point lies inside the grid.
        """
        index = np.floor((np.asarray(points) - np.array(self.lower)) / np.array(self.voxel)).astype(np.int64)
        return index, np.asarray(((index >= 0) & (index < np.array(self.shape))).all(-1))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"lower": list(self.lower), "voxel": list(self.voxel), "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GridSpec:
        """From `to_dict`; InputError names a field that is missing or wrong."""
        try:
            lower, voxel = ([float(one) for one in values[key]] for key in ("lower", "voxel"))
            shape = [int(one) for one in values["shape"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("grid", got=error, expected="lower, voxel and shape, three numbers each") from None
        if {len(lower), len(voxel), len(shape)} != {3}:
            raise InputError("grid", got=dict(values), expected="three numbers each")
        return cls((lower[0], lower[1], lower[2]), (voxel[0], voxel[1], voxel[2]), (shape[0], shape[1], shape[2]))

    @classmethod
    def named(cls, name: str) -> GridSpec:
        """A grid of the label formats: occ3d, openocc-v1, semantickitti, or mini (the middle of occ3d)."""
        if name not in _NAMED:
            raise InputError("grid", got=repr(name), expected=f"one of {', '.join(_NAMED)}")
        lower, voxel, shape = _NAMED[name]
        return cls(lower, (voxel, voxel, voxel), shape)


_NAMED = {
    "occ3d": ((-40.0, -40.0, -1.0), 0.4, (200, 200, 16)),
    "openocc-v1": ((-50.0, -50.0, -5.0), 0.5, (200, 200, 16)),
    "semantickitti": ((0.0, -25.6, -2.0), 0.2, (256, 256, 32)),
    "mini": ((-16.0, -16.0, -1.0), 0.4, (80, 80, 16)),
    "micro": ((-8.0, -8.0, -1.0), 0.8, (20, 20, 8)),
}


def flip_volume(volume: Any, flip_x: bool, flip_y: bool, *, axes: tuple[int, int] = (0, 1)) -> Any:
    """Mirror labels or masks as `bev_augmentation` mirrors space.

    Args:
        volume: array or tensor; `axes` are its x and y axes, whose grid must be symmetric about 0.
        flip_x: negate x. flip_y: negate y.
        axes: places of the x and y axes.
    Returns: the same kind of array, a copy where something was mirrored.
    """
    turned = [axis for axis, flip in zip(axes, (flip_x, flip_y), strict=True) if flip]
    if not turned:
        return volume
    if isinstance(volume, np.ndarray):
        return np.ascontiguousarray(np.flip(volume, tuple(turned)))
    return volume.flip(turned)
