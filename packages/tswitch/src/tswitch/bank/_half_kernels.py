"""Sparse signs times bfloat16 inputs, for processors that add 32 float16 at once: half the work of `_row_kernels`.

Each row of inputs is multiplied by a power of two that brings its largest number near, but safely below, what sums of
the whole row may be; numbers below 2^-14 of the largest lose digits, all others are exact. Sums of up to 128 columns a
sign are in float16, which has three bits more than bfloat16; the outputs are rounded once.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from tswitch.bank import _half_lanes as h
from tswitch.bank import _lanes as v

_compiled: Any = njit(nogil=True, cache=True)
NATIVE = h.NATIVE
BLOCK = 384  # rows of signs whose sums stay in the nearest cache
_STEP = 64  # bytes of a column of 32 inputs


@_compiled
def _sums(columns, classes, order, counts, inputs, sums, rows):
    """For each row of a block of signs: sums of 32 inputs over its plus columns less those over its minus columns.

    rows: addresses of the 32 rows of outputs, which are asked for meanwhile. Returns where the next block begins.
    """
    asked = 0
    for place in range(counts[0] + counts[1]):
        length, pairs = v.number(classes), v.number(classes + 4)
        classes += 8
        for _ in range(pairs):
            one, two = sums + v.number(order) * _STEP, sums + v.number(order + 4) * _STEP
            order += 8
            h.prefetch(v.pointer(rows + 8 * (asked & 31)) + (asked >> 5) * 64)
            asked += 1
            if place < counts[0]:
                a, b = v.zeros(), v.zeros()
                for _ in range(length):
                    a = h.add(a, h.load(inputs + v.short(columns) * _STEP))
                    b = h.add(b, h.load(inputs + v.short(columns + 2) * _STEP))
                    columns += 4
            else:
                a, b = h.load(one), h.load(two)
                for _ in range(length):
                    a = h.subtract(a, h.load(inputs + v.short(columns) * _STEP))
                    b = h.subtract(b, h.load(inputs + v.short(columns + 2) * _STEP))
                    columns += 4
            h.store(a, one)
            h.store(b, two)
    return columns, classes, order


@_compiled
def add_signs(x, out, record, room):
    """What `_row_kernels.add_signs` does, for bfloat16, widths and heights from 32 on; needs less scratch memory."""
    width, height = v.pointer(record + 8), v.pointer(record + 16)
    inputs, sums = room, room + (width + 1) * _STEP  # of what is beyond the last column: zeros
    rest = sums + (BLOCK + 1) * _STEP  # the last columns once more, with zeros for what is done, and their shifts
    spare = rest + (h.HALVES + 2) * _STEP
    sources = spare + (height + h.HALVES) // h.HALVES * _STEP
    targets, factors, ahead = sources + 8 * h.HALVES, sources + 16 * h.HALVES, sources + 20 * h.HALVES
    highest = 29  # 15 + 14 for the exponent of 1 to 2, less the bits of the width: no sum reaches float16's largest
    while width > 1 << (29 - highest):
        highest -= 1
    h.store(v.zeros(), inputs + width * _STEP)
    for _ in range(v.pointer(record + 24)):
        record += 72
        first_columns, first_classes, first_order = v.pointer(record), v.pointer(record + 8), v.pointer(record + 16)
        blocks, shift, rows = v.pointer(record + 24), v.pointer(record + 32), v.pointer(record + 40)
        shares, count, scale = v.pointer(record + 48), v.pointer(record + 56), v.real(record + 64)
        for first in range(0, count, h.HALVES):
            here = min(h.HALVES, count - first)
            for place in range(h.HALVES):
                row = v.number(rows + 4 * (first + min(place, here - 1)))
                v.point(x + row * width * 2, sources + 8 * place)
                v.point(out + row * height * 2 if place < here else spare, targets + 8 * place)
            largest = v.zeros()
            for column in range(0, width, h.HALVES):
                column = min(column, width - h.HALVES)
                largest = h.gather(sources, column * 2, inputs + column * _STEP, largest)
            less = h.lowered(largest, highest)
            for column in range(width):
                h.convert(inputs + column * _STEP, less)
            own = shares + 4 * first
            h.factors(less, own, scale, factors)
            columns, classes, order = first_columns, first_classes, first_order
            for begin in range(0, height, BLOCK):
                for place in range(h.HALVES):
                    v.point(v.pointer(targets + 8 * place) + begin * 2, ahead + 8 * place)
                counts = v.number(blocks + begin // BLOCK * 8), v.number(blocks + begin // BLOCK * 8 + 4)
                columns, classes, order = _sums(columns, classes, order, counts, inputs, sums, ahead)
                size = min(BLOCK, height - begin)
                done = size - size % h.HALVES
                for row in range(0, done, h.HALVES):
                    _add(sums + row * _STEP, factors, own, shift + 4 * (begin + row), ahead, row, here)
                if done < size:
                    _rest(size, done, sums, shift + 4 * begin, rest)
                    _add(rest, factors, own, rest + h.HALVES * _STEP, ahead, size - h.HALVES, here)


@_compiled
def _rest(size, done, sums, shift, rest):
    """The last 32 rows of a block, with zeros for those that were added already and those before it."""
    for place in range(h.HALVES):
        row = size - h.HALVES + place
        h.store(v.zeros() if row < done else h.load(sums + row * _STEP), rest + place * _STEP)
        v.put(0.0 if row < done else v.real(shift + 4 * row), rest + h.HALVES * _STEP + 4 * place)


@_compiled
def _add(sums, factors, shares, shift, targets, row, here):
    h.scatter_first(sums, factors, shares, shift, targets, row * 2)
    if here > v.LANES:
        h.scatter_second(sums, factors + 64, shares + 64, shift, targets + 128, row * 2)
