"""A sequence of frames at 2 Hz: what stands where, and everything that a data set would know of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from fastocc.geometry import CameraRig, GridSpec, cast_rays, in_parallel, mark_seen, project_points, raycast, yaw_matrix
from fastocc.sim._layout import build, lay_roads
from fastocc.sim._objects import Thing, ego_lateral, place
from fastocc.sim._render import Light, Picture, render_camera
from fastocc.sim._world import FREE, World

STEP = 0.5  # seconds between frames
OBJECT_CLASSES = range(11)


@dataclass(frozen=True)
class Frame:
    """One moment.

    Attributes:
        pose: (4, 4) ego to world. time: seconds since the scene's start.
        semantics: (X, Y, Z) uint8. instances: (X, Y, Z) uint16.
        mask_lidar, mask_camera: (X, Y, Z) bool, what the sensors could see.
        points: (P, 5) float32 x, y, z in LiDAR coordinates, intensity, beam. point_labels: (P,) uint8.
        pictures: one a camera, in the rig's order.
        boxes: dictionaries of the objects: instance, label, kind, center, size, yaw (ego frame), velocity.
    """

    pose: np.ndarray
    time: float
    semantics: np.ndarray
    instances: np.ndarray
    mask_lidar: np.ndarray
    mask_camera: np.ndarray
    points: np.ndarray
    point_labels: np.ndarray
    pictures: list[Picture]
    boxes: list[dict]


class Scene:
    """A street that depends on its seed alone.

    Args:
        seed: random seed.
        validation: whether held-out shapes of debris appear.
        frames: length of the sequence.
        moving: the vehicle moves in every scene; otherwise it stands still in about half of them.

    Examples:
        >>> from fastocc import CameraRig, GridSpec, Scene

        >>> rig, grid = CameraRig.nominal(32, 64), GridSpec.named("micro")
        >>> frame = Scene(seed=7).frame(0, rig, grid)

        >>> len(frame.pictures), frame.pictures[0].rgb.shape
        (6, (32, 64, 3))
        >>> frame.semantics.shape, frame.semantics.dtype
        ((20, 20, 8), dtype('uint8'))
    """

    def __init__(self, seed: int, *, validation: bool = False, frames: int = 4, moving: bool = False) -> None:
        self.seed, self.frames = seed, frames
        rng = np.random.default_rng([seed, 7 if validation else 3])
        self.roads = lay_roads(rng)
        self.still = World()
        build(rng, self.roads, self.still)
        self.things: list[Thing] = place(rng, self.roads, validation=validation)
        for thing in self.things:
            if not thing.speed:
                thing.paint(self.still, 0.0)
        self.light = Light.drawn(rng)
        self.speed = float(rng.choice([0.0, rng.uniform(2, 8)]))
        self.start = float(rng.uniform(-8, -4))
        if moving and not self.speed:
            self.speed = float(np.random.default_rng([seed, 17]).uniform(2, 8))

    def pose(self, index: int) -> np.ndarray:
        """(4, 4) ego to world in frame `index`."""
        along = self.start + self.speed * STEP * index
        x, y, yaw = self.roads[0].pose(along, ego_lateral(self.roads[0]))
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = yaw_matrix(yaw), (x, y, 0.0)
        return pose

    def world(self, index: int) -> World:
        """The fine world in frame `index`, everything at its place."""
        world = self.still.copy()
        for thing in self.things:
            if thing.speed:
                thing.paint(world, index * STEP)
        return world

    def frame(self, index: int, rig: CameraRig, grid: GridSpec, *, pictures: bool = True) -> Frame:
        """Compute frame `index` for a rig and a label grid."""
        world, pose = self.world(index), self.pose(index)
        semantics, instances = world.labels(pose, grid)
        points, labels = scan(world, pose, rig)
        rng = np.random.default_rng([self.seed, index, 11])
        origins = [self.pose(other) for other in range(self.frames)]
        sensors = [pose_between(pose, other) @ rig.lidar.lidar2ego for other in origins]
        return Frame(
            pose, index * STEP, semantics, instances,
            lidar_mask(semantics, grid, sensors, rig), camera_mask(semantics, grid, rig), points, labels,
            [render_camera(world, camera, pose, self.light, rng) for camera in rig.cameras] if pictures else [],
            self._boxes(pose, index * STEP, grid),
        )  # fmt: skip

    def _boxes(self, pose: np.ndarray, time: float, grid: GridSpec) -> list[dict]:
        boxes = []
        heading = np.rad2deg(np.arctan2(pose[1, 0], pose[0, 0]))
        for thing in self.things:
            x, y, yaw = thing.pose(time)
            local = pose[:3, :3].T @ (np.array([x, y, thing.height + thing.size[2] / 2]) - pose[:3, 3])
            if np.abs(local[0]) > abs(grid.upper[0]) + 6 or np.abs(local[1]) > abs(grid.upper[1]) + 6:
                continue
            velocity = pose[:2, :2].T @ np.array(thing.velocity(time) if thing.speed else (0.0, 0.0))
            boxes.append(
                {
                    "instance": thing.instance, "label": thing.label, "kind": thing.kind,
                    "center": [round(float(one), 4) for one in local],
                    "size": [round(float(one), 4) for one in thing.size],
                    "yaw": round(float((yaw - heading + 180) % 360 - 180), 3),
                    "velocity": [round(float(one), 4) for one in velocity],
                }
            )  # fmt: skip
        return boxes


def pose_between(pose: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(4, 4) from the ego frame of `other` to the ego frame of `pose` (both ego to world)."""
    inverse = np.eye(4)
    inverse[:3, :3], inverse[:3, 3] = pose[:3, :3].T, -pose[:3, :3].T @ pose[:3, 3]
    return inverse @ other


