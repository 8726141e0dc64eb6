"""Which recording lies at a path; and label files in the layout that `OccDataset` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from fastocc.datasets import KITTI_RAW, LabelFormat, find_tables, read_sweeps
from fastocc.drive import read_trajectory
from fastocc.geometry import CameraRig
from fastocc.sweeps._bag import bag_sequences
from fastocc.sweeps._kitti import kitti_sequences
from fastocc.sweeps._nuscenes import nuscenes_sequences
from fastocc.sweeps._sequence import SweepSequence

_NO_CLASS = 99  # KITTI's "other object": occupied, and left out of training and scores
_INSIDE = ("", "dataset", "data", "nuscenes", "data/nuscenes")


@dataclass(frozen=True)
class Recordings:
    """What was found.

    Attributes:
        kind: simulated, nuscenes, kitti or bag. format: of the labels to write. sequences: the scenes.
        classes: whether all sweeps that get labels have a class for each point.
    """

    kind: str
    format: LabelFormat
    sequences: list[SweepSequence]
    classes: bool = False


def find_recordings(
    root: Path, split: str = "train", *, boxes: bool = True, every: int = 5, rig: CameraRig | None = None,
    topic: str | None = None, poses: Path | None = None,
) -> Recordings:  # fmt: skip
    """The sweeps at a path.

    Args:
        root: an mcap file, or a folder with nuScenes tables, `sequences/` of KITTI, or a simulated street.
        split: of the scenes; a bag has none. boxes: read boxes where there are some.
        every: each n-th sweep gets labels (KITTI, bags); nuScenes and simulated streets have key frames.
        rig: for a bag: where its LiDAR is, if given.
        topic: of a bag's clouds. poses: file of a bag's motion, see `read_trajectory`.
    Raises: InputError that says what was looked for.
    """
    if every < 1:
        raise InputError("every", got=every, expected="at least 1")
    if root.suffix == ".mcap":
        lidar = None if rig is None else rig.lidar.lidar2ego
        motion = None if poses is None else read_trajectory(poses)
        found = bag_sequences(root, every=every, topic=topic, lidar2ego=lidar, motion=motion)
        return Recordings("bag", LabelFormat.named("occ3d"), found)
    if topic is not None or poses is not None:
        raise InputError("--topic, --poses", expected="nothing: they are of bags (.mcap) alone")
    for home in (root / part for part in _INSIDE):
        if tables := find_tables(home):
            table = next((one for one in tables if one.name.endswith("test") == (split == "test")), tables[0])
            sequences = nuscenes_sequences(table, split, boxes=boxes)
            return Recordings("nuscenes", LabelFormat.named("occ3d"), sequences)
        if (home / "sequences").is_dir():
            sequences = kitti_sequences(home, split, every=every)
            folders = ((home / "sequences" / one.name / "labels", one.frames) for one in sequences)
            marked = all((folder / f"{stem}.label").is_file() for folder, frames in folders for stem in frames)
            return Recordings("kitti", LabelFormat.named("semantickitti"), sequences, marked)
    if not (root / "annotations.json").is_file():
        expected = "a bag (.mcap), nuScenes tables (v1.0-*/), KITTI's sequences/, or annotations.json with lidar/"
        raise InputError("LiDAR sweeps", got="none found", expected=expected, where=root)
    made = [
        SweepSequence(name, {token: at for at, token in enumerate(tokens)}, sweeps)
        for name, (tokens, sweeps) in read_sweeps(root, split, boxes=boxes).items()
    ]
    return Recordings("simulated", LabelFormat.named("occ3d"), made)


def write_labels(
    folder: Path, known: LabelFormat, scene: str, token: str, labels: Mapping[str, np.ndarray]
) -> Path:  # fmt: skip
    """Write a frame's labels: Occ3D's npz, or SemanticKITTI's `.label` and `.invalid` (voxels that no beam passed).

    Returns: the file.
    """
    if known.name != "semantickitti":
        path = folder / "gts" / scene / token / "labels.npz"
        path.parent.mkdir(parents=True)
        np.savez_compressed(path, allow_pickle=False, **labels)
        return path
    path = folder / "sequences" / scene / "voxels" / f"{token}.label"
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = np.full(256, _NO_CLASS, "<u2")
    raw[: len(KITTI_RAW)] = KITTI_RAW
    raw[labels["semantics"]].tofile(path)
    np.packbits(labels["mask_lidar"] == 0).tofile(path.with_suffix(".invalid"))
    return path
