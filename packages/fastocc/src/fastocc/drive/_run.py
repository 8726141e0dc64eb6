"""From a recorded drive to voxels: matched pictures in, one npz a frame out, a page and a rerun file at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError, require
from ninefold.files import atomic_file, write_text
from ninefold.run import Run

from fastocc.drive._bag import Bag
from fastocc.drive._poses import Trajectory
from fastocc.drive._sources import VIDEOS, Folders, Pictures, Recording
from fastocc.drive._stepper import Stepper
from fastocc.drive._video import Videos
from fastocc.export import write_prediction
from fastocc.geometry import CameraRig
from fastocc.models import FastOccModel
from fastocc.pictures import colors, viewer_html

_SHOWN = 100  # frames on the page, which holds them all
_KEPT = 20  # frames between two copies of the state


@dataclass(frozen=True)
class DriveSettings:
    """How a drive is read.

    Attributes:
        tolerance: seconds that a camera's picture may be off the first camera's. rate: frames a second of pictures
            whose names count frames. fps: most frames a second to predict, 0: all. limit: number of frames, 0: all.
    """

    tolerance: float = 0.05
    rate: float = 10.0
    fps: float = 0.0
    limit: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.tolerance < 1e6 and 0 < self.rate < 1e6 and 0 <= self.fps < 1e6 and self.limit >= 0):
            raise InputError("drive", got=self, expected="tolerance, fps and limit of 0 or more, rate above 0")


def open_recording(drive: str | Path, rig: CameraRig, given: Mapping[str, Mapping[str, Any]], rate: float) -> Recording:
    """The recording at a path: an mcap file, or a folder with a folder of pictures or a video for each camera.

    Args:
        drive: the path. rig: whose cameras. given: `source` and `offset` by camera. rate: see `DriveSettings`.
    Raises: InputError or ArtifactError that names the camera and the place.
    """
    drive, sizes = Path(drive), {camera.name: camera.size for camera in rig.cameras}
    sources = {name: str(given.get(name, {}).get("source", "")) for name in rig.names}
    if drive.is_file():
        if drive.suffix != ".mcap":
            raise InputError("drive", got=drive.name, expected="a folder, or a ROS 2 bag (.mcap)", where=drive)
        return Bag(drive, sizes, sources)
    if not drive.is_dir():
        raise InputError("drive", got="nothing", expected="a folder, or a ROS 2 bag (.mcap)", where=drive)
    bags = sorted(drive.glob("*.mcap"))
    if len(bags) == 1:  # as `ros2 bag record` leaves it
        return Bag(bags[0], sizes, sources)
    found = {name: _of_camera(drive, name, source) for name, source in sources.items()}
    if all(path.is_dir() for path in found.values()):
        return Folders(found, sizes, rate)
    if any(path.is_dir() for path in found.values()):
        raise InputError("drive", got="folders and videos", expected="the same kind for all cameras", where=drive)
    return Videos(found, sizes, {name: float(given.get(name, {}).get("offset", 0.0)) for name in rig.names})


def _of_camera(drive: Path, name: str, source: str) -> Path:
    places = [drive / source] if source else [drive / name, *(drive / f"{name}{suffix}" for suffix in VIDEOS)]
    for one in places:
        if one.exists():
            return one
    expected = f"{source}, its source in the rig" if source else f"{name}/ with pictures, or {name}.mp4"
    raise InputError(f"camera {name}", got="no pictures", expected=expected, where=drive)


def match_frames(
    times: Mapping[str, np.ndarray], settings: DriveSettings
) -> tuple[list[dict[str, int]], np.ndarray, int]:  # fmt: skip
    """Pictures that belong together: the nearest of each camera to each of the first one's.

    Args:
        times: by camera, (n,) rising seconds.
    Returns: index of the picture by camera for each frame; (frames,) largest distance in seconds; number of pictures
        of the first camera that were left out, because another camera has none within the tolerance.

    Examples:
        >>> import numpy as np
        >>> from fastocc.drive import DriveSettings, match_frames

        >>> times = {"FRONT": np.array([0.0, 0.1, 0.2]), "LEFT": np.array([0.01, 0.22])}
        >>> frames, worst, left_out = match_frames(times, DriveSettings(tolerance=0.05))
        >>> frames, worst.round(3).tolist(), left_out
        ([{'FRONT': 0, 'LEFT': 0}, {'FRONT': 2, 'LEFT': 1}], [0.01, 0.02], 1)
    """
    first, *others = times
    base = times[first]
    nearest = {first: np.arange(len(base))}
    worst = np.zeros(len(base))
    for name in others:
        mine = times[name]
        after = np.clip(np.searchsorted(mine, base), 1, max(len(mine) - 1, 1))
        before = after - 1
        after = np.minimum(after, len(mine) - 1)
        nearest[name] = np.where(np.abs(mine[after] - base) < np.abs(mine[before] - base), after, before)
        worst = np.maximum(worst, np.abs(mine[nearest[name]] - base))
    near = np.flatnonzero(worst <= settings.tolerance)
    if not len(near):
        raise InputError(
            "times", got=f"pictures at least {worst.min():.3g} s apart", expected=f"within {settings.tolerance:g} s",
            hint="--tolerance, or `offset:` of a video in the rig",
        )  # fmt: skip
    kept: list[int] = []
    for at in near:
        if not kept or not settings.fps or base[at] - base[kept[-1]] >= (1 - 1e-3) / settings.fps:
            kept.append(int(at))
    kept = kept[: settings.limit or None]
    frames = [{name: int(index[at]) for name, index in nearest.items()} for at in kept]
    return frames, worst[kept], len(base) - len(near)


@dataclass(frozen=True)
class DriveResult:
    """Results of a run.

    Attributes:
        frames, left_out: predicted, and pictures of the first camera without a partner within the tolerance.
        skipped: for each frame with a damaged picture, what is damaged.
        worst: largest distance in time of two pictures of a frame, seconds. moving: whether ego motion was known.
        kind: of the recording. seconds, fresh: of reading and predicting in this call, and the frames made in it.
    """

    frames: int
    left_out: int
    worst: float
    moving: bool
    kind: str
    seconds: float
    fresh: int
    skipped: tuple[str, ...] = ()


def run_drive(
    path: str | Path, model: FastOccModel, rig: CameraRig, recording: Recording, settings: DriveSettings, *,
    trajectory: Trajectory | None = None, device: str = "cpu", rerun: bool = False,
    about: Mapping[str, Any] | None = None, note: str = "",
    progress: Callable[[int], Callable[[], object]] = lambda total: lambda: None,  # noqa: ARG005
) -> DriveResult:  # fmt: skip
    """Predict the voxels of a recorded drive into the run folder `path`; a second call resumes it.

    Writes voxels/000000.npz and so on (array `semantics`, as `predict` does), metrics.jsonl with each frame's time,
    drive.html with a timeline and a legend and, if requested, drive.rrd for rerun. A frame with a damaged picture has
    no voxels; its row of metrics.jsonl says what is damaged.

    Args:
        model: for any number of cameras. rig: the cameras as recorded. recording: their pictures.
        trajectory: ego motion; default the recording's own. Without it each frame is seen alone.
        about: what else distinguishes the run, for its config.json. note: shown in the title of the page.
        progress: given the number of frames, returns what is called after each.
    Raises: ArtifactError if no frame of the drive can be read.
    """
    import time

    log = require("rerun", "fastocc", "rerun") if rerun else None
    plan, worst, left_out = match_frames(recording.times, settings)
    trajectory = trajectory or recording.trajectory
    stepper, first = Stepper(model, rig, device), recording.times[rig.names[0]]
    times = [float(first[one[rig.names[0]]]) for one in plan]
    poses = [None if trajectory is None else trajectory.at(one, settings.tolerance) for one in times]
    asked = {"settings": asdict(settings), "frames": len(plan), "cameras": rig.names, "config": model.config.to_dict()}
    with Run(path, {**asked, **(about or {})}) as run:
        kept, done = run.checkpoints / "state.safetensors", len(run.metrics())
        if stepper.stateful:
            done = min(done, stepper.restore(kept)) if kept.exists() else 0
            run.rewind(done)
        (run.path / "voxels").mkdir(exist_ok=True)
        advance, fresh, begin = progress(len(plan)), len(plan) - done, time.perf_counter()
        for _ in range(done):
            advance()
        coming = _ahead(recording.read(plan[done:], stepper.size)) if fresh else iter(())
        for at, made in enumerate(stepper.steps(coming, poses[done:]), done):
            about_frame = {"frame": at, "time": times[at], "apart": float(worst[at]), "moving": poses[at] is not None}
            if isinstance(made, ArtifactError):
                about_frame["skipped"] = str(made)
            else:
                write_prediction(voxel_file(run.path, at), made, force=True)
            run.log(**about_frame)
            if stepper.stateful and ((at + 1) % _KEPT == 0 or at + 1 == len(plan)):
                stepper.keep(kept, at + 1)
            advance()
        seconds = time.perf_counter() - begin
        skipped = {int(row["frame"]): str(row["skipped"]) for row in run.metrics() if "skipped" in row}
        seen = [at for at in range(len(plan)) if at not in skipped]
        if not seen:
            raise ArtifactError(path, f"has no frame: each has a damaged picture, first {skipped[0]}")
        _show(run.path, model, times, seen, note)
        if log is not None:
            _write_rerun(log, run.path, model, times, seen)
    moving = trajectory is not None and any(one is not None for one in poses)
    return DriveResult(
        len(seen), left_out, float(worst.max()), moving, recording.kind, seconds, fresh, tuple(skipped.values())
    )


def voxel_file(path: Path, at: int) -> Path:
    """The file of frame `at` in a run folder."""
    return path / "voxels" / f"{at:06d}.npz"


def _ahead(frames: Iterator[Pictures]) -> Iterator[Pictures]:
    """The same, each read by a thread while the one before it is predicted."""
    with ThreadPoolExecutor(1, "fastocc-ahead") as pool:
        coming = pool.submit(next, frames, None)
        while (found := coming.result()) is not None:
            coming = pool.submit(next, frames, None)
            yield found


def _read(path: Path, at: int) -> np.ndarray:
    file = voxel_file(path, at)
    try:
        with np.load(file, allow_pickle=False) as held:
            return held["semantics"]
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ArtifactError(file, f"is damaged ({error})") from None


def _show(path: Path, model: FastOccModel, times: list[float], seen: list[int], note: str) -> None:
    """drive.html: up to 100 of the frames seen, evenly chosen."""
    config = model.config
    chosen = np.array(seen)[np.unique(np.linspace(0, len(seen) - 1, min(_SHOWN, len(seen))).round().astype(int))]
    volumes = {f"frame {at}, {times[at] - times[0]:.2f} s": _read(path, at) for at in map(int, chosen)}
    title = f"{len(seen)} frames" + (f", {len(volumes)} shown" if len(volumes) < len(seen) else "")
    title += f", {len(times) - len(seen)} skipped: damaged pictures" if len(seen) < len(times) else ""
    title += f"; {note}" if note else ""
    page = viewer_html(volumes, config.spec, config.labels.classes, config.labels.free, title, timeline=True)
    write_text(path / "drive.html", page)


def _write_rerun(rerun: Any, path: Path, model: FastOccModel, times: list[float], seen: list[int]) -> None:
    """drive.rrd: occupied voxels over time, with class names and colours."""
    labels, grid = model.config.labels, model.config.spec
    lower, voxel = np.array(grid.lower), np.array(grid.voxel)
    hues = colors(labels.classes)
    with atomic_file(path / "drive.rrd") as temporary:
        recording = rerun.RecordingStream("fastocc")
        recording.save(str(temporary))
        names = [(at, name, tuple(map(int, hues[at]))) for at, name in enumerate(labels.classes) if at != labels.free]
        recording.log("/", rerun.AnnotationContext(names), static=True)
        for at in seen:
            semantics = _read(path, at)
            cells = np.argwhere((semantics != labels.free) & (semantics != 255))
            recording.set_time("drive", duration=times[at] - times[0])
            middles = lower + (cells + 0.5) * voxel
            kinds = semantics[tuple(cells.T)].astype(np.uint16)
            recording.log("voxels", rerun.Points3D(middles, class_ids=kinds, radii=float(voxel[0]) / 2))
        recording.flush()
        recording.disconnect()
