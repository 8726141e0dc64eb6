"""`OccDataset`: frames of any layout and label format, ready for the network."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets._frames import FrameInfo
from fastocc.datasets._images import read_classes, read_image, read_points
from fastocc.datasets._infos import read_infos
from fastocc.datasets._labels import (
    VoxelLabels,
    read_occ3d,
    read_openocc_v1,
    read_openocc_v2,
    read_semantickitti,
    read_surroundocc,
)
from fastocc.datasets._layouts import SPLITS, find_layout
from fastocc.datasets._tables import lidar_poses
from fastocc.geometry import GridSpec, thread_count

_LOWEST_SENSOR = 0.5  # metres above the ground of the ego frame; bumper LiDARs are higher


@dataclass(frozen=True)
class OccFrame:
    """One frame.

    Attributes:
        token, scene: names. images: (N, 3, H, W) uint8.
        cam2img: (N, 3, 3) float32, for these images. cam2ego: (N, 4, 4) float32, into the frame of the labels.
        labels: voxel labels and masks; None if the frame has none, or if they were not requested.
        ego2global, lidar2ego: (4, 4) float64, None if unknown.
        lens: (N, 13) float32 rows of `geometry.lens_row`, None if all cameras are pinholes.
    """

    token: str
    scene: str
    images: np.ndarray
    cam2img: np.ndarray
    cam2ego: np.ndarray
    labels: VoxelLabels | None = None
    ego2global: np.ndarray | None = None
    lidar2ego: np.ndarray | None = None
    lens: np.ndarray | None = None

    @property
    def truth(self) -> VoxelLabels:
        """Its labels; InputError without them."""
        if self.labels is None:
            raise InputError("labels", got="none", expected="a frame with labels", where=f"frame {self.token}")
        return self.labels


class OccDataset(Sequence[OccFrame]):
    """Frames below a folder, whose layout is recognised by what is in it.

    Layouts: Occ3D's download (annotations.json, imgs/, gts/), nuScenes with the info pickles of BEVDet, FlashOcc,
    BEVFormer, OccNet, SurroundOcc or mmdetection3d 1.1, plain nuScenes tables (v1.0-*/), SemanticKITTI (sequences/),
    and this package's simulated streets; with labels of Occ3D (gts/), OpenOcc v1 and v2, SurroundOcc, SemanticKITTI,
    or none.

    Args:
        root: folder of the data set. format: one of `FORMATS`; default, the one whose labels are there.
        split: "train", "val" or "test".
        infos: mmdet3d info pickle that lists the frames, instead of what is found below the root.
        size: (height, width) of the images, scaled to that width and cut at the top; up to 31 missing rows are padded
            at the bottom. Default: as they are.
        cameras: names of the cameras in order; default all, in the order of the first frame.
        limit: number of frames to keep, evenly chosen; 0 keeps all.
        draft: let JPEG decoding halve images that are at least twice as large as `size`: faster, slightly other pixels.
    Raises: InputError or ArtifactError that names file, camera and field.

    Examples:
        >>> from fastocc import OccDataset, SimConfig, simulate

        >>> root = simulate("street", SimConfig(train=1, val=1, frames=1, grid="micro", height=32, width=64))

        >>> data = OccDataset(root, split="val")
        >>> len(data), data.frame(0).token
        (1, 'val-0000-00')
        >>> data.labels(0).semantics.shape
        (20, 20, 8)
    """

    def __init__(
        self, root: str | Path, format: str | None = None, split: str = "val", *,  # noqa: A002
        infos: str | Path | None = None, size: tuple[int, int] | None = None, cameras: Sequence[str] | None = None,
        limit: int = 0, draft: bool = False,
    ) -> None:  # fmt: skip
        self.root, self.size, self.draft = Path(root), size, draft
        if not self.root.is_dir():
            raise InputError("root", got=self.root, expected="the folder of a data set")
        if split not in SPLITS:
            raise InputError("split", got=repr(split), expected=f"one of {', '.join(SPLITS)}")
        found = find_layout(self.root, split, format, Path(infos) if infos is not None else None)
        self.format, self.source, self.labelled, self._layout = found.format, found.source, found.labelled, found
        self.infos, self.grid = found.frames, self._grid()
        self._everything, self.left_out = found.frames, 0
        self._lidar_poses: dict[str, np.ndarray] | None = None
        self.cameras = list(cameras or self.infos[0].cameras)
        for name in self.cameras:
            if self.cameras.count(name) > 1:
                raise InputError(f"camera {name}", got="named twice", expected="each camera once")
        if limit and limit < len(self.infos):
            chosen = np.unique(np.linspace(0, len(self.infos) - 1, limit).round().astype(int))
            self.infos = [self.infos[at] for at in chosen]

    def _grid(self) -> GridSpec:
        known = self.root / "sim.json"
        if self.format.name != "sim" or not known.exists():
            return self.format.spec
        try:
            return GridSpec.named(json.loads(known.read_text(encoding="utf-8"))["grid"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(known, f"is damaged ({error})") from None

    def __len__(self) -> int:
        return len(self.infos)

    def __getitem__(self, at: int) -> OccFrame:  # type: ignore[override]
        return self.frame(at, labels=self.has_labels(at))

    def frame(self, at: int, *, labels: bool = False, key_camera: str = "") -> OccFrame:
        """Frame `at`, with its labels or without: prediction needs none.

        Args:
            key_camera: camera whose ego pose, at the time of its picture, is the ego frame of `cam2ego` and
                `ego2global`, as BEVDet and FlashOcc define it; default the ego pose at the time of the LiDAR. Grids in
                the LiDAR's frame are not affected.
        """
        info = self.infos[at]
        for name in self.cameras:
            if name not in info.cameras:
                raise InputError(
                    f"camera {name}", got="missing", expected=", ".join(info.cameras),
                    where=f"frame {info.token} of {self.root}",
                )  # fmt: skip

        def one(name: str) -> tuple[np.ndarray, np.ndarray]:
            camera = info.cameras[name]
            path = self._layout.finder(camera.path, (f"samples/{name}", name))
            return read_image(path, name, camera, self.size, draft=self.draft)

        read = list(_pool().map(one, self.cameras))  # decoding does not hold Python's lock
        images = [image for image, _ in read]
        if len({image.shape for image in images}) > 1:
            sizes = ", ".join(f"{name} {one.shape[:2]}" for name, one in zip(self.cameras, images, strict=True))
            raise InputError("images", got=sizes, expected="one size; give `size`", where=f"frame {info.token}")
        stacked = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
        lenses = np.stack([info.cameras[name].lens for name in self.cameras]).astype(np.float32)
        poses, ego2global = np.stack([info.cameras[name].cam2label for name in self.cameras]), info.ego2global
        if key_camera and self.format.frame == "ego":
            ego2global, to_key = info.key_ego(key_camera if key_camera in info.cameras else self.cameras[0])
            poses = to_key @ poses
        poses = poses.astype(np.float32)
        return OccFrame(
            info.token, info.scene, stacked, np.stack([matrix for _, matrix in read]).astype(np.float32), poses,
            self.labels(at) if labels else None, ego2global, info.lidar2ego, lenses if lenses.any() else None,
        )  # fmt: skip

    def need_labels(self) -> None:
        """InputError, which names the first missing file, if no frame has labels."""
        if not self.labelled:
            raise InputError(
                "labels", got=f"none for {len(self.infos)} frames", where=self.root,
                expected=f"labels of {self.format.name}" + self._layout.missing_example,
            )  # fmt: skip

    def has_labels(self, at: int) -> bool:
        """Whether the label file of frame `at` exists."""
        return self.labelled and self._layout.has_labels(self.infos[at])

    def with_labels(self) -> OccDataset:
        """The frames that have labels; its `left_out` counts the others.

        Raises: InputError, which names the first missing file, if no frame has labels.
        """
        self.need_labels()
        kept = [info for at, info in enumerate(self.infos) if self.has_labels(at)]
        if not kept:
            raise InputError(
                "labels", got=f"none for the {len(self.infos)} chosen frames", where=self.root,
                expected="a larger limit, or other frames",
            )  # fmt: skip
        found = copy(self)
        missing = len(self.infos) - len(kept)
        found.infos, found.left_out = kept, self.left_out + missing
        if missing:
            message = f"{missing} of {len(self.infos)} frames of {self.root} have no labels and are left out"
            warnings.warn(message, stacklevel=2)
        return found

    def labels(self, at: int) -> VoxelLabels:
        """Labels of frame `at`, without its images."""
        self.need_labels()
        info, name, find = self.infos[at], self.format.name, self._layout.finder
        path = find(info.label_path)
        invalid = find(info.invalid_path) if info.invalid_path else None
        if name in ("sim", "occ3d"):
            return read_occ3d(path, self.grid)
        if name == "openocc-v2":
            return read_openocc_v2(path)
        if name == "surroundocc":
            return read_surroundocc(path)
        return read_openocc_v1(path, invalid) if name == "openocc-v1" else read_semantickitti(path, invalid)

    def points(self, at: int) -> tuple[np.ndarray, np.ndarray] | None:
        """LiDAR points (P, 3) in the frame of the labels and their (P,) classes, 255 unknown; None without lidarseg."""
        info, find = self.infos[at], self._layout.finder
        path = find(info.lidarseg_path) if info.lidarseg_path else self.root / "lidarseg" / Path(info.lidar_path).name
        if not path.is_file() or (points := self.sweep(at)) is None:
            return None
        return points, read_classes(path, len(points), self.format, nuscenes=bool(info.lidarseg_path))

    def sweep(self, at: int) -> np.ndarray | None:
        """LiDAR points (P, 3) of frame `at` in the frame of the labels; None without a file, or without its pose."""
        info = self.infos[at]
        path = self._layout.finder(info.lidar_path, ("samples/LIDAR_TOP",)) if info.lidar_path else None
        pose = self.lidar_pose(info) if self.format.frame == "ego" else np.eye(4)
        if path is None or pose is None or not path.is_file():
            return None
        return read_points(path, 4 if self.format.name == "semantickitti" else 5) @ pose[:3, :3].T + pose[:3, 3]

    def lidar_origin(self, at: int) -> np.ndarray | None:
        """(3,) position of the LiDAR of frame `at` in the frame of the labels; None where it is not known."""
        if self.format.frame == "lidar":
            return np.zeros(3)
        pose = self.lidar_pose(self.infos[at])
        return None if pose is None else pose[:3, 3]

    def previous(self, at: int, count: int) -> list[int]:
        """The up to `count` frames before frame `at` in its scene, in order."""
        here = self.infos[at]
        if here.ego2global is None or count < 1:
            return []
        return [one for one in range(max(0, at - count), at) if self.infos[one].scene == here.scene]

    def lidar_pose(self, info: FrameInfo) -> np.ndarray | None:
        """(4, 4) lidar2ego: the frame's own, or from info pickles or nuScenes tables below the root; None if none."""
        if info.lidar2ego is not None:
            return info.lidar2ego
        if self._lidar_poses is None:
            self._lidar_poses = {}
            for path in self._layout.pickles:
                poses = {one.token: one.lidar2ego for one in read_infos(path, self.format.name)}
                self._lidar_poses |= {key: pose for key, pose in poses.items() if pose is not None}
            for table in self._layout.tables if not self._layout.pickles else ():
                self._lidar_poses |= lidar_poses(table)
        return self._lidar_poses.get(info.token)

    def lidar_origins(self, at: int) -> np.ndarray:
        """(n, 3) LiDAR positions of all frames of the scene in the label frame of frame `at`, for RayIoU.

        SemanticKITTI's grid begins at the sensor: rays are cast from the frame's own position only.

        Raises: InputError if they are unknown, or if a sensor would be on the road (an identity `lidar2ego`): rays that
            start in the road end at once, and predictions that are metres off would score like exact ones.
        """
        if self.format.name == "semantickitti":
            return np.zeros((1, 3))
        here, poses, back = self.infos[at], [], np.eye(4)
        for one in (other for other in self._everything if other.scene == here.scene):
            pose = self.lidar_pose(one)
            if pose is None or one.ego2global is None:
                raise InputError(
                    "LiDAR poses", got=f"none for frame {one.token}", where=self.root,
                    expected="nuScenes tables (v1.0-*/), an info pickle or poses.txt below the root for RayIoU",
                )  # fmt: skip
            if self.format.frame == "ego" and pose[2, 3] < _LOWEST_SENSOR:
                raise InputError(
                    "LiDAR pose", got=f"{pose[2, 3]:.2f} m above the road", where=f"frame {one.token} of {self.root}",
                    expected=f"a sensor {_LOWEST_SENSOR} m or more above the ground of the ego frame",
                    hint="lidar2ego may be an identity: give the pose of the LiDAR on the vehicle",
                )  # fmt: skip
            poses.append(one.ego2global @ pose)
            if one is here:
                back = np.linalg.inv(one.ego2global if self.format.frame == "ego" else poses[-1])
        return np.stack([(back @ one)[:3, 3] for one in poses]).round(6) + 0.0  # a micrometre: 0 is 0, not -1e-15


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_count(), "fastocc-images")


def default_simulation(
    train: int, val: int, *, frames: int = 4, grid: str = "mini", size: tuple[int, int] = (96, 256), seed: int = 0,
    moving: bool = False,
) -> Path:  # fmt: skip
    """The folder of a simulated data set in the cache, made on first use (about three frames a second)."""
    import time

    from ninefold.datasets import cache_path
    from ninefold.distributed import first

    from fastocc.geometry import CameraRig
    from fastocc.sim import SimConfig, simulate

    config = SimConfig(train, val, frames, grid, size[0], size[1], seed, moving)
    name = f"sim-{grid}-{size[0]}x{size[1]}-{train}+{val}x{frames}-seed{seed}{'-moving' if moving else ''}"
    folder = cache_path("fastocc") / name
    while not first() and ((folder / "parts").exists() or not (folder / "annotations.json").exists()):
        time.sleep(0.5)  # torchrun's first process writes it
    return simulate(folder, config, CameraRig.nominal(*size))
