"""Layers as the executor runs them: weights laid out for the kernels, tables by place at the border, threads.

A layer is prepared once from the arrays of a `.bnn` file, and bound to each picture size when it first meets it.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from ninefold.errors import InputError

from bnn_fsg.runtime import _numpy
from bnn_fsg.runtime._arguments import LANES, PLANE, Bits, Filters, Numbers, Place, Sums
from bnn_fsg.runtime._geometry import Bound, Geometry
from bnn_fsg.runtime._numpy import words_of

_NONE, _NO_START, _FINITE = np.zeros((0, 0), np.float32), np.zeros((0, 0, 0), np.int32), np.ones(1, bool)
PARTS, STEP = 8, 32  # parts for each thread, and what their pixels are a multiple of: a block of the kernels
_PACKED = 1 << 18  # signs of a part that pays for its thread


@functools.cache
def kernels(backend: str) -> ModuleType:
    """The module of kernels: "numba", "numpy", or "auto" (numba, or numpy with a warning where that is missing)."""
    if backend not in ("auto", "numba", "numpy"):
        raise InputError("backend", got=repr(backend), expected="auto, numba or numpy")
    if backend == "numpy":
        return _numpy
    try:
        from bnn_fsg.runtime import _kernels
    except ImportError as error:
        if backend == "numba":
            raise
        warnings.warn(f"numpy runs the packed kernels, often slower than float32: {error}", stacklevel=3)
        return _numpy
    return _kernels


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Like `np.empty`, beginning where a line of the cache does: vectors then lie in one line each."""
    count = math.prod(shape)
    made: Any = np.empty(count + 64, dtype)
    address = ctypes.addressof(ctypes.c_char.from_buffer(made))  # in half of the time of `made.ctypes.data`
    first = -address % 64 // made.itemsize
    return made[first : first + count].reshape(shape)


def copied(x: np.ndarray) -> np.ndarray:
    """A copy in `aligned` memory."""
    made = aligned(x.shape, x.dtype)
    made[...] = x
    return made


