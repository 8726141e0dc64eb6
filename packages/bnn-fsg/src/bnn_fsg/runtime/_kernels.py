"""The inner loops, compiled by numba: xnor and popcount over 64-bit words, float tiles, packing, and their last steps.

They inline the pieces of `_gather.py`, `_tiles.py` and `_vectors.py`. numba's cache looks at this file alone, so a
change of those has to change INLINED here too; a test says to what. `_numpy.py` gives the same numbers.

Layouts: pictures are (n, h, w, channels); bits of a pixel are ceil(channels / 64) words, channel c in bit c % 64 of
word c // 64, zero above; a panel holds 16 output channels side by side, for each step along the reduced axis.
`shape` is (out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w), int64.
`down` (out_h, 3) and `across` (out_w, 3), int64, say for each output row and column which of the kernel's steps fall
inside the picture (first, last + 1) and of what class it is: pixels of one (row class, column class) lie alike to the
border, and class 0 of both is the interior. Tables have one entry for each of these classes, in row-major order.
"""

# ruff: noqa: ARG001  (numba asks for functions with arguments that not each needs)
from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from bnn_fsg.runtime._gather import compiled, gather_bits, gather_whole
from bnn_fsg.runtime._tiles import (
    BLOCK,
    FLOAT_BLOCK,
    FLOAT_PANELS,
    FLOAT_ROWS,
    LANES,
    LOOKUP,
    LOOKUP_ROWS,
    LOOKUP_STEPS,
    ROWS,
    _bit_row,
    _bit_tile,
    _float_row,
    _float_tile,
    _float_tiles,
    _lookup_1x1,
    _lookup_1x2,
    _lookup_4x1,
    _lookup_4x2,
    _sign_row,
    _sign_tile,
    _sign_tiles,
)
from bnn_fsg.runtime._vectors import (
    _bound_bits,
    _few_sign_bits,
    _finish_added,
    _finish_few,
    _finish_few_added,
    _finish_whole,
    _ones,
    _sign_bits,
    _turn_16,
)

_WORTH = 2  # rows up to which single ones are faster than a tile
INLINED = "78429bd96995"  # first of the SHA-256 of what is inlined


@compiled
def _finish(dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes):
    """Last steps of up to 16 channels, see `_finisher`; residual (pixels, out) like out, or (0, 0)."""
    if lanes == LANES:
        if residual.size:
            _finish_added(dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes)
        else:
            _finish_whole(dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes)
    elif residual.size:
        _finish_few_added(dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes)
    else:
        _finish_few(dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes)


@compiled
def turn(x, out):
    """x (n, rows, columns) as out (n, columns, rows), float32, both contiguous."""
    count, rows, columns = x.shape
    flat, flat_out = x.reshape(-1), out.reshape(-1)
    for picture in range(count):
        start = picture * rows * columns
        for row in range(0, rows, LANES):
            for column in range(0, columns, LANES):
                if row + LANES <= rows and column + LANES <= columns:
                    _turn_16(x, start + row * columns + column, columns, out, start + column * rows + row, rows)
                    continue
                for i in range(row, min(row + LANES, rows)):
                    for j in range(column, min(column + LANES, columns)):
                        flat_out[np.uint64(start + j * rows + i)] = flat[np.uint64(start + i * columns + j)]


@compiled
def pack_signs(x, thresholds, out, begin, end):
    """Bits of x >= thresholds: x (pixels, channels) float32, thresholds (channels,), out (pixels, words) uint64."""
    channels = x.shape[1]
    for pixel in range(begin, end):
        for word in range(out.shape[1]):
            bits = np.uint64(0)
            last = min(channels, 64 * word + 64)
            for first in range(64 * word, last, LANES):
                if last - first >= LANES:
                    few = _sign_bits(x, pixel * channels + first, thresholds, first, LANES)
                else:
                    few = _few_sign_bits(x, pixel * channels + first, thresholds, first, last - first)
                bits |= few << np.uint64(first - 64 * word)
            out[pixel, word] = bits


@compiled
def _bit_rows(a, a_at, a_row, a_step, count, panels, first, last, words, bits, out):
    """Dots of `count` rows of a with the panels first to last of `words` steps, into out (BLOCK, 16 (last - first))."""
    width = out.shape[1]
    for panel in range(first, last):
        at = panel * words * LANES
        column = (panel - first) * LANES
        row = 0
        while row + ROWS <= count:
            here = a_at + row * a_row
            _bit_tile(a, here, a_row, a_step, panels, at, words, out, row * width + column, width, bits)
            row += ROWS
        while row < count:
            here = a_at + row * a_row
            _bit_row(a, here, a_row, a_step, panels, at, words, out, row * width + column, width, bits)
            row += 1


def arrange(panels: np.ndarray) -> np.ndarray:
    """Panels (groups, p, words, 16) uint64 as `conv_bits` wants them on this machine, of the same shape."""
    if not LOOKUP:
        return panels
    octets = panels.astype("<u8", copy=False).view(np.uint8).reshape(*panels.shape, 8)
    return np.ascontiguousarray(octets.swapaxes(-1, -2)).view(np.uint64).reshape(panels.shape)


