"""A small picture classifier that judges received pictures; no link ever selects by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import InputError
from torch import Tensor, nn

from semcom.links import Settings, checked_pictures


@dataclass(frozen=True)
class JudgeConfig(Settings):
    """Sizes of a `Judge`.

    Attributes:
        classes: number of classes, from 2.
        width: channels of the first layer; later layers have two and three times as many.
    """

    classes: int = 10
    width: int = 48

    def __post_init__(self) -> None:
        if self.classes < 2 or self.width < 4:
            raise InputError("classes, width", got=(self.classes, self.width), expected="at least 2 and 4")


class Judge(nn.Module):
    """Seven convolutions with group normalisation, mean pooling, one linear layer."""

    kind = "semcom.judge"

    def __init__(self, config: JudgeConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or JudgeConfig()
        w = c.width
        sizes = [(3, w, 1), (w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 3 * w, 2), (3 * w, 3 * w, 1)]
        sizes.append((3 * w, 3 * w, 1))
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, s, 1, bias=False) for a, b, s in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(4 if b % 4 == 0 else 1, b) for _, b, _ in sizes)
        self.head = nn.Linear(3 * w, c.classes)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features (B, 3 * width) of pictures (B, 3, H, W) in [0, 1]."""
        x = (images - 0.47) / 0.25
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.silu(norm(layer(x)))
        return x.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        return self.head(self.features(images))

    def judge(self, images: np.ndarray, max_batch: int = 256) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities and features of pictures.

        Args:
            images: (n, H, W, 3) uint8.
            max_batch: pictures that pass the network at once.
        Returns: (n, classes) and (n, 3 * width) float32.
        """
        found, pooled = [], []
        pixels = torch.from_numpy(np.ascontiguousarray(checked_pictures(images).transpose(0, 3, 1, 2)))
        with torch.inference_mode():
            for part in pixels.split(max_batch):
                features = self.features(part.float() / 255)
                pooled.append(features)
                found.append(self.head(features).softmax(dim=1))
        return torch.cat(found).numpy(), torch.cat(pooled).numpy()
