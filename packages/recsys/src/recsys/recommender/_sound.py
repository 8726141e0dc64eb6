"""Whether what a model holds makes sense: types, shapes and ranges of every array, before a compiled loop reads it.

A digest says that a folder is as it was written, not that what was written is sound: an index past the end of an array
would end the process in a kernel. So each array that a model names in `fitted` has a shape in `Learner.shapes`, in
words: "items d" is a table of a row per item, whose width is that of all other arrays of width d. In front may stand
"csr" (a sparse matrix), "bool", "int", or "below:s" (whole numbers from 0, below the size s).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._history import History
from recsys.data._untyped import Csr, compiled, pc

_MOST = 2**31 - 1  # rows and columns that an int32 code can name


def check_arrays(arrays: Mapping[str, Any], shapes: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    """InputError that names the first array that does not fit its shape.

    Args:
        arrays: name -> dense array or CSR.
        shapes: name -> shape in words, as above; arrays without one only have to be numbers.
        sizes: those known, e.g. {"users": 3, "items": 4}; others are bound by the first array that has them.
    """
    known = dict(sizes)
    for name, array in arrays.items():
        *kinds, axes = _words(shapes.get(name, ""))
        kind = kinds[0] if kinds else "float"
        if sp.issparse(array):
            check_csr(array, name)
            numbers = array.data
        elif kind == "csr":
            raise InputError(name, got="a dense array", expected="a sparse matrix")
        else:
            numbers = array
        wanted = {"bool": "b", "int": "i", "csr": "f"}.get(kind, "i" if kind.startswith("below:") else "f")
        if numbers.dtype.kind != wanted or numbers.dtype == np.float16:
            raise InputError(name, got=f"numbers of type {numbers.dtype}", expected=f"{kind} numbers")
        if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise InputError(name, got="NaN or infinite values", expected="finite ones")
        if axes:
            _check_axes(name, array.shape, axes, known)
        if kind.startswith("below:"):
            limit = known[kind.removeprefix("below:")]
            if array.size and (int(array.min()) < 0 or int(array.max()) >= limit):
                raise InputError(name, got=f"numbers from {array.min()} to {array.max()}", expected=f"0 to {limit - 1}")


def _words(shape: str) -> tuple[Any, ...]:
    words = shape.split()
    if words and (words[0] in ("csr", "bool", "int") or ":" in words[0]):
        return words[0], words[1:]
    return (words,)


def _check_axes(name: str, shape: tuple[int, ...], axes: list[str], known: dict[str, int]) -> None:
    expected = tuple(_size(axis, known) for axis in axes)
    if len(shape) != len(axes) or any(want not in (None, is_) for want, is_ in zip(expected, shape, strict=False)):
        text = ", ".join(axis if want is None else str(want) for axis, want in zip(axes, expected, strict=True))
        raise InputError(name, got=f"shape {tuple(shape)}", expected=f"({text})")
    for axis, size in zip(axes, shape, strict=True):
        if axis.isidentifier() and known.setdefault(axis, size) != size:
            raise InputError(name, got=f"shape {tuple(shape)}", expected=f"{known[axis]} of {axis}")


def _size(axis: str, known: Mapping[str, int]) -> int | None:
    if axis.isdecimal():
        return int(axis)
    base, _, more = axis.partition("+")
    return None if base not in known else known[base] + int(more or 0)


def check_csr(matrix: Csr, name: str) -> None:
    """InputError unless the arrays of a CSR matrix are what its shape says: no pointer or index is outside."""
    rows, columns = matrix.shape
    indptr, indices, data = matrix.indptr, matrix.indices, matrix.data
    problem = None
    if not (0 <= rows <= _MOST and 0 <= columns <= _MOST):
        problem = f"a shape of {rows} x {columns}"
    elif indptr.ndim != 1 or indices.ndim != 1 or data.ndim != 1 or len(indptr) != rows + 1:
        problem = f"{indptr.shape} row pointers for {rows} rows"
    elif indptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        problem = f"pointers of type {indptr.dtype} and {indices.dtype}"
    elif int(indptr[0]) != 0 or not is_rising(indptr) or int(indptr[-1]) != len(indices) or len(indices) != len(data):
        problem = "row pointers that do not rise from 0 to the number of entries"
    elif len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= columns):
        problem = f"columns from {indices.min()} to {indices.max()} of {columns}"
    if problem:
        raise InputError(name, got=problem, expected="a sound sparse matrix")


def is_rising(pointers: np.ndarray) -> bool:
    """Whether no number is below the one before it."""
    return bool((pointers[1:] >= pointers[:-1]).all())


@dataclass(frozen=True, eq=False)
class Pairs:
    """Distinct pairs of row and item in the arrays of scipy's CSR, each with a 1: sound, as the compiled lists need."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, history: History) -> Pairs:
        """What each row of a history had."""
        indptr, item = np.zeros(len(history.indptr), np.int64), np.empty(len(history.item), np.int32)
        many = _distinct(history.indptr, history.item, history.n_items, indptr, item)
        if many < 0:
            raise InputError("history", got="items outside the catalogue", expected=f"codes below {history.n_items}")
        return cls(indptr, item[:many], np.ones(many, np.float32), (len(indptr) - 1, history.n_items))


