"""The profile that planners see, made from the measured one: roles of factors, subjects, batches, knowledge."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from proteus.data._crossed import as_levels, crossed_pairs, few_values
from proteus.data._data import ProteomicsData
from proteus.data._roles import BASE, BATCH, EITHER, NO_FACTOR, SUBJECT, same_partition, subject_column
from proteus.differential._profile import profile, profile_outcome
from proteus.record._objects import DatasetProfile, Factor

_TYPE_NAME = re.compile(r"(?i)type|population|cluster|annotation|label|class|lineage|identity")
_TYPES = 100
_FORMULA_SIGNS = set("+:*~-")


def order_levels(levels: Mapping[str, int]) -> dict[str, int]:
    """The base level first if its name says it is one (control, wt ...), then by number, then by name."""

    def key(name: str) -> tuple[int, float, str]:
        number = re.search(r"\d+(?:\.\d+)?", name)
        return (0 if BASE.match(name.strip()) else 1, float(number[0]) if number else math.inf, name)

    return {name: levels[name] for name in sorted(levels, key=key)}


def one_row_each(data: ProteomicsData) -> pd.DataFrame:
    """The sheet with a row for each sample; a table of cells has one for each cell."""
    if data.level != "cell" or "sample_id" not in data.samples:
        return data.samples
    return data.samples.drop_duplicates("sample_id")


def columns_of_cells(data: ProteomicsData) -> list[str]:
    """Columns that vary within samples of cells (a cell's type, its size): these describe cells, no condition."""
    if data.level != "cell" or "sample_id" not in data.samples:
        return []
    counts = data.samples.groupby("sample_id", observed=True).nunique()
    return [str(name) for name in counts.columns[(counts > 1).any()]]


def cell_annotation(data: ProteomicsData) -> str | None:
    """The column that says what type each cell is, where the table brings one: text that varies within samples."""
    for name in columns_of_cells(data):
        column = data.samples[name]
        text = not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if text and column.notna().all() and 2 <= column.nunique() <= _TYPES and _TYPE_NAME.search(name):
            return name
    return None


def at_the_door(data: ProteomicsData) -> ProteomicsData:
    """The table as studies take it: persons that are numbers as names, columns of two numbers as two groups."""
    return _two_groups(named_subjects(data))


def _two_groups(data: ProteomicsData) -> ProteomicsData:
    """Columns with two different numbers (day 1 and 7, dose 0 and 10) as text, for they compare two groups."""
    if data.level == "cell":
        return data
    outcome = profile_outcome(data.samples) or ()
    made, notes = {}, []
    for name in map(str, data.samples.columns):
        column = data.samples[name]
        number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if not number or name in outcome or NO_FACTOR.match(name) or not few_values(column) or column.nunique() > 2:
            continue
        made[name] = as_levels(column).astype(object)
        levels = " and ".join(dict.fromkeys(as_levels(column).dropna().sort_values()))
        notes.append(f"column {name!r} holds the two numbers {levels}: compared as two groups")
    return data.with_values(data.values, "; ".join(notes), samples=data.samples.assign(**made)) if made else data


def named_subjects(data: ProteomicsData) -> ProteomicsData:
    """The table with subjects that are numbers (patients 101, 102 ...) as names, for no distance is meant, under a
    column name that a formula can hold."""
    name = subject_column(one_row_each(data))
    if name is None:
        return data
    column, notes = data.samples[name], []
    plain = re.sub(r"[-+:*~]+", "_", name)
    if pd.api.types.is_numeric_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.dropna().astype(int).astype(str).reindex(column.index)
        notes.append(f"column {name!r} holds numbers: taken as names of subjects")
    if plain != name and plain not in data.samples:
        notes.append(f"column {name!r} is used as {plain!r}: formulas use the sign in its name")
    elif not notes:
        return data
    else:
        plain = name
    sheet = data.samples.assign(**{name: column}).rename(columns={name: plain})
    return data.with_values(data.values, "; ".join(notes), samples=sheet)


def varies_within(samples: pd.DataFrame, subject: str, factor: str) -> bool:
    """Whether subjects link all levels of a factor, so that both can be in one design: else they are aliased."""
    met = (pd.crosstab(samples[subject], samples[factor]) > 0).to_numpy(float)
    linked = (met.T @ met > 0).astype(float)  # levels that some subject has both of
    return bool(len(linked) and (np.linalg.matrix_power(linked, len(linked)) > 0).all())


def shared_levels(samples: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Entries that two or more of the columns have, in the order they are met."""
    seen = Counter(level for name in columns for level in samples[name].dropna().astype(str).unique())
    return [level for level, columns_with_it in seen.items() if columns_with_it > 1]


def describe(
    data: ProteomicsData, *, sets: bool = False, network: bool = False, markers: Mapping[str, str] | None = None
) -> DatasetProfile:
    """The profile of a table and of the knowledge in addition to it; the table's values do not enter but through
    statistics."""
    found = profile(data)
    subjects = subject_column(one_row_each(data))
    warnings = list(found.warnings)
    factors, batch = [], []
    cells = {"sample_id", *columns_of_cells(data)}
    for name, levels in found.factors.items():
        person = subjects is not None and (name == subjects or same_partition(data.samples, name, subjects))
        if person or NO_FACTOR.match(name) or (data.level == "cell" and name in cells):
            continue
        if _FORMULA_SIGNS & set(name):
            warnings.append(f"column {name!r} was not used: its name holds a sign that formulas use")
            continue
        factors.append(Factor(name=name, levels=order_levels(levels)))
        batch += [name] * bool(BATCH.match(name) or (EITHER.match(name) and _aliased(found.aliasing, name)))
    numbers = [
        name
        for name in found.numbers
        if name not in cells and not (NO_FACTOR.match(name) or SUBJECT.match(name)) and not _FORMULA_SIGNS & set(name)
    ]
    if found.outcome:
        numbers = [name for name in numbers if name not in found.outcome]
    names = [one.name for one in factors]
    aliasing = {
        a: {b: round(float(found.aliasing.loc[a, b]), 4) for b in names if b != a}  # pyright: ignore[reportArgumentType]
        for a in names
        if a in found.aliasing.index
    }
    conditions = [
        one for one in names
        if one not in batch and sum(n >= 2 for n in found.factors[one].values()) >= 2
        and not any(aliasing.get(one, {}).get(other, 0.0) > 0.999 for other in batch)
    ]  # fmt: skip
    crossed = [] if data.level == "cell" else crossed_pairs(data.samples, conditions, numbers)
    gaps = [] if data.level == "cell" else [(one, data.samples[one.name].astype(str)) for one in factors[:3]]
    by_group = {
        f"{one.name}={level}": round(float(np.isnan(data.values[:, (column == level).to_numpy()]).mean()), 4)
        for one, column in gaps for level in one.levels
    }  # fmt: skip
    knowledge = ["sets"] * sets + ["network"] * network
    if data.level == "site" and "protein" in data.features:
        knowledge.append("sites")
    classes: dict[str, list[str]] = {}
    for marker, kind in (markers or {}).items():
        classes.setdefault(kind, []).append(marker)
    organism = "unknown"
    if "organism" in data.features and data.features["organism"].nunique() == 1:
        organism = str(data.features["organism"].iloc[0])
    return DatasetProfile(
        kind=found.kind, scale=found.scale, features=found.features, samples=found.samples, factors=factors,
        numbers=numbers, outcome=list(found.outcome or ()), block=subjects,
        within=[name for name in names if subjects and varies_within(data.samples, subjects, name)],
        shared_levels=shared_levels(data.samples, [*names, *([subjects] if subjects else [])]),
        batch=batch, aliasing=aliasing, crossed=crossed,
        repeated=[] if data.level == "cell" else [one for one in numbers if few_values(data.samples[one])],
        missing=round(found.missing, 4), missing_by_intensity=_number(found.missing_by_intensity),
        missing_by_group=by_group, residual_sd=_number(found.residual_sd), id_type=found.id_type, organism=organism,
        variance_explained={
            str(name): [round(float(value), 4) for value in row] for name, row in found.variance_explained.iterrows()
        },
        outliers=len(found.outliers), markers=classes, knowledge=knowledge, warnings=warnings,
    )  # fmt: skip


def _aliased(table: pd.DataFrame, name: str) -> bool:
    """Whether a factor cannot be separated from another."""
    return name in table.index and bool((table.loc[name].drop(name) > 0.999).any())


def _number(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
