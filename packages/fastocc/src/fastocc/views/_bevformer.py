"""`bevformer`: BEV queries that look at the last frame's BEV and into the images (Li et al. 2022), in plain torch."""

from __future__ import annotations

from typing import ClassVar

import torch
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn import functional as F

from fastocc.geometry import GridSpec
from fastocc.views._base import CameraInputs, ViewTransform, sample_heights
from fastocc.views._projection import project


def warp_previous(previous: Tensor, motion: Tensor, grid: GridSpec) -> Tensor:
    """Align the last frame's BEV (B, C, Y, X) to this frame; cells that it did not cover become 0.

    Args:
        motion: (B, 4, 4), this frame's ego coordinates to the last frame's.
    """
    points = sample_heights(grid, 1)[0].to(previous)
    before = points @ motion[:, None, :3, :3].transpose(-1, -2) + motion[:, None, None, :3, 3]
    low, high = (torch.tensor(one[:2]).to(previous) for one in (grid.lower, grid.upper))
    place = (before[..., :2] - low) / (high - low) * 2 - 1
    return F.grid_sample(previous, place, align_corners=False)


class _Deformable(nn.Module):
    """Samples values around reference points and sums them with learned weights, head by head."""

    def __init__(self, channels: int, heads: int, points: int, inputs: int) -> None:
        super().__init__()
        if channels % heads:
            raise InputError("channels", got=channels, expected=f"a multiple of the {heads} heads")
        self.heads, self.points = heads, points
        self.offsets = nn.Linear(inputs, heads * points * 2)
        self.weights = nn.Linear(inputs, heads * points)
        self.value = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        turns = torch.arange(heads) * (2 * torch.pi / heads)
        steps = torch.stack([turns.cos(), turns.sin()], -1)[:, None] * torch.arange(1, points + 1).view(1, -1, 1)
        self.offsets.bias.data.copy_(steps.flatten())

    def forward(self, queries: Tensor, values: Tensor, references: Tensor) -> Tensor:
        """Attend.

        Args:
            queries: (G, Q, inputs). values: (G, C, h, w). references: (G, Q, R, 2) in -1..1, R divides the points.
        Returns: (G, Q, C).
        """
        groups, count = queries.shape[:2]
        size = torch.tensor(values.shape[:-3:-1], dtype=queries.dtype, device=queries.device)
        offsets = self.offsets(queries).view(groups, count, self.heads, self.points, 2) * 2 / size
        weights = self.weights(queries).view(groups, count, self.heads, self.points).softmax(-1)
        near = references.repeat_interleave(self.points // references.shape[2], 2)[:, :, None]
        place = (near + offsets).transpose(1, 2).flatten(0, 1)
        split = self.value(values).unflatten(1, (self.heads, -1)).flatten(0, 1)
        taken = F.grid_sample(split, place, align_corners=False)
        mixed = (taken * weights.transpose(1, 2).flatten(0, 1)[:, None]).sum(-1)
        return mixed.view(groups, -1, count).transpose(1, 2)


class _Layer(nn.Module):
    def __init__(self, channels: int, heads: int, heights: int, points: int, hidden: int) -> None:
        super().__init__()
        self.time = _Deformable(channels, heads, 4, 2 * channels)
        self.space = _Deformable(channels, heads, heights * points, channels)
        self.after = nn.ModuleList([nn.Linear(channels, channels) for _ in range(2)])
        self.norms = nn.ModuleList([nn.LayerNorm(channels) for _ in range(3)])
        self.feed = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(
        self, x: Tensor, position: Tensor, maps: Tensor, features: Tensor, places: Tensor, seen: Tensor, cells: Tensor
    ) -> Tensor:
        """x (B, Q, C); maps: (B, 2, C, Y, X) last and present BEV; places (B, N, Q, R, 2); seen (B, N, Q)."""
        batch, count = x.shape[0], features.shape[1]
        asked = torch.cat([maps[:, 0].flatten(2).transpose(1, 2), x + position], -1)
        both = asked.repeat_interleave(2, 0)
        looked = self.time(both, maps.flatten(0, 1), cells.expand(2 * batch, -1, -1, -1))
        x = self.norms[0](x + self.after[0](looked.view(batch, 2, *looked.shape[1:]).mean(1)))
        queries = (x + position).repeat_interleave(count, 0)
        looked = self.space(queries, features.flatten(0, 1), places.flatten(0, 1)).unflatten(0, (batch, count))
        share = seen / seen.sum(1, keepdim=True).clamp(min=1)
        x = self.norms[1](x + self.after[1]((looked * share[..., None]).sum(1)))
        return self.norms[2](x + self.feed(x))


class BevFormer(ViewTransform):
    """Learned queries, layers of (temporal self-attention, spatial cross-attention, feed-forward).

    Args:
        inputs: channels of the image features. outputs: channels of the BEV. grid: its grid. stride: of the features.
        layers, heads, heights, points: as published: 3, 8, 4 heights a pillar, 8 points a height.
    """

    name: ClassVar[str] = "bevformer"
    temporal: ClassVar[bool] = True
    points: Tensor
    cells: Tensor

    def __init__(
        self, inputs: int, outputs: int, grid: GridSpec, stride: int,
        layers: int = 3, heads: int = 8, heights: int = 4, points: int = 8,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid, self.stride = grid, stride
        self.plane = grid.shape[1::-1]
        self.reduce = nn.Conv2d(inputs, outputs, 1)
        self.queries = nn.Parameter(torch.randn(self.plane[0] * self.plane[1], outputs) * 0.02)
        self.rows = nn.Parameter(torch.randn(self.plane[0], 1, outputs // 2) * 0.02)
        self.columns = nn.Parameter(torch.randn(1, self.plane[1], outputs - outputs // 2) * 0.02)
        self.layers = nn.ModuleList([_Layer(outputs, heads, heights, points, 2 * outputs) for _ in range(layers)])
        pillars = sample_heights(grid, heights).permute(1, 2, 0, 3).reshape(-1, 3)
        self.register_buffer("points", pillars, persistent=False)
        v, u = torch.meshgrid(*((torch.arange(n) + 0.5) * 2 / n - 1 for n in self.plane), indexing="ij")
        self.register_buffer("cells", torch.stack([u, v], -1).view(1, -1, 1, 2), persistent=False)
        self.heights = heights

    def forward(
        self, features: Tensor, cameras: CameraInputs, previous: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, N, C, h, w) -> (B, C', Y, X)."""
        batch, count = features.shape[:2]
        features = self.reduce(features.flatten(0, 1)).unflatten(0, (batch, count))
        pixels, depth = project(
            self.points, cameras.cam2img, cameras.cam2ego, cameras.img_aug, cameras.bev_aug, cameras.lens
        )
        height, width = cameras.image_size
        scale = torch.tensor([width, height], dtype=pixels.dtype, device=pixels.device)
        places = (pixels / scale * 2 - 1).unflatten(2, (-1, self.heights))
        inside = (depth.unflatten(2, (-1, self.heights)) > 0.1) & (places.abs() < 1).all(-1)
        places = torch.where(inside[..., None], places, 3.0)  # far outside: sampled as zero
        position = torch.cat(
            [self.rows.expand(-1, self.plane[1], -1), self.columns.expand(self.plane[0], -1, -1)], -1
        ).flatten(0, 1)
        x = self.queries.expand(batch, -1, -1)
        for layer in self.layers:
            now = x.transpose(1, 2).unflatten(2, self.plane)
            maps = torch.stack([now if previous is None else previous, now], 1)
            x = layer(x, position, maps, features, places, inside.any(-1).to(x.dtype), self.cells)
        return x.transpose(1, 2).unflatten(2, self.plane), {}