@compiled
def _distinct(indptr, item, size, ends, found):
    """Write the distinct items of each row, sorted, and where each row ends; return how many, -1 if one is outside."""
    many = 0
    for row in range(len(indptr) - 1):
        part, start = np.sort(item[indptr[row] : indptr[row + 1]]), many
        for one in part:
            if one < 0 or one >= size:
                return -1
            if many == start or one != found[many - 1]:
                found[many] = one
                many += 1
        ends[row + 1] = many
    return many


def sound(matrix: Csr | Pairs) -> Csr | Pairs:
    """The matrix, checked once by `check_csr`: what a kernel takes."""
    if isinstance(matrix, Pairs):
        return matrix
    arrays = (id(matrix.indptr), id(matrix.indices), id(matrix.data), matrix.shape)
    if getattr(matrix, "_sound", None) != arrays:
        check_csr(matrix, "sparse matrix")
        matrix._sound = arrays
    return matrix


def check_history(history: History, users: int, items: int) -> None:
    """InputError unless the events of the users point into the catalogue and all columns are as long."""
    indptr, item, n = history.indptr, history.item, len(history.item) if history.item.ndim == 1 else -1
    if indptr.dtype != np.int64 or indptr.shape != (users + 1,) or int(indptr[0]) != 0 or not is_rising(indptr):
        raise InputError("history.indptr", got=f"{indptr.dtype} {indptr.shape}", expected=f"{users + 1} rising int64")
    if item.dtype != np.int32 or n != int(indptr[-1]) or (n and (int(item.min()) < 0 or int(item.max()) >= items)):
        raise InputError("history.item", got=f"{item.dtype} {item.shape}", expected=f"codes int32 below {items}")
    for name, kind in (("value", np.float32), ("time", np.int64)):
        column = getattr(history, name)
        if column is not None and (column.dtype != kind or column.shape != (n,) or not np.isfinite(column).all()):
            raise InputError(f"history.{name}", got=f"{column.dtype} {column.shape}", expected=f"{n} finite numbers")
    if history.context.num_columns and history.context.num_rows != n:
        raise InputError("context", got=f"{history.context.num_rows} rows", expected=f"{n}, one an event")


def check_ids(table: pa.Table, what: str) -> pa.Array:
    """The column `id` of a table of ids; InputError unless they are distinct integers or texts without nulls."""
    if table.column_names != ["id"]:
        raise InputError(f"{what} ids", got=f"columns {table.column_names}", expected="one column, id")
    values = table.column("id").combine_chunks()
    if not (pa.types.is_int64(values.type) or pa.types.is_string(values.type)):
        raise InputError(f"{what} ids", got=str(values.type), expected="int64 or string")
    if values.null_count or len(values) > _MOST or len(pc.unique(values)) != len(values):
        raise InputError(f"{what} ids", got="nulls or repeated ids", expected="distinct ids")
    return values
