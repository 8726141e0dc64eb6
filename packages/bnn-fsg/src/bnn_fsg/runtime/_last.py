"""Last steps of a convolution: what is made of 16 sums, by the kind of output (`Sums`, `Numbers` or `Bits`).

numba compiles the kernels once for each kind and puts these in.
"""

# ruff: noqa: ARG001  (numba asks for functions with the same arguments)
from __future__ import annotations

import numpy as np
from numba.extending import overload

from bnn_fsg.runtime._arguments import LANES, Bits, Numbers, Sums
from bnn_fsg.runtime._compiled import compiled
from bnn_fsg.runtime._vectors import (
    bits_from,
    choose,
    load,
    load_few,
    minus,
    multiply_add,
    plus,
    splat,
    store,
    store_few,
    to_floats,
)

_TERMS = 7  # vectors of a panel in `Numbers.table`


@compiled
def finish_numbers(last, value, entry, total, at, lanes):
    """Last steps of the float32 sums of up to 16 channels, to element `at`; entry of the table; sum of the inputs."""
    table = entry * _TERMS * LANES
    shift = load(last.table, table + 2 * LANES)
    if last.summed:
        shift = multiply_add(splat(total), load(last.table, table + LANES), shift)
    value = multiply_add(value, load(last.table, table), shift)
    if last.residual.size:
        value = plus(value, load(last.residual, at) if lanes == LANES else load_few(last.residual, at, lanes))
    if last.rectified:
        value = plus(value, load(last.table, table + 3 * LANES))
        slope = choose(value, load(last.table, table + 4 * LANES), load(last.table, table + 5 * LANES))
        value = multiply_add(value, slope, load(last.table, table + 6 * LANES))
    if lanes == LANES:
        store(last.out, at, value)
    else:
        store_few(last.out, at, value, lanes)


def begin_pixels(last, first, count):
    """Make outputs ready for `finish`."""
    raise NotImplementedError  # compiled code only


def adds_inputs(last):
    """Whether the last steps need the sum of a pixel's inputs."""
    raise NotImplementedError


def finish(last, taken, pixel, border, total, panel, panels, channel, lanes):
    """Last steps of up to 16 channels of a pixel, from `channel`.

    taken: twice their differing bits; border: class of the pixel; total: sum of its inputs; panel of `panels` in all.
    """
    raise NotImplementedError


def _is(last, kind):
    return getattr(last, "instance_class", None) is kind


@overload(begin_pixels)
def _begin_pixels(last, first, count):
    if not _is(last, Bits):
        return lambda last, first, count: None

    def clear(last, first, count):
        for pixel in range(first, first + count):
            for word in range(last.out.shape[1]):
                last.out[pixel, word] = np.uint64(0)

    return clear


@overload(adds_inputs)
def _adds_inputs(last):
    if _is(last, Numbers):
        return lambda last: last.summed
    return lambda last: False


@overload(finish)
def _finish(last, taken, pixel, border, total, panel, panels, channel, lanes):
    if _is(last, Sums):

        def work(last, taken, pixel, border, total, panel, panels, channel, lanes):
            sums = minus(load(last.start, (border * panels + panel) * LANES), taken)
            at = pixel * last.out.shape[1] + channel
            if lanes == LANES:
                store(last.out, at, sums)
            else:
                store_few(last.out, at, sums, lanes)

    elif _is(last, Numbers):

        def work(last, taken, pixel, border, total, panel, panels, channel, lanes):
            sums = minus(load(last.start, (border * panels + panel) * LANES), taken)
            entry = (border if last.table.shape[0] > 1 else 0) * panels + panel
            at = pixel * last.out.shape[1] + channel
            finish_numbers(last, to_floats(sums), entry, total, at, lanes)

    else:

        def work(last, taken, pixel, border, total, panel, panels, channel, lanes):
            sums = minus(load(last.start, (border * panels + panel) * LANES), taken)
            at = panel * 2 * LANES
            kept = bits_from(load(last.bounds, at + LANES), minus(sums, sums))  # those that are not turned
            bits = ~(bits_from(sums, load(last.bounds, at)) ^ kept) & (
                (np.uint64(1) << np.uint64(lanes)) - np.uint64(1)
            )
            last.out[pixel, channel >> 6] |= bits << np.uint64(channel & 63)
            if (channel & 63) + lanes > 64:
                last.out[pixel, (channel >> 6) + 1] |= bits >> np.uint64(64 - (channel & 63))

    return work
