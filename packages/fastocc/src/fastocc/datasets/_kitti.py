"""SemanticKITTI's folders: sequences of camera 2, scene completion voxels, and poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from fastocc.datasets._frames import FrameInfo, camera_info

KITTI_SPLITS = {
    "train": ["00", "01", "02", "03", "04", "05", "06", "07", "09", "10"],
    "val": ["08"],
    "test": [f"{number:02d}" for number in range(11, 22)],
}
KITTI_STEP = 5  # every fifth image has voxels


def read_kitti(root: str | Path, split: str) -> list[FrameInfo]:
    """Frames of SemanticKITTI below `root`/sequences, with camera 2 and the LiDAR's frame.

    Frames are those with voxels; in a sequence without voxels, every fifth image, as the voxels are given.
    P2 = K [I | t] moves camera 0's frame by t into camera 2's, Tr transforms from the LiDAR to camera 0.
    """
    root, frames = Path(root), []
    for name in KITTI_SPLITS[split]:
        folder = root / "sequences" / name
        if not folder.is_dir():
            continue
        inner, velo = read_calibration(folder / "calib.txt")
        lidar2cam = velo.copy()
        lidar2cam[:3, 3] += np.linalg.solve(inner[:, :3], inner[:, 3])
        poses = kitti_poses(folder / "poses.txt", velo)
        marked = sorted({one.stem for one in (folder / "voxels").glob("*.label")} or {
            one.stem for one in (folder / "voxels").glob("*.bin")
        })  # fmt: skip
        images = sorted(one.stem for one in (folder / "image_2").glob("*.png")) if not marked else []
        for stem in marked or images[::KITTI_STEP]:
            base, where = f"sequences/{name}", f"frame {stem} of {folder}"
            if not stem.isdecimal():
                raise InputError("frame", got=stem, expected="a number", where=folder)
            invalid = f"{base}/voxels/{stem}.invalid"
            pose = poses[int(stem)] if poses is not None and int(stem) < len(poses) else None
            camera = camera_info(f"{base}/image_2/{stem}.png", inner[:, :3], np.linalg.inv(lidar2cam), where)
            frames.append(
                FrameInfo(
                    f"{name}-{stem}", name, {"CAM_2": camera}, f"{base}/voxels/{stem}.label",
                    invalid if (root / invalid).is_file() else "", f"{base}/velodyne/{stem}.bin", pose,
                    None if pose is None else np.eye(4), timestamp=int(stem),
                )
            )  # fmt: skip
    if not frames:
        raise InputError("sequences", expected=f"folders {', '.join(KITTI_SPLITS[split])} with images", where=root)
    return frames


def read_calibration(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(3, 4) projection of camera 2 from camera 0's frame, and (4, 4) LiDAR to camera 0, from a `calib.txt`."""
    matrices = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, numbers = line.partition(":")
            if numbers.strip():
                matrices[key.strip()] = np.array(numbers.split(), dtype=np.float64).reshape(3, 4)
        inner, velo = matrices["P2"], np.vstack([matrices["Tr"], [0, 0, 0, 1.0]])
        np.linalg.inv(inner[:, :3])
    except (OSError, ValueError, KeyError, np.linalg.LinAlgError) as error:
        raise InputError("calibration", got=error, expected="lines P2 and Tr of 12 numbers", where=path) from None
    return inner, velo


def kitti_poses(path: Path, velo: np.ndarray) -> np.ndarray | None:
    """(n, 4, 4) poses of the LiDAR in the first LiDAR's frame; None without the file."""
    if not path.is_file():
        return None
    try:
        rows = np.loadtxt(path, dtype=np.float64, ndmin=2).reshape(-1, 3, 4)
    except (OSError, ValueError) as error:
        raise InputError("poses", got=error, expected="12 numbers a line", where=path) from None
    if not np.isfinite(rows).all():
        raise InputError("poses", got="NaN or infinity", expected="finite numbers", where=path)
    whole = np.concatenate([rows, np.broadcast_to([[[0, 0, 0, 1.0]]], (len(rows), 1, 4))], 1)
    return np.linalg.inv(velo) @ whole @ velo
