"""Context columns as fields: each category of a column is a one-hot column, a number is scaled to unit variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._frame import null_mask, numbers
from recsys.data._untyped import Csr, pc, value_kind

_FEW = 50  # an integer column of no more distinct values is taken as categories


@dataclass(frozen=True)
class Field:
    """One context column.

    Attributes:
        name: the column's.
        categories: its values as text, one column each; None for a number.
        mean, scale: of a number.
    """

    name: str
    categories: tuple[str, ...] | None
    mean: float = 0.0
    scale: float = 1.0

    @property
    def size(self) -> int:
        """Columns in the design."""
        return 1 if self.categories is None else len(self.categories)

    def encode(self, column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray | None]:
        """(column of each row int (n,), -1 for none: an unknown category or a null; weight (n,), None for all 1)."""
        if self.categories is None:
            missing = null_mask(column)
            values = numbers(pc.fill_null(column, 0), self.name).astype(np.float64)
            return np.where(missing, -1, 0), (values - self.mean) / self.scale
        found = pc.index_in(_text(column), value_set=pa.array(self.categories, pa.string()))
        return np.asarray(pc.fill_null(found, -1).to_numpy()).astype(np.int64), None


def make_fields(context: pa.Table) -> list[Field]:
    """Fields of a table's columns, categories in sorted order.

    Raises:
        InputError: for a column of one value only, or of a type that is neither text, number nor truth.
    """
    fields = []
    for name in context.column_names:
        column = context.column(name)
        kind = value_kind(column)
        number = pa.types.is_floating(kind) or (pa.types.is_integer(kind) and len(pc.unique(column).drop_null()) > _FEW)
        if number:
            values = numbers(column.drop_null(), name).astype(np.float64)
            fields.append(Field(name, None, float(values.mean()), float(values.std()) or 1.0))
        else:
            fields.append(Field(name, tuple(sorted(pc.unique(_text(column)).drop_null().to_pylist()))))
    return fields


def encode_all(fields: list[Field], context: pa.Table | None, rows: int) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Each field's (columns, weights) in a table that must have them all; see `Field.encode`."""
    if not fields:
        return []
    wanted = [field.name for field in fields]
    have = [] if context is None else context.column_names
    missing = [name for name in wanted if name not in have]
    if context is None or missing:
        raise InputError("context", got=f"no {', '.join(missing)}", expected=f"the columns {', '.join(wanted)}")
    if context.num_rows != rows:
        raise InputError("context", got=f"{context.num_rows} rows", expected=f"{rows}")
    return [field.encode(context.column(field.name)) for field in fields]


def one_hot(index: np.ndarray, x: np.ndarray | None, size: int) -> Csr:
    """An encoded field as CSR (rows, size); see `Field.encode`."""
    has = np.flatnonzero(index >= 0)
    data = np.ones(len(has)) if x is None else x[has]
    return sp.csr_matrix((data, (has, index[has])), shape=(len(index), size))


def packed(fields: list[Field]) -> list[list[Any]]:
    """Fields as a model's file holds them."""
    return [[one.name, one.categories, one.mean, one.scale] for one in fields]


def unpacked(rows: list[list[Any]]) -> list[Field]:
    """The inverse of `packed`."""
    return [Field(name, None if cats is None else tuple(cats), mean, scale) for name, cats, mean, scale in rows]


def _text(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.cast(pa.string())
    except pa.ArrowNotImplementedError:
        raise InputError("context", got=f"a column of {column.type}", expected="text, numbers or truth") from None
