"""Layers over a large picture in bands of rows, with the result of the whole picture and a fraction of the memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WHOLE = 1 << 21  # pixels up to which a picture is one band
_BAND = 1 << 17  # pixels of a band at stride 1, s times as many at stride s: features stay in the caches


def banded(
    function: Callable[..., Tensor], *maps: Tensor, halo: int, stride: int, inplace: bool = False
) -> Tensor:
    """`function` of maps (B, C, h, w), band by band; with gradients in one band alone.

    Args:
        function: a row of its result needs at most `halo` rows of the first map above and below its own.
        maps: of the same rows, or of whole multiples or parts of them; the first counts.
        halo: even where the function or a map halves the rows of the first map.
        stride: pixels of the picture at one row of the first map.
        inplace: bands are written into the first map, of which a row of the result needs its own row alone.
    """
    rows, step, result = maps[0].shape[2], _rows(maps[0], stride), maps[0] if inplace else None
    if step >= rows:
        return function(*maps)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        begin, end = max(first - halo, 0), min(last + halo, rows)
        part = function(*(one[:, :, begin * one.shape[2] // rows : end * one.shape[2] // rows] for one in maps))
        size, span = part.shape[2], end - begin  # rows of the result in those of the first map
        if result is None:
            shape, order = (*part.shape[:2], rows * size // span, part.shape[3]), torch.channels_last
            result = torch.empty(shape, dtype=part.dtype, memory_format=order)
        kept = part[:, :, (first - begin) * size // span : (last - begin) * size // span]
        result[:, :, first * size // span : last * size // span] = kept
    assert result is not None
    return result


def banded_means(x: Tensor, stride: int) -> Tensor:
    """Means over rows and columns (B, C) of a map (B, C, h, w), as `x.mean((2, 3))` but for its memory."""
    step = _rows(x, stride)
    if step >= x.shape[2]:
        return x.mean((2, 3))
    sums = sum(part.sum((2, 3), dtype=torch.float32) for part in x.split(step, dim=2))
    return (sums / (x.shape[2] * x.shape[3])).to(x.dtype)


def _rows(x: Tensor, stride: int) -> int:
    """Rows of a band."""
    pixels = x.shape[3] * stride**2
    return x.shape[2] if x.shape[2] * pixels <= WHOLE else max(1, _BAND * stride // pixels // 8) * 8
