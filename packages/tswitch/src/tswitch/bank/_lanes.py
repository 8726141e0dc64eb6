"""Vectors of sixteen float32 in numba's loops, and 16 x 16 blocks transposed on the way in and out of them.

numba's own loops keep a sum of a few dozen inputs in memory; a value of the type `Lanes` stays in registers. Addresses
are plain integers: a call then costs a microsecond, where arrays would take one each.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

LANES = 16
_WORD = ir.IntType(32)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_WORDS = ir.VectorType(_WORD, LANES)
_ZIPS = [ir.Constant(_WORDS, [half + place // 2 + LANES * (place % 2) for place in range(LANES)]) for half in (0, 8)]


class Lanes(types.Type):
    """numba's type of sixteen float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = Lanes()


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS)


def _words(number: int) -> ir.Constant:
    return ir.Constant(_WORDS, [number] * LANES)


def _read(builder: Any, address: Any, kind: str) -> Any:
    """Sixteen neighbours of a dtype as float32."""
    if kind == "float32":
        return builder.load(builder.inttoptr(address, _FLOATS.as_pointer()), align=4)
    held = ir.VectorType(ir.HalfType() if kind == "float16" else ir.IntType(16), LANES)
    value = builder.load(builder.inttoptr(address, held.as_pointer()), align=2)
    if kind == "float16":
        return builder.fpext(value, _FLOATS)
    return builder.bitcast(builder.shl(builder.zext(value, _WORDS), _words(16)), _FLOATS)


