"""Info pickles of mmdetection3d, versions 1 and 1.1: BEVDet, FlashOcc, BEVFormer, OccNet and SurroundOcc write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from ninefold.errors import InputError

from fastocc.datasets._annotations import WRONG_ENTRY
from fastocc.datasets._formats import LabelFormat
from fastocc.datasets._frames import FrameInfo, camera_info, read_pose
from fastocc.datasets._pickles import read_plain

_GAP = 2_000_000  # microseconds between key frames (half a second apart) that part two scenes


def read_infos(path: str | Path, format: str, scene_of: Mapping[str, str] | None = None) -> list[FrameInfo]:  # noqa: A002
    """Frames of an info pickle, version 1 (`infos`) or 1.1 (`metainfo`, `data_list`), scene by scene in order of time.

    Args:
        path: the pickle; read as plain data and arrays, so that no code in it runs.
        format: label format, whose frame ("ego" or "lidar") the poses lead into.
        scene_of: scene by token, where the file does not say. Without either, a scene is a recording (the first part of
            the LiDAR file's name) without gaps of two seconds.
    """
    path, frame = Path(path), LabelFormat.named(format).frame
    about, frames = read_plain(path), []
    key = next((key for key in ("data_list", "infos") if isinstance(about, Mapping) and key in about), None)
    if key is None or not isinstance(about[key], (list, tuple)):
        raise InputError("infos", expected="`infos` (version 1) or `data_list` (1.1)", where=path)
    for at, entry in enumerate(about[key]):
        where = f"frame {at} of {path}"
        try:
            frames.append((_version_11 if key == "data_list" else _version_1)(entry, frame, where, scene_of or {}))
        except KeyError as error:
            raise InputError(f"field {error.args[0]}", expected="in each frame and camera", where=where) from None
        except InputError:
            raise
        except WRONG_ENTRY as error:
            raise InputError("frame", got=str(error), expected="poses, intrinsics and paths", where=where) from None
    return _by_scene(frames)


def _version_1(entry: Mapping[str, Any], frame: str, where: str, scenes: Mapping[str, str]) -> FrameInfo:
    lidar2ego, ego2global = (
        read_pose({"translation": entry[f"{key}_translation"], "rotation": entry[f"{key}_rotation"]}, where)
        for key in ("lidar2ego", "ego2global")
    )
    to_label = lidar2ego if frame == "ego" else np.eye(4)
    cameras = {}
    for name, camera in entry["cams"].items():
        moved = {"translation": camera["sensor2lidar_translation"], "rotation": camera["sensor2lidar_rotation"]}
        cam2label = to_label @ read_pose(moved, f"{name} in {where}")
        then = {key: camera.get(f"ego2global_{key}") for key in ("translation", "rotation")}
        cameras[name] = camera_info(
            camera["data_path"], camera["cam_intrinsic"], cam2label, f"{name} in {where}",
            distortion=camera.get("distortion"), size=(camera.get("height"), camera.get("width")),
            ego2global=None if any(one is None for one in then.values()) else read_pose(then, f"{name} in {where}"),
        )  # fmt: skip
    boxes = np.asarray(entry.get("gt_boxes", ()), np.float64)
    boxes = boxes[:, :7] if boxes.size else np.zeros((0, 7))
    return FrameInfo(
        str(entry["token"]), _scene(entry, scenes), cameras, _label(entry), str(entry.get("occ_invalid_path", "")),
        str(entry.get("lidar_path", "")), ego2global, lidar2ego, _boxes(boxes, to_label), timestamp=_time(entry),
    )  # fmt: skip


def _version_11(entry: Mapping[str, Any], frame: str, where: str, scenes: Mapping[str, str]) -> FrameInfo:
    points = entry["lidar_points"]
    lidar2ego, ego2global = read_pose(points["lidar2ego"], where), read_pose(entry["ego2global"], where)
    to_label = lidar2ego if frame == "ego" else np.eye(4)
    cameras = {}
    for name, camera in entry["images"].items():
        place = f"{name} in {where}"
        intrinsic, cam2lidar = camera["cam2img"], np.linalg.inv(read_pose(camera["lidar2cam"], place))
        then = None  # ego pose at the picture: the camera's global pose without its mounting
        if "cam2ego" in camera:
            then = ego2global @ lidar2ego @ cam2lidar @ np.linalg.inv(read_pose(camera["cam2ego"], place))
        cameras[name] = camera_info(
            camera["img_path"], intrinsic, to_label @ cam2lidar, place, distortion=camera.get("distortion"),
            size=(camera.get("height"), camera.get("width")), ego2global=then,
        )  # fmt: skip
    rows = [
        [*one["bbox_3d"][:7], one.get("bbox_label_3d", -1)] for one in entry.get("instances", [])
    ]  # the raw z is the centre of the box; mmdetection3d moves it to the bottom when it makes its box objects
    boxes = _boxes(np.asarray(rows, np.float64).reshape(-1, 8), to_label)
    return FrameInfo(
        str(entry["token"]), _scene(entry, scenes), cameras, _label(entry), "", str(points.get("lidar_path", "")),
        ego2global, lidar2ego, boxes, timestamp=_time(entry),
    )  # fmt: skip


def _scene(entry: Mapping[str, Any], scenes: Mapping[str, str]) -> str:
    return str(entry.get("scene_name") or scenes.get(str(entry["token"])) or entry.get("scene_token") or "")


def _label(entry: Mapping[str, Any]) -> str:
    for key in ("occ_gt_final_path", "occ_path", "occ_gt_path"):
        if entry.get(key):
            path = str(entry[key])
            return path if PurePosixPath(path).suffix in (".npz", ".npy") else f"{path}/labels.npz"
    return ""


def _time(entry: Mapping[str, Any]) -> int:
    """Microseconds; version 1.1 writes seconds."""
    value = float(entry.get("timestamp", 0))
    return round(value if value > 1e12 else value * 1e6) if np.isfinite(value) else 0


def _by_scene(frames: list[FrameInfo]) -> list[FrameInfo]:
    """Frames scene by scene in order of time; a scene that nobody named is a recording without gaps."""
    from dataclasses import replace

    log = re.compile(r"(.+?)__LIDAR")
    found = [log.match(PurePosixPath(one.lidar_path).name) for one in frames]
    keyed = [
        (frame.scene or (match.group(1) if match else ""), frame) for match, frame in zip(found, frames, strict=True)
    ]
    first: dict[str, int] = {}
    keyed.sort(key=lambda pair: pair[1].timestamp)  # stable: without times the file's order stays
    for at, (name, _) in enumerate(keyed):
        first.setdefault(name, at)
    keyed.sort(key=lambda pair: first[pair[0]])
    made: list[FrameInfo] = []
    last, count = "", 0
    for at, (name, frame) in enumerate(keyed):
        if name != last or (at and frame.timestamp - keyed[at - 1][1].timestamp > _GAP):
            count = count + 1 if name == last else 0
        last = name
        made.append(frame if frame.scene or not name else replace(frame, scene=f"{name}-{count}"))
    return made


def _boxes(boxes: np.ndarray, to_label: np.ndarray) -> np.ndarray:
    """(n, 7 or more) LiDAR-frame boxes as (n, 9) in the label frame."""
    made = np.full((len(boxes), 9), -1.0)
    if len(boxes):
        made[:, :3] = boxes[:, :3] @ to_label[:3, :3].T + to_label[:3, 3]
        made[:, 3:6] = boxes[:, 3:6]
        made[:, 6] = boxes[:, 6] + np.arctan2(to_label[1, 0], to_label[0, 0])
        if boxes.shape[1] > 7:
            made[:, 7] = boxes[:, 7]
        made[:, 8] = np.arange(len(boxes))
    return made
