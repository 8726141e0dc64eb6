"""Which columns of a wide table are samples: those of the sheet, else those that are written or filled as samples are.

A column of numbers that is none of these is refused by its name, never taken.
"""

import re
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.loaders._table import RUN_ENDING, THOUSANDS, Table, bare, numbers, some
from proteus.record._words import named

ABOUT = named("about")  # numbers that describe features in the tables of many programs
_STATISTICS = re.compile(r"(?i)^(?:log.?fc|(?:adj\w*[._ ]?)?p[._ -]?val\w*)$")  # beside these, t and b are limma's
_SUMMARY = named("summary", r"(?:[ _.].*)?$")
_FAR = 5.0  # in log2, of a column's median from the others'
_UNLIKE, _ALIKE, _ROWS = 0.2, 0.6, 10


def numeric(table: Table, name: str) -> bool:
    """Most filled cells are numbers (a stray cell is an error to report, not a reason to take a sample for text)."""
    column = table.frame[name]
    if pd.api.types.is_numeric_dtype(column):
        return True
    text = column.astype(str).str.strip()
    filled = text[~text.str.lower().isin({"", "na", "nan", "null", "none", "filtered"})]
    if filled.empty:
        return True
    shown = filled.iloc[:: max(1, len(filled) // 500)]
    good = pd.to_numeric(shown.str.replace(",", ".", regex=False), errors="coerce").notna()
    good |= shown.str.match(THOUSANDS.pattern)
    return bool(good.mean() > 0.8)


def sample_columns(table: Table, about: Collection[str] = ()) -> list[str]:
    """Columns that hold samples.

    Args:
        about: columns that are known to describe features.
    Raises:
        InputError: naming a column of numbers that looks like none of the others.
    """
    known = {one.lower() for one in about}
    if any(map(_STATISTICS.match, table.columns)):
        known |= {"t", "b", "f", "z", "p", "q"}
    every = [one for one in table.columns if one.lower() not in known and numeric(table, one)]
    names = [one for one in every if not ABOUT.match(one)]
    said = [one for one in every if bare(one) in table.known]
    if said:
        rest = [one for one in names if one not in said]
        if rest:
            table.notes.append(f"{len(rest)} columns of numbers are not in the sheet and were not taken: {some(rest)}")
        return said
    files = [one for one in names if RUN_ENDING.search(one) or "\\" in one or "/" in one.strip("/")]
    strange = [one for one in names if one not in files] if len(files) > 1 else _unlike(table, names)
    strange += [one for one in names if _SUMMARY.match(one)]
    if strange:
        raise InputError(
            f"column {strange[0]!r}", got="numbers that are not those of a sample, as far as the table tells",
            expected="samples, or columns whose meaning is known", where=table.path,
            hint="name the samples in a sheet (-s), or leave the column out",
        )  # fmt: skip
    return files if len(files) > 1 else names


def _unlike(table: Table, names: Sequence[str]) -> list[str]:
    """Columns far from the others in size, or that rank the features otherwise where the others agree."""
    if len(names) < 3:
        return []
    values = numbers(table, list(names))
    known = np.isfinite(values)
    if not known.any(axis=0).all():  # a run without values is the loader's to name
        return []
    linear = bool(np.nanmin(values) >= 0 and np.nanmax(values) > 64)
    logged = np.log2(np.where(values > 0, values, np.nan)) if linear else values
    middle = pd.DataFrame(logged).median().to_numpy()
    far = np.zeros(len(names), bool)
    if linear:
        far = np.abs(middle - pd.Series(middle).median()) > _FAR
    elif len(names) > 3:  # a count among logarithms
        whole = np.array([bool(np.all(one[good] % 1 == 0)) for one, good in zip(values.T, known.T, strict=True)])
        far = whole & (whole.mean() < 0.5)
    if len(values) >= _ROWS:
        together = pd.DataFrame(logged).rank().corr(min_periods=_ROWS).to_numpy(copy=True)
        np.fill_diagonal(together, np.nan)
        usual = pd.DataFrame(together).median().to_numpy()
        if pd.Series(usual).median() > _ALIKE:
            far |= usual < _UNLIKE
    return [one for one, strange in zip(names, far, strict=True) if strange]
