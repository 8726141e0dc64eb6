"""What stands still: roads and junctions, pavements, terrain, buildings, trees, poles, walls, bridges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastocc.sim._world import DRIVEABLE, MANMADE, OTHER_FLAT, SIDEWALK, TERRAIN, VEGETATION, Shape, World

LANE = 3.4


@dataclass(frozen=True)
class Road:
    """A road y = offset + bend / 2 x² in a frame turned by `yaw` degrees; half of it if `one_sided`."""

    yaw: float
    offset: float
    bend: float
    lanes: int
    one_sided: int = 0

    @property
    def half(self) -> float:
        """Half of its width, metres."""
        return self.lanes * LANE / 2

    def pose(self, along: float, lateral: float) -> tuple[float, float, float]:
        """(x, y, yaw in degrees) at `along` metres, `lateral` metres left of the middle."""
        heading = np.arctan(self.bend * along)
        x = along - lateral * np.sin(heading)
        y = self.offset + self.bend / 2 * along**2 + lateral * np.cos(heading)
        turn = np.deg2rad(self.yaw)
        yaw = self.yaw + np.rad2deg(heading)
        return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn), float(yaw)

    def lateral(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Metres left of the middle; where the half road is not, far away."""
        turn = np.deg2rad(self.yaw)
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        side = (across - self.offset - self.bend / 2 * along**2) / np.sqrt(1 + (self.bend * along) ** 2)
        return np.where(self.one_sided * along < -1.0, 1e3, side) if self.one_sided else side


def lay_roads(rng: np.random.Generator) -> list[Road]:
    """A straight or curved main road, and none, a half or a whole second road across it."""
    lanes = int(rng.integers(2, 5))
    main = Road(0.0, float(rng.uniform(-2, 2)), float(rng.choice([0.0, 0.0, rng.uniform(-0.012, 0.012)])), lanes)
    kind = rng.choice(["none", "half", "whole"], p=[0.4, 0.3, 0.3])
    if kind == "none":
        return [main]
    second = Road(
        90 + float(rng.uniform(-12, 12)),
        float(rng.uniform(-30, 30)),
        0.0,
        int(rng.integers(2, 4)),
        0 if kind == "whole" else int(rng.choice([-1, 1])),
    )
    return [main, second]


def build(rng: np.random.Generator, roads: list[Road], world: World) -> None:
    """Paint ground and everything that never moves; instances get numbers from 1 so that each has its own colour."""
    counter = iter(range(1, 20_000))
    distance = _ground(rng, roads, world)
    _buildings(rng, roads, world, distance, counter)
    _greenery(rng, roads, world, distance, counter)
    _furniture(rng, roads, world, distance, counter)


def _ground(rng: np.random.Generator, roads: list[Road], world: World) -> np.ndarray:
    """Paint the ground; returns (X, Y) metres to the nearest road's edge (negative on a road)."""
    grid = world.grid
    x = (grid.lower[0] + grid.voxel[0] * (np.arange(grid.shape[0]) + 0.5))[:, None]
    y = (grid.lower[1] + grid.voxel[1] * (np.arange(grid.shape[1]) + 0.5))[None]
    laterals = [road.lateral(x, y) for road in roads]
    distance = np.min([np.abs(one) - road.half for one, road in zip(laterals, roads, strict=True)], axis=0)
    walk = float(rng.uniform(1.6, 3.2))
    ground = np.full(distance.shape, TERRAIN, np.uint8)
    height = np.clip(0.35 * (np.sin(x * rng.uniform(0.05, 0.15) + rng.uniform(0, 6)) * np.cos(y * 0.1) + 0.6), 0, 0.8)
    height = height * np.clip((distance - walk) / 4, 0, 1)
    plaza = rng.random() < 0.5
    if plaza:  # a paved forecourt along one stretch
        at = float(rng.uniform(-35, 35))
        ground[(np.abs(x - at) < rng.uniform(6, 14)) & (distance > walk) & (y > 0)] = OTHER_FLAT
    ground[distance < walk] = SIDEWALK
    height[distance < walk] = 0.15
    ground[distance < 0] = DRIVEABLE
    height[distance < 0] = 0.0
    if roads[0].lanes >= 4 and rng.random() < 0.6:  # an island between the directions
        island = (np.abs(laterals[0]) < 0.6) & (np.abs(x - rng.uniform(-20, 20)) < rng.uniform(8, 25))
        if len(roads) > 1:
            island &= np.abs(laterals[1]) > roads[1].half + 2
        ground[island], height[island] = OTHER_FLAT, 0.15
    base = round(-grid.lower[2] / grid.voxel[2]) - 1  # the layer whose top is z = 0
    top = base + np.ceil(height / grid.voxel[2] - 1e-9).astype(int)
    for layer in range(base, int(top.max()) + 1):
        world.classes[:, :, layer] = np.where(layer <= top, ground, world.classes[:, :, layer])
    return distance


