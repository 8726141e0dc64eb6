"""The kernels once more in numpy, for machines without numba: the same arguments, the same whole numbers.

`begin` and `end` are taken as the whole output: there is nothing to gain from threads here.
"""

from __future__ import annotations

import numpy as np

from bnn_fsg.runtime._arguments import Bits, Numbers, Sums

quiet = np.errstate(over="ignore", invalid="ignore")  # what overflows is refused with the output
_CHUNK = 1 << 22  # words of intermediate results


def pack_signs(x: np.ndarray, thresholds: np.ndarray, out: np.ndarray, begin: int, end: int) -> None:
    """Twin of `_kernels.pack_signs`."""
    out[begin:end] = words_of(x[begin:end] >= thresholds)


def pack_planes(
    x: np.ndarray, thresholds: np.ndarray, out: np.ndarray, finite: np.ndarray, begin: int, end: int
) -> None:
    """Twin of `_kernels.pack_planes`."""
    pixels = x.swapaxes(1, 2).reshape(-1, x.shape[1])[begin:end]
    out[begin:end] = words_of(pixels >= thresholds)
    finite[:] &= np.isfinite(pixels).all()


def surround(x: np.ndarray, channels: int, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001
    """Twin of `_kernels.surround`: `_windows` makes its margins itself."""
    return x, shape


def arrange(panels: np.ndarray) -> np.ndarray:
    """Twin of `_kernels.arrange`."""
    return panels


def words_of(bits: np.ndarray) -> np.ndarray:
    """(..., n) bool -> (..., ceil(n / 64)) uint64, bit i of a row in bit i % 64 of word i // 64."""
    packed = np.packbits(bits, axis=-1, bitorder="little")
    padding = [(0, 0)] * (packed.ndim - 1) + [(0, -packed.shape[-1] % 8)]
    return np.ascontiguousarray(np.pad(packed, padding)).view("<u8").astype(np.uint64, copy=False)


def bits_of(words: np.ndarray, count: int) -> np.ndarray:
    """(..., words) uint64 -> (..., count) bool, the opposite of `words_of`."""
    octets = np.ascontiguousarray(words).astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=count, bitorder="little").astype(bool)


