"""Bird's-eye views of earlier frames, aligned by the motion of the vehicle and fused with the present one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fastocc.geometry import GridSpec
from fastocc.views._bevformer import warp_previous


class HistoryState(NamedTuple):
    """What the next frame looks back at.

    Attributes:
        bev: (B, N - 1, C, Y, X) BEVs of earlier frames as they were seen, the latest first; zeros where there is none.
        motion: (B, N - 1, 4, 4) ego frame of the latest of them to the ego frame of each.
    """

    bev: Tensor
    motion: Tensor


class BevHistory(nn.Module):
    """Adds to a BEV what a small convolution makes of it and of the N - 1 before it; nothing at the start of training.

    Each earlier BEV is sampled once, from the frame in which it was seen, so that nothing blurs on its way.

    Args:
        channels: C. frames: N. grid: of the BEV.
    """

    def __init__(self, channels: int, frames: int, grid: GridSpec) -> None:
        super().__init__()
        self.channels, self.frames, self.grid = channels, frames, grid
        self.mix = nn.Sequential(
            nn.Conv2d(channels * frames, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip
        last = self.mix[-1]
        for one in last.parameters():
            nn.init.zeros_(one)

    def empty(self, like: Tensor) -> HistoryState:
        """The state before the first frame; `like`: (B, C, Y, X)."""
        batch, count = like.shape[0], self.frames - 1
        bev = like.new_zeros(batch, count, *like.shape[1:])
        return HistoryState(bev, torch.eye(4, device=like.device).expand(batch, count, 4, 4))

    def forward(self, bev: Tensor, prev: tuple[HistoryState, Tensor] | None) -> tuple[Tensor, HistoryState]:
        """The fused BEV (B, C, Y, X), and the state for the next frame.

        Args:
            bev: (B, C, Y, X). prev: state after the last frame, and (B, 4, 4) this ego frame to the last one's.
        """
        state, moved = self.empty(bev), None
        if prev is not None:
            state = prev[0]
            moved = state.motion @ prev[1][:, None]
            seen = [warp_previous(state.bev[:, at], moved[:, at], self.grid) for at in range(self.frames - 1)]
        else:
            seen = list(state.bev.unbind(1))
        fused = bev + self.mix(torch.cat([bev, *seen], 1))
        return fused, self.after(bev, state, moved)

    def after(self, bev: Tensor, state: HistoryState, moved: Tensor | None) -> HistoryState:
        """The state with `bev` in front of it and without the oldest; `moved`: this ego frame to those of the state."""
        own = torch.eye(4, dtype=bev.dtype, device=bev.device).expand(bev.shape[0], 1, 4, 4)
        motion = state.motion if moved is None else moved
        kept = self.frames - 2
        return HistoryState(
            torch.cat([bev[:, None], state.bev[:, :kept]], 1), torch.cat([own, motion[:, :kept]], 1)
        )  # fmt: skip
