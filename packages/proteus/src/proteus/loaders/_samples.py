"""Sample sheets: CSV, TSV or SDRF, matched to the table's columns by name."""

import re
from pathlib import Path

import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.loaders._table import bare, read_table, some
from proteus.record._words import ID, named

_NUMBERED = named("numbered", ID)  # columns whose numbers are names: groups, batches, subjects
_MOST_LEVELS = 20
_MISSING = {"", "na", "nan", "n/a", "#n/a", "null", "not available", "not applicable"}  # "none" may be a treatment


def read_samples(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """A sample sheet as it is, numbers as numbers; SDRF columns get short names."""
    if isinstance(source, pd.DataFrame):
        return source.copy()
    frame = read_table(Path(source)).frame
    before, frame = frame, frame.apply(typed)
    commas = [str(name) for name in frame if _with_commas(before[name], frame[name])]
    if any(str(name).lower().startswith(("characteristics[", "comment[")) for name in frame.columns):
        frame = _sdrf(frame)
    if commas:
        frame.attrs["notes"] = [f"decimal commas of the sheet were read as points ({some(commas)})"]
    return frame


def _with_commas(text: pd.Series, values: pd.Series) -> bool:
    """Whether a column of numbers had decimal commas."""
    return pd.api.types.is_numeric_dtype(values) and bool(text.astype(str).str.contains(",").any())


def typed(column: pd.Series) -> pd.Series:
    """A column of text as numbers, with decimal commas or points, where all that is not missing is one; 007 is a name,
    and where each comma stands before three digits nothing tells what it is."""
    if not pd.api.types.is_string_dtype(column) and column.dtype != object:
        return column
    stripped = column.astype(str).str.strip()
    blank = stripped.str.lower().isin(_MISSING)
    if stripped.str.match(r"0\d").any():
        return stripped.where(~blank)
    commas = stripped.str.contains(",")
    if commas.any() and not stripped[commas].str.fullmatch(r"-?\d+,\d{3}").all():
        pointed = stripped.where(~stripped.str.fullmatch(r"-?\d+,\d+"), stripped.str.replace(",", "."))
        stripped = (
            pointed
            if pd.to_numeric(pointed.where(~blank), errors="coerce").notna().sum() == (~blank).sum()
            else stripped
        )
    values = pd.to_numeric(stripped.where(~blank), errors="coerce")
    if values.notna().sum() == (~blank).sum() and (~blank).any():
        return values
    return stripped.where(~blank)


def numbered_groups(sheet: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Columns such as `batch` that hold few whole numbers, as text, since no distance is meant; and notes of it.

    Subjects may be any number, as long as one of them has two rows.
    """
    result, notes = sheet.copy(), []
    for name in sheet.columns:
        column = sheet[name]
        match = _NUMBERED.match(str(name))
        if match is None or not pd.api.types.is_numeric_dtype(column) or column.dtype == bool:
            continue
        known = column.dropna()
        levels = sorted(known.unique())
        most = len(known) - 1 if match["subject"] else min(_MOST_LEVELS, len(known) / 2)
        if not 2 <= len(levels) <= most or (known % 1 != 0).any():
            continue  # every row its own, or measured
        result[name] = known.astype(int).astype(str).reindex(column.index)
        notes.append(f"column {name!r} holds the numbers {some([f'{one:.0f}' for one in levels])}: taken as groups")
    return result, notes


def names_in(sheet: pd.DataFrame) -> frozenset[str]:
    """Every entry of a sheet that may name a sample, without folders and endings."""
    columns = [sheet.index, *(sheet[name] for name in sheet.columns if not pd.api.types.is_float_dtype(sheet[name]))]
    return frozenset(bare(one) for column in columns for one in column.astype(str))


def _sdrf(frame: pd.DataFrame) -> pd.DataFrame:
    """SDRF-Proteomics: one row a run; factors and characteristics by their bare names."""
    names = {}
    for name in frame.columns:
        lower = str(name).strip().lower()
        bare = re.match(r"(?:characteristics|factor value|comment)\s*\[(.+)\]", lower)
        names[name] = bare[1].strip() if bare else lower
    factors = [names[name] for name in frame.columns if str(name).lower().startswith("factor value")]
    result = frame.rename(columns=names)
    result = result.loc[:, ~result.columns.duplicated(keep="last")]
    wanted = [name for name in ("data file", "assay name", "source name") if name in result]
    rest = [name for name in result.columns if name not in wanted]
    return result[wanted + factors + [name for name in rest if name not in factors]]


def attach(data: ProteomicsData, sheet: pd.DataFrame, where: str | Path = "the sample sheet") -> ProteomicsData:
    """Give a table its samples' columns, in the table's order.

    The sheet's column whose entries fit the table's sample names best names the samples (endings such as .raw aside).

    Raises:
        InputError: listing both sides, if a name of the sheet is not in the table, or none fits; or a name is twice.
    """
    own = [str(name) for name in data.samples.index]
    plain = {bare(name): name for name in own}
    candidates = {}
    for name in [*sheet.columns, None]:
        entries = (sheet.index if name is None else sheet[name]).astype(str)
        candidates[name] = sum(bare(entry) in plain for entry in entries)
    best = max(candidates, key=lambda name: candidates[name])
    entries = pd.Series((sheet.index if best is None else sheet[best]).astype(str))
    only_sheet = [entry for entry in entries if bare(entry) not in plain]
    matched = [plain[bare(entry)] for entry in entries if bare(entry) in plain]
    only_table = [name for name in own if name not in set(matched)]
    if only_sheet or not matched:
        raise InputError(
            "samples",
            where=where,
            got=f"only in the sheet: {some(only_sheet)}; only in the table: {some(only_table)}",
            expected="the same names on both sides",
        )
    if len(set(matched)) < len(matched):
        doubled = pd.Series(matched)
        raise InputError("samples", got=f"{doubled[doubled.duplicated()].iloc[0]!r} twice", where=where)
    rows, notes = numbered_groups(sheet if best is None else sheet.drop(columns=best))
    notes = [*sheet.attrs.get("notes", []), *notes]
    rows = rows.set_axis(pd.Index(matched, name="sample"))
    positions = [own.index(name) for name in own if name in set(matched)]
    taken = data.take(samples=positions)
    before = taken.samples.drop(columns=[name for name in taken.samples if name in rows])
    joined = before.join(rows.loc[[own[position] for position in positions]])
    if only_table:
        notes.insert(0, f"{len(only_table)} samples are not in the sheet and were left out: {some(only_table)}")
    return ProteomicsData(
        taken.values, taken.features, joined, data.level, data.scale, data.source,
        [*data.notes, *notes],
    )  # fmt: skip
