"""Reading delimited text and parquet whatever wrote it: compression, BOM, separators, decimal commas, damage."""

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError, require

from proteus.loaders._repairs import below_titles, cells_of, distinct, header_at, tidied
from proteus.loaders._repairs import counted as filled_cells

ERRORS = ("#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!")  # of Excel
_MISSING = {"", "na", "nan", "n/a", "#n/a", "null", "none", "filtered", "-", "inf", "-inf"}
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+(?:[eE][-+]?\d+)?$")
THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?$")


RUN_ENDING = re.compile(r"\.(?:raw|mzml|mzxml|d|dia|wiff2?|scan|htrms|gz|tdf|fcs)$", re.I)


@dataclass
class Table:
    """A table read as text, with what had to be repaired.

    Attributes:
        frame: all cells as text (parquet: as they are).
        path: where it came from.
        notes: repairs, in words.
        known: names that a sheet gives to samples, as `bare` makes them.
    """

    frame: pd.DataFrame
    path: Path
    notes: list[str] = field(default_factory=list)
    known: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[str]:
        """Header."""
        return [str(name) for name in self.frame.columns]


def stem(name: str) -> str:
    """A run's name without folders, written with `/` or `\\`, and vendor endings."""
    short = str(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    while RUN_ENDING.search(short):
        short = RUN_ENDING.sub("", short)
    return short.strip()


def bare(name: str) -> str:
    """The stem in lower case, by which runs of a sheet and of a table are matched."""
    return stem(name).lower()


def read_bytes(path: Path) -> bytes:
    """A file's bytes, gzip unpacked; ArtifactError if it is missing, empty or cut off."""
    if not path.is_file():
        raise ArtifactError(path, "is not there" if not path.exists() else "is a folder, not a file")
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ArtifactError(path, f"is a truncated or damaged gzip file ({error})") from None
    if not data.strip():
        raise ArtifactError(path, "is empty")
    return data


def read_table(path: Path) -> Table:
    """Delimited text or parquet; the separator is taken from the header, whatever the file is called."""
    raw = path.read_bytes()[:4] if path.is_file() else b""
    if raw == b"PAR1" or (raw and path.suffix == ".parquet"):
        try:
            return Table(pd.read_parquet(path), path)
        except Exception as error:  # pyarrow raises several kinds for damaged files
            raise ArtifactError(path, f"is a truncated or damaged parquet file ({type(error).__name__})") from None
    data = read_bytes(path)
    if data[:2] == b"PK" and zipfile.is_zipfile(io.BytesIO(data)):
        return _workbook(data, path)
    if data[:2] == b"PK":
        raise InputError(str(path), got="a zip or Excel workbook", expected="text", hint="save the sheet as CSV or TSV")
    notes = []
    if data.startswith(b"\xef\xbb\xbf"):
        notes.append("the file starts with a byte-order mark")
    text, skipped = below_titles(decode(data))
    notes += skipped
    header = text.split("\n", 1)[0]
    separator = max("\t,;", key=header.count)
    if header.count(separator) == 0:
        raise InputError(str(path), got="one column", expected="columns separated by tab, comma or semicolon")
    usual = {".tsv": "\t", ".txt": "\t", ".csv": ","}.get(Path(path.stem if path.suffix == ".gz" else path.name).suffix)
    if usual is not None and usual != separator:
        shown = {"\t": "tabs", ",": "commas", ";": "semicolons"}[separator]
        notes.append(f"columns are separated by {shown}, whatever the file's name says")
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise ArtifactError(path, f"is no regular table: {str(error).strip().splitlines()[-1]}") from None
    if isinstance(frame.index, pd.MultiIndex):
        got = f"rows of {frame.index.nlevels + frame.shape[1]} cells under {frame.shape[1]} names"
        raise InputError(str(path), got=got, expected="a name for each column")
    told = next(csv.reader([header], delimiter=separator))
    frame = tidied(frame, told, path, notes)
    last = text.rstrip("\n").rsplit("\n", 1)[-1]
    if not text.endswith("\n") and last.count(separator) < header.count(separator):
        notes.append(f"the last row ({len(frame) + 1}) ends before its last column: the file may be cut off")
    return Table(frame, path, notes)


def _workbook(data: bytes, path: Path) -> Table:
    """The first sheet of an Excel workbook, its cells as text."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        if "xl/workbook.xml" not in packed.namelist():
            raise InputError(str(path), got="a zip archive", expected="text, parquet or an Excel workbook")
    require("openpyxl", "proteus", "xlsx")
    cells, names = cells_of(data)
    others = ", ".join(names[1:4])
    notes = [f"the first sheet of a workbook, {names[0]!r}" + (f"; not read: {others}" if others else "")]
    filled = [filled_cells(row) for row in cells]
    start = header_at(filled)
    if start:
        notes.append(f"{start} line{'s' * (start > 1)} above the header left out")
    if not cells or not any(filled):
        raise ArtifactError(path, "is empty")
    told = cells[start]
    frame = pd.DataFrame(cells[start + 1 :], columns=distinct(told), dtype=str)
    return Table(tidied(frame, told, path, notes), path, notes)


def grid(path: Path) -> list[list[str]]:
    """All cells of a small file as text, a row each: delimited text, or the first sheet of a workbook."""
    data = read_bytes(path)
    if data[:2] == b"PK" and zipfile.is_zipfile(io.BytesIO(data)):
        require("openpyxl", "proteus", "xlsx")
        return cells_of(data)[0]
    text = decode(data)
    head = "\n".join(text.split("\n")[:20])
    return list(csv.reader(io.StringIO(text), delimiter=max("\t,;", key=head.count)))


def decode(data: bytes) -> str:
    """Text from UTF-8 or UTF-16 with or without mark, else Latin-1; line ends to newline."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def numbers(table: Table, columns: Sequence[str]) -> np.ndarray:
    """Columns as (rows, columns) float64, missing as NaN; commas, decimal or of thousands, are read and noted.

    Raises:
        InputError: naming a column that is absent, or row and column of a cell that is no number.
    """
    for name in columns:
        first_of(table, name)
    result = np.empty((len(table.frame), len(columns)))
    unread: dict[int, pd.Series] = {}
    for place, name in enumerate(columns):
        column = table.frame[name]
        if pd.api.types.is_numeric_dtype(column):
            result[:, place] = column.to_numpy(float, na_value=np.nan)
            continue
        text = column.astype(str).str.strip()
        values = pd.to_numeric(text, errors="coerce")
        odd = values.isna() & ~text.str.lower().isin(_MISSING)
        if odd.any():
            unread[place] = text[odd].set_axis(np.flatnonzero(odd))
        result[:, place] = values.to_numpy(float)
    if unread:
        _read_commas(table, columns, result, unread)
    result[np.isinf(result)] = np.nan
    return result


def _read_commas(table: Table, columns: Sequence[str], result: np.ndarray, unread: dict[int, pd.Series]) -> None:
    """Put cells with commas into `result`. All columns together tell whether these are decimal commas."""
    thousands = _are_thousands(pd.concat(list(unread.values())), result)
    pattern, point, words = (
        (THOUSANDS, "", "commas were read as separators of thousands") if thousands
        else (_DECIMAL_COMMA, ".", "decimal commas were read as points")
    )  # fmt: skip
    for place, cells in unread.items():
        wrong = cells.index[~cells.str.match(pattern.pattern)]
        if len(wrong):
            where = f"{table.path}, row {wrong[0] + 2}"
            raise InputError(f"column {columns[place]!r}", got=repr(cells[wrong[0]]), expected="a number", where=where)
        result[cells.index, place] = pd.to_numeric(cells.str.replace(",", point)).to_numpy(float)
    table.notes.append(f"{words} (first in column {columns[min(unread)]!r})")


def _are_thousands(cells: pd.Series, others: np.ndarray) -> bool:
    """Whether `1,234` is over a thousand: every comma is before three digits, and a cell has two commas, or others
    have none, which three decimals throughout would not leave out."""
    cells = cells[cells.str.contains(",")]
    whole = bool(len(cells)) and bool(cells.str.match(THOUSANDS.pattern).all())
    return whole and (bool((cells.str.count(",") > 1).any()) or bool((np.isfinite(others) & (others != 0)).any()))


def first_of(table: Table, *names: str) -> str:
    """The first of the columns that is there; InputError if none is."""
    found = next((name for name in names if name in table.frame), None)
    if found is None:
        raise InputError("column", got="missing", expected=" or ".join(names), where=table.path)
    return found


def text(table: Table, *names: str) -> pd.Series | None:
    """The first of the columns that is there, as text without blanks around it, or None."""
    for name in names:
        if name in table.frame:
            return _stripped(table.frame[name])
    return None


def _stripped(column: pd.Series) -> pd.Series:
    return column.where(column.notna(), "").astype(str).str.strip()


def need(table: Table, *names: str) -> pd.Series:
    """As `text`; InputError if none is there."""
    return _stripped(table.frame[first_of(table, *names)])


def described(table: Table, **columns: str | tuple[str, ...]) -> dict[str, pd.Series]:
    """Columns that describe features by our name for them, each the first of its names that is there; of genes the
    first of a list. What is not there is left out."""
    made: dict[str, pd.Series] = {}
    for name, names in columns.items():
        column = text(table, *((names,) if isinstance(names, str) else names))
        if column is not None:
            made[name] = column.str.split(r"[;, ]+", regex=True).str[0] if name == "gene" else column
    return made


def counted(table: Table, *names: str) -> dict[str, pd.Series]:
    """`n_peptides` from the first of the columns that is there."""
    found = next((name for name in names if name in table.frame), None)
    return {} if found is None else {"n_peptides": pd.Series(numbers(table, [found])[:, 0])}


def some(names: Sequence[str], most: int = 6) -> str:
    """The first of many names, and how many more there are."""
    return (", ".join(names[:most]) or "none") + (f" and {len(names) - most} more" if len(names) > most else "")
