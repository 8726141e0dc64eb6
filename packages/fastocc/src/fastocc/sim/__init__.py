"""A deterministic street simulator: exact voxel labels, images, depth, semantics, LiDAR and masks from a seed.

- `_world.py`: the fine voxel world (0.2 m) and the shapes painted into it
- `_layout.py`: roads, junctions, pavements, buildings, trees, bridges
- `_objects.py`: vehicles, people, cones, barriers, debris, with sizes as in driving data
- `_scene.py`: a sequence at 2 Hz: where everything stands in each frame, labels, masks, LiDAR
- `_render.py`: images by ray casting, with sun, shadow, texture, fog and noise
- `_write.py`: the Occ3D folder layout, resumable
"""

from fastocc.sim._objects import HELD_OUT_DEBRIS, SEEN_DEBRIS
from fastocc.sim._render import Picture, render_camera
from fastocc.sim._scene import Frame, Scene, camera_mask, lidar_mask
from fastocc.sim._world import CLASSES, FREE, Shape, World
from fastocc.sim._write import SimConfig, simulate

__all__ = [
    "CLASSES",
    "FREE",
    "HELD_OUT_DEBRIS",
    "SEEN_DEBRIS",
    "Frame",
    "Picture",
    "Scene",
    "Shape",
    "SimConfig",
    "World",
    "camera_mask",
    "lidar_mask",
    "render_camera",
    "simulate",
]
