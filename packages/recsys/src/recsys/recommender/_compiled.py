"""Functions compiled by numba, kept in its cache where a folder for it can be written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled when it is first called; without a cache where no folder for it can be written."""
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # "no locator available"
        message = "each process compiles its kernels anew, which takes seconds: let NUMBA_CACHE_DIR name a folder that "
        warnings.warn(message + "can be written", stacklevel=1)
        return njit(nogil=True, error_model="numpy")(function)
