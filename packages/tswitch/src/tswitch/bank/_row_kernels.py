"""Sparse signs times dense inputs, compiled by numba (extra `fast`); `_sparse` holds the torch twin.

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
_STEP = 128  # bytes of a feature of theirs


@_compiled
def _sums(columns, starts, order, height, inputs, sums):
    """For each of `height` rows of signs: sums of 32 inputs (n, 32) over its plus columns less those over its minus."""
    for place in range(height):
        begin, middle = v.number(starts + 8 * place), v.number(starts + 8 * place + 4)
        end = v.number(starts + 8 * place + 8)
        first, second = v.zeros(), v.zeros()
        for k in range(begin, middle):
            feature = inputs + v.number(columns + 4 * k) * _STEP
            first, second = v.add(first, v.load(feature)), v.add(second, v.load(feature + 64))
        for k in range(middle, end):
            feature = inputs + v.number(columns + 4 * k) * _STEP
            first, second = v.subtract(first, v.load(feature)), v.subtract(second, v.load(feature + 64))
        made = sums + v.number(order + 4 * place) * _STEP
        v.store(first, made)
        v.store(second, made + 64)


@_compiled
def _sums_of_few(columns, starts, order, height, inputs, sums):
    """The same for the first sixteen inputs."""
    for place in range(height):
        begin, middle = v.number(starts + 8 * place), v.number(starts + 8 * place + 4)
        end = v.number(starts + 8 * place + 8)
        first = v.zeros()
        for k in range(begin, middle):
            first = v.add(first, v.load(inputs + v.number(columns + 4 * k) * _STEP))
        for k in range(middle, end):
            first = v.subtract(first, v.load(inputs + v.number(columns + 4 * k) * _STEP))
        v.store(first, sums + v.number(order + 4 * place) * _STEP)


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

    kind: dtype of x (R, width) and out (R, height), which are given by address, as is all in `program` (tasks, 7): the
    task's columns, starts and order (`SparseSigns`), shift, rows r, their shares (and 32 more numbers), and how many
    rows there are. scales: (tasks,) float32. Widths and heights are at least 16. room: address of scratch memory for
    it all, 128 (width + height + 16) + 4 height + 1024 bytes, a multiple of 64.
    """
    size = 4 if kind == FLOAT32 else 2
    inputs, sums = room, room + width * _STEP
    rest = sums + height * _STEP  # the last rows once more, with zeros for what is done
    spare = rest + v.LANES * _STEP + 64
    sources = spare + (height + v.LANES) // v.LANES * 64
    targets = sources + 8 * TILE
    done = height - height % v.LANES
    for task in range(len(program)):
        columns, starts, order, shift, rows, shares, count = program[task]
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
            if halves == 2:
                _sums(columns, starts, order, height, inputs, sums)
            else:
                _sums_of_few(columns, starts, order, height, inputs, sums)
            for half in range(halves):
                goal, own = targets + 128 * half, shares + 4 * (first + v.LANES * half)
                for row in range(0, done, v.LANES):
                    _scatter(kind, sums + row * _STEP + 64 * half, scale, shift + 4 * row, goal, row, own)
                if done < height:
                    _rest(height, sums + 64 * half, shift, rest)
                    _scatter(kind, rest, scale, rest + v.LANES * _STEP, goal, height - v.LANES, own)


@_compiled
def _rest(height, sums, shift, rest):
    """The last sixteen rows, with zeros for those that were added already."""
    for place in range(v.LANES):
        row = height - v.LANES + place
        old = row < height - height % v.LANES
        v.store(v.zeros() if old else v.load(sums + row * _STEP), rest + place * _STEP)
        v.put(0.0 if old else v.real(shift + 4 * row), rest + v.LANES * _STEP + 4 * place)


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
