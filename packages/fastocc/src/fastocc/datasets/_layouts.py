"""What lies below a root: which layout, where its frames are listed, and which labels it has."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ninefold.errors import InputError

from fastocc.datasets._annotations import read_annotations
from fastocc.datasets._formats import FORMATS, LabelFormat
from fastocc.datasets._frames import Finder, FrameInfo, check_frames
from fastocc.datasets._infos import read_infos
from fastocc.datasets._kitti import read_kitti
from fastocc.datasets._tables import find_tables, read_tables

SPLITS = ("train", "val", "test")
# where labels lie, in the order in which they are looked for; SparseOcc keeps Occ3D's in occ3d/
_LABELS = {
    "occ3d": ("gts", "occ3d"), "openocc-v2": ("openocc_v2",), "surroundocc": ("nuscenes_occ",),
    "openocc-v1": ("occ_gt_release_v1_0",),
}  # fmt: skip
# what other data sets are recognised by, whose labels are not read
_UNREAD = {
    "nuScenes-Occupancy*": "OpenOccupancy's labels", "nuscenes_occ_infos_*.pkl": "OpenOccupancy's infos",
    "voxel04": "Occ3D-Waymo's labels", "waymo_infos_*.pkl": "Occ3D-Waymo's infos",
    "data_2d_raw": "SSCBench-KITTI-360's pictures", "data_3d_raw": "KITTI-360's sweeps",
}  # fmt: skip
# folders whose contents are known: many files without labels, or labels of a format
_KNOWN = {"samples", "sweeps", "imgs", "lidar", "lidarseg", "panoptic", "maps", "can_bus", *sum(_LABELS.values(), ())}
_INSIDE = ("", "trainval", "mini", "dataset", "data", "nuscenes", "data/nuscenes")


@dataclass(frozen=True)
class Layout:
    """What was found.

    Attributes:
        format: of the labels; occ3d where there are none. source: the file or folder that lists the frames.
        frames: of the split, with the paths of their labels. finder: finds their files.
        labelled: whether any frame has its labels. tables: folders of nuScenes tables, for LiDAR poses.
        pickles: info pickles of the split, for LiDAR poses.
    """

    format: LabelFormat
    source: Path
    frames: list[FrameInfo]
    finder: Finder
    labelled: bool
    tables: tuple[Path, ...] = ()
    pickles: tuple[Path, ...] = ()

    def has_labels(self, info: FrameInfo) -> bool:
        """Whether the label file of a frame exists."""
        return bool(info.label_path) and self.finder(info.label_path).is_file()

    @property
    def missing_example(self) -> str:
        """The first label file that was looked for, as the end of a message."""
        path = next((one.label_path for one in self.frames if one.label_path), "")
        return f": {self.finder(path)} is not there" if path else ""


def find_layout(root: Path, split: str, format: str | None, infos: Path | None) -> Layout:  # noqa: A002
    """The layout of a root.

    Args:
        root: folder. split: train, val or test. format: label format, or None to take what is there.
        infos: pickle that lists the frames, instead of what is found.
    Raises: InputError that says what was looked for.
    """
    if format is not None:
        LabelFormat.named(format)
    homes = [one for part in _INSIDE if (one := root / part).is_dir()]
    finder = Finder(dict.fromkeys(home / part for home in homes for part in ("", "imgs") if (home / part).is_dir()))
    if (home := _first(homes, "sequences")) and format in (None, "semantickitti") and infos is None:
        frames, kitti = read_kitti(home, split), LabelFormat.named("semantickitti")
        return _with_labels(Layout(kitti, home / "sequences", frames, Finder([home]), False), home / "sequences")
    folder = _label_folder(homes, format)
    if format is None:
        format = "sim" if (root / "sim.json").is_file() else folder[0]  # noqa: A001
    tables = tuple(table for home in homes for table in find_tables(home))
    pickles = tuple(_pickles(homes, split, format))
    known, scenes = LabelFormat.named(format), _scenes(homes, format, folder[1])
    if infos is not None:
        frames, source = read_infos(infos, format, scenes), infos
    elif (home := _first(homes, "annotations.json")) and known.frame == "ego":
        frames, source = read_annotations(home, split), home / "annotations.json"
    elif pickles:
        frames, source = _first_infos(pickles, format, scenes)
    elif tables:
        table = next((one for one in tables if one.name.endswith("test") == (split == "test")), tables[0])
        frames, source = read_tables(table, split, format), table
    else:
        raise InputError(
            "frames", got="none found", where=root,
            expected="annotations.json, an info pickle (*infos*_train.pkl), nuScenes tables (v1.0-*/) or sequences/",
        )  # fmt: skip
    if not frames:
        raise InputError("frames", got="none", expected=f"at least one in split {split}", where=source)
    return _with_labels(Layout(known, source, frames, finder, False, tables, pickles), folder[1])


def _first_infos(pickles: Sequence[Path], format: str, scenes: Mapping[str, str]) -> tuple[list[FrameInfo], Path]:  # noqa: A002
    """Frames of the first pickle that lists frames; other tools' pickles of similar names are passed over."""
    for at, path in enumerate(pickles):
        try:
            return read_infos(path, format, scenes), path
        except InputError as error:
            if error.what != "infos" or at == len(pickles) - 1:
                raise
    raise InputError("frames", got="no pickle", expected="at least one")


