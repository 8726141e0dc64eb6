"""How to train, as plain values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ninefold.errors import InputError

SEG_SOURCES = ("auto", "points", "voxels")
SUPERVISION = ("labels", "lidar")

OFFSET_RATE = 0.1  # share of the rate for the weights that deformable offsets come from


@dataclass(frozen=True)
class TrainConfig:
    """One run.

    Attributes:
        steps, batch, seed: number of steps, frames a step over all processes, random seed.
        rate, decay, clip: AdamW's learning rate and weight decay, largest gradient norm.
        backbone_rate: factor of the rate for the image backbone. warmup: steps from a third of the rate.
        ema: decay of the moving average of the weights; 0 keeps none.
        flip: probability of each bird's-eye flip. photometric: half width of random brightness and contrast.
        image_resize, image_rotate, image_flip: half width, degrees and probability of image augmentation.
        grid_mask: probability of blanking a grid of squares.
        seg_source: where labels of the segmentation branch come from.
        supervision: "labels", voxel labels; or "lidar", points on LiDAR rays, with no voxel labels at all.
        free_points: points of each ray before its return that are free (lidar alone).
        bf16: compute in bfloat16 where that is safe (autocast); weights and losses stay float32.
        every: steps between checkpoints. limit: frames of the training split to use; 0 is all.
    """

    steps: int = 1000
    batch: int = 1
    seed: int = 0
    rate: float = 2e-3
    decay: float = 0.01
    clip: float = 5.0
    backbone_rate: float = 1.0
    warmup: int = 50
    ema: float = 0.0
    flip: float = 0.5
    photometric: float = 0.2
    image_resize: float = 0.0
    image_rotate: float = 0.0
    image_flip: float = 0.0
    grid_mask: float = 0.0
    seg_source: str = "auto"
    supervision: str = "labels"
    free_points: int = 2
    bf16: bool = False
    every: int = 50
    limit: int = 0

    def __post_init__(self) -> None:
        wrong = [
            f"{key} {getattr(self, key)} (at least 1)" for key in ("steps", "batch", "every") if getattr(self, key) < 1
        ]
        shares = ("flip", "image_flip", "grid_mask", "ema")
        wrong += [f"{key} {getattr(self, key)} (a share in 0..1)" for key in shares if not 0 <= getattr(self, key) <= 1]
        if not self.rate > 0 or not self.clip > 0:
            wrong.append(f"rate {self.rate}, clip {self.clip} (above 0)")
        if self.seg_source not in SEG_SOURCES:
            wrong.append(f"seg_source {self.seg_source!r} (one of {', '.join(SEG_SOURCES)})")
        if self.supervision not in SUPERVISION:
            wrong.append(f"supervision {self.supervision!r} (one of {', '.join(SUPERVISION)})")
        if self.free_points < 0:
            wrong.append(f"free_points {self.free_points} (at least 0)")
        if self.supervision == "lidar" and self.seg_source == "voxels":
            wrong.append("seg_source 'voxels' (there are no voxel labels with supervision 'lidar')")
        if wrong:
            raise InputError("training", got="; ".join(wrong))

    @classmethod
    def for_preset(cls, preset: str, **changes: Any) -> TrainConfig:
        """The recipe that goes with a model preset (OccNet's and FlashOcc's for the published scale)."""
        return cls(**{**_RECIPES.get(preset, {}), **changes})

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; what concerns LiDAR alone is left out where voxel labels are used, as in older runs."""
        values = dataclasses.asdict(self)
        for key in ("supervision", "free_points") if self.supervision == "labels" else ():
            del values[key]
        return values


_RECIPES: dict[str, Mapping[str, Any]] = {
    "mini": {"ema": 0.995},
    "micro": {"steps": 30, "every": 5, "warmup": 5},
    "occ3d-r50": {
        "steps": 84_000, "batch": 8, "rate": 1e-4, "decay": 1e-2, "clip": 5.0, "ema": 0.999, "image_resize": 0.08,
        "image_rotate": 5.4, "image_flip": 0.5, "every": 500,
    },
    "flashocc-r50": {
        "steps": 84_000, "batch": 8, "rate": 1e-4, "decay": 1e-2, "clip": 5.0, "ema": 0.999, "image_resize": 0.08,
        "image_rotate": 5.4, "image_flip": 0.5, "every": 500,
    },
    "bevdet-occ-r50": {
        "steps": 84_000, "batch": 8, "rate": 1e-4, "decay": 1e-2, "clip": 5.0, "ema": 0.999, "image_resize": 0.08,
        "image_rotate": 5.4, "image_flip": 0.5, "every": 500,
    },
    "openocc-r50": {  # batch 8 is one frame, with its queue, on each of eight processes
        "steps": 84_000, "batch": 8, "rate": 2e-4, "decay": 0.01, "clip": 35.0, "backbone_rate": 0.1, "warmup": 500,
        "flip": 0.0, "grid_mask": 0.7, "photometric": 0.3, "every": 500,
    },
}  # fmt: skip


def learning_rate(config: TrainConfig, step: int) -> float:
    """Factor of the rate at a step: a third rising to 1 in the warm-up, then a cosine down to 0.001."""
    if step < config.warmup:
        return 1 / 3 + 2 / 3 * step / config.warmup
    share = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return 1e-3 + (1 - 1e-3) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
