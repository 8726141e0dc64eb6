"""The inner loops, compiled by numba: xnor and popcount over 64-bit words, float tiles, packing, and their last steps.

A few pieces are written as vectors of LLVM's own language, because the automatic vectoriser finds neither the register
tile nor the reduction. LLVM turns them into AVX-512 with VPOPCNTDQ, AVX2 or NEON, whatever the machine has. All that
inlines them stands in this one file, so that numba's cache notices every change. `_numpy.py` gives the same numbers.

Layouts: pictures are (n, h, w, channels); bits of a pixel are ceil(channels / 64) words, channel c in bit c % 64 of
word c // 64, zero above; a panel holds 16 output channels side by side, for each step along the reduced axis.
`shape` is (out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w), int64.
`down` (out_h, 3) and `across` (out_w, 3), int64, say for each output row and column which of the kernel's steps fall
inside the picture (first, last + 1) and of what class it is: pixels of one (row class, column class) lie alike to the
border, and class 0 of both is the interior. Tables have one entry for each of these classes, in row-major order.
"""

# ruff: noqa: ARG001  (numba and LLVM ask for functions with arguments that not each needs)
from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

LANES = 16  # output channels of a panel
WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
_FEATURES = llvmlite.binding.get_host_cpu_features()
LOOKUP = bool(_FEATURES.get("avx2") and not _FEATURES.get("avx512vpopcntdq")) and not (
    config.CPU_NAME or config.CPU_FEATURES
)  # AVX2 counts no bits of its own, but looks bytes up in tables
ROWS = 4 if WIDE else 2  # rows of a tile of bits: as many accumulators as there are registers for
LOOKUP_ROWS, LOOKUP_STEPS = 4, 62  # bytes hold the counts of so many steps, 4 at most in each
FLOAT_ROWS = 6 if WIDE else 4
BLOCK, FLOAT_BLOCK = 32, 24  # output pixels worked on together, multiples of these
_intrinsic: Any = intrinsic
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
_I8, _I16, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()


def _pointer(context, builder, array_type, value, at, element):
    """Address of element `at` of a contiguous array."""
    data = context.make_array(array_type)(context, builder, value).data
    return builder.gep(_as(builder, data, element), [at], source_etype=element)


def _as(builder, place, kind):
    return place if place.type.is_opaque else builder.bitcast(place, ir.PointerType(kind))


def _load(builder, place, kind, align):
    return builder.load(_as(builder, place, kind), align=align, typ=kind)


