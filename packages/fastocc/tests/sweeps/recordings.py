"""Writes one simulated drive as LiDAR recordings lie on disk, from the public descriptions of the formats."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastocc.datasets import KITTI_RAW, LabelFormat, Sweep
from fastocc.geometry import CameraRig, GridSpec, yaw_matrix
from fastocc.sim import Scene

GRID, RIG = GridSpec.named("micro"), CameraRig.nominal(90, 160)
FRAMES = 5
START = 1_531_883_530_000_000  # microseconds
LIDAR2EGO = np.eye(4)
LIDAR2EGO[:3, :3], LIDAR2EGO[:3, 3] = yaw_matrix(-90), (0.94, 0.0, 1.84)
NAMES = {"scene-0061": "train", "scene-0103": "val"}


@dataclass
class Drive:
    """Five sweeps, half a second apart: (P, 3) points in LiDAR coordinates, classes, poses, boxes (ego frame)."""

    points: list[np.ndarray]
    classes: list[np.ndarray]
    poses: list[np.ndarray]
    boxes: list[np.ndarray]

    def sweep(self, at: int, *, labelled: bool, boxes: bool, lidar: np.ndarray = LIDAR2EGO) -> Sweep:
        """Sweep `at` as the readers should give it."""
        marks = self.classes[at] if labelled else None
        return Sweep(
            self.points[at].astype(np.float64), marks, lidar, self.poses[at],
            self.boxes[at] if boxes else np.zeros((0, 9)),
        )  # fmt: skip


def drive(seed: int = 8) -> Drive:
    """A street in which the vehicle moves, seen by a LiDAR that looks to the right, as nuScenes' does."""
    scene, made = Scene(seed, frames=FRAMES, moving=True), Drive([], [], [], [])
    for at in range(FRAMES):
        frame = scene.frame(at, RIG, GRID, pictures=False)
        ego = frame.points[:, :3].astype(np.float64) @ RIG.lidar.lidar2ego[:3, :3].T + RIG.lidar.lidar2ego[:3, 3]
        points = (ego - LIDAR2EGO[:3, 3]) @ LIDAR2EGO[:3, :3]
        keep = (np.abs(points[:, :2]) > 1.1).any(1)
        made.points.append(points[keep].astype(np.float32))
        made.classes.append(frame.point_labels[keep])
        made.poses.append(frame.pose)
        rows = [[*b["center"], *b["size"], np.deg2rad(b["yaw"]), b["label"], b["instance"]] for b in frame.boxes]
        made.boxes.append(np.array(rows, float).reshape(-1, 9))
    return made


def token(*names: object) -> str:
    return hashlib.md5("/".join(map(str, names)).encode()).hexdigest()  # noqa: S324


def quaternion(turn: np.ndarray) -> list[float]:
    """(w, x, y, z) of a rotation that is no half turn."""
    w = np.sqrt(max(1 + np.trace(turn), 1e-12)) / 2
    x, y, z = turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]
    array = np.array([w, x / (4 * w), y / (4 * w), z / (4 * w)])
    return (array / np.linalg.norm(array)).tolist()


def placed(pose: np.ndarray) -> dict[str, Any]:
    return {"translation": pose[:3, 3].tolist(), "rotation": quaternion(pose[:3, :3])}


LIDARSEG = {  # Occ3D's class -> lidarseg's index
    0: 5, 1: 9, 2: 14, 3: 15, 4: 17, 5: 18, 6: 21, 7: 2, 8: 12, 9: 22, 10: 23, 11: 24, 12: 25, 13: 26, 14: 27, 15: 28,
    16: 30,
}  # fmt: skip
CATEGORIES = {
    0: "movable_object.debris", 1: "movable_object.barrier", 2: "vehicle.bicycle", 3: "vehicle.bus.rigid",
    4: "vehicle.car", 5: "vehicle.construction", 6: "vehicle.motorcycle", 7: "human.pedestrian.adult",
    8: "movable_object.trafficcone", 9: "vehicle.trailer", 10: "vehicle.truck",
}  # fmt: skip


