"""Register tiles as pieces of LLVM's own language, where its vectoriser finds neither the tile nor the reduction."""

# ruff: noqa: ARG001  (numba and LLVM ask for functions with arguments that not each needs)
from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils

from bnn_fsg.runtime._arguments import LANES
from bnn_fsg.runtime._vectors import (
    _F32,
    _FLOATS,
    _I1,
    _I8,
    _I16,
    _I32,
    _I64,
    _INTS,
    _WORDS,
    INTS,
    _as,
    _intrinsic,
    _llvm,
    _load,
    _multiply_add,
    _pointer,
    _splat,
)

_FEATURES = llvmlite.binding.get_host_cpu_features()
WIDE = bool(_FEATURES.get("avx512f"))
_settings: Any = config  # its names come from the environment
LOOKUP = bool(_FEATURES.get("avx2") and not _FEATURES.get("avx512vpopcntdq")) and not (
    _settings.CPU_NAME or _settings.CPU_FEATURES
)  # AVX2 counts no bits of its own, but looks bytes up in tables
ROWS = 4  # rows of a tile of bits
TOGETHER = 4 if WIDE else 2  # of them: as many accumulators as there are registers for
LOOKUP_ROWS, LOOKUP_STEPS = 4, 62  # bytes hold the counts of so many steps, 4 at most in each
FLOAT_ROWS, FLOAT_PANELS = (12, 2) if WIDE else (4, 1)  # 24 accumulators hide how long a multiplication takes
UNROLLED = 4  # steps of a float tile that share the addresses of its rows
BLOCK, FLOAT_BLOCK = 32, 48  # output pixels worked on together: whole tiles, and 16 by 16 to be turned


def _loop(builder, name, begin, end, by, starts, body):
    """`body(step, values)` for each `by`-th step from begin below end, possibly none; gives back the last values."""
    before, loop = builder.block, builder.append_basic_block(f"{name}.loop")
    after = builder.append_basic_block(f"{name}.after")
    last = builder.sub(end, _I64(by - 1))  # steps below have `by` before the end
    builder.cbranch(builder.icmp_signed("<", begin, last), loop, after)
    builder.position_at_end(loop)
    step, values = builder.phi(_I64), [builder.phi(start.type) for start in starts]
    found = body(step, values)
    following, end_of_body = builder.add(step, _I64(by)), builder.block
    for one, start, new in zip([step, *values], [begin, *starts], [following, *found], strict=True):
        one.add_incoming(start, before)
        one.add_incoming(new, end_of_body)
    builder.cbranch(builder.icmp_signed("<", following, last), loop, after)
    builder.position_at_end(after)
    results = []
    for start, new in zip([begin, *starts], [following, *found], strict=True):
        result = builder.phi(start.type)
        result.add_incoming(start, before)
        result.add_incoming(new, end_of_body)
        results.append(result)
    return results[0], results[1:]


def _bit_tile(rows: int) -> Any:
    """Twice the differing bits of `rows` rows and 16 columns, as a tuple of vectors.

    Arguments: words of the rows; where each row begins, and the first of the rows in there; where each step lies from
    there; panels of words, offset; steps.
    """

    @_intrinsic
    def tile(typing, x, begins, first, steps_at, panels, at, steps):
        result = types.UniTuple(INTS, rows)
        signature = result(x, begins, types.int64, steps_at, panels, types.int64, types.int64)

        def generate(context, builder, sig, values):
            x, begins, first, steps_at, panels, at, steps = values
            row_begins = _pointer(context, builder, sig.args[1], begins, first, _I64)
            left = []
            for row in range(rows):
                begin = builder.load(builder.gep(row_begins, [_I64(row)], source_etype=_I64), typ=_I64)
                left.append(_pointer(context, builder, sig.args[0], x, begin, _I64))
            steps_at = _pointer(context, builder, sig.args[3], steps_at, _I64(0), _I64)
            panel = _pointer(context, builder, sig.args[4], panels, at, _I64)

            def counts_of(some):
                def body(step, counts):
                    along = builder.load(builder.gep(steps_at, [step], source_etype=_I64), typ=_I64)
                    place = builder.gep(panel, [builder.mul(step, _I64(LANES))], source_etype=_I64)
                    right = [_load(builder, place, _WORDS, 8)]
                    right.append(_load(builder, builder.gep(place, [_I64(8)], source_etype=_I64), _WORDS, 8))
                    found = []
                    for row, words in enumerate(some):
                        word = builder.load(builder.gep(words, [along], source_etype=_I64), typ=_I64)
                        word = _splat(builder, word, 8)
                        for part in range(2):
                            different = builder.xor(word, right[part])
                            counted = _llvm(builder, "llvm.ctpop.v8i64", _WORDS, different)
                            found.append(builder.add(counts[2 * row + part], counted))
                    return found

                zero = ir.Constant(_WORDS, None)
                return _loop(builder, "bits", _I64(0), steps, 1, [zero] * (2 * len(some)), body)[1]

            counts = [one for row in range(0, rows, TOGETHER) for one in counts_of(left[row : row + TOGETHER])]
            low = ir.Constant(_INTS, list(range(0, 2 * LANES, 2)))  # the low half of each count
            made = []
            for row in range(rows):
                halves = [builder.bitcast(one, _INTS) for one in counts[2 * row : 2 * row + 2]]
                count = builder.shuffle_vector(*halves, low)
                made.append(builder.add(count, count))
            return context.make_tuple(builder, sig.return_type, made)

        return signature, generate

    return tile


