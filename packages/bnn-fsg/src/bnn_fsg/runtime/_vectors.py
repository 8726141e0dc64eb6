"""Vectors of 16 float32 or int32 as numbers of numba's, in LLVM's own language: loads, stores, last steps, signs.

LLVM turns them into AVX-512, AVX2 or NEON, whatever the machine has.
"""

# ruff: noqa: ARG001  (numba and LLVM ask for functions with arguments that not each needs)
from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from bnn_fsg.runtime._arguments import LANES

_intrinsic: Any = intrinsic
_I1, _I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
_F32 = ir.FloatType()
_FLOATS, _INTS, _WORDS = ir.VectorType(_F32, LANES), ir.VectorType(_I32, LANES), ir.VectorType(_I64, 8)


class Vector(types.Type):
    """16 numbers in a register, or 8 words of 64 bits."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _kind(fe_type.dtype))


FLOATS, INTS, WORDS = Vector(types.float32), Vector(types.int32), Vector(types.uint64)


def _kind(dtype) -> Any:
    kinds = {types.float32: _FLOATS, types.int32: _INTS, types.uint64: _WORDS}
    return kinds[dtype]


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


def _multiply_add(builder, a, b, total):
    return _llvm(builder, f"llvm.fma.v{total.type.count}f32", total.type, a, b, total)


def _first_lanes(builder, count):
    """The first `count` of 16 lanes."""
    lanes = ir.Constant(ir.VectorType(_I64, LANES), list(range(LANES)))
    return builder.icmp_signed("<", lanes, _splat(builder, count, LANES))


def _masked(place, kind):
    """The name that LLVM gives a masked load or store of such a vector."""
    element = "f32" if kind is _FLOATS else "i32"
    return f"v16{element}.{'p0' if place.type.is_opaque else f'p0v16{element}'}"


@_intrinsic
def load(typing, x, at):
    """16 numbers of x from element `at`."""

    def generate(context, builder, sig, values):
        kind = _kind(sig.args[0].dtype)
        return _load(builder, _pointer(context, builder, sig.args[0], values[0], values[1], kind.element), kind, 4)

    return Vector(x.dtype)(x, types.int64), generate


@_intrinsic
def load_few(typing, x, at, count):
    """`count` numbers of x from element `at`, then zeros."""

    def generate(context, builder, sig, values):
        kind = _kind(sig.args[0].dtype)
        place = _as(builder, _pointer(context, builder, sig.args[0], values[0], values[1], kind.element), kind)
        mask, zero = _first_lanes(builder, values[2]), ir.Constant(kind, None)
        return _llvm(builder, f"llvm.masked.load.{_masked(place, kind)}", kind, place, _I32(4), mask, zero)

    return Vector(x.dtype)(x, types.int64, types.int64), generate


@_intrinsic
def store(typing, out, at, value):
    """16 numbers to `out` from element `at`."""

    def generate(context, builder, sig, values):
        kind = _kind(sig.args[0].dtype)
        place = _pointer(context, builder, sig.args[0], values[0], values[1], kind.element)
        builder.store(values[2], _as(builder, place, kind), align=4)
        return context.get_dummy_value()

    return types.void(out, types.int64, value), generate


@_intrinsic
def store_few(typing, out, at, value, count):
    """The first `count` of 16 numbers to `out` from element `at`."""

    def generate(context, builder, sig, values):
        kind = _kind(sig.args[0].dtype)
        place = _as(builder, _pointer(context, builder, sig.args[0], values[0], values[1], kind.element), kind)
        mask = _first_lanes(builder, values[3])
        _llvm(builder, f"llvm.masked.store.{_masked(place, kind)}", ir.VoidType(), values[2], place, _I32(4), mask)
        return context.get_dummy_value()

    return types.void(out, types.int64, value, types.int64), generate


@_intrinsic
def splat(typing, number):
    """One float32 in all 16 places."""

    def generate(context, builder, sig, values):
        return _splat(builder, values[0], LANES)

    return FLOATS(types.float32), generate


@_intrinsic
def plus(typing, a, b):
    """a + b, both float32."""

    def generate(context, builder, sig, values):
        return builder.fadd(*values)

    return FLOATS(FLOATS, FLOATS), generate


@_intrinsic
def minus(typing, a, b):
    """a - b, both int32."""

    def generate(context, builder, sig, values):
        return builder.sub(*values)

    return INTS(INTS, INTS), generate


@_intrinsic
def to_floats(typing, value):
    """int32 as float32."""

    def generate(context, builder, sig, values):
        return builder.sitofp(values[0], _FLOATS)

    return FLOATS(INTS), generate


@_intrinsic
def multiply_add(typing, a, b, c):
    """a b + c, rounded once."""

    def generate(context, builder, sig, values):
        return _multiply_add(builder, *values)

    return FLOATS(FLOATS, FLOATS, FLOATS), generate


@_intrinsic
def choose(typing, value, positive, other):
    """`positive` where value > 0, else `other`."""

    def generate(context, builder, sig, values):
        above = builder.fcmp_ordered(">", values[0], ir.Constant(_FLOATS, None))
        return builder.select(above, values[1], values[2])

    return FLOATS(FLOATS, FLOATS, FLOATS), generate


@_intrinsic
def bits_from(typing, value, bound):
    """Bits of value >= bound, the first lane lowest; NaN is below."""

    def generate(context, builder, sig, values):
        compare = builder.fcmp_ordered if sig.args[0].dtype == types.float32 else builder.icmp_signed
        return builder.zext(builder.bitcast(compare(">=", *values), _I16), _I64)

    return types.uint64(value, value), generate


@_intrinsic
def ones(typing, word):
    """How many bits of a word are set."""

    def generate(context, builder, sig, values):
        return builder.ctpop(values[0])

    return types.int64(word), generate


@_intrinsic
def turn_16(typing, x, x_at, x_row, out, out_at, out_row, seen):
    """16 rows of 16 numbers of x as 16 columns of out; gives back `seen`, with NaN in it for NaN or infinity in x."""
    signature = FLOATS(x, types.int64, types.int64, out, types.int64, types.int64, FLOATS)

    def generate(context, builder, sig, values):
        x, x_at, x_row, out, out_at, out_row, seen = values
        starts = []
        for row in range(LANES):
            at = builder.add(x_at, builder.mul(x_row, _I64(row)))
            starts.append(_pointer(context, builder, sig.args[0], x, at, _F32))
        rows, half, whole = [], ir.VectorType(_F32, LANES // 2), ir.Constant(_INTS, list(range(LANES)))
        for row in range(LANES):  # halves change places as they are loaded
            pair = []
            for start in (starts[row % 8], starts[row % 8 + 8]):
                place = builder.gep(start, [_I64(row // 8 * 8)], source_etype=_F32)
                pair.append(_load(builder, place, half, 4))
            rows.append(builder.shuffle_vector(*pair, whole))
            seen = _multiply_add(builder, rows[-1], ir.Constant(_FLOATS, None), seen)
        for distance in (4, 2, 1):  # blocks of that size, off the diagonal, change places
            low = [lane if not lane & distance else lane - distance + LANES for lane in range(LANES)]
            high = [lane + distance if not lane & distance else lane + LANES for lane in range(LANES)]
            for row in range(LANES):
                if row & distance:
                    continue
                pair = rows[row], rows[row + distance]
                for place, lanes in ((row, low), (row + distance, high)):
                    rows[place] = builder.shuffle_vector(*pair, ir.Constant(_INTS, lanes))
        for row, value in enumerate(rows):
            at = builder.add(out_at, builder.mul(out_row, _I64(row)))
            builder.store(value, _as(builder, _pointer(context, builder, sig.args[3], out, at, _F32), _FLOATS), align=4)
        return seen

    return signature, generate


@_intrinsic
def is_finite(typing, seen):
    """Whether no lane is NaN."""

    def generate(context, builder, sig, values):
        bad = builder.bitcast(builder.fcmp_unordered("uno", values[0], values[0]), _I16)
        return builder.icmp_unsigned("==", bad, _I16(0))

    return types.boolean(FLOATS), generate


@_intrinsic
def plane_words(typing, x, at, distance, thresholds, first, count, seen):
    """Words of 16 pixels: bit c of each says whether x[at + c distance + pixel] >= thresholds[first + c], c < count.

    Gives back the words, 8 pixels to a vector, and `seen` as `turn_16` does.
    """
    words = types.Tuple((WORDS, WORDS, FLOATS))
    signature = words(x, types.int64, types.int64, thresholds, types.int64, types.int64, FLOATS)

    def generate(context, builder, sig, values):
        x, at, distance, thresholds, first, count, seen = values
        few = ir.VectorType(_F32, 8)
        place = _pointer(context, builder, sig.args[0], x, at, _F32)
        bounds = _pointer(context, builder, sig.args[3], thresholds, first, _F32)
        before, loop = builder.block, builder.append_basic_block("plane.loop")
        after = builder.append_basic_block("plane.after")
        builder.branch(loop)
        builder.position_at_end(loop)
        step, found, told = builder.phi(_I64), [builder.phi(_WORDS) for _ in range(2)], builder.phi(_FLOATS)
        here = builder.gep(place, [builder.mul(step, distance)], source_etype=_F32)
        bound = builder.load(builder.gep(bounds, [step], source_etype=_F32), align=4, typ=_F32)
        bound, bit = _splat(builder, bound, 8), _splat(builder, builder.shl(_I64(1), step), 8)
        added = []
        for part, word in enumerate(found):
            numbers = _load(builder, builder.gep(here, [_I64(8 * part)], source_etype=_F32), few, 4)
            above = builder.fcmp_ordered(">=", numbers, bound)
            added.append(builder.select(above, builder.or_(word, bit), word))
        numbers = _load(builder, here, _FLOATS, 4)
        also = _multiply_add(builder, numbers, ir.Constant(_FLOATS, None), told)
        following = builder.add(step, _I64(1))
        for one, start, new in zip(
            [step, *found, told],
            [_I64(0), ir.Constant(_WORDS, None), ir.Constant(_WORDS, None), seen],
            [following, *added, also],
            strict=True,
        ):
            one.add_incoming(start, before)
            one.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
        builder.position_at_end(after)
        return context.make_tuple(builder, sig.return_type, [*added, also])

    return signature, generate


@_intrinsic
def store_words(typing, out, at, distance, words):
    """8 words to `out`, `distance` apart from element `at`."""
    signature = types.void(out, types.int64, types.int64, WORDS)

    def generate(context, builder, sig, values):
        out, at, distance, words = values
        place = _pointer(context, builder, sig.args[0], out, at, _I64)
        for index in range(8):
            here = builder.gep(place, [builder.mul(distance, _I64(index))], source_etype=_I64)
            builder.store(builder.extract_element(words, _I32(index)), here)
        return context.get_dummy_value()

    return signature, generate


@_intrinsic
def add_bits(typing, out, at, x, x_at, skip, keep, up, down):
    """8 words of `out` from element `at` get the bits ((word >> skip) & keep) << up >> down of 8 words of x."""
    word = types.uint64
    signature = types.void(out, types.int64, x, types.int64, word, word, word, word)

    def generate(context, builder, sig, values):
        out, at, x, x_at, *numbers = values
        skip, keep, up, down = (_splat(builder, number, 8) for number in numbers)
        bits = _load(builder, _pointer(context, builder, sig.args[2], x, x_at, _I64), _WORDS, 8)
        bits = builder.lshr(builder.shl(builder.and_(builder.lshr(bits, skip), keep), up), down)
        place = _as(builder, _pointer(context, builder, sig.args[0], out, at, _I64), _WORDS)
        builder.store(builder.or_(_load(builder, place, _WORDS, 8), bits), place, align=8)
        return context.get_dummy_value()

    return signature, generate
