"""What is done to 16 channels at once beside their sums, in LLVM's own language: last steps, signs, bounds, counts."""

# ruff: noqa: ARG001  (numba and LLVM ask for functions with arguments that not each needs)
from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from bnn_fsg.runtime._tiles import (
    _F32,
    _FLOATS,
    _I16,
    _I32,
    _I64,
    LANES,
    _as,
    _intrinsic,
    _llvm,
    _load,
    _multiply_add,
    _pointer,
    _splat,
)


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


@_intrinsic
def _turn_16(typing, x, x_at, x_row, out, out_at, out_row):
    """16 rows of 16 numbers of x as 16 columns of out."""
    signature = types.void(x, x_at, x_row, out, out_at, out_row)

    def generate(context, builder, sig, values):
        x, x_at, x_row, out, out_at, out_row = values
        rows = []
        for row in range(LANES):
            at = builder.add(x_at, builder.mul(x_row, _I64(row)))
            rows.append(_load(builder, _pointer(context, builder, sig.args[0], x, at, _F32), _FLOATS, 4))
        for distance in (8, 4, 2, 1):  # blocks of that size, off the diagonal, change places
            low = [lane if not lane & distance else lane - distance + LANES for lane in range(LANES)]
            high = [lane + distance if not lane & distance else lane + LANES for lane in range(LANES)]
            for row in range(LANES):
                if row & distance:
                    continue
                pair = rows[row], rows[row + distance]
                for place, lanes in ((row, low), (row + distance, high)):
                    rows[place] = builder.shuffle_vector(*pair, ir.Constant(ir.VectorType(_I32, LANES), lanes))
        for row, value in enumerate(rows):
            at = builder.add(out_at, builder.mul(out_row, _I64(row)))
            builder.store(value, _as(builder, _pointer(context, builder, sig.args[3], out, at, _F32), _FLOATS), align=4)
        return context.get_dummy_value()

    return signature, generate