def _free_of_roads(world: World, distance: np.ndarray, x: float, y: float, need: float) -> bool:
    index, inside = world.grid.index(np.array([x, y, 0.0]))
    return bool(inside) and bool(distance[index[0], index[1]] > need)


def _buildings(rng, roads, world, distance, counter) -> None:
    for road in roads:
        for side in (-1, 1):
            along = -58.0
            setback = float(rng.uniform(4, 9))
            while along < 58:
                length, depth, height = rng.uniform(7, 18), rng.uniform(8, 14), rng.uniform(4, 11)
                gap = float(rng.choice([0.0, rng.uniform(2, 9)]))
                x, y, yaw = road.pose(along + length / 2, side * (road.half + setback + depth / 2 + rng.uniform(0, 2)))
                corners = [road.pose(along + t, side * (road.half + setback)) for t in (0.0, length / 2, length)]
                corner = all(_free_of_roads(world, distance, one[0], one[1], 2.5) for one in corners)
                if corner and rng.random() < 0.8:
                    number = next(counter)
                    world.paint(Shape((x, y, height / 2 - 0.2), (length, depth, height), yaw), MANMADE, number)
                    if rng.random() < 0.5:  # a canopy over the entrance: a layer above free space
                        front = road.pose(along + length / 2, side * (road.half + setback - 0.8))
                        world.paint(Shape((front[0], front[1], 3.0), (3.0, 2.0, 0.3), yaw), MANMADE, number)
                along += length + gap


def _greenery(rng, roads, world, distance, counter) -> None:
    for road in roads:
        for side in (-1, 1):
            for along in np.arange(-56, 56, float(rng.uniform(7, 13))):
                if rng.random() < 0.45:
                    continue
                x, y, _ = road.pose(along + rng.uniform(-1, 1), side * (road.half + rng.uniform(0.8, 3.0)))
                if not _free_of_roads(world, distance, x, y, 0.5):
                    continue
                number, trunk = next(counter), float(rng.uniform(2.0, 3.4))
                world.paint(Shape((x, y, trunk / 2), (0.4, 0.4, trunk), 0, (2, np.inf)), VEGETATION, number)
                crown = (*rng.uniform(2.5, 5.5, 2), float(rng.uniform(2.0, 4.0)))
                center = (x + float(rng.uniform(-0.5, 0.5)), y + float(rng.uniform(-0.5, 0.5)), trunk + crown[2] * 0.4)
                world.paint(Shape(center, crown, 0, (2, 2)), VEGETATION, number, over=False)
    for _ in range(int(rng.integers(10, 40))):
        x, y = rng.uniform(-58, 58, 2)
        if _free_of_roads(world, distance, x, y, 3.5):
            size = (*rng.uniform(0.8, 3.0, 2), float(rng.uniform(0.8, 2.0)))
            world.paint(Shape((x, y, size[2] / 2), size, 0, (2, 2)), VEGETATION, next(counter), over=False)


def _furniture(rng, roads, world, distance, counter) -> None:
    road = roads[0]
    for side in (-1, 1):
        for along in np.arange(-55, 55, float(rng.uniform(14, 24))):
            x, y, yaw = road.pose(float(along), side * (road.half + 0.5))
            if not _free_of_roads(world, distance, x, y, 0.1):
                continue
            number, height = next(counter), float(rng.uniform(4.5, 8))
            world.paint(Shape((x, y, height / 2), (0.25, 0.25, height)), MANMADE, number)
            if rng.random() < 0.6:  # a lamp's arm or a sign over the road
                tip = road.pose(float(along), side * (road.half - 0.7))
                world.paint(Shape((tip[0], tip[1], min(height, 5.0) - 0.2), (0.4, 2.6, 0.4), yaw), MANMADE, number)
        if rng.random() < 0.4:  # a wall or fence along the pavement
            start = float(rng.uniform(-40, 20))
            for along in np.arange(start, start + 20, 2.0):
                x, y, yaw = road.pose(float(along), side * (road.half + 3.6))
                if _free_of_roads(world, distance, x, y, 1.0):
                    world.paint(Shape((x, y, 0.8), (2.2, 0.3, 1.6), yaw), MANMADE, 0, over=False)
    if rng.random() < 0.35:  # a bridge or gantry: columns with road below and beam above
        along, width = float(rng.uniform(-25, 25)), float(rng.choice([0.8, rng.uniform(3, 6)]))
        number = next(counter)
        x, y, yaw = road.pose(along, 0.0)
        world.paint(Shape((x, y, 5.0), (width, 2 * road.half + 4, 0.8), yaw), MANMADE, number)
        for side in (-1, 1):
            x, y, _ = road.pose(along, side * (road.half + 1.2))
            world.paint(Shape((x, y, 2.4), (min(width, 1.2), 0.6, 4.8), yaw), MANMADE, number)
