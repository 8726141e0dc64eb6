"""Images by casting rays through the fine world: Lambert sun, ambient light, shadows, texture, fog, sky, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from fastocc.geometry import Camera, cast_rays, in_parallel, pixel_rays
from fastocc.sim._world import World

_BASE = np.array(
    [
        [150, 110, 160], [205, 60, 50], [70, 110, 190], [225, 190, 60], [120, 130, 160], [230, 150, 50], [150, 70, 90],
        [200, 120, 110], [240, 110, 40], [170, 170, 180], [200, 200, 205], [88, 88, 92], [150, 135, 120],
        [165, 160, 155],
        [135, 130, 85], [165, 140, 125], [70, 115, 60],
    ],
    np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class Light:
    """The look of one scene: palette (17, 3), direction to the sun, ambient share, fog per metre, sky colour."""

    palette: np.ndarray
    sun: np.ndarray
    ambient: float
    fog: float
    sky: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Light:
        """A random look."""
        height, turn = rng.uniform(0.35, 1.2), rng.uniform(0, 2 * np.pi)
        sun = np.array([np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height)])
        palette = np.clip(_BASE * rng.uniform(0.8, 1.2, (1, 3)) * rng.uniform(0.85, 1.15, (17, 3)), 0, 255)
        sky = np.array([150, 180, 215]) * rng.uniform(0.75, 1.1)
        return cls(
            palette, sun, float(rng.uniform(0.35, 0.6)), float(rng.choice([0.0, rng.uniform(0.002, 0.012)])), sky
        )


@dataclass(frozen=True)
class Picture:
    """What a camera sees: rgb (H, W, 3) uint8; depth (H, W) float32, metres along the axis (of a fisheye: distance);
    semantics (H, W) uint8. In the sky and outside the lens depth is 0, semantics 255."""

    rgb: np.ndarray
    depth: np.ndarray
    semantics: np.ndarray


def render_camera(world: World, camera: Camera, pose: np.ndarray, light: Light, rng: np.random.Generator) -> Picture:
    """Render one camera.

    Args:
        world: what there is. camera: as in the rig. pose: (4, 4) ego to world.
        light: the scene's look. rng: noise and exposure.
    """
    height, width = camera.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    inside = pixel_rays(np.stack([columns, rows], -1).reshape(-1, 2), camera.intrinsic, camera.lens)
    dark = np.isnan(inside[:, 0])  # beyond a fisheye's widest angle
    inside[dark] = 0, 0, 1
    cam2world = pose @ camera.cam2ego
    directions = inside @ cam2world[:3, :3].T
    lengths = np.linalg.norm(directions, axis=1)
    directions /= lengths[:, None]
    cell = world.grid.voxel[0]
    origin = (cam2world[:3, 3] - np.array(world.grid.lower)) / cell
    count = len(directions)
    color, distance = np.zeros((count, 3), np.float32), np.zeros(count, np.float32)
    semantics = np.full(count, 255, np.uint8)
    rays, sun = np.ascontiguousarray(directions / cell), np.ascontiguousarray(light.sun / cell)
    palette = np.ascontiguousarray(light.palette, dtype=np.float32)

    def part(begin: int, end: int) -> None:
        window = slice(begin, end)
        _shade(
            world.classes, world.instances, np.ascontiguousarray(origin), rays[window], sun, light.ambient, palette,
            color[window], distance[window], semantics[window],
        )  # fmt: skip

    in_parallel(part, count)
    far = np.where(distance > 0, np.exp(-light.fog * distance), 0.0)[:, None]
    glow = light.sky * (1 - 0.35 * np.clip(directions[:, 2:], 0, 1))
    color = color * far + glow * (1 - far)
    color = color * rng.uniform(0.85, 1.15) + rng.normal(0, 3.0, color.shape)
    color[dark], distance[dark], semantics[dark] = 0, 0, 255
    return Picture(
        np.clip(color, 0, 255).astype(np.uint8).reshape(height, width, 3),
        (distance / lengths).astype(np.float32).reshape(height, width),
        semantics.reshape(height, width),
    )


@njit(cache=True, nogil=True)
def _shade(world, ids, origin, rays, sun, ambient, palette, color, distance, semantics):  # pragma: no cover
    ny, nz = world.shape[1], world.shape[2]
    hit, cell, entry = np.zeros(1, np.bool_), np.zeros(1, np.int64), np.zeros(1)
    leave, axis, seen = np.zeros(1), np.zeros(1, np.int8), np.zeros((1, 1, 1), np.bool_)
    start, ray, far = np.zeros((1, 3)), np.zeros((1, 3)), np.full(1, 150.0)
    for i in range(rays.shape[0]):
        start[0], ray[0] = origin, rays[i]
        far[0] = 150.0
        cast_rays(world, 17, start, ray, far, hit, cell, entry, leave, axis, seen, False)
        if not hit[0]:
            continue
        at, t, face = cell[0], entry[0], axis[0]
        x, y, z = at // (ny * nz), (at // nz) % ny, at % nz
        label, instance = world[x, y, z], ids[x, y, z]
        distance[i], semantics[i] = t, label
        side = -1.0 if face >= 0 and rays[i, face] > 0 else 1.0
        light = 0.0
        length = np.sqrt(sun[0] ** 2 + sun[1] ** 2 + sun[2] ** 2)
        facing = side * sun[face] / length if face >= 0 else 1.0
        if facing > 0:
            for a in range(3):
                start[0, a] = origin[a] + rays[i, a] * (t - 1e-3)
            start[0, max(face, 0)] += 0.02 * side
            ray[0], far[0] = sun, 40.0
            cast_rays(world, 17, start, ray, far, hit, cell, entry, leave, axis, seen, False)
            if not hit[0]:
                light = facing
        seed = np.uint32(x * 73856093) ^ np.uint32(y * 19349663) ^ np.uint32(z * 83492791)
        seed = np.uint32((seed ^ (seed >> np.uint32(13))) * np.uint32(1274126177))
        grain = 0.88 + 0.24 * (np.uint32(seed >> np.uint32(8)) & np.uint32(255)) / 255.0
        if label == 15 and z % 15 > 7 and (x + y) % 12 < 6:  # windows
            grain *= 0.6
        own = np.uint32(instance) * np.uint32(2654435761)
        shine = ambient + (1 - ambient) * light
        for channel in range(3):
            tint = 0.8 + 0.4 * ((own >> np.uint32(8 * channel)) & np.uint32(255)) / 255.0 if instance > 0 else 1.0
            color[i, channel] = palette[label, channel] * tint * grain * shine
