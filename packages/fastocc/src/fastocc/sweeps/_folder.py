"""A folder of label files for all scenes of a recording."""

from __future__ import annotations

from pathlib import Path

from ninefold import artifacts
from ninefold.errors import InputError
from ninefold.progress import progress
from ninefold.report import Table

from fastocc.geometry import CameraRig, GridSpec
from fastocc.sweeps._find import Recordings, write_labels
from fastocc.sweeps._sequence import label_sequence


def class_of_unlabelled(found: Recordings, name: str | None) -> int:
    """Label of points that nobody labelled, by its class: "others" for None; 255 if each point has a class.

    Raises: InputError if the format has no such class, or if it is that of free space.
    """
    known, named = found.format, name or "others"
    if named not in known.classes or named == known.classes[known.free]:
        names = ", ".join(one for at, one in enumerate(known.classes) if at != known.free)
        if name is not None or not found.classes:
            raise InputError("--unknown", got=named, expected=f"the class of points without one, of {names}")
    return known.classes.index(named) if named in known.classes else 255


def label_recordings(
    found: Recordings, out: Path, *, grid: str | None = None, rig: CameraRig | None = None, unknown: str | None = None,
    boxes: bool = True, ground: float = 12.0, around: int = 40, force: bool = False,
) -> Table:  # fmt: skip
    """Label all frames of a recording, and write them into a folder in the layout that `OccDataset` reads.

    Args:
        found: see `find_recordings`. out: the folder.
        grid: name of the voxels; KITTI has its own. rig: cameras; None takes those of the recording.
        unknown: see `class_of_unlabelled`. boxes, ground: see `generate_labels`. around: see `label_sequence`.
        force: replace what an earlier run wrote.
    Returns: frames, occupied voxels and share seen by cameras of each scene.
    Raises: InputError for another grid than KITTI's, or a class that the format has not.
    """
    known = found.format
    spec = GridSpec.named(grid or known.grid)
    if known.name == "semantickitti" and spec != known.spec:
        raise InputError("--grid", got=grid, expected="semantickitti: voxels are written as SemanticKITTI has them")
    options = {"boxes": boxes and found.kind in ("nuscenes", "simulated"), "ground": ground, "free": known.free}
    options["unknown"] = class_of_unlabelled(found, unknown)
    if rig is None and found.kind == "simulated":
        rig = CameraRig.nominal()
    table = Table(["scene", "frames", "occupied voxels", "seen by a camera in %"])
    with (
        artifacts.write_folder(out, kind="fastocc.labels", format_version=1, package="fastocc", force=force) as folder,
        progress(sum(len(one.frames) for one in found.sequences), "frames") as bar,
    ):
        for one in found.sequences:
            occupied = seen = 0.0
            for token, made in label_sequence(one, spec, rig, around=around, **options):
                write_labels(folder, known, one.name, token, made)
                occupied += (made["semantics"] != known.free).sum() / len(one.frames)
                seen += 100 * made["mask_camera"].mean() / len(one.frames)
                bar.advance()
            table.rows.append([one.name, len(one.frames), round(occupied), float(seen)])
    return table
