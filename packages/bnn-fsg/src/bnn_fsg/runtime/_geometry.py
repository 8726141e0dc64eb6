"""Where a convolution's kernel stands: sizes of outputs, and which of its taps fall inside the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from bnn_fsg.runtime._arguments import LANES


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, zero padding and dilation of a convolution, each (vertical, horizontal)."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            if min(getattr(self, name)) < least:
                raise InputError(name, got=getattr(self, name), expected=f"whole numbers from {least}")

    @property
    def taps(self) -> int:
        """Steps of the kernel."""
        return self.kernel[0] * self.kernel[1]

    def out(self, height: int, width: int) -> tuple[int, int]:
        """Size of the output for a picture of that size; InputError if the kernel does not fit."""
        sizes = []
        for axis, size in enumerate((height, width)):
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            sizes.append((size + 2 * self.padding[axis] - reach) // self.stride[axis] + 1)
        if min(sizes) < 1:
            raise InputError("picture", got=f"{height} x {width}", expected=f"at least the kernel {self.kernel}")
        return sizes[0], sizes[1]

    def axis(self, axis: int, size: int, out: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """Of each output place along an axis: (first, last + 1) step inside and class; and the classes' ranges."""
        start = np.arange(out, dtype=np.int64) * self.stride[axis] - self.padding[axis]
        step, kernel = self.dilation[axis], self.kernel[axis]
        first = np.clip(-(start // step), 0, kernel)  # the first step at or after pixel 0
        last = np.clip((size - 1 - start) // step + 1, 0, kernel)  # one after the last before the end
        first, last = (np.where(first < last, one, 0) for one in (first, last))
        pairs, index = np.unique(np.append(first * (kernel + 1) + last, kernel), return_inverse=True)
        order = np.argsort(pairs != kernel, kind="stable")  # the interior, (0, kernel), is class 0
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        rows = np.stack([first, last, place[index[:out]]], axis=1)
        return rows, [(int(one) // (kernel + 1), int(one) % (kernel + 1)) for one in pairs[order]]


@dataclass(frozen=True)
class Bound:
    """A geometry met with a picture size."""

    size: tuple[int, int]
    shape: np.ndarray
    down: np.ndarray
    across: np.ndarray
    inside: np.ndarray  # (classes, taps) bool: which steps of the kernel fall inside the picture

    @classmethod
    def of(cls, geometry: Geometry, height: int, width: int) -> Bound:
        """Work out what the kernels ask for."""
        out = geometry.out(height, width)
        down, rows = geometry.axis(0, height, out[0])
        across, columns = geometry.axis(1, width, out[1])
        inside = np.zeros((len(rows), len(columns), *geometry.kernel), bool)
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                inside[i, j, top:bottom, left:right] = True
        parts = (out, geometry.kernel, geometry.stride, geometry.padding, geometry.dilation)
        shape = np.array([one for part in parts for one in part], np.int64)
        return cls(out, shape, down, across, inside.reshape(-1, geometry.taps))


@dataclass(frozen=True)
class Margins:
    """A geometry of stride 1 met with a picture size, for planes with zeros around: places count along their wide rows.

    Attributes:
        size: of the output.
        channels: of a group, rounded up to fours.
        plane: numbers of a channel's plane; an odd number of lines of the cache, lest planes share few of its sets.
        shape: (out_h, out_w, width with margins, blocks of 16 places that hold all outputs) int64.
        steps: (fours of steps, 4) int64: where their numbers lie from a place's own.
        few: whether the margins are small beside the picture.
    """

    size: tuple[int, int]
    channels: int
    plane: int
    shape: np.ndarray
    steps: np.ndarray
    few: bool

    @classmethod
    def of(cls, geometry: Geometry, height: int, width: int, channels: int) -> Margins:
        """Work out what the kernels ask for."""
        (out_h, out_w), (pad_h, pad_w) = geometry.out(height, width), geometry.padding
        wide, high, channels = width + 2 * pad_w, height + 2 * pad_h, -(-channels // 4) * 4
        blocks = -(-((out_h - 1) * wide + out_w) // LANES)
        reach = (geometry.kernel[0] - 1) * geometry.dilation[0] * wide + (geometry.kernel[1] - 1) * geometry.dilation[1]
        plane = max(high * wide, blocks * LANES + reach)
        plane = (-(-plane // LANES) | 1) * LANES
        down = np.arange(geometry.kernel[0], dtype=np.int64)[:, None, None] * geometry.dilation[0] * wide
        across = np.arange(geometry.kernel[1], dtype=np.int64)[:, None] * geometry.dilation[1]
        steps = (down + across + np.arange(channels, dtype=np.int64) * plane).reshape(-1, 4)
        shape = np.array([out_h, out_w, wide, blocks], np.int64)
        return cls((out_h, out_w), channels, plane, shape, steps, high * wide <= 2 * height * width)
