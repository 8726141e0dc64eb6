"""The sensors of a vehicle: any number of cameras and a LiDAR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from fastocc.geometry._camera import Camera, Lidar
from fastocc.geometry._poses import camera_rotation, check_cameras, pose_matrix, yaw_matrix
from fastocc.geometry._rig_file import read_rig, write_rig


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
        """(N, 13) float32 lenses; None if all cameras are pinholes."""
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
        turn = pose_matrix(yaw_matrix(degrees), (0, 0, 0))
        return replace(self, cameras=tuple(replace(one, cam2ego=turn @ one.cam2ego) for one in self.cameras))

    @classmethod
    def nominal(cls, height: int = 900, width: int = 1600) -> CameraRig:
        """Six cameras around a car, in nominal numbers of a common research vehicle."""
        made = []
        for name, position, yaw, focal in _NOMINAL:
            intrinsic = np.array([[focal, 0, 815.0], [0, focal, 490.0], [0, 0, 1.0]])
            made.append(Camera(name, intrinsic, pose_matrix(camera_rotation(yaw), position), (900, 1600)))
        return cls(tuple(made)).resized(height, width)

    @classmethod
    def from_yaml(cls, path: str | Path) -> CameraRig:
        """Read a rig; the guide lists the fields. InputError names file, camera and field."""
        return cls(*read_rig(Path(path)))

    def to_yaml(self, path: str | Path) -> None:
        """Write what `from_yaml` reads."""
        write_rig(path, self.cameras, self.lidar)


_NOMINAL = [
    ("CAM_FRONT", (1.70, 0.0, 1.51), 0.0, 1265.0),
    ("CAM_FRONT_LEFT", (1.52, 0.49, 1.51), 55.0, 1265.0),
    ("CAM_FRONT_RIGHT", (1.52, -0.49, 1.51), -56.0, 1265.0),
    ("CAM_BACK_LEFT", (1.04, 0.48, 1.59), 109.0, 1265.0),
    ("CAM_BACK_RIGHT", (1.04, -0.48, 1.59), -111.0, 1265.0),
    ("CAM_BACK", (0.03, 0.0, 1.58), 180.0, 809.0),
]