def nuscenes(root: Path, made: Drive, *, lidarseg: bool = True, between: bool = True) -> None:
    """Tables with two scenes of three key frames each, a second apart, and one sweep between each two."""
    sensors = [*RIG.names, "LIDAR_TOP"]
    tables: dict[str, list[dict]] = {
        "scene": [{"token": token(one), "name": one} for one in NAMES],
        "sensor": [{"token": token(one), "channel": one, "modality": "any"} for one in sensors],
        "calibrated_sensor": [], "sample": [], "sample_data": [], "ego_pose": [], "lidarseg": [],
        "category": [{"token": token(one), "name": one} for one in CATEGORIES.values()], "instance": [],
        "sample_annotation": [],
    }  # fmt: skip
    for name in sensors:
        camera = next((one for one in RIG.cameras if one.name == name), None)
        tables["calibrated_sensor"].append(
            {"token": token(name, "calibration"), "sensor_token": token(name),
             **placed(LIDAR2EGO if camera is None else camera.cam2ego),
             "camera_intrinsic": [] if camera is None else camera.intrinsic.tolist()}
        )  # fmt: skip
    for name in NAMES:
        for at in range(FRAMES):
            key, time = at % 2 == 0, START + 500_000 * at
            sample = token(name, at if key else at + 1)
            if key:
                tables["sample"].append({"token": sample, "timestamp": time, "scene_token": token(name)})
                _annotate(tables, name, at, made)
            elif not between:
                continue
            tables["ego_pose"].append({"token": token(name, at, "pose"), "timestamp": time, **placed(made.poses[at])})
            for sensor in sensors if key else ["LIDAR_TOP"]:
                folder, lidar = "samples" if key else "sweeps", sensor == "LIDAR_TOP"
                file = f"{folder}/{sensor}/{name}__{sensor}__{time}{'.pcd.bin' if lidar else '.jpg'}"
                own = token(name, at, sensor)
                tables["sample_data"].append(
                    {"token": own, "sample_token": sample, "ego_pose_token": token(name, at, "pose"),
                     "calibrated_sensor_token": token(sensor, "calibration"), "timestamp": time, "is_key_frame": key,
                     "filename": file, "height": 0 if lidar else 90, "width": 0 if lidar else 160}
                )  # fmt: skip
                if lidar:
                    (root / file).parent.mkdir(parents=True, exist_ok=True)
                    rest = np.zeros((len(made.points[at]), 2), np.float32)
                    np.column_stack([made.points[at], rest]).astype(np.float32).tofile(root / file)
            if key and lidarseg:
                own = token(name, at, "LIDAR_TOP")
                marks = f"lidarseg/v1.0-mini/{own}_lidarseg.bin"
                (root / marks).parent.mkdir(parents=True, exist_ok=True)
                np.array([LIDARSEG[int(one)] for one in made.classes[at]], np.uint8).tofile(root / marks)
                tables["lidarseg"].append({"token": own, "sample_data_token": own, "filename": marks})
    (root / "v1.0-mini").mkdir(parents=True)
    for name, rows in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows, indent=0))


def _annotate(tables: dict[str, list[dict]], name: str, at: int, made: Drive) -> None:
    pose = made.poses[at]
    for box in made.boxes[at]:
        own = token(name, int(box[8]))
        if all(one["token"] != own for one in tables["instance"]):
            kind = CATEGORIES[int(box[7])]
            tables["instance"].append({"token": own, "category_token": token(kind)})
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = yaw_matrix(np.rad2deg(box[6])), box[:3]
        length, width, height = box[3:6].tolist()
        tables["sample_annotation"].append(
            {"token": token(own, at), "sample_token": token(name, at), "instance_token": own,
             "size": [width, length, height], **placed(pose @ local)}
        )  # fmt: skip


def kitti(root: Path, made: Drive, *, labels: bool = True) -> None:
    """`dataset/sequences/00` with velodyne/, labels/, poses.txt and calib.txt; camera 0 is the first of the rig."""
    folder = root / "dataset" / "sequences" / "00"
    (folder / "velodyne").mkdir(parents=True)
    camera = RIG.cameras[0]
    tr = np.linalg.inv(camera.cam2ego) @ LIDAR2EGO
    rows = ["P2: " + " ".join(map(str, np.column_stack([camera.intrinsic, [0, 0, 0]]).ravel()))]
    rows.append("Tr: " + " ".join(map(str, tr[:3].ravel())))
    (folder / "calib.txt").write_text("\n".join(rows) + "\n")
    first = np.linalg.inv(made.poses[0] @ LIDAR2EGO)
    poses = [tr @ first @ one @ LIDAR2EGO @ np.linalg.inv(tr) for one in made.poses]
    (folder / "poses.txt").write_text("\n".join(" ".join(map(str, one[:3].ravel())) for one in poses) + "\n")
    for at, points in enumerate(made.points):
        np.column_stack([points, np.zeros(len(points))]).astype(np.float32).tofile(folder / f"velodyne/{at:06d}.bin")
        if labels:
            (folder / "labels").mkdir(exist_ok=True)
            raw = np.array(KITTI_RAW)[kitti_classes(made, at)].astype("<u4")
            (raw | (7 << 16)).astype("<u4").tofile(folder / f"labels/{at:06d}.label")  # the upper half is an instance


