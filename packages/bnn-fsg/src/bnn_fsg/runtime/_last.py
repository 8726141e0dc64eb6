"""Last steps of a convolution: what is made of 16 sums, by the kind of output (`Sums`, `Numbers` or `Bits`).

numba compiles the kernels once for each kind and puts these in.
"""

# ruff: noqa: ARG001, ARG005  (numba asks for functions with the same arguments)
from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from bnn_fsg.runtime._arguments import LANES, Bits, Numbers, Sums
from bnn_fsg.runtime._compiled import compiled, inlined
from bnn_fsg.runtime._gather import aligned
from bnn_fsg.runtime._vectors import (
    bits_from,
    choose,
    is_finite,
    load,
    load_few,
    minus,
    multiply_add,
    plus,
    splat,
    store,
    store_few,
    to_floats,
    turn_16,
)

_INLINED: Any = {"nogil": True, "error_model": "numpy", "forceinline": True}
_TERMS = 7  # vectors of a panel in `Numbers.table`


@inlined
def finish_numbers(last, value, entry, total, pixel, channel, lanes):
    """Last steps of the float32 sums of up to 16 channels of a pixel; entry of the table; sum of the inputs."""
    table = entry * _TERMS * LANES
    shift = load(last.table, table + 2 * LANES)
    if last.summed:
        shift = multiply_add(splat(total), load(last.table, table + LANES), shift)
    value = multiply_add(value, load(last.table, table), shift)
    width = last.out.shape[1]
    if last.residual.size:
        at = pixel * width + channel
        value = plus(value, load(last.residual, at) if lanes == LANES else load_few(last.residual, at, lanes))
    if last.rectified:
        value = plus(value, load(last.table, table + 3 * LANES))
        slope = choose(value, load(last.table, table + 4 * LANES), load(last.table, table + 5 * LANES))
        value = multiply_add(value, slope, load(last.table, table + 6 * LANES))
    at = (pixel - last.origin) * width + channel
    if lanes == LANES:
        store(last.out, at, value)
    else:
        store_few(last.out, at, value, lanes)


@compiled
def turn_pixels(x, first, count, begin, end, out, pixels):
    """Rows of x (..., channels) as columns of out (n channels, pixels): `count` of them, pixels from `first` on of all
    pictures, and channels begin to end. Gives back whether all of them are finite."""
    channels = x.shape[1]
    flat, flat_out = x.reshape(-1), out.reshape(-1)
    seen, rest, done = splat(np.float32(0)), np.float32(0), 0
    while done < count:  # one picture after the other
        picture, pixel = (first + done) // pixels, (first + done) % pixels
        run = min(count - done, pixels - pixel)
        for row in range(0, run, LANES):
            for channel in range(begin, end, LANES):
                at = (done + row) * channels + channel
                target = (picture * channels + channel) * pixels + pixel + row
                if row + LANES <= run and channel + LANES <= end:
                    seen = turn_16(x, at, channels, out, target, pixels, seen)
                    continue
                for i in range(min(LANES, run - row)):
                    for j in range(min(LANES, end - channel)):
                        number = flat[np.uint64(at + i * channels + j)]
                        rest += number * np.float32(0)
                        flat_out[np.uint64(target + j * pixels + i)] = number
        done += run
    return is_finite(seen) and rest == 0


def room(last, rows, width):
    """Where outputs of one block of pixels are kept for `end_block`."""
    raise NotImplementedError  # compiled code only


def begin_block(last, block, first, count):
    """What `finish` shall be given for pixels from `first`."""
    raise NotImplementedError


def end_block(last, block, first, count, begin, end):
    """Bring channels begin to end of a block to their places."""
    raise NotImplementedError


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


@overload(room)
def _room(last, rows, width):
    if _is(last, Numbers):

        def work(last, rows, width):
            rows = rows if last.planes else 0
            return aligned(rows * width).reshape(rows, width)

        return work
    return lambda last, rows, width: np.empty((0, 0), np.float32)


@overload(begin_block, jit_options=_INLINED)
def _begin_block(last, block, first, count):
    if _is(last, Numbers):

        def moved(last, block, first, count):
            start, table, summed, rectified, residual, out, planes, finite, origin = last
            if planes:
                out, origin = block, first
            return Numbers(start, table, summed, rectified, residual, out, planes, finite, origin)

        return moved
    if _is(last, Bits):

        def cleared(last, block, first, count):
            for pixel in range(first, first + count):
                for word in range(last.out.shape[1]):
                    last.out[pixel, word] = np.uint64(0)
            return last

        return cleared
    return lambda last, block, first, count: last


@overload(end_block)
def _end_block(last, block, first, count, begin, end):
    if not _is(last, Numbers):
        return lambda last, block, first, count, begin, end: None

    def work(last, block, first, count, begin, end):
        if last.planes and not turn_pixels(block, first, count, begin, end, last.out, last.planes):
            last.finite[0] = False

    return work


@overload(adds_inputs)
def _adds_inputs(last):
    if _is(last, Numbers):
        return lambda last: last.summed
    return lambda last: False


@overload(finish, jit_options=_INLINED)
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
            finish_numbers(last, to_floats(sums), entry, total, pixel, channel, lanes)

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
