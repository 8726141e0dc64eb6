"""`OccDataset`: frames of any label format, ready for the network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets._formats import LabelFormat
from fastocc.datasets._infos import FrameInfo, read_annotations, read_infos, read_kitti
from fastocc.datasets._labels import (
    VoxelLabels,
    read_occ3d,
    read_openocc_v1,
    read_openocc_v2,
    read_semantickitti,
    read_surroundocc,
)
from fastocc.geometry import GridSpec


@dataclass(frozen=True)
class OccFrame:
    """One frame.

    Attributes:
        token, scene: names. images: (N, 3, H, W) uint8.
        cam2img: (N, 3, 3) float32, for these images. cam2ego: (N, 4, 4) float32, into the frame of the labels.
        labels: voxel labels and masks.
        ego2global, lidar2ego: (4, 4) float64.
    """

    token: str
    scene: str
    images: np.ndarray
    cam2img: np.ndarray
    cam2ego: np.ndarray
    labels: VoxelLabels
    ego2global: np.ndarray = field(default_factory=lambda: np.eye(4))
    lidar2ego: np.ndarray = field(default_factory=lambda: np.eye(4))


class OccDataset(Sequence[OccFrame]):
    """Frames below a folder.

    Args:
        root: folder of the data set. format: one of `FORMATS`. split: "train" or "val".
        infos: mmdet3d info pickle, for openocc-v1, openocc-v2 and surroundocc.
        size: (height, width) of the images, scaled to that width and cut at the top. Default: as they are.
        cameras: names of the cameras in order; default all, in the order of the first frame.
        limit: number of frames to keep, evenly chosen; 0 keeps all.
    Raises: InputError or ArtifactError that names file, camera and field.
    """

    def __init__(
        self, root: str | Path, format: str = "sim", split: str = "val", *, infos: str | Path | None = None,  # noqa: A002
        size: tuple[int, int] | None = None, cameras: Sequence[str] | None = None, limit: int = 0,
    ) -> None:  # fmt: skip
        self.root, self.format, self.size = Path(root), LabelFormat.named(format), size
        if not self.root.is_dir():
            raise InputError("root", got=self.root, expected="the folder of a data set")
        if split not in ("train", "val"):
            raise InputError("split", got=repr(split), expected="train or val")
        self.grid = self._grid()
        if format in ("sim", "occ3d"):
            self.infos = read_annotations(self.root, split)
        elif format == "semantickitti":
            self.infos = read_kitti(self.root, split)
        elif infos is None:
            raise InputError("infos", expected=f"the mmdet3d info pickle of {format}")
        else:
            self.infos = read_infos(infos, format)
        if not self.infos:
            raise InputError("frames", got="none", expected=f"at least one in split {split}", where=self.root)
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
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(known, f"is damaged ({error})") from None

    def __len__(self) -> int:
        return len(self.infos)

    def __getitem__(self, at: int) -> OccFrame:  # type: ignore[override]
        info = self.infos[at]
        images, intrinsics, poses = [], [], []
        for name in self.cameras:
            if name not in info.cameras:
                raise InputError(
                    f"camera {name}",
                    got="missing",
                    expected=", ".join(info.cameras),
                    where=f"frame {info.token} of {self.root}",
                )
            camera = info.cameras[name]
            image, intrinsic = self._image(self.root / camera.path, name, camera.intrinsic)
            images.append(image)
            intrinsics.append(intrinsic)
            poses.append(camera.cam2label)
        if len({image.shape for image in images}) > 1:
            sizes = ", ".join(f"{name} {one.shape[:2]}" for name, one in zip(self.cameras, images, strict=True))
            raise InputError("images", got=sizes, expected="one size; give `size`", where=f"frame {info.token}")
        stacked = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
        return OccFrame(
            info.token, info.scene, stacked, np.stack(intrinsics).astype(np.float32),
            np.stack(poses).astype(np.float32), self.labels(at), info.ego2global, info.lidar2ego,
        )  # fmt: skip

    def _image(self, path: Path, name: str, intrinsic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from PIL import Image, UnidentifiedImageError

        if not path.exists():
            raise ArtifactError(path, f"is not there (camera {name})")
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise ArtifactError(path, f"is truncated, or no image (camera {name}: {error})") from None
        if self.size is None or (image.height, image.width) == self.size:
            return np.asarray(image), intrinsic
        height, width = self.size
        scale = width / image.width
        cut = round(image.height * scale) - height
        if cut < 0:
            raise InputError("size", got=self.size, expected=f"at most {round(image.height * scale)} rows", where=path)
        scaled = image.resize((width, round(image.height * scale)), Image.Resampling.BILINEAR)
        crop = np.array([[scale, 0, 0], [0, scale, -cut], [0, 0, 1.0]])
        return np.asarray(scaled)[cut:], crop @ intrinsic

    def labels(self, at: int) -> VoxelLabels:
        """Labels of frame `at` alone, without its images."""
        info, name = self.infos[at], self.format.name
        if name in ("sim", "occ3d"):
            return read_occ3d(self.root / info.label_path, self.grid)
        if name == "openocc-v2":
            path = info.label_path or f"openocc_v2/{info.scene}/{info.token}/labels.npz"
            return read_openocc_v2(self.root / path)
        if name == "openocc-v1":
            if not info.label_path:
                raise InputError("occ_gt_final_path", expected="in the infos", where=f"frame {info.token}")
            return read_openocc_v1(
                self.root / info.label_path, self.root / info.invalid_path if info.invalid_path else None
            )
        if name == "surroundocc":
            path = info.label_path or f"nuscenes_occ/samples/{Path(info.lidar_path).name}.npy"
            return read_surroundocc(self.root / path)
        return read_semantickitti(
            self.root / info.label_path, self.root / info.invalid_path if info.invalid_path else None
        )

    def points(self, at: int) -> tuple[np.ndarray, np.ndarray] | None:
        """LiDAR points (P, 3) in the frame of the labels and their (P,) classes; None without a lidarseg."""
        points = self.sweep(at)
        marks = self.root / "lidarseg" / Path(self.infos[at].lidar_path).name
        if points is None or not marks.is_file():
            return None
        labels = np.fromfile(marks, np.uint8)
        if len(points) != labels.size:
            raise ArtifactError(marks, f"has {labels.size} labels for {len(points)} points")
        return points, labels

    def sweep(self, at: int) -> np.ndarray | None:
        """LiDAR points (P, 3) of frame `at` in the frame of the labels, from float32 x 5; None without a file."""
        info = self.infos[at]
        path = self.root / info.lidar_path
        if not info.lidar_path or not path.is_file():
            return None
        table = np.fromfile(path, np.float32)
        if table.size % 5:
            raise ArtifactError(path, f"has {table.size} numbers, not five a point: truncated, or of another format")
        pose = info.lidar2ego if self.format.frame == "ego" else np.eye(4)
        return table.reshape(-1, 5)[:, :3] @ pose[:3, :3].T + pose[:3, 3]

    def previous(self, at: int, count: int) -> list[int]:
        """The up to `count` frames before frame `at` in its scene, in order."""
        scene = self.infos[at].scene
        return [one for one in range(max(0, at - count), at) if self.infos[one].scene == scene]

    def lidar_origins(self, at: int) -> np.ndarray:
        """(n, 3) LiDAR positions of all frames of the scene in the label frame of frame `at`, for RayIoU."""
        here = self.infos[at]
        back = np.linalg.inv(here.ego2global)
        if self.format.frame == "lidar":
            back = np.linalg.inv(here.lidar2ego) @ back
        same: list[FrameInfo] = [one for one in self.infos if one.scene == here.scene]
        return np.stack([(back @ one.ego2global @ one.lidar2ego)[:3, 3] for one in same])


def default_simulation(
    train: int, val: int, *, frames: int = 4, grid: str = "mini", size: tuple[int, int] = (96, 256), seed: int = 0
) -> Path:
    """The folder of a simulated data set in the cache, made on first use (about three frames a second)."""
    from ninefold.datasets import cache_path

    from fastocc.geometry import CameraRig
    from fastocc.sim import SimConfig, simulate

    config = SimConfig(train, val, frames, grid, size[0], size[1], seed)
    name = f"sim-{grid}-{size[0]}x{size[1]}-{train}+{val}x{frames}-seed{seed}"
    return simulate(cache_path("fastocc") / name, config, CameraRig.nominal(*size))
