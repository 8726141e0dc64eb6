"""Where a convolution's kernel stands: sizes of outputs, and which of its taps fall inside the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError


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
        classes = {(0, self.kernel[axis]): 0}
        rows = []
        for place in range(out):
            start = place * self.stride[axis] - self.padding[axis]
            steps = [i for i in range(self.kernel[axis]) if 0 <= start + i * self.dilation[axis] < size]
            inside = (steps[0], steps[-1] + 1) if steps else (0, 0)
            rows.append((*inside, classes.setdefault(inside, len(classes))))
        return np.array(rows, np.int64).reshape(out, 3), list(classes)


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
