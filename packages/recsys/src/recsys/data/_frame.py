"""Tables from anywhere: a dict, pyarrow, pandas or polars frame, a CSV, TSV or Parquet file; checks that name rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from ninefold.errors import InputError

from recsys.data._ids import typed_from_text
from recsys.data._untyped import is_text, pc

_AS_DECIMALS = b"recsys.decimals"  # of a field: the file has its ids as 7.0
_TEXT = {".tsv": "\t", ".tab": "\t", ".txt": "\t"}


def as_table(source: Any, *, columns: Collection[str] | None = None, ids: Collection[str] = ()) -> pa.Table:
    """Any frame as a pyarrow table.

    Args:
        source: dict of columns, pyarrow table, any frame with the Arrow C stream interface (pandas, polars, duckdb),
            or a path of a .csv, .tsv (also .gz) or .parquet file with a header.
        columns: those to read; all if None.
        ids: columns that hold ids; in a text file their type is decided over all rows.
    Raises:
        InputError: if it is no such thing, cannot be read, or a column is missing.
    """
    if isinstance(source, (str, Path)):
        return _without_index(read_file(Path(source), columns=columns, ids=ids))
    try:
        if isinstance(source, pa.Table):
            table = source
        elif isinstance(source, Mapping):
            table = pa.table({str(name): _plain(str(name), values) for name, values in source.items()})
        elif hasattr(source, "__arrow_c_stream__"):
            table = pa.table(source)
        else:
            raise InputError(
                "frame", got=type(source).__name__, expected="a dict, pyarrow, pandas or polars frame, or a file's path"
            )
    except OverflowError:
        raise InputError("frame", got="integers greater than 64 bits hold", expected="smaller ones, or text") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise InputError("frame", got=str(error).splitlines()[0], expected="columns of one type and length") from None
    need(table.column_names, columns or [], where=None)
    if table is not source:
        _refuse_truths(source, table, ids)
    return table.select(list(columns)) if columns is not None else _without_index(table)


def _without_index(table: pa.Table) -> pa.Table:
    """Without the columns that pandas makes of an index that has no name, e.g. after drop_duplicates: row numbers."""
    made = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    return table.drop_columns(made) if made else table


def _plain(name: str, values: Any) -> Any:
    if isinstance(values, (str, bytes)):  # Arrow would take it as a list of its letters
        raise InputError(f"column {name!r}", got=repr(values), expected="a list of values, e.g. [17850]")
    if not isinstance(values, (list, tuple, np.ndarray)):
        return values
    try:
        return pa.array(values)
    except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        got, expected = "mixed types", "values of one type"
        if isinstance(error, OverflowError) or "too large" in str(error):
            got, expected = "integers greater than 64 bits hold", "smaller ones, or text"
        raise InputError(f"column {name!r}", got=got, expected=expected) from None


def _refuse_truths(source: Any, table: pa.Table, ids: Collection[str]) -> None:
    """InputError for an id column of floats and truths, which Arrow reads as floats: True would be the id 1."""
    for name in {*ids} & {*table.column_names}:
        values = source[name]
        loose = isinstance(values, (list, tuple)) or getattr(values, "dtype", None) == np.dtype(object)
        floats = pa.types.is_floating(table.schema.field(name).type)
        if loose and floats and any(isinstance(one, (bool, np.bool_)) for one in values):
            raise InputError(f"column {name!r}", got="mixed types", expected="ids of one type")


def were_decimals(field: pa.Field) -> bool:
    """Whether ids of a column are whole numbers that were written or kept as decimals, such as 7.0."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.types.is_floating(kind) or _AS_DECIMALS in (field.metadata or {})


def need(present: Collection[str], columns: Collection[str], where: str | Path | None) -> None:
    """InputError if one of `columns` is not `present`; names it and lists what is there."""
    for name in columns:
        if name not in present:
            raise InputError(
                f"column {name!r}", where=where, got="no such column", expected=f"one of {sorted(present)}"
            )


def read_file(
    path: Path,
    *,
    columns: Collection[str] | None = None,
    ids: Collection[str] = (),
    separator: str | None = None,
    names: list[str] | None = None,
    encoding: str = "utf8",
    quoted: bool = True,
) -> pa.Table:
    """A text or Parquet file as a table; gzip is seen by its name.

    Args:
        path: .parquet, or text.
        columns: those to read; all if None.
        ids: columns whose type is decided over all rows.
        separator: one character; by the file's name if None. A .csv file may have semicolons, with decimal commas.
        names: column names of a text file that has no header.
        encoding: of a text file.
        quoted: whether a field that starts with a quotation mark extends to the next one, over separators and lines.
    """
    if not path.is_file():
        raise InputError(f"file {path}", got="no such file", expected="a .csv, .tsv or .parquet file")
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    try:
        if suffix == ".parquet":
            need(pyarrow.parquet.read_schema(path).names, columns or [], where=path)
            return pyarrow.parquet.read_table(path, columns=list(columns) if columns is not None else None)
        separator, point = separator or _TEXT.get(suffix), "."
        if separator is None and suffix == ".csv":
            separator, point = _signs(path)
        if separator is None:
            raise InputError(
                f"file {path}", got=f"the ending {suffix!r}", expected="one of .csv, .tsv, .parquet, or .gz"
            )
        parse = pyarrow.csv.ParseOptions(delimiter=separator, quote_char='"' if quoted else False)
        try:
            return _read_text(path, columns, ids, parse, point, names, encoding)
        except pa.ArrowInvalid as error:
            if not quoted or not str(error).startswith("CSV parse"):
                raise
            parse.newlines_in_values = True  # slower, and rarely needed: blocks end within a field
            return _read_text(path, columns, ids, parse, point, names, encoding)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError, OSError) as error:
        hint = "save it as UTF-8" if "UTF8" in str(error) else None
        got = str(error).splitlines()[0]
        raise InputError(f"file {path}", got=got, expected="a readable table", hint=hint) from None


