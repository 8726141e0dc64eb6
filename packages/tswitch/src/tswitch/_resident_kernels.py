"""The inner loop of a live switch, compiled by numba (extra `fast`); `_resident` holds its torch twin, bit for bit.

A whole model is one call, since a hundred small ones cost a third of the time. Tensors come as addresses, four
neighbours are added as one vector, and results go past the cache to memory where they can: a plain store first reads
the line that it is about to overwrite. The compiler finds neither by itself, so both are said in LLVM's own terms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array

_WORD = ir.IntType(64)


def _adder(lanes: int, *, past_cache: bool = False) -> Any:
    """Compile-time function: store(out, load(base) + rows.flat[at:at + lanes]), addresses in bytes, unchecked.

    `past_cache` writes 8-byte words straight to memory; `out` must then be a multiple of 8.
    """

    @intrinsic
    def add(typingctx: Any, base: Any, rows: Any, at: Any, out: Any) -> Any:  # noqa: ARG001 (types, not values)
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            element = context.get_data_type(signature.args[1].dtype)
            size = context.get_abi_sizeof(element)
            vector = ir.VectorType(element, lanes)
            table = make_array(signature.args[1])(context, builder, values[1]).data
            row = builder.bitcast(builder.gep(table, [values[2]]), vector.as_pointer())
            source = builder.inttoptr(values[0], vector.as_pointer())
            total = builder.fadd(builder.load(source, align=size), builder.load(row, align=size))
            if not past_cache:
                builder.store(total, builder.inttoptr(values[3], vector.as_pointer()), align=size)
                return context.get_dummy_value()
            hint = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
            words = builder.bitcast(total, ir.VectorType(_WORD, lanes * size // 8))
            target = builder.inttoptr(values[3], _WORD.as_pointer())
            for index in range(lanes * size // 8):
                word = builder.extract_element(words, ir.Constant(ir.IntType(32), index))
                place = builder.gep(target, [ir.Constant(_WORD, index)])
                builder.store(word, place, align=8).set_metadata("nontemporal", hint)
            return context.get_dummy_value()

        return types.void(types.int64, rows, types.int64, types.int64), generate

    return add


_add_one, _add_four, _stream_four = _adder(1), _adder(4), _adder(4, past_cache=True)


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
                stream = single and outs[job] % 8 == 0
                for byte in range(256):
                    for place in range(4):
                        rows[byte, place] = signs[byte, place] * scales[term]
                four = 4 * width
                base, out, code = source + start * width, outs[job] + start * width, codes[term] + start // 4
                whole = (stop - start) // 4
                if stream:
                    for i in range(whole):
                        _stream_four(base + i * four, rows, 4 * np.int64(_byte(code + i)), out + i * four)
                else:
                    for i in range(whole):
                        _add_four(base + i * four, rows, 4 * np.int64(_byte(code + i)), out + i * four)
                for place in range(stop - start - 4 * whole):
                    at = whole * four + place * width
                    _add_one(base + at, rows, 4 * np.int64(_byte(code + whole)) + place, out + at)
        first = ends[job]
    _fence()
