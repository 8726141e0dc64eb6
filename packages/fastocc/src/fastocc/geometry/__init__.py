"""Where things are, in numpy alone: the voxel grid, the cameras, and rays through a volume.

- `_grid.py`: the grids of table "label formats"; flips of labels and masks
- `_poses.py`, `_camera.py`, `_rig.py`: rotations and checks, one camera or LiDAR, all of a vehicle
- `_rig_file.py`, `_calibration.py`: rigs as YAML files; calibration files of ROS and Kalibr
- `_lens.py`: fisheye and distorted lenses
- `_rays.py`: Amanatides-Woo traversal on the CPU (numba)
"""

from fastocc.geometry._camera import Camera, Lidar
from fastocc.geometry._grid import GridSpec, flip_volume
from fastocc.geometry._lens import (
    LENS_SIZE,
    UNDISTORTED,
    angle_of,
    distort,
    is_distorted,
    lens_row,
    pixel_rays,
    project_points,
    radius,
    undistort,
)
from fastocc.geometry._poses import camera_rotation, check_cameras, check_center, quaternion_matrix, yaw_matrix
from fastocc.geometry._rays import RayHits, cast_rays, in_parallel, mark_seen, raycast, thread_count
from fastocc.geometry._rig import CameraRig

__all__ = [
    "LENS_SIZE",
    "UNDISTORTED",
    "Camera",
    "CameraRig",
    "GridSpec",
    "Lidar",
    "RayHits",
    "angle_of",
    "camera_rotation",
    "cast_rays",
    "check_cameras",
    "check_center",
    "distort",
    "flip_volume",
    "in_parallel",
    "is_distorted",
    "lens_row",
    "mark_seen",
    "pixel_rays",
    "project_points",
    "quaternion_matrix",
    "radius",
    "raycast",
    "thread_count",
    "undistort",
    "yaw_matrix",
]
