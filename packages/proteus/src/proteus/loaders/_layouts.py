"""Layouts of the programs as data: `layouts.json` says what the columns of each mean, and here it is read.

`A|B` is the first of these columns that the table has, `A;` the first entry of its lists, `A+B` both joined, `A?` left
out where it is not there, `'x` a text.
"""

import functools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import Level
from proteus.loaders._columns import sample_columns
from proteus.loaders._raw import Raw, pivot
from proteus.loaders._table import Table, counted, described, first_of, need, numbers, text

_DECOY, _CONTAMINANT = ("rev_", "DECOY_", "XXX_"), "contam_"
_SHEET = {
    "condition": ("Condition", "GROUP", "R.Condition", "r_condition"), "subject": ("BioReplicate", "SUBJECT"),
    "plex": ("Mixture",),
}  # fmt: skip
_LOG_BELOW = 64.0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns of one program's table mean.

    Attributes:
        has_all, has_any, has_none, has_like: columns by which it is known: all of these, one of each list,
            none of these, one that fits the pattern.
        id: identifiers, in order of preference; parts are joined by `sep`.
        features: what is kept of each feature; `protein` must be there.
        level: by the column that decides it; the last is the default. `sites`: pattern of ids that are sites.
        sample, quantity: of tables with one row a measurement; the further columns of `sample` are added to the
            first where they vary. `add`: repeated measurements are summed; `repeats`: they are no repeats.
        columns, no_sample, others: of tables with one column a sample: patterns in order of preference, whose groups
            are its name; names that are none; or the columns that are no samples. Columns of one name are summed.
        most, least, without, named: rows left out: numbers above or under a limit, columns with such an entry, names
            that start like a decoy's or a contaminant's.
        single: column that must have one entry. no_column: pattern of columns that cannot be read.
    """

    id: list[str]
    features: dict[str, str]
    has_all: Collection[str] = ()
    has_any: Sequence[Collection[str]] = ()
    has_none: Collection[str] = ()
    has_like: str = ""
    dotted: bool = False
    sep: str = ""
    level: Mapping[str, Level] = field(default_factory=lambda: {"": "protein"})
    sites: str = ""
    scale: str | None = None
    headers: str = ""
    counts: str = ""
    sample: Sequence[str] = ()
    sample_sep: str = "_"
    quantity: str = ""
    add: bool = False
    repeats: bool = False
    columns: Sequence[str] = ()
    no_sample: str = ""
    no_column: str = ""
    others: Collection[str] = ()
    expected: str = "column a sample"
    most: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    without: Mapping[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    named: str = ""
    single: str = ""
    note: str = ""

    def fits(self, columns: Collection[str]) -> bool:
        """Whether a table with these columns is of the layout."""
        has = set(columns)
        like = not self.has_like or any(re.search(self.has_like, one) for one in has)
        some = all(has & set(one) for one in self.has_any)
        return has >= set(self.has_all) and some and not has & set(self.has_none) and like

    def read(self, table: Table) -> Raw:
        """The table's values, features and what it says of its samples."""
        table = _undotted(table, self) if self.dotted else table
        wrong = [name for name in table.columns if self.no_column and re.fullmatch(self.no_column, name)]
        if wrong:
            raise InputError(
                f"column {wrong[0]!r}", got="ratios, whose channels are no samples of their own",
                expected="label-free or reporter intensities", where=table.path,
                hint="write log2 of the ratios as a plain matrix, one column a sample",
            )  # fmt: skip
        if self.single and need(table, self.single).nunique() > 1:
            got = ", ".join(need(table, self.single).unique()[:6])
            raise InputError(f"column {self.single!r}", got=got, expected=f"one {self.single}", where=table.path,
                             hint="write one of them alone")  # fmt: skip
        return self._rows(table) if self.sample else self._wide(table)

    def _rows(self, table: Table) -> Raw:
        table = _left_out(table, self._marks(table))
        runs = _column(table, self.sample[0])
        base = runs
        for name in self.sample[1:]:
            more = text(table, name)
            if more is not None and more.nunique() > 1 and not (more == base).all():
                runs = runs + self.sample_sep + more.str.removeprefix("channel.")
        quantity = first_of(table, *self.quantity.split("|"))
        return measured(table, self._ids(table), runs, quantity, self._features(table), self._level(table),
                        add=self.add, scale=self.scale, repeats=self.repeats)  # fmt: skip

    def _wide(self, table: Table) -> Raw:
        columns, sheet, notes = sample_columns(table, self.others) if self.others else [], None, table.notes
        samples = columns
        if self.columns:
            columns, samples, sheet, kind = self._matched(table)
            notes = [*notes, f"quantities: {kind}"]
        if not columns:
            raise InputError("columns", got=f"no {self.expected}", expected="one a sample", where=table.path)
        values = numbers(table, columns)
        names = list(dict.fromkeys(samples))
        if len(names) < len(samples):
            member = np.array(samples)[:, None] == np.array(names)
            values = np.nan_to_num(values) @ member
        ids, level = self._ids(table), self._level(table)
        if self.sites and "Peptide" in table.frame and ids.str.contains(self.sites).any():
            level = "site"
        scale = "log2" if self.scale or (columns is not samples and ".Log2" in columns[0]) else None
        return Raw(values, ids, names, self._features(table), level, scale, drop=self._marks(table), sheet=sheet,
                   notes=[*notes, *[self.note] * bool(self.note)])  # fmt: skip

    def _matched(self, table: Table) -> tuple[list[str], list[str], pd.DataFrame | None, str]:
        """Columns of the first pattern that has any, their samples' names and conditions, and what they hold."""
        for pattern in self.columns:
            found = [(name, match) for name in table.columns if (match := re.fullmatch(pattern, name))]
            found = [one for one in found if not re.fullmatch(self.no_sample or "$.", _name(one[1]))]
            if found:
                samples, (first, match) = [_name(match) for _, match in found], found[0]
                around = first[: match.start(1)], "" if "condition" in match.groupdict() else first[match.end(1) :]
                kind = max(around, key=len).strip(" .:")
                words = [match.groupdict().get("condition") for _, match in found]
                told = [", ".join(one for one in (word or "").split(", ") if one.lower() not in ("sample", "n/a", ""))
                        for word in words]  # fmt: skip
                sheet = pd.DataFrame({"condition": told}, index=pd.Index(samples, name="sample")) if all(told) else None
                return [name for name, _ in found], samples, sheet, kind
        return [], [], None, ""

    def _ids(self, table: Table) -> pd.Series:
        parts: list[str] = []
        for choice in self.id:
            parts = [one for one in choice.split("+") if not one.endswith("?") or one[:-1] in table.frame]
            if all(one.startswith("'") or _has(table, one) for one in parts):
                break
        made = [one[1:] if one.startswith("'") else _column(table, one.rstrip("?")) for one in parts]
        whole = made[0]
        for one in made[1:]:
            whole = whole + self.sep + one
        assert isinstance(whole, pd.Series)
        return whole.str.strip()

    def _level(self, table: Table) -> Level:
        return next(level for name, level in self.level.items() if not name or name in table.frame)

    def _features(self, table: Table) -> dict[str, pd.Series]:
        made = described(table, **{key: tuple(names.rstrip(";").split("|")) for key, names in self.features.items()})
        made |= {key: _column(table, names) for key, names in self.features.items()
                 if key == "protein" or names.endswith(";")}  # fmt: skip
        header = text(table, self.headers)
        if "gene" not in made and header is not None:
            told = r"GN=(\S+)" if header.str.contains("GN=").any() else r"\|[^|]+\|(\w+)_"
            gene = header.str.extract(told, expand=False).fillna("")
            made |= {"gene": gene} if (gene != "").any() else {}
        return made | (counted(table, *self.counts.split("|")) if self.counts else {})

    def _marks(self, table: Table) -> dict[str, np.ndarray]:
        marks: dict[str, np.ndarray] = {}
        for word, limits in (("above", self.most), ("below", self.least)):
            for name, limit in limits.items():
                if name in table.frame:
                    values = numbers(table, [name])[:, 0]
                    marks[f"rows with {name} {word} {limit:g}"] = values > limit if word == "above" else values < limit
        for reason, (names, entries) in self.without.items():
            column = text(table, *names)
            if column is not None:
                marks[reason] = column.str.lower().isin(entries).to_numpy()
        if marks.get("heavy standards", np.zeros(1)).all():
            del marks["heavy standards"]  # nothing but heavy peptides: they are what was measured
        if self.named:
            name = _column(table, self.named)
            marks["decoys"] = marks.get("decoys", False) | name.str.startswith(_DECOY).to_numpy()
            marks["contaminants"] = name.str.startswith(_CONTAMINANT).to_numpy()
        return marks


