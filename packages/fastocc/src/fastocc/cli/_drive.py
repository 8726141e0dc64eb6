"""The verb on recordings: run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from typer import Argument, Option

from fastocc.cli._options import Model, app

_DRIVE = "Folder with one folder of pictures or one video per camera, or a ROS 2 bag (.mcap)."

_RATE = "Frame rate of pictures whose file names count frames, in frames per second."
_POSES = "File of the ego motion, with rows of time x y z qx qy qz qw. By default the motion in the bag."
SIMULATED = "the shipped weights know simulated streets only: do not rely on these voxels"


@verb(app, uses=("device", "threads", "quiet", "out"), out="run")
def run(
    model: Model,
    drive: Annotated[Path, Argument(help=_DRIVE)],
    rig: Annotated[Path, Option(help="YAML file of the cameras, as recorded.")],
    tolerance: Annotated[
        float, Option(min=0, help="Largest time difference between the pictures of a frame, in seconds.")
    ] = 0.05,
    rate: Annotated[float, Option(help=_RATE, rich_help_panel="Advanced")] = 10.0,
    fps: Annotated[
        float, Option(min=0, help="Largest number of frames to predict per second of the drive. 0 predicts all.")
    ] = 0.0,
    limit: Annotated[int, Option(min=0, help="Number of frames to predict. 0 predicts all.")] = 0,
    poses: Annotated[Path | None, Option(help=_POSES, rich_help_panel="Advanced")] = None,
    rerun: Annotated[bool, Option("--rerun", help="Also write drive.rrd for rerun (extra `rerun`).")] = False,
    *,
    opts: Shared,
) -> dict[str, Any]:
    """Predict the voxels of a recorded drive: one npz file per frame and a page with a timeline.

    Frames with a damaged picture are skipped and named. Rerun the same command to resume after an interruption.

    Example: `fastocc run run drive --rig rig.yaml -o driven`
    """
    from fastocc.drive import DriveSettings, bindings, open_recording, read_trajectory, run_drive
    from fastocc.geometry import CameraRig
    from fastocc.models._opening import open_model

    out, network, cameras = opts.need_out(), open_model(model), CameraRig.from_yaml(rig)
    settings = DriveSettings(tolerance, rate, fps, limit)
    recording = open_recording(drive, cameras, bindings(rig), rate)
    trajectory = read_trajectory(poses) if poses else None
    about = {"model": Path(model).name, "drive": drive.name, "rig": rig.name, "poses": poses.name if poses else None}
    note = SIMULATED if model == "demo" else ""
    with ExitStack() as stack:
        made = run_drive(
            out, network, cameras, recording, settings, trajectory=trajectory, device=opts.device, rerun=rerun,
            about=about, note=note, progress=lambda total: stack.enter_context(progress(total, "frames")).advance,
        )  # fmt: skip
    facts: dict[str, Any] = {"warning": note} if note else {}
    facts |= {"folder": out, "page": out / "drive.html", "recording": made.kind, "frames": made.frames}
    if made.skipped:
        facts |= {"skipped frames with damaged pictures": len(made.skipped), "first skipped": made.skipped[0]}
    facts |= {"unmatched pictures": made.left_out, "largest time difference in s": round(made.worst, 4)}
    facts |= {"ego motion": "known" if made.moving else "unknown: each frame is predicted alone"}
    return facts | ({"frames per second": round(made.fresh / made.seconds, 2)} if made.fresh else {})
