"""The label formats: which box they cover, in which frame, with which classes in which order."""

from __future__ import annotations

from dataclasses import dataclass

from ninefold.errors import InputError

from fastocc.geometry import GridSpec

IGNORE = 255
_STUFF = ("driveable_surface", "other_flat", "sidewalk", "terrain", "manmade", "vegetation")
_OCC3D = (
    "others", "barrier", "bicycle", "bus", "car", "construction_vehicle", "motorcycle", "pedestrian", "traffic_cone",
    "trailer", "truck", *_STUFF, "free",
)  # fmt: skip
_OPENOCC = (
    "car", "truck", "trailer", "bus", "construction_vehicle", "bicycle", "motorcycle", "pedestrian", "traffic_cone",
    "barrier", *_STUFF, "free",
)  # fmt: skip
_KITTI = (
    "empty", "car", "bicycle", "motorcycle", "truck", "other-vehicle", "person", "bicyclist", "motorcyclist", "road",
    "parking", "sidewalk", "other-ground", "building", "fence", "vegetation", "trunk", "terrain", "pole",
    "traffic-sign",
)  # fmt: skip


@dataclass(frozen=True)
class LabelFormat:
    """One row of the table.

    Attributes:
        name: as users call it. grid: name of its grid. frame: "ego" or "lidar", in which the grid lies.
        classes: names by label. free: label of empty space.
    """

    name: str
    grid: str
    frame: str
    classes: tuple[str, ...]
    free: int

    @property
    def spec(self) -> GridSpec:
        """Its grid."""
        return GridSpec.named(self.grid)

    @classmethod
    def named(cls, name: str) -> LabelFormat:
        """By name; InputError lists the names."""
        if name not in FORMATS:
            raise InputError("format", got=repr(name), expected=f"one of {', '.join(FORMATS)}")
        return FORMATS[name]


FORMATS = {
    one.name: one
    for one in (
        LabelFormat("sim", "mini", "ego", _OCC3D, 17),
        LabelFormat("occ3d", "occ3d", "ego", _OCC3D, 17),
        LabelFormat("openocc-v1", "openocc-v1", "lidar", _OPENOCC, 16),
        LabelFormat("openocc-v2", "occ3d", "ego", _OPENOCC, 16),
        LabelFormat("surroundocc", "openocc-v1", "lidar", _OCC3D, 17),
        LabelFormat("semantickitti", "semantickitti", "lidar", _KITTI, 0),
    )
}