@functools.cache
def layouts() -> dict[str, Layout]:
    """All layouts, by name; the first that fits a table is its own."""
    file = resources.files("proteus.loaders").joinpath("layouts.json")
    return {name: Layout(**one) for name, one in json.loads(file.read_text("utf-8")).items()}


def measured(
    table: Table, ids: pd.Series, samples: pd.Series, quantity: str, features: dict[str, pd.Series], level: Level, *,
    add: bool = False, scale: str | None = None, repeats: bool = False,
) -> Raw:  # fmt: skip
    """Rows of measurements as features by samples, with what the table says of its samples.

    Logarithms may be zero or negative, so they are spread as their antilogarithms. `scale` may be `guess`: log2 where
    no value is 64 or more.
    """
    values = numbers(table, [quantity])[:, 0]
    if scale == "guess":
        scale = "log2" if not (values >= _LOG_BELOW).any() else None
    spread = values if scale is None else np.exp2(values)
    made, names, runs, kept, doubled = pivot(ids, samples, spread, features, add=add)
    notes = [*table.notes, f"quantities: {quantity}"]
    if doubled and not (add or repeats):
        notes.append(f"{doubled} repeated measurements in a run: the largest was taken")
    sheet = pd.DataFrame(index=pd.Index(runs, name="sample"))
    for name, columns in _SHEET.items():
        column = text(table, *columns)
        if column is not None and (column != "").any():
            sheet[name] = column.groupby(samples).first().reindex(runs).to_numpy()
    return Raw(made if scale is None else np.log2(made), names, runs, kept, level, "log2" if scale else None,
               sheet=sheet, notes=notes)  # fmt: skip