def beam_directions(rig: CameraRig) -> np.ndarray:
    """(beams * azimuths, 3) unit directions in LiDAR coordinates, beam by beam from the lowest."""
    lidar = rig.lidar
    pitch = np.linspace(*lidar.pitch, lidar.beams)[:, None]
    turn = (np.arange(lidar.azimuths) * 2 * np.pi / lidar.azimuths)[None]
    parts = [np.cos(pitch) * np.cos(turn), np.cos(pitch) * np.sin(turn), np.sin(pitch) * np.ones_like(turn)]
    return np.stack(parts, -1).reshape(-1, 3)


def scan(world: World, pose: np.ndarray, rig: CameraRig) -> tuple[np.ndarray, np.ndarray]:
    """One LiDAR sweep: (P, 5) x, y, z in LiDAR coordinates, intensity, beam; and (P,) uint8 labels."""
    directions = beam_directions(rig)
    sensor = pose @ rig.lidar.lidar2ego
    hits = raycast(world.classes, world.grid, sensor[:3, 3], directions @ sensor[:3, :3].T, free=FREE, far=80.0)
    labels = world.classes.reshape(-1)[np.maximum(hits.cell, 0)]
    beams = np.repeat(np.arange(rig.lidar.beams), rig.lidar.azimuths)
    points = directions * hits.entry[:, None] + directions * 0.02  # just inside the surface
    table = np.column_stack([points, 20 + 10 * (labels % 7), beams]).astype(np.float32)
    return table[hits.hit], labels[hits.hit]


def camera_mask(semantics: np.ndarray, grid: GridSpec, rig: CameraRig, *, free: int = FREE) -> np.ndarray:
    """(X, Y, Z) bool: voxels on a camera's lines of sight to all voxel centres, up to the first occupied one."""
    volume, seen, centers = np.ascontiguousarray(semantics, np.uint8), np.zeros(grid.shape, bool), grid.centers()
    lower, voxel, row = np.array(grid.lower), np.array(grid.voxel), grid.shape[1] * grid.shape[2]
    pinholes = [one for one in rig.cameras if not one.lens.any()]

    def part(begin: int, end: int) -> None:
        for camera in pinholes:
            ego2cam, origin = np.linalg.inv(camera.cam2ego), np.ascontiguousarray(camera.cam2ego[:3, 3])
            _mark_lines(
                volume, free, centers[begin // row : end // row], lower, voxel, ego2cam, camera.intrinsic, camera.size,
                origin, seen,
            )  # fmt: skip

    in_parallel(part, grid.shape[0] * row)
    for camera in (one for one in rig.cameras if one.lens.any()):
        ego2cam, origin = np.linalg.inv(camera.cam2ego), camera.cam2ego[:3, 3]
        points = centers.reshape(-1, 3)
        pixels, depth = project_points(points @ ego2cam[:3, :3].T + ego2cam[:3, 3], camera.intrinsic, camera.lens)
        inside = (depth > 0.1) & (pixels >= 0).all(1) & (pixels < camera.size[::-1]).all(1)
        rays = points[inside] - origin
        seen |= mark_seen(volume, grid, origin, rays / np.linalg.norm(rays, axis=1, keepdims=True), free=free)
    return seen


@njit(cache=True, nogil=True)
def _mark_lines(volume, free, centers, lower, voxel, ego2cam, intrinsic, size, origin, seen):  # pragma: no cover
    hit, cell, entry = np.zeros(1, np.bool_), np.zeros(1, np.int64), np.zeros(1)
    leave, axis, far = np.zeros(1), np.zeros(1, np.int8), np.full(1, np.inf)
    start, ray, e, q = np.zeros((1, 3)), np.zeros((1, 3)), ego2cam, intrinsic
    for a in range(3):
        start[0, a] = (origin[a] - lower[a]) / voxel[a]
    for i, j, k in np.ndindex(centers.shape[:3]):
        x, y, z = float(centers[i, j, k, 0]), float(centers[i, j, k, 1]), float(centers[i, j, k, 2])
        ahead = e[2, 0] * x + e[2, 1] * y + e[2, 2] * z + e[2, 3]
        if ahead <= 0.1:
            continue
        right = e[0, 0] * x + e[0, 1] * y + e[0, 2] * z + e[0, 3]
        down = e[1, 0] * x + e[1, 1] * y + e[1, 2] * z + e[1, 3]
        depth = q[2, 0] * right + q[2, 1] * down + q[2, 2] * ahead
        column = (q[0, 0] * right + q[0, 1] * down + q[0, 2] * ahead) / depth
        line = (q[1, 0] * right + q[1, 1] * down + q[1, 2] * ahead) / depth
        if not (0 <= column < size[1] and 0 <= line < size[0]):
            continue
        dx, dy, dz = x - origin[0], y - origin[1], z - origin[2]
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        ray[0] = dx / length / voxel[0], dy / length / voxel[1], dz / length / voxel[2]
        cast_rays(volume, free, start, ray, far, hit, cell, entry, leave, axis, seen, True)


def lidar_mask(
    semantics: np.ndarray, grid: GridSpec, sensors: list[np.ndarray], rig: CameraRig, *, free: int = FREE
) -> np.ndarray:
    """(X, Y, Z) bool: voxels that the beams of all LiDAR poses (4, 4) pass, up to the first occupied one."""
    directions, seen = beam_directions(rig), np.zeros(grid.shape, bool)
    for sensor in sensors:
        seen |= mark_seen(semantics, grid, sensor[:3, 3], directions @ sensor[:3, :3].T, free=free)
    return seen
