"""Voxel labels and masks from LiDAR sweeps: what a team with its own recordings needs first.

Still points are gathered over all sweeps through the ego poses; points in a box move with it, so that a moving object
is dense and leaves no trail. Without boxes, points that another sweep looked through are left out. Each voxel takes the
commonest class of its points, ground is filled in between the beams, and masks come from ray casting.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from fastocc.datasets._annotations import WRONG_ENTRY, read_annotations
from fastocc.datasets._complete import close_gaps, contradicted, fill_ground
from fastocc.datasets._formats import IGNORE
from fastocc.datasets._frames import Finder
from fastocc.datasets._images import read_points
from fastocc.geometry import CameraRig, GridSpec, mark_seen
from fastocc.sim import camera_mask


@dataclass(frozen=True)
class Sweep:
    """One LiDAR sweep.

    Attributes:
        points: (P, 3) in LiDAR coordinates, metres.
        labels: (P,) uint8 classes, 255 unknown; or None where nobody labelled points.
        lidar2ego, ego2global: (4, 4).
        boxes: (n, 9) x, y, z of the centre, length, width, height, yaw (radians), label, instance, in the ego frame.
    """

    points: np.ndarray
    labels: np.ndarray | None
    lidar2ego: np.ndarray
    ego2global: np.ndarray
    boxes: np.ndarray

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3 or not np.isfinite(self.points).all():
            raise InputError("points", got=f"shape {self.points.shape}", expected="(points, 3), all finite")
        if self.labels is not None and self.labels.shape != self.points.shape[:1]:
            raise InputError("labels", got=f"shape {self.labels.shape}", expected=f"({len(self.points)},)")
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 9:
            raise InputError("boxes", got=f"shape {self.boxes.shape}", expected="(boxes, 9)")


def generate_labels(
    sweeps: Sequence[Sweep],
    reference: int,
    grid: GridSpec,
    rig: CameraRig,
    *,
    free: int = 17,
    unknown: int = 0,
    boxes: bool = True,
    inward: float = 0.25,
    ground: float = 12.0,
) -> dict[str, np.ndarray]:
    """Labels of one frame from all sweeps of its scene.

    Args:
        sweeps: the scene's, in order. reference: index of the frame. grid: voxels in its ego frame.
        rig: cameras, for mask_camera. free: label of empty space.
        unknown: label of voxels whose points nobody labelled.
        boxes: move points with the boxes of the sweeps; without, points that another sweep looked through are left out.
        inward: voxels that points are moved along their rays: they lie on surfaces, whose inside is what is occupied.
        ground: metres that ground reaches from where it was hit; 0 leaves it and gaps between filled voxels open.
    Returns: semantics, mask_lidar, mask_camera: (X, Y, Z) uint8, as in Occ3D's labels.npz.

    Examples:
        >>> import numpy as np
        >>> from fastocc import CameraRig, GridSpec, generate_labels
        >>> from fastocc.datasets import Sweep

        >>> y, z = np.meshgrid(np.arange(-3.0, 3.0, 0.2), np.arange(0.0, 2.0, 0.2))
        >>> wall = np.column_stack([np.full(y.size, 6.0), y.ravel(), z.ravel()])  # six metres ahead
        >>> sweep = Sweep(wall, np.full(len(wall), 4, np.uint8), np.eye(4), np.eye(4), np.zeros((0, 9)))
        >>> grid = GridSpec.named("micro")
        >>> found = generate_labels([sweep], 0, grid, CameraRig.nominal(32, 64))
        >>> sorted(found), np.unique(found["semantics"]).tolist()  # the wall, and free space
        (['mask_camera', 'mask_lidar', 'semantics'], [4, 17])
    """
    if not 0 <= reference < len(sweeps):
        raise InputError("reference", got=reference, expected=f"0..{len(sweeps) - 1}")
    here = sweeps[reference]
    to_here = np.linalg.inv(here.ego2global)
    places, classes, keeps, origins, rays, reaches = [], [], [], [], [], []
    hits, sensors = [], []
    boxes_here = {int(box[8]): box for box in here.boxes}
    for sweep in sweeps:
        move = to_here @ sweep.ego2global
        local = _moved(sweep.lidar2ego, sweep.points)
        labels = np.full(len(local), IGNORE, np.uint8) if sweep.labels is None else sweep.labels.copy()
        moved, keep = _moved(move, local), np.ones(len(local), bool)
        for box in sweep.boxes if boxes else ():
            inside = _inside(local, box)
            if not inside.any():
                continue
            labels[inside & (labels == IGNORE)] = np.uint8(box[7])
            target = boxes_here.get(int(box[8]))
            if target is None:  # not there in this frame: its points would hang in the air
                keep &= ~inside
            else:
                moved[inside] = _from_box(_to_box(local[inside], box), target)
        sensor = (move @ sweep.lidar2ego)[:3, 3]
        hit = _moved(move, local)
        ray = hit - sensor
        reach = np.linalg.norm(ray, axis=1)
        near = reach > 1e-6
        inside_by = inward * grid.voxel[0] / np.maximum(reach, 1e-6)[:, None]
        places.append(moved + ray * inside_by)
        classes.append(labels)
        keeps.append(keep)
        hits.append(hit)
        sensors.append(sensor)
        origins.append(np.broadcast_to(sensor, ray[near].shape))
        rays.append(ray[near] / reach[near, None])
        reaches.append(reach[near])
    if not boxes:
        keeps = [~one for one in contradicted(hits, sensors, grid, reference)]
    kept = np.concatenate(keeps)
    semantics = _majority(np.concatenate(places)[kept], np.concatenate(classes)[kept], grid, free, unknown)
    if ground:
        semantics = close_gaps(fill_ground(semantics, free, ground, grid.voxel[0]), free)
    seen = mark_seen(
        semantics, grid, np.concatenate(origins), np.concatenate(rays), free=free, far=np.concatenate(reaches)
    )
    return {
        "semantics": semantics,
        "mask_lidar": seen.astype(np.uint8),
        "mask_camera": camera_mask(semantics, grid, rig, free=free).astype(np.uint8),
    }


def read_sweeps(
    root: str | Path, split: str = "train", *, boxes: bool = True
) -> dict[str, tuple[list[str], list[Sweep]]]:  # fmt: skip
    """Sweeps by scene from the simulator's layout: annotations.json, lidar/, boxes/ (if asked for), lidarseg/ if there.

    Returns: by scene, its tokens and sweeps.
    """
    root, scenes = Path(root), {}
    for info in read_annotations(root, split):
        path = Finder([root])(info.lidar_path) if info.lidar_path else root / "lidar"
        if not path.is_file() or info.lidar2ego is None or info.ego2global is None:
            raise InputError("LiDAR file", expected="a file of float32 x 5, and the LiDAR's pose", where=path)
        marks = root / "lidarseg" / path.name
        labels = np.fromfile(marks, np.uint8) if marks.is_file() else None
        points = read_points(path, 5).astype(np.float64)
        drawn = _boxes(root / "boxes" / f"{info.token}.json") if boxes else np.zeros((0, 9))
        sweep = Sweep(points, labels, info.lidar2ego, info.ego2global, drawn)
        tokens, sweeps = scenes.setdefault(info.scene, ([], []))
        tokens.append(info.token)
        sweeps.append(sweep)
    return scenes


def _boxes(path: Path) -> np.ndarray:
    """(n, 9) boxes of a JSON file."""
    try:
        boxes = json.loads(path.read_text(encoding="utf-8"))
        rows = [[*one["center"], *one["size"], np.deg2rad(one["yaw"]), one["label"], one["instance"]] for one in boxes]
        return np.array(rows, np.float64).reshape(-1, 9)
    except (OSError, KeyError, RecursionError, *WRONG_ENTRY) as error:
        raise InputError("boxes", got=error, expected="center, size, yaw, label, instance", where=path) from None


def _moved(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ pose[:3, :3].T + pose[:3, 3]


def _to_box(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(box[6]), np.sin(box[6])
    x, y, z = (points - box[:3]).T
    return np.column_stack([x * cos + y * sin, y * cos - x * sin, z])


def _from_box(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(box[6]), np.sin(box[6])
    x, y, z = points.T
    return np.column_stack([x * cos - y * sin, x * sin + y * cos, z]) + box[:3]


def _inside(points: np.ndarray, box: np.ndarray, slack: float = 0.1) -> np.ndarray:
    return np.asarray((np.abs(_to_box(points, box)) <= box[3:6] / 2 + slack).all(1))


def _majority(points: np.ndarray, labels: np.ndarray, grid: GridSpec, free: int, unknown: int) -> np.ndarray:
    """(X, Y, Z) the commonest class of each voxel's points; `unknown` where none of them has a class."""
    index, inside = grid.index(points)
    cells = np.ravel_multi_index(tuple(index[inside].T), grid.shape)
    kinds = IGNORE + 1
    pairs, counts = np.unique(cells * kinds + labels[inside], return_counts=True)
    known = pairs % kinds != IGNORE
    order = np.argsort(counts * known, kind="stable")  # the commonest class of a voxel is written last
    semantics = np.full(grid.size, free, np.uint8)
    semantics[pairs[order] // kinds] = np.where(known, pairs % kinds, unknown)[order].astype(np.uint8)
    return semantics.reshape(grid.shape)
