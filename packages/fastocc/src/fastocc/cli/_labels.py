"""The verb that makes voxel labels from LiDAR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ninefold.cli import Shared, verb
from ninefold.report import Table
from typer import Argument, Option

from fastocc.cli._options import Rig, Split, app

_SOURCE = "nuScenes, KITTI, a ROS 2 bag (.mcap), or a folder that `simulate` wrote."
_BOXES = Option("--boxes/--no-boxes", help="Move points with their boxes, or find what moved without.")
_POSES = Option(help="Of a bag: rows of time x y z qx qy qz qw, if it has no motion.")


@verb(app, uses=("quiet", "force", "out"), out="folder")
def labels(
    root: Annotated[Path, Argument(help=_SOURCE)],
    grid: Annotated[str | None, Option(help="Grid to fill: occ3d, mini, micro; KITTI has its own.")] = None,
    split: Split = "train",
    rig: Rig = None,
    boxes: Annotated[bool, _BOXES] = True,
    ground: Annotated[
        float, Option(min=0, help="Metres that ground reaches from where it was hit; 0: no filling.")
    ] = 12.0,
    around: Annotated[int, Option(min=0, help="Sweeps before and after a frame that are gathered for it.")] = 40,
    every: Annotated[int, Option(min=1, help="Each n-th sweep gets labels (KITTI and bags, without key frames).")] = 5,
    unknown: Annotated[str | None, Option(help="Class of points that nobody labelled; default others.")] = None,
    topic: Annotated[str | None, Option(help="Of a bag's clouds, if it has several.")] = None,
    poses: Annotated[Path | None, _POSES] = None,
    *,
    opts: Shared,
) -> Table:
    """Make label files with masks from LiDAR sweeps, with or without boxes, into the folder -o."""
    from fastocc.geometry import CameraRig
    from fastocc.sweeps import find_recordings
    from fastocc.sweeps._folder import label_recordings

    out, beside = opts.need_out(), root / "rig.yaml"
    cameras = CameraRig.from_yaml(rig or beside) if rig or beside.is_file() else None
    found = find_recordings(root, split, boxes=boxes, every=every, rig=cameras, topic=topic, poses=poses)
    return label_recordings(
        found, out, grid=grid, rig=cameras, unknown=unknown, boxes=boxes, ground=ground, around=around, force=opts.force
    )
