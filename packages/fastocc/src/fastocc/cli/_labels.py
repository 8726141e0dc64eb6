"""The verb that makes voxel labels from LiDAR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ninefold.cli import Shared, verb
from ninefold.report import Table
from typer import Argument, Option

from fastocc.cli._options import Rig, Split, app

_SOURCE = "Folder of nuScenes, KITTI or simulated streets, or a ROS 2 bag (.mcap)."
_BOXES = Option("--boxes/--no-boxes", help="Move points with their boxes, or detect moving points without boxes.")
_POSES = Option(
    help="File of the ego motion for a bag without it, with rows of time x y z qx qy qz qw.", rich_help_panel="Advanced"
)
_GROUND = Option(
    min=0, help="Distance in metres up to which ground is filled in between LiDAR returns. 0 fills nothing.",
    rich_help_panel="Advanced",
)  # fmt: skip
_EVERY = Option(
    min=1, help="Step between labelled sweeps of KITTI and bags, which have no key frames.", rich_help_panel="Advanced"
)
_TOPIC = Option(help="Topic of the point clouds in a bag with several.", rich_help_panel="Advanced")
_UNKNOWN = Option(help="Class of points without a label. The class `others` by default.", rich_help_panel="Advanced")


@verb(app, uses=("quiet", "force", "out"), out="folder")
def labels(
    root: Annotated[Path, Argument(help=_SOURCE)],
    grid: Annotated[str | None, Option(help="Voxel grid: occ3d, mini or micro. KITTI has its own.")] = None,
    split: Split = "train",
    rig: Rig = None,
    boxes: Annotated[bool, _BOXES] = True,
    ground: Annotated[float, _GROUND] = 12.0,
    around: Annotated[
        int, Option(min=0, help="Number of sweeps before and after a frame that are merged into it.")
    ] = 40,
    every: Annotated[int, _EVERY] = 5,
    unknown: Annotated[str | None, _UNKNOWN] = None,
    topic: Annotated[str | None, _TOPIC] = None,
    poses: Annotated[Path | None, _POSES] = None,
    *,
    opts: Shared,
) -> Table:
    """Make voxel labels with visibility masks from LiDAR sweeps, with or without boxes.

    Example: `fastocc labels street -o labels`
    """
    from fastocc.geometry import CameraRig
    from fastocc.sweeps import find_recordings
    from fastocc.sweeps._folder import label_recordings

    out, beside = opts.need_out(), root / "rig.yaml"
    cameras = CameraRig.from_yaml(rig or beside) if rig or beside.is_file() else None
    found = find_recordings(root, split, boxes=boxes, every=every, rig=cameras, topic=topic, poses=poses)
    return label_recordings(
        found, out, grid=grid, rig=cameras, unknown=unknown, boxes=boxes, ground=ground, around=around, force=opts.force
    )
