"""Vectors of thirty-two 16-bit numbers: bfloat16 inputs by columns as float16, and their sums back to bfloat16 rows.

Only for processors that add float16 and round to bfloat16 by themselves (`NATIVE`); others take the path of float32.
A vector has the inputs 0, 16, 1, 17, ...: two vectors of sixteen 32-bit words, one of them in the upper halves.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from tswitch.bank import _lanes as v

NATIVE = all(binding.get_host_cpu_features().get(name) for name in ("avx512fp16", "avx512bf16"))
HALVES = 32
_SHORT = ir.IntType(16)
_WORD = ir.IntType(32)
_SHORTS = ir.VectorType(_SHORT, HALVES)
_WORDS = ir.VectorType(_WORD, v.LANES)
_HALVES = ir.VectorType(ir.HalfType(), HALVES)
_FLOATS = ir.VectorType(ir.FloatType(), v.LANES)
_BIAS = 15  # of float16's exponents; bfloat16's is 127
_FIRST, _SECOND = (ir.Constant(_WORDS, list(range(start, start + v.LANES))) for start in (0, v.LANES))


class _Bfloat(ir.types.Type):
    """LLVM's bfloat, which llvmlite has not."""

    def _to_string(self) -> str:
        return "bfloat"


def _shorts(number: int) -> ir.Constant:
    return ir.Constant(_SHORTS, [number] * HALVES)


def _words(number: int) -> ir.Constant:
    return ir.Constant(_WORDS, [number] * v.LANES)


def _load(builder: Any, address: Any, kind: Any, align: int = 64) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def _store(builder: Any, value: Any, address: Any, align: int = 64) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=align)


def _after(builder: Any, address: Any, size: int) -> Any:
    return builder.add(address, ir.Constant(address.type, size))


def _lower(builder: Any, one: Any, two: Any) -> Any:
    """Words of the lower halves of two vectors' words."""
    return builder.or_(builder.and_(one, _words(0xFFFF)), builder.shl(two, _words(16)))


def _upper(builder: Any, one: Any, two: Any) -> Any:
    """Words of the upper halves of two vectors' words."""
    return builder.or_(builder.lshr(one, _words(16)), builder.and_(two, _words(0xFFFF0000)))


@intrinsic
def gather(_context: Any, rows: Any, offset: Any, out: Any, largest: Any) -> Any:
    """32 columns of 32 rows of bfloat16 to `out`, 64 bytes each; returns the largest bits, without signs, of each row.

    rows: address of 32 addresses; offset: bytes from each; largest: what was returned for other columns.
    """

    def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        table, offset, out, largest = given
        halves = []
        for start in (0, v.LANES):
            addresses = [v._at(builder, table, start + place, offset.type) for place in range(v.LANES)]
            words = [_load(builder, builder.add(address, offset), _WORDS, 2) for address in addresses]
            halves.append(v._transposed(builder, words))
        most = builder.bitcast(largest, _SHORTS)
        for one, two in zip(*halves, strict=True):
            for column in (_lower(builder, one, two), _upper(builder, one, two)):
                _store(builder, column, out)
                out = _after(builder, out, 64)
                size = builder.and_(builder.bitcast(column, _SHORTS), _shorts(0x7FFF))
                most = builder.select(builder.icmp_unsigned(">", size, most), size, most)
        return builder.bitcast(most, _FLOATS)

    return v._LANES(rows, offset, out, largest), code


@intrinsic
def lowered(_context: Any, largest: Any, highest: Any) -> Any:
    """What to take off the bits of each row so that its largest number has float16's exponent `highest`."""

    def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        exponent = builder.and_(builder.bitcast(given[0], _SHORTS), _shorts(0x7F80))
        aim = builder.shl(builder.trunc(given[1], _SHORT), ir.Constant(_SHORT, 7))
        aim = _spread(builder, aim, _SHORTS)
        most = builder.select(builder.icmp_unsigned(">", exponent, aim), exponent, aim)
        return builder.bitcast(builder.sub(most, aim), _FLOATS)

    return v._LANES(largest, highest), code


@intrinsic
def convert(_context: Any, address: Any, less: Any) -> Any:
    """A column at an address from bfloat16 to float16, with so much taken off the bits; what is too small becomes 0."""

    def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        bits, less = _load(builder, given[0], _SHORTS), builder.bitcast(given[1], _SHORTS)
        size = builder.and_(bits, _shorts(0x7FFF))
        size = builder.sub(builder.select(builder.icmp_unsigned(">", size, less), size, less), less)
        sign = builder.and_(bits, _shorts(0x8000))
        _store(builder, builder.or_(sign, builder.shl(size, _shorts(3))), given[0])
        return context.get_dummy_value()

    return types.void(address, less), code


