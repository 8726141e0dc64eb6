"""Where things are, in numpy alone: the voxel grid, the cameras, and rays through a volume.

- `_grid.py`: the grids of table "label formats"; flips of labels and masks
- `_rig.py`: cameras and LiDAR of a vehicle, read from YAML and checked
- `_lens.py`: fisheye lenses
- `_rays.py`: Amanatides-Woo traversal on the CPU (numba)
"""

from fastocc.geometry._grid import GridSpec, flip_volume
from fastocc.geometry._lens import angle_of, lens_row, pixel_rays, project_points, radius
from fastocc.geometry._rays import RayHits, cast_rays, in_parallel, mark_seen, raycast, thread_count
from fastocc.geometry._rig import (
    Camera,
    CameraRig,
    Lidar,
    camera_rotation,
    check_cameras,
    quaternion_matrix,
    yaw_matrix,
)

__all__ = [
    "Camera",
    "CameraRig",
    "GridSpec",
    "Lidar",
    "RayHits",
    "angle_of",
    "camera_rotation",
    "cast_rays",
    "check_cameras",
    "flip_volume",
    "in_parallel",
    "lens_row",
    "mark_seen",
    "pixel_rays",
    "project_points",
    "quaternion_matrix",
    "radius",
    "raycast",
    "thread_count",
    "yaw_matrix",
]
