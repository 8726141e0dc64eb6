"""Where a convolution's kernel stands: sizes, and what of it lies inside the picture at each border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Geometry:
    """Kernel, stride, zero padding and dilation of a convolution, each (vertical, horizontal)."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def taps(self) -> int:
        """Steps of the kernel."""
        return self.kernel[0] * self.kernel[1]

    def out(self, height: int, width: int) -> tuple[int, int]:
        """Size of the output for a picture of that size, which `infer` has found to fit."""
        sizes = []
        for axis, size in enumerate((height, width)):
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            sizes.append((size + 2 * self.padding[axis] - reach) // self.stride[axis] + 1)
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
        return rows.astype(np.int32), [(int(one) // (kernel + 1), int(one) % (kernel + 1)) for one in pairs[order]]

    def outputs_of(self, axis: int, tap: int, size: int, out: int) -> tuple[slice, slice]:
        """(input places, output places) that step `tap` joins along an axis; empty where it is always outside."""
        stride, shift = self.stride[axis], tap * self.dilation[axis] - self.padding[axis]
        first = max(0, -(shift // stride))
        last = min(out - 1, (size - 1 - shift) // stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        return slice(first * stride + shift, last * stride + shift + 1, stride), slice(first, last + 1)


@dataclass(frozen=True)
class Bound:
    """A geometry met with a picture size.

    Attributes:
        size: (height, width) of the output.
        down, across: (out, 3) int32: first and last + 1 of the kernel's steps inside the picture, and the class, of
            each row and each column.
        inside: (classes of rows times columns, taps) bool: which steps fall inside the picture.
        columns: classes of columns.
    """

    size: tuple[int, int]
    down: np.ndarray
    across: np.ndarray
    inside: np.ndarray
    columns: int

    @classmethod
    def of(cls, geometry: Geometry, height: int, width: int) -> Bound:
        """Work out what a convolution asks for."""
        out = geometry.out(height, width)
        down, rows = geometry.axis(0, height, out[0])
        across, columns = geometry.axis(1, width, out[1])
        inside = np.zeros((len(rows), len(columns), *geometry.kernel), bool)
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                inside[i, j, top:bottom, left:right] = True
        return cls(out, down, across, inside.reshape(-1, geometry.taps), len(columns))

    @property
    def classes(self) -> np.ndarray:
        """Class of each output pixel, (height, width)."""
        return self.down[:, 2:] * self.columns + self.across[None, :, 2]
