"""One way to evaluate everything: whole models on data sets, heads on cached bird's-eye views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from ninefold.errors import InputError

from fastocc.datasets import OccDataset, VoxelLabels
from fastocc.evaluation._miou import MIoU, MIoUScore
from fastocc.evaluation._rayiou import RayIoU, RayScore, occupied_origins, select_origins
from fastocc.heads import OccHead, decode
from fastocc.models import FastOccModel
from fastocc.training import BevBank

MASKS = ("camera", "lidar", "none")


@dataclass(frozen=True)
class Evaluation:
    """Scores over a data set.

    Attributes:
        miou: under the mask. ray: RayIoU, None if it was not asked for. frames: number of frames. mask: which mask.
        per_frame: mIoU of each frame by itself, for intervals; NaN where a frame has no class.
    """

    miou: MIoUScore
    ray: RayScore | None
    frames: int
    mask: str
    per_frame: np.ndarray


def mask_of(labels: VoxelLabels, mask: str) -> np.ndarray | None:
    """The mask of a frame by name; None where all voxels count."""
    if mask not in MASKS:
        raise InputError("mask", got=repr(mask), expected=f"one of {', '.join(MASKS)}")
    return {"camera": labels.mask_camera, "lidar": labels.mask_lidar, "none": None}[mask]


@torch.no_grad()
def predict_frame(
    model: FastOccModel, dataset: OccDataset, at: int, change: Callable[[dict], dict] | None = None
) -> np.ndarray:
    """(X, Y, Z) uint8 labels of one frame; `change` may alter the model's arguments first (controls do)."""
    device, queue, last = next(model.parameters()).device, [], None
    for index in [*dataset.previous(at, model.config.frames - 1), at]:
        frame = dataset.frame(index, key_camera=model.config.key_camera)
        inputs = {
            "images": torch.from_numpy(frame.images)[None],
            "cam2img": torch.from_numpy(frame.cam2img)[None],
            "cam2ego": torch.from_numpy(frame.cam2ego)[None],
        }
        if frame.lens is not None:
            inputs["lens"] = torch.from_numpy(frame.lens)[None]
        inputs = change(inputs) if change else inputs
        if last is not None and frame.ego2global is not None:
            inputs["motion"] = torch.from_numpy(np.linalg.inv(last) @ frame.ego2global).float()[None]
        last = frame.ego2global
        queue.append({key: value.to(device) for key, value in inputs.items()})
    return model.run_queue(queue).semantics[0].cpu().numpy()


def evaluate(
    model: FastOccModel,
    dataset: OccDataset,
    *,
    mask: str = "camera",
    rayiou: bool = False,
    change: Callable[[dict], dict] | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Score a model on a data set.

    Args:
        dataset: frames without labels are left out; `OccDataset.with_labels` counts them.
        mask: camera, lidar or none. rayiou: also cast rays from the scene's LiDAR positions.
        change: alters the model's arguments, for controls (zeroed images, wrong extrinsics).
    """
    dataset = dataset.with_labels()
    if rayiou:
        dataset.lidar_origins(0)  # refuses before the work if LiDAR poses are unknown or impossible
    model.eval()

    def frames() -> Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None, int]]:
        for at in range(len(dataset)):
            labels = dataset.labels(at)
            if rayiou:
                _check_sensor(dataset, at, labels.semantics)
            yield predict_frame(model, dataset, at, change), labels.semantics, mask_of(labels, mask), at

    return _score(frames(), dataset, mask, rayiou, dataset.lidar_origins, advance)


def _check_sensor(dataset: OccDataset, at: int, semantics: np.ndarray) -> None:
    """InputError if the frame's own LiDAR lies in a voxel that its labels call occupied: the pose cannot be right."""
    own = dataset.lidar_origin(at)
    if own is not None and occupied_origins(own[None], semantics, dataset.grid, dataset.format.free)[0]:
        raise InputError(
            "LiDAR pose", got=f"{own.round(2).tolist()} m, inside an occupied voxel",
            expected="a position in free space", where=f"frame {dataset.infos[at].token}",
            hint="check lidar2ego: rays for RayIoU start there",
        )  # fmt: skip


@torch.no_grad()
def evaluate_head(
    head: OccHead,
    bank: BevBank,
    dataset: OccDataset,
    *,
    rayiou: bool = True,
    advance: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Score a head on cached BEVs under the camera mask; `dataset` gives classes and grid."""
    head.eval()
    free = dataset.format.free

    def frames() -> Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None, int]]:
        for at in range(len(bank)):
            context = bank.context([at]) if head.needs_context else None
            labels = decode(head(bank.bev[at : at + 1].float(), context), "softmax", free)[0].numpy()
            yield labels, bank.labels[at].numpy(), bank.masks[at].numpy(), at

    return _score(frames(), dataset, "camera", rayiou, lambda at: bank.origins[at], advance)


def _score(
    frames: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None, int]],
    dataset: OccDataset,
    mask: str,
    rayiou: bool,
    origins: Callable[[int], np.ndarray],
    advance: Callable[[], object],
) -> Evaluation:
    classes, free = dataset.format.classes, dataset.format.free
    whole, ray, single = MIoU(classes, free), RayIoU(dataset.grid, classes, free), []
    for predicted, labels, seen, at in frames:
        whole.add(predicted, labels, seen)
        alone = MIoU(classes, free)
        alone.add(predicted, labels, seen)
        single.append(alone.compute().miou)
        if rayiou:
            ray.add(predicted, labels, select_origins(origins(at), dataset.grid))
        advance()
    return Evaluation(whole.compute(), ray.compute() if rayiou else None, len(single), mask, np.array(single))
