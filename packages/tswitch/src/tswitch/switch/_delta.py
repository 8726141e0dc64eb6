"""The task vector of one tensor, tau = fine-tuned - base in float32, read chunk by chunk from two checkpoints.

Where one of the two is stored in fewer bits, both are first rounded to that precision: else what the difference holds
is mostly the rounding of entries that no training changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import CHUNK, as_float32

CACHED = 1 << 24  # differences of tensors up to this many entries (64 MB) are kept between the passes


def coarser(one: torch.dtype, two: torch.dtype) -> torch.dtype | None:
    """The dtype of fewer significant digits, of two floating ones below float64; None if they are equally fine."""
    fineness = [max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps) for dtype in (one, two)]
    if fineness[0] == fineness[1]:
        return None
    return one if fineness[0] > fineness[1] else two


class Buffers:
    """Arrays that all tensors share in turn: making them anew would let the heap grow with each tensor, in pieces."""

    def __init__(self) -> None:
        self.delta = np.empty(max(CACHED, CHUNK), np.float32)
        self.new = np.empty(CHUNK, np.float32)
        self.rounded = np.empty(CHUNK, np.float32)
        self.old = (np.empty(CHUNK, np.float32), np.empty(CHUNK, np.float32))  # one is hashed, the other is filled


class Delta:
    """The difference of one tensor, float32, chunk by chunk, as often as asked; each chunk is valid until the next."""

    def __init__(
        self, before: Checkpoint | None, after: Checkpoint, name: str, buffers: Buffers, *, cached: int
    ) -> None:
        """Chunks of one tensor.

        Args:
            cached: entries to keep between the passes: all of the tensor, or 0 to read it anew each time.
        `rounded` is the dtype in which the two sides are compared, None if both have it.
        """
        self.name = name
        self._before, self._after, self._buffers, self._cached = before, after, buffers, cached
        pair = None if before is None else (before.info(name).dtype, after.info(name).dtype)
        self.rounded = None if pair is None else coarser(*pair)

    def pairs(self) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
        """Read from the checkpoints: (base as float32 or None, difference)."""
        olds = itertools.repeat(None) if self._before is None else self._before.chunks(self.name, CHUNK)
        for turn, ((where, new), held) in enumerate(zip(self._compared(), olds, strict=False)):
            delta = self._buffers.delta[where if self._cached else slice(new.numel())]
            values, old = as_float32(self._round(new), self._buffers.new), None
            if held is None:
                delta[:] = values
            else:
                old = as_float32(held[1], self._buffers.old[turn % 2])
                start = old if self.rounded is None else as_float32(self._round(held[1]), self._buffers.rounded)
                np.subtract(values, start, out=delta)
            yield old, delta

    def _compared(self) -> Iterator[tuple[slice, Tensor]]:
        """Chunks of the fine-tuned tensor in the base's shape: without further rows, lacking rows as in the base."""
        if self._before is None:
            yield from self._after.chunks(self.name, CHUNK)
            return
        size, own = self._before.info(self.name).numel, self._after.info(self.name).numel
        for start in range(0, size, CHUNK):
            stop = min(start + CHUNK, size)
            parts = [self._after.span(self.name, slice(start, min(stop, own)))] if start < own else []
            if stop > own:
                lacking = self._before.span(self.name, slice(max(start, own), stop))
                parts.append(lacking.to(self._after.info(self.name).dtype))
            yield slice(start, stop), parts[0] if len(parts) == 1 else torch.cat(parts)

    def _round(self, chunk: Tensor) -> Tensor:
        return chunk if self.rounded is None else chunk.to(self.rounded)

    def chunks(self) -> Iterator[np.ndarray]:
        """The difference again, after `pairs` was read to its end."""
        if self._cached:
            kept = self._buffers.delta[: self._cached]
            yield from (kept[start : start + CHUNK] for start in range(0, kept.size, CHUNK))
        else:
            yield from (chunk for _, chunk in self.pairs())
