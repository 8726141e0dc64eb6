"""Sums of weighted pixel features by grid cell, over cells in sorted order: no outer product is ever written down."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CHUNK = 64  # points that one row of a padded table sums


class Segments(NamedTuple):
    """Which pixel and which depth bin each point is of, sorted by cell, and where each cell begins.

    Attributes:
        pixel: (M,) of B * N * h * w. point: (M,) of B * N * D * h * w. starts: (B * cells,) into both.
    """

    pixel: Tensor
    point: Tensor
    starts: Tensor


def segments(cells: Tensor, count: int) -> Segments:
    """Sort points by cell.

    Args:
        cells: (B, N, D, h, w) int64, `count` where a point lies outside. count: cells of one frame.
    """
    batch, _, bins, height, width = cells.shape
    total = torch.arange(batch, device=cells.device).view(-1, 1, 1, 1, 1) * count
    kept = (cells < count).reshape(-1).nonzero()[:, 0]
    cell, order = (cells + total).reshape(-1)[kept].sort(stable=True)
    kept = kept[order]
    pixel = kept // (bins * height * width) * (height * width) + kept % (height * width)
    starts = torch.searchsorted(cell, torch.arange(batch * count, device=cells.device))
    return Segments(pixel, kept, starts)


def pool(rows: Tensor, weights: Tensor, found: Segments) -> Tensor:
    """(P, C) features and (M',) weights of all points -> (B * cells, C) sums; cells without points are zero."""
    wide = torch.promote_types(rows.dtype, torch.float32)
    taken = weights.reshape(-1)[found.point].to(wide)
    made = F.embedding_bag(found.pixel, rows.to(wide), found.starts, mode="sum", per_sample_weights=taken)
    return made.to(rows.dtype)


class PaddedPool(nn.Module):
    """`pool` for one calibration by gathers and small matrix products alone, which every runtime has.

    Points of a cell are cut into chunks of at most 64, chunks of equal padded length are summed together, and sums of
    cells with several chunks are summed the same way.
    """

    def __init__(self, found: Segments) -> None:
        super().__init__()
        ends = torch.cat([found.starts[1:], torch.tensor([len(found.pixel)], device=found.starts.device)])
        starts, lengths = found.starts.tolist(), (ends - found.starts).tolist()
        chunks: list[tuple[int, int]] = []
        chunks_of: list[list[int]] = []
        for start, length in zip(starts, lengths, strict=True):
            mine = range(start, start + length, _CHUNK)
            chunks_of.append(list(range(len(chunks), len(chunks) + len(mine))))
            chunks += [(at, min(_CHUNK, start + length - at)) for at in mine]
        self.first, place = self._tables([list(range(at, at + size)) for at, size in chunks], "point")
        pixel, point = (torch.cat([one, one.new_zeros(1)]) for one in (found.pixel, found.point))
        for size in self.first:
            table = self.get_buffer(f"point_{size}")
            outside = table == len(found.pixel)
            self.register_buffer(f"pixel_{size}", pixel[table], persistent=False)
            self.register_buffer(f"weight_{size}", point[table], persistent=False)
            self.register_buffer(f"known_{size}", (~outside).float().unsqueeze(1), persistent=False)
        several = [[place[one] for one in mine] for mine in chunks_of if len(mine) > 1]
        self.second, place_of_several = self._tables(several, "sum", padding=len(chunks))
        final, used = [], 0
        zero = len(chunks) + len(several)
        for mine in chunks_of:
            if len(mine) > 1:
                final.append(len(chunks) + place_of_several[used])
                used += 1
            else:
                final.append(place[mine[0]] if mine else zero)
        self.register_buffer("final", torch.tensor(final), persistent=False)
        self.to(found.pixel.device)

    def _tables(self, groups: list[list[int]], name: str, padding: int | None = None) -> tuple[list[int], list[int]]:
        """One padded table for each power of two; and each group's place after all tables' sums stand in a row."""
        if padding is None:
            padding = sum(map(len, groups))
        sizes: dict[int, list[int]] = {}
        for at, group in enumerate(groups):
            sizes.setdefault(1 << max(len(group) - 1, 0).bit_length(), []).append(at)
        place, done = [0] * len(groups), 0
        for size in sorted(sizes):
            table = [groups[at] + [padding] * (size - len(groups[at])) for at in sizes[size]]
            self.register_buffer(f"{name}_{size}", torch.tensor(table), persistent=False)
            for at in sizes[size]:
                place[at], done = done, done + 1
        return sorted(sizes), place

    def forward(self, rows: Tensor, weights: Tensor) -> Tensor:
        """(P, C) and all points' weights -> (cells, C)."""
        flat, sums = weights.reshape(-1), []
        for size in self.first:
            share = flat[self.get_buffer(f"weight_{size}")].unsqueeze(1) * self.get_buffer(f"known_{size}")
            sums.append((share @ rows[self.get_buffer(f"pixel_{size}")])[:, 0])
        zero = rows.new_zeros(1, rows.shape[1])
        made = torch.cat([*sums, zero])
        if self.second:
            more = [made[self.get_buffer(f"sum_{size}")].sum(1) for size in self.second]
            made = torch.cat([*sums, *more, zero])
        return made[self.get_buffer("final")]
