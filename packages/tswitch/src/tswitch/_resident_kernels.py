"""The inner loop of a live switch, compiled by numba (extra `fast`); `_resident` holds its torch twin, bit for bit.

Four neighbours are loaded, added and stored as one vector. The compiler does not find that by itself (its four scalar
additions run at two thirds of the speed of a copy), so `_add_four` says it in LLVM's own terms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.errors import TypingError
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic
def _add_four(typingctx: Any, base: Any, table: Any, out: Any, at: Any, code: Any) -> Any:  # noqa: ARG001 (types)
    """out[at : at + 4] = base[at : at + 4] + table[code], on contiguous arrays of one floating dtype, unchecked."""
    if any(array.layout != "C" for array in (base, table, out)):
        raise TypingError("add_rows takes contiguous arrays only")

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        element = context.get_data_type(signature.args[0].dtype)
        size = context.get_abi_sizeof(element)
        vector = ir.VectorType(element, 4).as_pointer()

        def address(argument: int, index: Any) -> Any:
            data = make_array(signature.args[argument])(context, builder, values[argument]).data
            return builder.bitcast(builder.gep(data, [index]), vector)

        row = builder.shl(builder.zext(values[4], ir.IntType(64)), ir.Constant(ir.IntType(64), 2))
        total = builder.fadd(builder.load(address(0, values[3]), align=size), builder.load(address(1, row), align=size))
        builder.store(total, address(2, values[3]), align=size)
        return context.get_dummy_value()

    return types.void(base, table, out, types.uint64, types.uint8), generate


@njit(nogil=True, cache=True, boundscheck=False)
def add_rows(base, codes, table, out):
    """out = base + table[codes], four elements for each code byte.

    base, out: (n,) float32 or float64, contiguous, may be the same array; codes: (ceil(n / 4),) uint8; table: (256, 4).
    """
    whole = out.size // 4
    for i in range(whole):
        _add_four(base, table, out, np.uint64(4 * i), codes[i])  # pyright: ignore[reportCallIssue] (the typing context)
    for at in range(4 * whole, out.size):
        out[at] = base[at] + table[codes[whole], at - 4 * whole]
