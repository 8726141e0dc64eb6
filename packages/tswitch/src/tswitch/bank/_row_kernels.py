"""Sparse signs times dense inputs, compiled by numba; `_sparse` holds the torch twin.

Thirty-two inputs at a time are transposed, so that a kept sign is an addition of two vectors; the sums of a layer are
transposed back while they are added to its outputs.
"""

from __future__ import annotations

from typing import Any

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
def add_signs(kind, x, width, out, height, program, scales, room):
    """out[r] += share[r] * (scale * S x[r] + shift), for the rows r of each task; S (height, width), shift (height,).

    kind: dtype of x (R, width) and out (R, height), which are given by address, as is all in `program` (tasks, 8): the
    task's columns, classes, order and blocks (`SparseSigns`), shift, rows r, their shares (and 32 more numbers), and
    how many rows there are. scales: (tasks,) float32. Widths and heights are at least 16. room: address of scratch
    memory for it all, 128 (width + 512) + 4 height bytes, a multiple of 64.
    """
    size = 4 if kind == FLOAT32 else 2
    inputs, sums = room, room + (width + 1) * _STEP  # of what is beyond the last column: zeros
    rest = sums + (BLOCK + 1) * _STEP  # the last rows once more, with zeros for what is done
    spare = rest + v.LANES * _STEP + 64
    sources = spare + (height + v.LANES) // v.LANES * 64
    targets = sources + 8 * TILE
    v.store(v.zeros(), inputs + width * _STEP)
    v.store(v.zeros(), inputs + width * _STEP + 64)
    for task in range(len(program)):
        first_columns, first_classes, first_order, blocks, shift, rows, shares, count = program[task]
        scale = scales[task]
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
def add_looked_up(kind, ids, out, width, program, scales):
    """out[r] += share[r] * scale * (row ids[r] of the task's signs), for the rows r of each task.

    ids: (R,) int64, out: (R, width), by address; program (tasks, 4): the task's two-bit codes, rows r, their shares,
    and how many there are. scales: (tasks,) float32. The width is a multiple of 16.
    """
    size = 4 if kind == FLOAT32 else 2
    for task in range(len(program)):
        codes, rows, shares, count = program[task]
        for place in range(count):
            row = v.number(rows + 4 * place)
            held, goal = codes + v.pointer(ids + 8 * row) * (width // 4), out + row * width * size
            factor = scales[task] * v.real(shares + 4 * place)
            for column in range(0, width, v.LANES):
                if kind == FLOAT32:
                    v.decode_float32(held + column // 4, goal + column * 4, factor)
                elif kind == BFLOAT16:
                    v.decode_bfloat16(held + column // 4, goal + column * 2, factor)
                else:
                    v.decode_float16(held + column // 4, goal + column * 2, factor)
