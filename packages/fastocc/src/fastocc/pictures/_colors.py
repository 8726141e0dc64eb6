"""A colour for each class name, the same in every picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_NAMED = {
    "others": (158, 60, 190), "barrier": (214, 74, 56), "bicycle": (40, 190, 190), "bus": (236, 190, 40),
    "car": (44, 110, 214), "construction_vehicle": (240, 140, 30), "motorcycle": (180, 60, 110),
    "pedestrian": (230, 40, 90), "traffic_cone": (255, 110, 0), "trailer": (130, 95, 60), "truck": (150, 80, 220),
    "driveable_surface": (110, 112, 118), "other_flat": (150, 130, 115), "sidewalk": (196, 176, 168),
    "terrain": (160, 170, 90), "manmade": (214, 204, 190), "vegetation": (60, 140, 60), "person": (230, 40, 90),
    "road": (110, 112, 118), "building": (214, 204, 190),
}  # fmt: skip


def colors(classes: Sequence[str]) -> np.ndarray:
    """(256, 3) uint8 by label; classes without a colour of their own get one from their place, others are grey."""
    table = np.full((256, 3), 128, np.uint8)
    for label, name in enumerate(classes):
        turn = 2 * np.pi * label * 0.381966
        spread = 150 + 90 * np.array([np.sin(turn), np.sin(turn + 2.1), np.sin(turn + 4.2)])
        table[label] = _NAMED.get(name, tuple(int(one) for one in spread))
    return table
