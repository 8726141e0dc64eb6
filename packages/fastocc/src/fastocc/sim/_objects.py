"""What moves or could be moved: vehicles as composite shapes, people, cones, barriers, and debris without a class.

Sizes are typical of driving data: (length, width, height) in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fastocc.sim._layout import LANE, Road
from fastocc.sim._world import (
    BARRIER,
    BICYCLE,
    BUS,
    CAR,
    CONE,
    CONSTRUCTION,
    MOTORCYCLE,
    OTHERS,
    PEDESTRIAN,
    TRAILER,
    TRUCK,
    Shape,
    World,
)

SIZES = {
    CAR: (4.6, 1.95, 1.73), TRUCK: (6.9, 2.5, 2.8), BUS: (11.2, 2.9, 3.5), TRAILER: (12.3, 2.9, 3.9),
    CONSTRUCTION: (6.4, 2.8, 3.2), BICYCLE: (1.7, 0.6, 1.3), MOTORCYCLE: (2.1, 0.8, 1.5), PEDESTRIAN: (0.7, 0.7, 1.8),
    CONE: (0.4, 0.4, 1.1), BARRIER: (0.5, 2.5, 1.0), OTHERS: (1.5, 1.2, 1.0),
}  # fmt: skip
FIRST_INSTANCE = 20_000
# debris: generators of (power in the plane, power upwards, parts, flatness); three in ten stay out of training scenes
_DEBRIS = [
    (np.inf, np.inf, 1, 1.0), (2.0, 2.0, 1, 1.0), (2.0, np.inf, 1, 1.0), (np.inf, 2.0, 2, 0.7), (4.0, 4.0, 2, 1.0),
    (2.0, 2.0, 3, 0.6), (np.inf, np.inf, 3, 0.5), (1.0, 1.0, 1, 1.2), (0.7, 2.0, 2, 1.0), (1.5, np.inf, 4, 0.8),
]  # fmt: skip
SEEN_DEBRIS, HELD_OUT_DEBRIS = tuple(range(7)), tuple(range(7, 10))


@dataclass(frozen=True)
class Thing:
    """An object with its own instance number.

    Attributes:
        instance: number in the world. label: class. kind: generator of debris, else -1.
        size: full lengths, metres. road, along, lateral, direction, speed: where it is and goes (speed in m/s).
        height: metres of its lower side above the road. parts: debris' pieces, (offset, size, power).
    """

    instance: int
    label: int
    size: tuple[float, float, float]
    road: Road
    along: float
    lateral: float
    direction: int
    speed: float
    kind: int = -1
    height: float = 0.0
    parts: tuple[tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float]], ...] = field(
        default=()
    )

    def pose(self, time: float) -> tuple[float, float, float]:
        """(x, y, yaw in degrees) in the world after `time` seconds."""
        x, y, yaw = self.road.pose(self.along + self.direction * self.speed * time, self.lateral)
        return x, y, yaw if self.direction > 0 else yaw + 180

    def velocity(self, time: float) -> tuple[float, float]:
        """(x, y) m/s in the world."""
        (x0, y0, _), (x1, y1, _) = self.pose(time - 0.05), self.pose(time + 0.05)
        return (x1 - x0) / 0.1, (y1 - y0) / 0.1

    def paint(self, world: World, time: float) -> None:
        """Paint it where it is after `time` seconds."""
        x, y, yaw = self.pose(time)
        turn = np.deg2rad(yaw)

        def part(along: float, across: float, low: float, size, power=(np.inf, np.inf)) -> None:
            center = (
                x + along * np.cos(turn) - across * np.sin(turn),
                y + along * np.sin(turn) + across * np.cos(turn),
                self.height + low + size[2] / 2,
            )
            world.paint(Shape(center, size, yaw, power), self.label, self.instance)

        length, width, height = self.size
        if self.parts:
            for offset, size, power in self.parts:
                part(offset[0], offset[1], offset[2], size, power)
        elif self.label == CAR:
            part(0, 0, 0.2, (length, width, height * 0.45))
            part(-length * 0.06, 0, 0.2 + height * 0.45, (length * 0.55, width * 0.9, height * 0.45))
        elif self.label == TRUCK:
            part(length * 0.37, 0, 0.3, (length * 0.25, width, height * 0.75))
            part(-length * 0.14, 0, 0.7, (length * 0.7, width, height - 0.7))
        elif self.label == TRAILER:
            part(0, 0, 1.0, (length, width, height - 1.0))
            part(-length * 0.35, 0, 0.1, (length * 0.2, width * 0.9, 0.9))
        elif self.label == CONSTRUCTION:
            part(-0.8, 0, 0.1, (length * 0.6, width, 1.2))
            part(-0.8, 0, 1.3, (length * 0.35, width * 0.8, 1.6))
            part(length * 0.3, 0, 2.4, (length * 0.6, 0.5, 0.5))  # the boom: free space below it
            part(length * 0.52, 0, 0.6, (0.8, 1.0, 0.9))
        elif self.label in (BICYCLE, MOTORCYCLE):
            part(0, 0, 0.0, (length, 0.3, height * 0.65))
            part(length * 0.3, 0, height * 0.5, (0.3, width, height * 0.4))
        elif self.label == CONE:
            part(0, 0, 0.0, (width, width, height * 0.5), (2, np.inf))
            part(0, 0, height * 0.5, (width * 0.5, width * 0.5, height * 0.5), (2, np.inf))
        elif self.label == PEDESTRIAN:
            part(0, 0, 0.0, (0.45, 0.6, height * 0.85), (2, np.inf))
            part(0, 0, height * 0.8, (0.3, 0.3, height * 0.2), (2, 2))
        else:
            part(0, 0, 0.1 if self.label == BUS else 0.0, (length, width, height))


def place(rng: np.random.Generator, roads: list[Road], *, validation: bool) -> list[Thing]:
    """Objects by lane and heading, none on another or where the ego vehicle drives (right lane, x in -14..24)."""
    things: list[Thing] = []
    taken: list[tuple[float, float, float]] = [
        (float(x), roads[0].pose(float(x), ego_lateral(roads[0]))[1], 2.6) for x in range(-14, 25, 3)
    ]

    def add(
        label: int, road: Road, along: float, lateral: float, direction: int = 1, speed: float = 0.0, **more
    ) -> None:
        size = tuple(float(one * rng.uniform(0.92, 1.08)) for one in more.pop("size", SIZES[label]))
        x, y, _ = road.pose(along, lateral)
        radius = size[0] / 2
        steps = [road.pose(along + direction * speed * t, lateral)[:2] for t in (0.0, 1.0, 2.0)] if speed else [(x, y)]
        if any(np.hypot(px - tx, py - ty) < radius * 0.8 + r for px, py in steps for tx, ty, r in taken):
            return
        taken.extend((px, py, max(radius * 0.8, 0.4)) for px, py in steps)
        things.append(
            Thing(FIRST_INSTANCE + len(things), label, size, road, along, lateral, direction, speed, **more)  # type: ignore[arg-type]
        )

    vehicles = [CAR, TRUCK, BUS, TRAILER, CONSTRUCTION, MOTORCYCLE, BICYCLE]
    weights = [0.52, 0.12, 0.09, 0.07, 0.07, 0.07, 0.06]
    for road in roads:
        for _ in range(int(rng.integers(14, 26))):
            label = int(rng.choice(vehicles, p=weights))
            lane = int(rng.integers(0, road.lanes))
            lateral = -road.half + LANE * (lane + 0.5)
            direction = 1 if lateral < 0 else -1
            speed = float(rng.choice([0.0, rng.uniform(2, 9)]))
            add(label, road, float(rng.uniform(-48, 48)), lateral, direction, speed)
        for _ in range(int(rng.integers(6, 14))):  # parked at the kerb
            side = int(rng.choice([-1, 1]))
            label = int(rng.choice([CAR, CAR, TRUCK, BICYCLE, MOTORCYCLE]))
            inset = SIZES[label][1] / 2 + 0.1
            add(label, road, float(rng.uniform(-48, 48)), side * (road.half - inset), -side)
        for _ in range(int(rng.integers(10, 24))):
            side = int(rng.choice([-1, 1]))
            lateral = side * (road.half + float(rng.uniform(0.6, 2.2)))
            speed = float(rng.choice([0.0, rng.uniform(0.6, 1.6)]))
            add(PEDESTRIAN, road, float(rng.uniform(-40, 40)), lateral, int(rng.choice([-1, 1])), speed, height=0.15)
        for _ in range(int(rng.integers(1, 4))):  # road works: a row of cones or barriers
            label, start = int(rng.choice([CONE, BARRIER])), float(rng.uniform(-35, 30))
            lateral = float(rng.choice([-1, 1])) * (road.half - float(rng.uniform(0.3, 1.2)))
            for step in range(int(rng.integers(3, 8))):
                add(label, road, start + step * (2.0 if label == CONE else 2.7), lateral, 1)
    for _ in range(int(rng.integers(8, 16))):
        kinds = SEEN_DEBRIS + HELD_OUT_DEBRIS if validation else SEEN_DEBRIS
        kind = int(rng.choice(kinds))
        road = roads[int(rng.integers(0, len(roads)))]
        size = tuple(float(one) for one in rng.uniform((0.8, 0.8, 0.6), (2.6, 2.2, 1.8)))
        lateral = float(rng.choice([-1, 1]) * (road.half + rng.uniform(-2.6, 3.0)))
        add(OTHERS, road, float(rng.uniform(-30, 30)), lateral, size=size, kind=kind, parts=_pieces(rng, kind, size))
    return things


def ego_lateral(road: Road) -> float:
    """Lateral offset of the ego vehicle: the innermost right lane."""
    return -LANE / 2 if road.lanes % 2 == 0 else -LANE


def _pieces(rng: np.random.Generator, kind: int, size: tuple[float, ...]) -> tuple:
    p, q, count, flat = _DEBRIS[kind]
    pieces = []
    for number in range(count):
        share = 1.0 if count == 1 else float(rng.uniform(0.5, 0.85))
        own = (size[0] * share, size[1] * share, size[2] * share * flat)
        offset = tuple(float(one) for one in rng.uniform(-0.2, 0.2, 2) * size[:2]) if number else (0.0, 0.0)
        pieces.append(((offset[0], offset[1], 0.0 if number < 2 else own[2] * 0.6), own, (p, q)))
    return tuple(pieces)
