"""Exact order statistics of task vectors, streamed, and bits packed eight to a byte."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from tswitch.switch._select import RadixSelect
from tswitch.switch._tasks import TaskVectors


def part(size: int, ratio: float) -> int:
    """floor(size * ratio), safe from ratios such as 1 - 0.9 that fall just short."""
    return math.floor(size * ratio + 1e-9)


def kth_largest(chunks: Callable[[], Iterable[Tensor]], ranks: Sequence[int]) -> list[float]:
    """Values at some ranks of a stream of signed float32 values, exactly, in a few passes and bounded memory.

    Args:
        chunks: gives the stream anew at every call.
        ranks: 1 = largest.
    """
    select = RadixSelect()
    for chunk in chunks():
        select.count(chunk.numpy())
    found = []
    below = select.positives + select.zeros  # ranks beyond these are negative values, smallest magnitude first
    for rank in ranks:
        if select.positives < rank <= below:
            found.append(0.0)
            continue
        positive = rank <= select.positives
        select.seek(*((rank, 0) if positive else (0, select.negatives - (rank - below) + 1)))
        for chunk in chunks():
            select.refine(chunk.numpy())
        found.append(select.thresholds()[0] if positive else -select.thresholds()[1])
    return found


def magnitudes(tasks: TaskVectors, index: int, names: Sequence[str]) -> Callable[[], Iterator[Tensor]]:
    """Stream of one task's |tau| over some tensors."""
    return lambda: (delta.abs_() for name in names for delta in tasks.task(index, name))


def keep_from(values: Tensor, smallest: float, *, out: Tensor) -> Tensor:
    """Values whose magnitude is at least `smallest`, others as zero; `out` may be `values` itself."""
    below = float(np.nextafter(np.float32(smallest), np.float32(-1))) if smallest > 0 else 0.0
    return torch.ops.aten.hardshrink.out(values, below, out=out)  # keeps what is strictly above


def pack_bits(bits: Tensor) -> Tensor:
    """Bool (..., n) -> uint8 (..., ceil(n / 8))."""
    return torch.from_numpy(np.packbits(bits.numpy(), axis=-1))


def unpack_bits(packed: Tensor, size: int) -> Tensor:
    """Inverse of `pack_bits`: bool (..., size)."""
    return torch.from_numpy(np.unpackbits(packed.numpy(), axis=-1, count=size)).bool()
