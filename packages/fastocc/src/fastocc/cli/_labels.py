"""The verb that makes voxel labels from LiDAR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table

from fastocc.cli._options import Rig, Split, app


@verb(app, uses=("quiet", "force", "out"), out="folder")
def labels(
    root: Annotated[
        Path, typer.Argument(help="nuScenes, KITTI, a ROS 2 bag (.mcap), or a folder that `simulate` wrote.")
    ],
    grid: Annotated[
        str | None, typer.Option("--grid", help="Grid to fill: occ3d, mini, micro; KITTI has its own.")
    ] = None,
    split: Split = "train",
    rig: Rig = None,
    boxes: Annotated[
        bool, typer.Option("--boxes/--no-boxes", help="Move points with their boxes, or find what moved without.")
    ] = True,
    ground: Annotated[
        float, typer.Option("--ground", min=0, help="Metres that ground reaches from where it was hit; 0: no filling.")
    ] = 12.0,
    around: Annotated[
        int, typer.Option("--around", min=0, help="Sweeps before and after a frame that are gathered for it.")
    ] = 40,
    every: Annotated[
        int, typer.Option("--every", min=1, help="Each n-th sweep gets labels (KITTI and bags, without key frames).")
    ] = 5,
    unknown: Annotated[
        str | None, typer.Option("--unknown", help="Class of points that nobody labelled; default others.")
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Of a bag's clouds, if it has several.")] = None,
    poses: Annotated[
        Path | None, typer.Option("--poses", help="Of a bag: rows of time x y z qx qy qz qw, if it has no motion.")
    ] = None,
    *,
    opts: Shared,
) -> Table:
    """Make label files with masks from LiDAR sweeps, with or without boxes, into the folder -o."""
    from ninefold import artifacts

    from fastocc.geometry import CameraRig, GridSpec
    from fastocc.sweeps import find_recordings, label_sequence, write_labels

    out, beside = opts.need_out(), root / "rig.yaml"
    cameras = CameraRig.from_yaml(rig or beside) if rig or beside.is_file() else None
    found = find_recordings(root, split, boxes=boxes, every=every, rig=cameras, topic=topic, poses=poses)
    known = found.format
    spec = GridSpec.named(grid or known.grid)
    if known.name == "semantickitti" and spec != known.spec:
        raise InputError("--grid", got=grid, expected="semantickitti: voxels are written as SemanticKITTI has them")
    named = unknown or "others"
    if named not in known.classes or named == known.classes[known.free]:
        names = ", ".join(one for at, one in enumerate(known.classes) if at != known.free)
        if unknown is not None or not found.classes:
            raise InputError("--unknown", got=named, expected=f"the class of points without one, of {names}")
    if cameras is None and found.kind == "simulated":
        cameras = CameraRig.nominal()
    options = {"boxes": boxes and found.kind in ("nuscenes", "simulated"), "ground": ground, "free": known.free}
    options["unknown"] = known.classes.index(named) if named in known.classes else 255
    table = Table(["scene", "frames", "occupied voxels", "seen by a camera in %"])
    with (
        artifacts.write_folder(
            out, kind="fastocc.labels", format_version=1, package="fastocc", force=opts.force
        ) as folder,
        progress(sum(len(one.frames) for one in found.sequences), "frames") as bar,
    ):
        for one in found.sequences:
            occupied = seen = 0.0
            for token, made in label_sequence(one, spec, cameras, around=around, **options):
                write_labels(folder, known, one.name, token, made)
                occupied += (made["semantics"] != known.free).sum() / len(one.frames)
                seen += 100 * made["mask_camera"].mean() / len(one.frames)
                bar.advance()
            table.rows.append([one.name, len(one.frames), round(occupied), float(seen)])
    return table
