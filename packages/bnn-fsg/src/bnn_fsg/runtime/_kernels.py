"""The inner loops, compiled by numba: xnor and popcount over 64-bit words, float tiles, signs into words.

They put in the pieces of `_gather.py`, `_tiles.py`, `_vectors.py` and `_last.py`; `_numpy.py` gives the same numbers.

Layouts: pictures are (n, h, w, channels); bits of a pixel are ceil(channels / 64) words, channel c in bit c % 64 of
word c // 64, zero above; a panel holds 16 output channels side by side, for each step along the reduced axis. What is
given together is explained in `_arguments.py`. Pixels of one (row class, column class) lie alike to the border of the
picture; class 0 of both is the interior. Tables have one entry for each of these classes, in row-major order.
"""

# ruff: noqa: ARG001, ARG005  (numba asks for functions with the same arguments)
from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from bnn_fsg.runtime._arguments import LANES, PLANE, Array
from bnn_fsg.runtime._compiled import compiled, inlined
from bnn_fsg.runtime._gather import (
    aligned,
    begins_of_pixels,
    begins_of_steps,
    border_classes,
    gather_bits,
    gather_numbers,
    steps_of_kernel,
)
from bnn_fsg.runtime._last import adds_inputs, begin_block, end_block, finish, finish_numbers, room, turn_pixels
from bnn_fsg.runtime._subsets import conv_signs as conv_signs
from bnn_fsg.runtime._subsets import margined_planes as margined_planes
from bnn_fsg.runtime._subsets import picks_of as picks_of
from bnn_fsg.runtime._tiles import (
    BLOCK,
    FLOAT_BLOCK,
    FLOAT_PANELS,
    FLOAT_ROWS,
    LOOKUP,
    LOOKUP_ROWS,
    LOOKUP_STEPS,
    ROWS,
    bit_row,
    bit_tile,
    expand,
    float_row,
    float_tile,
    float_tiles,
    lookup_1x1,
    lookup_1x2,
    lookup_4x1,
    lookup_4x2,
)
from bnn_fsg.runtime._vectors import (
    bits_from,
    is_finite,
    load,
    load_few,
    ones,
    plane_words,
    splat,
    store_words,
)

_WORTH = 2  # rows up to which single ones are faster than a tile
_DIRECT = 16  # channels from which numbers are read where they lie
_EXPANDED = 1 << 17  # weights that are made floats at a time, to stay in a cache


@compiled
def turn(x, out):
    """x (n, rows, columns) as out (n, columns, rows), float32, both contiguous; whether all of x is finite."""
    count, rows, columns = x.shape
    return turn_pixels(x.reshape(-1, columns), 0, count * rows, 0, columns, out.reshape(-1, rows), rows)


@compiled
def pack_signs(x, thresholds, out, begin, end):
    """Bits of x >= thresholds: x (pixels, channels) float32, thresholds (channels,), out (pixels, words) uint64."""
    channels = x.shape[1]
    for pixel in range(begin, end):
        for word in range(out.shape[1]):
            bits = np.uint64(0)
            last = min(channels, 64 * word + 64)
            for first in range(64 * word, last, LANES):
                at, lanes = pixel * channels + first, last - first
                if lanes >= LANES:
                    few = bits_from(load(x, at), load(thresholds, first))
                else:
                    few = bits_from(load_few(x, at, lanes), load_few(thresholds, first, lanes))
                    few &= (np.uint64(1) << np.uint64(lanes)) - np.uint64(1)
                bits |= few << np.uint64(first - 64 * word)
            out[pixel, word] = bits


@compiled
def pack_planes(x, thresholds, out, finite, begin, end):
    """`pack_signs` of x (n, channels, pixels), at least 16 pixels, into out (n pixels, words); pixels begin to end.

    finite (1,) bool is set to False where there is NaN or infinity.
    """
    _, channels, pixels = x.shape
    words = out.shape[1]
    seen = splat(np.float32(0))
    at = begin
    while at < end:
        picture = at // pixels
        here = min(at, picture * pixels + pixels - PLANE)  # the last ones once more, where fewer are left
        for word in range(words):
            first = 64 * word
            place = (picture * channels + first) * pixels + here - picture * pixels
            low, high, seen = plane_words(x, place, pixels, thresholds, first, min(64, channels - first), seen)
            store_words(out, here * words + word, words, low)
            store_words(out, (here + 8) * words + word, words, high)
        at = here + PLANE
    if not is_finite(seen):
        finite[0] = False


