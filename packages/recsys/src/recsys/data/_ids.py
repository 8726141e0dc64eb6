"""Original ids end to end: each id keeps its type and value; inside, it is a code from 0."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._untyped import is_text, pc

_SHOWN = 3
_KINDS = (pa.int64(), pa.string())
_FEW = 64  # ids looked up one by one; for more a hash table is made of all
_MOST = 1 << 20  # ids whose places are kept for that: those of ten millions would take a gigabyte and more


_ARROW = {np.dtype(name): pa.from_numpy_dtype(name) for name in ("int8", "int32", "int64", "float32")}
_take = pc.get_function("array_take")


class IdMap:
    """Distinct ids of one kind (int64 or string); the code of an id is its position.

    Attributes:
        values: the ids by code, an Arrow array without nulls or repeats.
        what: what they are, for messages ("user", "item").
    """

    def __init__(self, values: pa.Array, what: str) -> None:
        self.values, self.what = values, what

    def __len__(self) -> int:
        return len(self.values)

    @property
    def type_name(self) -> str:
        """How people call the ids' type: "integer" or "text"."""
        return "integer" if pa.types.is_int64(self.values.type) else "text"

    def codes(self, ids: Any, of: str = "") -> np.ndarray:
        """Codes of some ids, int32 (n,); -1 for an unknown one.

        Args:
            ids: a sequence, numpy or Arrow array of ids.
            of: where they stand, for messages, e.g. " of the ties".
        Raises:
            InputError: if their type is not the map's (17850 is not "17850"), or one is null.
        """
        array = id_array(ids, self.what)
        if len(array) and array.type != self.values.type:
            raise InputError(
                f"{self.what} ids{of}",
                got=f"{_shown(array)} ({IdMap(array, '').type_name})",
                expected=f"{self.type_name} ids as in the events, e.g. {_shown(self.values)}",
            )
        if len(array) <= _FEW and len(self) <= _MOST:
            return np.array([self._place_of.get(value, -1) for value in array.to_pylist()], np.int32)
        found = pc.index_in(array, value_set=self.values)
        return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)

    def find(self, ids: Any) -> tuple[np.ndarray, pa.Array]:
        """(codes of some ids, int32 (n,); the ids as an Arrow array); see `codes`."""
        if type(ids) is list and len(ids) == 1 and len(self) <= _MOST and (code := self._known(ids[0])) >= 0:
            return np.array([code], np.int32), self.values.slice(code, 1)  # cheaper than an array of Arrow's
        array = id_array(ids, self.what)
        return self.codes(array), array

    @cached_property
    def listed(self) -> list[Any]:
        """The ids by code as Python's own values, made once: for answers about one user."""
        return self.values.to_pylist()

    @cached_property
    def _place_of(self) -> dict[Any, int]:
        """Code by id, made when a few are first asked for."""
        return {value: place for place, value in enumerate(self.listed)}

    def code(self, one: Any) -> int:
        """The code of one id, -1 if it is unknown: without the cost of an array."""
        found = self._known(one)
        return found if found >= 0 else int(self.codes([one])[0])  # which refuses an id of another type

    def _known(self, one: Any) -> int:
        if isinstance(one, np.generic):
            one = one.item()
        return self._place_of.get(one, -1) if isinstance(one, (int, str)) and not isinstance(one, bool) else -1

    @cached_property
    def _integers(self) -> np.ndarray | None:
        return self.values.to_numpy() if pa.types.is_int64(self.values.type) else None

    def ids(self, codes: np.ndarray) -> pa.Array:
        """The original ids of codes (n,)."""
        if self._integers is not None:
            return as_arrow(self._integers.take(codes))
        return _take.call([self.values, as_arrow(codes)])

    def subset(self, keep: np.ndarray) -> tuple[IdMap, np.ndarray]:
        """The map of the ids where `keep` (bool by code) holds, and the new code by old code (-1: dropped)."""
        new = np.full(len(keep), -1, np.int32)
        new[keep] = np.arange(int(keep.sum()), dtype=np.int32)
        return IdMap(self.values.filter(pa.array(keep)), self.what), new

    def extended(self, ids: pa.Array) -> IdMap:
        """The map with further ids, in their order, after the known ones."""
        fresh = pc.unique(ids.filter(pa.array(self.codes(ids) < 0)))
        return IdMap(pa.concat_arrays([self.values, fresh]), self.what) if len(fresh) else self


