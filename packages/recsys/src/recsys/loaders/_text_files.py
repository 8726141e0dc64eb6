"""Text files of the forms that publishers use: plain or gzipped, `::` between fields."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._ids import typed_from_text


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
            name: pa.array([float(one) for one in column]) if name == "rating" else typed_from_text(pa.array(column))[0]
            for name, column in zip(names, columns, strict=True)
        }
    )


def _fields(file: TextIO, path: Path, n: int) -> Iterator[list[str]]:
    for number, line in enumerate(file, start=1):
        fields = line.rstrip("\n").split("::")
        if len(fields) != n:
            raise InputError(f"line {number}", where=path, got=line.strip()[:60], expected=f"{n} fields between ::")
        yield fields
