"""Numbers below 1.2e-38 as zero: an x86 processor takes a hundred cycles and more for each product of such a number.

Memories that fade, exp(dt A) once a step, end there. Elsewhere, as on ARM, such products cost nothing and stay.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import int32, types
from numba.core import cgutils
from numba.extending import intrinsic

_X86 = platform.machine().lower() in ("x86_64", "amd64")
_FLUSH = 0x8040  # of MXCSR: results and operands that are too small count as zero


def _call(builder: Any, name: str, place: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(function, [builder.bitcast(place, cgutils.voidptr_t)])


@intrinsic
def _begin(typing_context: Any) -> Any:  # noqa: ARG001  (numba's form)
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        before = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(32), 0))
        if not _X86:
            return builder.load(before)
        _call(builder, "llvm.x86.sse.stmxcsr", before)
        mode = builder.load(before)
        after = cgutils.alloca_once_value(builder, builder.or_(mode, ir.Constant(ir.IntType(32), _FLUSH)))
        _call(builder, "llvm.x86.sse.ldmxcsr", after)
        return mode

    return int32(), build


@intrinsic
def _end(typing_context: Any, mode: Any) -> Any:  # noqa: ARG001
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        if _X86:
            _call(builder, "llvm.x86.sse.ldmxcsr", cgutils.alloca_once_value(builder, arguments[0]))
        return context.get_dummy_value()

    return types.none(int32), build


flush_tiny: Any = _begin  # what it returns is for `as_before`, at the end of the same function
as_before: Any = _end
