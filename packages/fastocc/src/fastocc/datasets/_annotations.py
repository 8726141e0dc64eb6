"""Occ3D's `annotations.json`: scenes, frames, cameras by name or by token, and no LiDAR."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets._frames import FrameInfo, camera_info, read_pose

WRONG_ENTRY = (AttributeError, IndexError, OverflowError, TypeError, ValueError, np.linalg.LinAlgError)


def read_annotations(root: str | Path, split: str) -> list[FrameInfo]:
    """Frames of Occ3D's `annotations.json`.

    Args:
        root: folder of the file. split: "train", "val" or "test".
    Raises: ArtifactError if the file is missing or damaged; InputError that names frame, camera and field.
    """
    path = Path(root) / "annotations.json"
    if not path.is_file():
        raise ArtifactError(path, "is not there")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        scenes = about[f"{split}_split"]
        infos = about["scene_infos"]
    except KeyError as error:
        raise InputError(str(error.args[0]), expected="an entry of that name", where=path) from None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(path, f"is damaged ({error})") from None
    if not isinstance(scenes, list) or not isinstance(infos, Mapping):
        raise ArtifactError(path, "is damaged (a list of scenes and their entries are expected)")
    frames = []
    for scene in scenes:
        entries = infos.get(scene) if isinstance(scene, str) else None
        if not isinstance(entries, Mapping) or not all(isinstance(one, Mapping) for one in entries.values()):
            raise InputError(f"scene {scene!r}", expected="an entry in scene_infos", where=path)
        frames += [_frame(scene, token, entry, path) for token, entry in entries.items()]
    return frames


def _frame(scene: str, token: str, entry: Mapping[str, Any], path: Path) -> FrameInfo:
    where = f"frame {token} of {path}"
    try:
        ego = read_pose(entry["ego_pose"], where)
        cameras = {}
        for key, camera in entry["camera_sensor"].items():
            name = _camera_name(key, camera["img_path"], where)
            intrinsic = camera["intrinsic"] if "intrinsic" in camera else camera["intrinsics"]
            then = read_pose(camera["ego_pose"], where)
            moved = np.linalg.inv(ego) @ then @ read_pose(camera["extrinsic"], where)
            if name in cameras:
                raise InputError(f"camera {name}", got="twice", expected="once", where=where)
            place = f"{name} in {where}"
            cameras[name] = camera_info(
                camera["img_path"], intrinsic, moved, place, fisheye=camera.get("fisheye"),
                distortion=camera.get("distortion"), size=(camera.get("height"), camera.get("width")), ego2global=then,
            )  # fmt: skip
        lidar = read_pose(entry["lidar2ego"], where) if "lidar2ego" in entry else None
        return FrameInfo(
            token, scene, cameras, entry.get("gt_path", ""), "", entry.get("lidar_path", ""), ego, lidar,
            lidarseg_path=entry.get("lidarseg_path", ""),
        )  # fmt: skip
    except KeyError as error:
        raise InputError(f"field {error.args[0]}", expected="in each frame and camera", where=where) from None
    except InputError:
        raise
    except WRONG_ENTRY as error:
        raise InputError("frame", got=str(error), expected="poses, intrinsics and paths", where=where) from None


def _camera_name(key: str, path: Any, where: str) -> str:
    """The camera's name: the key, or where that is a token, the folder or the middle of the file's name."""
    if not re.fullmatch(r"[0-9a-f]{32}", key):
        return key
    parts = PurePosixPath(path).parts
    middle = parts[-1].split("__") if parts else []
    if len(parts) > 1 and parts[-2].startswith("CAM_"):
        return parts[-2]
    if len(middle) > 2:
        return middle[1]
    raise InputError(f"camera {key}", got=f"a token, with image {path}", expected="CAM_... in its path", where=where)
