"""LiDAR files: float32 points, and nuScenes' 32 point classes under the names of a label format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets._formats import IGNORE, LabelFormat

# nuScenes-lidarseg's 32 classes by index, under Occ3D's names (its challenge's 16 classes; other objects are `others`)
_LIDARSEG = (
    None, "others", "pedestrian", "pedestrian", "pedestrian", "others", "pedestrian", "others", "others", "barrier",
    "others", "others", "traffic_cone", "others", "bicycle", "bus", "bus", "car", "construction_vehicle", "others",
    "others", "motorcycle", "trailer", "truck", "driveable_surface", "other_flat", "sidewalk", "terrain", "manmade",
    "others", "vegetation", None,
)  # fmt: skip


def read_points(path: Path, columns: int) -> np.ndarray:
    """(P, 3) float32 points of a file of `columns` float32 a point."""
    table = np.fromfile(path, np.float32)
    if table.size % columns:
        raise ArtifactError(
            path, f"has {table.size} numbers, not {columns} a point: truncated, or of another format"
        )  # fmt: skip
    return table.reshape(-1, columns)[:, :3]


def read_classes(path: Path, count: int, format: LabelFormat, *, nuscenes: bool) -> np.ndarray:  # noqa: A002
    """(P,) uint8 classes of `format` from a file of uint8.

    Args:
        count: P. nuscenes: the file has lidarseg's 32 classes, which are mapped by name; those without one become 255.
    """
    labels = np.fromfile(path, np.uint8)
    if labels.size != count:
        raise ArtifactError(path, f"has {labels.size} labels for {count} points")
    if not nuscenes:
        return labels
    if labels.max(initial=0) >= len(_LIDARSEG):
        raise InputError("lidarseg", got=int(labels.max()), expected=f"0..{len(_LIDARSEG) - 1}", where=path)
    known = {name: at for at, name in enumerate(format.classes)}
    return np.array([known.get(name or "", IGNORE) for name in _LIDARSEG], np.uint8)[labels]
