"""Heads on cached bird's-eye views: one frozen encoder, the same crops, flips and number of steps for every head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from fastocc.baselines import Prior
from fastocc.datasets import OccDataset
from fastocc.heads import OccHead, occupancy_loss
from fastocc.lifting import offset_parameters
from fastocc.models import FastOccModel
from fastocc.training._recipe import OFFSET_RATE, TrainConfig, learning_rate
from fastocc.views import CameraInputs


@dataclass(frozen=True)
class BevBank:
    """Frames as a frozen encoder sees them.

    Attributes:
        bev: (n, C, Y, X) float16. labels: (n, X, Y, Z) uint8. masks: (n, X, Y, Z) bool.
        origins: LiDAR positions of each frame's scene, for RayIoU.
    """

    bev: Tensor
    labels: Tensor
    masks: Tensor
    origins: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.bev)


@torch.no_grad()
def cache_bev(model: FastOccModel, dataset: OccDataset, advance: Callable[[], object] = lambda: None) -> BevBank:
    """Run the encoder over a data set; the model is used in evaluation mode and left in it."""
    model.eval()
    bevs, labels, masks, origins = [], [], [], []
    for at in range(len(dataset)):
        frame = dataset[at]
        cameras = CameraInputs(
            torch.from_numpy(frame.cam2img)[None], torch.from_numpy(frame.cam2ego)[None], model.config.image_size,
            lens=None if frame.lens is None else torch.from_numpy(frame.lens)[None],
        )  # fmt: skip
        bevs.append(model.encoder(model.encode(torch.from_numpy(frame.images)[None], cameras)[1])[0].half())
        labels.append(torch.from_numpy(frame.truth.semantics))
        seen = frame.truth.mask_camera
        masks.append(torch.from_numpy(np.ones(frame.truth.semantics.shape, bool) if seen is None else seen))
        origins.append(dataset.lidar_origins(at))
        advance()
    return BevBank(torch.stack(bevs), torch.stack(labels), torch.stack(masks), origins)


def train_head(
    head: OccHead,
    bank: BevBank,
    free: int,
    *,
    steps: int,
    seed: int,
    crop: int = 40,
    batch: int = 4,
    rate: float = 3e-3,
    weights: Tensor | None = None,
    advance: Callable[[], object] = lambda: None,
) -> OccHead:
    """Train a head on random crops of cached BEVs, deformable offsets at a tenth of the rate.

    Args:
        head: changed in place. bank: training frames. free: label of empty space.
        weights: (K,) class weights.
        steps, seed, crop, batch, rate: crops depend on the seed alone, so all heads see the same ones.
    Returns: the head, in evaluation mode.
    """
    height, width = bank.bev.shape[-2:]
    if crop > min(height, width):
        raise InputError("crop", got=crop, expected=f"at most {min(height, width)} cells")
    recipe = TrainConfig(steps=steps, rate=rate, warmup=min(50, steps // 4 or 1))
    slow = offset_parameters(head)
    apart = {id(one) for one in slow}
    groups = [{"params": [one for one in head.parameters() if id(one) not in apart], "share": 1.0}]
    groups += [{"params": slow, "share": OFFSET_RATE}] if slow else []
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01)
    head.train()
    for step in range(steps):
        rng = np.random.default_rng([seed, step, 23])
        bev, labels, masks = _crops(bank, rng, crop, batch)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"] * learning_rate(recipe, step)
        value = occupancy_loss(head(bev), labels, free, mask=masks, weights=weights)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimizer.step()
        advance()
    return head.eval()


def _crops(bank: BevBank, rng: np.random.Generator, crop: int, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    height, width = bank.bev.shape[-2:]
    bevs, labels, masks = [], [], []
    for index in rng.integers(0, len(bank), batch):
        y, x = int(rng.integers(0, height - crop + 1)), int(rng.integers(0, width - crop + 1))
        flip_x, flip_y = rng.random(2) < 0.5
        bev = bank.bev[index, :, y : y + crop, x : x + crop].float()
        window = (slice(x, x + crop), slice(y, y + crop))
        label, mask = bank.labels[index][window], bank.masks[index][window]
        turned = [axis for axis, flip in ((0, flip_x), (1, flip_y)) if flip]
        bevs.append(bev.flip([2 - axis for axis in turned]))  # (C, Y, X): x is axis 2, y is axis 1
        labels.append(label.flip(turned))
        masks.append(mask.flip(turned))
    return torch.stack(bevs), torch.stack(labels), torch.stack(masks)


def fit_prior(prior: Prior, labels: Tensor, masks: Tensor) -> Prior:
    """Count the labels (n, X, Y, Z) of all frames where the masks mark them."""
    for label, mask in zip(labels, masks, strict=True):
        prior.observe(label, mask)
    return prior.eval()
