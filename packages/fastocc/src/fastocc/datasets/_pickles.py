"""Pickles as plain data: nothing that a file names is imported or called.

The names that numpy's arrays need are answered by stand-ins of this module, which check shape, type and size before an
array is made; any other name is refused. numpy's own constructors are not used: they trust what they are given.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from ninefold.errors import ArtifactError

_CODE = re.compile(r"[biufSU]\d{1,6}|O8|\?")


class _Dtype:
    """Stands for numpy.dtype: the code of a plain type, and the byte order that its state gives."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:  # noqa: ARG002
        if not isinstance(code, str) or not _CODE.fullmatch(code.lstrip("<>|=")):
            raise pickle.UnpicklingError(f"it asks for an array of {code!r}, which is no plain type")
        self.code, self.order = code.lstrip("<>|="), "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    def plain(self) -> np.dtype:
        return np.dtype(object if self.code == "O8" else self.order.replace("|", "") + self.code)


class _Array(np.ndarray):
    """What numpy's `_reconstruct` makes: an empty array, filled from a checked state."""

    def __setstate__(self, state: Any, /) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not all(isinstance(one, int) and 0 <= one < 1 << 40 for one in shape):
            raise pickle.UnpicklingError("an array's shape or type is no plain data")
        kind, count = dtype.plain(), int(np.prod([1, *shape], dtype=object))
        size = len(content) if kind.hasobject else len(content) // max(kind.itemsize, 1)
        if size != count or isinstance(content, list) != kind.hasobject:
            raise pickle.UnpicklingError(f"an array of shape {shape} has {size} elements")
        super().__setstate__((1, tuple(shape), kind, bool(fortran), content))  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return np.asarray(self).__reduce_ex__(protocol)


def _reconstruct(subtype: Any, shape: Any, kind: Any) -> _Array:  # noqa: ARG001
    return np.zeros(0, np.uint8).view(_Array)


def _scalar(dtype: Any, content: Any = b"") -> Any:
    kind = dtype.plain() if isinstance(dtype, _Dtype) else np.dtype(object)
    if kind.hasobject or not isinstance(content, (bytes, bytearray)) or len(content) != kind.itemsize:
        raise pickle.UnpicklingError("a number's type or size is no plain data")
    return np.frombuffer(bytes(content), kind)[0]


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    if not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise pickle.UnpicklingError("an array's type is no plain data")
    array = np.frombuffer(content, dtype.plain())
    if array.size != int(np.prod([1, *shape], dtype=object)):
        raise pickle.UnpicklingError(f"an array of shape {shape} has {array.size} elements")
    return array.reshape(tuple(shape), order=order)


def _encode(text: Any, coding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or coding not in ("latin1", "utf-8", "ascii"):
        raise pickle.UnpicklingError("text is no plain data")
    return text.encode(coding)


def _ndarray(*_: Any) -> np.ndarray:
    raise pickle.UnpicklingError("an array without content is no plain data")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set, ("__builtin__", "set"): set, ("builtins", "bytearray"): bytearray,
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _ndarray,
}  # fmt: skip
for _core in ("numpy.core", "numpy._core"):
    _STAND_INS[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _STAND_INS[f"{_core}.multiarray", "scalar"] = _scalar
    _STAND_INS[f"{_core}.numeric", "_frombuffer"] = _from_buffer


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not plain data")
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it asks for {str(pid)[:40]!r} from elsewhere, which is not plain data")


def read_plain(path: str | Path) -> Any:
    """Numbers, strings, containers and numpy arrays of a pickle.

    Raises: ArtifactError with the path if the file is missing, damaged, or asks for anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(path, "is not there")
    try:
        with path.open("rb") as file:
            return _Plain(file).load()  # safe: find_class answers with this module's stand-ins alone
    except Exception as error:  # a damaged pickle may raise any exception of any operation
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ArtifactError(path, f"is refused or damaged: {reason}") from None
