"""Batches as a function of (seed, step): no state, so a resumed run sees what the first one would have seen."""

from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor
from torch.nn import functional as F

from fastocc.datasets import (
    OccDataset,
    OccFrame,
    depth_from_points,
    segmentation_from_points,
    segmentation_from_voxels,
)
from fastocc.geometry import flip_volume
from fastocc.heads import RayQueries, sample_queries
from fastocc.training._recipe import TrainConfig
from fastocc.views import bev_augmentation, image_augmentation

_KEPT_BYTES = 1 << 30


@dataclass(frozen=True)
class Batch:
    """Inputs and targets.

    Attributes:
        images: (B, N, 3, H, W) float32, 0..255. cam2img, cam2ego: (B, N, 3, 3), (B, N, 4, 4).
        img_aug: (B, N, 3, 3) or None. bev_aug: (B, 4, 4).
        labels: (B, X, Y, Z) uint8, or None with `queries`. mask: (B, X, Y, Z) bool or None.
        seg: (B, N, h, w) uint8 or None.
        depth: (B, N, h, w) float32, metres, 0 unknown; or None. lens: (B, N, 13) or None.
        queries: (B, Q) points on LiDAR rays, instead of labels; or None.
        history: earlier frames, first one first, as arguments of the model with `motion` to the frame before.
    """

    images: Tensor
    cam2img: Tensor
    cam2ego: Tensor
    img_aug: Tensor | None
    bev_aug: Tensor
    labels: Tensor | None
    mask: Tensor | None
    seg: Tensor | None
    depth: Tensor | None = None
    lens: Tensor | None = None
    motion: Tensor | None = None
    queries: RayQueries | None = None
    history: tuple[dict[str, Tensor], ...] = ()

    def to(self, device: torch.device) -> Batch:
        """On another device."""
        moved: dict[str, Any] = {key: one.to(device) for key, one in vars(self).items() if isinstance(one, Tensor)}
        if self.queries is not None:
            moved["queries"] = RayQueries(*(one.to(device) for one in self.queries))
        moved["history"] = tuple({key: one.to(device) for key, one in frame.items()} for frame in self.history)
        return replace(self, **moved)


