"""nuScenes' own JSON tables, read row by row: a whole data set's 2.6 million rows never stand in memory at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets._annotations import WRONG_ENTRY
from fastocc.datasets._formats import LabelFormat
from fastocc.datasets._frames import CameraInfo, FrameInfo, camera_info, read_pose

_CHUNK = 1 << 20
_LONGEST_ROW = 1 << 24
_TYPES = {
    "timestamp": int, "is_key_frame": bool, "width": int, "height": int, "size": list, "translation": list,
    "rotation": list, "camera_intrinsic": list,
}  # fmt: skip
_MINI = {"train": {61, 553, 655, 757, 796, 1077, 1094, 1100}, "val": {103, 916}}
# the official validation scenes, as first and last numbers
_VAL = [
    (3, 3), (12, 18), (35, 36), (38, 39), (92, 110), (221, 221), (268, 278), (329, 332), (344, 346), (519, 524),
    (552, 565), (625, 627), (629, 630), (632, 638), (770, 771), (775, 775), (777, 778), (780, 784), (794, 800),
    (802, 802), (904, 917), (919, 931), (962, 963), (966, 969), (971, 972), (1059, 1073),
]  # fmt: skip


def find_tables(root: Path) -> list[Path]:
    """The folders of tables below `root`, the largest version first."""
    order = {"v1.0-trainval": 0, "v1.0-test": 1, "v1.0-mini": 2}
    found = [one for one in root.glob("v1.0-*") if (one / "sample_data.json").is_file()]
    return sorted(found, key=lambda one: (order.get(one.name, 3), one.name))


def in_split(version: str, scene: str, split: str) -> bool:
    """Whether a scene of a version of the tables is in the official split of that name."""
    if version.endswith("test"):
        return split == "test"
    number = int(scene.rpartition("-")[2]) if scene.rpartition("-")[2].isdecimal() else -1
    if version.endswith("mini"):
        return number in _MINI.get(split, ())
    val = any(low <= number <= high for low, high in _VAL)
    return split == ("val" if val else "train")


def read_tables(folder: str | Path, split: str, format: str) -> list[FrameInfo]:  # noqa: A002
    """Key frames of the split, scene by scene, from `v1.0-mini`, `v1.0-trainval` or `v1.0-test`.

    Args:
        folder: of the tables. split: "train", "val" or "test". format: whose frame the poses lead into.
    Raises: ArtifactError if a table is missing or damaged; InputError that names table, row and field.
    """
    folder, frame = Path(folder), LabelFormat.named(format).frame
    names = {
        row["token"]: row["name"] for row in table_rows(folder, "scene", "token", "name")
        if in_split(folder.name, str(row["name"]), split)
    }  # fmt: skip
    samples = {
        row["token"]: row for row in table_rows(folder, "sample", "token", "timestamp", "scene_token")
        if row["scene_token"] in names
    }  # fmt: skip
    sensors, data, poses = _records(folder, samples)
    marks = {row["sample_data_token"]: row["filename"] for row in _optional_rows(folder, "lidarseg")}
    frames = []
    for sample in sorted(samples.values(), key=lambda row: (names[row["scene_token"]], row["timestamp"])):
        where = f"sample {sample['token']} of {folder}"
        mine = data.get(sample["token"], {})
        if "LIDAR_TOP" not in mine:
            raise InputError("LIDAR_TOP", expected="a key frame of it in sample_data", where=where)
        try:
            lidar = mine["LIDAR_TOP"]
            ego2global = read_pose(poses[lidar["ego_pose_token"]], where)
            lidar2ego = read_pose(sensors[lidar["calibrated_sensor_token"]], where)
            to_label = np.linalg.inv(ego2global)
            if frame == "lidar":
                to_label = np.linalg.inv(lidar2ego) @ to_label
            cameras: dict[str, CameraInfo] = {}
            for name in sorted(one for one in mine if one.startswith("CAM")):
                row, sensor = mine[name], sensors[mine[name]["calibrated_sensor_token"]]
                then = read_pose(poses[row["ego_pose_token"]], where)
                cameras[name] = camera_info(
                    row["filename"], sensor["camera_intrinsic"], to_label @ then @ read_pose(sensor, where),
                    f"{name} in {where}", size=(row["height"], row["width"]), ego2global=then,
                )  # fmt: skip
            frames.append(
                FrameInfo(
                    sample["token"], names[sample["scene_token"]], cameras, "", "", lidar["filename"], ego2global,
                    lidar2ego, lidarseg_path=marks.get(lidar["token"], ""), timestamp=sample["timestamp"],
                )
            )  # fmt: skip
        except KeyError as error:
            raise InputError(f"row {error.args[0]}", expected="in the tables", where=where) from None
        except InputError:
            raise
        except WRONG_ENTRY as error:
            raise InputError("row", got=str(error), expected="poses and intrinsics", where=where) from None
    return frames


def lidar_poses(folder: str | Path) -> dict[str, np.ndarray]:
    """(4, 4) lidar2ego by the token of each key frame."""
    folder = Path(folder)
    samples = {row["token"]: row for row in table_rows(folder, "sample", "token", "timestamp", "scene_token")}
    sensors, data, _ = _records(folder, samples, poses=False)
    return {
        token: read_pose(sensors[mine["LIDAR_TOP"]["calibrated_sensor_token"]], f"sample {token} of {folder}")
        for token, mine in data.items()
        if "LIDAR_TOP" in mine
    }


def _records(
    folder: Path, samples: Mapping[str, Any], *, poses: bool = True
) -> tuple[dict[str, dict], dict[str, dict[str, dict]], dict[str, dict]]:
    """Calibrated sensors by token, with their channel; key frames by sample and channel; ego poses by token."""
    channels = {row["token"]: row["channel"] for row in table_rows(folder, "sensor", "token", "channel")}
    fields = ("token", "sensor_token", "translation", "rotation", "camera_intrinsic")
    sensors = {row["token"]: row for row in table_rows(folder, "calibrated_sensor", *fields)}
    data: dict[str, dict[str, dict]] = {}
    fields = ("token", "sample_token", "ego_pose_token", "calibrated_sensor_token", "filename", "is_key_frame")
    for row in table_rows(folder, "sample_data", *fields, optional=("height", "width")):
        if row["is_key_frame"] and row["sample_token"] in samples:
            sensor = sensors.get(row["calibrated_sensor_token"])
            channel = channels.get(sensor["sensor_token"], "") if sensor else ""
            if channel == "LIDAR_TOP" or channel.startswith("CAM"):
                data.setdefault(row["sample_token"], {})[channel] = row
    if not poses:
        return sensors, data, {}
    needed = {row["ego_pose_token"] for mine in data.values() for row in mine.values()}
    fields = ("token", "translation", "rotation")
    return (
        sensors,
        data,
        {row["token"]: row for row in table_rows(folder, "ego_pose", *fields) if row["token"] in needed},
    )


def _optional_rows(folder: Path, table: str) -> Iterator[dict[str, Any]]:
    if (folder / f"{table}.json").is_file():
        yield from table_rows(folder, table, "sample_data_token", "filename")


def table_rows(folder: Path, table: str, *fields: str, optional: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a table, a list of flat objects, with the named fields.

    Args:
        optional: fields that are None in rows without them.
    """
    path, decode = folder / f"{table}.json", json.JSONDecoder().raw_decode
    if not path.is_file():
        raise ArtifactError(path, "is not there")
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            text, at = file.read(_CHUNK).lstrip(), 0
            if not text.startswith("["):
                raise ArtifactError(path, "is damaged: a list of rows is expected")
            at = 1
            while True:
                while at < len(text) and text[at] in " \n\r\t,":
                    at += 1
                if at < len(text) and text[at] == "]":
                    return
                try:
                    if at >= len(text):
                        raise ValueError("the list has no end")
                    row, at = decode(text, at)
                except ValueError as error:
                    more = file.read(_CHUNK)
                    if not more or len(text) - at > _LONGEST_ROW:
                        raise ArtifactError(path, f"is damaged or truncated in row {number}: {error}") from None
                    text, at = text[at:] + more, 0
                    continue
                where = f"row {number} of {path}"
                if not isinstance(row, dict):
                    raise InputError("row", got=type(row).__name__, expected="an object", where=where)
                for key in fields:
                    if not isinstance(row.get(key), kind := _TYPES.get(key, str)):
                        got = repr(row.get(key))[:60]
                        raise InputError(f"field {key}", got=got, expected=kind.__name__, where=where)
                yield {key: row[key] for key in fields} | {
                    key: value if isinstance(value := row.get(key), _TYPES.get(key, str)) else None for key in optional
                }
                number += 1
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(path, f"is damaged ({error})") from None