def _signs(path: Path) -> tuple[str, str]:
    """(what parts the fields of a .csv file, its decimal point): where the header has no comma, another sign that it
    has; then numbers may have commas, as spreadsheets of many countries write them."""
    with pa.input_stream(str(path)) as file:  # unpacked by its ending
        header, _, rows = file.read(1 << 16).decode("latin1").partition("\n")
    sign = next((one for one in (",", ";", "\t", "|") if one in header), ",")
    number = rf'(^|{re.escape(sign)})"?-?[0-9]+,[0-9]+"?\s*({re.escape(sign)}|$)'
    return sign, "," if sign != "," and re.search(number, rows, re.MULTILINE) else "."


def _read_text(
    path: Path,
    columns: Collection[str] | None,
    ids: Collection[str],
    parse: pyarrow.csv.ParseOptions,
    point: str,
    names: list[str] | None,
    encoding: str,
) -> pa.Table:
    read = pyarrow.csv.ReadOptions(column_names=names, encoding=encoding, block_size=8 << 20)
    if columns is not None:
        with pyarrow.csv.open_csv(path, read_options=read, parse_options=parse) as reader:
            need(reader.schema.names, columns, where=path)
    kinds = dict.fromkeys(ids, pa.dictionary(pa.int32(), pa.string()))
    convert = pyarrow.csv.ConvertOptions(
        column_types=kinds, include_columns=list(columns) if columns is not None else None, strings_can_be_null=True,
        decimal_point=point,
    )  # fmt: skip
    table = pyarrow.csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    for name in ids:
        index = table.schema.get_field_index(name)
        if index >= 0:
            table = table.set_column(index, *_typed(table.column(index), name, point))
    return table


def _typed(column: pa.ChunkedArray, name: str, point: str) -> tuple[pa.Field, pa.ChunkedArray]:
    """(field, a dictionary column of text whose values are turned to integers if all are written so)."""
    column = column.unify_dictionaries()
    if not column.num_chunks:
        return pa.field(name, column.type), column
    values, decimals = typed_from_text(column.chunk(0).dictionary, f"column {name!r}", point)
    kind = pa.dictionary(pa.int32(), values.type)
    chunks = [pa.DictionaryArray.from_arrays(chunk.indices, values) for chunk in column.chunks]
    field = pa.field(name, kind, metadata={_AS_DECIMALS: b""} if decimals else None)
    return field, pa.chunked_array(chunks, type=kind)


def as_in_fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table whose columns that a schema has, too, are of its types; InputError names one that cannot be."""
    for place, name in enumerate(table.column_names):
        known = schema.get_field_index(name)
        if known < 0 or schema.field(known).type == table.schema.field(place).type:
            continue
        kind = schema.field(known).type
        try:
            table = table.set_column(place, name, table.column(place).cast(kind))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            got = str(table.schema.field(place).type)
            raise InputError(f"column {name!r}", got=got, expected=f"{kind}, as in the fit") from None
    return table


def one_kind_of_text(table: pa.Table) -> pa.Table:
    """Text columns as Arrow's plain `string`, whichever of its kinds a reader gave, so that tables can be joined."""
    fields = [one.with_type(pa.string()) if is_text(one.type) else one for one in table.schema]
    return table.cast(pa.schema(fields)).combine_chunks()


def rows_text(bad: np.ndarray) -> str:
    """ "3 of 100 rows, first 4, 7, 9" for a bool mask by row."""
    rows = np.flatnonzero(bad)
    return f"{len(rows)} of {len(bad)} rows, first {', '.join(map(str, rows[:3]))}"


def null_mask(column: pa.ChunkedArray) -> np.ndarray:
    """True where null (or NaN), bool (n,)."""
    return pc.is_null(column, nan_is_null=True).to_numpy()


def numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """A finite float32 column (n,); InputError that names the column and the first rows otherwise."""
    if len(column) and column.null_count == len(column):
        raise InputError(f"column {name!r}", got=f"null in all {len(column)} rows", expected="numbers")
    kinds = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal
    if not any(is_kind(column.type) for is_kind in kinds):
        raise InputError(f"column {name!r}", got=str(column.type), expected="numbers")
    array = np.asarray(column.cast(pa.float32(), safe=False).to_numpy())
    bad = ~np.isfinite(array)
    if bad.any():
        raise InputError(f"column {name!r}", got=f"not finite in {rows_text(bad)}", expected="finite numbers")
    return array