def arrange(panels: Array) -> Array:
    """Panels (groups, p, words, 16) uint64 as `conv_bits` wants them on this machine, of the same shape."""
    if not LOOKUP:
        return panels
    octets = panels.astype("<u8", copy=False).view(np.uint8).reshape(*panels.shape, 8)
    return np.ascontiguousarray(octets.swapaxes(-1, -2)).view(np.uint64).reshape(panels.shape)


def surround(x: Array, channels: int, shape: Array) -> tuple[Array, Array]:
    """x (n, h, w, words) with zeros around as wide as the padding, and a shape without padding, so that `conv_bits`
    finds each pixel's words in place; both as they are where groups share words, or x would be much larger."""
    if channels % 64:
        return x, shape
    down, right = shape[6:8].tolist()
    height, width = x.shape[1] + 2 * down, x.shape[2] + 2 * right
    if not down + right or height * width > 8 * x.shape[1] * x.shape[2]:
        return x, shape
    wide = np.zeros((len(x), height, width, x.shape[3]), np.uint64)
    wide[:, down : down + x.shape[1], right : right + x.shape[2]] = x
    shape = shape.copy()
    shape[6:8] = 0
    return wide, shape


@compiled
def _lookup_places(x, begins, steps_at, count, places):
    """32 times each byte of the words of `count` rows, into places (BLOCK, 8 words) uint16."""
    octets, flat, steps = x.view(np.uint8), places.reshape(-1), places.shape[1]
    for index in range(count):
        for step in range(len(steps_at)):
            source, target = 8 * (begins[index] + steps_at[step]), index * steps + 8 * step
            for octet in range(8):
                flat[np.uint64(target + octet)] = np.uint16(octets[np.uint64(source + octet)]) << np.uint16(5)


