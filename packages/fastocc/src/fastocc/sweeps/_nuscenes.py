"""nuScenes: all LiDAR sweeps of a scene, key frames and those between them, with boxes and lidarseg.

From the public description of the format: `sample_data` lists files with their `ego_pose` and `calibrated_sensor`,
a sweep is five float32 a point, `sample_annotation` has boxes of key frames (size is width, length, height) in the
world, which are interpolated for the sweeps in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets import (
    WRONG_ENTRY,
    Finder,
    FrameInfo,
    LabelFormat,
    Sweep,
    read_classes,
    read_points,
    read_pose,
    read_tables,
    table_rows,
)
from fastocc.geometry import Camera, CameraRig
from fastocc.sweeps._sequence import SweepFiles, SweepSequence

_NEAR = 1.0  # metres around the sensor: the vehicle's own roof
_CLASSES = {
    "vehicle.car": "car", "vehicle.bus": "bus", "vehicle.construction": "construction_vehicle",
    "vehicle.trailer": "trailer", "vehicle.truck": "truck", "vehicle.motorcycle": "motorcycle",
    "vehicle.bicycle": "bicycle", "human.pedestrian.adult": "pedestrian", "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian", "human.pedestrian.police_officer": "pedestrian",
    "movable_object.barrier": "barrier", "movable_object.trafficcone": "traffic_cone",
}  # fmt: skip


@dataclass(frozen=True)
class _File:
    """One sweep: its file, time in microseconds, pose of the vehicle, and the sample it is the key frame of."""

    path: str
    time: int
    ego: np.ndarray
    sample: str = ""


def nuscenes_sequences(folder: Path, split: str, *, boxes: bool = True) -> list[SweepSequence]:
    """Scenes of a folder of tables (`v1.0-mini`, `v1.0-trainval`), whose files lie next to it.

    Args:
        folder: of the tables. split: train, val or test. boxes: read `sample_annotation`.
    Raises: ArtifactError for a missing or damaged table or file; InputError that names table, row and field.
    """
    finder = Finder([folder.parent])
    infos: dict[str, list[FrameInfo]] = {}
    for info in read_tables(folder, split, "occ3d"):
        infos.setdefault(info.scene, []).append(info)
    if not infos:
        raise InputError("scenes", got="none", expected=f"at least one of split {split}", where=folder)
    scene_of = {info.token: name for name, mine in infos.items() for info in mine}
    between, sizes = _between(folder, scene_of)
    drawn = _annotations(folder, scene_of) if boxes else {}
    made = []
    for name, mine in infos.items():
        keys = [_File(one.lidar_path, one.timestamp, _known(one.ego2global, one), one.token) for one in mine]
        files = sorted([*keys, *between.get(name, [])], key=lambda one: one.time)
        frames = {one.sample: at for at, one in enumerate(files) if one.sample}
        rigs = {info.token: _rig(info, sizes) for info in mine}

        infos_of = {one.token: one for one in mine}

        def read(at: int, files: list[_File] = files, infos_of: dict[str, FrameInfo] = infos_of) -> Sweep:
            return _read(files[at], [one for one in files if one.sample], infos_of, drawn, finder)

        made.append(SweepSequence(name, frames, SweepFiles(len(files), read), rigs))
    return made


def _known(pose: np.ndarray | None, info: FrameInfo) -> np.ndarray:
    if pose is None:
        raise InputError("pose", got="none", expected="ego_pose and calibrated_sensor", where=f"sample {info.token}")
    return pose


def _read(
    file: _File, keys: list[_File], infos: Mapping[str, FrameInfo], drawn: Mapping[str, list[np.ndarray]],
    finder: Finder,
) -> Sweep:  # fmt: skip
    """One sweep; `keys` are the scene's key frames."""
    lidar = _known(infos[keys[0].sample].lidar2ego, infos[keys[0].sample])
    path = finder(file.path, ("samples/LIDAR_TOP", "sweeps/LIDAR_TOP"))
    if not path.is_file():
        raise ArtifactError(path, "is not there (a LiDAR sweep that sample_data lists)")
    points, labels = read_points(path, 5).astype(np.float64), None
    keep = (np.abs(points[:, :2]) > _NEAR).any(1) & np.isfinite(points).all(1)
    info = infos.get(file.sample)
    if info is not None and info.lidarseg_path and (marks := finder(info.lidarseg_path)).is_file():
        labels = read_classes(marks, len(points), LabelFormat.named("occ3d"), nuscenes=True)
        keep &= labels != 255  # noise, and the vehicle itself
    return Sweep(points[keep], None if labels is None else labels[keep], lidar, file.ego, _boxes(file, keys, drawn))