class BatchMaker:
    """Makes the batch of a step.

    Args:
        dataset: frames. config: seed and augmentation. stride: cells of segmentation labels, pixels; 0 makes none.
        depth_stride: the same of depth labels. queue: frames that the network looks back over, this one included.
        key_camera: see `OccDataset.frame`.
        rank, world: this process and their number; each takes its share of every batch.
    """

    def __init__(
        self,
        dataset: OccDataset,
        config: TrainConfig,
        stride: int,
        rank: int = 0,
        world: int = 1,
        *,
        depth_stride: int = 0,
        queue: int = 1,
        key_camera: str = "",
    ) -> None:
        if queue > 1 and config.batch != world:
            raise InputError("batch", got=config.batch, expected=f"{world}: one frame a process, with its queue")
        if config.supervision == "labels":
            dataset = dataset.with_labels()
        self.depth_stride, self.queue, self.key_camera = depth_stride, queue, key_camera
        if config.batch % world:
            raise InputError("batch", got=config.batch, expected=f"a multiple of the {world} processes")
        self.dataset, self.config, self.stride, self.rank, self.world = dataset, config, stride, rank, world
        self._frames: dict[int, OccFrame] = {}
        self._segs: dict[int, np.ndarray] = {}
        self._bytes = 0

    def indices(self, step: int) -> list[int]:
        """Frames of a step over all processes: each epoch is a new permutation."""
        count, batch = len(self.dataset), self.config.batch
        chosen = []
        for position in range(step * batch, (step + 1) * batch):
            order = np.random.default_rng([self.config.seed, position // count]).permutation(count)
            chosen.append(int(order[position % count]))
        return chosen

    def make(self, step: int) -> Batch:
        """This process's share of the batch of a step."""
        mine = self.indices(step)[self.rank :: self.world]
        rngs = [
            np.random.default_rng([self.config.seed, step, self.rank + self.world * at, 1]) for at in range(len(mine))
        ]
        parts = [self._one(index, rng) for index, rng in zip(mine, rngs, strict=True)]
        stacked = [
            None if any(one is None for one in column) else torch.stack(column)  # type: ignore[arg-type]
            for column in zip(*parts, strict=True)
        ]
        batch = Batch(*stacked)  # type: ignore[arg-type]
        if self.config.supervision == "lidar":
            found = [self._queries(*one) for one in zip(mine, rngs, batch.bev_aug, strict=True)]
            batch = replace(batch, queries=RayQueries(*(torch.stack(column) for column in zip(*found, strict=True))))
        earlier = self.dataset.previous(mine[0], self.queue - 1)
        return self._with_history(batch, [*earlier, mine[0]]) if earlier else batch

    def _with_history(self, batch: Batch, indices: list[int]) -> Batch:
        """Add the frames before the last of `indices`, mirrored as it is, and the motion between them."""
        poses = [torch.from_numpy(self._frame(index).ego2global) for index in indices]
        mirror, frames = batch.bev_aug[0].double(), []
        motions = [mirror @ torch.linalg.inv(one) @ two @ mirror for one, two in itertools.pairwise(poses)]
        for place, index in enumerate(indices[:-1]):
            frame = self._frame(index)
            arrays = {"images": frame.images.astype(np.float32), "cam2img": frame.cam2img, "cam2ego": frame.cam2ego}
            arrays |= {} if frame.lens is None else {"lens": frame.lens}
            given = {key: torch.from_numpy(one)[None] for key, one in arrays.items()} | {"bev_aug": batch.bev_aug}
            frames.append(given | ({"motion": motions[place - 1].float()[None]} if place else {}))
        return replace(batch, history=tuple(frames), motion=motions[-1].float()[None])

    def _frame(self, index: int) -> OccFrame:
        if index not in self._frames:
            frame = self.dataset.frame(index, labels=self.config.supervision == "labels", key_camera=self.key_camera)
            if self._bytes + frame.images.nbytes > _KEPT_BYTES:
                return frame
            self._frames[index] = frame
            self._bytes += frame.images.nbytes + (frame.labels.semantics.nbytes if frame.labels else 0)
        return self._frames[index]

    def _one(self, index: int, rng: np.random.Generator) -> tuple[Tensor | None, ...]:
        config, frame = self.config, self._frame(index)
        images = torch.from_numpy(frame.images.astype(np.float32))
        if config.photometric:
            gain = 1 + rng.uniform(-1, 1) * config.photometric
            images = ((images - 128) * gain + 128 * (1 + rng.uniform(-1, 1) * config.photometric)).clamp(0, 255)
        if rng.random() < config.grid_mask:
            images = _grid_mask(images, rng)
        img_aug = None
        if config.image_resize or config.image_rotate or config.image_flip:
            images, img_aug = _move_images(images, config, rng)
        flip_x, flip_y = (bool(rng.random() < config.flip) for _ in range(2))
        grid = self.dataset.grid
        if (flip_x and abs(grid.lower[0] + grid.upper[0]) > 1e-6) or (
            flip_y and abs(grid.lower[1] + grid.upper[1]) > 1e-6
        ):
            flip_x, flip_y = False, flip_y and abs(grid.lower[1] + grid.upper[1]) < 1e-6
        with_labels = self.config.supervision == "labels"
        labels = torch.from_numpy(flip_volume(frame.truth.semantics, flip_x, flip_y)) if with_labels else None
        mask = frame.truth.mask_camera if with_labels else None
        return (
            images, torch.from_numpy(frame.cam2img), torch.from_numpy(frame.cam2ego), img_aug,
            bev_augmentation(flip_x, flip_y), labels,
            None if mask is None else torch.from_numpy(flip_volume(mask, flip_x, flip_y)),
            self._segmentation(index, frame, img_aug) if self.stride else None,
            self._depth(index, frame, img_aug) if self.depth_stride else None,
            None if frame.lens is None else torch.from_numpy(frame.lens),
        )  # fmt: skip

    def _queries(self, index: int, rng: np.random.Generator, bev_aug: Tensor) -> RayQueries:
        """Points on the rays of a frame's sweep, mirrored as the frame is."""
        points, origin = self.dataset.sweep(index), self.dataset.lidar_origin(index)
        if points is None or origin is None:
            raise InputError(
                "supervision", got=f"no LiDAR file, or no pose of it, for frame {self.dataset.infos[index].token}",
                expected=f"LiDAR sweeps below {self.dataset.root}",
            )  # fmt: skip
        labelled = self.dataset.points(index)
        classes = None if labelled is None else labelled[1]
        found = sample_queries(points, origin, self.dataset.grid, rng, classes=classes, free=self.config.free_points)
        return found._replace(points=found.points @ bev_aug[:3, :3].T + bev_aug[:3, 3])

    def _depth(self, index: int, frame: OccFrame, img_aug: Tensor | None) -> Tensor:
        points = self.dataset.sweep(index)
        if points is None:
            raise InputError("depth", expected=f"LiDAR files below {self.dataset.root} (depth is learned from points)")
        cam2img = frame.cam2img if img_aug is None else img_aug.numpy() @ frame.cam2img
        size = (frame.images.shape[2], frame.images.shape[3])
        return torch.from_numpy(depth_from_points(points, cam2img, frame.cam2ego, size, self.depth_stride, frame.lens))

    def _segmentation(self, index: int, frame: OccFrame, img_aug: Tensor | None) -> Tensor:
        if img_aug is None and index in self._segs:
            return torch.from_numpy(self._segs[index])
        cam2img = frame.cam2img if img_aug is None else img_aug.numpy() @ frame.cam2img
        size = (frame.images.shape[2], frame.images.shape[3])
        source = self.config.seg_source
        points = self.dataset.points(index) if source != "voxels" else None
        if self.config.supervision == "lidar":
            source = "points"
        if points is not None:
            made = segmentation_from_points(*points, cam2img, frame.cam2ego, size, self.stride, frame.lens)
        elif source == "points":
            raise InputError("seg_source", got="points", expected=f"lidarseg files below {self.dataset.root}")
        else:
            free = self.dataset.format.free
            made = segmentation_from_voxels(
                frame.truth.semantics, self.dataset.grid, cam2img, frame.cam2ego, size, self.stride, free, frame.lens
            )
        if img_aug is None:
            self._segs[index] = made
        return torch.from_numpy(made)


class Prefetch:
    """Batches of a maker, the next ones made by threads meanwhile: reading and augmenting mostly leave Python's lock.

    Args:
        maker: whose batches depend on the step alone, so that threads change no number. steps: of the run.
        workers: threads; 0 makes each batch when it is asked for.
    """

    def __init__(self, maker: BatchMaker, steps: int, workers: int = 0) -> None:
        if workers < 0:
            raise InputError("workers", got=workers, expected="at least 0")
        self.maker, self.steps, self.workers = maker, steps, workers
        self._pool = ThreadPoolExecutor(workers, "fastocc-batches") if workers else None
        self._coming: dict[int, Future[Batch]] = {}

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        if self._pool is None:
            return self.maker.make(step)
        for coming in range(step, min(step + self.workers + 1, self.steps)):
            if coming not in self._coming:
                self._coming[coming] = self._pool.submit(self.maker.make, coming)
        return self._coming.pop(step).result()


def _grid_mask(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Blank squares on a grid, as BEVFormer's GridMask does."""
    height, width = images.shape[-2:]
    period = int(rng.integers(max(height // 8, 2), max(height // 2, 3)))
    shift = rng.integers(0, period, 2)
    rows = (torch.arange(height) + int(shift[0])) % period < period // 2
    columns = (torch.arange(width) + int(shift[1])) % period < period // 2
    return images * ~(rows[:, None] & columns)


def _move_images(images: Tensor, config: TrainConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Resize, rotate and flip each camera's image; returns images and (N, 3, 3) matrices."""
    height, width = images.shape[-2:]
    matrices = []
    for _ in range(len(images)):
        scale = 1 + rng.uniform(-1, 1) * config.image_resize
        room = ((scale - 1) * width / 2, (scale - 1) * height / 2)
        turn = float(rng.uniform(-1, 1) * config.image_rotate)
        flip = bool(rng.random() < config.image_flip)
        matrices.append(image_augmentation(scale, room, flip, turn, (height, width)))
    forward = torch.stack(matrices)
    back = torch.linalg.inv(forward)
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    source = torch.stack([u, v, torch.ones_like(u)], -1) @ back[:, None].transpose(-1, -2)
    place = source[..., :2] * 2 / torch.tensor([width, height]) - 1
    return F.grid_sample(images, place, align_corners=False), forward