def _with_labels(found: Layout, folder: Path | None) -> Layout:
    """With the paths of labels filled in, frames checked, and whether labels are there.

    Warns if there is a folder of labels in which no frame has its own.
    """
    check_frames(found.frames, found.source)
    own = folder.name if folder is not None else ""
    frames = [replace(one, label_path=_label(found.format.name, one, own)) for one in found.frames]
    found = replace(found, frames=frames)
    labelled = any(found.has_labels(one) for one in frames)
    if not labelled and folder is not None and _has_files(folder):
        message = f"{folder} has labels, but none for these {len(frames)} frames{found.missing_example}"
        warnings.warn(message, stacklevel=3)
    return replace(found, labelled=labelled)


def _has_files(folder: Path) -> bool:
    """Whether any label file lies below a folder of labels; `sequences/` also has pictures and sweeps."""
    pattern = "*/voxels/*.label" if folder.name == "sequences" else "**/*.np[yz]"
    return next(folder.glob(pattern), None) is not None


def _label(name: str, info: FrameInfo, folder: str) -> str:
    """The path of a frame's labels: as its info says, or as its format places them in the folder of labels."""
    if name in ("occ3d", "sim") and info.scene and folder not in ("", "gts"):
        return f"{folder}/{info.scene}/{info.token}/labels.npz"
    if info.label_path and name != "surroundocc" and (name != "openocc-v2" or "openocc_v2" in info.label_path):
        return info.label_path
    if name == "openocc-v2":
        return f"{folder or 'openocc_v2'}/{info.scene}/{info.token}/labels.npz"
    if name == "surroundocc":
        last = PurePosixPath(info.lidar_path).name
        return f"nuscenes_occ/samples/{last}.npy" if last else info.label_path
    return f"gts/{info.scene}/{info.token}/labels.npz" if name in ("occ3d", "sim") and info.scene else ""


def _first(homes: Sequence[Path], name: str) -> Path | None:
    return next((home for home in homes if (home / name).exists()), None)


def _label_folder(homes: Sequence[Path], format: str | None) -> tuple[str, Path | None]:  # noqa: A002
    """The format of the labels below a root and their folder; occ3d and None without labels.

    Raises: InputError for labels of a data set that is not read, and for a folder of `SCENE/TOKEN/labels.npz` whose
        name does not say whether they are Occ3D's or OpenOcc's, unless the format is given.
    """
    for name, folders in _LABELS.items():
        for folder in folders if format in (None, name, "sim") else ():
            if home := _first(homes, folder):
                return name, home / folder
    for home in homes:
        for sign, what in _UNREAD.items():
            if format is None and any(home.glob(sign)):
                raise InputError(
                    "labels", got=f"{what} ({sign})", expected=f"labels of {', '.join(FORMATS)}", where=home,
                    hint="give --format to read the frames without these labels",
                )  # fmt: skip
        if format not in (None, "occ3d", "openocc-v2"):
            continue  # only these two have labels in `SCENE/TOKEN/labels.npz`
        for folder in sorted(one for one in home.iterdir() if one.is_dir() and one.name not in _KNOWN):
            if next(folder.glob("*/*/labels.npz"), None) is not None:
                if format is not None:
                    return format, folder
                raise InputError(
                    "labels", got=f"{folder.name}/ with labels.npz of an unknown format", where=home,
                    expected="gts/ (Occ3D) or openocc_v2/ (OpenOcc v2)", hint="rename the folder, or give --format",
                )  # fmt: skip
    return format or "occ3d", None


def _pickles(homes: Sequence[Path], split: str, format: str) -> list[Path]:  # noqa: A002
    """Info pickles of the split, those that name this format's labels or BEVDet first.

    `*_dbinfos_*` next to them lists objects to paste, not frames.
    """
    wanted = re.compile(rf"(?<![a-z])infos.*(^|[_-]){split}([_.-]|$)", re.IGNORECASE)
    folders = [*homes, *(home / "occ_gt_release_v1_0" for home in homes)]
    found = [one for home in folders for one in sorted(home.glob("*.pkl")) if wanted.search(one.name)]
    signs = ["occ_gt"] if format == "openocc-v1" else ["bevdetv2", "occ"]
    rank = {path: next((at for at, sign in enumerate(signs) if sign in path.name), len(signs)) for path in found}
    return sorted(dict.fromkeys(found), key=rank.__getitem__)


def _scenes(homes: Sequence[Path], format: str, labels: Path | None) -> dict[str, str]:  # noqa: A002
    """Scene by token from the folders of labels: version 1.1 of the pickles names no scenes."""
    home = _first(homes, "gts")
    folder = labels if labels is not None and format in ("occ3d", "openocc-v2") else home / "gts" if home else None
    if folder is None:
        return {}
    return {token.name: scene.name for scene in sorted(folder.iterdir()) if scene.is_dir() for token in scene.iterdir()}
