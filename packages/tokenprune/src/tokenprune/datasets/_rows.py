"""Rows of data, wherever they are: JSON lines, parquet, a folder of these, or a data set of the Hugging Face hub.

A hub id is `owner/name`, with `:config` and `@split` behind it where they are needed: `tatsu-lab/alpaca`,
`allenai/ai2_arc:ARC-Easy@test`. It takes the extra `data`; what was fetched once stays in that library's own cache.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any

from ninefold.errors import DownloadError, InputError, require

Row = dict[str, Any]
_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(:(?P<config>[\w.-]+))?(@(?P<split>[\w.\[\]:%-]+))?")
ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")


def is_hub_id(name: str) -> bool:
    """Whether it looks like one, and there is no such file."""
    ending = name.endswith((*ENDINGS, ".txt", ".txt.gz", ".json"))
    return bool(_HUB.fullmatch(name)) and not ending and not Path(name).exists()


def of_hub(name: str, split: str) -> list[Row]:
    """Rows of a hub's data set; `split` if the id names none.

    Raises:
        MissingExtraError: without the library `datasets`.
        DownloadError: if it cannot be had; says why.
    """
    library = require("datasets", "tokenprune", "data")
    found = _HUB.fullmatch(name)
    assert found is not None
    asked = found["split"] or split
    try:
        rows = library.load_dataset(found["name"], found["config"], split=asked)
    except (OSError, ValueError, RuntimeError) as error:  # not there, no such config or split, no network
        why = " ".join(str(error).split())[:200]
        where = f"{found['name']}, config {found['config'] or 'default'}, split {asked}"
        raise DownloadError(f"data set {where}: cannot be had: {why}") from None
    return [dict(row) for row in rows]


def of_path(path: Path) -> list[tuple[str, Row]]:
    """(its place, row) of each row of a file, or of each .jsonl and .parquet file of a folder, in order of their names.

    Raises:
        InputError: names the file, and the row, that is wrong.
    """
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.name.endswith(ENDINGS))
        if not files:
            raise InputError("folder", where=path, got="no data", expected=f"files ending in {', '.join(ENDINGS)}")
        return [row for file in files for row in of_path(file)]
    rows = _parquet(path) if path.suffix == ".parquet" else _json_lines(path)
    if not rows:
        raise InputError("rows", where=path, got="none")
    return [(f"{path}, row {number}", row) for number, row in rows]


def _parquet(path: Path) -> list[tuple[int, Row]]:
    arrow = require("pyarrow", "tokenprune", "data")
    try:
        table = require("pyarrow.parquet", "tokenprune", "data").read_table(path)
    except (OSError, arrow.ArrowException) as error:
        got = " ".join(str(error).split())[:200]
        raise InputError("rows", where=path, got=got, expected="whole parquet") from None
    return list(enumerate(table.to_pylist(), 1))


def read_text(path: Path) -> str:
    """A text file, gzipped or not."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return raw.decode("utf-8")
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise InputError("text", where=path, got=str(error), expected="UTF-8, gzipped or not") from None


def _json_lines(path: Path) -> list[tuple[int, Row]]:
    rows = []
    for at, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError("row", where=f"{path}, row {at}", got=line[:60], expected="a JSON object")
        rows.append((at, row))
    return rows


def field(row: Row, name: str, where: str) -> Any:
    """A field that must be there."""
    if name not in row:
        raise InputError(f"field `{name}`", where=where, expected=f"one beside {sorted(row)}")
    return row[name]
