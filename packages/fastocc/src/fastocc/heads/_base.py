"""The interface that the method's head and every rival share."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.views import CameraInputs


class HeadContext(NamedTuple):
    """Image features and cameras, which some rivals need in addition to the BEV.

    Attributes:
        features: (B, N, C, h, w) image features.
        cam2img, cam2ego: (B, N, 3, 3) and (B, N, 4, 4). image_size: (height, width) of the images.
        img_aug: (B, N, 3, 3) or None. bev_aug: (B, 4, 4) or None. lens: (B, N, 13) or None.
    """

    features: Tensor
    cam2img: Tensor
    cam2ego: Tensor
    image_size: tuple[int, int]
    img_aug: Tensor | None = None
    bev_aug: Tensor | None = None
    lens: Tensor | None = None

    @property
    def cameras(self) -> CameraInputs:
        """All but the features."""
        return CameraInputs(*self[1:])


class OccHead(nn.Module):
    """BEV features (B, C, Y, X) -> logits (B, X, Y, Z, K).

    Args:
        in_channels: C. grid: voxels; its Z is the number of levels. num_classes: K.
        channels: Cv, width of the voxel features; each head derives its own widths from it and from C.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    needs_context: ClassVar[bool] = False
    mixes_rows: ClassVar[bool] = False  # whether a voxel looks along the whole grid, so that it is not trained on crops
    needs_height: ClassVar[bool] = False  # whether it takes (B, Z * Cv, Y, X) of a view that keeps z
    context_channels: int = 0  # channels of the image features, set by whoever builds a head that needs them

    def __init__(self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8) -> None:
        super().__init__()
        for key, value in (("in_channels", in_channels), ("num_classes", num_classes), ("channels", channels)):
            if value < 1:
                raise InputError(key, got=value, expected="at least 1")
        self.in_channels, self.grid, self.num_classes, self.channels = in_channels, grid, num_classes, channels
        self.levels = grid.shape[2]

    def forward(self, bev: Tensor, context: HeadContext | None = None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        if bev.dim() != 4 or bev.shape[1] != self.in_channels:
            raise InputError("bev", got=f"shape {tuple(bev.shape)}", expected=f"(B, {self.in_channels}, Y, X)")
        if self.needs_context and context is None:
            raise InputError("context", expected=f"image features and cameras: {self.name} looks at them")
        return self.score(bev, context)

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """What each head fills in: `forward` after its checks."""
        raise NotImplementedError


def decode(logits: Tensor, activation: str, free: int) -> Tensor:
    """Logits (..., K) -> labels (...), uint8.

    Args:
        activation: "softmax", the largest of K classes, free among them; or "sigmoid", K classes without free: the
            largest, or `free` where its probability is below 0.25 (OccNet).
    """
    if activation == "softmax":
        traced = torch.compiler.is_exporting() or torch.compiler.is_compiling()
        if logits.device.type == "cpu" and logits.stride(-1) != 1 and not traced:
            return _first_highest(logits)
        return logits.argmax(-1).to(torch.uint8)
    best, label = logits.max(-1)
    return torch.where(best.sigmoid() < 0.25, free, label).to(torch.uint8)


def _first_highest(logits: Tensor) -> Tensor:
    """argmax over the last axis as uint8, class by class: faster on a CPU where the classes lie apart in memory."""
    best = logits[..., 0]
    label = torch.zeros_like(best, dtype=torch.uint8)
    for at in range(1, logits.shape[-1]):
        score = logits[..., at]
        higher = score > best
        label.masked_fill_(higher, at)
        best = torch.maximum(score, best)
    return label
