"""Text files of the forms that publishers use: plain or gzipped, `::` between fields, JSON lines, RecBole's headers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.json
from ninefold.errors import InputError

from recsys.data._frame import read_file
from recsys.data._ids import typed_from_text
from recsys.data._untyped import pc


def open_text(path: Path, encoding: str = "utf-8") -> TextIO:
    if not path.is_file():
        raise InputError(f"file {path}", got="no such file", expected="a file")
    return gzip.open(path, "rt", encoding=encoding) if path.suffix == ".gz" else path.open(encoding=encoding)


def double_colon(path: Path, names: list[str], encoding: str = "utf-8") -> pa.Table:
    """A file with `::` between fields, as MovieLens 1M and 10M have; all columns but "rating" as integers or text."""
    with open_text(path, encoding) as file:
        columns = list(zip(*_fields(file, path, len(names)), strict=True))
    return pa.table(
        {
            name: pa.array([float(one) for one in column]) if name == "rating" else typed_from_text(pa.array(column))
            for name, column in zip(names, columns, strict=True)
        }
    )


def _fields(file: TextIO, path: Path, n: int) -> Iterator[list[str]]:
    for number, line in enumerate(file, start=1):
        fields = line.rstrip("\n").split("::")
        if len(fields) != n:
            raise InputError(f"line {number}", where=path, got=line.strip()[:60], expected=f"{n} fields between ::")
        yield fields


_ATOMIC = ("token", "float", "token_seq", "float_seq")


def atomic(path: Path, *, lists: bool = False) -> pa.Table:
    """A RecBole file: tab separated, header `name:type`; tokens are ids or words, floats numbers, sequences text."""
    try:
        with open_text(path, "utf-8-sig") as file:
            headings = file.readline().rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise InputError(f"file {path}", got=str(error), expected="text in UTF-8") from None
    kinds = {heading: heading.partition(":")[2] for heading in headings}
    for heading, kind in kinds.items():
        if kind not in _ATOMIC:
            raise InputError(f"column {heading!r}", where=path, expected=f"name:type with a type of {_ATOMIC}")
    # the header decides: a reader that guesses would make one id of the tokens 007 and 7
    texts = [heading for heading, kind in kinds.items() if kind != "float"]
    raw = read_file(path, separator="\t", quoted=False, texts=texts)
    columns = {}
    for heading, column in zip(raw.column_names, raw.columns, strict=True):
        name, _, kind = heading.partition(":")
        if kind == "float":
            try:
                columns[name] = column.cast(pa.float64())
            except pa.ArrowInvalid as error:
                raise InputError(f"column {heading!r}", got=str(error), where=path, expected="numbers") from None
        elif kind == "token":
            columns[name] = typed_from_text(column.cast(pa.string()).combine_chunks())
        else:
            parts = pc.split_pattern(column.cast(pa.string()), " ") if lists else column
            try:
                columns[name] = parts.cast(pa.list_(pa.float64())) if lists and kind == "float_seq" else parts
            except pa.ArrowInvalid as error:
                raise InputError(f"column {heading!r}", got=str(error), where=path, expected="numbers") from None
    return pa.table(columns)
