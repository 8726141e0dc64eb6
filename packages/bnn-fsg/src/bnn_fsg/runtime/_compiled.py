"""numba's compiler, with a cache that notices each change of the kernels."""

from __future__ import annotations

import hashlib
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit


def _digest(folder: Path) -> str:
    """SHA-256 of the sources of a folder."""
    files = sorted(folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()


SOURCES = _digest(Path(__file__).parent)


def _keyed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, closing over SOURCES: numba's cache looks at a function's own file and at what it closes over, but
    not at the files of what it calls."""
    code = function.__code__
    code = code.replace(co_freevars=(*code.co_freevars, "SOURCES"))
    cells = (*(function.__closure__ or ()), types.CellType(SOURCES))
    keyed = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, cells)
    keyed.__doc__, keyed.__module__, keyed.__qualname__ = function.__doc__, function.__module__, function.__qualname__
    return keyed


def inlined(function: Callable[..., Any]) -> Any:
    """By numba, put into what calls it: arguments of many numbers are not handed on."""
    return njit(nogil=True, error_model="numpy", forceinline=True)(function)


def compiled(function: Callable[..., Any]) -> Any:
    """By numba; without its cache where neither the package's folder nor a home can be written, as in a container."""
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(_keyed(function))
    except RuntimeError:  # "no locator available"
        message = (
            "each process compiles the packed kernels anew, which takes seconds: numba finds no folder to keep them "
        )
        warnings.warn(message + "in; let NUMBA_CACHE_DIR name one that can be written", stacklevel=1)
        return njit(nogil=True, error_model="numpy")(function)
