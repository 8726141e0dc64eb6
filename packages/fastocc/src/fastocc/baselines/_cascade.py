"""OccNet's cascade: height grows stage by stage, and each stage looks into the images again."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.geometry import GridSpec
from fastocc.heads import HeadContext, OccHead
from fastocc.views import project, sample_heights


class _Look(nn.Module):
    """Spatial cross-attention of voxel queries: four learned points around each voxel's pixel in every camera."""

    points = 4

    def __init__(self, channels: int, inputs: int) -> None:
        super().__init__()
        self.value = nn.Conv2d(inputs, channels, 1)
        self.offsets = nn.Linear(channels, self.points * 2)
        self.weights = nn.Linear(channels, self.points)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, places: Tensor, seen: Tensor, features: Tensor) -> Tensor:
        """x (B, Q, C); places (B, N, Q, 2) in -1..1; seen (B, N, Q)."""
        batch, count = features.shape[:2]
        values = self.value(features.flatten(0, 1))
        size = torch.tensor(values.shape[:-3:-1], dtype=x.dtype, device=x.device)
        near = self.offsets(x).unflatten(-1, (self.points, 2)) * 2 / size
        at = (places[..., None, :] + near[:, None]).flatten(0, 1)
        taken = F.grid_sample(values, at, align_corners=False).unflatten(0, (batch, count))
        mixed = (taken * self.weights(x).softmax(-1)[:, None, None]).sum(-1)
        share = seen / seen.sum(1, keepdim=True).clamp(min=1)
        return self.out((mixed * share[:, :, None]).sum(1).transpose(1, 2))


class Cascade(OccHead):
    """Widths C, C/2, C/2, C/4, C/4 at Z = 1, 2, 4, 8, 16; Linear and LayerNorm between, cross-attention each time."""

    name: ClassVar[str] = "cascade"
    source: ClassVar[str] = "OccNet, arXiv 2306.02851"
    needs_context: ClassVar[bool] = True

    def __init__(
        self, in_channels: int, grid: GridSpec, num_classes: int, *, channels: int = 8, context_channels: int = 32
    ) -> None:
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.context_channels = context_channels
        stages = max(self.levels - 1, 1).bit_length()
        divisors = [1, 2, 2, 4, 4, 4, 4]
        self.heights = [min(2**stage, self.levels) for stage in range(stages + 1)]
        self.widths = [max(in_channels // divisors[stage], channels) for stage in range(stages + 1)]
        self.grow, self.look, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage, (height, width) in enumerate(zip(self.heights, self.widths, strict=True)):
            if stage:
                share = -(-height // self.heights[stage - 1])
                self.grow.append(nn.Linear(self.widths[stage - 1], width * share))
            self.look.append(_Look(width, context_channels))
            self.norms.append(nn.LayerNorm(width))
            points = sample_heights(grid, height).permute(1, 2, 0, 3).reshape(-1, 3)
            self.register_buffer(f"points{stage}", points, persistent=False)
        self.classify = nn.Linear(self.widths[-1], num_classes)

    def score(self, bev: Tensor, context: HeadContext | None) -> Tensor:
        """(B, C, Y, X) -> (B, X, Y, Z, K)."""
        assert context is not None
        batch, _, rows, columns = bev.shape
        height, width = context.image_size
        scale = torch.tensor([width, height], dtype=bev.dtype, device=bev.device)
        x = bev.permute(0, 2, 3, 1).reshape(batch, rows * columns, 1, -1)
        for stage, levels in enumerate(self.heights):
            if stage:
                grown = self.grow[stage - 1](x)
                x = grown.unflatten(-1, (-1, self.widths[stage])).flatten(2, 3)[:, :, :levels]
            points = self.get_buffer(f"points{stage}")
            pixels, depth = project(
                points, context.cam2img, context.cam2ego, context.img_aug, context.bev_aug, context.lens
            )
            places = pixels / scale * 2 - 1
            seen = ((depth > 0.1) & (places.abs() < 1).all(-1)).to(bev.dtype)
            places = torch.where(seen[..., None] > 0, places, 3.0)
            flat = x.flatten(1, 2)
            flat = self.norms[stage](flat + self.look[stage](flat, places, seen, context.features))
            x = flat.unflatten(1, (-1, levels))
        return self.classify(x).unflatten(1, (rows, columns)).transpose(1, 2)