def _between(folder: Path, scene_of: Mapping[str, str]) -> tuple[dict[str, list[_File]], dict[str, tuple[int, int]]]:
    """Sweeps between the key frames by scene, where `sweeps/LIDAR_TOP` is there; sizes of images by file."""
    channels = {row["token"]: row["channel"] for row in table_rows(folder, "sensor", "token", "channel")}
    sensors = {
        row["token"]: channels.get(row["sensor_token"], "")
        for row in table_rows(folder, "calibrated_sensor", "token", "sensor_token")
    }
    there = (folder.parent / "sweeps" / "LIDAR_TOP").is_dir()
    rows, sizes = [], {}
    fields = ("sample_token", "ego_pose_token", "calibrated_sensor_token", "filename", "is_key_frame", "timestamp")
    for row in table_rows(folder, "sample_data", *fields, "width", "height"):
        channel = sensors.get(row["calibrated_sensor_token"], "")
        if row["sample_token"] not in scene_of:
            continue
        if row["is_key_frame"] and channel.startswith("CAM"):
            sizes[row["filename"]] = (row["height"], row["width"])
        elif there and channel == "LIDAR_TOP" and not row["is_key_frame"]:
            rows.append(row)
    needed = {row["ego_pose_token"] for row in rows}
    poses = {
        row["token"]: read_pose(row, f"ego_pose {row['token']} of {folder}")
        for row in table_rows(folder, "ego_pose", "token", "translation", "rotation") if row["token"] in needed
    }  # fmt: skip
    made: dict[str, list[_File]] = {}
    for row in rows:
        if row["ego_pose_token"] not in poses:
            where = f"{row['filename']} in {folder / 'sample_data.json'}"
            raise InputError("ego_pose_token", got=row["ego_pose_token"], expected="a row of ego_pose", where=where)
        file = _File(row["filename"], row["timestamp"], poses[row["ego_pose_token"]])
        made.setdefault(scene_of[row["sample_token"]], []).append(file)
    return made, sizes


def _annotations(folder: Path, scene_of: Mapping[str, str]) -> dict[str, list[np.ndarray]]:
    """Boxes of each sample: rows x, y, z of the centre, length, width, height, yaw, class, instance, in the world."""
    names = {row["token"]: row["name"] for row in table_rows(folder, "category", "token", "name")}
    kinds = LabelFormat.named("occ3d").classes
    instances: dict[str, tuple[int, int]] = {}
    for number, row in enumerate(table_rows(folder, "instance", "token", "category_token")):
        name = names.get(row["category_token"], "")
        short = _CLASSES.get(name) or _CLASSES.get(name.rpartition(".")[0], "others")
        instances[row["token"]] = (kinds.index(short), number)
    made: dict[str, list[np.ndarray]] = {}
    fields = ("token", "sample_token", "instance_token", "translation", "rotation", "size")
    for row in table_rows(folder, "sample_annotation", *fields):
        if row["sample_token"] not in scene_of:
            continue
        where = f"sample_annotation {row['token']} of {folder}"
        if row["instance_token"] not in instances:
            raise InputError("instance_token", got=row["instance_token"], expected="a row of instance", where=where)
        try:
            pose = read_pose(row, where)
            width, length, height = (float(one) for one in row["size"])
        except WRONG_ENTRY as error:
            raise InputError("box", got=error, expected="translation, rotation and size", where=where) from None
        if not 0 < min(width, length, height) <= max(width, length, height) < 1e3:
            raise InputError("size", got=row["size"], expected="three lengths above 0, metres", where=where)
        yaw = np.arctan2(pose[1, 0], pose[0, 0])
        box = [*pose[:3, 3], length, width, height, yaw, *instances[row["instance_token"]]]
        made.setdefault(row["sample_token"], []).append(np.array(box))
    return made


def _boxes(file: _File, keys: list[_File], drawn: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    """(n, 9) boxes in the vehicle's frame at the time of a sweep: between key frames they move evenly."""
    after = next((at for at, one in enumerate(keys) if one.time >= file.time), len(keys) - 1)
    two = keys[after]
    one = two if file.sample or two.time <= file.time or after == 0 else keys[after - 1]
    share = 0.0 if one is two else (file.time - one.time) / (two.time - one.time)
    before, later = ({int(box[8]): box for box in drawn.get(key.sample, [])} for key in (one, two))
    back, rows = np.linalg.inv(file.ego), []
    for number, known in {**later, **before}.items():
        first, second = before.get(number, known), later.get(number, known)
        box = first + share * (second - first)
        turn = (second[6] - first[6] + np.pi) % (2 * np.pi) - np.pi
        box[:3] = back[:3, :3] @ box[:3] + back[:3, 3]
        box[6] = first[6] + share * turn + np.arctan2(back[1, 0], back[0, 0])
        box[7:] = first[7:]
        rows.append(box)
    return np.array(sorted(rows, key=lambda row: row[8])).reshape(-1, 9)


def _rig(info: FrameInfo, sizes: Mapping[str, tuple[int, int]]) -> CameraRig:
    """The cameras of a key frame, in the vehicle's frame at the time of the LiDAR."""
    cameras: list[Any] = []
    for name, one in info.cameras.items():
        size = sizes.get(one.path, (0, 0))
        if min(size) < 1:
            raise InputError("width, height", got=size, expected="pixels", where=f"{one.path} in sample_data")
        cameras.append(Camera(name, one.intrinsic, one.cam2label, size))
    return CameraRig(tuple(cameras))