def _splat(builder, scalar, lanes):
    whole = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    whole = builder.insert_element(whole, scalar, _I32(0))
    return builder.shuffle_vector(whole, whole, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _llvm(builder, name, result, *values):
    """Call one of LLVM's own functions; llvmlite's builder knows them for scalars only."""
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


_EIGHT_WORDS, _FLOATS = ir.VectorType(_I64, 8), ir.VectorType(_F32, LANES)


def _two_vectors_of_words(builder, panel, step):
    place = builder.gep(panel, [builder.mul(step, _I64(LANES))], source_etype=_I64)
    following = builder.gep(place, [_I64(8)], source_etype=_I64)
    return [_load(builder, place, _EIGHT_WORDS, 8), _load(builder, following, _EIGHT_WORDS, 8)]


def _floats(builder, panel, step):
    place = builder.gep(panel, [builder.mul(step, _I64(LANES))], source_etype=_F32)
    return [_load(builder, place, _FLOATS, 4)]


def _signs(builder, panel, step):
    """16 bits as +1.0 where set, else -1.0."""
    mask = builder.load(builder.gep(panel, [step], source_etype=_I16), align=2, typ=_I16)
    mask = builder.bitcast(mask, ir.VectorType(ir.IntType(1), LANES))
    return [builder.select(mask, ir.Constant(_FLOATS, [1.0] * LANES), ir.Constant(_FLOATS, [-1.0] * LANES))]


def _mismatches(builder, a, b, total):
    different = builder.xor(a, b)
    return builder.add(total, _llvm(builder, "llvm.ctpop.v8i64", different.type, different))


def _multiply_add(builder, a, b, total):
    return _llvm(builder, "llvm.fma.v16f32", total.type, a, b, total)


def _dot(builder, count, bits):
    """Of `bits` products, `count` are -1: their sum is bits - 2 count."""
    narrow = builder.trunc(count, ir.VectorType(_I32, 8))
    return builder.sub(_splat(builder, builder.trunc(bits, _I32), 8), builder.add(narrow, narrow))


def _unchanged(builder, total, bits):
    return total


def _tile(rows: int, kind: Any, columns: Any, elements: tuple[Any, Any, Any], combine: Any, last: Any) -> Any:
    """A register tile as an intrinsic: for `rows` rows of a, the sums of `combine` over `steps` steps of a panel.

    Arguments: a, offset of its first element, distance of rows, of steps; panel and offset; steps; out, offset,
    distance of rows; one more integer for `last`. `elements` are the element types of a, panel and out; `kind` is that
    of an accumulator.
    """

    @_intrinsic
    def tile(typing, a, a_at, a_row, a_step, b, b_at, steps, out, out_at, out_row, extra):
        signature = types.void(a, a_at, a_row, a_step, b, b_at, steps, out, out_at, out_row, extra)

        def generate(context, builder, sig, values):
            a, a_at, a_row, a_step, b, b_at, steps, out, out_at, out_row, extra = values
            lanes = kind.count
            places = [builder.add(a_at, builder.mul(a_row, _I64(row))) for row in range(rows)]
            left = [_pointer(context, builder, sig.args[0], a, place, elements[0]) for place in places]
            panel = _pointer(context, builder, sig.args[4], b, b_at, elements[1])
            before, loop = builder.block, builder.append_basic_block("tile.loop")
            after = builder.append_basic_block("tile.after")
            builder.branch(loop)  # there is always one step
            builder.position_at_end(loop)
            step = builder.phi(_I64)
            vectors = LANES // lanes
            sums = [builder.phi(kind) for _ in range(rows * vectors)]
            right = columns(builder, panel, step)
            along = builder.mul(a_step, step)
            added = []
            for row, place in enumerate(left):
                value = builder.load(builder.gep(place, [along], source_etype=elements[0]), typ=elements[0])
                value = _splat(builder, value, lanes)
                added += [combine(builder, value, right[part], sums[row * vectors + part]) for part in range(vectors)]
            following = builder.add(step, _I64(1))
            for one, start, new in zip(
                [step, *sums],
                [_I64(0)] + [ir.Constant(kind, None)] * len(sums),
                [following, *added],
                strict=True,
            ):
                one.add_incoming(start, before)
                one.add_incoming(new, loop)
            builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)
            builder.position_at_end(after)
            for index, total in enumerate(added):
                row, part = divmod(index, vectors)
                at = builder.add(out_at, builder.add(builder.mul(out_row, _I64(row)), _I64(part * lanes)))
                value = last(builder, total, extra)
                place = _pointer(context, builder, sig.args[7], out, at, elements[2])
                builder.store(value, _as(builder, place, value.type), align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


_BITS = (_EIGHT_WORDS, _two_vectors_of_words, (_I64, _I64, _I32), _mismatches, _dot)
_FLOAT = (_FLOATS, _floats, (_F32, _F32, _F32), _multiply_add, _unchanged)
_SIGNS = (_FLOATS, _signs, (_F32, _I16, _F32), _multiply_add, _unchanged)
_bit_tile, _bit_row = _tile(ROWS, *_BITS), _tile(1, *_BITS)
_float_tile, _float_row = _tile(FLOAT_ROWS, *_FLOAT), _tile(1, *_FLOAT)
_sign_tile, _sign_row = _tile(FLOAT_ROWS, *_SIGNS), _tile(1, *_SIGNS)


_BYTES = ir.VectorType(_I8, 2 * LANES)


def _lookup_table() -> bytes:
    """For each byte 32 more: how many bits of its lower half differ from 0 to 15, then of its upper half."""
    half = np.arange(16)
    counts = np.bitwise_count(half[:, None] ^ half)
    octets = np.arange(256)
    return np.concatenate([counts[octets & 15], counts[octets >> 4]], axis=1).astype(np.uint8).tobytes()


def _lookup_tile(rows: int, panels: int) -> Any:
    """A register tile as `_tile` makes it, for machines that look bytes up 32 at once but do not count bits.

    A byte of a row picks a table; halves of the bytes of 16 output channels pick from it. Arguments: places (rows, ...)
    uint16: 32 times each byte of the rows, offset, distance of rows; panels of `arrange`, offset, their distance;
    steps, even, up to LOOKUP_STEPS; out int32, offset, distance of rows; from: what the counts are taken from, twice,
    if it is the first time, else -1: what stands in out.
    """

    @_intrinsic
    def tile(typing, a, a_at, a_row, b, b_at, b_panel, steps, out, out_at, out_row, bits):
        signature = types.void(a, a_at, a_row, b, b_at, b_panel, steps, out, out_at, out_row, bits)

        def generate(context, builder, sig, values):
            a, a_at, a_row, b, b_at, b_panel, steps, out, out_at, out_row, bits = values
            table = cgutils.global_constant(
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
            before, loop = builder.block, builder.append_basic_block("lookup.loop")
            after = builder.append_basic_block("lookup.after")
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(_I64)
            sums = [builder.phi(_BYTES) for _ in range(rows * panels)]
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
            following = builder.add(step, _I64(2))
            for one, start, new in zip(
                [step, *sums],
                [_I64(0)] + [ir.Constant(_BYTES, None)] * len(sums),
                [following, *added],
                strict=True,
            ):
                one.add_incoming(start, before)
                one.add_incoming(new, loop)
            builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)
            builder.position_at_end(after)
            wide = ir.VectorType(_I32, LANES)
            begins = builder.icmp_signed(">=", bits, _I64(0))
            start = _splat(builder, builder.trunc(bits, _I32), LANES)
            for index, total in enumerate(added):
                row, panel = divmod(index, panels)
                total = [
                    builder.zext(
                        builder.shuffle_vector(total, total, ir.Constant(ir.VectorType(_I32, LANES), list(part))),
                        ir.VectorType(_I16, LANES),
                    )
                    for part in (range(16), range(16, 32))
                ]
                total = builder.zext(builder.add(*total), wide)
                at = builder.add(out_at, builder.add(builder.mul(out_row, _I64(row)), _I64(panel * LANES)))
                place = _as(builder, _pointer(context, builder, sig.args[7], out, at, _I32), wide)
                from_ = builder.select(begins, start, builder.load(place, align=4, typ=wide))
                builder.store(builder.sub(from_, builder.add(total, total)), place, align=4)
            return context.get_dummy_value()

        return signature, generate

    return tile


_lookup_4x2, _lookup_1x2 = _lookup_tile(LOOKUP_ROWS, 2), _lookup_tile(1, 2)
_lookup_4x1, _lookup_1x1 = _lookup_tile(LOOKUP_ROWS, 1), _lookup_tile(1, 1)


def _mask(builder, count):
    """The first `count` of 16 lanes."""
    lanes = ir.Constant(ir.VectorType(_I64, LANES), list(range(LANES)))
    return builder.icmp_signed("<", lanes, _splat(builder, count, LANES))


def _masked(builder, place, mask):
    place, zero = _as(builder, place, _FLOATS), ir.Constant(_FLOATS, None)
    suffix = "p0" if place.type.is_opaque else "p0v16f32"
    return _llvm(builder, f"llvm.masked.load.v16f32.{suffix}", _FLOATS, place, _I32(4), mask, zero)


def _finisher(added: bool, masked: bool) -> Any:
    """What follows the sums of 16 channels: y = rectify(scale (d + fix) + sums total + shift + residual).

    fix (16,) int32, for whole sums only; table (7, 16) float32: scale, sums, shift, shift_in, positive, negative,
    shift_out. The residual counts if `added`; only `lanes` channels are read of it and written if `masked`.
    """

    @_intrinsic
    def finish(typing, dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes):
        signature = types.void(dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes)

        def generate(context, builder, sig, values):
            dots, dots_at, fix, fix_at, table, table_at, total, residual, out, out_at, lanes = values
            whole = sig.args[0].dtype == types.int32
            kind = ir.VectorType(_I32, LANES) if whole else _FLOATS
            value = _load(builder, _pointer(context, builder, sig.args[0], dots, dots_at, kind.element), kind, 4)
            if whole:
                mend = _load(builder, _pointer(context, builder, sig.args[2], fix, fix_at, _I32), kind, 4)
                value = builder.sitofp(builder.add(value, mend), _FLOATS)
            row = _pointer(context, builder, sig.args[4], table, table_at, _F32)
            scale, sums, shift, shift_in, positive, negative, shift_out = (
                _load(builder, builder.gep(row, [_I64(LANES * index)], source_etype=_F32), _FLOATS, 4)
                for index in range(7)
            )
            shift = _multiply_add(builder, _splat(builder, total, LANES), sums, shift)
            value = _multiply_add(builder, value, scale, shift)
            if added:
                place = _pointer(context, builder, sig.args[7], residual, out_at, _F32)
                mask = _mask(builder, lanes) if masked else None
                value = builder.fadd(
                    value, _masked(builder, place, mask) if masked else _load(builder, place, _FLOATS, 4)
                )
            value = builder.fadd(value, shift_in)
            above = builder.fcmp_ordered(">", value, ir.Constant(_FLOATS, None))
            value = _multiply_add(builder, value, builder.select(above, positive, negative), shift_out)
            place = _as(builder, _pointer(context, builder, sig.args[8], out, out_at, _F32), _FLOATS)
            if masked:
                suffix = "p0" if place.type.is_opaque else "p0v16f32"
                name = f"llvm.masked.store.v16f32.{suffix}"
                _llvm(builder, name, ir.VoidType(), value, place, _I32(4), _mask(builder, lanes))
            else:
                builder.store(value, place, align=4)
            return context.get_dummy_value()

        return signature, generate

    return finish


_finish_whole, _finish_added = _finisher(False, False), _finisher(True, False)
_finish_few, _finish_few_added = _finisher(False, True), _finisher(True, True)


def _signer(masked: bool) -> Any:
    """Bits of x >= threshold for 16 channels, or for the first `lanes` if `masked`, the first lowest; uint64."""

    @_intrinsic
    def sign_bits(typing, x, x_at, threshold, threshold_at, lanes):
        signature = types.uint64(x, x_at, threshold, threshold_at, lanes)

        def generate(context, builder, sig, values):
            x, x_at, threshold, threshold_at, lanes = values
            places = (
                _pointer(context, builder, sig.args[0], x, x_at, _F32),
                _pointer(context, builder, sig.args[2], threshold, threshold_at, _F32),
            )
            if masked:
                mask = _mask(builder, lanes)
                bits = builder.fcmp_ordered(">=", *(_masked(builder, place, mask) for place in places))
                bits = builder.and_(bits, mask)
            else:
                bits = builder.fcmp_ordered(">=", *(_load(builder, place, _FLOATS, 4) for place in places))
            return builder.zext(builder.bitcast(bits, _I16), _I64)

        return signature, generate

    return sign_bits


_sign_bits, _few_sign_bits = _signer(False), _signer(True)


@_intrinsic
def _bound_bits(typing, dots, dots_at, fix, fix_at, bounds, bounds_at, lanes):
    """Bits of d + fix >= bound, turned where flip is -1, for up to 16 channels; bounds (2, 16) int32: bound, flip."""
    signature = types.uint64(dots, dots_at, fix, fix_at, bounds, bounds_at, lanes)

    def generate(context, builder, sig, values):
        kind = ir.VectorType(_I32, LANES)

        def load(index, more=0):
            at = builder.add(values[index + 1], _I64(more))
            return _load(builder, _pointer(context, builder, sig.args[index], values[index], at, _I32), kind, 4)

        above = builder.icmp_signed(">=", builder.add(load(0), load(2)), load(4))
        turned = builder.icmp_signed("<", load(4, LANES), ir.Constant(kind, None))
        bits = builder.and_(builder.xor(above, turned), _mask(builder, values[6]))
        return builder.zext(builder.bitcast(bits, _I16), _I64)

    return signature, generate


@_intrinsic
def _ones(typing, word):
    """How many bits of a word are set."""

    def generate(context, builder, sig, values):
        return builder.ctpop(values[0])

    return types.int64(word), generate


@_compiled
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


@_compiled
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


@_compiled
def _bits_at(row, at, count):
    """`count` <= 64 bits of a row of words, from bit `at`."""
    low = at >> 6
    shift = np.uint64(at & 63)
    bits = row[low] >> shift
    if (at & 63) + count > 64:
        bits |= row[low + 1] << (np.uint64(64) - shift)
    return bits if count == 64 else bits & ((np.uint64(1) << np.uint64(count)) - np.uint64(1))


@_compiled
def _spread(left, stride, width, count):
    """(first, last + 1) of `count` pixels, `stride` apart from `left`, that lie inside a row of `width`."""
    first = 0 if left >= 0 else (stride - 1 - left) // stride
    last = (width - left + stride - 1) // stride if left < width else 0
    last = min(count, last)
    return min(first, last), last


@_compiled
def _gather_whole(x, shape, down, across, first_channel, channels, first, count, rows):
    """Numbers or words under the kernel for `count` output pixels, 0 outside, into rows (..., taps channels)."""
    out_h, out_w, kernel_w, steps = shape[0], shape[1], shape[3], rows.shape[1]
    flat, flat_rows = x.reshape(-1), rows.reshape(-1)
    together = shape[9] == 1 and x.shape[3] == channels  # a row of the kernel lies in one piece
    for index in range(count):
        row, column = (first + index) // out_w, (first + index) % out_w
        picture, row = row // out_h, row % out_h
        top = row * shape[4] - shape[6]
        left = column * shape[5] - shape[7]
        y0, y1, x0, x1 = down[row, 0], down[row, 1], across[column, 0], across[column, 1]
        if y1 - y0 < shape[2] or x1 - x0 < kernel_w:
            for step in range(steps):
                flat_rows[np.uint64(index * steps + step)] = 0
        for i in range(y0, y1):
            source = ((picture * x.shape[1] + top + i * shape[8]) * x.shape[2] + left) * x.shape[3] + first_channel
            target = index * steps + i * kernel_w * channels
            if together:
                for at in range(x0 * channels, x1 * channels):
                    flat_rows[np.uint64(target + at)] = flat[np.uint64(source + at)]
                continue
            for j in range(x0, x1):
                for channel in range(channels):
                    at = np.uint64(source + j * shape[9] * x.shape[3] + channel)
                    flat_rows[np.uint64(target + j * channels + channel)] = flat[at]


@_compiled
def _gather_bits(x, shape, down, first_channel, channels, pixel, count, rows):
    """Bits under the kernel for `count` output pixels, tight, -1 outside the picture, into rows (words, BLOCK)."""
    out_h, out_w, kernel_w, stride = shape[0], shape[1], shape[3], shape[5]
    for word in range(rows.shape[0]):
        for index in range(count):
            rows[word, index] = np.uint64(0)
    flat, flat_rows = x.reshape(-1), rows.reshape(-1)
    words = (channels + 63) >> 6
    done = 0
    while done < count:  # one run of pixels in a row of the output after the other
        row, column = (pixel + done) // out_w, (pixel + done) % out_w
        run = min(count - done, out_w - column)
        picture, row = row // out_h, row % out_h
        for i in range(down[row, 0], down[row, 1]):
            y = row * shape[4] - shape[6] + i * shape[8]
            for j in range(kernel_w):
                left = column * stride - shape[7] + j * shape[9]
                low, high = _spread(left, stride, x.shape[2], run)
                tap = i * kernel_w + j
                if x.shape[3] == 1:
                    at = tap * channels
                    shift, keep = np.uint64(at & 63), (np.uint64(1) << np.uint64(channels)) - np.uint64(1)
                    skip, rest = np.uint64(first_channel), np.uint64(64 - (at & 63))
                    source = (picture * x.shape[1] + y) * x.shape[2] + left
                    target = (at >> 6) * BLOCK + done
                    for index in range(low, high):  # unsigned places: numba need not ask whether they are negative
                        bits = (flat[np.uint64(source + index * stride)] >> skip) & keep
                        flat_rows[np.uint64(target + index)] |= bits << shift
                    if (at & 63) + channels > 64:
                        target += BLOCK
                        for index in range(low, high):
                            bits = (flat[np.uint64(source + index * stride)] >> skip) & keep
                            flat_rows[np.uint64(target + index)] |= bits >> rest
                else:
                    for index in range(low, high):
                        for word in range(words):
                            few = min(64, channels - 64 * word)
                            bits = _bits_at(x[picture, y, left + index * stride], first_channel + 64 * word, few)
                            at = tap * channels + 64 * word
                            rows[at >> 6, done + index] |= bits << np.uint64(at & 63)
                            if (at & 63) + few > 64:
                                rows[(at >> 6) + 1, done + index] |= bits >> np.uint64(64 - (at & 63))
        done += run


@_compiled
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


@_compiled
def _lookup_places(a, a_at, a_row, a_step, count, places):
    """32 times each byte of `count` rows of a, into places (BLOCK, 8 words) uint16."""
    octets, flat, steps = a.view(np.uint8), places.reshape(-1), places.shape[1]
    together = steps if a_step == 1 else 8  # bytes that lie in one piece
    for index in range(count):
        for step in range(0, steps, together):
            source, target = 8 * (a_at + index * a_row) + step * a_step, index * steps + step
            for octet in range(together):
                flat[np.uint64(target + octet)] = np.uint16(octets[np.uint64(source + octet)]) << np.uint16(5)


@_compiled
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


@_compiled
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
                _gather_whole(x, shape, down, across, group * (channels >> 6), channels >> 6, first, count, rows)
            elif not plain:
                _gather_bits(x, shape, down, group * channels, channels, first, count, tight)
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


@_compiled
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
            _gather_whole(x, shape, down, across, group * channels, channels, first, count, rows)
            for panel in range(many):
                _float_rows(rows, count, panels, (group * many + panel) * size, steps, dots, panel * LANES)
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


def _float_rows(rows, count, panels, at, steps, dots, column):
    """Sums of one panel for `count` rows; chosen by the kind of panel when compiled."""
    raise NotImplementedError  # compiled code only


@overload(_float_rows)
def _float_rows_of(rows, count, panels, at, steps, dots, column):
    tile, one = (_sign_tile, _sign_row) if panels.dtype == types.uint16 else (_float_tile, _float_row)

    def work(rows, count, panels, at, steps, dots, column):
        width = dots.shape[1]
        row = 0
        while row + FLOAT_ROWS <= count:
            tile(rows, row * steps, steps, 1, panels, at, steps, dots, row * width + column, width, 0)
            row += FLOAT_ROWS
        while row < count:
            one(rows, row * steps, steps, 1, panels, at, steps, dots, row * width + column, width, 0)
            row += 1

    return work
