"""Columns of the user and item tables in a factorisation machine's design: categories, numbers, and sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._frame import null_mask
from recsys.data._untyped import Csr, is_text, pc, value_kind
from recsys.fm._fields import make_fields, one_hot

BETWEEN = "|"  # parts the entries of a set in a text


@dataclass(frozen=True)
class Attribute:
    """One column of a table about users or items.

    Attributes:
        name: the column's.
        values: x of each row, CSR float64 (rows, columns): 1 at its category, a standardised number, or |set|^-1/2 at
            each entry of its set; none where the table is null.
        is_set: whether a row may have several.
    """

    name: str
    values: Csr
    is_set: bool


def attributes(table: pa.Table) -> list[Attribute]:
    """A table's columns: lists of text, and texts such as "Action|Comedy", are sets; see `_fields` for the others.

    Raises:
        InputError: for a column of another type, or one that is null in all rows.
    """
    found = []
    for name in table.column_names:
        column = table[name]
        if null_mask(column).all():
            raise InputError(f"column {name!r}", got=f"null in all {len(column)} rows", expected="features")
        entries = _entries(column)
        found.append(_of_field(table.select([name])) if entries is None else _of_sets(name, entries))
    return found


def chosen_columns(names: str, users: pa.Table | None, items: pa.Table | None) -> tuple[list[str], list[str]]:
    """Columns of the users' and of the items' table: "all", "none", or names with commas between.

    Of "all", texts of which hardly one occurs twice (titles, addresses) are left out.

    Raises:
        InputError: for a name that neither table has; it lists what they have.
    """
    tables = [pa.table({}) if one is None else one for one in (users, items)]
    if names == "none":
        return [], []
    if names == "all":
        found = [[name for name in one.column_names if _groups(one[name])] for one in tables]
        if not any(found):
            raise InputError("features", got="no column of a table of users or items", expected="from_frame(items=...)")
        return found[0], found[1]
    wanted = names.split(",")
    for name in wanted:
        if not any(name in one.column_names for one in tables):
            known = ", ".join([*tables[0].column_names, *tables[1].column_names]) or "none"
            raise InputError("features", got=f"no column {name!r} about users or items", expected=f"of {known}")
    of_users, of_items = ([name for name in wanted if name in one.column_names] for one in tables)
    return of_users, of_items


def described(table: pa.Table | None, names: Sequence[str], rows: int) -> np.ndarray:
    """Rows of which one of the columns says something, bool (rows,)."""
    said = np.zeros(rows, bool)
    for name in names:
        assert table is not None  # it has the column
        said |= ~null_mask(table[name])
    return said


def _groups(column: pa.ChunkedArray) -> bool:
    kind = value_kind(column)
    if not is_text(kind) or _entries(column) is not None:
        return not pa.types.is_nested(kind) or _entries(column) is not None  # vectors are for models of content
    return len(pc.unique(column)) <= len(column) / 2


def _entries(column: pa.ChunkedArray) -> list[list[str]] | None:
    """Distinct entries of each row's set; None for a column that holds no sets."""
    kind = value_kind(column)
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and is_text(kind.value_type):
        rows = column.to_pylist()
    elif is_text(kind) and pc.any(pc.match_substring(column.cast(pa.string()), BETWEEN)).as_py():
        rows = [None if one is None else one.split(BETWEEN) for one in column.to_pylist()]
    else:
        return None
    return [sorted({entry for entry in row or [] if entry}) for row in rows]


def _of_sets(name: str, entries: list[list[str]]) -> Attribute:
    place = {entry: code for code, entry in enumerate(sorted({one for row in entries for one in row}))}
    counts = np.array([len(row) for row in entries])
    columns = np.fromiter((place[one] for row in entries for one in row), np.int64, int(counts.sum()))
    x = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return Attribute(name, sp.csr_matrix((x, columns, indptr), shape=(len(entries), len(place))), is_set=True)


def _of_field(table: pa.Table) -> Attribute:
    (field,) = make_fields(table)
    return Attribute(field.name, one_hot(*field.encode(table[field.name]), field.size), is_set=False)
