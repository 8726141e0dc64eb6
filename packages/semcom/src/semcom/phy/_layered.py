"""Layered belief propagation over the checks of an LDPC code, compiled: normalised min-sum in lanes.

Min-sum decodes `LANES` words side by side, one in each lane of the processor's vectors: `update_check` and `add_parity`
are written as vector instructions, since numba's own vectoriser leaves such loops scalar. A lane whose word is finished
takes the next word at once. Each word goes through the same operations in the same order as alone, so its result does
not depend on its neighbours. Arrays of lanes are float32 with 16 columns, one word in each, contiguous.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_WIDEST = 64  # more edges than any check of the standard has
_FLOATS, _BITS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(32), LANES)
_INDEX = ir.IntType(64)


class _Rows:
    """The rows of an array as vectors, as the code generator sees them."""

    def __init__(self, context: Any, builder: Any, array_type: Any, value: Any) -> None:
        self.builder = builder
        data = context.make_array(array_type)(context, builder, value).data
        self.base = builder.bitcast(data, _FLOATS.as_pointer())

    def load(self, row: Any) -> Any:
        return self.builder.load(self.builder.gep(self.base, [row]), align=4)

    def store(self, row: Any, value: Any) -> None:
        self.builder.store(value, self.builder.gep(self.base, [row]), align=4)


def _all(value: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [value] * LANES)


def _masked(builder: Any, bits: Any, mask: int) -> Any:
    return builder.and_(bits, ir.Constant(_BITS, [mask] * LANES))


def _size(builder: Any, value: Any) -> Any:
    return builder.bitcast(_masked(builder, builder.bitcast(value, _BITS), 0x7FFFFFFF), _FLOATS)


def _place(context: Any, builder: Any, array_type: Any, value: Any, edge: Any) -> Any:
    data = context.make_array(array_type)(context, builder, value).data
    return builder.sext(builder.load(builder.gep(data, [edge])), _INDEX)


@intrinsic
def update_check(typingctx, words, messages, scratch, places, begin, end, scale):  # noqa: ARG001
    """New messages of the edges `begin` to `end` of a check, and the posterior with them; normalised min-sum.

    Args:
        words: (codeword places, 16), the posteriors.
        messages: (edges, 16).
        scratch: (edges of the widest check, 16).
        places: (edges,) int32.
        scale: float32, factor of each message.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, first, last = signature.args, args[4], args[5]
        word, message, extrinsic = (_Rows(context, builder, kinds[at], args[at]) for at in range(3))
        least = cgutils.alloca_once_value(builder, _all(1e30))
        second = cgutils.alloca_once_value(builder, _all(1e30))
        sign = cgutils.alloca_once_value(builder, ir.Constant(_BITS, [0] * LANES))
        for held, value in ((least, _all(1e30)), (second, _all(1e30)), (sign, ir.Constant(_BITS, [0] * LANES))):
            builder.store(value, held)
        count = builder.sub(last, first)
        with cgutils.for_range(builder, count, intp=_INDEX) as loop:
            edge = builder.add(first, loop.index)
            place = _place(context, builder, kinds[3], args[3], edge)
            value = builder.fsub(word.load(place), message.load(edge))
            extrinsic.store(loop.index, value)
            size, smallest, next_one = _size(builder, value), builder.load(least), builder.load(second)
            below = builder.fcmp_ordered("<", size, smallest)
            larger = builder.select(below, smallest, size)
            builder.store(builder.select(builder.fcmp_ordered("<", larger, next_one), larger, next_one), second)
            builder.store(builder.select(below, size, smallest), least)
            builder.store(builder.xor(builder.load(sign), builder.bitcast(value, _BITS)), sign)
        smallest, next_one, signs = (builder.load(held) for held in (least, second, sign))
        factor = ir.Constant(_FLOATS, ir.Undefined)
        for lane in range(LANES):
            factor = builder.insert_element(factor, args[6], ir.Constant(ir.IntType(32), lane))
        usual, own = builder.fmul(smallest, factor), builder.fmul(next_one, factor)
        with cgutils.for_range(builder, count, intp=_INDEX) as loop:
            edge = builder.add(first, loop.index)
            place = _place(context, builder, kinds[3], args[3], edge)
            value = extrinsic.load(loop.index)
            new = builder.select(builder.fcmp_ordered("==", _size(builder, value), smallest), own, usual)
            turned = _masked(builder, builder.xor(signs, builder.bitcast(value, _BITS)), 0x80000000)
            new = builder.bitcast(builder.xor(builder.bitcast(new, _BITS), turned), _FLOATS)
            message.store(edge, new)
            word.store(place, builder.fadd(value, new))
        return context.get_dummy_value()

    index = types.int64
    return types.void(words, messages, scratch, places, index, index, types.float32), codegen


