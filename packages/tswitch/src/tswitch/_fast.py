"""Where the numba kernels are looked up: they are optional, and give the same bytes as the numpy code, only sooner."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

WORTH_COMPILING = 1 << 18
"""Smallest array, in elements, that is handed to numba: below it, loading the kernels costs more than they save."""


def kernels(size: int) -> ModuleType | None:
    """The compiled kernels for an array of `size` elements, or None if numba is missing or the array is small."""
    return _load() if size >= WORTH_COMPILING else None


@functools.cache
def _load() -> ModuleType | None:
    try:
        return importlib.import_module("tswitch._kernels")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "numba":
            raise
        return None
