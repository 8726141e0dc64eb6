"""Repairs of tables as people keep them: titles above the header, merged cells, empty rows, repeated headers."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from ninefold.errors import InputError


def cells_of(data: bytes) -> tuple[list[list[str]], list[str]]:
    """Cells of a workbook's first sheet as text, merged ones filled, and the names of all sheets."""
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(data), data_only=True)
    sheet = book.worksheets[0]
    for merged in list(sheet.merged_cells.ranges):
        if merged.min_row > 1 and merged.max_row > merged.min_row:  # titles and headers over columns are none of it
            value = sheet.cell(merged.min_row, merged.min_col).value
            sheet.unmerge_cells(str(merged))
            for row in range(merged.min_row, merged.max_row + 1):
                sheet.cell(row, merged.min_col, value)
    rows = [["" if one is None else _written(one) for one in row] for row in sheet.iter_rows(values_only=True)]
    return rows, [str(one.title) for one in book.worksheets]


def _written(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def header_at(filled: Sequence[int]) -> int:
    """The line of the header: the first that fills half of the width, where those above fill a cell or none."""
    wide = max(filled[:40], default=0)
    for place, count in enumerate(filled[:20]):
        if count >= max(2, wide / 2):
            return place if all(one <= 1 for one in filled[:place]) else 0
    return 0


def below_titles(text: str) -> tuple[str, list[str]]:
    """The text from its header on, without titles, comments and empty lines above it, and a note of these."""
    lines = text.split("\n")
    start = next((place for place, line in enumerate(lines[:20]) if not _is_title(line)), 0)
    notes = [f"{start} line{'s' * (start > 1)} above the header left out"] * bool(start)
    return ("\n".join(lines[start:]), notes) if start else (text, [])


def counted(cells: Sequence[str]) -> int:
    """Filled cells of a line; an empty first cell in addition to others is a header's, over names of rows."""
    filled = [bool(one.strip().strip('"')) for one in cells]
    return sum(filled) + (any(filled) and not filled[0])


def _is_title(line: str) -> bool:
    """Whether a line has one filled cell at most, whatever separates cells, or is a comment."""
    filled = [counted(line.split(one)) for one in "\t,;"]
    sentence = "\t" not in line and ";" not in line and not re.search(r",\S", line)
    return max(filled) <= 1 or line.startswith("# ") or (sentence and filled[1] <= 2 and " " in line.strip())


def distinct(names: Sequence[str]) -> list[str]:
    """Header cells as names of columns: numbered where they repeat, `Unnamed: n` where they are empty."""
    seen: dict[str, int] = {}
    made = []
    for place, name in enumerate(names):
        text = name.strip() or f"Unnamed: {place}"
        seen[text] = seen.get(text, -1) + 1
        made.append(text if not seen[text] else f"{text}.{seen[text]}")
    return made


def tidied(frame: pd.DataFrame, header: Sequence[str], path: Path, notes: list[str]) -> pd.DataFrame:
    """A table without empty rows and columns, headers that stand again among the rows, and equal columns of one name.

    Raises:
        InputError: naming a column that is there twice with different entries.
    """
    frame.columns = [str(name).strip() for name in frame.columns]
    frame = frame.fillna("")
    told = [str(one).strip() for one in header]
    again = [(place, one) for place, one in enumerate(told) if one and one in told[:place]]
    drop = []
    for place, name in again:
        if len(told) != frame.shape[1]:
            break
        first = told.index(name)
        if not frame.iloc[:, first].equals(frame.iloc[:, place]):
            raise InputError(f"column {name!r}", got="two columns of this name", expected="one", where=path,
                             hint="rename one of them, or leave it out")  # fmt: skip
        drop.append(place)
        notes.append(f"column {name!r} is there twice with the same entries: read once")
    blank = [place for place in range(frame.shape[1]) if str(frame.columns[place]).startswith("Unnamed: ")
             and (frame.iloc[:, place].str.strip() == "").all()]  # fmt: skip
    keep = [place for place in range(frame.shape[1]) if place not in (*drop, *blank)]
    names = [one for place, one in enumerate(told) if place in keep] if len(told) == frame.shape[1] else []
    frame = frame.iloc[:, keep]
    empty = frame.iloc[:, 0].str.strip() == ""
    if empty.any():
        empty &= (
            (frame[empty].apply(lambda column: column.str.strip()) == "")
            .all(axis=1)
            .reindex(frame.index, fill_value=False)
        )
    if names and len(names) > 1:
        rows = frame.index[frame.iloc[:, 0].str.strip() == names[0]] if names[0] else []
        repeated = [row for row in rows if [one.strip() for one in frame.loc[row]] == names]
        if repeated:
            notes.append(f"{len(repeated)} row{'s' * (len(repeated) > 1)} that repeat the header left out")
        empty |= frame.index.isin(repeated)
    if not empty.any():
        return frame
    frame = frame[~empty]
    return frame.reset_index(drop=True) if frame.index.inferred_type == "integer" else frame
