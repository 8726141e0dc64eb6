"""Layers over a large picture in bands of rows, with the result of the whole picture and a fraction of the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

WHOLE = 1 << 21  # pixels up to which a picture is one band
_BAND = 1 << 17  # pixels of a band at stride 1, s times as many at stride s: features stay in the caches


def in_one_band(x: Tensor, stride: int) -> bool:
    """Whether a map (B, C, h, w) of `stride` pixels at each row is of a small picture."""
    return x.shape[2] * x.shape[3] * stride**2 <= WHOLE


def banded(function: Callable[..., Tensor], *maps: Tensor, halo: int, stride: int, inplace: bool = False) -> Tensor:
    """`function` of maps (B, C, h, w), band by band; with gradients in one band alone.

    Args:
        function: a row of its result needs at most `halo` rows of the first map above and below its own.
        maps: of the same rows, or of whole multiples or parts of them; the first counts.
        halo: even where the function or a map halves the rows of the first map, a multiple of four where it quarters.
        stride: pixels of the picture at one row of the first map.
        inplace: bands are written into the first map, of which a row of the result needs its own row alone.
    """
    if in_one_band(maps[0], stride):
        return function(*maps)
    result, at = maps[0] if inplace else None, 0
    for part, share in _bands(function, maps, halo, stride):
        if result is None:
            shape, order = (*part.shape[:2], round(maps[0].shape[2] * share), part.shape[3]), torch.channels_last
            result = torch.empty(shape, dtype=part.dtype, memory_format=order)
        result[:, :, at : at + part.shape[2]] = part
        at += part.shape[2]
    assert result is not None
    return result


def banded_means(function: Callable[[Tensor], Tensor], x: Tensor, *, halo: int = 0, stride: int = 4) -> Tensor:
    """Means over rows and columns (B, C) of what `banded` gives, which is not kept."""
    if in_one_band(x, stride):
        return function(x).mean((2, 3))
    total, part = torch.zeros(()), x
    for part, share in _bands(function, (x,), halo, stride):
        total = total + part.sum((2, 3), dtype=torch.float32) / (part.shape[3] * x.shape[2] * share)
    return total.to(part.dtype)


def _bands(
    function: Callable[..., Tensor], maps: tuple[Tensor, ...], halo: int, stride: int
) -> Iterator[tuple[Tensor, float]]:
    """Each band of the result, and rows of the result by rows of the first map."""
    rows, columns = maps[0].shape[2:]
    step = max(16 * halo, _BAND // (columns * stride) // 8 * 8, 8)  # at most an eighth is margin
    for first in range(0, rows, step):
        last = min(first + step, rows)
        begin, end = max(first - halo, 0), min(last + halo, rows)
        part = function(*(one[:, :, begin * one.shape[2] // rows : end * one.shape[2] // rows] for one in maps))
        size, span = part.shape[2], end - begin
        yield part[:, :, (first - begin) * size // span : (last - begin) * size // span], size / span