def kitti_classes(made: Drive, at: int) -> np.ndarray:
    """The drive's classes under KITTI's names."""
    names, ours = LabelFormat.named("semantickitti").classes, LabelFormat.named("occ3d").classes
    same = {"driveable_surface": "road", "manmade": "building", "pedestrian": "person", "bus": "other-vehicle"}
    found = [same.get(one, one if one in names else "other-ground") for one in ours[:-1]]
    return np.array([names.index(one) for one in found], np.uint8)[made.classes[at]]


def text(value: str) -> bytes:
    return struct.pack("<I", len(value) + 1) + value.encode() + b"\0"


def header(time: float, frame: str) -> bytes:
    return struct.pack("<iI", int(time), round((time - int(time)) * 1e9)) + text(frame)


def aligned(data: bytes, size: int) -> bytes:
    return data + bytes(-len(data) % size)


def cloud(time: float, points: np.ndarray, frame: str = "lidar", *, kind: int = 7, rows: int = 1) -> bytes:
    """sensor_msgs/PointCloud2 in CDR: intensity before x, y, z, three bytes of padding a point, and one NaN point."""
    number = {7: "<f4", 8: "<f8"}[kind]
    size = int(number[-1])
    layout = np.dtype({
        "names": ["intensity", "x", "y", "z"], "formats": ["<f4", number, number, number],
        "offsets": [0, 4, 4 + size, 4 + 2 * size], "itemsize": 4 + 3 * size + 3,
    })  # fmt: skip
    whole = np.concatenate([points, [[np.nan] * 3]])
    whole = np.concatenate([whole, np.zeros((-len(whole) % rows, 3))])
    table = np.zeros(len(whole), layout)
    for at, name in enumerate("xyz"):
        table[name] = whole[:, at]
    body = aligned(header(time, frame), 4) + struct.pack("<II", rows, len(whole) // rows) + struct.pack("<I", 4)
    for name in layout.names:
        offset, code = layout.fields[name][1], 7 if name == "intensity" else kind
        body = aligned(body, 4) + text(name)
        body = aligned(aligned(body, 4) + struct.pack("<I", offset) + struct.pack("<B", code), 4) + struct.pack("<I", 1)
    body = aligned(body + b"\0", 4) + struct.pack("<II", layout.itemsize, layout.itemsize * (len(whole) // rows))
    content = table.tobytes()
    return b"\0\1\0\0" + body + struct.pack("<I", len(content)) + content + b"\1"


def transform(time: float, parent: str, child: str, pose: np.ndarray) -> bytes:
    """tf2_msgs/TFMessage with one transform."""
    w, x, y, z = quaternion(pose[:3, :3])
    body = struct.pack("<I", 1) + header(time, parent)
    body = aligned(body, 4) + text(child)
    return b"\0\1\0\0" + aligned(body, 8) + struct.pack("<7d", *pose[:3, 3], x, y, z, w)


def bag(path: Path, made: Drive, *, motion: bool = True, sensor: bool = True) -> None:
    """An mcap file: clouds, the vehicle's tf at 4 Hz, and the sensor's place in two static transforms."""
    Writer = pytest.importorskip("mcap.writer").Writer
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("ros2", library="test")
        kinds = {"/lidar/points": "sensor_msgs/msg/PointCloud2", "/tf": "tf2_msgs/msg/TFMessage"}
        kinds["/tf_static"] = "tf2_msgs/msg/TFMessage"
        channels = {
            name: writer.register_channel(name, "cdr", writer.register_schema(kind, "ros2msg", b""))
            for name, kind in kinds.items()
        }
        roof = np.eye(4)
        roof[2, 3] = 1.5
        if sensor:
            for parent, child, pose in (
                ("base_link", "roof", roof),
                ("roof", "lidar", np.linalg.inv(roof) @ LIDAR2EGO),
            ):
                writer.add_message(channels["/tf_static"], 0, transform(0.0, parent, child, pose), 0)
        for at, points in enumerate(made.points):
            time = 100 + 0.5 * at
            writer.add_message(channels["/lidar/points"], round(time * 1e9), cloud(time, points, rows=1 + at % 2), 0)
            if motion:
                data = transform(time, "odom", "base_link", made.poses[at])
                writer.add_message(channels["/tf"], round(time * 1e9), data, 0)
        writer.finish()