@intrinsic
def add_parity(typingctx, words, places, begin, end, failed):  # noqa: ARG001
    """Set the sign in the one row of `failed` (1, 16) of each word in which the check of these edges does not hold."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, first, last = signature.args, args[2], args[3]
        word, result = _Rows(context, builder, kinds[0], args[0]), _Rows(context, builder, kinds[4], args[4])
        nothing = ir.Constant(_BITS, [0] * LANES)
        parity = cgutils.alloca_once_value(builder, nothing)
        builder.store(nothing, parity)
        with cgutils.for_range(builder, builder.sub(last, first), intp=_INDEX) as loop:
            place = _place(context, builder, kinds[1], args[1], builder.add(first, loop.index))
            bits = builder.bitcast(word.load(place), _BITS)
            builder.store(builder.xor(builder.load(parity), bits), parity)
        zero = ir.Constant(_INDEX, 0)
        known = builder.bitcast(result.load(zero), _BITS)
        result.store(zero, builder.bitcast(builder.or_(known, builder.load(parity)), _FLOATS))
        return context.get_dummy_value()

    return types.void(words, places, types.int64, types.int64, failed), codegen


@njit(cache=True, nogil=True, error_model="numpy")
def min_sum(llr, starts, places, iterations, scale, stop):
    """Decode rows of LLRs by normalised min-sum; `llr` (rows, places) float32 becomes the posterior.

    Args:
        starts, places: check i reads `places[starts[i]:starts[i + 1]]`.
        iterations: at most so many passes over the checks.
        scale: factor of each message.
        stop: end a word as soon as all its checks hold.
    Returns: (rows,) bool, whether all checks hold at the end.
    """
    rows, width, checks = llr.shape[0], llr.shape[1], len(starts) - 1
    words = np.zeros((width, LANES), np.float32)
    messages = np.zeros((len(places), LANES), np.float32)
    holds = np.zeros(rows, np.bool_)
    row_of = np.full(LANES, -1, np.int64)
    passes = np.zeros(LANES, np.int64)
    scratch = np.zeros((_WIDEST, LANES), np.float32)
    failed = np.zeros((1, LANES), np.float32)
    signs = failed.view(np.int32)
    following = 0
    busy = 0
    for lane in range(min(LANES, rows)):
        words[:, lane] = llr[following]
        row_of[lane] = following
        following += 1
        busy += 1
    while busy > 0 and iterations > 0:
        for check in range(checks):
            begin, end = np.int64(starts[check]), np.int64(starts[check + 1])
            update_check(words, messages, scratch, places, begin, end, np.float32(scale))  # type: ignore[call-arg]
        failed[:] = 0
        for check in range(checks):
            begin, end = np.int64(starts[check]), np.int64(starts[check + 1])
            add_parity(words, places, begin, end, failed)  # type: ignore[call-arg]
        for lane in range(LANES):
            row = row_of[lane]
            if row < 0:
                continue
            passes[lane] += 1
            good = signs[0, lane] >= 0
            if not ((good and stop) or passes[lane] == iterations):
                continue
            holds[row] = good
            llr[row] = words[:, lane]
            messages[:, lane] = 0
            passes[lane] = 0
            if following < rows:
                words[:, lane] = llr[following]
                row_of[lane] = following
                following += 1
            else:
                words[:, lane] = 0
                row_of[lane] = -1
                busy -= 1
    return holds
