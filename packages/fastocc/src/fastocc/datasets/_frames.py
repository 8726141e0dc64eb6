"""What a frame is before its files are read, and where the files that annotations name lie below a root.

All poses lead into the frame of the labels at the time of the LiDAR. A camera fires 0-50 ms off the LiDAR:
`inv(cam2ego) @ lidar2ego` ignores the motion in between (0.1-0.4 m), so poses come from `lidar2cam`, or from both ego
poses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from ninefold.errors import InputError

from fastocc.geometry import LENS_SIZE, check_cameras, lens_row, quaternion_matrix

_FARTHEST = 1e8  # metres or pixels
_NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")


@dataclass(frozen=True)
class CameraInfo:
    """One image.

    Attributes:
        path: of its file. intrinsic: (3, 3). cam2label: (4, 4) camera to label frame at the time of the LiDAR.
        lens: (13,) of `geometry.lens_row`; zeros for a pinhole.
        size: (height, width) of the picture that `intrinsic` belongs to, as recorded; None if unknown.
        ego2global: (4, 4) ego pose at the time of the picture; None if unknown.
    """

    path: str
    intrinsic: np.ndarray
    cam2label: np.ndarray
    lens: np.ndarray = field(default_factory=lambda: np.zeros(LENS_SIZE))
    size: tuple[int, int] | None = None
    ego2global: np.ndarray | None = None


@dataclass(frozen=True)
class FrameInfo:
    """One frame: names, cameras by name, label file, LiDAR and poses.

    Attributes:
        token, scene: names, which output files may be called after: no separators, not `..`.
        ego2global: (4, 4) at the LiDAR's time; None where it is not known.
        lidar2ego: (4, 4); None where it is not known.
        boxes: (n, 9) x, y, z of the centre, length, width, height, yaw, label, instance, in the label frame.
        lidarseg_path: classes of the LiDAR points, uint8. timestamp: microseconds, 0 where it is not known.
    """

    token: str
    scene: str
    cameras: Mapping[str, CameraInfo]
    label_path: str = ""
    invalid_path: str = ""
    lidar_path: str = ""
    ego2global: np.ndarray | None = None
    lidar2ego: np.ndarray | None = None
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 9)))
    lidarseg_path: str = ""
    timestamp: int = 0

    def __post_init__(self) -> None:
        check_name(self.token, "token")
        if self.scene:
            check_name(self.scene, "scene")
        for key in ("label_path", "invalid_path", "lidar_path", "lidarseg_path"):
            if not isinstance(getattr(self, key), str):
                raise InputError(key, got=repr(getattr(self, key)), expected="a path", where=f"frame {self.token}")
        for name, camera in self.cameras.items():
            check_name(name, "camera")
            if not isinstance(camera.path, str) or not camera.path:
                raise InputError(
                    f"path of camera {name}", got=repr(camera.path), expected="a path", where=f"frame {self.token}"
                )

    def key_ego(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The ego frame at the time of a camera's picture: (4, 4) to global, and (4, 4) from the frame's own ego frame.

        Raises: InputError if one of the two poses is unknown: the vehicle moves up to half a metre in between.
        """
        then = self.cameras[name].ego2global if name in self.cameras else None
        if then is None or self.ego2global is None:
            raise InputError(
                f"ego pose of camera {name}", got="none", where=f"frame {self.token}",
                expected="the ego pose at the time of its picture, for weights of BEVDet and FlashOcc",
            )  # fmt: skip
        return then, np.linalg.inv(then) @ self.ego2global


