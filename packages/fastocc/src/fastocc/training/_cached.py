"""Heads on cached bird's-eye views: one frozen encoder, the same crops, flips and number of steps for every head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from fastocc.baselines import Prior
from fastocc.datasets import OccDataset, OccFrame
from fastocc.heads import HeadContext, OccHead, occupancy_loss
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
        looks: (n, N, C, h, w) float16 image features and the cameras of all frames, for heads that look at images: a
            view that keeps z is sampled from these, which are a twentieth of it. None if no head needs them.
    """

    bev: Tensor
    labels: Tensor
    masks: Tensor
    origins: list[np.ndarray]
    looks: HeadContext | None = None

    def __len__(self) -> int:
        return len(self.bev)

    def part(self, indices: Sequence[int]) -> BevBank:
        """Some of the frames."""
        return BevBank(
            self.bev[indices], self.labels[indices], self.masks[indices], [self.origins[at] for at in indices],
            None if self.looks is None else self._looks(self.looks, indices),
        )  # fmt: skip

    def context(self, indices: Sequence[int], bev_aug: Tensor | None = None) -> HeadContext | None:
        """What a head sees of some frames' images, after a change of the grid's frame (B, 4, 4); None if not kept."""
        if self.looks is None:
            return None
        found = self._looks(self.looks, indices)
        return found._replace(features=found.features.float(), bev_aug=bev_aug)

    @staticmethod
    def _looks(looks: HeadContext, indices: Sequence[int]) -> HeadContext:
        lens = None if looks.lens is None else looks.lens[indices]
        return looks._replace(
            features=looks.features[indices], cam2img=looks.cam2img[indices], cam2ego=looks.cam2ego[indices], lens=lens
        )


@torch.no_grad()
def cache_bev(model: FastOccModel, dataset: OccDataset, advance: Callable[[], object] = lambda: None) -> BevBank:
    """Run the encoder over a data set; the model is used in evaluation mode and left in it."""
    model.eval()
    bevs, labels, masks, origins = [], [], [], []
    for at in range(len(dataset)):
        frame = dataset.frame(at, labels=True, key_camera=model.config.key_camera)
        cameras = _cameras(model, frame)
        bevs.append(model.encoder(model.encode(torch.from_numpy(frame.images)[None], cameras)[1])[0].half())
        labels.append(torch.from_numpy(frame.truth.semantics))
        seen = frame.truth.mask_camera
        masks.append(torch.from_numpy(np.ones(frame.truth.semantics.shape, bool) if seen is None else seen))
        origins.append(dataset.lidar_origins(at))
        advance()
    return BevBank(torch.stack(bevs), torch.stack(labels), torch.stack(masks), origins)


def _cameras(model: FastOccModel, frame: OccFrame) -> CameraInputs:
    return CameraInputs(
        torch.from_numpy(frame.cam2img)[None], torch.from_numpy(frame.cam2ego)[None], model.config.image_size,
        lens=None if frame.lens is None else torch.from_numpy(frame.lens)[None],
    )  # fmt: skip


