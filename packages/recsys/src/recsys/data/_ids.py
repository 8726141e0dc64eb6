"""Original ids end to end: each id keeps its type and value; inside, it is a code from 0."""

from __future__ import annotations

import re
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
_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
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
    if pa.types.is_dictionary(column.type) and not is_text(column.type.value_type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_dictionary(column.type):
        if (found := _of_close_numbers(column)) is not None:
            return found[0], IdMap(as_arrow(found[1]), what)
        if not (pa.types.is_integer(column.type) or is_text(column.type)):
            column = pa.chunked_array([id_array(column, what)])  # or refuses it
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
    """Ids as one int64 or string Arrow array; whole floats and decimals are integers, as a column with a missing value
    holds them. InputError for nulls, mixed types, other numbers and anything else."""
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
    missing = pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
    if missing.any():
        got = f"{missing.sum()} nulls, first in row {np.flatnonzero(missing)[0]}"
        raise InputError(f"{what} ids", got=got, expected="ids")
    if pa.types.is_floating(kind):
        return _whole(array, what)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):  # decimals: so some databases export numbers
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid as error:  # unsigned ones, long decimals
            if "data loss" in str(error):
                raise _not_whole(array, what) from None
            raise _too_great(what) from None
    if is_text(kind):
        return array.cast(pa.string())
    if pa.types.is_null(kind) and not len(array):
        return pa.array([], pa.int64())
    hint = "text of them: str(id)" if "uuid" in str(kind) else None
    raise InputError(f"{what} ids", got=f"{_shown(array)} ({kind})", expected="integer or text ids", hint=hint)


def _from_python(ids: Any, what: str) -> pa.Array:
    ids = ids if isinstance(ids, np.ndarray) else list(ids)
    try:
        array = pa.array(ids)
    except OverflowError:
        raise _too_great(what) from None
    except UnicodeEncodeError:
        raise InputError(f"{what} ids", got="text that is no Unicode", expected="integer or text ids") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        if "too large" in str(error):
            raise _too_great(what) from None
        raise InputError(f"{what} ids", got="mixed types", expected="all integer or all text ids") from None
    if pa.types.is_floating(array.type) and any(isinstance(one, (bool, np.bool_)) for one in ids):  # Arrow: True is 1.0
        raise InputError(f"{what} ids", got="mixed types", expected="all integer or all text ids")
    return array


def _too_great(what: str) -> InputError:
    return InputError(f"{what} ids", got="integers greater than 64 bits hold", expected="smaller ones, or text ids")


def _not_whole(array: pa.Array, what: str) -> InputError:
    got = f"{_shown(array)} ({array.type})"
    return InputError(f"{what} ids", got=got, expected="integer or text ids, or whole numbers")


def _whole(array: pa.Array, what: str) -> pa.Array:
    """Floats (n,) without nulls as integers; InputError unless each is whole and its type holds its neighbours, too."""
    values = array.to_numpy(zero_copy_only=False)
    bad = ~np.isfinite(values) | (np.floor(values) != values)
    if bad.any():
        raise _not_whole(array.filter(pa.array(bad)), what)
    exact = 2 ** (np.finfo(values.dtype).nmant + 1)
    if (great := np.abs(values) >= exact).any():
        raise InputError(
            f"{what} ids",
            got=f"{_shown(array.filter(pa.array(great)))} ({array.type})",
            expected=f"whole numbers below {exact}: of greater ones {array.type} rounds the last digits",
            hint="read the column as integers or text",
        )
    return as_arrow(values.astype(np.int64))


def typed_from_text(values: pa.Array, what: str = "an id column", point: str = ".") -> tuple[pa.Array, bool]:
    """(ids read from a text file, whether some were written as decimals): integers if every one is written as an
    integer or a whole decimal would be ("7", "7.0"); else text as it stands.

    "007" and "+7" are text: as numbers they would not be written back the same.

    Args:
        values: text.
        what: the column, for messages.
        point: the file's decimal point.
    Raises:
        InputError: if all are numbers and some are rounded ("1.2E+11"), or "7" and "7.0" stand in a column that is text
            for another reason: one number would be two ids.
    """
    if not len(values):
        return values.cast(pa.string()), False
    if _all_match(values, _INTEGER):
        return values.cast(pa.int64()), False
    tail = rf"{re.escape(point)}0+$"
    bare = pc.replace_substring_regex(values, pattern=tail, replacement="")
    if _all_match(bare, _INTEGER):
        return bare.cast(pa.int64()), True
    number = rf"^[+-]?[0-9]+({re.escape(point)}[0-9]+)?([eE][+-]?[0-9]+)?$"
    if _all_match(values, number):
        rounded = values.filter(pc.match_substring_regex(values, r"[eE]\+"))
        if len(rounded):
            hint = "a spreadsheet or a float column rounded them: write the column as integers or text"
            raise InputError(what, got=f"ids such as {_shown(rounded)}", expected="all digits of each id", hint=hint)
        counts = pc.value_counts(bare)  # a reader may repeat a value, too
        for one in counts.field("values").filter(pc.greater(counts.field("counts"), 1)):
            forms = pc.unique(values.filter(pc.equal(bare, one)))
            if len(forms) > 1:
                raise InputError(what, got=f"ids {_shown(forms)}: one number", expected="each id written in one way")
    return values.cast(pa.string()), False


def _all_match(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def number_of(text: str) -> int | None:
    """The integer id that a text is written as ("7", "7.0"), or None."""
    bare = re.sub(r"\.0+$", "", text)
    return int(bare) if re.fullmatch(r"0|-?[1-9][0-9]*", bare, re.ASCII) else None


def _shown(array: pa.Array) -> str:
    values = ", ".join(repr(value) for value in array[:_SHOWN].to_pylist())
    return values + (", ..." if len(array) > _SHOWN else "")