def _windows(x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(n, h, w, channels) -> (n, out_h, out_w, taps, channels), with zeros (False) outside the picture."""
    out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w = (int(v) for v in shape)
    padded = np.pad(x, [(0, 0), (pad_h, pad_h), (pad_w, pad_w), (0, 0)])
    taps = []
    for i in range(kernel_h):
        for j in range(kernel_w):
            top, left = i * dilation_h, j * dilation_w
            rows = slice(top, top + (out_h - 1) * stride_h + 1, stride_h)
            taps.append(padded[:, rows, left : left + (out_w - 1) * stride_w + 1 : stride_w])
    return np.stack(taps, axis=3)


def _border(down: np.ndarray, across: np.ndarray, pictures: int) -> np.ndarray:
    """Class of each output pixel, (pixels,)."""
    one = down[:, None, 2] * (across[:, 2].max() + 1) + across[None, :, 2]
    return np.tile(one.reshape(-1), pictures)


def _finish(sums: np.ndarray, total: np.ndarray, table: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """sums (pixels, out) float32, total (pixels, 1), table (pixels or 1, 7, out): see the twin."""
    scale, by_sum, shift, shift_in, positive, negative, shift_out = np.moveaxis(table, 1, 0)
    value = sums * scale + (total * by_sum + shift)
    value = (value + residual if residual.size else value) + shift_in
    return value * np.where(value > 0, positive, negative) + shift_out


def _columns(panels: np.ndarray, each: int) -> np.ndarray:
    """(..., p, steps, 16) -> (..., each, steps): the panels side by side again."""
    merged = np.swapaxes(panels, -1, -2)
    return merged.reshape(*panels.shape[:-3], -1, panels.shape[-2])[..., :each, :]


@quiet
def conv_bits(x, place, filters, last, begin, end):  # noqa: ARG001
    """Twin of `_kernels.conv_bits`."""
    channels, each, panels = filters
    shape, down, across = place
    groups = len(panels)
    windows = _windows(bits_of(x, channels * groups), shape)
    pixels, taps = int(np.prod(windows.shape[:3])), windows.shape[3]
    windows = windows.reshape(pixels, taps, groups, channels)
    border = _border(down, across, len(x))
    weights = _columns(panels, each)
    bits = np.empty((pixels, each * groups), bool)
    for group in range(groups):
        rows = words_of(windows[:, :, group].reshape(pixels, -1))
        dots = np.empty((pixels, each), np.int32)
        step = max(1, _CHUNK // (each * rows.shape[1]))
        for first in range(0, pixels, step):
            different = rows[first : first + step, None] ^ weights[group]
            dots[first : first + step] = -2 * np.bitwise_count(different).sum(-1, dtype=np.int32)
        dots += last.start[border, group, :each]
        mine = slice(group * each, (group + 1) * each)
        if isinstance(last, Sums):
            last.out[:, mine] = dots
        elif isinstance(last, Bits):
            bound, flip = last.bounds[group].swapaxes(0, 1).reshape(2, -1)[:, :each]
            bits[:, mine] = (dots >= bound) ^ (flip < 0)
        else:
            inside = (down[:, None, 1] - down[:, None, 0]) * (across[None, :, 1] - across[None, :, 0])
            inside = np.tile(inside.reshape(-1), len(x))
            ones = np.bitwise_count(rows).sum(-1, dtype=np.int64)
            total = (2 * ones - inside * channels) * last.summed
            flat = _flat(last.table, each)[:, group]
            entry = flat[border] if len(last.table) > 1 else flat
            part = last.residual[:, mine] if last.residual.size else last.residual
            _place(last, mine, _finish(dots.astype(np.float32), total[:, None].astype(np.float32), entry, part))
    if isinstance(last, Bits):
        last.out[:] = words_of(bits)


def _place(last: Numbers, mine: slice, values: np.ndarray) -> None:
    """Put values (pixels, channels of a group) to their places."""
    if not last.planes:
        last.out[:, mine] = values
        return
    count = len(values) // last.planes
    last.out.reshape(count, -1, last.planes)[:, mine] = values.reshape(count, last.planes, -1).swapaxes(1, 2)
    last.finite[:] &= np.isfinite(values).all()


def _flat(table: np.ndarray, each: int) -> np.ndarray:
    """(classes, groups, p, 7, 16) -> (classes, groups, 7, each)."""
    return table.swapaxes(2, 3).reshape(*table.shape[:2], 7, -1)[..., :each]


@quiet
def conv_floats(x, place, filters, last, begin, end):  # noqa: ARG001
    """Twin of `_kernels.conv_floats`."""
    channels, each, panels = filters
    groups = len(panels)
    windows = _windows(x, place.shape)
    pixels, taps = int(np.prod(windows.shape[:3])), windows.shape[3]
    windows = windows.reshape(pixels, taps, groups, channels)
    if panels.dtype == np.uint16:
        bits = np.unpackbits(panels.astype("<u2").view(np.uint8), axis=-1, bitorder="little")
        panels = bits.astype(np.float32) * 2 - 1
    weights = _columns(panels, each)
    for group in range(groups):
        rows = windows[:, :, group].reshape(pixels, -1)
        mine = slice(group * each, (group + 1) * each)
        part = last.residual[:, mine] if last.residual.size else last.residual
        total = rows.sum(-1, keepdims=True, dtype=np.float32) * np.float32(last.summed)
        _place(last, mine, _finish(rows @ weights[group].T, total, _flat(last.table, each)[:, group], part))


def turn(x: np.ndarray, out: np.ndarray) -> bool:
    """Twin of `_kernels.turn`."""
    out[:] = x.swapaxes(1, 2)
    return bool(np.isfinite(x).all())