@torch.no_grad()
def cache_looks(model: FastOccModel, dataset: OccDataset) -> HeadContext:
    """Image features (n, N, C, h, w), float16, and cameras of a data set, for `BevBank.looks`."""
    model.eval()
    frames = [dataset.frame(at, key_camera=model.config.key_camera) for at in range(len(dataset))]
    features = torch.cat([model.images(torch.from_numpy(frame.images)[None]).half() for frame in frames])
    cameras = [_cameras(model, frame) for frame in frames]
    lenses = [one.lens for one in cameras if one.lens is not None]
    return HeadContext(
        features, torch.cat([one.cam2img for one in cameras]), torch.cat([one.cam2ego for one in cameras]),
        model.config.image_size, lens=torch.cat(lenses) if lenses else None,
    )  # fmt: skip


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

    A head that looks at images does so through the window of each crop; one whose voxels look along the whole grid is
    trained on whole frames, as many cells a step.

    Args:
        head: changed in place. bank: training frames. free: label of empty space.
        weights: (K,) class weights.
        steps, seed, crop, batch, rate: crops depend on the seed alone, so all heads see the same ones.
    Returns: the head, in evaluation mode.
    """
    height, width = bank.bev.shape[-2:]
    if crop > min(height, width):
        raise InputError("crop", got=crop, expected=f"at most {min(height, width)} cells")
    if head.needs_context and bank.looks is None:
        raise InputError("bank", got="no image features", expected=f"those that {head.name} looks at: cache_looks")
    if head.mixes_rows:
        batch, crop = max(1, batch * crop**2 // (height * width)), min(height, width)
    trained = _on_crops(head, crop) if head.needs_context else head
    recipe = TrainConfig(steps=steps, rate=rate, warmup=min(50, steps // 4 or 1))
    slow = offset_parameters(trained)
    apart = {id(one) for one in slow}
    groups = [{"params": [one for one in trained.parameters() if id(one) not in apart], "share": 1.0}]
    groups += [{"params": slow, "share": OFFSET_RATE}] if slow else []
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01)
    trained.train()
    for step in range(steps):
        rng = np.random.default_rng([seed, step, 23])
        bev, labels, masks, indices, places = _crops(bank, rng, crop, batch)
        context = bank.context(indices, _moved(head, crop, places)) if head.needs_context else None
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"] * learning_rate(recipe, step)
        value = occupancy_loss(trained(bev, context), labels, free, mask=masks, weights=weights)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 5.0)
        optimizer.step()
        advance()
    if trained is not head:
        head.load_state_dict(trained.state_dict())
    return head.eval()


def _on_crops(head: OccHead, crop: int) -> OccHead:
    """A copy of a head that looks at images, for a grid of `crop` x `crop` cells in the corner of its own."""
    grid = replace(head.grid, shape=(crop, crop, head.levels))
    more: dict[str, int] = {"channels": head.channels, "context_channels": head.context_channels}
    made = type(head)(head.in_channels, grid, head.num_classes, **more)
    made.load_state_dict(head.state_dict())
    return made


def _moved(head: OccHead, crop: int, places: list[tuple[tuple[int, bool], tuple[int, bool]]]) -> Tensor:
    """(B, 4, 4) from the vehicle's frame to that of the grid of each crop, mirrors included."""
    made = torch.eye(4).repeat(len(places), 1, 1)
    for matrix, place in zip(made, places, strict=True):
        for axis, (start, mirrored) in enumerate(place):
            lower, voxel = head.grid.lower[axis], head.grid.voxel[axis]
            matrix[axis, axis] = -1.0 if mirrored else 1.0
            matrix[axis, 3] = 2 * lower + (start + crop) * voxel if mirrored else -start * voxel
    return made


def _crops(
    bank: BevBank, rng: np.random.Generator, crop: int, batch: int
) -> tuple[Tensor, Tensor, Tensor, list[int], list[tuple[tuple[int, bool], tuple[int, bool]]]]:
    """BEVs, labels, masks; which frames; and of each crop where it begins and whether it is mirrored, along x and y."""
    height, width = bank.bev.shape[-2:]
    bevs, labels, masks, places = [], [], [], []
    indices = [int(one) for one in rng.integers(0, len(bank), batch)]
    for index in indices:
        y, x = int(rng.integers(0, height - crop + 1)), int(rng.integers(0, width - crop + 1))
        flip_x, flip_y = rng.random(2) < 0.5
        bev = bank.bev[index, :, y : y + crop, x : x + crop].float()
        window = (slice(x, x + crop), slice(y, y + crop))
        label, mask = bank.labels[index][window], bank.masks[index][window]
        turned = [axis for axis, flip in ((0, flip_x), (1, flip_y)) if flip]
        bevs.append(bev.flip([2 - axis for axis in turned]))  # (C, Y, X): x is axis 2, y is axis 1
        labels.append(label.flip(turned))
        masks.append(mask.flip(turned))
        places.append(((x, bool(flip_x)), (y, bool(flip_y))))
    return torch.stack(bevs), torch.stack(labels), torch.stack(masks), indices, places


def fit_prior(prior: Prior, labels: Tensor, masks: Tensor) -> Prior:
    """Count the labels (n, X, Y, Z) of all frames where the masks mark them."""
    for label, mask in zip(labels, masks, strict=True):
        prior.observe(label, mask)
    return prior.eval()
