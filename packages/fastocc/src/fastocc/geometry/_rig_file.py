"""Rigs as YAML files: every field is read or refused, and each value is checked with the field's name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.files import write_text

from fastocc.geometry._calibration import read_calibration_file
from fastocc.geometry._camera import Camera, Lidar
from fastocc.geometry._lens import lens_row
from fastocc.geometry._poses import camera_rotation, check_center, ego_rotation, pose_matrix, quaternion_matrix

_TURN = ("yaw", "pitch", "roll", "rotation", "quaternion")
_LENS = {"fisheye": "k1, k2, k3, k4", "distortion": "k1, k2, p1, p2, k3"}
_INNER = ("size", "intrinsic", "focal", "center", *_LENS)
_CAMERA = ("name", "calibration", *_INNER, "position", *_TURN, "source", "offset")
_LIDAR = ("position", *_TURN, "beams", "pitch_range", "azimuths")
# what other files call our fields
_ELSEWHERE = {
    "k1": "distortion", "k2": "distortion", "p1": "distortion", "dist": "distortion", "d": "distortion",
    "distortion_coefficients": "distortion", "distortion_coeffs": "distortion", "dist_coeffs": "distortion",
    "distortion_model": "distortion or fisheye", "camera_model": "distortion or fisheye",
    "width": "size", "height": "size", "resolution": "size", "image_size": "size",
    "camera_info": "calibration", "camchain": "calibration", "kalibr": "calibration",
    "k": "intrinsic", "camera_matrix": "intrinsic", "intrinsics": "intrinsic", "cam_k": "intrinsic",
    "fx": "focal", "fy": "focal", "f": "focal", "cx": "center", "cy": "center", "principal_point": "center",
    "translation": "position", "t": "position", "xyz": "position", "x": "position", "y": "position", "z": "position",
    "rpy": "yaw, pitch and roll", "euler": "yaw, pitch and roll", "orientation": "quaternion", "q": "quaternion",
    "extrinsic": "position and rotation", "cam2ego": "position and rotation", "pose": "position and rotation",
}  # fmt: skip


def read_rig(path: Path) -> tuple[tuple[Camera, ...], Lidar]:
    """Cameras and LiDAR of a rig file. InputError names file, camera and field."""
    import yaml

    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _loader())  # a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("rig", got=str(error).splitlines()[0], expected="a YAML file", where=path) from None
    if not isinstance(values, Mapping) or not isinstance(values.get("cameras"), list):
        raise InputError("rig", expected="a list `cameras`", where=path)
    _check_keys(values, ("cameras", "lidar"), str(path))
    try:
        cameras = tuple(_camera(entry, f"camera {at} of {path}", path) for at, entry in enumerate(values["cameras"]))
        return cameras, _lidar(values.get("lidar") or {}, f"lidar of {path}")
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as error:
        raise InputError("rig", got=error, expected="numbers and lists of numbers", where=path) from None


def write_rig(path: str | Path, cameras: Sequence[Camera], lidar: Lidar) -> None:
    """Write what `read_rig` reads."""
    import yaml

    entries = [
        {
            "name": one.name,
            "size": list(one.size),
            "intrinsic": one.intrinsic.tolist(),
            "position": one.cam2ego[:3, 3].tolist(),
            "rotation": one.cam2ego[:3, :3].tolist(),
            **{key: list(value) for key in _LENS if (value := getattr(one, key)) is not None},
        }
        for one in cameras
    ]
    pose = lidar.lidar2ego
    sensor = {"position": pose[:3, 3].tolist(), "rotation": pose[:3, :3].tolist(), "beams": lidar.beams}
    sensor |= {"pitch_range": list(lidar.pitch), "azimuths": lidar.azimuths}
    write_text(path, yaml.safe_dump({"cameras": entries, "lidar": sensor}, sort_keys=False))


def _loader() -> Any:
    """A SafeLoader that refuses a key given twice, of which YAML would silently keep the last."""
    import yaml

    class Once(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise yaml.YAMLError(f"{key} is given twice{node.start_mark}")
            return super().construct_mapping(node, deep)

    return Once


def _check_keys(entry: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    """InputError for an unknown field, with the nearest known one."""
    for key in entry:
        if key not in known:
            name = str(key).lower()
            near = _ELSEWHERE.get(name, "") if "size" in known else ""
            near = near or next(iter(difflib.get_close_matches(name, known, 1, 0.5)), "")
            raise InputError(
                f"field {key}", got="an unknown field", expected=f"one of {', '.join(known)}", where=where,
                hint=f"did you mean {near}?" if near else None,
            )  # fmt: skip


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


def _rotation(entry: Mapping[str, Any], where: str) -> np.ndarray | tuple[float, float, float] | None:
    """A matrix, or yaw, pitch and roll in degrees; None if no rotation is given."""
    given = [key for key in ("yaw", "rotation", "quaternion") if key in entry]
    if len(given) > 1:
        raise InputError("rotation", got=" and ".join(given), expected="one of them", where=where)
    turned = [key for key in ("pitch", "roll") if key in entry]
    if turned and given != ["yaw"]:
        raise InputError(turned[0], got=f"without yaw{f', with {given[0]}' if given else ''}",
                         expected="yaw, pitch and roll, or rotation, or quaternion", where=where)  # fmt: skip
    if "rotation" in entry:
        matrix = np.array(entry["rotation"], dtype=np.float64)
        if matrix.shape != (3, 3):
            raise InputError("rotation", got=f"shape {matrix.shape}", expected="3 rows of 3 numbers", where=where)
        return matrix
    if "quaternion" in entry:
        return quaternion_matrix(entry["quaternion"])
    if not given:
        return None
    angles = [float(entry.get(key, 0)) for key in ("yaw", "pitch", "roll")]
    if not all(abs(one) <= 360 for one in angles):
        raise InputError("yaw, pitch, roll", got=angles, expected="degrees, at most 360", where=where)
    return angles[0], angles[1], angles[2]


def _lidar(entry: Any, where: str) -> Lidar:
    if not isinstance(entry, Mapping):
        raise InputError("lidar", got=repr(entry), expected="fields position, rotation, beams, ...", where=where)
    _check_keys(entry, _LIDAR, where)
    turn = _rotation(entry, where)
    turn = np.eye(3) if turn is None else ego_rotation(*turn) if isinstance(turn, tuple) else turn
    pose = pose_matrix(turn, _numbers(entry, "position", 3, where, (0.94, 0.0, 1.84)))
    pitch = _numbers(entry, "pitch_range", 2, where, (-0.535, 0.187))
    if not -np.pi / 2 <= pitch[0] < pitch[1] <= np.pi / 2:
        raise InputError("pitch_range", got=pitch, expected="two rising angles in radians", where=where)
    beams, azimuths = int(entry.get("beams", 32)), int(entry.get("azimuths", 1080))
    if not 1 <= beams <= 1024 or not 1 <= azimuths <= 100_000:
        got = f"{beams} beams, {azimuths} azimuths"
        raise InputError("lidar", got=got, expected="1 to 1024, 1 to 100000", where=where)
    return Lidar(pose, beams, (pitch[0], pitch[1]), azimuths)


def _calibrated(entry: Mapping[str, Any], where: str, path: Path) -> dict[str, Any]:
    """The entry with size, intrinsic and lens of its calibration file, which is relative to the rig file."""
    doubled = [key for key in _INNER if key in entry]
    if doubled:
        raise InputError("calibration", got=f"and {doubled[0]}", expected="one of them", where=where)
    given = entry["calibration"]
    file, camera = given if isinstance(given, list) and len(given) == 2 else (given, None)
    if not isinstance(file, str):
        raise InputError("calibration", got=repr(given), expected="a file, or [file, camera]", where=where)
    return {**entry, **read_calibration_file(path.parent / file, camera, where)}


def _camera(entry: Any, where: str, path: Path) -> Camera:
    if not isinstance(entry, Mapping):
        raise InputError("camera", got=repr(entry), expected="fields name, size, position, ...", where=where)
    if not entry.get("name"):
        raise InputError("name", expected="a name for each camera", where=where)
    where = f"{entry['name']}, {where}"
    _check_keys(entry, _CAMERA, where)
    if "calibration" in entry:
        entry = _calibrated(entry, where, path)
    height, width = _numbers(entry, "size", 2, where, None)
    intrinsic = _intrinsic(entry, height, width, where)
    turn = _rotation(entry, where)
    if turn is None:
        raise InputError("rotation", expected="yaw (with pitch and roll), rotation or quaternion", where=where)
    turn = camera_rotation(*turn) if isinstance(turn, tuple) else turn
    pose = pose_matrix(turn, _numbers(entry, "position", 3, where, None))
    if not (1 <= height <= 20_000 and 1 <= width <= 20_000) or not (np.abs(intrinsic) < 1e8).all():
        raise InputError("size, intrinsic", got=(height, width), expected="a number of pixels", where=where)
    if not (np.abs(pose) < 1e8).all():
        raise InputError("pose", got="NaN, infinity or huge numbers", expected="metres and a rotation", where=where)
    if np.abs(pose[:3, 3]).max() > _FARTHEST:
        raise InputError("position", got=pose[:3, 3].tolist(), expected=f"metres, at most {_FARTHEST:g}", where=where)
    if abs(np.linalg.det(intrinsic)) > 1e-6:  # a singular matrix has an error of its own
        check_center(intrinsic, (int(height), int(width)), str(entry["name"]), where)
    lenses = {key: entry[key] for key in _LENS if entry.get(key) is not None}
    try:
        lens_row(**lenses)
    except InputError as error:
        raise InputError(error.what, got=error.got, expected=error.expected, where=where) from None
    coefficients = {key: tuple(float(one) for one in value) for key, value in lenses.items()}
    return Camera(str(entry["name"]), intrinsic, pose, (int(height), int(width)), **coefficients)


_FARTHEST = 50.0  # metres from the rear axle to a sensor of one vehicle; larger numbers are millimetres


def _intrinsic(entry: Mapping[str, Any], height: float, width: float, where: str) -> np.ndarray:
    if "intrinsic" in entry:
        doubled = [key for key in ("focal", "center") if key in entry]
        if doubled:
            raise InputError("intrinsic", got=f"and {doubled[0]}", expected="one of them", where=where)
        intrinsic = np.array(entry["intrinsic"], dtype=np.float64)
        if intrinsic.shape != (3, 3):
            raise InputError("intrinsic", got=f"shape {intrinsic.shape}", expected="3 rows of 3", where=where)
        return intrinsic
    focal = entry.get("focal")
    fx, fy = _numbers({"focal": focal if isinstance(focal, list) else [focal, focal]}, "focal", 2, where, None)
    cx, cy = _numbers(entry, "center", 2, where, (width / 2, height / 2))
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