@compiled
def _lookup_rows(places, count, panels, first, last, words, bits, out):
    """Twice the differing bits of `count` rows of `_lookup_places` and the panels first to last of `arrange`, into out
    (BLOCK, 16 (last - first))."""
    width = out.shape[1]
    steps = (bits + 15) // 16 * 2
    pieces = (steps + LOOKUP_STEPS - 1) // LOOKUP_STEPS
    size = (steps // 2 + pieces - 1) // pieces * 2
    apart = words * LANES
    each = places.shape[1]
    for begin in range(0, steps, size):
        few, more = min(size, steps - begin), begin
        panel = first
        while panel < last:
            at, column, row = panel * apart + 2 * begin, (panel - first) * LANES, 0
            two = panel + 2 <= last
            while row < count:
                here, target = row * each + begin, row * width + column
                if row + LOOKUP_ROWS <= count:
                    if two:
                        lookup_4x2(places, here, each, panels, at, apart, few, out, target, width, more)
                    else:
                        lookup_4x1(places, here, each, panels, at, apart, few, out, target, width, more)
                    row += LOOKUP_ROWS
                else:
                    if two:
                        lookup_1x2(places, here, each, panels, at, apart, few, out, target, width, more)
                    else:
                        lookup_1x1(places, here, each, panels, at, apart, few, out, target, width, more)
                    row += 1
            panel += 2


@compiled
def conv_bits(x, place, filters, last, begin, end):
    """An xnor convolution, zero padding counted as zero, for output pixels begin to end.

    x (n, h, w, words) uint64 and `Place`, as `surround` gives them; `Filters` with panels (groups, p, words, 16)
    uint64, as `arrange` gives them; `Sums`, `Numbers` or `Bits`.
    """
    channels, each, panels = filters
    shape = place.shape
    groups, many, words = panels.shape[0], panels.shape[1], panels.shape[2]
    taps, all_panels = shape[2] * shape[3], groups * many
    columns = place.across[:, 2].max() + 1
    steps_at, begins = np.empty(words, np.int64), np.empty(BLOCK, np.int64)
    classes, insides, totals = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.zeros(BLOCK, np.float32)
    places = np.empty((BLOCK, 8 * words if LOOKUP else 0), np.uint16)
    dots = np.empty((BLOCK, many * LANES if LOOKUP else 0), np.int32)
    whole = channels & 63 == 0 or (taps == 1 and groups == 1)  # words of the kernel's steps are words of the picture
    direct = whole and shape[6] + shape[7] == 0
    tight = np.empty((words, 0 if direct else BLOCK), np.uint64)
    source = x.reshape(-1) if direct else tight.reshape(-1)
    block = room(last, BLOCK, groups * each)
    if direct:
        steps_of_kernel(x, place, steps_at)
    else:
        for index in range(BLOCK):
            begins[index] = index
        for step in range(words):
            steps_at[step] = step * BLOCK
    for first in range(begin, end, BLOCK):
        count = min(BLOCK, end - first)
        border_classes(place, columns, first, count, classes, insides)
        here = begin_block(last, block, first, count)
        for group in range(groups):
            if direct:
                begins_of_pixels(x, place, group * (channels >> 6), first, count, begins)
            else:
                gather_bits(x, place, group * channels, channels, first, count, tight)
            if adds_inputs(last):
                for index in range(count):
                    found = 0
                    for step in range(words):
                        found += ones(source[np.uint64(begins[index] + steps_at[step])])
                    totals[index] = np.float32(2 * found - insides[index] * channels)
            if LOOKUP:
                _lookup_places(source, begins, steps_at, count, places)
                _lookup_rows(places, count, panels, group * many, group * many + many, words, channels * taps, dots)
            for panel in range(many):
                lanes = min(LANES, each - panel * LANES)
                channel, this = group * each + panel * LANES, group * many + panel
                row = 0
                while row < count:
                    if LOOKUP:
                        taken = load(dots, (row * many + panel) * LANES)
                    elif row + ROWS <= count:
                        tile = bit_tile(source, begins, row, steps_at, panels, this * words * LANES, words)
                        _finish_tile(here, tile, first, row, classes, totals, this, all_panels, channel, lanes)
                        row += ROWS
                        continue
                    else:
                        (taken,) = bit_row(source, begins, row, steps_at, panels, this * words * LANES, words)
                    finish(here, taken, first + row, classes[row], totals[row], this, all_panels, channel, lanes)
                    row += 1
        end_block(last, block, first, count, 0, groups * each)


@inlined
def _finish_tile(last, tile, first, row, classes, totals, panel, panels, channel, lanes):
    """`finish` for the rows of a tile from `row` of the block that begins at pixel `first`."""
    one, two, three, four = tile  # by name: an index would take them through memory
    at = first + row
    finish(last, one, at, classes[row], totals[row], panel, panels, channel, lanes)
    finish(last, two, at + 1, classes[row + 1], totals[row + 1], panel, panels, channel, lanes)
    finish(last, three, at + 2, classes[row + 2], totals[row + 2], panel, panels, channel, lanes)
    finish(last, four, at + 3, classes[row + 3], totals[row + 3], panel, panels, channel, lanes)


@compiled
def conv_floats(x, place, filters, last, begin, end):
    """A convolution of numbers by bits (panels uint16: bit j is the sign of column j) or by numbers (float32).

    x (n, h, w, groups channels) float32; `Place`; `Filters` with panels (groups, p, taps channels, 16) float32, or
    (groups, p, taps channels, 1) uint16; `Numbers` with a table of one class.
    """
    channels, each, panels = filters
    groups, many, steps = panels.shape[0], panels.shape[1], panels.shape[2]
    chunk = min(many, max(1, _EXPANDED // (steps * LANES) // FLOAT_PANELS) * FLOAT_PANELS)  # panels
    scratch = aligned(FLOAT_BLOCK * chunk * LANES + channels)
    dots, outside = scratch[:-channels].reshape(FLOAT_BLOCK, chunk * LANES), scratch[-channels:]
    outside[:] = 0
    few = end - begin <= _WORTH
    floats = _floats_for(panels, 0 if few else chunk)
    direct = channels >= _DIRECT
    rows = np.empty((0 if direct else FLOAT_BLOCK, steps), np.float32)
    zeros = (outside.ctypes.data - x.ctypes.data) // 4
    begins = np.empty((steps // channels if direct else 1, FLOAT_BLOCK), np.int64)
    source, length = (x.reshape(-1), channels) if direct else (rows.reshape(-1), steps)
    for index in range(FLOAT_BLOCK):
        begins[0, index] = index * steps
    block = room(last, FLOAT_BLOCK, groups * each)
    for group in range(groups):
        for some in range(0, many, chunk):
            until = min(many, some + chunk)
            start = group * many + some
            at = _as_floats(panels, start * steps, 0 if few else (until - some) * steps, floats)
            for first in range(begin, end, FLOAT_BLOCK):
                count = min(FLOAT_BLOCK, end - first)
                here = begin_block(last, block, first, count)
                if direct:
                    begins_of_steps(x, place, group * channels, zeros, first, count, begins)
                else:
                    gather_numbers(x, place, group * channels, channels, first, count, rows)
                if few:
                    _each_row(source, begins, count, length, panels, start, until - some, dots)
                else:
                    _each_tile(source, begins, count, length, floats, at, steps, until - some, dots)
                for index in range(count):
                    total = np.float32(0)
                    if last.summed:
                        for piece in range(len(begins)):
                            for step in range(length):
                                total += source[np.uint64(begins[piece, index] + step)]
                    for panel in range(some, until):
                        lanes, channel = min(LANES, each - panel * LANES), group * each + panel * LANES
                        value = load(dots, (index * chunk + panel - some) * LANES)
                        finish_numbers(here, value, group * many + panel, total, first + index, channel, lanes)
                ends = group * each + min(each, until * LANES)
                end_block(last, block, first, count, group * each + some * LANES, ends)


@compiled
def _each_row(x, begins, count, length, panels, first, many, dots):
    """Sums of `many` panels of floats or signs from `first` on for `count` rows, one after the other."""
    steps, size = panels.shape[2], panels.shape[2] * panels.shape[3]
    for row in range(count):
        for panel in range(many):
            target = row * dots.shape[1] + panel * LANES
            float_row(x, begins, row, length, panels, (first + panel) * size, steps, dots, target, 0)


@compiled
def _each_tile(x, begins, count, length, panels, at, steps, many, dots):
    """Sums of `many` panels of floats for `count` rows; rows that fill no tile are worked on all the same, unused."""
    width, row = dots.shape[1], 0
    while row < count:
        panel = 0
        while panel < many:
            here, target = at + panel * steps * LANES, row * width + panel * LANES
            if panel + FLOAT_PANELS <= many:
                float_tiles(x, begins, row, length, panels, here, steps, dots, target, width)
                panel += FLOAT_PANELS
            else:
                float_tile(x, begins, row, length, panels, here, steps, dots, target, width)
                panel += 1
        row += FLOAT_ROWS


def _floats_for(panels, many):
    """Room for `many` panels of signs as floats; the panels themselves where they are floats."""
    raise NotImplementedError  # compiled code only


def _as_floats(panels, at, count, floats):
    """`count` steps of panels of signs from step `at` made floats; where they begin in there."""
    raise NotImplementedError


@overload(_floats_for)
def _floats_for_kind(panels, many):
    if panels.dtype == types.float32:
        return lambda panels, many: panels.reshape(-1)
    return lambda panels, many: aligned(many * panels.shape[2] * LANES)


@overload(_as_floats)
def _as_floats_of_kind(panels, at, count, floats):
    if panels.dtype == types.float32:
        return lambda panels, at, count, floats: at * LANES

    def work(panels, at, count, floats):
        for step in range(count):
            expand(panels, at + step, floats, step * LANES)
        return 0

    return work
