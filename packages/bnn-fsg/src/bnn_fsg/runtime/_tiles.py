"""Register tiles as pieces of LLVM's own language, where its vectoriser finds neither the tile nor the reduction.

LLVM turns them into AVX-512 with VPOPCNTDQ, AVX2 or NEON, whatever the machine has. `_kernels.py` inlines them.
"""

# ruff: noqa: ARG001  (numba and LLVM ask for functions with arguments that not each needs)
from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # output channels of a panel
WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
_FEATURES = llvmlite.binding.get_host_cpu_features()
_settings: Any = config  # its names come from the environment
LOOKUP = bool(_FEATURES.get("avx2") and not _FEATURES.get("avx512vpopcntdq")) and not (
    _settings.CPU_NAME or _settings.CPU_FEATURES
)  # AVX2 counts no bits of its own, but looks bytes up in tables
ROWS = 4 if WIDE else 2  # rows of a tile of bits: as many accumulators as there are registers for
LOOKUP_ROWS, LOOKUP_STEPS = 4, 62  # bytes hold the counts of so many steps, 4 at most in each
FLOAT_ROWS, FLOAT_PANELS = (12, 2) if WIDE else (4, 1)  # 24 accumulators hide how long a multiplication takes
BLOCK, FLOAT_BLOCK = 32, 12  # output pixels worked on together, multiples of these
_intrinsic: Any = intrinsic
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


def _tile(
    rows: int,
    kind: Any,
    columns: Any,
    elements: tuple[Any, Any, Any],
    combine: Any,
    last: Any,
    panels: int = 1,
    apart: int = LANES,
) -> Any:
    """A register tile as an intrinsic: for `rows` rows of a, the sums of `combine` over `steps` steps of `panels`.

    Arguments: a, offset of its first element, distance of rows, of steps; panel and offset; steps; out, offset,
    distance of rows; one more integer for `last`. `elements` are the element types of a, panel and out; `kind` is that
    of an accumulator. Panels lie one after the other, `apart` elements a step.
    """

    @_intrinsic
    def tile(typing, a, a_at, a_row, a_step, b, b_at, steps, out, out_at, out_row, extra):
        signature = types.void(a, a_at, a_row, a_step, b, b_at, steps, out, out_at, out_row, extra)

        def generate(context, builder, sig, values):
            a, a_at, a_row, a_step, b, b_at, steps, out, out_at, out_row, extra = values
            lanes = kind.count
            places = [builder.add(a_at, builder.mul(a_row, _I64(row))) for row in range(rows)]
            left = [_pointer(context, builder, sig.args[0], a, place, elements[0]) for place in places]
            first = _pointer(context, builder, sig.args[4], b, b_at, elements[1])
            further = [builder.mul(steps, _I64(apart * panel)) for panel in range(1, panels)]
            starts = [first, *(builder.gep(first, [one], source_etype=elements[1]) for one in further)]
            before, loop = builder.block, builder.append_basic_block("tile.loop")
            after = builder.append_basic_block("tile.after")
            builder.branch(loop)  # there is always one step
            builder.position_at_end(loop)
            step = builder.phi(_I64)
            vectors = panels * LANES // lanes
            sums = [builder.phi(kind) for _ in range(rows * vectors)]
            right = [part for panel in starts for part in columns(builder, panel, step)]
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
_sign_tile, _sign_row = _tile(FLOAT_ROWS, *_SIGNS, apart=1), _tile(1, *_SIGNS, apart=1)
_float_tiles = _tile(FLOAT_ROWS, *_FLOAT, panels=FLOAT_PANELS)
_sign_tiles = _tile(FLOAT_ROWS, *_SIGNS, panels=FLOAT_PANELS, apart=1)


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