def _left_out(table: Table, marks: dict[str, np.ndarray]) -> Table:
    keep, notes = np.ones(len(table.frame), bool), list(table.notes)
    for reason, rows in marks.items():
        if (rows & keep).any():
            words = reason if reason.startswith("rows") else f"rows of {reason}"
            notes.append(f"{int((rows & keep).sum())} {words} left out")
            keep &= ~rows
    if not keep.any():
        raise InputError("table", got="no row within the q-value limits", where=table.path)
    return Table(table.frame[keep].reset_index(drop=True), table.path, notes, table.known)


def _has(table: Table, names: str) -> bool:
    return any(one in table.frame for one in names.rstrip(";?").split("|"))


def _column(table: Table, names: str) -> pd.Series:
    found = need(table, *names.rstrip(";").split("|"))
    return found.str.split(";").str[0].str.strip() if names.endswith(";") else found


def _name(match: re.Match[str]) -> str:
    told = len(match.groups()) - ("condition" in match.groupdict())
    return " ".join(one.strip() for one in match.groups()[:told] if one)


def _undotted(table: Table, layout: Layout) -> Table:
    """MaxQuant's own column names where R's `make.names` has put dots for all signs."""
    own = [*(one for names, _ in layout.without.values() for one in names), layout.headers, layout.counts]
    own += [*layout.has_all, *(one for names in layout.has_any for one in names), *layout.features.values(), *layout.id]
    known = {re.sub(r"[^A-Za-z0-9]", ".", one): one for names in own for one in re.split(r"[|;+?]+", names)
             if "." not in one}  # fmt: skip
    known |= {"Razor...unique.peptides": "Razor + unique peptides"}
    starts = {re.sub(r"[^A-Za-z]", ".", one): one for one in (re.split(r"[(]", one)[0] for one in layout.columns)}
    names = {}
    for name in table.columns:
        start = next((one for one in starts if name.startswith(one) and len(name) > len(one)), None)
        names[name] = known.get(name) or (name if start is None else starts[start] + name[len(start) :])
    if all(old == new for old, new in names.items()):
        return table
    frame = table.frame.rename(columns=names)
    return Table(frame, table.path, [*table.notes, "dotted column names (R) were read as MaxQuant's"], table.known)