@intrinsic
def factors(_context: Any, less: Any, shares: Any, scale: Any, out: Any) -> Any:
    """scale * share / (what `convert` multiplied by) of 32 rows, float32, to `out`."""

    def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        less, shares, scale, out = given
        less = builder.bitcast(less, _WORDS)
        lower, upper = builder.and_(less, _words(0xFFFF)), builder.lshr(less, _words(16))
        for place, half in enumerate((lower, upper)):
            back = builder.bitcast(builder.shl(builder.add(half, _words(_BIAS << 7)), _words(16)), _FLOATS)
            share = _load(builder, _after(builder, shares, 64 * place), _FLOATS, 4)
            made = builder.fmul(builder.fmul(back, share), _spread(builder, scale, _FLOATS))
            _store(builder, made, _after(builder, out, 64 * place))
        return context.get_dummy_value()

    return types.void(less, shares, scale, out), code


def _spread(builder: Any, number: Any, kind: Any) -> Any:
    """A vector of one number."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_WORD, kind.count), [0] * kind.count))


def _intrinsic(builder: Any, name: str, kind: Any, count: int) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [_FLOATS] * count), name)


def _scatter(upper: bool) -> Any:
    """Sixteen rows of bfloat16 += factor * column of sums + share * shift, for 32 columns; rounded to nearest even.

    sums: address of 32 columns as `gather` writes them, float16; factors, shares: addresses of 16 float32; shift:
    address of 32 float32; rows: address of 16 addresses; offset: bytes from each.
    """

    @intrinsic
    def scatter(_context: Any, sums: Any, factors: Any, shares: Any, shift: Any, rows: Any, offset: Any) -> Any:
        def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            sums, factors, shares, shift, table, offset = given
            words, zipped = [], _upper if upper else _lower
            for _ in range(v.LANES):
                one, two = (_load(builder, _after(builder, sums, start), _WORDS) for start in (0, 64))
                words.append(zipped(builder, one, two))
                sums = _after(builder, sums, 128)
            kind = ir.VectorType(_Bfloat(), HALVES)
            pack = _intrinsic(builder, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", kind, 2)
            fused = _intrinsic(builder, "llvm.fma.v16f32", _FLOATS, 3)
            shifts = [_load(builder, _after(builder, shift, start), _FLOATS, 4) for start in (0, 64)]
            for place, word in enumerate(v._transposed(builder, words)):
                address = builder.add(v._at(builder, table, place, offset.type), offset)
                factor = _spread(builder, v._at(builder, factors, place, ir.FloatType()), _FLOATS)
                share = _spread(builder, v._at(builder, shares, place, ir.FloatType()), _FLOATS)
                made = builder.bitcast(word, _HALVES)
                totals = []
                for part, mask in enumerate((_FIRST, _SECOND)):
                    held = v._read(builder, _after(builder, address, 32 * part), "bfloat16")
                    added = builder.fpext(builder.shuffle_vector(made, made, mask), _FLOATS)
                    held = builder.call(fused, [added, factor, held])
                    totals.append(builder.call(fused, [shifts[part], share, held]))
                rounded = builder.call(pack, [totals[1], totals[0]])
                _store(builder, builder.bitcast(rounded, _SHORTS), address, 2)
            return context.get_dummy_value()

        return types.void(sums, factors, shares, shift, rows, offset), code

    return scatter


scatter_first, scatter_second = _scatter(upper=False), _scatter(upper=True)


def _arithmetic(name: str) -> Any:
    @intrinsic
    def combined(_context: Any, one: Any, two: Any) -> Any:
        """Sum or difference of vectors of 32 float16."""

        def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
            halves = [builder.bitcast(value, _HALVES) for value in given]
            return builder.bitcast(getattr(builder, name)(*halves), _FLOATS)

        return v._LANES(one, two), code

    return combined


add, subtract = _arithmetic("fadd"), _arithmetic("fsub")


@intrinsic
def load(_context: Any, address: Any) -> Any:
    """64 bytes at an address that is a multiple of 64."""
    return v._LANES(address), lambda _c, builder, _s, given: _load(builder, given[0], _FLOATS)


@intrinsic
def store(_context: Any, value: Any, address: Any) -> Any:
    """64 bytes to an address that is a multiple of 64."""

    def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        _store(builder, given[0], given[1])
        return context.get_dummy_value()

    return types.void(value, address), code


@intrinsic
def prefetch(_context: Any, address: Any) -> Any:
    """Ask for the 64 bytes around an address, in the second cache."""

    def code(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        place = builder.inttoptr(given[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, _WORD, _WORD, _WORD])
        asked = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(asked, [place, *(ir.Constant(_WORD, number) for number in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(address), code
