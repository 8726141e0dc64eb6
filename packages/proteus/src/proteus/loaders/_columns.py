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
_FOLD = re.compile(
    r"(?i)log_?2?[._ -]?(?:fold|fc)|fold[._ -]?change|log2?[._ -]?ratio|\bdifference\b|^diff(?:_|$)|_diff$|_ratio$"
)
_P = re.compile(
    r"(?i)(?:^|[._ -])(?:adj[a-z]*[._ -])?[pq][._ -]?(?:val(?:ue)?s?|adj)(?:$|[._ -])|"
    r"significan|t-test p|\bfdr\b|^padj$|qvalue"
)
_TESTED = re.compile(
    r"(?i)^(?:se|lfcse|df|t[._ ]?val(?:ue)?|t[._ ]?stat\w*|stat(?:istic)?|b|z|basemean|aveexpr|"
    r"n[._ ]?(?:obs|approx)|"
    r"(?:missing|imputation)percentage|ci[._ ]?[lr]|avg[._ ]?abundance|.*(?:_|\b)(?:ci|se|centered|mean|average))$"
)
_FEW = 4  # columns of numbers under which a table with tests is one of results
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
    _refuse_results(table, every, names)
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


def _refuse_results(table: Table, every: Sequence[str], names: list[str]) -> None:
    """Refuse a table of fold changes and p-values, whose columns are no samples; drop such columns in addition to
    samples."""
    tested = [one for one in every if _FOLD.search(one) or _P.search(one)]
    if not (any(map(_FOLD.search, tested)) and any(map(_P.search, tested))):
        return
    rest = [one for one in names if one not in tested and not _TESTED.match(one)]
    if len(rest) < _FEW:
        raise InputError(
            f"column {next(filter(_FOLD.search, tested))!r}", got="a table of results (fold changes and p-values)",
            expected="the quantities of each sample, from which they were computed", where=table.path,
            hint="if its other columns are samples, name them in a sheet (-s)",
        )  # fmt: skip
    table.notes.append(
        f"columns of results were not taken for samples: {some([one for one in names if one not in rest])}"
    )
    names[:] = rest


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
