"""Rotations and rigid poses, and the checks that a calibration must pass.

Ego frame: x forward, y left, z up, origin on the ground under the rear axle. Camera frame: x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ninefold.errors import InputError

_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # camera to ego at yaw 0
_OFF_CENTER = 0.12  # share of the width that a principal point may be off the middle; lenses are within a few per cent


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


def check_center(intrinsic: np.ndarray, size: tuple[int, int], what: str, where: object) -> None:
    """InputError unless an intrinsic fits a picture of a size, judged by its principal point.

    Rows may have been cut at the top or bottom, so its row may be anywhere in the picture.
    """
    height, width = size
    across, down = intrinsic[0, 2] / width, intrinsic[1, 2] / height
    if intrinsic[0, 0] <= 0 or intrinsic[1, 1] <= 0 or np.abs(intrinsic[2] - [0, 0, 1]).max() > 1e-6:
        raise InputError(
            f"intrinsic of {what}", got=intrinsic.tolist(), expected="focal lengths > 0 and last row [0, 0, 1]",
            where=str(where), hint="a transposed matrix?",
        )  # fmt: skip
    if abs(across - 0.5) > _OFF_CENTER or not 0 <= down <= 1:
        got = (
            f"principal point {intrinsic[0, 2]:.0f}, {intrinsic[1, 2]:.0f} in a picture {width} wide and {height} high"
        )
        raise InputError(
            f"intrinsic of {what}", got=got, expected="a column near the middle of the picture", where=str(where),
            hint=f"was it calibrated at about {2 * intrinsic[0, 2]:.0f} x {2 * intrinsic[1, 2]:.0f} pixels? "
            "Scale the intrinsic with the picture",
        )  # fmt: skip


def pose_matrix(rotation: np.ndarray, position: Sequence[float]) -> np.ndarray:
    """(4, 4) pose from a (3, 3) rotation and a position."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, position
    return pose


def ego_rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """(3, 3) rotation of a body whose x axis looks along `yaw`, with the signs of `camera_rotation`; degrees."""
    return camera_rotation(yaw, pitch, roll) @ _AXES.T


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