def _write(builder: Any, value: Any, address: Any, kind: str) -> None:
    """float32 as sixteen neighbours of a dtype, rounded to nearest even."""
    if kind == "float16":
        value = builder.fptrunc(value, ir.VectorType(ir.HalfType(), LANES))
    if kind == "bfloat16":
        bits = builder.bitcast(value, _WORDS)
        odd = builder.and_(builder.lshr(bits, _words(16)), _words(1))
        rounded = builder.add(builder.add(bits, _words(0x7FFF)), odd)
        rounded = builder.select(builder.fcmp_unordered("uno", value, value), _words(0x7FC00000), rounded)
        value = builder.trunc(builder.lshr(rounded, _words(16)), ir.VectorType(ir.IntType(16), LANES))
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=4 if kind == "float32" else 2)


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Sixteen vectors as the columns of what they were: four perfect shuffles of all of them."""
    for _ in range(4):
        pairs = zip(rows[:8], rows[8:], strict=True)
        rows = [builder.shuffle_vector(one, two, mask) for one, two in pairs for mask in _ZIPS]
    return rows


def _at(builder: Any, table: Any, place: int, kind: Any) -> Any:
    """Entry of a table in memory."""
    return builder.load(builder.gep(builder.inttoptr(table, kind.as_pointer()), [ir.Constant(_WORD, place)]))


def _spread(builder: Any, number: Any) -> Any:
    """Sixteen times one number."""
    kind = ir.VectorType(number.type, LANES)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(first, first, _words(0))


def _gather(kind: str) -> Any:
    """rows: address of sixteen addresses; offset: bytes from each; out: float32, a column each stride."""

    @intrinsic
    def gather(_context: Any, rows: Any, offset: Any, out: Any, stride: Any) -> Any:
        def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            table, offset, out, stride = given
            starts = [_at(builder, table, place, offset.type) for place in range(LANES)]
            values = [_read(builder, builder.add(start, offset), kind) for start in starts]
            for value in _transposed(builder, values):
                _write(builder, value, out, "float32")
                out = builder.add(out, stride)
            return _context.get_dummy_value()

        return types.void(rows, offset, out, stride), code

    return gather


def _scatter(kind: str) -> Any:
    """Sixteen rows += share * (scale * column of sums + shift): the way back.

    sums: address of sixteen float32 for each of sixteen columns, a stride apart; shift: address of sixteen float32;
    rows: address of sixteen addresses; offset: bytes from each; shares: address of sixteen float32.
    """

    @intrinsic
    def scatter(
        _context: Any, sums: Any, stride: Any, scale: Any, shift: Any, rows: Any, offset: Any, shares: Any
    ) -> Any:
        def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            sums, stride, scale, shift, table, offset, shares = given
            values = []
            for _ in range(LANES):
                values.append(_read(builder, sums, "float32"))
                sums = builder.add(sums, stride)
            shift, scale = _read(builder, shift, "float32"), _spread(builder, scale)
            for place, value in enumerate(_transposed(builder, values)):
                address = builder.add(_at(builder, table, place, offset.type), offset)
                total = _read(builder, address, kind)
                share = _spread(builder, _at(builder, shares, place, ir.FloatType()))
                value = builder.fadd(builder.fmul(scale, value), shift)
                total = builder.fadd(total, builder.fmul(share, value))
                _write(builder, total, address, kind)
            return _context.get_dummy_value()

        return types.void(sums, stride, scale, shift, rows, offset, shares), code

    return scatter


def _reader(kind: str) -> Any:
    @intrinsic
    def read(_context: Any, address: Any) -> Any:
        """Sixteen numbers of a dtype at an address."""
        return _LANES(address), lambda _c, builder, _s, given: _read(builder, given[0], kind)

    return read


def _writer(kind: str) -> Any:
    @intrinsic
    def write(_context: Any, value: Any, address: Any) -> Any:
        """Sixteen numbers of a dtype to an address."""

        def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            _write(builder, given[0], given[1], kind)
            return context.get_dummy_value()

        return types.void(value, address), code

    return write


gather_float32, gather_bfloat16, gather_float16 = (_gather(kind) for kind in ("float32", "bfloat16", "float16"))
scatter_float32, scatter_bfloat16, scatter_float16 = (_scatter(kind) for kind in ("float32", "bfloat16", "float16"))


read_float32, read_bfloat16, read_float16 = (_reader(kind) for kind in ("float32", "bfloat16", "float16"))
write_float32, write_bfloat16, write_float16 = (_writer(kind) for kind in ("float32", "bfloat16", "float16"))
load, store = read_float32, write_float32


@intrinsic
def signs(_context: Any, codes: Any) -> Any:
    """Signs of the sixteen two-bit codes at an address."""

    def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        held = builder.load(builder.inttoptr(given[0], _WORD.as_pointer()), align=1)
        twos = builder.lshr(_spread(builder, held), ir.Constant(_WORDS, list(range(0, 32, 2))))
        minus = builder.and_(builder.lshr(twos, _words(1)), _words(1))
        return builder.sitofp(builder.sub(builder.and_(twos, _words(1)), minus), _FLOATS)

    return _LANES(codes), code


@intrinsic
def spread(_context: Any, number: Any) -> Any:
    """Sixteen times one float32."""
    return _LANES(number), lambda _c, builder, _s, given: _spread(builder, given[0])


@intrinsic
def fused(_context: Any, one: Any, two: Any, three: Any) -> Any:
    """one * two + three."""
    return _LANES(one, two, three), lambda _c, b, _s, given: b.fadd(b.fmul(given[0], given[1]), given[2])


@intrinsic
def total(_context: Any, value: Any) -> Any:
    """Sum of a vector."""

    def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        value = given[0]
        for apart in (8, 4, 2, 1):
            mask = ir.Constant(_WORDS, [place ^ apart for place in range(LANES)])
            value = builder.fadd(value, builder.shuffle_vector(value, value, mask))
        return builder.extract_element(value, ir.Constant(_WORD, 0))

    return types.float32(value), code


@intrinsic
def add(_context: Any, one: Any, two: Any) -> Any:
    """Sum of vectors."""
    return _LANES(one, two), lambda _c, builder, _s, given: builder.fadd(*given)


@intrinsic
def subtract(_context: Any, one: Any, two: Any) -> Any:
    """Difference of vectors."""
    return _LANES(one, two), lambda _c, builder, _s, given: builder.fsub(*given)


@intrinsic
def zeros(_context: Any) -> Any:
    """Sixteen zeros."""
    return _LANES(), lambda _c, _b, _s, _g: ir.Constant(_FLOATS, [0.0] * LANES)


def _integer(bits: int, widened: str) -> Any:
    @intrinsic
    def read(_context: Any, address: Any) -> Any:
        """The integer of so many bits at an address, as int64."""

        def code(_c: Any, builder: Any, _s: Any, given: Any) -> Any:
            held = builder.load(builder.inttoptr(given[0], ir.IntType(bits).as_pointer()))
            return getattr(builder, widened)(held, ir.IntType(64))

        return types.int64(address), code

    return read


number, short = _integer(32, "sext"), _integer(16, "zext")


@intrinsic
def pointer(_context: Any, address: Any) -> Any:
    """The int64 at an address."""
    return types.int64(address), lambda _c, b, _s, given: b.load(b.inttoptr(given[0], given[0].type.as_pointer()))


@intrinsic
def real(_context: Any, address: Any) -> Any:
    """The float32 at an address."""
    return types.float32(address), lambda _c, b, _s, given: b.load(b.inttoptr(given[0], ir.FloatType().as_pointer()))


@intrinsic
def put(_context: Any, value: Any, address: Any) -> Any:  # noqa: ARG001
    """A number to an address, as float32."""

    def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        builder.store(given[0], builder.inttoptr(given[1], ir.FloatType().as_pointer()))
        return context.get_dummy_value()

    return types.void(types.float32, address), code


@intrinsic
def point(_context: Any, value: Any, address: Any) -> Any:
    """An int64 to an address."""

    def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        builder.store(given[0], builder.inttoptr(given[1], given[0].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(value, address), code
