"""Sparse signs times dense inputs, compiled by numba; `_sparse` holds the torch twin.

Thirty-two inputs at a time are transposed, so that a kept sign is an addition of two vectors; the sums of a layer are
transposed back while they are added to its outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tswitch.bank import _lanes as v

_compiled: Any = njit(nogil=True, cache=True)
FLOAT32, BFLOAT16, FLOAT16 = range(3)
TILE = 32  # inputs that are summed side by side
BLOCK = 384  # rows of signs whose sums stay in a near cache
_STEP = 128  # bytes of a feature of theirs


@_compiled
def _sums(columns, classes, order, counts, inputs, sums):
    """For each row of a block of signs: sums of 32 inputs over its plus columns less those over its minus columns.

    Returns where the next block begins.
    """
    for place in range(counts[0] + counts[1]):
        length, pairs = v.number(classes), v.number(classes + 4)
        classes += 8
        for _ in range(pairs):
            one, two = sums + v.number(order) * _STEP, sums + v.number(order + 4) * _STEP
            order += 8
            if place < counts[0]:
                a, b, c, d = v.zeros(), v.zeros(), v.zeros(), v.zeros()
                for _ in range(length):
                    first, second = inputs + v.short(columns) * _STEP, inputs + v.short(columns + 2) * _STEP
                    a, b = v.add(a, v.load(first)), v.add(b, v.load(first + 64))
                    c, d = v.add(c, v.load(second)), v.add(d, v.load(second + 64))
                    columns += 4
            else:
                a, b, c, d = v.load(one), v.load(one + 64), v.load(two), v.load(two + 64)
                for _ in range(length):
                    first, second = inputs + v.short(columns) * _STEP, inputs + v.short(columns + 2) * _STEP
                    a, b = v.subtract(a, v.load(first)), v.subtract(b, v.load(first + 64))
                    c, d = v.subtract(c, v.load(second)), v.subtract(d, v.load(second + 64))
                    columns += 4
            v.store(a, one)
            v.store(b, one + 64)
            v.store(c, two)
            v.store(d, two + 64)
    return columns, classes, order


@_compiled
def _sums_of_few(columns, classes, order, counts, inputs, sums):
    """The same for the first sixteen inputs."""
    for place in range(counts[0] + counts[1]):
        length, pairs = v.number(classes), v.number(classes + 4)
        classes += 8
        for _ in range(pairs):
            one, two = sums + v.number(order) * _STEP, sums + v.number(order + 4) * _STEP
            order += 8
            if place < counts[0]:
                a, c = v.zeros(), v.zeros()
                for _ in range(length):
                    a = v.add(a, v.load(inputs + v.short(columns) * _STEP))
                    c = v.add(c, v.load(inputs + v.short(columns + 2) * _STEP))
                    columns += 4
            else:
                a, c = v.load(one), v.load(two)
                for _ in range(length):
                    a = v.subtract(a, v.load(inputs + v.short(columns) * _STEP))
                    c = v.subtract(c, v.load(inputs + v.short(columns + 2) * _STEP))
                    columns += 4
            v.store(a, one)
            v.store(c, two)
    return columns, classes, order


@_compiled
def _read(kind, address):
    if kind == FLOAT32:
        return v.read_float32(address)
    return v.read_bfloat16(address) if kind == BFLOAT16 else v.read_float16(address)


@_compiled
def _write(kind, value, address):
    if kind == FLOAT32:
        v.write_float32(value, address)
    elif kind == BFLOAT16:
        v.write_bfloat16(value, address)
    else:
        v.write_float16(value, address)


@_compiled
def _gather(kind, rows, offset, out):
    if kind == FLOAT32:
        v.gather_float32(rows, offset * 4, out, _STEP)
    elif kind == BFLOAT16:
        v.gather_bfloat16(rows, offset * 2, out, _STEP)
    else:
        v.gather_float16(rows, offset * 2, out, _STEP)


@_compiled
def _scatter(kind, sums, scale, shift, rows, offset, shares):
    if kind == FLOAT32:
        v.scatter_float32(sums, _STEP, scale, shift, rows, offset * 4, shares)
    elif kind == BFLOAT16:
        v.scatter_bfloat16(sums, _STEP, scale, shift, rows, offset * 2, shares)
    else:
        v.scatter_float16(sums, _STEP, scale, shift, rows, offset * 2, shares)


@_compiled
def add_signs(x, out, record, room):
    """out[r] += share[r] * (scale * S x[r] + shift), for the rows r of each task; S (height, width), shift (height,).

    x (R, width), out (R, height) and all else are given by address. record: int64, nine in a row; in the first row the
    dtype of x and out, width, height and the number of tasks, in one row for each task its columns, classes, order and
    blocks (`SparseSigns`), shift, rows r, their shares (and 32 more numbers), how many rows there are, and its scale as
    float32. Widths and heights are at least 16. `room`: scratch memory for it all, 128 (width + 512) + 4 height bytes,
    at a multiple of 64.
    """
    kind, width, height = v.pointer(record), v.pointer(record + 8), v.pointer(record + 16)
    size = 4 if kind == FLOAT32 else 2
    inputs, sums = room, room + (width + 1) * _STEP  # of what is beyond the last column: zeros
    rest = sums + (BLOCK + 1) * _STEP  # the last rows once more, with zeros for what is done
    spare = rest + v.LANES * _STEP + 64
    sources = spare + (height + v.LANES) // v.LANES * 64
    targets = sources + 8 * TILE
    v.store(v.zeros(), inputs + width * _STEP)
    v.store(v.zeros(), inputs + width * _STEP + 64)
    for _ in range(v.pointer(record + 24)):
        record += 72
        first_columns, first_classes, first_order = v.pointer(record), v.pointer(record + 8), v.pointer(record + 16)
        blocks, shift, rows = v.pointer(record + 24), v.pointer(record + 32), v.pointer(record + 40)
        shares, count, scale = v.pointer(record + 48), v.pointer(record + 56), v.real(record + 64)
        for first in range(0, count, TILE):
            here = min(TILE, count - first)
            for place in range(TILE):
                row = v.number(rows + 4 * (first + min(place, here - 1)))
                v.point(x + row * width * size, sources + 8 * place)
                v.point(out + row * height * size if place < here else spare, targets + 8 * place)
            halves = 2 if here > v.LANES else 1
            for half in range(halves):
                for column in range(0, width, v.LANES):
                    column = min(column, width - v.LANES)
                    _gather(kind, sources + 128 * half, column, inputs + column * _STEP + 64 * half)
            columns, classes, order = first_columns, first_classes, first_order
            for begin in range(0, height, BLOCK):
                counts = v.number(blocks + begin // BLOCK * 8), v.number(blocks + begin // BLOCK * 8 + 4)
                if halves == 2:
                    columns, classes, order = _sums(columns, classes, order, counts, inputs, sums)
                else:
                    columns, classes, order = _sums_of_few(columns, classes, order, counts, inputs, sums)
                many = min(BLOCK, height - begin)
                done = many - many % v.LANES
                for half in range(halves):
                    goal, own = targets + 128 * half, shares + 4 * (first + v.LANES * half)
                    for row in range(0, done, v.LANES):
                        place = begin + row
                        _scatter(kind, sums + row * _STEP + 64 * half, scale, shift + 4 * place, goal, place, own)
                    if done < many:
                        _rest(many, done, sums + 64 * half, shift + 4 * begin, rest)
                        _scatter(kind, rest, scale, rest + v.LANES * _STEP, goal, begin + many - v.LANES, own)


@_compiled
def _rest(many, done, sums, shift, rest):
    """The last sixteen rows of a block, with zeros for those that were added already and those before it."""
    for place in range(v.LANES):
        row = many - v.LANES + place
        v.store(v.zeros() if row < done else v.load(sums + row * _STEP), rest + place * _STEP)
        v.put(0.0 if row < done else v.real(shift + 4 * row), rest + v.LANES * _STEP + 4 * place)


@_compiled
def add_looked_up(ids, out, record):
    """out[r] += share[r] * scale * (row ids[r] of the task's signs), for the rows r of each task.

    ids (R,) int64 and out (R, width) by address. record: int64, five in a row; in the first row the dtype of out, width
    and the number of tasks, in one row for each task its two-bit codes, rows r, their shares, how many there are, and
    its scale as float32. The width is a multiple of 16.
    """
    kind, width = v.pointer(record), v.pointer(record + 8)
    size = 4 if kind == FLOAT32 else 2
    for _ in range(v.pointer(record + 16)):
        record += 40
        codes, rows, shares, count = (
            v.pointer(record), v.pointer(record + 8), v.pointer(record + 16), v.pointer(record + 24)
        )  # fmt: skip
        scale = v.real(record + 32)
        for place in range(count):
            row = v.number(rows + 4 * place)
            held, goal = codes + v.pointer(ids + 8 * row) * (width // 4), out + row * width * size
            factor = v.spread(scale * v.real(shares + 4 * place))
            for column in range(0, width, v.LANES):
                place = goal + column * size
                _write(kind, v.fused(v.signs(held + column // 4), factor, _read(kind, place)), place)


@_compiled
def norm_rows(kind, x, out, width, count, weight, bias, repeat, epsilon):
    """out[r] = weight[i] * (x[r] - mean) / sqrt(variance + epsilon) + bias[i], with i = r // repeat.

    x, out (count, width), weight and bias (count / repeat, width) float32: by address. The width is a multiple of 16.
    """
    size = 4 if kind == FLOAT32 else 2
    for row in range(count):
        start, goal, own = x + row * width * size, out + row * width * size, row // repeat * width * 4
        sums = v.zeros()
        for column in range(0, width, v.LANES):
            sums = v.add(sums, _read(kind, start + column * size))
        less, sums = v.spread(-v.total(sums) / np.float32(width)), v.zeros()
        for column in range(0, width, v.LANES):
            away = v.add(_read(kind, start + column * size), less)
            sums = v.fused(away, away, sums)
        spread = np.float32(np.sqrt(v.total(sums) / np.float32(width) + np.float32(epsilon)))
        factor = v.spread(np.float32(1) / spread)
        for column in range(0, width, v.LANES):
            unit = v.fused(v.add(_read(kind, start + column * size), less), factor, v.zeros())
            made = v.fused(unit, v.load(weight + own + 4 * column), v.load(bias + own + 4 * column))
            _write(kind, made, goal + column * size)
