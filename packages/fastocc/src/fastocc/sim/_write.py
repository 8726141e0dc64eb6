"""Writes simulated scenes in the Occ3D-nuScenes folder layout, scene by scene, so that a killed run can resume.

annotations.json, gts/SCENE/TOKEN/labels.npz, samples/CAMERA/TOKEN.jpg as Occ3D has them; also depth/ (16-bit
PNG, centimetres), semantics/ (PNG, 255 = sky), lidar/ (float32 x 5), lidarseg/ (uint8), boxes/ (JSON), rig.yaml.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold.files import lock, write_text

from fastocc.geometry import CameraRig, GridSpec, thread_count
from fastocc.sim._scene import Frame, Scene

FORMAT = 1


@dataclass(frozen=True)
class SimConfig:
    """What to simulate.

    Attributes:
        train, val: number of scenes of each split. frames: frames a scene.
        grid: name of the label grid. height, width: image size, pixels. seed: random seed.
        moving: the vehicle moves in every scene; otherwise it stands still in about half of them.

    Examples:
        >>> from fastocc import SimConfig

        >>> config = SimConfig(train=2, val=1, frames=2, grid="micro", height=32, width=64)
        >>> (config.train + config.val) * config.frames  # labelled frames
        6
    """

    train: int = 10
    val: int = 3
    frames: int = 4
    grid: str = "mini"
    height: int = 96
    width: int = 256
    seed: int = 0
    moving: bool = False

    def __post_init__(self) -> None:
        for key in ("train", "val"):
            if getattr(self, key) < 0:
                raise InputError(key, got=getattr(self, key), expected="a number of scenes")
        if self.train + self.val == 0 or self.frames < 1:
            raise InputError("scenes", got="none", expected="at least one scene of one frame")


def simulate(
    root: str | Path, config: SimConfig, rig: CameraRig | None = None, advance: Callable[[], object] = lambda: None
) -> Path:
    """Write a data set below `root`; a second call with the same config resumes the first one.

    Args:
        root: folder to write. config: what to simulate. rig: cameras, resized to the config's images; default nominal.
        advance: called after each scene.
    Returns: `root`.
    Raises: ArtifactError if `root` holds something else; InputError if it holds another simulation.

    Examples:
        >>> from fastocc import SimConfig, simulate

        >>> root = simulate("street", SimConfig(train=1, val=1, frames=1, grid="micro", height=32, width=64))

        >>> sorted(path.name for path in root.iterdir())
        ['annotations.json', 'boxes', 'depth', 'gts', 'lidar', 'lidarseg', 'rig.yaml', 'samples', 'semantics',
         'sim.json']
    """
    root = Path(root)
    rig = rig or CameraRig.nominal(config.height, config.width)
    grid = GridSpec.named(config.grid)
    about = {"format_version": FORMAT, **asdict(config), "cameras": rig.names}
    if not config.moving:
        del about["moving"]  # folders written before it was there go on
    known = root / "sim.json"
    if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not known.exists())):
        raise ArtifactError(root, "exists already and holds no simulation; choose another place")
    root.mkdir(parents=True, exist_ok=True)
    if not known.exists():
        write_text(known, json.dumps(about, indent=2) + "\n")
    _check_settings(root, about)
    if (root / "annotations.json").exists() and not (root / "parts").exists():  # whole: nothing is written
        for _ in range(config.train + config.val):
            advance()
        return root
    held = lock(known)
    if held is None:
        raise ArtifactError(root, "is in use by another process")
    try:
        _write_all(root, config, rig, grid, advance)
    finally:
        held.close()
    return root


def _check_settings(root: Path, about: dict[str, Any]) -> None:
    before = _read_json(root / "sim.json")
    if before != about:
        keys = list(dict.fromkeys([*about, *(before if isinstance(before, dict) else ())]))
        before = before if isinstance(before, dict) else {}
        differ = [
            f"{key} was {before.get(key)!r}, now {about.get(key)!r}"
            for key in keys
            if before.get(key) != about.get(key)
        ]
        raise InputError(f"simulation {root}", got=", ".join(differ), expected="the same settings, or another folder")


def _write_all(root: Path, config: SimConfig, rig: CameraRig, grid: GridSpec, advance: Callable[[], object]) -> None:
    if not (root / "rig.yaml").exists():
        rig.to_yaml(root / "rig.yaml")
    names = [("train", number) for number in range(config.train)] + [("val", number) for number in range(config.val)]
    for split, number in names:
        name = f"{split}-{number:04d}"
        if not (root / "parts" / f"{name}.json").exists() and not (root / "annotations.json").exists():
            part = _write_scene(root, name, config, split, number, rig, grid)
            write_text(root / "parts" / f"{name}.json", json.dumps(part))
        advance()
    if not (root / "annotations.json").exists():
        _gather(root, [f"{split}-{number:04d}" for split, number in names])
    shutil.rmtree(root / "parts", ignore_errors=True)


def _gather(root: Path, names: list[str]) -> None:
    infos = {name: _read_json(root / "parts" / f"{name}.json") for name in names}
    about = {
        "train_split": [name for name in names if name.startswith("train")],
        "val_split": [name for name in names if name.startswith("val")],
        "scene_infos": infos,
    }
    write_text(root / "annotations.json", json.dumps(about))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(path, f"is damaged: {error}") from None


def _write_scene(
    root: Path, name: str, config: SimConfig, split: str, number: int, rig: CameraRig, grid: GridSpec
) -> dict[str, Any]:
    scene = Scene(config.seed * 100_003 + number, validation=split == "val", frames=config.frames, moving=config.moving)
    tokens = [f"{name}-{index:02d}" for index in range(config.frames)]

    def one(index: int) -> dict[str, Any]:
        frame, token = scene.frame(index, rig, grid), tokens[index]
        _write_frame(root, name, token, frame, rig)
        ego = _pose_dict(frame.pose)
        return {
            "timestamp": round(frame.time * 1_000_000),
            "camera_sensor": {
                camera.name: {
                    "img_path": f"samples/{camera.name}/{token}.jpg",
                    "intrinsic": camera.intrinsic.tolist(),
                    "extrinsic": _pose_dict(camera.cam2ego),
                    "ego_pose": ego,
                    **({} if camera.fisheye is None else {"fisheye": list(camera.fisheye)}),
                    **({} if camera.distortion is None else {"distortion": list(camera.distortion)}),
                }
                for camera in rig.cameras
            },
            "ego_pose": ego,
            "lidar2ego": _pose_dict(rig.lidar.lidar2ego),
            "lidar_path": f"lidar/{token}.bin",
            "gt_path": f"gts/{name}/{token}/labels.npz",
            "prev": tokens[index - 1] if index else "",
            "next": tokens[index + 1] if index + 1 < len(tokens) else "",
        }

    with ThreadPoolExecutor(min(config.frames, thread_count())) as pool:  # each frame has a random stream of its own
        return dict(zip(tokens, pool.map(one, range(config.frames)), strict=True))


def _write_frame(root: Path, name: str, token: str, frame: Frame, rig: CameraRig) -> None:
    from PIL import Image

    def place(*parts: str) -> Path:
        path = root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    for camera, picture in zip(rig.cameras, frame.pictures, strict=True):
        rgb = Image.fromarray(picture.rgb)
        rgb.save(place("samples", camera.name, f"{token}.jpg"), quality=95, subsampling=0)
        depth = np.clip(picture.depth * 100, 0, 65535).astype(np.uint16)
        Image.fromarray(depth).save(place("depth", camera.name, f"{token}.png"), compress_level=1)
        Image.fromarray(picture.semantics).save(place("semantics", camera.name, f"{token}.png"), compress_level=1)
    frame.points.tofile(place("lidar", f"{token}.bin"))
    frame.point_labels.tofile(place("lidarseg", f"{token}.bin"))
    place("boxes", f"{token}.json").write_text(json.dumps(frame.boxes), encoding="utf-8")
    np.savez_compressed(
        place("gts", name, token, "labels.npz"),
        semantics=frame.semantics,
        mask_lidar=frame.mask_lidar.astype(np.uint8),
        mask_camera=frame.mask_camera.astype(np.uint8),
        instances=frame.instances,
    )


def _pose_dict(pose: np.ndarray) -> dict[str, list[float]]:
    return {"translation": pose[:3, 3].tolist(), "rotation": _quaternion(pose[:3, :3])}


def _quaternion(turn: np.ndarray) -> list[float]:
    """(w, x, y, z) of a rotation, by the largest of its four squares."""
    squares = np.array([1 + np.trace(turn), *(1 + 2 * turn[a, a] - np.trace(turn) for a in range(3))])
    best = int(squares.argmax())
    if best == 0:
        values = [squares[0], turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
    else:
        a = best - 1
        b, c = (a + 1) % 3, (a + 2) % 3
        values = [turn[c, b] - turn[b, c], 0.0, 0.0, 0.0]
        values[1 + a], values[1 + b], values[1 + c] = squares[best], turn[b, a] + turn[a, b], turn[c, a] + turn[a, c]
    array = np.array(values) / np.linalg.norm(values)
    return [float(one) for one in array]
