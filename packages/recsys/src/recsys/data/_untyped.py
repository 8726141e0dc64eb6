"""What the type checker cannot see: Arrow's functions, LAPACK's, numba's, and scipy's sparse matrices."""

import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute
import scipy.linalg.lapack

pc: Any = pyarrow.compute  # its functions are made at run time
lapack: Any = scipy.linalg.lapack
Csr: TypeAlias = Any  # a scipy.sparse.csr_matrix: scipy ships no types


def is_text(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's kinds of text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def value_kind(column: Any) -> pa.DataType:
    """The type of a column's values, of a dictionary its entries'."""
    return column.type.value_type if pa.types.is_dictionary(column.type) else column.type


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled by numba when it is first called; kept in numba's cache where a folder can be written."""
    from numba import njit  # here: data are loaded without it

    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # "no locator available"
        message = "each process compiles its kernels anew, which takes seconds: let NUMBA_CACHE_DIR name a folder that "
        warnings.warn(message + "can be written", stacklevel=1)
        return njit(nogil=True, error_model="numpy")(function)