@dataclass
class Finish:
    """What follows the sums: y = rectify(scale d + sums t + shift + residual); each (out,) float, see `_Layer`."""

    scale: np.ndarray
    shift: np.ndarray
    sums: np.ndarray | None = None
    shift_in: np.ndarray | None = None
    positive: np.ndarray | None = None
    negative: np.ndarray | None = None
    shift_out: np.ndarray | None = None

    def table(self, groups: int, extra: np.ndarray | None = None) -> np.ndarray:
        """(classes, groups, p, 7, 16) float32; `extra` (classes, out) is added to shift."""
        width = len(self.scale)
        zero, one = np.zeros(width), np.ones(width)
        shift = self.shift[None].astype(np.float64) + (0 if extra is None else extra)
        rows = [self.scale, zero if self.sums is None else self.sums, None, self.shift_in, self.positive]
        rows += [self.negative, self.shift_out]
        table = np.zeros((len(shift), 7, groups, -(-width // groups // LANES) * LANES), np.float32)
        for index, default in enumerate((zero, zero, zero, zero, one, one, zero)):
            row = shift if index == 2 else (default if rows[index] is None else rows[index])
            table[:, index, :, : width // groups] = np.reshape(row, (-1, groups, width // groups))
        table = table.reshape(len(shift), 7, groups, -1, LANES)
        return copied(table.transpose(0, 2, 3, 1, 4))

    @property
    def rectified(self) -> bool:
        """Whether anything comes after the shift."""
        return any(one is not None for one in (self.shift_in, self.positive, self.negative, self.shift_out))


def _panels(columns: np.ndarray) -> np.ndarray:
    """(groups, each, steps) -> (groups, p, steps, 16), zeros where a panel has fewer columns."""
    groups, each, steps = columns.shape
    padded = np.zeros((groups, -(-each // LANES) * LANES, steps), columns.dtype)
    padded[:, :each] = columns
    return copied(padded.reshape(groups, -1, LANES, steps).swapaxes(2, 3))


def _rows(residual: np.ndarray, pixels: int, width: int) -> np.ndarray:
    if residual.size not in (0, pixels * width):
        raise InputError("residual", got=f"shape {residual.shape}", expected=f"{pixels} pixels of {width} channels")
    return np.ascontiguousarray(residual, np.float32).reshape(-1, width) if residual.size else _NONE


def _check(what: str, x: np.ndarray, last: int, dtype: type) -> None:
    """The kernels check no bounds: what they are given must be pictures of `last` numbers or words a pixel."""
    if x.ndim != 4 or x.shape[3] != last or x.dtype != dtype:
        got, expected = f"{x.dtype} of shape {x.shape}", f"{dtype.__name__} (n, h, w, {last})"
        raise InputError(what, got=got, expected=expected)


class NotFiniteError(ValueError):
    """NaN or infinity in numbers that come in or go out: the caller knows where and says so."""


class _Layer:
    """Common to all: geometry, groups, widths; subclasses lay out their weights."""

    worth: int  # products of a part that pays for its thread: about 50 microseconds

    def __init__(self, shape: tuple[int, ...], geometry: Geometry, groups: int, finish: Finish, backend: str) -> None:
        channels = shape[-1]
        self.geometry, self.channels, self.groups, self.finish = geometry, channels, groups, finish
        self.width = len(finish.scale)
        if shape != (self.width, geometry.taps, channels) or self.width % groups:
            expected = f"({self.width}, {geometry.taps}, channels), filters in {groups} groups of one size"
            raise InputError("weights", got=f"shape {shape}", expected=expected)
        self.kernels: Any = kernels(backend)
        self._flags = finish.sums is not None, finish.rectified
        self._bound: dict[tuple[int, int], tuple[Any, ...]] = {}

    def _numbers(
        self,
        start: np.ndarray,
        table: np.ndarray,
        residual: np.ndarray,
        count: int,
        size: tuple[int, int],
        planes: bool,
    ) -> Numbers:
        """Room for the outputs of `count` pictures, and what their last steps need."""
        pixels = size[0] * size[1]
        rows = _rows(residual, count * pixels, self.width)
        if planes:
            out, finite = aligned((count * self.width, pixels), np.float32), np.array([True])
        else:
            out, finite, pixels = np.empty((count * pixels, self.width), np.float32), _FINITE, 0
        return Numbers(start, table, *self._flags, rows, out, pixels, finite, 0)

    def _pictures(self, last: Numbers, count: int, size: tuple[int, int]) -> np.ndarray:
        if not last.finite[0]:
            raise NotFiniteError
        return last.out.reshape((count, -1, *size) if last.planes else (count, *size, -1))

    def _run(self, call: Callable[[int, int], None], pixels: int, threads: int) -> None:
        products = pixels * self.width * self.channels * self.geometry.taps
        shared(call, pixels, products // self.worth, 1 if self.kernels is _numpy else threads)


def shared(call: Callable[[int, int], None], pixels: int, worth: int, threads: int) -> None:
    """`call` (begin, end) for all `pixels`, in parts that the threads take in turn: a late one gets fewer of them.

    `worth` is how many parts the work has that pay for their thread: with less than two this thread does all.
    """
    count = min(PARTS * threads, worth)
    if threads < 2 or count < 2:
        call(0, pixels)
        return
    step = max(STEP, -(-pixels // count // STEP) * STEP)
    in_turn(lambda first: call(first, min(first + step, pixels)), range(0, pixels, step), min(threads, count))


def in_turn(call: Callable[[int], object], numbers: range, threads: int) -> None:
    """`call` of each number by threads that take them in turn; this one works too, so that none has to wake for it."""
    left = iter(numbers)  # each `next` is whole: threads hold Python's lock

    def work() -> None:
        for number in left:
            call(number)

    others = [_pool(threads).submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        if not other.cancel():  # not begun: nothing is left for it
            other.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="bnn-fsg")


if hasattr(os, "register_at_fork"):  # a forked process has the pools, but none of their threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


class BitLayer(_Layer):
    """Bits times bits: y = scale (d + offset D) + sums (t + offset T) + shift, or the bits of d >= bound.

    d is the exact sum of sign products, t that of input signs, D that of weight signs and T the number of inputs, all
    over the steps inside the picture; `offset` is shift / scale of the input's two values.
    """

    worth = 1 << 24

    def __init__(
        self,
        bits: np.ndarray,
        geometry: Geometry,
        groups: int,
        finish: Finish,
        *,
        offset: float = 0.0,
        bound: tuple[np.ndarray, np.ndarray] | None = None,
        backend: str = "auto",
    ) -> None:
        """bits (out, taps, channels of a group) bool, True for +1; bound: (out,) int32 and (out,) bool to turn."""
        super().__init__(bits.shape, geometry, groups, finish, backend)
        out, _, channels = bits.shape
        self.offset = offset
        self.panels = self.kernels.arrange(_panels(words_of(bits.reshape(groups, out // groups, -1))))
        self._filters = Filters(channels, out // groups, self.panels)
        self.taps_sum = 2 * bits.sum(axis=2, dtype=np.int32) - channels  # (out, taps)
        self.bounds = np.zeros((groups, self.panels.shape[1], 2, LANES), np.int32)
        self.packs = bound is not None
        if bound is not None:
            both = np.stack([bound[0], -bound[1].astype(np.int32)]).reshape(2, groups, -1)
            self.bounds[:] = _panels(both.transpose(1, 2, 0).astype(np.int32))

    def bind(self, height: int, width: int) -> tuple[Bound, np.ndarray, np.ndarray]:
        """(bound geometry, start, table) for a picture size, see `Numbers`."""
        if (height, width) not in self._bound:
            bound = Bound.of(self.geometry, height, width)
            start = copied(np.zeros((len(bound.inside), self.groups, self.panels.shape[1] * LANES), np.int32))
            taken = (~bound.inside).astype(np.int32) @ self.taps_sum.T  # bits outside were counted as -1
            start[:, :, : self.width // self.groups] = taken.reshape(len(taken), self.groups, -1)
            start += self.geometry.taps * self.channels
            extra = None
            if self.offset:
                weights = bound.inside.astype(np.int32) @ self.taps_sum.T
                extra = self.offset * weights * self.finish.scale.astype(np.float64)
                if self.finish.sums is not None:
                    count = bound.inside.sum(1, keepdims=True) * self.channels
                    extra = extra + self.offset * count * self.finish.sums.astype(np.float64)
            self._bound[height, width] = bound, start, self.finish.table(self.groups, extra)
        return self._bound[height, width]

    def __call__(
        self, x: np.ndarray, residual: np.ndarray = _NONE, threads: int = 1, exact: bool = False, planes: bool = False
    ) -> np.ndarray:
        """x (n, h, w, words) uint64 -> (n, out_h, out_w, out) float32, int32 sums if `exact`, or words of bits.

        With `planes` float32 has its channels first, and NaN or infinity there is a NotFiniteError.
        """
        _check("input of a layer of bits", x, -(-self.channels * self.groups // 64), np.uint64)
        bound, start, table = self.bind(*x.shape[1:3])
        pixels = len(x) * bound.size[0] * bound.size[1]
        last: Sums | Bits | Numbers
        if exact:
            last = Sums(start, np.empty((pixels, self.width), np.int32))
        elif self.packs:
            last = Bits(start, self.bounds, np.empty((pixels, -(-self.width // 64)), np.uint64))
        else:
            last = self._numbers(start, table, residual, len(x), bound.size, planes)
        x, shape = self.kernels.surround(np.ascontiguousarray(x), self.channels, bound.shape)
        place, filters = Place(shape, bound.down, bound.across), self._filters
        self._run(lambda begin, end: self.kernels.conv_bits(x, place, filters, last, begin, end), pixels, threads)
        if isinstance(last, Numbers):
            return self._pictures(last, len(x), bound.size)
        return last.out.reshape(len(x), *bound.size, -1)


class FloatLayer(_Layer):
    """Numbers times bits (W1A32) or times numbers: y = rectify(scale d + sums t + shift + residual)."""

    worth = 1 << 21

    def __init__(
        self, weight: np.ndarray, geometry: Geometry, groups: int, finish: Finish, *, backend: str = "auto"
    ) -> None:
        """weight (out, taps, channels of a group): bool, True for +1, or float32."""
        super().__init__(weight.shape, geometry, groups, finish, backend)
        out = len(weight)
        panels = _panels(weight.reshape(groups, out // groups, -1))
        if weight.dtype == bool:
            octets = np.packbits(panels, axis=-1, bitorder="little")
            panels = np.ascontiguousarray(octets).view("<u2").astype(np.uint16, copy=False)
        self.panels, self._filters = panels, Filters(weight.shape[2], out // groups, panels)
        self.table = finish.table(groups)

    def __call__(
        self, x: np.ndarray, residual: np.ndarray = _NONE, threads: int = 1, planes: bool = False
    ) -> np.ndarray:
        """x (n, h, w, channels) float32 -> (n, out_h, out_w, out) float32; `planes` as in a `BitLayer`."""
        _check("input of a float layer", x, self.channels * self.groups, np.float32)
        size = x.shape[1], x.shape[2]
        if size not in self._bound:
            self._bound[size] = (Bound.of(self.geometry, *size),)
        (bound,) = self._bound[size]
        pixels = len(x) * bound.size[0] * bound.size[1]
        x = np.ascontiguousarray(x, np.float32)
        place, filters = Place(bound.shape, bound.down, bound.across), self._filters
        last = self._numbers(_NO_START, self.table, residual, len(x), bound.size, planes)
        self._run(lambda begin, end: self.kernels.conv_floats(x, place, filters, last, begin, end), pixels, threads)
        return self._pictures(last, len(x), bound.size)


def pack_signs(x: np.ndarray, thresholds: np.ndarray, backend: str = "auto", threads: int = 1) -> np.ndarray:
    """(n, h, w, channels) float32 -> (n, h, w, words) uint64: the bits of x >= thresholds (channels,)."""
    _check("input to be packed", x, len(thresholds), np.float32)
    pixels = x.size // x.shape[-1]
    out = np.empty((pixels, -(-x.shape[-1] // 64)), np.uint64)
    x = np.ascontiguousarray(x, np.float32)
    found, rows = kernels(backend), x.reshape(pixels, -1)
    threads = 1 if found is _numpy else threads
    shared(lambda begin, end: found.pack_signs(rows, thresholds, out, begin, end), pixels, x.size // _PACKED, threads)
    return out.reshape(*x.shape[:-1], -1)


def pack_planes(x: np.ndarray, thresholds: np.ndarray, backend: str = "auto", threads: int = 1) -> np.ndarray:
    """`pack_signs` of pictures with channels first: (n, channels, pixels) float32 -> (n, pixels, words) uint64.

    Raises: NotFiniteError for NaN or infinity.
    """
    if x.ndim != 3 or x.shape[1] != len(thresholds) or x.shape[2] < PLANE or x.dtype != np.float32:
        got, expected = f"{x.dtype} of shape {x.shape}", f"float32 (n, {len(thresholds)}, {PLANE} pixels or more)"
        raise InputError("input to be packed", got=got, expected=expected)
    x, finite = np.ascontiguousarray(x), np.array([True])
    count, channels, size = x.shape
    out = np.empty((count * size, -(-channels // 64)), np.uint64)
    found = kernels(backend)
    pixels, threads = count * size, 1 if found is _numpy else threads
    shared(
        lambda begin, end: found.pack_planes(x, thresholds, out, finite, begin, end), pixels, x.size // _PACKED, threads
    )
    if not finite[0]:
        raise NotFiniteError
    return out.reshape(count, size, -1)
