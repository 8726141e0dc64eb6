"""The sensors of a vehicle: any number of pinhole cameras and a LiDAR, checked at the door.

Ego frame: x forward, y left, z up, origin on the ground under the rear axle. Camera frame: x right, y down, z forward.
Pixel (column i, row j) covers [i, i+1) x [j, j+1), so scaling an image by s scales its coordinates by s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.files import write_text

from fastocc.geometry._lens import lens_row

_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # camera to ego at yaw 0


@dataclass(frozen=True)
class Camera:
    """A pinhole or fisheye camera.

    Attributes:
        name: unique in its rig.
        intrinsic: (3, 3) camera coordinates to pixels.
        cam2ego: (4, 4) camera to ego coordinates.
        size: (height, width) of its image, pixels.
        fisheye: k1, k2, k3, k4 of OpenCV's equidistant model; None for a pinhole.

    Examples:
        >>> import numpy as np
        >>> from fastocc import Camera, CameraRig

        >>> front = CameraRig.nominal().cameras[0]
        >>> front.name, front.size
        ('CAM_FRONT', (900, 1600))
        >>> small = front.resized(256, 704)  # scaled to the width, rows cut at the top
        >>> small.size, bool(small.intrinsic[0, 0] < front.intrinsic[0, 0])
        ((256, 704), True)
        >>> Camera("mine", np.diag([600.0, 600.0, 1.0]), np.eye(4), (450, 800)).size
        (450, 800)
    """

    name: str
    intrinsic: np.ndarray
    cam2ego: np.ndarray
    size: tuple[int, int]
    fisheye: tuple[float, float, float, float] | None = None

    @property
    def lens(self) -> np.ndarray:
        """(5,) float64 k1..k4 and the widest angle, radians; zeros for a pinhole."""
        return np.zeros(5) if self.fisheye is None else lens_row(self.fisheye)

    def resized(self, height: int, width: int) -> Camera:
        """The camera after its image was scaled to `width` and rows were cut from its top (as BEVDet's input is made).

        Raises: InputError if the scaled image is lower than `height`.
        """
        scale = width / self.size[1]
        cut = self.size[0] * scale - height
        if cut < -1e-6:
            raise InputError(
                f"camera {self.name}", got=f"{height} rows", expected=f"at most {self.size[0] * scale:.0f}"
            )
        crop = np.array([[scale, 0, 0], [0, scale, -cut], [0, 0, 1.0]])
        return replace(self, intrinsic=crop @ self.intrinsic, size=(height, width))


@dataclass(frozen=True)
class Lidar:
    """A spinning LiDAR: pose in ego coordinates, beams between two pitches, firings a turn."""

    lidar2ego: np.ndarray = field(default_factory=lambda: _pose(np.eye(3), (0.94, 0.0, 1.84)))
    beams: int = 32
    pitch: tuple[float, float] = (-0.535, 0.187)
    azimuths: int = 1080


@dataclass(frozen=True)
class CameraRig:
    """Cameras in the order in which their images are given, and the LiDAR.

    Examples:
        >>> from fastocc import CameraRig

        >>> rig = CameraRig.nominal(900, 1600)
        >>> len(rig.cameras), rig.cam2img.shape, rig.cam2ego.shape
        (6, (6, 3, 3), (6, 4, 4))
        >>> front = rig.select(rig.names[:3]).resized(256, 704)
        >>> front.image_size
        (256, 704)
        >>> front.to_yaml("rig.yaml")
        >>> CameraRig.from_yaml("rig.yaml").names == front.names
        True
    """

    cameras: tuple[Camera, ...]
    lidar: Lidar = field(default_factory=Lidar)

    def __post_init__(self) -> None:
        if not self.cameras:
            raise InputError("rig", got="no camera", expected="at least one")
        names = [camera.name for camera in self.cameras]
        for name in names:
            if names.count(name) > 1:
                raise InputError("rig", got=f"camera {name} twice", expected="each camera once")
        check_cameras(self.cam2img, self.cam2ego, names)

    @property
    def names(self) -> list[str]:
        """Names of the cameras, in order."""
        return [camera.name for camera in self.cameras]

    @property
    def cam2img(self) -> np.ndarray:
        """(N, 3, 3) float32 intrinsics."""
        return np.stack([camera.intrinsic for camera in self.cameras]).astype(np.float32)

    @property
    def cam2ego(self) -> np.ndarray:
        """(N, 4, 4) float32 poses."""
        return np.stack([camera.cam2ego for camera in self.cameras]).astype(np.float32)

    @property
    def lens(self) -> np.ndarray | None:
        """(N, 5) float32 lenses; None if all cameras are pinholes."""
        rows = np.stack([camera.lens for camera in self.cameras]).astype(np.float32)
        return rows if rows.any() else None

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of all images; InputError if they differ (resize the rig first)."""
        sizes = {camera.size for camera in self.cameras}
        if len(sizes) > 1:
            raise InputError("rig", got=f"image sizes {sorted(sizes)}", expected="one size; see CameraRig.resized")
        return sizes.pop()

    def resized(self, height: int, width: int) -> CameraRig:
        """Each camera resized as by `Camera.resized`."""
        return replace(self, cameras=tuple(camera.resized(height, width) for camera in self.cameras))

    def select(self, names: Sequence[str]) -> CameraRig:
        """The rig with the named cameras alone, in that order; InputError names what is missing."""
        known = {camera.name: camera for camera in self.cameras}
        for name in names:
            if name not in known:
                raise InputError(f"camera {name}", got="missing", expected=f"one of {', '.join(known)}")
        return replace(self, cameras=tuple(known[name] for name in names))

    def turned(self, degrees: float) -> CameraRig:
        """The rig whose extrinsics are wrong by a yaw of `degrees`: what miscalibration does."""
        turn = _pose(yaw_matrix(degrees), (0, 0, 0))
        return replace(self, cameras=tuple(replace(one, cam2ego=turn @ one.cam2ego) for one in self.cameras))

    @classmethod
    def nominal(cls, height: int = 900, width: int = 1600) -> CameraRig:
        """Six cameras around a car, in nominal numbers of a common research vehicle."""
        made = []
        for name, position, yaw, focal in _NOMINAL:
            intrinsic = np.array([[focal, 0, 815.0], [0, focal, 490.0], [0, 0, 1.0]])
            made.append(Camera(name, intrinsic, _pose(camera_rotation(yaw), position), (900, 1600)))
        return cls(tuple(made)).resized(height, width)

    @classmethod
    def from_yaml(cls, path: str | Path) -> CameraRig:
        """Read a rig; see README for the fields. InputError names file, camera and field."""
        import yaml

        path = Path(path)
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError("rig", got=str(error).splitlines()[0], expected="a YAML file", where=path) from None
        if not isinstance(values, Mapping) or not isinstance(values.get("cameras"), list):
            raise InputError("rig", expected="a list `cameras`", where=path)
        try:
            cameras = tuple(_camera(entry, f"camera {at} of {path}") for at, entry in enumerate(values["cameras"]))
            return cls(cameras, _lidar(values.get("lidar") or {}, f"lidar of {path}"))
        except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as error:
            raise InputError("rig", got=error, expected="numbers and lists of numbers", where=path) from None

    def to_yaml(self, path: str | Path) -> None:
        """Write what `from_yaml` reads."""
        import yaml

        cameras = [
            {
                "name": one.name,
                "size": list(one.size),
                "intrinsic": one.intrinsic.tolist(),
                "position": one.cam2ego[:3, 3].tolist(),
                "rotation": one.cam2ego[:3, :3].tolist(),
                **({} if one.fisheye is None else {"fisheye": list(one.fisheye)}),
            }
            for one in self.cameras
        ]
        pose = self.lidar.lidar2ego
        lidar = {"position": pose[:3, 3].tolist(), "rotation": pose[:3, :3].tolist(), "beams": self.lidar.beams}
        lidar |= {"pitch_range": list(self.lidar.pitch), "azimuths": self.lidar.azimuths}
        write_text(path, yaml.safe_dump({"cameras": cameras, "lidar": lidar}, sort_keys=False))


_NOMINAL = [
    ("CAM_FRONT", (1.70, 0.0, 1.51), 0.0, 1265.0),
    ("CAM_FRONT_LEFT", (1.52, 0.49, 1.51), 55.0, 1265.0),
    ("CAM_FRONT_RIGHT", (1.52, -0.49, 1.51), -56.0, 1265.0),
    ("CAM_BACK_LEFT", (1.04, 0.48, 1.59), 109.0, 1265.0),
    ("CAM_BACK_RIGHT", (1.04, -0.48, 1.59), -111.0, 1265.0),
    ("CAM_BACK", (0.03, 0.0, 1.58), 180.0, 809.0),
]


def check_cameras(cam2img: np.ndarray, cam2ego: np.ndarray, names: Sequence[str] | None = None) -> None:
    """InputError that names the first camera whose intrinsics are singular or whose extrinsics are no rotation.

    Args:
        cam2img: (..., 3, 3). cam2ego: (..., 4, 4).
        names: names of the cameras on the axis before the matrices.
    """
    inner, outer = np.asarray(cam2img).reshape(-1, 3, 3), np.asarray(cam2ego).reshape(-1, 4, 4)
    for at, (intrinsic, pose) in enumerate(zip(inner, outer, strict=True)):
        label = f"camera {names[at % len(names)] if names else at}"
        if not np.isfinite(intrinsic).all():
            raise InputError(f"intrinsic of {label}", got="NaN or infinity", expected="finite values")
        if abs(np.linalg.det(intrinsic.astype(np.float64))) < 1e-6:
            raise InputError(f"intrinsic of {label}", got="a singular matrix", expected="focal lengths > 0")
        if not np.isfinite(pose).all():
            raise InputError(f"cam2ego of {label}", got="NaN or infinity", expected="finite values")
        turn = pose[:3, :3].astype(np.float64)
        if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or np.linalg.det(turn) < 0:
            raise InputError(f"cam2ego of {label}", got="a 3 x 3 part that is no rotation", expected="a rotation")
        if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
            raise InputError(f"cam2ego of {label}", got=f"last row {pose[3].tolist()}", expected="[0, 0, 0, 1]")


def yaw_matrix(degrees: float) -> np.ndarray:
    """(3, 3) rotation about z, counter-clockwise seen from above."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])


def camera_rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """(3, 3) camera-to-ego rotation of a camera that looks along `yaw` (degrees; pitch up and roll right are > 0)."""
    p, r = np.deg2rad(-pitch), np.deg2rad(roll)
    tilt = np.array([[np.cos(p), 0, np.sin(p)], [0, 1, 0], [-np.sin(p), 0, np.cos(p)]])
    bank = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    return yaw_matrix(yaw) @ tilt @ bank @ _AXES


def quaternion_matrix(wxyz: Sequence[float]) -> np.ndarray:
    """(3, 3) rotation of a quaternion (w, x, y, z), normalised first; InputError if it is zero or not finite."""
    values = np.asarray(wxyz, dtype=np.float64)
    if values.shape != (4,) or not np.isfinite(values).all() or not values.any():
        raise InputError("quaternion", got=list(wxyz), expected="four finite numbers w, x, y, z, not all zero")
    w, x, y, z = values / np.linalg.norm(values)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _pose(rotation: np.ndarray, position: Sequence[float]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, position
    return pose


def _numbers(
    entry: Mapping[str, Any], key: str, count: int, where: str, default: Sequence[float] | None
) -> list[float]:
    value = entry.get(key, default)
    try:
        numbers = [float(one) for one in value]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count:
        raise InputError(key, got=repr(entry.get(key)), expected=f"{count} numbers", where=where)
    return numbers


def _rotation(entry: Mapping[str, Any], where: str, default: np.ndarray | None = None) -> np.ndarray:
    given = [key for key in ("yaw", "rotation", "quaternion") if key in entry]
    if len(given) > 1:
        raise InputError("rotation", got=" and ".join(given), expected="one of them", where=where)
    if "rotation" in entry:
        matrix = np.array(entry["rotation"], dtype=np.float64)
        if matrix.shape != (3, 3):
            raise InputError("rotation", got=f"shape {matrix.shape}", expected="3 rows of 3 numbers", where=where)
        return matrix
    if "quaternion" in entry:
        return quaternion_matrix(entry["quaternion"])
    if default is not None:
        return yaw_matrix(float(entry.get("yaw", 0))) @ default
    if "yaw" not in entry:
        raise InputError("rotation", expected="yaw (with pitch and roll), rotation or quaternion", where=where)
    return camera_rotation(*(float(entry.get(key, 0)) for key in ("yaw", "pitch", "roll")))


def _lidar(entry: Any, where: str) -> Lidar:
    if not isinstance(entry, Mapping):
        raise InputError("lidar", got=repr(entry), expected="fields position, rotation, beams, ...", where=where)
    pose = _pose(_rotation(entry, where, np.eye(3)), _numbers(entry, "position", 3, where, (0.94, 0.0, 1.84)))
    pitch = _numbers(entry, "pitch_range", 2, where, (-0.535, 0.187))
    beams, azimuths = int(entry.get("beams", 32)), int(entry.get("azimuths", 1080))
    if not 1 <= beams <= 1024 or not 1 <= azimuths <= 100_000:
        got = f"{beams} beams, {azimuths} azimuths"
        raise InputError("lidar", got=got, expected="1 to 1024, 1 to 100000", where=where)
    return Lidar(pose, beams, (pitch[0], pitch[1]), azimuths)


def _camera(entry: Any, where: str) -> Camera:
    if not isinstance(entry, Mapping):
        raise InputError("camera", got=repr(entry), expected="fields name, size, position, ...", where=where)
    if not entry.get("name"):
        raise InputError("name", expected="a name for each camera", where=where)
    where = f"{entry['name']}, {where}"
    height, width = _numbers(entry, "size", 2, where, None)
    if "intrinsic" in entry:
        intrinsic = np.array(entry["intrinsic"], dtype=np.float64)
        if intrinsic.shape != (3, 3):
            raise InputError("intrinsic", got=f"shape {intrinsic.shape}", expected="3 rows of 3", where=where)
    else:
        focal = entry.get("focal")
        fx, fy = _numbers({"focal": focal if isinstance(focal, list) else [focal, focal]}, "focal", 2, where, None)
        cx, cy = _numbers(entry, "center", 2, where, (width / 2, height / 2))
        intrinsic = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    pose = _pose(_rotation(entry, where), _numbers(entry, "position", 3, where, None))
    if not (1 <= height <= 20_000 and 1 <= width <= 20_000) or not (np.abs(intrinsic) < 1e8).all():
        raise InputError("size, intrinsic", got=(height, width), expected="a number of pixels", where=where)
    if not (np.abs(pose) < 1e8).all():
        raise InputError("pose", got="NaN, infinity or huge numbers", expected="metres and a rotation", where=where)
    fisheye = None
    if entry.get("fisheye") is not None:
        k = _numbers(entry, "fisheye", 4, where, None)
        lens_row(k)
        fisheye = (k[0], k[1], k[2], k[3])
    return Camera(str(entry["name"]), intrinsic, pose, (int(height), int(width)), fisheye)
