"""The inner loop of a live switch, compiled by numba (extra `fast`); `_resident` holds its torch twin, bit for bit.

A whole model is one call, since a hundred small ones cost a third of the time. Tensors come as addresses, neighbours
are added as one vector, and results go past the cache to memory in whole lines: a plain store first reads the line that
it is about to overwrite. The compiler finds neither by itself, so both are said in LLVM's own terms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array

_WORD, _BYTE, _PLACE = ir.IntType(64), ir.IntType(8), ir.IntType(32)
_LINE = 64  # bytes that memory takes at once


def _adder(*, line: bool) -> Any:
    """Compile-time function: store(out, load(base) + what the codes from `code` on stand for), addresses unchecked.

    Without `line` for the four elements of one byte. With `line` for as many elements as fill a line of memory, past
    the cache: `out` must be a multiple of 64, and 8 bytes are read at `code`, of which the lowest `shift` bits belong
    to elements before `out`.
    """

    @intrinsic
    def add(typingctx: Any, base: Any, rows: Any, code: Any, shift: Any, out: Any) -> Any:  # noqa: ARG001 (types)
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            element = context.get_data_type(signature.args[1].dtype)
            size = context.get_abi_sizeof(element)
            codes = _LINE // (4 * size) if line else 1
            table = make_array(signature.args[1])(context, builder, values[1]).data
            kind = _WORD if line else _BYTE
            bits = builder.zext(builder.load(builder.inttoptr(values[2], kind.as_pointer()), align=1), _WORD)
            bits = builder.lshr(bits, values[3]) if line else bits
            parts = []
            for index in range(codes):
                byte = builder.and_(builder.lshr(bits, ir.Constant(_WORD, 8 * index)), ir.Constant(_WORD, 255))
                row = builder.gep(table, [builder.shl(byte, ir.Constant(_WORD, 2))])
                parts.append(builder.load(builder.bitcast(row, ir.VectorType(element, 4).as_pointer()), align=size))
            while len(parts) > 1:
                parts = [_joined(builder, one, two) for one, two in zip(parts[::2], parts[1::2], strict=True)]
            vector = ir.VectorType(element, 4 * codes)
            source, target = (builder.inttoptr(value, vector.as_pointer()) for value in (values[0], values[4]))
            total = builder.fadd(builder.load(source, align=size), parts[0])
            stored = builder.store(total, target, align=_LINE if line else size)
            if line:
                hint = builder.module.add_metadata([ir.Constant(_PLACE, 1)])
                stored.set_metadata("nontemporal", hint)
            return context.get_dummy_value()

        return types.void(types.int64, rows, types.int64, types.int64, types.int64), generate

    return add


def _joined(builder: Any, one: Any, two: Any) -> Any:
    """Two vectors as one of twice the length."""
    every = list(range(2 * one.type.count))
    return builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(_PLACE, len(every)), every))


_add_four, _stream_line = _adder(line=False), _adder(line=True)


def _one(typingctx: Any, base: Any, rows: Any, at: Any, out: Any) -> Any:  # noqa: ARG001 (types, not values)
    """One element: store(out, load(base) + rows.flat[at])."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        element = context.get_data_type(signature.args[1].dtype)
        table = make_array(signature.args[1])(context, builder, values[1]).data
        source, target = (builder.inttoptr(value, element.as_pointer()) for value in (values[0], values[3]))
        total = builder.fadd(builder.load(source), builder.load(builder.gep(table, [values[2]])))
        builder.store(total, target)
        return context.get_dummy_value()

    return types.void(types.int64, rows, types.int64, types.int64), generate


def _load_byte(typingctx: Any, address: Any) -> Any:  # noqa: ARG001 (a type, not a value)
    """The byte at an address."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001 (numba's protocol)
        return builder.load(builder.inttoptr(values[0], ir.IntType(8).as_pointer()))

    return types.uint8(types.int64), generate


def _wait(typingctx: Any) -> Any:  # noqa: ARG001 (numba's protocol)
    """Wait until what was written past the cache is visible to all threads."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001 (numba's protocol)
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


_byte: Any = intrinsic(_load_byte)
_fence: Any = intrinsic(_wait)
_add_one: Any = intrinsic(_one)


@njit(inline="always")
def _add_each(base, rows, code, first, stop, out, width):
    """Elements first..stop-1, one by one."""
    for i in range(first, stop):
        place = 4 * np.int64(_byte(code + i // 4)) + i % 4
        _add_one(base + i * width, rows, place, out + i * width)


@njit(inline="always")
def _stream(base, rows, code, size, out, width):
    """As many elements as possible in whole lines of memory; returns how many were written, from the first on."""
    if size < _LINE or out % width:
        return 0
    lead = (-out % _LINE) // width  # elements before the first whole line; up to three share a byte with it
    line = _LINE // width
    lines = max((size - lead) // line - 4, 0)  # each reads eight bytes of codes, which is more than it needs
    _add_each(base, rows, code, 0, lead, out, width)
    for i in range(lead, lead + lines * line, line):
        _stream_line(base + i * width, rows, code + i // 4, 2 * (lead % 4), out + i * width)
    return lead + lines * line


@njit(nogil=True, cache=True, boundscheck=False)
def add_terms(bases, outs, sizes, ends, codes, scales, signs, chunk):
    """out = base + sum of its terms, for each of J tensors of one floating dtype in contiguous memory.

    bases, outs, sizes: (J,) int64, addresses and numbers of elements; base and out may be the same memory. ends: (J,)
    int64, where each tensor's terms end in codes (T,) int64, addresses of ceil(size / 4) bytes, and scales (T,)
    float32. signs: (256, 4) in {-1, 0, 1}, of the tensors' dtype: what a byte stands for. chunk: elements, a multiple
    of 4, after which a sum of several terms goes on to the next part while this one is still in the cache.
    """
    rows = np.empty_like(signs)
    width = signs.itemsize
    first = 0
    for job in range(sizes.size):
        size = sizes[job]
        single = ends[job] - first == 1
        step = max(size, 1) if single else chunk
        for start in range(0, size, step):
            stop = min(start + step, size)
            for term in range(first, ends[job]):
                source = bases[job] if term == first else outs[job]
                for byte in range(256):
                    for place in range(4):
                        rows[byte, place] = signs[byte, place] * scales[term]
                base, out, code = source + start * width, outs[job] + start * width, codes[term] + start // 4
                done = 0
                if single:
                    done = _stream(base, rows, code, stop - start, out, width)
                else:
                    for i in range((stop - start) // 4):
                        _add_four(base + 4 * i * width, rows, code + i, 0, out + 4 * i * width)
                    done = (stop - start) // 4 * 4
                _add_each(base, rows, code, done, stop - start, out, width)
        first = ends[job]
    _fence()
