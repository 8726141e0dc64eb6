"""Layers of signs that take numbers: by sums of four inputs where that is less work."""

from __future__ import annotations

import numpy as np

from bnn_fsg.runtime import _numpy
from bnn_fsg.runtime._arguments import LANES
from bnn_fsg.runtime._geometry import Geometry, Margins
from bnn_fsg.runtime._layers import _NO_START, _NONE, _PACKED, Finish, FloatLayer, _check, shared


class SignLayer(FloatLayer):
    """A `FloatLayer` of bits that adds sums of four inputs (`_subsets.py`) where that takes less: at stride 1."""

    def __init__(
        self, weight: np.ndarray, geometry: Geometry, groups: int, finish: Finish, *, backend: str = "auto"
    ) -> None:
        """weight (out, taps, channels of a group) bool, True for +1."""
        super().__init__(weight, geometry, groups, finish, backend=backend)
        each = self.width // groups
        self._pays = self.kernels is not _numpy and geometry.stride == (1, 1) and each >= LANES
        self._picks = self.kernels.picks_of(weight, groups) if self._pays else None
        self._margins: dict[tuple[int, int], Margins] = {}

    def __call__(
        self, x: np.ndarray, residual: np.ndarray = _NONE, threads: int = 1, planes: bool = False
    ) -> np.ndarray:
        """As a `FloatLayer`."""
        if not self._pays:
            return super().__call__(x, residual, threads, planes)
        _check("input of a float layer", x, self.channels * self.groups, np.float32)
        size = x.shape[1], x.shape[2]
        if size not in self._margins:
            self._margins[size] = Margins.of(self.geometry, *size, self.channels)
        margins = self._margins[size]
        if not margins.few:
            return super().__call__(x, residual, threads, planes)
        x, count, each = np.ascontiguousarray(x), len(x), self.width // self.groups
        pad_h, pad_w = self.geometry.padding
        wide = np.zeros((count, self.groups, margins.channels, margins.plane), np.float32)
        shared(
            lambda begin, end: self.kernels.margined_planes(x, pad_h, pad_w, self.channels, wide, begin, end),
            count * size[0], x.size // _PACKED, threads,
        )  # fmt: skip
        last = self._numbers(_NO_START, self.table, residual, count, margins.size, planes)
        shape, steps, picks = margins.shape, margins.steps, self._picks

        def run(begin: int, end: int) -> None:  # places, of which a block has LANES
            self.kernels.conv_signs(wide, shape, steps, each, picks, last, begin // LANES, end // LANES)

        self._run(run, LANES * count * int(shape[3]), threads)
        return self._pictures(last, count, margins.size)
