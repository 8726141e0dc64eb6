"""Tables about users and items, put in the order of the events' codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._frame import as_table, need
from recsys.data._ids import IdMap, id_array
from recsys.data._untyped import pc


def side_table(source: Any, id_column: str, what: str) -> tuple[pa.Array, pa.Table] | None:
    """(ids, their table without the id column), or None if there is no source.

    Raises:
        InputError: if the id column is missing, holds nulls, or an id twice.
    """
    if source is None:
        return None
    table = as_table(source, ids=(id_column,)).combine_chunks()
    need(table.column_names, [id_column], where=f"the table {what}")
    ids = id_array(table.column(id_column), f"{what} table's {id_column}")
    counts = pc.value_counts(ids)
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        some = ", ".join(repr(one) for one in twice[:3].to_pylist())
        raise InputError(f"the table {what}", got=f"{len(twice)} ids twice, e.g. {some}", expected="one row an id")
    return ids, table.drop_columns([id_column])


def align(known: IdMap, ids: pa.Array, table: pa.Table) -> tuple[IdMap, pa.Table, np.ndarray]:
    """Put a side table in the order of the events' ids.

    Args:
        known: ids of the events.
        ids, table: the side table's ids (n,) and its n rows.
    Returns: (the ids of both, known ones first; the table by code, null where not listed; listed, bool by code).
    Raises:
        InputError: if the table has no column except the ids, the ids' types differ, or no id of the events is listed.
    """
    if table.num_columns == 0:
        raise InputError(f"the table of {known.what}s", got="its ids alone", expected="a column that says more of them")
    if not (known.codes(ids, " of the side table") >= 0).any():
        first = ids[0].as_py() if len(ids) else "nothing"
        raise InputError(
            f"the table of {known.what}s",
            got=f"no id of the events, e.g. {first!r}",
            expected=f"ids as in the events, e.g. {known.values[0].as_py()!r}",
        )
    both = known.extended(ids)
    place = pc.index_in(both.values, value_set=ids)
    return both, table.take(place).combine_chunks(), place.is_valid().to_numpy(zero_copy_only=False)
