"""Where images and calibration are. All poses lead into the frame of the labels at the time of the LiDAR.

A camera fires 0-50 ms off the LiDAR: `inv(cam2ego) @ lidar2ego` ignores the motion in between (0.1-0.4 m), so the
poses come from `lidar2cam`, or from both ego poses.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.geometry import check_cameras, quaternion_matrix


@dataclass(frozen=True)
class CameraInfo:
    """One image: its path, (3, 3) intrinsic, and (4, 4) camera to label frame."""

    path: str
    intrinsic: np.ndarray
    cam2label: np.ndarray


@dataclass(frozen=True)
class FrameInfo:
    """One frame: names, cameras by name, label file, LiDAR and poses.

    Attributes:
        ego2global: (4, 4) at the LiDAR's time. lidar2ego: (4, 4).
        boxes: (n, 9) x, y, z of the centre, length, width, height, yaw, label, instance, in the label frame.
    """

    token: str
    scene: str
    cameras: Mapping[str, CameraInfo]
    label_path: str = ""
    invalid_path: str = ""
    lidar_path: str = ""
    ego2global: np.ndarray = field(default_factory=lambda: np.eye(4))
    lidar2ego: np.ndarray = field(default_factory=lambda: np.eye(4))
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 9)))


def read_annotations(root: str | Path, split: str) -> list[FrameInfo]:
    """Frames of Occ3D's `annotations.json`.

    Args:
        root: folder of the file. split: "train" or "val".
    Raises: ArtifactError if the file is missing or damaged; InputError that names frame, camera and field.
    """
    path = Path(root) / "annotations.json"
    if not path.exists():
        raise ArtifactError(path, "is not there")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        scenes = about[f"{split}_split"]
        infos = about["scene_infos"]
    except KeyError as error:
        raise InputError(str(error.args[0]), expected="an entry of that name", where=path) from None
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(path, f"is damaged ({error})") from None
    if not isinstance(scenes, list) or not isinstance(infos, Mapping):
        raise ArtifactError(path, "is damaged (a list of scenes and their entries are expected)")
    frames = []
    for scene in scenes:
        entries = infos.get(scene) if isinstance(scene, str) else None
        if not isinstance(entries, Mapping) or not all(isinstance(one, Mapping) for one in entries.values()):
            raise InputError(f"scene {scene}", expected="an entry in scene_infos", where=path)
        frames += [_occ3d_frame(scene, token, entry, path) for token, entry in entries.items()]
    return frames


def _occ3d_frame(scene: str, token: str, entry: Mapping[str, Any], path: Path) -> FrameInfo:
    where = f"frame {token} of {path}"
    try:
        ego = _pose(entry["ego_pose"], where)
        cameras = {}
        for name, camera in entry["camera_sensor"].items():
            intrinsic = np.array(camera["intrinsic"] if "intrinsic" in camera else camera["intrinsics"], np.float64)
            moved = np.linalg.inv(ego) @ _pose(camera["ego_pose"], where) @ _pose(camera["extrinsic"], where)
            check_cameras(intrinsic, moved, [f"{name} in {where}"])
            cameras[name] = CameraInfo(camera["img_path"], intrinsic, moved)
        lidar = _pose(entry["lidar2ego"], where) if "lidar2ego" in entry else np.eye(4)
        return FrameInfo(
            token, scene, cameras, entry["gt_path"], "", entry.get("lidar_path", ""), ego, lidar
        )  # fmt: skip
    except KeyError as error:
        raise InputError(f"field {error.args[0]}", expected="in each frame and camera", where=where) from None
    except (AttributeError, OverflowError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise InputError("frame", got=str(error), expected="poses, intrinsics and paths", where=where) from None


class _Plain(pickle.Unpickler):
    """Unpickler of numbers, strings, containers and numpy arrays; any other name in the file is refused."""

    _ALLOWED = {  # noqa: RUF012
        ("collections", "OrderedDict"), ("_codecs", "encode"), ("numpy", "ndarray"), ("numpy", "dtype"),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not plain data")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_infos(path: str | Path, format: str, scene_of: Mapping[str, str] | None = None) -> list[FrameInfo]:  # noqa: A002
    """Frames of an mmdetection3d info pickle, version 1 (`infos`) or 1.1 (`metainfo`, `data_list`).

    Args:
        path: the pickle; read by a restricted unpickler that makes nothing but plain data and numpy arrays.
        format: label format, whose frame ("ego" or "lidar") the poses lead into.
        scene_of: scene by token, where the file does not say.
    """
    from fastocc.datasets._formats import LabelFormat

    path, frame = Path(path), LabelFormat.named(format).frame
    if not path.exists():
        raise ArtifactError(path, "is not there")
    try:
        with path.open("rb") as file:
            about = _Plain(file).load()  # safe: find_class lets through plain data and numpy arrays alone
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, ValueError, TypeError) as error:
        raise ArtifactError(path, f"is refused or damaged: {error}") from None
    if isinstance(about, Mapping) and "data_list" in about:
        return [_version_11(entry, frame, f"frame {at} of {path}") for at, entry in enumerate(about["data_list"])]
    if isinstance(about, Mapping) and "infos" in about:
        scenes = scene_of or {}
        return [_version_1(entry, frame, f"frame {at} of {path}", scenes) for at, entry in enumerate(about["infos"])]
    raise InputError("infos", expected="`infos` (version 1) or `data_list` (1.1)", where=path)


def _version_1(entry: Mapping[str, Any], frame: str, where: str, scenes: Mapping[str, str]) -> FrameInfo:
    try:
        lidar2ego = _pose(
            {"translation": entry["lidar2ego_translation"], "rotation": entry["lidar2ego_rotation"]}, where
        )
        ego2global = _pose(
            {"translation": entry["ego2global_translation"], "rotation": entry["ego2global_rotation"]}, where
        )
        to_label = lidar2ego if frame == "ego" else np.eye(4)
        cameras = {}
        for name, camera in entry["cams"].items():
            cam2lidar = np.eye(4)
            cam2lidar[:3, :3] = np.asarray(camera["sensor2lidar_rotation"])
            cam2lidar[:3, 3] = np.asarray(camera["sensor2lidar_translation"])
            intrinsic = np.asarray(camera["cam_intrinsic"], np.float64)
            check_cameras(intrinsic, to_label @ cam2lidar, [f"{name} in {where}"])
            cameras[name] = CameraInfo(camera["data_path"], intrinsic, to_label @ cam2lidar)
        token = str(entry["token"])
        scene = str(entry.get("scene_name", entry.get("scene_token", scenes.get(token, ""))))
        label = str(entry.get("occ_gt_final_path", entry.get("occ_path", "")))
        lidar_path, invalid = str(entry.get("lidar_path", "")), str(entry.get("occ_invalid_path", ""))
        boxes = _boxes(np.asarray(entry.get("gt_boxes", np.zeros((0, 7)))), to_label)
    except KeyError as error:
        raise InputError(f"field {error.args[0]}", expected="in each frame and camera", where=where) from None
    return FrameInfo(token, scene, cameras, label, invalid, lidar_path, ego2global, lidar2ego, boxes)


def _version_11(entry: Mapping[str, Any], frame: str, where: str) -> FrameInfo:
    try:
        lidar2ego = np.asarray(entry["lidar_points"]["lidar2ego"], np.float64)
        to_label = lidar2ego if frame == "ego" else np.eye(4)
        cameras = {}
        for name, camera in entry["images"].items():
            intrinsic = np.asarray(camera["cam2img"], np.float64)[:3, :3]
            cam2label = to_label @ np.linalg.inv(np.asarray(camera["lidar2cam"], np.float64))
            check_cameras(intrinsic, cam2label, [f"{name} in {where}"])
            cameras[name] = CameraInfo(camera["img_path"], intrinsic, cam2label)
        rows = [
            [*one["bbox_3d"][:7], one.get("bbox_label_3d", -1)] for one in entry.get("instances", [])
        ]  # the raw z is the centre of the box; mmdetection3d moves it to the bottom when it makes its box objects
        boxes = _boxes(np.asarray(rows, np.float64).reshape(-1, 8), to_label)
        ego2global = np.asarray(entry["ego2global"], np.float64)
        token = str(entry["token"])
        return FrameInfo(
            token, str(entry.get("scene_name", entry.get("scene_token", ""))), cameras,
            str(entry.get("occ_path", "")), "", str(entry["lidar_points"].get("lidar_path", "")), ego2global, lidar2ego,
            boxes,
        )  # fmt: skip
    except KeyError as error:
        raise InputError(f"field {error.args[0]}", expected="in each frame and camera", where=where) from None


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


def _pose(entry: Any, where: str) -> np.ndarray:
    if not isinstance(entry, Mapping):
        matrix = np.asarray(entry, np.float64)
        if matrix.shape != (4, 4):
            raise InputError("pose", got=f"shape {matrix.shape}", expected="translation and rotation", where=where)
        return matrix
    pose = np.eye(4)
    rotation: Sequence[float] = entry["rotation"]
    pose[:3, :3] = quaternion_matrix(rotation) if np.shape(rotation) == (4,) else np.asarray(rotation)
    pose[:3, 3] = entry["translation"]
    return pose


def read_kitti(root: str | Path, split: str) -> list[FrameInfo]:
    """Frames of SemanticKITTI below `root`/sequences that have voxels, with camera 2 and the LiDAR frame.

    P2 = K [I | t] moves camera 0's frame by t into camera 2's, Tr leads from the LiDAR into camera 0.
    """
    root = Path(root)
    sequences = {"train": ["00", "01", "02", "03", "04", "05", "06", "07", "09", "10"], "val": ["08"]}.get(split, [])
    frames = []
    for name in sequences:
        folder = root / "sequences" / name
        if not (folder / "voxels").is_dir():
            continue
        matrices = {}
        calib = folder / "calib.txt"
        try:
            for line in calib.read_text(encoding="utf-8").splitlines():
                key, _, numbers = line.partition(":")
                if numbers.strip():
                    matrices[key.strip()] = np.array(numbers.split(), dtype=np.float64).reshape(3, 4)
            inner, velo = matrices["P2"], matrices["Tr"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError("calibration", got=error, expected="lines P2 and Tr of 12 numbers", where=calib) from None
        lidar2cam = np.vstack([velo, [0, 0, 0, 1.0]])
        lidar2cam[:3, 3] += np.linalg.solve(inner[:, :3], inner[:, 3])
        for label in sorted((folder / "voxels").glob("*.label")):
            image = folder / "image_2" / f"{label.stem}.png"
            camera = CameraInfo(str(image.relative_to(root)), inner[:, :3], np.linalg.inv(lidar2cam))
            invalid = label.with_suffix(".invalid")
            frames.append(
                FrameInfo(
                    f"{name}-{label.stem}", name, {"CAM_2": camera}, str(label.relative_to(root)),
                    str(invalid.relative_to(root)) if invalid.exists() else "",
                )
            )  # fmt: skip
    if not frames:
        raise InputError("sequences", expected=f"folders {', '.join(sequences)} with voxels/", where=root)
    return frames
