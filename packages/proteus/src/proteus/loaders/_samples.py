"""Sample sheets: CSV, TSV or SDRF, matched to the table's columns by name."""

import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.loaders._table import ERRORS, bare, read_table, some
from proteus.record._words import ID, named

_NUMBERED = named("numbered", ID)  # columns whose numbers are names: groups, batches, subjects
_MOST_LEVELS = 20
_NO_NUMBER = {"n.d.", "nd", "n.a.", "?", "unknown", "missing", "-", "--", ".", "not known", "not determined", "tbd"}
_MISSING = {"", "na", "nan", "n/a", "#n/a", "null", "not available", "not applicable"}  # "none" may be a treatment


def read_samples(source: str | Path | pd.DataFrame, *, join: bool = False) -> pd.DataFrame:
    """A sample sheet, numbers as numbers; SDRF columns get short names, merged cells are filled down.

    Args:
        source: file or data frame.
        join: join levels that differ only by case or blanks.
    Raises:
        InputError: naming the column, for levels that differ only by case or blanks, and for errors of a spreadsheet.
    """
    if isinstance(source, pd.DataFrame):
        return _joined_levels(source.copy(), join, "the sample sheet")
    read = read_table(Path(source))
    frame, notes = read.frame.copy(), [one for one in read.notes if "header" in one or "twice" in one]
    _refuse_errors(frame, source)
    filled = [name for name in frame if _fills_down(frame[name])]
    for name in filled:
        frame[name] = frame[name].where(frame[name].str.strip() != "").ffill()
    if filled:
        notes.append(f"merged cells were filled down ({some(list(map(str, filled)))})")
    counted = [name for name in frame if str(name).startswith("Unnamed: ") and _counts_rows(frame[name])]
    if counted:
        frame = frame.drop(columns=counted)
        notes.append("a column without a name that counts rows was left out")
    before = frame
    for name in frame:
        frame[name], said = _number_words(frame[name], str(name))
        notes += said
    frame = frame.apply(typed)
    commas = [str(name) for name in frame if _with_commas(before[name], frame[name])]
    if any(str(name).lower().startswith(("characteristics[", "comment[")) for name in frame.columns):
        frame = _sdrf(frame)
    if commas:
        notes.append(f"decimal commas of the sheet were read as points ({some(commas)})")
    frame.attrs["notes"] = notes
    return _joined_levels(frame, join, source)


def _refuse_errors(frame: pd.DataFrame, source: str | Path) -> None:
    for name in frame:
        wrong = frame[name].astype(str).str.strip().isin(ERRORS)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(f"column {str(name)!r}", got=f"{frame[name].iloc[row]}, an error of the spreadsheet",
                             expected="an entry", where=f"{source}, row {row + 2}")  # fmt: skip


def _fills_down(column: pd.Series) -> bool:
    """Whether a column has entries with empty cells below them, as a file keeps merged cells: two entries or more, each
    over a run of rows, the first row filled, the runs much alike in length."""
    text = column.astype(str).str.strip()
    filled = (text != "").to_numpy()
    starts = np.flatnonzero(filled)
    if filled.all() or not filled[0] or len(starts) < 2:
        return False
    runs = np.diff(np.append(starts, len(filled)))
    return bool(runs.min() >= 2 and runs.max() <= 2 * runs.min() and text[filled].nunique() >= 2)


def _counts_rows(column: pd.Series) -> bool:
    text = column.astype(str).str.strip().tolist()
    return any(text == [str(place + start) for place in range(len(text))] for start in (0, 1))


def _number_words(column: pd.Series, name: str) -> tuple[pd.Series, list[str]]:
    """A column of numbers in which a few entries are words for missing ones, without these; and a note of it."""
    text = column.astype(str).str.strip()
    odd = text.str.lower().isin(_NO_NUMBER)
    rest = text[~odd & ~text.str.lower().isin(_MISSING)]
    if not odd.any() or len(rest) < 3 or pd.to_numeric(rest.str.replace(",", "."), errors="coerce").isna().any():
        return column, []
    words = ", ".join(dict.fromkeys(text[odd]))
    return text.where(~odd, ""), [f"column {name!r}: {words} among numbers taken for missing"]


def _joined_levels(frame: pd.DataFrame, join: bool, source: str | Path) -> pd.DataFrame:
    """The sheet with levels that differ only by case or blanks joined under the most frequent spelling."""
    notes = list(frame.attrs.get("notes", []))
    for name in frame:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
            continue
        known = column.dropna().astype(str)
        keys = known.map(_spelled)
        repeats = keys.nunique() < len(keys) and keys.nunique() <= _MOST_LEVELS
        spellings = known.groupby(keys).agg(lambda part: list(dict.fromkeys(part)))
        twice = [one for one in spellings if len(one) > 1]
        if not repeats or not twice:
            continue
        said = "; ".join(" and ".join(map(repr, one)) for one in twice[:3])
        if not join:
            raise InputError(
                f"column {str(name)!r}", got=f"{said}: levels that differ only by case or blanks",
                expected="one spelling", where=str(source),
                hint="write them alike, or join them: --yes, in Python join_levels=True",
            )  # fmt: skip
        most = known.groupby(keys).agg(lambda part: part.str.strip().value_counts().index[0])
        frame[name] = column.where(column.isna(), column.dropna().astype(str).map(_spelled).map(most))
        notes.append(f"column {str(name)!r}: {said} joined, as they differ only by case or blanks")
    frame.attrs["notes"] = notes
    return frame


def _spelled(text: str) -> str:
    """A level without case, blanks, and forms of a letter."""
    return re.sub(r"[\s\u200b]+", "", unicodedata.normalize("NFKC", text)).casefold()


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
        held = "numbers" if match["subject"] else f"the numbers {some([f'{one:.0f}' for one in levels])}"
        notes.append(f"column {name!r} holds {held}: taken as {'names' if match['subject'] else 'groups'}")
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


def _upright(sheet: pd.DataFrame) -> pd.DataFrame:
    """A sheet whose samples stand in columns, with a row for each; its first column names the rows."""
    names = sheet[sheet.columns[0]].astype(str)
    turned = sheet[sheet.columns[1:]].T.set_axis(names.tolist(), axis=1).apply(typed)
    made = turned.reset_index(names="sample")
    made.attrs["notes"] = [*sheet.attrs.get("notes", []), "samples stand in columns of the sheet: it was transposed"]
    return made


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
    if sum(bare(str(one)) in plain for one in sheet.columns) > max(candidates[best], 1):
        sheet = _upright(sheet)
        best = "sample"
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
