"""Heads on one frozen encoder, scored and timed on simulated streets that are drawn as they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from fastocc.datasets import FORMATS
from fastocc.evaluation._miou import MIoU
from fastocc.evaluation._rayiou import RayIoU, select_origins
from fastocc.evaluation._speed import median_seconds
from fastocc.geometry import CameraRig
from fastocc.heads import OccHead, decode
from fastocc.lifting import faster_backend
from fastocc.models import FastOccModel
from fastocc.sim import Frame, Scene
from fastocc.views import CameraInputs


@dataclass
class StreetScores:
    """One head's scores.

    Attributes:
        miou, ray: over all frames. streets: mIoU of each street, in percent.
        first: (X, Y, Z) uint8 labels of the first frame. seconds: of the head alone, for the first frame.
    """

    miou: MIoU
    ray: RayIoU
    first: np.ndarray = field(default_factory=lambda: np.zeros(0))
    seconds: float = 0.0
    streets: list[float] = field(default_factory=list)

    def row(self) -> list[float]:
        """mIoU, geometric IoU and RayIoU, in percent."""
        whole = self.miou.compute()
        return [100 * whole.miou, 100 * whole.geometric, 100 * self.ray.compute().rayiou]


@dataclass
class Streets:
    """What `score_on_streets` found.

    Attributes:
        heads: scores by name. frame: the first frame. images: (cameras, 3, H, W) uint8 of it. rig: the cameras.
        seconds: of the encoder, for one frame.
    """

    heads: dict[str, StreetScores]
    frame: Frame
    images: np.ndarray
    rig: CameraRig
    seconds: float


@torch.no_grad()
def score_on_streets(
    model: FastOccModel, heads: Mapping[str, OccHead], *, scenes: int, frames: int, first: int
) -> Streets:
    """Score heads on validation scenes of the simulator, six nominal cameras, batch 1, camera mask.

    Args:
        model: whose encoder all heads sit on, in evaluation mode. heads: by name, each for the encoder's features.
        scenes: number of streets. frames: of each street. first: random seed of the first street.
    """
    labels, config, grid = FORMATS["sim"], model.config, model.config.spec
    rig = CameraRig.nominal(*config.image_size)
    made = {name: StreetScores(MIoU(labels.classes, labels.free), RayIoU(grid, labels.classes, labels.free))
            for name in heads}  # fmt: skip
    cameras = CameraInputs(torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None], config.image_size)
    origins = select_origins(rig.lidar.lidar2ego[None, :3, 3], grid)
    found: Streets | None = None
    for number in range(scenes):
        scene = Scene(first + number, validation=True, frames=frames)
        alone = {name: MIoU(labels.classes, labels.free) for name in heads}
        for at in range(frames):
            frame = scene.frame(at, rig, grid)
            images = np.stack([picture.rgb.transpose(2, 0, 1) for picture in frame.pictures])
            inputs = torch.from_numpy(images)[None]
            bev = model.encoder(model.encode(inputs, cameras)[1])
            is_first = found is None
            if found is None:
                faster_backend(model.head, bev)
                taken = median_seconds(lambda inputs=inputs: model.encoder(model.encode(inputs, cameras)[1]), 3)
                found = Streets(made, frame, images, rig, taken)
            for name, head in heads.items():
                predicted, one = decode(head(bev), "softmax", labels.free)[0].numpy(), made[name]
                for metric in (one.miou, alone[name]):
                    metric.add(predicted, frame.semantics, frame.mask_camera)
                one.ray.add(predicted, frame.semantics, origins)
                if is_first:
                    one.first, one.seconds = predicted, median_seconds(lambda head=head, bev=bev: head(bev), 3)
        for name, metric in alone.items():
            made[name].streets.append(100 * metric.compute().miou)
    assert found is not None, "at least one scene of one frame"
    return found
