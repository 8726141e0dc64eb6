"""Numbers by signs without multiplications: the 16 sums of four inputs, +-a +-b +-c +-d, are made once for 16 pixels.

Every filter then adds one of them for four of its steps. With 16 filters or more that takes less than half of the
operations of multiplying; the sums lie in the innermost cache.
"""

# ruff: noqa: ARG001  (numba asks for functions with arguments that not each needs)
from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from bnn_fsg.runtime._arguments import LANES, SUBSETS
from bnn_fsg.runtime._compiled import compiled
from bnn_fsg.runtime._gather import aligned
from bnn_fsg.runtime._last import begin_block, end_block, finish_numbers, room
from bnn_fsg.runtime._vectors import (
    _F32,
    _FLOATS,
    _I64,
    _as,
    _intrinsic,
    _load,
    _pointer,
    load,
    plus,
    splat,
    store,
    turn_16,
)

_ENTRIES = 16  # sums of four inputs


@_intrinsic
def _subset_sums(typing, x, at, second, third, fourth, out, out_at):
    """Into `out` from out_at on: 16 vectors of +-a +-b +-c +-d, where a is at x[at], b `second` further, and so on.

    Bit 0 of an entry's number says whether a is added (else taken away), bit 1 b, bit 2 c, bit 3 d.
    """
    place = types.int64
    signature = types.void(x, place, place, place, place, out, place)

    def generate(context, builder, sig, values):
        x, at, *further, out, out_at = values
        places = [at, *(builder.add(at, one) for one in further)]
        a, b, c, d = (
            _load(builder, _pointer(context, builder, sig.args[0], x, one, _F32), _FLOATS, 4) for one in places
        )
        low, high = {3: builder.fadd(a, b), 1: builder.fsub(a, b)}, {3: builder.fadd(c, d), 1: builder.fsub(c, d)}
        none = ir.Constant(_FLOATS, [-0.0] * LANES)
        for first in (3, 1):
            for last in range(4):
                if last in high:
                    total = builder.fadd(low[first], high[last])
                else:  # the opposite of 3 - last
                    total = builder.fsub(low[first], high[3 - last])
                entry = first + 4 * last
                for index, value in ((entry, total), (_ENTRIES - 1 - entry, builder.fsub(none, total))):
                    target = builder.add(out_at, _I64(index * LANES))
                    target = _as(builder, _pointer(context, builder, sig.args[5], out, target, _F32), _FLOATS)
                    builder.store(value, target, align=4)
        return context.get_dummy_value()

    return signature, generate