bit_tile, bit_row = _bit_tile(ROWS), _bit_tile(1)


def _float_tile(rows: int, panels: int) -> Any:
    """Sums of products of `rows` rows and `panels` panels of 16 columns, into `out`.

    A row lies in pieces of `length` steps. Arguments: numbers; where each piece of each row begins (pieces,
    FLOAT_BLOCK), and the first of the rows in there; length; panels of float32, or of uint16 (bit j is the sign of
    column j), offset, distance of panels in steps; out, offset, distance of rows.
    """

    @_intrinsic
    def tile(typing, x, begins, first, length, b, b_at, b_panel, out, out_at, out_row):
        signs = b.dtype == types.uint16
        whole = types.int64
        signature = types.void(x, begins, whole, whole, b, whole, whole, out, whole, whole)

        def generate(context, builder, sig, values):
            x, begins, first, length, b, b_at, b_panel, out, out_at, out_row = values
            kind, apart = (_I16, 1) if signs else (_F32, LANES)
            pieces = context.make_array(sig.args[1])(context, builder, begins).shape
            pieces = builder.extract_value(pieces, 0)
            begins = _pointer(context, builder, sig.args[1], begins, first, _I64)
            numbers = _pointer(context, builder, sig.args[0], x, _I64(0), _F32)
            start = _pointer(context, builder, sig.args[4], b, b_at, kind)
            right = [
                builder.gep(start, [builder.mul(b_panel, _I64(apart * panel))], source_etype=kind)
                for panel in range(panels)
            ]

            def columns(place):
                if not signs:
                    return _load(builder, place, _FLOATS, 4)
                mask = builder.bitcast(builder.load(place, align=2, typ=_I16), ir.VectorType(_I1, LANES))
                return builder.select(mask, *(ir.Constant(_FLOATS, [one] * LANES) for one in (1.0, -1.0)))

            def piece(index, sums):
                left = []
                for row in range(rows):
                    at = builder.add(builder.mul(index, _I64(FLOAT_BLOCK)), _I64(row))
                    begin = builder.load(builder.gep(begins, [at], source_etype=_I64), typ=_I64)
                    left.append(builder.gep(numbers, [begin], source_etype=_F32))
                passed = builder.mul(index, builder.mul(length, _I64(apart)))
                panel_at = [builder.gep(panel, [passed], source_etype=kind) for panel in right]

                def body(unrolled):
                    def work(step, sums):
                        here = [builder.gep(row, [step], source_etype=_F32) for row in left]
                        along = builder.mul(step, _I64(apart))
                        there = [builder.gep(panel, [along], source_etype=kind) for panel in panel_at]
                        for more in range(unrolled):
                            wide = [
                                columns(builder.gep(panel, [_I64(apart * more)], source_etype=kind)) for panel in there
                            ]
                            added = []
                            for row, place in enumerate(here):
                                value = builder.load(builder.gep(place, [_I64(more)], source_etype=_F32), typ=_F32)
                                value = _splat(builder, value, LANES)
                                added += [
                                    _multiply_add(builder, value, wide[panel], sums[row * panels + panel])
                                    for panel in range(panels)
                                ]
                            sums = added
                        return sums

                    return work

                step, sums = _loop(builder, "floats", _I64(0), length, UNROLLED, sums, body(UNROLLED))
                return _loop(builder, "rest", step, length, 1, sums, body(1))[1]

            sums = [ir.Constant(_FLOATS, None)] * (rows * panels)
            _, sums = _loop(builder, "pieces", _I64(0), pieces, 1, sums, piece)
            for index, total in enumerate(sums):
                row, panel = divmod(index, panels)
                at = builder.add(out_at, builder.add(builder.mul(out_row, _I64(row)), _I64(panel * LANES)))
                place = _pointer(context, builder, sig.args[7], out, at, _F32)
                builder.store(total, _as(builder, place, _FLOATS), align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


float_tile, float_row, float_tiles = (
    _float_tile(FLOAT_ROWS, 1),
    _float_tile(1, 1),
    _float_tile(FLOAT_ROWS, FLOAT_PANELS),
)


@_intrinsic
def expand(typing, signs, at, out, out_at):
    """16 bits of `signs` as +1.0 where set, else -1.0."""

    def generate(context, builder, sig, values):
        signs, at, out, out_at = values
        mask = builder.load(_pointer(context, builder, sig.args[0], signs, at, _I16), align=2, typ=_I16)
        mask = builder.bitcast(mask, ir.VectorType(_I1, LANES))
        value = builder.select(mask, *(ir.Constant(_FLOATS, [one] * LANES) for one in (1.0, -1.0)))
        place = _pointer(context, builder, sig.args[2], out, out_at, _F32)
        builder.store(value, _as(builder, place, _FLOATS), align=4)
        return context.get_dummy_value()

    return types.void(signs, types.int64, out, types.int64), generate


_BYTES = ir.VectorType(_I8, 2 * LANES)


def _lookup_table() -> bytes:
    """For each byte 32 more: how many bits of its lower half differ from 0 to 15, then of its upper half."""
    half = np.arange(16)
    counts = np.bitwise_count(half[:, None] ^ half)
    octets = np.arange(256)
    return np.concatenate([counts[octets & 15], counts[octets >> 4]], axis=1).astype(np.uint8).tobytes()


def _lookup_tile(rows: int, panels: int) -> Any:
    """Twice the differing bits, into `out`, for machines that look bytes up 32 at once but do not count bits.

    A byte of a row picks a table; halves of the bytes of 16 output channels pick from it. Arguments: places (rows, ...)
    uint16: 32 times each byte of the rows, offset, distance of rows; panels of `arrange`, offset, their distance;
    steps, even, up to LOOKUP_STEPS; out int32, offset, distance of rows; whether to add to what stands in `out`.
    """

    @_intrinsic
    def tile(typing, a, a_at, a_row, b, b_at, b_panel, steps, out, out_at, out_row, adds):
        signature = types.void(a, a_at, a_row, b, b_at, b_panel, steps, out, out_at, out_row, types.int64)

        def generate(context, builder, sig, values):
            a, a_at, a_row, b, b_at, b_panel, steps, out, out_at, out_row, adds = values
            table: Any = cgutils.global_constant(
                builder, "differing_bits", ir.Constant(ir.ArrayType(_I8, 8192), bytearray(_lookup_table()))
            )
            table.align = 64
            table = _as(builder, table, _I8)
            starts = [builder.add(a_at, builder.mul(a_row, _I64(row))) for row in range(rows)]
            left = [_pointer(context, builder, sig.args[0], a, start, _I16) for start in starts]
            first = _as(builder, _pointer(context, builder, sig.args[3], b, b_at, _I64), _I8)
            right = [
                builder.gep(first, [builder.mul(b_panel, _I64(8 * panel))], source_etype=_I8) for panel in range(panels)
            ]
            shift = ir.Constant(ir.VectorType(_I32, 8), [0] * 4 + [4] * 4)
            low = ir.Constant(_BYTES, [15] * 32)

            def body(step, sums):
                added = list(sums)
                for more in range(2):
                    at = builder.add(step, _I64(more))
                    halves = []
                    for place in right:
                        octets = builder.gep(place, [builder.mul(at, _I64(LANES))], source_etype=_I8)
                        octets = _load(builder, octets, ir.VectorType(_I8, LANES), 1)
                        both = ir.Constant(ir.VectorType(_I32, 32), [*range(16), *range(16)])
                        octets = builder.shuffle_vector(octets, octets, both)
                        octets = builder.lshr(builder.bitcast(octets, shift.type), shift)
                        halves.append(builder.and_(builder.bitcast(octets, _BYTES), low))
                    for row, start in enumerate(left):
                        place = builder.gep(start, [at], source_etype=_I16)
                        place = builder.zext(builder.load(place, align=2, typ=_I16), _I64)
                        counts = _load(builder, builder.gep(table, [place], source_etype=_I8), _BYTES, 32)
                        for panel, half in enumerate(halves):
                            found = _llvm(builder, "llvm.x86.avx2.pshuf.b", _BYTES, counts, half)
                            index = row * panels + panel
                            added[index] = builder.add(added[index], found)
                return added

            sums = [ir.Constant(_BYTES, None)] * (rows * panels)
            _, sums = _loop(builder, "lookup", _I64(0), steps, 2, sums, body)
            adds = builder.icmp_signed("!=", adds, _I64(0))
            for index, total in enumerate(sums):
                row, panel = divmod(index, panels)
                total = [
                    builder.zext(
                        builder.shuffle_vector(total, total, ir.Constant(_INTS, list(part))),
                        ir.VectorType(_I16, LANES),
                    )
                    for part in (range(16), range(16, 32))
                ]
                total = builder.zext(builder.add(*total), _INTS)
                at = builder.add(out_at, builder.add(builder.mul(out_row, _I64(row)), _I64(panel * LANES)))
                place = _as(builder, _pointer(context, builder, sig.args[7], out, at, _I32), _INTS)
                before = builder.select(adds, builder.load(place, align=4, typ=_INTS), ir.Constant(_INTS, None))
                builder.store(builder.add(before, builder.add(total, total)), place, align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


lookup_4x2, lookup_1x2 = _lookup_tile(LOOKUP_ROWS, 2), _lookup_tile(1, 2)
lookup_4x1, lookup_1x1 = _lookup_tile(LOOKUP_ROWS, 1), _lookup_tile(1, 1)