def encode(column: pa.ChunkedArray, what: str) -> tuple[np.ndarray, IdMap]:
    """Codes int32 (n,) in order of first appearance, and their map. Nulls must have been refused before."""
    if not pa.types.is_dictionary(column.type):
        if (found := _of_close_numbers(column)) is not None:
            return found[0], IdMap(as_arrow(found[1]), what)
        if not (pa.types.is_integer(column.type) or is_text(column.type)):
            id_array(column.slice(0, _SHOWN), what)  # refuses it
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    dictionary = column.chunk(0).dictionary if column.num_chunks else pa.array([], column.type.value_type)
    chunks = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    codes = np.concatenate(chunks).astype(np.int32, copy=False) if chunks else np.empty(0, np.int32)
    values = id_array(dictionary, what)
    if len(pc.unique(values)) < len(values):  # a reader may repeat an entry of its dictionary
        merged = pc.unique(values)
        codes = pc.index_in(values, value_set=merged).to_numpy(zero_copy_only=False).astype(np.int32)[codes]
        values = merged
    used = np.zeros(len(values), bool)
    used[codes] = True
    if used.all():
        return codes, IdMap(values, what)
    ids, new = IdMap(values, what).subset(used)
    return new[codes], ids


def _of_close_numbers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray] | None:
    """(codes int32 (n,), the numbers by code, int64) of whole numbers that lie close together, by a table of them: a
    tenth of a hash's time. None for others."""
    if not pa.types.is_integer(column.type) or column.type == pa.uint64() or len(column) < _FEW:
        return None
    numbers = column.to_numpy()
    low, n = int(numbers.min()), len(numbers)
    width = int(numbers.max()) - low + 1
    if width > 4 * n or n >= 2**31:
        return None
    numbers = numbers - np.asarray(low, numbers.dtype if numbers.itemsize >= 4 else np.int64)
    place = np.full(width, n, np.int32)
    place[numbers[::-1]] = np.arange(
        n - 1, -1, -1, dtype=np.int32
    )  # of a number that repeats the last stays: its first
    used = np.flatnonzero(place < n)
    by_code = used[np.argsort(place[used])]
    place[by_code] = np.arange(len(by_code), dtype=np.int32)
    return place[numbers], by_code + low


def as_arrow(values: np.ndarray) -> pa.Array:
    """Numbers (n,) as an Arrow array over the same memory: `pa.array` without its look at pandas."""
    kind = _ARROW.get(values.dtype) or pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def id_array(ids: Any, what: str) -> pa.Array:
    """Ids as one int64 or string Arrow array; InputError for nulls, mixed types, floats and anything else."""
    if isinstance(ids, (str, bytes, int)):
        raise InputError(f"{what} ids", got=repr(ids), expected="a list of ids, e.g. [17850]")
    if isinstance(ids, Mapping) or hasattr(ids, "columns") or hasattr(ids, "user_ids"):  # a list of it would be others
        raise InputError(f"{what} ids", got=f"a {type(ids).__name__}", expected="a list of ids, or one column")
    if isinstance(ids, pa.ChunkedArray):
        array = ids.combine_chunks()
    elif isinstance(ids, pa.Array):
        array = ids
    else:
        array = _from_python(ids, what)
    if array.type in _KINDS and not array.null_count:
        return array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise InputError(f"{what} ids", got=f"{array.null_count} nulls, first in row {row}", expected="ids")
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):  # so some databases export them
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:  # unsigned ones, long decimals
            raise _too_great(what) from None
    if is_text(kind):
        return array.cast(pa.string())
    if pa.types.is_null(kind) and not len(array):
        return pa.array([], pa.int64())
    hint = "floats often come from missing values: drop those rows and cast" if pa.types.is_floating(kind) else None
    hint = "text of them: str(id)" if "uuid" in str(kind) else hint
    raise InputError(f"{what} ids", got=f"{_shown(array)} ({kind})", expected="integer or text ids", hint=hint)


def _from_python(ids: Any, what: str) -> pa.Array:
    try:
        return pa.array(ids if isinstance(ids, np.ndarray) else list(ids))
    except OverflowError:
        raise _too_great(what) from None
    except UnicodeEncodeError:
        raise InputError(f"{what} ids", got="text that is no Unicode", expected="integer or text ids") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        raise InputError(f"{what} ids", got="mixed types", expected="all integer or all text ids") from None


def _too_great(what: str) -> InputError:
    return InputError(f"{what} ids", got="integers greater than 64 bits hold", expected="smaller ones, or text ids")


def typed_from_text(values: pa.Array) -> pa.Array:
    """Ids read from a text file: integers if every one is written as an integer would be, else text as it stands.

    "007", "+7" and "7.0" are text: as numbers they would not be written back the same.
    """
    if len(values) and pc.all(pc.match_substring_regex(values, r"^(0|-?[1-9][0-9]{0,17})$")).as_py():
        return values.cast(pa.int64())
    return values.cast(pa.string())


def _shown(array: pa.Array) -> str:
    values = ", ".join(repr(value) for value in array[:_SHOWN].to_pylist())
    return values + (", ..." if len(array) > _SHOWN else "")