def check_name(name: Any, what: str) -> None:
    """InputError unless `name` can be the name of a file: output goes below -o and nowhere else."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (".", ".."):
        raise InputError(what, got=repr(name), expected="a name without separators, for it names output files")


def check_frames(frames: Sequence[FrameInfo], where: str | Path) -> None:
    """InputError for a token that stands twice in a scene."""
    seen: set[tuple[str, str]] = set()
    for one in frames:
        if (one.scene, one.token) in seen:
            raise InputError("token", got=f"{one.token} twice in scene {one.scene!r}", expected="once", where=where)
        seen.add((one.scene, one.token))


def read_pose(entry: Any, where: str) -> np.ndarray:
    """(4, 4) rigid pose from a matrix, or from `translation` and `rotation` (a quaternion w, x, y, z, or a matrix)."""
    if not isinstance(entry, Mapping):
        pose = np.asarray(entry, np.float64)
        if pose.shape != (4, 4):
            raise InputError("pose", got=f"shape {pose.shape}", expected="translation and rotation", where=where)
    else:
        pose = np.eye(4)
        turn = np.asarray(entry["rotation"], np.float64)
        if not (np.abs(turn) < _FARTHEST).all():
            raise InputError("rotation", got=turn.tolist(), expected="a quaternion or a matrix", where=where)
        try:
            pose[:3, :3] = quaternion_matrix([float(one) for one in turn]) if turn.shape == (4,) else turn
        except InputError as error:
            raise InputError("rotation", got=error.got, expected=error.expected, where=where) from None
        pose[:3, 3] = np.asarray(entry["translation"], np.float64)
    if not (np.abs(pose) < _FARTHEST).all() or abs(np.linalg.det(pose[:3, :3]) - 1) > 1e-3:
        raise InputError("pose", got="no rigid motion", expected="finite numbers and a rotation", where=where)
    return pose


def camera_info(
    path: Any, intrinsic: Any, cam2label: np.ndarray, where: str, *, fisheye: Any = None, distortion: Any = None,
    size: Any = None, ego2global: np.ndarray | None = None,
) -> CameraInfo:  # fmt: skip
    """A checked `CameraInfo`.

    Args:
        fisheye: k1..k4, or None. distortion: 4, 5 or 8 coefficients in OpenCV's order, or None.
        size: (height, width) that the intrinsic belongs to, or None. ego2global: see `CameraInfo`.
    """
    inner = np.asarray(intrinsic, np.float64)
    if inner.ndim != 2 or min(inner.shape) < 3:
        raise InputError("intrinsic", got=f"shape {inner.shape}", expected="(3, 3)", where=where)
    if not (np.abs(inner) < _FARTHEST).all():
        raise InputError("intrinsic", got="NaN, infinity or huge numbers", expected="pixels", where=where)
    check_cameras(inner[:3, :3], cam2label, [where])
    try:
        lens = lens_row(fisheye, distortion)
    except InputError as error:
        raise InputError(error.what, got=error.got, expected=error.expected, where=where) from None
    recorded = None if size is None or None in size else (int(size[0]), int(size[1]))
    return CameraInfo(path, inner[:3, :3], cam2label, lens, recorded, ego2global)


class Finder:
    """Finds the file that annotations mean: they name it from another folder, or by its last part alone.

    Args:
        bases: folders to look below, in order.
    """

    def __init__(self, bases: Iterable[Path]) -> None:
        self.bases = list(bases)
        self._last: dict[str, tuple[int, Path]] = {}

    def __call__(self, path: str, folders: Sequence[str] = ()) -> Path:
        """The file, or where it should be: below the first base.

        Args:
            path: as annotations write it: `./data/nuscenes/samples/CAM_FRONT/a.jpg`, `CAM_FRONT/a.jpg`, `a.jpg`.
            folders: where a file lies that is named by its last part alone, for example `samples/CAM_FRONT`.
        Raises: InputError if the path would leave the root.
        """
        parts = [one for one in PurePosixPath(path.replace("\\", "/")).parts if one not in ("/", ".")]
        if not parts or ".." in parts or "\x00" in path or max(map(len, parts)) > 200 or len(path) > 2000:
            raise InputError("path", got=repr(path)[:200], expected="a file below the root", where=self.bases[0])
        kind = f"{len(parts)}/{folders[0] if folders else parts[0]}"
        if kind in self._last:  # the next file of a kind lies where the last one lay
            drop, base = self._last[kind]
            if (found := base.joinpath(*parts[drop:])).exists():
                return found
        for drop in range(max(1, len(parts) - 1)):
            for base in self.bases:
                if (found := base.joinpath(*parts[drop:])).exists():
                    self._last[kind] = (drop, base)
                    return found
        for folder in folders:
            for base in self.bases:
                if (found := base / folder / parts[-1]).exists():
                    self._last[kind] = (len(parts) - 1, base / folder)
                    return found
        return self.bases[0].joinpath(*parts)
