"""Tables of results as files, and their first rows as one reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ninefold.errors import InputError
from ninefold.files import atomic_file
from ninefold.report import Table

from proteus.record._run_folder import for_spreadsheets

SUFFIXES = (".csv", ".tsv", ".parquet")
_RESULTS = (  # columns by which tables of results are recognised
    {"gene", "effect", "ci_low", "ci_high", "only_in"}, {"gene", "effect", "ci_low", "ci_high", "on_off"},
    {"direction", "representative", "told"}, {"representative", "grade", "q"}, {"gene", "log_hr", "ph_p", "c_index"},
)  # fmt: skip


def check_name(path: Path | None) -> None:
    """Refuse a name that ends in none of `SUFFIXES`."""
    if path is not None and path.suffix not in SUFFIXES:
        expected = f"a name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise InputError("--out", got=repr(path.name), expected=expected)


def is_result(path: Path) -> bool:
    """Whether a file holds a table of results that `write_result` wrote: its columns say so."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            names = pyarrow.parquet.read_schema(path).names
        except pyarrow.ArrowInvalid:
            return False
    else:
        with path.open(encoding="utf-8", errors="replace") as file:
            names = file.readline().rstrip("\n").split("\t" if path.suffix == ".tsv" else ",")
    return any(wanted <= set(names) for wanted in _RESULTS)


def write_result(frame: pd.DataFrame, path: Path | None, *, force: bool = False) -> None:
    """Write a table of results by its suffix, if there is a path; `force` replaces another table of results."""
    if path is None:
        return
    with atomic_file(path, force=force, ours=is_result) as temporary:
        if path.suffix == ".parquet":
            frame.to_parquet(temporary)
        else:
            for_spreadsheets(frame).to_csv(temporary, sep="\t" if path.suffix == ".tsv" else ",")


def first_rows(frame: pd.DataFrame, top: int, title: str, notes: Sequence[str] = ()) -> Table:
    """The first rows of a data frame, its index as the first column."""
    shown = frame.head(top).reset_index()
    rows: list[Any] = [
        [cell.item() if hasattr(cell, "item") else cell for cell in row] for row in shown.itertuples(index=False)
    ]
    return Table([str(name) for name in shown.columns], rows, title, list(notes))