def picks_of(bits: np.ndarray, groups: int) -> np.ndarray:
    """Where the sum that a filter adds begins in the table: (groups, places) uint16.

    bits (out, taps, channels of a group) bool. Places by portions of SUBSETS fours of steps, then four filters, then
    each four of steps of the portion, then each of the filters. Steps beyond the channels, and filters beyond `out`,
    are 0.
    """
    out, taps, channels = bits.shape
    wide = np.zeros((groups, -(-out // groups // 4) * 4, taps, -(-channels // 4) * 4), bool)
    wide[:, : out // groups, :, :channels] = bits.reshape(groups, out // groups, taps, channels)
    entries = np.packbits(wide.reshape(groups, wide.shape[1], -1, 4), axis=-1, bitorder="little")[..., 0]
    portions = []
    for first in range(0, entries.shape[2], SUBSETS):
        some = entries[:, :, first : first + SUBSETS].astype(np.uint16)
        some = some * LANES + np.arange(some.shape[2], dtype=np.uint16) * (_ENTRIES * LANES)
        portions.append(some.reshape(groups, -1, 4, some.shape[2]).swapaxes(2, 3).reshape(groups, -1))
    return np.ascontiguousarray(np.concatenate(portions, axis=1))


@compiled
def margined_planes(x, pad_h, pad_w, each, out, begin, end):
    """Rows begin to end of all pictures of x (n, h, w, groups channels) into out (n, groups, channels4, plane).

    Of `each` channels a group. A plane has the picture's rows with pad_w zeros on both sides, after pad_h such rows;
    zeros are there already.
    """
    height, width, channels = x.shape[1:]
    flat, target = x.reshape(-1), out.reshape(-1)
    groups, wide, plane, seen = out.shape[1], out.shape[2], out.shape[3], splat(np.float32(0))
    for row in range(begin, end):
        picture, line = row // height, row % height
        for group in range(groups):
            source = row * width * channels + group * each
            start = (picture * groups + group) * wide * plane + (line + pad_h) * (width + 2 * pad_w) + pad_w
            for column in range(0, width, LANES):
                for channel in range(0, each, LANES):
                    if column + LANES <= width and channel + LANES <= each:
                        at = source + column * channels + channel
                        seen = turn_16(flat, at, channels, target, start + channel * plane + column, plane, seen)
                        continue
                    for i in range(column, min(column + LANES, width)):
                        for j in range(channel, min(channel + LANES, each)):
                            target[np.uint64(start + j * plane + i)] = flat[np.uint64(source + i * channels + j)]


@compiled
def conv_signs(planes, shape, steps, each, picks, last, begin, end):
    """A convolution of numbers by signs, stride 1; blocks begin to end of 16 places of the pictures' wide rows.

    planes of `margined_planes`; shape (out_h, out_w, width with margins, blocks of a picture) int64; steps (fours of
    the kernel's steps, 4) int64: where their numbers lie from a place's own; each: filters of a group; picks of
    `picks_of`; last: `Numbers` with a table of one class.
    """
    out_h, out_w, wide, blocks = shape
    groups, plane = planes.shape[1], planes.shape[2] * planes.shape[3]
    flat, flat_picks = planes.reshape(-1), picks.reshape(-1)
    many = (each + LANES - 1) // LANES
    table, sums, rows = aligned(SUBSETS * _ENTRIES * LANES), aligned(many * LANES * LANES), aligned(LANES * LANES)
    totals, block, inside = aligned(LANES), room(last, LANES, groups * each), np.empty(LANES, np.bool_)
    seen = splat(np.float32(0))
    for number in range(begin, end):
        picture, place = number // blocks, number % blocks * LANES
        row, column = place // wide, place % wide
        first = (picture * out_h + row) * out_w + min(column, out_w)
        for lane in range(LANES):
            inside[lane] = column < out_w and row < out_h
            column += 1
            if column == wide:
                column, row = 0, row + 1
        count = inside.sum()
        here = begin_block(last, block, first, count)
        for group in range(groups):
            start, pick = (picture * groups + group) * plane + place, group * picks.shape[1]
            for at in range(0, many * LANES * LANES, LANES):
                store(sums, at, splat(np.float32(0)))
            store(totals, 0, splat(np.float32(0)))
            for portion in range(0, len(steps), SUBSETS):
                fours = min(SUBSETS, len(steps) - portion)
                for index in range(fours):
                    one = steps[portion + index]
                    further = one[1] - one[0], one[2] - one[0], one[3] - one[0]
                    _subset_sums(flat, start + one[0], *further, table, index * _ENTRIES * LANES)
                if last.summed:
                    total = load(totals, 0)
                    for index in range(fours):
                        total = plus(total, load(table, (index * _ENTRIES + _ENTRIES - 1) * LANES))
                    store(totals, 0, total)
                pick = _add_picked(table, fours, flat_picks, pick, each, sums)
            for panel in range(many):
                seen = turn_16(sums, panel * LANES * LANES, LANES, rows, 0, LANES, seen)
                lanes, channel, pixel = min(LANES, each - panel * LANES), group * each + panel * LANES, first
                for lane in range(LANES):
                    if inside[lane]:
                        value = load(rows, lane * LANES)
                        finish_numbers(here, value, group * many + panel, totals[lane], pixel, channel, lanes)
                        pixel += 1
        end_block(last, block, first, count, 0, groups * each)


@compiled
def _add_picked(table, fours, picks, pick, each, sums):
    """What each filter picks from the table's `fours`, added to its sums; gives back where the next picks begin."""
    for filters in range(0, each, 4):
        at = filters * LANES
        one, two, three, four = (
            load(sums, at),
            load(sums, at + LANES),
            load(sums, at + 2 * LANES),
            load(sums, at + 3 * LANES),
        )
        for _ in range(fours):
            one = plus(one, load(table, np.int64(picks[np.uint64(pick)])))
            two = plus(two, load(table, np.int64(picks[np.uint64(pick + 1)])))
            three = plus(three, load(table, np.int64(picks[np.uint64(pick + 2)])))
            four = plus(four, load(table, np.int64(picks[np.uint64(pick + 3)])))
            pick += 4
        store(sums, at, one)
        store(sums, at + LANES, two)
        store(sums, at + 2 * LANES, three)
        store(sums, at + 3 * LANES, four)
    return pick
