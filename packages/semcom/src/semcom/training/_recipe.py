"""What every training is given, and what every one draws: batches, augmentation, noise levels, losses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor

from semcom.links import Settings


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """AdamW with a linear warm-up and a cosine decay to zero, at many SNRs.

    Attributes:
        steps: optimiser steps.
        batch: pictures a step.
        lr: peak learning rate.
        weight_decay: on matrices alone.
        save_every: steps between checkpoints.
        seed: of the batches and all noise.
        average: decay of the moving average of the weights, which is what training gives; 0 for the last weights.
        snr_low, snr_high: Es/N0 in dB, drawn evenly, one a picture.
        loss: `mse`, or `log`: the mean over pictures of the logarithm of each one's error, as a mean of PSNRs has it.
        bfloat16: products in bfloat16, which some processors do several times faster; weights stay float32.
    """

    steps: int = 1000
    batch: int = 64
    lr: float = 1.2e-3
    weight_decay: float = 0.05
    save_every: int = 200
    seed: int = 0
    average: float = 0.0
    snr_low: float = -5.0
    snr_high: float = 20.0
    loss: str = "mse"
    bfloat16: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(name, got=getattr(self, name), expected="at least 1")
        if not (0 <= self.lr < math.inf and 0 <= self.weight_decay < math.inf):
            got = (self.lr, self.weight_decay)
            raise InputError("lr, weight_decay", got=got, expected="finite numbers from 0")
        if not 0 <= self.average < 1:
            raise InputError("average", got=self.average, expected="a decay in [0, 1)")
        if self.loss not in ("mse", "log"):
            raise InputError("loss", got=repr(self.loss), expected="mse or log")
        if not self.snr_low <= self.snr_high:
            raise InputError("snr_low", got=self.snr_low, expected=f"at most snr_high, {self.snr_high}")

    def rate(self, step: int) -> float:
        """Learning rate of a step from 0."""
        warm = max(1, self.steps // 20)
        share = (step - warm) / max(1, self.steps - warm)
        return self.lr * ((step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * share)))

    def snrs(self, size: int, generator: torch.Generator) -> Tensor:
        """(size,) Es/N0 in dB."""
        return uniform(self.snr_low, self.snr_high, size, generator)

    def products(self) -> torch.autocast:
        """Context in which a model is called."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16)

    def loss_of(self, drawn: Tensor, wanted: Tensor, scale: float = 0.02, floor: float = 1e-4) -> tuple[Tensor, dict]:
        """The loss of pictures (B, 3, H, W), and their PSNR to log.

        Args:
            scale, floor: of `log`: scale * log(error + floor).
        """
        by_picture = ((drawn.float() - wanted) ** 2).mean((1, 2, 3))
        logged = by_picture if self.loss == "log" else by_picture.mean()
        psnr = {"psnr": float(-10 * logged.detach().log10().mean())}
        return (scale * (by_picture + floor).log().mean() if self.loss == "log" else by_picture.mean()), psnr


def picture_tensor(images: np.ndarray) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def uniform(low: float, high: float, size: int, generator: torch.Generator) -> Tensor:
    """(size,) numbers drawn evenly from [low, high)."""
    return low + (high - low) * torch.rand(size, generator=generator)


def draw_batch(pictures: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Random pictures of (count, 3, H, W) uint8 by `augment`: (size, 3, H, W) in [0, 1]."""
    return augment(pictures[torch.randint(len(pictures), (size,), generator=generator)], generator)


def augment(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """All of some pictures (B, 3, H, W) uint8, mirrored at random and shifted by up to two pixels, in [0, 1]."""
    batch = F.pad(pictures.float() / 255, (2, 2, 2, 2), mode="reflect")
    mirrored = torch.rand(len(pictures), generator=generator) < 0.5
    batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
    dy, dx = torch.randint(0, 5, (2,), generator=generator).tolist()
    height, width = pictures.shape[-2:]
    return batch[:, :, dy : dy + height, dx : dx + width].contiguous()
