"""What lies below a root: which layout, where its frames are listed, and which labels it has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ninefold.errors import InputError

from fastocc.datasets._annotations import read_annotations
from fastocc.datasets._formats import LabelFormat
from fastocc.datasets._frames import Finder, FrameInfo, check_frames
from fastocc.datasets._infos import read_infos
from fastocc.datasets._kitti import read_kitti
from fastocc.datasets._tables import find_tables, read_tables

SPLITS = ("train", "val", "test")
# where labels lie, in the order in which they are looked for
_LABELS = {
    "occ3d": "gts", "openocc-v2": "openocc_v2", "surroundocc": "nuscenes_occ", "openocc-v1": "occ_gt_release_v1_0",
}  # fmt: skip
_INSIDE = ("", "trainval", "mini", "dataset", "data", "nuscenes", "data/nuscenes")


@dataclass(frozen=True)
class Layout:
    """What was found.

    Attributes:
        format: of the labels; occ3d where there are none. source: the file or folder that lists the frames.
        frames: of the split, with the paths of their labels. finder: finds their files.
        labelled: whether the first frame has its labels. tables: folders of nuScenes tables, for LiDAR poses.
        pickles: info pickles of the split, for LiDAR poses.
    """

    format: LabelFormat
    source: Path
    frames: list[FrameInfo]
    finder: Finder
    labelled: bool
    tables: tuple[Path, ...] = ()
    pickles: tuple[Path, ...] = ()


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
        frames = read_kitti(home, split)
        return _finish(Layout(LabelFormat.named("semantickitti"), home / "sequences", frames, Finder([home]), False))
    if format is None:
        format = "sim" if (root / "sim.json").is_file() else _format_of_labels(homes)  # noqa: A001
    tables = tuple(table for home in homes for table in find_tables(home))
    pickles = tuple(_pickles(homes, split, format))
    known = LabelFormat.named(format)
    if infos is not None:
        frames, source = read_infos(infos, format, _scenes(homes, format)), infos
    elif (home := _first(homes, "annotations.json")) and known.frame == "ego":
        frames, source = read_annotations(home, split), home / "annotations.json"
    elif pickles:
        frames, source = read_infos(pickles[0], format, _scenes(homes, format)), pickles[0]
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
    return _finish(Layout(known, source, frames, finder, False, tables, pickles))


def _finish(found: Layout) -> Layout:
    """With the paths of labels filled in, frames checked, and whether labels are there."""
    check_frames(found.frames, found.source)
    frames = [replace(one, label_path=_label(found.format.name, one)) for one in found.frames]
    first = next((one.label_path for one in frames if one.label_path), "")
    return replace(found, frames=frames, labelled=bool(first) and found.finder(first).is_file())


def _label(name: str, info: FrameInfo) -> str:
    """The path of a frame's labels: as its info says, or as its format places them."""
    if info.label_path and name != "surroundocc" and (name != "openocc-v2" or "openocc_v2" in info.label_path):
        return info.label_path
    if name == "openocc-v2":
        return f"openocc_v2/{info.scene}/{info.token}/labels.npz"
    if name == "surroundocc":
        last = PurePosixPath(info.lidar_path).name
        return f"nuscenes_occ/samples/{last}.npy" if last else info.label_path
    return f"gts/{info.scene}/{info.token}/labels.npz" if name in ("occ3d", "sim") and info.scene else ""


def _first(homes: Sequence[Path], name: str) -> Path | None:
    return next((home for home in homes if (home / name).exists()), None)


def _format_of_labels(homes: Sequence[Path]) -> str:
    return next((name for name, folder in _LABELS.items() if _first(homes, folder)), "occ3d")


def _pickles(homes: Sequence[Path], split: str, format: str) -> list[Path]:  # noqa: A002
    """Info pickles of the split, those that name this format's labels or BEVDet first."""
    wanted = re.compile(rf"infos.*(^|[_-]){split}([_.-]|$)")
    folders = [*homes, *(home / "occ_gt_release_v1_0" for home in homes)]
    found = [one for home in folders for one in sorted(home.glob("*.pkl")) if wanted.search(one.name)]
    signs = ["occ_gt"] if format == "openocc-v1" else ["bevdetv2", "occ"]
    rank = {path: next((at for at, sign in enumerate(signs) if sign in path.name), len(signs)) for path in found}
    return sorted(dict.fromkeys(found), key=rank.__getitem__)


def _scenes(homes: Sequence[Path], format: str) -> dict[str, str]:  # noqa: A002
    """Scene by token from the folders of labels: version 1.1 of the pickles names no scenes."""
    home = _first(homes, _LABELS.get(format, "gts")) if format in ("occ3d", "openocc-v2") else None
    home = home or _first(homes, "gts")
    if home is None:
        return {}
    folder = home / (_LABELS[format] if format in _LABELS and (home / _LABELS[format]).is_dir() else "gts")
    return {token.name: scene.name for scene in sorted(folder.iterdir()) if scene.is_dir() for token in scene.iterdir()}
