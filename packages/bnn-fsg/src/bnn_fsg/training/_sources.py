"""Where the trainer's batches come from: `Images` in memory, or a DataLoader with transforms of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from ninefold.distributed import place
from ninefold.errors import InputError
from torch import Tensor
from torch.utils.data import DataLoader

from bnn_fsg.datasets import Images

Batch = tuple[Tensor, Tensor, float]  # inputs, labels, and how many more than the average process has of the batch
Source = Images | DataLoader[Any]


class FromImages:
    """Shuffled batches of images in memory, the same for every estimator."""

    def __init__(self, images: Images, batch: int, augment: bool) -> None:
        if len(images) < 2:
            raise InputError(images.name, got=f"{len(images)} image", expected="at least 2 to train on")
        self.images, self.batch, self.augment = images, batch, augment

    def __len__(self) -> int:
        return len(batches(np.arange(len(self.images)), self.batch, place()[1]))

    def epoch(self, draw: np.random.Generator, device: torch.device) -> Iterator[Batch]:
        """This process's part of each batch of an epoch."""
        rank, size = place()
        for rows in batches(draw.permutation(len(self.images)), self.batch, size):
            inputs = self.images.inputs(rows)
            if self.augment:
                inputs = crop_and_flip(inputs, draw)
            part = slice(rank, None, size)
            labels = torch.from_numpy(self.images.labels[rows[part]]).to(device)
            yield tensor(inputs[part], device), labels, len(labels) * size / len(rows)


class FromLoader:
    """What a DataLoader gives: (float32 inputs, int64 labels). More data than memory, and any transforms.

    Its order is drawn after `torch.manual_seed` of the epoch, so that a resumed run sees the same batches. Under
    torchrun it needs a DistributedSampler.
    """

    def __init__(self, loader: DataLoader[Any], batch: int, augment: bool) -> None:
        del batch  # the loader has its own
        if augment:
            raise InputError("augment", got=True, expected="transforms in the DataLoader's own data set")
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, draw: np.random.Generator, device: torch.device) -> Iterator[Batch]:
        """The loader's batches, checked."""
        del draw
        for number, found in enumerate(self.loader):
            inputs, labels = _checked(found, number)
            yield inputs.to(device), labels.to(device), 1.0


def source_of(train: Source, batch: int, augment: bool) -> FromImages | FromLoader:
    """The source of batches."""
    if isinstance(train, Images):
        return FromImages(train, batch, augment)
    if isinstance(train, DataLoader):
        return FromLoader(train, batch, augment)
    raise InputError("train", got=type(train).__name__, expected="bnn_fsg.datasets.Images or a torch DataLoader")


def _checked(found: Any, number: int) -> tuple[Tensor, Tensor]:
    what = f"batch {number} of the DataLoader"
    if not (isinstance(found, tuple | list) and len(found) == 2 and all(isinstance(one, Tensor) for one in found)):
        raise InputError(what, got=type(found).__name__, expected="(inputs, labels) as two tensors")
    inputs, labels = found
    if inputs.dtype != torch.float32 or labels.dtype != torch.int64 or len(inputs) != len(labels):
        got = f"{inputs.dtype} {tuple(inputs.shape)} and {labels.dtype} {tuple(labels.shape)}"
        raise InputError(what, got=got, expected="float32 inputs and as many int64 labels")
    if len(inputs) < 2:
        raise InputError(what, got="1 image", expected="at least 2, as BatchNorm needs; drop_last=True leaves it out")
    return inputs, labels


def tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """Images as torch's convolutions like them: channels last in memory, by a third faster on a CPU."""
    return torch.from_numpy(images).to(device, memory_format=torch.channels_last)


def crop_and_flip(images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Each image shifted by up to 4 pixels over a border of zeros and flipped at random, (n, channels, h, w)."""
    count, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
    top, left, flip = draw.integers(0, 9, count), draw.integers(0, 9, count), draw.random(count) < 0.5
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    made = windows[np.arange(count), :, top, left]
    made[flip] = made[flip, :, :, ::-1]
    return made


def batches(order: np.ndarray, batch: int, processes: int) -> list[np.ndarray]:
    """Rows of each batch; one that has not two images for each process is left out."""
    return [part for at in range(0, len(order), batch) if len(part := order[at : at + batch]) >= 2 * processes]
