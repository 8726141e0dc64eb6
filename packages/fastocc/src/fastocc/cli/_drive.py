"""The verb on recordings: run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from typer import Argument, Option

from fastocc.cli._options import Model, app

_DRIVE = "Folder with a folder of pictures or a video a camera, or .mcap."


@verb(app, uses=("device", "threads", "quiet", "out"), out="run")
def run(
    model: Model,
    drive: Annotated[Path, Argument(help=_DRIVE)],
    rig: Annotated[Path, Option(help="YAML or JSON of the cameras, as recorded.")],
    tolerance: Annotated[float, Option(min=0, help="Seconds that pictures of one frame may be apart.")] = 0.05,
    rate: Annotated[float, Option(help="Frames a second of pictures whose names count frames.")] = 10.0,
    fps: Annotated[float, Option(min=0, help="Predict at most so many a second; 0: all.")] = 0.0,
    limit: Annotated[int, Option(min=0, help="Frames to predict; 0: all.")] = 0,
    poses: Annotated[Path | None, Option(help="Ego motion: rows of time x y z qx qy qz qw; default the bag's.")] = None,
    rerun: Annotated[bool, Option("--rerun", help="Also write drive.rrd (extra `rerun`).")] = False,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Predict the voxels of a recorded drive into -o: npz a frame, a page with a timeline; a killed run goes on."""
    from fastocc.drive import DriveSettings, bindings, open_recording, read_trajectory, run_drive
    from fastocc.geometry import CameraRig
    from fastocc.models._opening import open_model

    out, network, cameras = opts.need_out(), open_model(model), CameraRig.from_yaml(rig)
    settings = DriveSettings(tolerance, rate, fps, limit)
    recording = open_recording(drive, cameras, bindings(rig), rate)
    trajectory = read_trajectory(poses) if poses else None
    about = {"model": Path(model).name, "drive": drive.name, "rig": rig.name, "poses": poses.name if poses else None}
    with ExitStack() as stack:
        made = run_drive(
            out, network, cameras, recording, settings, trajectory=trajectory, device=opts.device, rerun=rerun,
            about=about, progress=lambda total: stack.enter_context(progress(total, "frames")).advance,
        )  # fmt: skip
    facts: dict[str, Any] = {"folder": out, "page": out / "drive.html", "recording": made.kind, "frames": made.frames}
    if made.skipped:
        facts |= {"skipped: damaged pictures": len(made.skipped), "first skipped": made.skipped[0]}
    facts |= {"left out": made.left_out, "seconds apart at most": round(made.worst, 4)}
    facts |= {"ego motion": "known" if made.moving else "unknown: each frame alone"}
    return facts | ({"frames a second": round(made.fresh / made.seconds, 2)} if made.fresh else {})
