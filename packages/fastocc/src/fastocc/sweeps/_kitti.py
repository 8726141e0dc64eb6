"""KITTI odometry and SemanticKITTI: `velodyne/` of four float32 a point, `poses.txt`, `calib.txt`, `labels/`.

The frame of the labels is the LiDAR's, as SemanticKITTI's voxels are. Point labels are uint32 whose lower 16 bits are
the class.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets import (
    KITTI_SPLITS,
    KITTI_STEP,
    Sweep,
    kitti_classes,
    kitti_poses,
    read_calibration,
    read_points,
)
from fastocc.geometry import Camera, CameraRig
from fastocc.sweeps._sequence import SweepFiles, SweepSequence

_SIZE = (370, 1220)  # pixels of camera 2 where no image is there to ask


def kitti_sequences(home: Path, split: str, *, every: int = KITTI_STEP) -> list[SweepSequence]:
    """Sequences of a split below `home`/sequences.

    Args:
        home: folder of `sequences/`. split: train, val or test. every: each n-th sweep gets labels.
    Raises: InputError that names file and line; ArtifactError for truncated files.
    """
    made = []
    for name in KITTI_SPLITS[split]:
        folder = home / "sequences" / name
        files = sorted((folder / "velodyne").glob("*.bin"))
        if not files:
            continue
        inner, velo = read_calibration(folder / "calib.txt")
        poses = kitti_poses(folder / "poses.txt", velo)
        if poses is None or len(poses) < len(files):
            got = "no file" if poses is None else f"{len(poses)} rows for {len(files)} sweeps"
            raise InputError("poses", got=got, expected="one row a sweep", where=folder / "poses.txt")
        stems = [one.stem for one in files]
        for stem in stems:
            if not stem.isdecimal() or int(stem) >= len(poses):
                raise InputError("sweep", got=stem, expected=f"a number below {len(poses)}", where=folder / "velodyne")
        lidar2cam = velo.copy()
        lidar2cam[:3, 3] += np.linalg.solve(inner[:, :3], inner[:, 3])
        camera = Camera("CAM_2", inner[:, :3], np.linalg.inv(lidar2cam), _image_size(folder))
        frames = {stem: at for at, stem in enumerate(stems) if at % every == 0}

        def read(at: int, files: list[Path] = files, poses: np.ndarray = poses, folder: Path = folder) -> Sweep:
            stem = files[at].stem
            return _sweep(files[at], poses[int(stem)], folder / "labels" / f"{stem}.label")

        rig = CameraRig((camera,))
        made.append(SweepSequence(name, frames, SweepFiles(len(files), read), dict.fromkeys(frames, rig)))
    if not made:
        names = ", ".join(KITTI_SPLITS[split])
        raise InputError("sequences", expected=f"folders {names} with velodyne/*.bin", where=home / "sequences")
    return made


def _sweep(path: Path, pose: np.ndarray, marks: Path) -> Sweep:
    points, labels = read_points(path, 4).astype(np.float64), None
    if marks.is_file():
        raw = np.fromfile(marks, "<u4")
        if len(raw) != len(points):
            raise ArtifactError(marks, f"has {len(raw)} labels for {len(points)} points")
        labels = kitti_classes((raw & 0xFFFF).astype(np.uint16), marks)
    if not np.isfinite(points).all():
        raise InputError("points", got="NaN or infinity", expected="finite numbers", where=path)
    return Sweep(points, labels, np.eye(4), pose, np.zeros((0, 9)))


def _image_size(folder: Path) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    path = next(iter(sorted((folder / "image_2").glob("*.png"))), None)
    if path is None:
        return _SIZE
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise ArtifactError(path, f"is no image ({error})") from None
