"""A camera and a LiDAR on a vehicle.

Pixel (column i, row j) covers [i, i+1) x [j, j+1), so scaling an image by s scales its coordinates by s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from ninefold.errors import InputError

from fastocc.geometry._lens import lens_row
from fastocc.geometry._poses import pose_matrix


@dataclass(frozen=True)
class Camera:
    """A pinhole or fisheye camera.

    Attributes:
        name: unique in its rig.
        intrinsic: (3, 3) camera coordinates to pixels.
        cam2ego: (4, 4) camera to ego coordinates.
        size: (height, width) of its image, pixels.
        fisheye: k1, k2, k3, k4 of OpenCV's equidistant model; None for another lens.
        distortion: k1, k2, p1, p2 (optionally k3, or k3 to k6) of OpenCV's plumb-bob or rational model; None for none.

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
    fisheye: tuple[float, ...] | None = None
    distortion: tuple[float, ...] | None = None

    @property
    def lens(self) -> np.ndarray:
        """(13,) float64 of `lens_row`; zeros for a pinhole."""
        return lens_row(self.fisheye, self.distortion)

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

    lidar2ego: np.ndarray = field(default_factory=lambda: pose_matrix(np.eye(3), (0.94, 0.0, 1.84)))
    beams: int = 32
    pitch: tuple[float, float] = (-0.535, 0.187)
    azimuths: int = 1080
