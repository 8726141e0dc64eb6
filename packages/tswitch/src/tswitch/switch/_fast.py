"""Where the numba kernels are looked up: they are optional, and give the same bytes as the numpy code, only sooner."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

WORTH_LOADING = 1 << 18
"""Smallest array, in elements, for which numba is loaded: below it, that costs more than the kernels save."""
WORTH_CALLING = 1 << 12
"""Smallest array that is handed to kernels which are loaded already."""


def kernels(size: int) -> ModuleType | None:
    """The compiled kernels for an array of `size` elements, or None if numba is missing or the array is small."""
    worth = WORTH_CALLING if _load.cache_info().currsize else WORTH_LOADING
    return _load() if size >= worth else None


@functools.cache
def _load() -> ModuleType | None:
    try:
        return importlib.import_module("tswitch.switch._kernels")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "numba":
            raise
        return None