@compiled
def _lookup_places(a, a_at, a_row, a_step, count, places):
    """32 times each byte of `count` rows of a, into places (BLOCK, 8 words) uint16."""
    octets, flat, steps = a.view(np.uint8), places.reshape(-1), places.shape[1]
    together = steps if a_step == 1 else 8  # bytes that lie in one piece
    for index in range(count):
        for step in range(0, steps, together):
            source, target = 8 * (a_at + index * a_row) + step * a_step, index * steps + step
            for octet in range(together):
                flat[np.uint64(target + octet)] = np.uint16(octets[np.uint64(source + octet)]) << np.uint16(5)


@compiled
def _lookup_rows(places, count, panels, first, last, words, bits, out):
    """As `_bit_rows`, from what `_lookup_places` made of the rows and `arrange` of the panels."""
    width = out.shape[1]
    steps = (bits + 15) // 16 * 2
    pieces = (steps + LOOKUP_STEPS - 1) // LOOKUP_STEPS
    size = (steps // 2 + pieces - 1) // pieces * 2
    apart = words * LANES
    each = places.shape[1]
    begin = 0
    while begin < steps:
        few = min(size, steps - begin)
        start = bits if begin == 0 else -1
        panel = first
        while panel + 2 <= last:
            here = panel * apart + 2 * begin
            column = (panel - first) * LANES
            row = 0
            while row + LOOKUP_ROWS <= count:
                _lookup_4x2(
                    places, row * each + begin, each, panels, here, apart, few, out, row * width + column, width, start
                )
                row += LOOKUP_ROWS
            while row < count:
                _lookup_1x2(
                    places, row * each + begin, each, panels, here, apart, few, out, row * width + column, width, start
                )
                row += 1
            panel += 2
        if panel < last:
            here = panel * apart + 2 * begin
            column = (panel - first) * LANES
            row = 0
            while row + LOOKUP_ROWS <= count:
                _lookup_4x1(
                    places, row * each + begin, each, panels, here, apart, few, out, row * width + column, width, start
                )
                row += LOOKUP_ROWS
            while row < count:
                _lookup_1x1(
                    places, row * each + begin, each, panels, here, apart, few, out, row * width + column, width, start
                )
                row += 1
        begin += few


@compiled
def conv_bits(x, channels, shape, down, across, panels, fix, table, summed, bounds, residual, out, kind, begin, end):
    """An xnor convolution, zero padding counted as zero, for output pixels begin to end.

    x (n, h, w, words) uint64 with `channels` bits for each group; panels (groups, p, words, 16) uint64;
    fix (classes, groups, 16 p) int32: what the steps of the kernel outside the picture were counted as, taken back.
    `kind` says which of the three outputs is written:
        0: out[0] (pixels, out) int32, the exact sums;
        1: out[1] (pixels, out) float32, after scale, shift, residual and rectifier: table (classes or 1, groups, p, 7,
           16) float32, see `_finisher`; residual (pixels, out), or (0, 0); summed: whether the sum of the input counts;
        2: out[2] (pixels, words) uint64, the bits of sum >= bound: bounds (groups, p, 2, 16) int32, see `_bound_bits`.
    """
    sums, floats, packed = out
    groups, many, words = panels.shape[0], panels.shape[1], panels.shape[2]
    width = floats.shape[1] if kind == 1 else sums.shape[1]
    each = width // groups
    out_h, out_w, taps = shape[0], shape[1], shape[2] * shape[3]
    columns = 1
    for column in range(out_w):
        columns = max(columns, across[column, 2] + 1)
    places = np.empty((BLOCK, 8 * words if LOOKUP else 0), np.uint16)
    dots = np.empty((BLOCK, many * LANES), np.int32)
    flat_dots, flat_fix, flat_sums = dots.reshape(-1), fix.reshape(-1), sums.reshape(-1)
    plain = taps == 1 and groups == 1 and shape[4] * shape[5] == 1 and shape[6] + shape[7] == 0
    whole = not plain and channels & 63 == 0  # words under the kernel are whole words of the picture
    buffer = np.empty(words * BLOCK, np.uint64)
    rows, tight = buffer.reshape(BLOCK, words), buffer.reshape(words, BLOCK)
    source, a_row, a_step = (x.reshape(-1) if plain else buffer), words, 1
    if not plain and not whole:
        a_row, a_step = 1, BLOCK
    for first in range(begin, end, BLOCK):
        count = min(BLOCK, end - first)
        start = first * words if plain else 0
        if kind == 2:
            for pixel in range(first, first + count):
                for word in range(packed.shape[1]):
                    packed[pixel, word] = np.uint64(0)
        for group in range(groups):
            panel = group * many
            if whole:
                gather_whole(x, shape, down, across, group * (channels >> 6), channels >> 6, first, count, rows)
            elif not plain:
                gather_bits(x, shape, down, group * channels, channels, first, count, tight)
            if LOOKUP:
                _lookup_places(source, start, a_row, a_step, count, places)
                _lookup_rows(places, count, panels, panel, panel + many, words, channels * taps, dots)
            else:
                _bit_rows(
                    source, start, a_row, a_step, count, panels, panel, panel + many, words, channels * taps, dots
                )
            row, column = first // out_w % out_h, first % out_w
            for index in range(count):
                pixel = first + index
                border = down[row, 2] * columns + across[column, 2]
                total = np.float32(0)
                if summed:
                    ones = 0
                    for word in range(words):
                        ones += _ones(source[start + index * a_row + word * a_step])
                    inside = (down[row, 1] - down[row, 0]) * (across[column, 1] - across[column, 0])
                    total = np.float32(2 * ones - inside * channels)
                fix_at = (border * groups + group) * many * LANES
                entry = ((border if table.shape[0] > 1 else 0) * groups + group) * many
                for panel in range(many):
                    lanes = min(LANES, each - panel * LANES)
                    channel = group * each + panel * LANES
                    here = (index * many + panel) * LANES
                    mend = fix_at + panel * LANES
                    if kind == 1:
                        at = pixel * width + channel
                        where = (entry + panel) * 7 * LANES
                        _finish(dots, here, fix, mend, table, where, total, residual, floats, at, lanes)
                    elif kind == 2:
                        where = (group * many + panel) * 2 * LANES
                        bits = _bound_bits(dots, here, fix, mend, bounds, where, lanes)
                        packed[pixel, channel >> 6] |= bits << np.uint64(channel & 63)
                        if (channel & 63) + lanes > 64:
                            packed[pixel, (channel >> 6) + 1] |= bits >> np.uint64(64 - (channel & 63))
                    else:
                        at = pixel * width + channel
                        for lane in range(lanes):
                            exact = flat_dots[np.uint64(here + lane)] + flat_fix[np.uint64(mend + lane)]
                            flat_sums[np.uint64(at + lane)] = exact
                column += 1
                if column == out_w:
                    column = 0
                    row = row + 1 if row + 1 < out_h else 0


@compiled
def conv_floats(x, channels, shape, down, across, panels, table, summed, residual, out, begin, end):
    """A convolution of numbers by bits (panels uint16: bit j is the sign of column j) or by numbers (float32).

    x (n, h, w, groups channels) float32; panels (groups, p, taps channels, 16) float32, or (groups, p, taps channels,
    1) uint16; table (1, groups, p, 7, 16) float32, see `_finisher`; residual (pixels, out) or (0, 0);
    out (pixels, out) float32.
    """
    groups, many, steps, size = panels.shape[0], panels.shape[1], panels.shape[2], panels.shape[2] * panels.shape[3]
    width = out.shape[1]
    each = width // groups
    rows = np.empty((FLOAT_BLOCK, steps), np.float32)
    dots = np.empty((FLOAT_BLOCK, many * LANES), np.float32)
    no_fix = np.empty(0, np.int32)
    for first in range(begin, end, FLOAT_BLOCK):
        count = min(FLOAT_BLOCK, end - first)
        for group in range(groups):
            gather_whole(x, shape, down, across, group * channels, channels, first, count, rows)
            panel = 0
            while panel < many:
                few = FLOAT_PANELS if panel + FLOAT_PANELS <= many else 1
                _float_rows(rows, count, panels, (group * many + panel) * size, steps, dots, panel * LANES, few)
                panel += few
            for index in range(count):
                total = np.float32(0)
                if summed:
                    for step in range(steps):
                        total += rows[index, step]
                for panel in range(many):
                    lanes = min(LANES, each - panel * LANES)
                    at = (first + index) * width + group * each + panel * LANES
                    here = (index * many + panel) * LANES
                    where = (group * many + panel) * 7 * LANES
                    _finish(dots, here, no_fix, 0, table, where, total, residual, out, at, lanes)


def _float_rows(rows, count, panels, at, steps, dots, column, few):
    """Sums of one or of FLOAT_PANELS panels for `count` rows; chosen by the kind of panel when compiled."""
    raise NotImplementedError  # compiled code only


@overload(_float_rows)
def _float_rows_of(rows, count, panels, at, steps, dots, column, few):
    signs = panels.dtype == types.uint16
    tiles, tile, one = (_sign_tiles, _sign_tile, _sign_row) if signs else (_float_tiles, _float_tile, _float_row)
    apart = 1 if signs else LANES

    def work(rows, count, panels, at, steps, dots, column, few):
        width = dots.shape[1]
        row = 0
        while row + _WORTH < count:  # a whole tile takes as long as so many single rows; what is too much is not used
            if few == 1:
                tile(rows, row * steps, steps, 1, panels, at, steps, dots, row * width + column, width, 0)
            else:
                tiles(rows, row * steps, steps, 1, panels, at, steps, dots, row * width + column, width, 0)
            row += FLOAT_ROWS
        while row < count:
            for panel in range(few):
                here, place = at + panel * steps * apart, row * width + column + panel * LANES
                one(rows, row * steps, steps, 1, panels, here, steps, dots, place, width, 0)
            row += 1

    return work
