"""The library of kernels in C: where it is, which of its sets of kernels this processor runs, and its functions."""

from __future__ import annotations

import ctypes
import functools
import os
import warnings
from pathlib import Path
from typing import Any

from ninefold.errors import InputError

SETS = {"amx": 16, "avx512": 8, "avx2": 4, "neon": 2, "plain": 1}  # best first, as `bnn_sets` numbers them
BACKENDS = ("auto", "c", *SETS, "numpy")
_FIELDS = (  # of a step, in the order of `native/bnn.h`
    "op flags rows in in2 out h w c oh ow oc kh kw sh sw ph pw dh dw groups each panels steps words pixel row counts "
    "counts_row bits bits_pixel bits_row ones ones_row run runs ring weight offsets start down across table threshold "
    "bound a b classes"
)
FIELDS = _FIELDS.split()
_OPERATIONS = (
    "turn_in turn_out pack pack_planes conv_bits conv_signs conv conv_u8 affine rectify clip add multiply max_pool "
    "average_pool mean flatten pick copy depthwise"
)
OPERATIONS: dict[str, int] = {name: place for place, name in enumerate(_OPERATIONS.split())}
_FLAGS = "summed residual rectified bits_out half checked bound floats_out classed signs_out shifted planes_out tiled"
FLAGS = {name: 1 << place for place, name in enumerate([*_FLAGS.split(), "by_panels"])}


class Report(ctypes.Structure):
    """Status of a run: 1 + index of a step that met a number it may not have, else 0; that number."""

    _fields_ = (("status", ctypes.c_int64), ("value", ctypes.c_float))


class Work(ctypes.Structure):
    """What a program is run with; see `native/bnn.h`."""

    _names = "set steps arena scratch scratch_bytes in_bytes out_bytes reports marks threads"
    _fields_ = [(name, ctypes.c_int64) for name in _names.split()]


@functools.cache
def library() -> ctypes.CDLL | None:
    """The library next to this file, or None where the package was built without it."""
    found = sorted(Path(__file__).parent.glob("_bnn.*"))
    if not found:
        return None
    try:
        loaded = ctypes.CDLL(str(found[0]))
    except OSError:  # of another system or processor
        return None
    whole, place = ctypes.c_int64, ctypes.c_void_p
    loaded.bnn_sets.restype = loaded.bnn_step_size.restype = whole
    if loaded.bnn_step_size() != len(FIELDS) + len(Work._fields_):
        return None  # of another version: a checkout that was not installed again
    loaded.bnn_run.argtypes, loaded.bnn_run.restype = [place, whole, whole, place, place, whole], whole
    loaded.bnn_ternary_linear.argtypes = [whole, place, place, *[whole] * 5, ctypes.c_float, whole, place, place]
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=loaded.bnn_forked)
    loaded.bnn_help.argtypes, loaded.bnn_help.restype = [whole], None
    loaded.bnn_tiles.argtypes, loaded.bnn_tiles.restype = [place, whole, whole], whole
    loaded.bnn_ternary_linear.restype = None
    return loaded


def sets() -> list[str]:
    """The sets of kernels that the library has and this processor runs, best first; empty without a library."""
    loaded = library()
    known: Any = loaded.bnn_sets() if loaded is not None else 0
    return [name for name, number in SETS.items() if known & number]


def chosen(backend: str) -> str:
    """The set of kernels that a backend means here, or "numpy".

    Args:
        backend: "auto" (the variable BNN_FSG_BACKEND if it is set, else the library's best set, else numpy with a
            warning, once), "c" (its best set), the name of a set, or "numpy".
    Raises:
        InputError: for another name, or a set that is not here.
    """
    if backend not in BACKENDS:
        raise InputError("backend", got=repr(backend), expected=f"one of {', '.join(BACKENDS)}")
    given = os.environ.get("BNN_FSG_BACKEND", "") if backend == "auto" else ""
    if given:
        return chosen(given) if given != "auto" else chosen("c")
    if backend == "numpy":
        return backend
    here = sets()
    if backend == "auto" and not here:
        _warn()
        return "numpy"
    if backend in ("auto", "c") and here:
        return here[0]
    if backend not in here:
        known = ", ".join(here) if here else "numpy alone: the package was built without its library"
        raise InputError("backend", got=backend, expected=f"what this machine has: {known}")
    return backend


@functools.cache
def _warn() -> None:
    message = "numpy runs packed networks here, slower than float32: the package was built without its library"
    warnings.warn(f"{message}; a C compiler or the package ziglang builds it: install bnn-fsg again", stacklevel=5)
